//! `vpcflow transform`: lines from files or standard input to events.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use same_file::Handle;

use super::event_options::EventOptions;
use super::{FAILED, REJECTED};
use crate::pump::{PumpError, Settings, open_sessions, pump};
use crate::sink::{NdjsonSink, Rejects, SHOWN_REJECTS, Totals, tell};
use crate::source::Source;

/// Turn flow log records into ECS events, one JSON object a line
///
/// Reads files, folders, globs and standard input, each plain, gzip, zstd or Parquet as its first
/// bytes tell. Records are text lines or JSON objects, also in the envelopes of Firehose, CloudWatch
/// Logs and Lambda, also run together on one line. The columns of a text line come from
/// --format, else from the last header line, else from the orders that AWS publishes, if
/// every column fits its field.
///
/// When the input pauses, the events of all lines that have arrived are written.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Files, folders or globs; none, or `-`: standard input
    paths: Vec<PathBuf>,

    #[command(flatten)]
    events: EventOptions,

    /// Write the time of collection into the events
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = CollectedAt::None)]
    collected_at: CollectedAt,

    /// Write the events to FILE [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Write each rejected record to FILE as a JSON object: source, line number, byte offset,
    /// reason, what was found and wanted, the line itself [default: show the first ten]
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,

    /// Exit with status 1 if a record was rejected
    #[arg(long)]
    strict: bool,

    /// Print the rejects by reason and the throughput at the end
    #[arg(long)]
    summary: bool,

    /// Threads that transform; the output keeps the order of the input [default: one a core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<usize>>,

    /// Bytes of input for one call of the module
    #[arg(long, value_name = "BYTES", default_value_t = Settings::DEFAULT_BATCH_BYTES as u32,
        value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    batch_bytes: u32,
}

/// When the events are said to have been collected.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CollectedAt {
    /// When their batch is transformed
    Now,
    /// They do not say, so that the same input gives the same bytes
    None,
}

const EXAMPLES: &str = "\
Examples:
  vpcflow transform flow.log                       events to standard output
  vpcflow transform -o events.ndjson AWSLogs/      all files below a folder, plain or compressed
  vpcflow transform --rejects bad.ndjson '*.gz'    what could not be read, with place and reason
  vpcflow transform --format '${srcaddr} ${dstaddr} ${bytes}' flow.log
  vpcflow transform --schema elastic --event-id --geoip-city GeoLite2-City.mmdb AWSLogs/
  tail -f flow.log | vpcflow transform             each line as it arrives

Exit status:
  0  every source was read to its end
  1  --strict was given, and a record was rejected
  2  bad usage, a source that could not be read, an output that could not be written";

impl Arguments {
    /// Runs the command.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let started = Instant::now();
        let sources = Source::from_paths(&self.paths)?;
        let engine = self.events.engine()?;
        let threads = self.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get);
        let settings = Settings {
            options: Arc::new(self.events.options()?),
            collected_at: self.collected_at == CollectedAt::Now,
            threads,
            batch_bytes: self.batch_bytes as usize,
        };
        // Before an output is emptied.
        let sessions = open_sessions(&engine, &settings)?;
        self.refuse_to_overwrite(&sources)?;

        let bytes_read = Arc::new(AtomicU64::new(0));
        let sink = NdjsonSink {
            events: self.open_output()?,
            rejects: match &self.rejects {
                Some(path) => Rejects::File(BufWriter::new(create(path)?)),
                None => Rejects::Shown(SHOWN_REJECTS),
            },
            totals: Totals::default(),
            progress: self.progress(&sources),
            bytes_read: bytes_read.clone(),
        };
        let progress = sink.progress.clone();
        let outcome = pump(sessions, &settings, sources, sink, bytes_read.clone());
        progress.finish_and_clear();
        let totals = match outcome {
            Ok(sink) => sink.totals,
            // Whoever read the events has seen enough.
            Err(PumpError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
            Err(error) => return Err(error.into()),
        };
        self.report(&totals, started.elapsed(), bytes_read.load(Ordering::Relaxed));
        Ok(match totals {
            Totals { failed_sources: 1.., .. } => ExitCode::from(FAILED),
            Totals { rejects: 1.., .. } if self.strict => ExitCode::from(REJECTED),
            _ => ExitCode::SUCCESS,
        })
    }

    /// An input that is opened for writing would be empty before its first line is read.
    fn refuse_to_overwrite(&self, sources: &[Source]) -> anyhow::Result<()> {
        // Only of regular files: to open a named pipe would wait for its other end.
        let file = |path: &Path| path.is_file().then(|| Handle::from_path(path).ok()).flatten();
        let stdin =
            || Handle::stdin().ok().filter(|stdin| stdin.as_file().metadata().is_ok_and(|stdin| stdin.is_file()));
        let mut taken: Vec<Handle> = sources
            .iter()
            .filter_map(|source| match source {
                Source::Stdin => stdin(),
                Source::File(path) => file(path),
            })
            .collect();
        for path in [&self.output, &self.rejects].into_iter().flatten() {
            if !path.exists() {
                create(path)?;
            }
            // Opened for reading, so that nothing is lost if it is refused.
            let Some(target) = file(path) else { continue };
            if taken.contains(&target) {
                bail!("{} would be overwritten: it is an input, or the other output", path.display());
            }
            taken.push(target);
        }
        Ok(())
    }

    fn open_output(&self) -> anyhow::Result<Box<dyn Write + Send>> {
        Ok(match &self.output {
            Some(path) => Box::new(create(path)?),
            None => Box::new(io::stdout()),
        })
    }

    /// A bar for a person at a terminal, unless the events go to the same terminal.
    fn progress(&self, sources: &[Source]) -> ProgressBar {
        if self.output.is_none() && io::stdout().is_terminal() {
            return ProgressBar::hidden();
        }
        let size = sources.iter().map(Source::size).sum::<Option<u64>>();
        let template = match size {
            Some(_) => "{bar:30} {bytes}/{total_bytes}, {msg}, {eta} left",
            None => "{spinner} {bytes}, {msg}, {elapsed}",
        };
        let style = ProgressStyle::with_template(template).expect("the template is well-formed");
        // Standard error; indicatif draws nothing where that is no terminal.
        ProgressBar::with_draw_target(size, ProgressDrawTarget::stderr()).with_style(style)
    }

    fn report(&self, totals: &Totals, elapsed: Duration, bytes_read: u64) {
        let Totals { lines, events, rejects, skips, .. } = totals;
        let seconds = elapsed.as_secs_f64();
        tell(format_args!("{lines} lines, {events} events, {rejects} rejects, {skips} skips, {seconds:.3} seconds"));
        if self.summary {
            for (reason, count) in &totals.reasons {
                tell(format_args!("{count} rejects: {reason}"));
            }
            let megabytes = bytes_read as f64 / 1e6;
            let (byte_rate, event_rate) = (megabytes / seconds, *events as f64 / seconds);
            tell(format_args!("{megabytes:.1} MB read, {byte_rate:.1} MB/s, {event_rate:.0} events/s"));
        }
    }
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("{} cannot be written", path.display()))
}
