//! `vpcflow pull`: what all its sources have in common.

#[cfg(feature = "cloudwatch")]
mod cloudwatch;
#[cfg(feature = "elasticsearch")]
mod elasticsearch;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "kafka")]
mod kafka_output;
#[cfg(feature = "kinesis")]
mod kinesis;
mod output;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "sqs")]
mod sqs;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::event_options::{TransformOptions, cores};
use crate::collect::telemetry::{Metrics, Telemetry};
use crate::collect::{Collection, Feed};
use crate::pump::PumpError;
use output::OutputOptions;

/// Collect flow logs from queues, buckets, streams and topics
#[derive(Args)]
#[cfg_attr(not(feature = "kafka"), command(after_help = "Kafka comes with the cargo feature `kafka`."))]
pub(super) struct Arguments {
    #[command(subcommand)]
    source: Source,
}

#[derive(Subcommand)]
enum Source {
    #[cfg(feature = "sqs")]
    Sqs(sqs::Arguments),
    #[cfg(feature = "s3")]
    S3(s3::Arguments),
    #[cfg(feature = "kinesis")]
    Kinesis(kinesis::Arguments),
    #[cfg(feature = "cloudwatch")]
    Cloudwatch(cloudwatch::Arguments),
    #[cfg(feature = "kafka")]
    Kafka(kafka::Arguments),
}

impl Arguments {
    /// Runs the command.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.source {
            #[cfg(feature = "sqs")]
            Source::Sqs(arguments) => arguments.run(),
            #[cfg(feature = "s3")]
            Source::S3(arguments) => arguments.run(),
            #[cfg(feature = "kinesis")]
            Source::Kinesis(arguments) => arguments.run(),
            #[cfg(feature = "cloudwatch")]
            Source::Cloudwatch(arguments) => arguments.run(),
            #[cfg(feature = "kafka")]
            Source::Kafka(arguments) => arguments.run(),
        }
    }
}

/// What every source has.
#[derive(Args)]
struct PullOptions {
    /// Take options from the table of this command in a TOML file; those of the command line win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Messages that are read at the same time, each on a thread [default: two a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,

    /// Time for what is in hand, once SIGTERM or SIGINT has come; what is not done by then is returned
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    shutdown_timeout_secs: u64,

    #[command(flatten, next_help_heading = "Output")]
    output: OutputOptions,

    #[command(flatten, next_help_heading = "Telemetry")]
    telemetry: Telemetry,

    #[command(flatten, next_help_heading = "Events")]
    transform: TransformOptions,
}

/// What a source or an output is opened with, within the runtime.
#[derive(Clone)]
struct Environment {
    metrics: Arc<Metrics>,
    /// Ends the receiving.
    stop: CancellationToken,
    /// Ends everything at once.
    abort: CancellationToken,
    workers: usize,
}

/// How long a process that does not end by itself is waited for, after everything has been aborted.
const GRACE: Duration = Duration::from_secs(5);

impl PullOptions {
    fn workers(&self) -> usize {
        // One reads while the other transforms.
        self.workers.map_or_else(|| 2 * cores(), usize::from)
    }

    /// Collects with log lines on standard error, for feeds whose end is a success or an error.
    #[cfg(any(feature = "cloudwatch", feature = "kafka", feature = "kinesis", feature = "sqs"))]
    fn run_to_end<F: Feed>(
        &self,
        open: impl AsyncFnOnce(Environment) -> anyhow::Result<F>,
    ) -> anyhow::Result<ExitCode> {
        self.run(std::io::stderr, open)?.end().map_err(anyhow::Error::msg)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Opens the feed and collects until it ends. `writer` takes the log lines.
    fn run<F: Feed, W: Write + 'static>(
        &self,
        writer: impl Fn() -> W + Send + Sync + 'static,
        open: impl AsyncFnOnce(Environment) -> anyhow::Result<F>,
    ) -> anyhow::Result<Arc<F>> {
        self.telemetry.start_logging(writer);
        let workers = self.workers();
        let (settings, sessions) = self.transform.open(workers, self.output.needs_ids())?;
        let runtime = Runtime::new()?;
        let environment = Environment {
            metrics: Arc::new(Metrics::new()),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            workers,
        };
        let _entered = runtime.enter();
        // Before a message is received that could not be written.
        let mut output = self.output.open(&environment, &sessions[0], settings.options.schema.as_deref())?;
        let outcome = runtime.block_on(async {
            let timeout = Duration::from_secs(self.shutdown_timeout_secs);
            let Environment { metrics, stop, abort, .. } = environment.clone();
            let given_up = tokio::spawn(shut_down(stop.clone(), abort.clone(), timeout));
            self.telemetry.serve(metrics.clone()).await?;
            let opened = OnceLock::new();
            let collect = async {
                // Blocks, as everything about outputs does.
                let prepared = spawn_blocking(move || output.prepare().map(|()| output)).await?;
                let output = Mutex::new(prepared.map_err(PumpError::Output)?);
                let feed = open(environment).await?;
                let feed = opened.get_or_init(|| Arc::new(feed)).clone();
                let collection = Collection { feed: feed.clone(), settings, output, metrics, stop, abort };
                let (sender, ended) = oneshot::channel();
                std::thread::spawn(move || sender.send(collection.run(sessions)));
                ended.await.unwrap_or(Err(PumpError::Panicked))?;
                Ok(feed)
            };
            tokio::select! {
                outcome = collect => outcome,
                outcome = given_up => {
                    if let Some(feed) = opened.get() {
                        let _ = tokio::time::timeout(GRACE, feed.abandon()).await;
                    }
                    outcome?.and_then(|()| bail!("ended without a signal"))
                }
            }
        });
        // Without waiting for what may hang.
        runtime.shutdown_background();
        outcome
    }
}

/// Waits for a signal; then ends the receiving, and after `timeout` everything. Returns an error only if
/// that was in vain.
async fn shut_down(stop: CancellationToken, abort: CancellationToken, timeout: Duration) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut signalled = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    signalled().await;
    tracing::info!(timeout_secs = timeout.as_secs(), "ending: no more is received, what is in hand is finished");
    stop.cancel();
    tokio::select! {
        () = tokio::time::sleep(timeout) => {}
        () = signalled() => {}
    }
    tracing::warn!("ending: what is not finished is returned");
    abort.cancel();
    tokio::select! {
        () = tokio::time::sleep(GRACE) => {}
        () = signalled() => {}
    }
    bail!("ended while an output or a request was hanging; what was in hand is delivered again")
}
