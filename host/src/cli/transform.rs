//! `vpcflow transform`: lines from files or standard input to events.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{ArgGroup, Args};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use same_file::Handle;

use super::event_options::{TransformOptions, cores};
use super::{FAILED, REJECTED};
use crate::engine::Counts;
use crate::output::{Output, Watcher};
use crate::pump::{PumpError, pump};
use crate::reject::Reject;
use crate::sink::{RotatedSink, Sink, StreamSink, tell};
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
#[command(after_help = EXAMPLES, group = ArgGroup::new("files").args(["output", "rejects"]).multiple(true))]
pub(super) struct Arguments {
    /// Files, folders or globs; none, or `-`: standard input
    paths: Vec<PathBuf>,

    #[command(flatten)]
    transform: TransformOptions,

    /// Write the events to FILE [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Write each rejected record to FILE as a JSON object: source, line number, byte offset,
    /// reason, what was found and wanted, the line itself [default: show the first ten]
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,

    /// Append to the files of --output and --rejects, as one process at a time may: for a child that
    /// is started again and again. A half line that a crash has left at the end is cut off. A file
    /// that is renamed or removed meanwhile is begun anew under its name
    #[arg(long, requires = "files")]
    append: bool,

    /// Exit with status 1 if a record was rejected
    #[arg(long)]
    strict: bool,

    /// Print the rejects by reason and the throughput at the end
    #[arg(long)]
    summary: bool,

    /// Threads that transform; the output keeps the order of the input [default: one a core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<usize>>,
}

const EXAMPLES: &str = "\
Examples:
  vpcflow transform flow.log                       events to standard output
  vpcflow transform -o events.ndjson AWSLogs/      all files below a folder, plain or compressed
  vpcflow transform --rejects bad.ndjson '*.gz'    what could not be read, with place and reason
  vpcflow transform --format '${srcaddr} ${dstaddr} ${bytes}' flow.log
  vpcflow transform --schema elastic --event-id --geoip-city GeoLite2-City.mmdb AWSLogs/
  tail -f flow.log | vpcflow transform             each line as it arrives
  vpcflow transform --append -o events.ndjson      as the child of a log shipper

Exit status:
  0  every source was read to its end
  1  --strict was given, and a record was rejected
  2  bad usage, a source that could not be read, an output that could not be written";

impl Arguments {
    /// Runs the command.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let started = Instant::now();
        let sources = Source::from_paths(&self.paths)?;
        // Before an output is emptied.
        let (settings, sessions) = self.transform.open(self.threads.map_or_else(cores, NonZero::get), false)?;
        self.refuse_to_overwrite(&sources)?;

        let bytes_read = Arc::new(AtomicU64::new(0));
        let progress = self.progress(&sources);
        let events: Box<dyn Sink> = match &self.output {
            Some(path) => self.open(path)?,
            None => Box::new(StreamSink(io::stdout())),
        };
        let console = Console {
            totals: Totals::default(),
            rejects_left: SHOWN_REJECTS,
            progress: progress.clone(),
            bytes_read: bytes_read.clone(),
        };
        let rejects = self.rejects.as_deref().map(|path| self.open(path)).transpose()?;
        let output = Output::new(events, rejects, console);
        let outcome = pump(sessions, &settings, sources, output, bytes_read.clone());
        progress.finish_and_clear();
        let totals = match outcome {
            Ok(output) => output.watcher.totals,
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
                drop(cannot_be_written(path, File::create(path))?);
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

    fn open(&self, path: &Path) -> anyhow::Result<Box<dyn Sink>> {
        Ok(match self.append {
            true => Box::new(cannot_be_written(path, RotatedSink::open(path))?),
            false => Box::new(StreamSink(cannot_be_written(path, File::create(path))?)),
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

fn cannot_be_written<T>(path: &Path, outcome: io::Result<T>) -> anyhow::Result<T> {
    outcome.with_context(|| format!("{} cannot be written", path.display()))
}

/// What has been written.
#[derive(Default)]
struct Totals {
    lines: u64,
    events: u64,
    rejects: u64,
    skips: u64,
    /// Rejects by reason.
    reasons: BTreeMap<String, u64>,
    failed_sources: u64,
}

/// Tells a person.
struct Console {
    totals: Totals,
    /// How many rejects are still to be shown, where they go to no file.
    rejects_left: u64,
    progress: ProgressBar,
    bytes_read: Arc<AtomicU64>,
}

const SHOWN_REJECTS: u64 = 10;

impl Watcher for Console {
    fn batch(&mut self, counts: &Counts) {
        self.totals.lines += counts.lines;
        self.totals.events += counts.events;
        self.totals.rejects += counts.rejects;
        self.totals.skips += counts.skips;
        self.progress.set_position(self.bytes_read.load(Ordering::Relaxed));
        if !self.progress.is_hidden() {
            let rate = self.totals.events as f64 / self.progress.elapsed().as_secs_f64();
            self.progress.set_message(format!("{rate:.0} events/s"));
        }
    }

    fn reject(&mut self, reject: &Reject<'_>, is_kept: bool) {
        match self.totals.reasons.get_mut(reject.fault.reason) {
            Some(count) => *count += 1,
            None => drop(self.totals.reasons.insert(reject.fault.reason.into(), 1)),
        }
        if is_kept || self.rejects_left == 0 {
            return;
        }
        self.rejects_left -= 1;
        self.progress.suspend(|| {
            tell(format_args!("{reject}"));
            if self.rejects_left == 0 {
                tell(format_args!("more rejects are not shown; --rejects FILE keeps all"));
            }
        });
    }

    fn source_failed(&mut self, source: &str, error: &io::Error) {
        self.totals.failed_sources += 1;
        self.progress.suspend(|| tell(format_args!("{source}: {error}")));
    }
}
