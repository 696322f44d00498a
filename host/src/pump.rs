//! Receive → frame → transform → write, on several threads with one order.
//!
//! Every thread does all of it: it takes the next lines while it holds the input, transforms them,
//! waits for its turn and writes them. So the output has the input's order, a slow output slows
//! the input, and nothing is held but one batch a thread.
//!
//! A header line sets the columns for what follows it, so a batch depends on all before it. A thread
//! assumes the header that is in force when it begins, and transforms again in its turn when
//! the batches before it have changed that: mostly the second batch of a file, and no other.

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{thread, vec};

use crate::engine::{Batch, Context, Datetime, Engine, EngineError, Options, Session};
use crate::framing::{Framer, Framing, Lines};
use crate::output::{Output, Watcher};
use crate::source::Source;

/// Why a pump stopped before the end of its input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PumpError {
    /// The module cannot go on.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The output takes no more.
    #[error("the output cannot be written: {0}")]
    Output(io::Error),
    /// A thread panicked, which is a bug; what it had in hand is not in the output.
    #[error("a thread panicked; the output is not complete")]
    Panicked,
}

/// How to pump.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the module is opened with.
    pub options: Arc<Options>,
    /// Whether the events shall say when they were collected.
    pub collected_at: bool,
    /// How many threads transform, at least one.
    pub threads: usize,
    /// What a batch holds, in bytes of input.
    pub batch_bytes: usize,
}

impl Settings {
    /// Large enough that a call costs nothing, small enough that a batch's events stay in the
    /// second-level cache until they are written.
    pub const DEFAULT_BATCH_BYTES: usize = 128 << 10;

    /// How what never pauses is cut.
    pub(crate) fn framing(&self) -> Framing {
        let max_line_bytes = self.options.max_line_bytes as usize;
        Framing { batch_bytes: self.batch_bytes, max_line_bytes, fill: true }
    }
}

/// Opens the module once for every thread, so that bad options are refused before an output is.
pub fn open_sessions(engine: &Arc<Engine>, settings: &Settings) -> Result<Vec<Session>, EngineError> {
    (0..settings.threads.max(1)).map(|_| Session::open(engine.clone(), settings.options.clone())).collect()
}

/// Pumps all of `sources` through the module into `output`, on a thread for every session, and gives the
/// output back, flushed. `bytes_read` is kept at the number of bytes read from the sources, before decompression.
pub fn pump<W: Watcher + 'static>(
    sessions: Vec<Session>,
    settings: &Settings,
    sources: Vec<Source>,
    output: Output<W>,
    bytes_read: Arc<AtomicU64>,
) -> Result<Output<W>, PumpError> {
    let framing = settings.framing();
    let origins = sources.iter().map(|source| (source.name(), source.origin())).collect();
    let input = Input { sources: sources.into_iter().enumerate(), current: None, framing, bytes_read, sequence: 0 };
    let writing = Writing { output, turn: 0, position: Position::default(), is_stopped: false };
    let pump = Arc::new(Pump {
        origins,
        collected_at: settings.collected_at,
        input: Mutex::new(input),
        writing: Mutex::new(writing),
        turned: Condvar::new(),
    });

    let (done, results) = mpsc::channel();
    for session in sessions {
        let (pump, done) = (pump.clone(), done.clone());
        thread::spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| pump.work(session))).unwrap_or(Err(PumpError::Panicked));
            if result.is_err() {
                // Nobody must wait for the turn of a thread that has gone.
                pump.stop();
            }
            // Before the channel closes: the last thread to leave must not hold the pump.
            drop(pump);
            let _ = done.send(result);
        });
    }
    drop(done);
    // The first error ends the pump at once: another thread may be waiting for input that never comes.
    for result in results {
        result?;
    }
    let pump = Arc::into_inner(pump).expect("every thread has ended");
    let mut output = pump.writing.into_inner().unwrap_or_else(PoisonError::into_inner).output;
    output.finish().map_err(PumpError::Output)?;
    Ok(output)
}

struct Pump<W> {
    /// For each source its name in messages, and its origin in event ids.
    origins: Vec<(String, String)>,
    collected_at: bool,
    input: Mutex<Input>,
    writing: Mutex<Writing<W>>,
    turned: Condvar,
}

/// What is to be done, in the order of `sequence`.
#[derive(Default)]
struct Piece {
    sequence: u64,
    /// Index of the source.
    source: usize,
    lines: Lines,
    /// The source ends here, for this reason.
    failure: Option<io::Error>,
}

struct Input {
    sources: std::iter::Enumerate<vec::IntoIter<Source>>,
    current: Option<(usize, Framer<Box<dyn Read + Send>>)>,
    framing: Framing,
    bytes_read: Arc<AtomicU64>,
    sequence: u64,
}

struct Writing<W> {
    output: Output<W>,
    /// The sequence number of the piece whose turn it is.
    turn: u64,
    position: Position,
    is_stopped: bool,
}

/// How far the output has come in a source.
#[derive(Clone, Default)]
struct Position {
    source: usize,
    lines_before: u64,
    header: Option<String>,
}

impl<W: Watcher> Pump<W> {
    fn work(&self, mut session: Session) -> Result<(), PumpError> {
        let mut piece = Piece::default();
        while lock(&self.input).next(&mut piece) {
            let assumed = lock(&self.writing).header(piece.source);
            let (name, origin) = &self.origins[piece.source];
            let context = Context {
                origin: origin.clone(),
                offset: piece.lines.offset,
                collected_at: self.collected_at.then(now),
            };
            let mut transformed = session.transform(assumed.as_deref(), piece.lines.bytes(), &context)?;
            let Some(mut writing) = self.wait_for_turn(piece.sequence) else { return Ok(()) };
            let header = writing.header(piece.source);
            if header != assumed {
                transformed = session.transform(header.as_deref(), piece.lines.bytes(), &context)?;
            }
            writing.write(name, &piece, &mut transformed.batch).map_err(PumpError::Output)?;
            writing.position.header = transformed.header;
            writing.turn += 1;
            self.turned.notify_all();
        }
        Ok(())
    }

    fn wait_for_turn(&self, sequence: u64) -> Option<MutexGuard<'_, Writing<W>>> {
        let is_early = |writing: &mut Writing<W>| writing.turn != sequence && !writing.is_stopped;
        let writing = self.turned.wait_while(lock(&self.writing), is_early).unwrap_or_else(PoisonError::into_inner);
        (!writing.is_stopped).then_some(writing)
    }

    fn stop(&self) {
        lock(&self.writing).is_stopped = true;
        self.turned.notify_all();
    }
}

impl<W: Watcher> Writing<W> {
    /// The header in force, as far as the output has come.
    fn header(&self, source: usize) -> Option<String> {
        self.position.header.clone().filter(|_| self.position.source == source)
    }

    fn write(&mut self, name: &str, piece: &Piece, batch: &mut Batch) -> io::Result<()> {
        if self.position.source != piece.source {
            self.position = Position { source: piece.source, ..Position::default() };
        }
        self.output.write(name, &mut self.position.lines_before, &piece.lines, batch)?;
        if let Some(error) = &piece.failure {
            self.output.watcher.source_failed(name, error);
        }
        Ok(())
    }
}

impl Input {
    /// Takes the next piece; `false` at the end of the last source.
    fn next(&mut self, piece: &mut Piece) -> bool {
        piece.sequence = self.sequence;
        piece.failure = None;
        self.sequence += 1;
        loop {
            let Some((index, framer)) = &mut self.current else {
                let Some((index, source)) = self.sources.next() else { return false };
                piece.source = index;
                match self.open(&source) {
                    Ok(framer) => self.current = Some((index, framer)),
                    Err(error) => return piece.fail(error),
                }
                continue;
            };
            piece.source = *index;
            match framer.next(&mut piece.lines) {
                Ok(true) => return true,
                Ok(false) => self.current = None,
                Err(error) => {
                    let (offset, rest) = framer.rest();
                    let place = format!("{error}, after byte {offset} of its lines and {rest} of an unfinished line");
                    self.current = None;
                    return piece.fail(io::Error::new(error.kind(), place));
                }
            }
        }
    }

    fn open(&self, source: &Source) -> io::Result<Framer<Box<dyn Read + Send>>> {
        // What has a size is a file, and never pauses.
        let framing = Framing { fill: source.size().is_some(), ..self.framing };
        Ok(Framer::new(source.open(self.bytes_read.clone())?, framing))
    }
}

impl Piece {
    fn fail(&mut self, error: io::Error) -> bool {
        self.lines.clear();
        self.failure = Some(error);
        true
    }
}

pub(crate) fn now() -> Datetime {
    // A clock before 1970 is wrong anyway.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() }
}

/// A thread that panicked has left nothing half done that the others could see.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
