//! `vpcflow pull`: what all its sources have in common.

mod s3;
#[cfg(feature = "sqs")]
mod sqs;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Context, bail};
use aws_config::SdkConfig;
use clap::{Args, Subcommand};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::event_options::{TransformOptions, cores};
use crate::collect::keys::KeyFilter;
use crate::collect::object::Store;
use crate::collect::sign_in::SignIn;
use crate::collect::telemetry::{Metrics, Recorder, Telemetry};
use crate::collect::{Collection, Feed};
use crate::output::Output;
use crate::pump::PumpError;
use crate::sink::{Compression, DirectorySink, FileSink, Rotation, Sink, StandardOutput};

/// Collect flow logs from queues and buckets
#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    source: Source,
}

#[derive(Subcommand)]
enum Source {
    #[cfg(feature = "sqs")]
    Sqs(sqs::Arguments),
    S3(s3::Arguments),
}

impl Arguments {
    /// Runs the command.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.source {
            #[cfg(feature = "sqs")]
            Source::Sqs(arguments) => arguments.run(),
            Source::S3(arguments) => arguments.run(),
        }
    }
}

/// What every source has.
#[derive(Args)]
struct PullOptions {
    /// Take options from the table of this command in a TOML file; those of the command line win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    sign_in: SignIn,

    #[command(flatten, next_help_heading = "Objects")]
    filter: KeyFilter,

    /// Objects that are read at the same time, each on a thread [default: two a core]
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

/// Where events go.
#[derive(Args)]
struct OutputOptions {
    /// Append the events to FILE, or to files in a directory if it ends in `/` or is one
    /// [default: standard output]
    #[arg(long, short, value_name = "FILE|DIR/")]
    output: Option<PathBuf>,

    /// Compress the output
    #[arg(long, value_name = "METHOD", value_enum, requires = "output")]
    compress: Option<Compression>,

    /// Begin another file in the directory when one has this size
    #[arg(long, value_name = "MIB", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    rotate_mib: u64,

    /// Begin another file in the directory when one has this age
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    rotate_secs: u64,

    /// Append each rejected record to FILE as a JSON object [default: log some]
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

impl OutputOptions {
    fn open(&self, metrics: Arc<Metrics>) -> anyhow::Result<Output<Recorder>> {
        let rotation = Rotation { bytes: self.rotate_mib << 20, age: Duration::from_secs(self.rotate_secs) };
        let events: Box<dyn Sink> = match &self.output {
            None => Box::new(StandardOutput::open()?),
            Some(path) if path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/") => Box::new(
                DirectorySink::open(path, self.compress, rotation)
                    .with_context(|| format!("--output {}", path.display()))?,
            ),
            Some(path) => append_to(path, self.compress).with_context(|| format!("--output {}", path.display()))?,
        };
        let rejects = self
            .rejects
            .as_deref()
            .map(|path| append_to(path, None).with_context(|| format!("--rejects {}", path.display())));
        Ok(Output::new(events, rejects.transpose()?, Recorder::new(metrics)))
    }
}

fn append_to(path: &Path, compression: Option<Compression>) -> io::Result<Box<dyn Sink>> {
    Ok(Box::new(FileSink::open(path, compression)?))
}

/// What a source is opened with.
#[cfg_attr(not(feature = "sqs"), allow(dead_code, reason = "a bucket needs less than a queue"))]
struct Environment {
    config: SdkConfig,
    s3: aws_sdk_s3::Client,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    workers: usize,
}

/// How long a process that does not end by itself is waited for, after everything has been aborted.
const GRACE: Duration = Duration::from_secs(5);

impl PullOptions {
    fn workers(&self) -> usize {
        // One reads while the other transforms.
        self.workers.map_or_else(|| 2 * cores(), usize::from)
    }

    /// Opens the feed and collects until it ends. `writer` takes the log lines.
    fn run<F: Feed, W: Write + 'static>(
        &self,
        region: Option<&str>,
        writer: impl Fn() -> W + Send + Sync + 'static,
        open: impl AsyncFnOnce(Environment) -> anyhow::Result<F>,
    ) -> anyhow::Result<Arc<F>> {
        self.telemetry.start_logging(writer);
        let workers = self.workers();
        let (settings, sessions) = self.transform.open(workers)?;
        let runtime = Runtime::new()?;
        let metrics = Arc::new(Metrics::new());
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        // Before a message is received that could not be written.
        let output = Mutex::new(self.output.open(metrics.clone())?);
        let outcome = runtime.block_on(async {
            let timeout = Duration::from_secs(self.shutdown_timeout_secs);
            let given_up = tokio::spawn(shut_down(stop.clone(), abort.clone(), timeout));
            self.telemetry.serve(metrics.clone()).await?;
            let opened = OnceLock::new();
            let collect = async {
                let config = self.sign_in.config(region).await?;
                let s3 = s3_client(&config);
                let runtime = runtime.handle().clone();
                let store = Store { client: s3.clone(), runtime, metrics: metrics.clone(), abort };
                let (feed_metrics, feed_stop) = (metrics.clone(), stop.clone());
                let feed = open(Environment { config, s3, metrics: feed_metrics, stop: feed_stop, workers }).await?;
                let feed = opened.get_or_init(|| Arc::new(feed)).clone();
                let (store, stop) = (Arc::new(store), stop.clone());
                let collection = Collection { feed: feed.clone(), store, settings, output, metrics, stop };
                let (sender, ended) = oneshot::channel();
                std::thread::spawn(move || sender.send(collection.run(sessions)));
                ended.await.unwrap_or(Err(PumpError::Panicked))?;
                Ok(feed)
            };
            tokio::select! {
                outcome = collect => outcome,
                outcome = given_up => {
                    if let Some(feed) = opened.get() {
                        feed.abandon().await;
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

fn s3_client(config: &SdkConfig) -> aws_sdk_s3::Client {
    // Test servers, and S3 behind an endpoint of one's own, have no name for each bucket.
    let has_own_endpoint = config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
    let builder = aws_sdk_s3::config::Builder::from(config).force_path_style(has_own_endpoint);
    aws_sdk_s3::Client::from_conf(builder.build())
}
