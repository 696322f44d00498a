//! What becomes of every line: events to their sink, rejects to theirs, and all of it counted.

use std::io;
use std::time::Duration;

use crate::engine::{Batch, Counts};
use crate::framing::Lines;
use crate::reject::{Refusal, Reject};
use crate::sink::Sink;

/// Takes batches. After an error it takes no more: there may be half a line in a sink, which must be
/// neither continued nor flushed.
pub struct Output<W> {
    events: Box<dyn Sink>,
    rejects: Option<Box<dyn Sink>>,
    /// Is told of everything.
    pub watcher: W,
    /// The error after which no more is taken.
    failure: Option<(io::ErrorKind, String)>,
}

/// Is told what becomes of lines, and tells people or counts.
pub trait Watcher: Send {
    /// A batch has been written.
    fn batch(&mut self, counts: &Counts);

    /// A record was rejected; `is_kept` tells whether the rejects have a sink.
    fn reject(&mut self, reject: &Reject<'_>, is_kept: bool);

    /// The destination has refused an event, which had been counted as one; `is_kept` as for rejects. Files
    /// and streams refuse nothing.
    fn refused(&mut self, _refusal: &Refusal, _is_kept: bool) {}

    /// `source` could not be read to its end.
    fn source_failed(&mut self, source: &str, error: &io::Error);
}

impl<W: Watcher> Output<W> {
    /// Writes the events to one sink and the rejects, if they are kept, to another.
    pub fn new(events: Box<dyn Sink>, rejects: Option<Box<dyn Sink>>, watcher: W) -> Output<W> {
        Output { events, rejects, watcher, failure: None }
    }

    /// Waits until the destination of the events is there. Before anything is written.
    pub fn prepare(&mut self) -> io::Result<()> {
        self.whole(|output| output.events.prepare())
    }

    /// How long to gather before a flush.
    pub fn flush_interval(&self) -> Duration {
        self.events.flush_interval()
    }

    /// Takes what came of `lines`, before which there were `lines_before` in `source`, and counts them up.
    pub fn write(&mut self, source: &str, lines_before: &mut u64, lines: &Lines, batch: &mut Batch) -> io::Result<()> {
        // The line in whose middle this begins has been counted.
        let counted = u64::from(lines.continues).min(batch.counts.lines);
        batch.counts.lines -= counted;
        let first = lines_before.saturating_sub(counted);
        *lines_before += batch.counts.lines;
        self.whole(|output| output.write_batch(source, first, lines, batch))
    }

    fn write_batch(&mut self, source: &str, first: u64, lines: &Lines, batch: &Batch) -> io::Result<()> {
        if !batch.events.is_empty() {
            self.events.write(&batch.events)?;
            self.write_refused()?;
        }
        if !batch.rejects.is_empty() {
            let mut kept = Vec::new();
            for reject in &batch.rejects {
                let place = (first, lines.offset);
                let reject = Reject::new(source, place, lines.bytes(), lines.is_cut, reject);
                self.watcher.reject(&reject, self.rejects.is_some());
                if self.rejects.is_some() {
                    serde_json::to_writer(&mut kept, &reject)?;
                    kept.push(b'\n');
                }
            }
            if let Some(rejects) = &mut self.rejects {
                rejects.write(&kept).map_err(rejects_error)?;
            }
        }
        self.watcher.batch(&batch.counts);
        Ok(())
    }

    /// What the destination has refused goes where the rejects go.
    fn write_refused(&mut self) -> io::Result<()> {
        for refusal in self.events.refused() {
            self.watcher.refused(&refusal, self.rejects.is_some());
            if let Some(rejects) = &mut self.rejects {
                let mut line = serde_json::to_vec(&refusal)?;
                line.push(b'\n');
                rejects.write(&line).map_err(rejects_error)?;
            }
        }
        Ok(())
    }

    /// Makes events and rejects safe.
    pub fn flush(&mut self) -> io::Result<()> {
        self.whole(|output| {
            output.events.flush()?;
            output.write_refused()?;
            output.rejects.as_mut().map_or(Ok(()), |rejects| rejects.flush().map_err(rejects_error))
        })
    }

    /// The same for the last time.
    pub fn finish(&mut self) -> io::Result<()> {
        self.whole(|output| {
            output.events.finish()?;
            output.write_refused()?;
            output.rejects.as_mut().map_or(Ok(()), |rejects| rejects.finish().map_err(rejects_error))
        })
    }

    /// Does something to the sinks that must not be left half done, by an error or a panic.
    fn whole(&mut self, action: impl FnOnce(&mut Output<W>) -> io::Result<()>) -> io::Result<()> {
        if let Some((kind, text)) = &self.failure {
            return Err(io::Error::new(*kind, text.clone()));
        }
        self.failure = Some((io::ErrorKind::Other, "a thread panicked while it was written".into()));
        let outcome = action(self);
        self.failure = outcome.as_ref().err().map(|error| (error.kind(), error.to_string()));
        outcome
    }
}

/// Of another kind than the events' error, since a reader who has seen enough events ends the
/// command quietly, and one who has seen enough rejects does not.
fn rejects_error(error: io::Error) -> io::Error {
    io::Error::other(format!("the file of the rejects: {error}"))
}
