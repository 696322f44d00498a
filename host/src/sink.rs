//! Where events go, and what becomes of the rest.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::ProgressBar;

use crate::engine::Batch;
use crate::framing::Lines;
use crate::reject::Reject;

/// Takes batches in the order of their lines.
pub trait Sink: Send {
    /// Takes what came of `lines`, before which there were `lines_before` in the source.
    fn write(&mut self, source: &str, lines_before: u64, lines: &Lines, batch: &Batch) -> io::Result<()>;

    /// Takes notice that `source` could not be read to its end.
    fn source_failed(&mut self, source: &str, error: &io::Error) -> io::Result<()>;
}

/// What has been written.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Lines read.
    pub lines: u64,
    /// Events written.
    pub events: u64,
    /// Records rejected.
    pub rejects: u64,
    /// Blank lines, header lines, control messages.
    pub skips: u64,
    /// Rejects by reason.
    pub reasons: BTreeMap<String, u64>,
    /// Sources that could not be read to their end.
    pub failed_sources: u64,
}

/// Where the rejects go.
pub enum Rejects {
    /// To a file, as NDJSON.
    File(BufWriter<File>),
    /// So many more to standard error, as text.
    Shown(u64),
}

/// Writes events as NDJSON, unbuffered: a batch is out when the next one begins.
pub struct NdjsonSink<W> {
    /// Takes the events.
    pub events: W,
    /// Takes the rejects.
    pub rejects: Rejects,
    /// What has been written so far.
    pub totals: Totals,
    /// Hidden where nobody watches.
    pub progress: ProgressBar,
    /// Bytes read from the sources, for the progress bar.
    pub bytes_read: Arc<AtomicU64>,
}

/// Writes a line to standard error. Where that cannot be written, nobody reads it: no reason to stop.
pub fn tell(message: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "vpcflow: {message}");
}

/// Of another kind than the events' error, since a reader who has seen enough events ends the
/// command quietly, and one who has seen enough rejects does not.
fn rejects_error(error: io::Error) -> io::Error {
    io::Error::other(format!("the file of the rejects: {error}"))
}

/// How many rejects are shown where they go to no file.
pub const SHOWN_REJECTS: u64 = 10;

impl<W: Write + Send> Sink for NdjsonSink<W> {
    fn write(&mut self, source: &str, lines_before: u64, lines: &Lines, batch: &Batch) -> io::Result<()> {
        if !batch.events.is_empty() {
            self.events.write_all(&batch.events)?;
            self.events.flush()?;
        }
        for reject in &batch.rejects {
            let place = (lines_before, lines.offset);
            let reject = Reject::new(source, place, lines.bytes(), lines.is_cut, reject);
            self.reject(&reject).map_err(rejects_error)?;
        }
        if let Rejects::File(file) = &mut self.rejects {
            file.flush().map_err(rejects_error)?;
        }
        self.totals.lines += batch.counts.lines;
        self.totals.events += batch.counts.events;
        self.totals.rejects += batch.counts.rejects;
        self.totals.skips += batch.counts.skips;
        self.progress.set_position(self.bytes_read.load(Ordering::Relaxed));
        if !self.progress.is_hidden() {
            let rate = self.totals.events as f64 / self.progress.elapsed().as_secs_f64();
            self.progress.set_message(format!("{rate:.0} events/s"));
        }
        Ok(())
    }

    fn source_failed(&mut self, source: &str, error: &io::Error) -> io::Result<()> {
        self.totals.failed_sources += 1;
        self.progress.suspend(|| tell(format_args!("{source}: {error}")));
        Ok(())
    }
}

impl<W: Write> NdjsonSink<W> {
    fn reject(&mut self, reject: &Reject<'_>) -> io::Result<()> {
        match self.totals.reasons.get_mut(reject.fault.reason) {
            Some(count) => *count += 1,
            None => drop(self.totals.reasons.insert(reject.fault.reason.into(), 1)),
        }
        match &mut self.rejects {
            Rejects::File(file) => {
                serde_json::to_writer(&mut *file, reject)?;
                file.write_all(b"\n")
            }
            Rejects::Shown(0) => Ok(()),
            Rejects::Shown(left) => {
                *left -= 1;
                self.progress.suspend(|| {
                    tell(format_args!("{reject}"));
                    if *left == 0 {
                        tell(format_args!("more rejects are not shown; --rejects FILE keeps all"));
                    }
                });
                Ok(())
            }
        }
    }
}
