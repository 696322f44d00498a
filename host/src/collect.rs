//! Collection: receive → open → frame → transform → write → flush → acknowledge.
//!
//! Workers take messages from a [`Feed`], run their streams through the module and write to one
//! output. One thread flushes that output and then acknowledges the messages that had been written
//! completely before: many at a time when there are many. So a message is acknowledged only when all
//! of its events are safe; whatever goes wrong before, it is delivered again.

#[cfg(feature = "s3")]
pub(crate) mod backfill;
#[cfg(any(feature = "cloudwatch", feature = "kinesis", feature = "s3"))]
mod checkpoint_file;
#[cfg(feature = "cloudwatch")]
pub(crate) mod cloudwatch;
#[cfg(feature = "cloudwatch")]
pub(crate) mod flow_log_format;
#[cfg(any(feature = "cloudwatch", feature = "kafka", feature = "kinesis"))]
pub(crate) mod in_order;
#[cfg(feature = "kafka")]
pub(crate) mod kafka;
#[cfg(feature = "s3")]
pub(crate) mod keys;
#[cfg(feature = "kinesis")]
pub(crate) mod kinesis;
#[cfg(feature = "s3")]
pub(crate) mod object;
#[cfg(feature = "aws")]
pub(crate) mod sign_in;
pub(crate) mod telemetry;

#[cfg(feature = "sqs")]
mod notification;
#[cfg(feature = "sqs")]
pub(crate) mod queue;

#[cfg(any(feature = "aws", feature = "elasticsearch"))]
use std::error::Error;
use std::fmt::Debug;
#[cfg(any(feature = "aws", feature = "elasticsearch"))]
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

#[cfg(feature = "aws")]
use aws_smithy_runtime_api::client::result::SdkError;
#[cfg(feature = "aws")]
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::engine::{Batch, Context, Counts, Fault, Reason, Reject, Session};
use crate::framing::{Framer, Lines, decompress};
use crate::output::Output;
use crate::pump::{PumpError, Settings, lock, now};
use crate::sink::visible;
use telemetry::{Metrics, Recorder};

/// How often the output is flushed when nothing comes, for what is due by time.
const IDLE_FLUSH: Duration = Duration::from_secs(1);

/// Where messages come from.
pub(crate) trait Feed: Send + Sync + 'static {
    type Message: Send + 'static;

    /// Waits for a message; `None` when there are no more.
    fn receive(&self) -> Option<Self::Message>;

    /// What it holds or announces.
    fn streams(&self, message: &Self::Message) -> Result<impl Iterator<Item = Stream>, Failure>;

    /// Ends messages for good.
    fn acknowledge(&self, messages: Vec<Flushed<Self::Message>>);

    /// Takes a message back that could not be read.
    fn give_back(&self, message: Self::Message, failure: &Failure);

    /// All events of a message have been written; another one may come before they are flushed.
    fn written(&self, _: &mut Self::Message) {}

    /// Nothing is in hand any more: every message has been acknowledged or given back.
    fn settle(&self) {}

    /// The process ends while messages are in hand that nobody can give back any more.
    fn abandon(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// After the last message: whether the feed has ended as it should.
    fn end(&self) -> Result<(), String>;
}

/// Lines, as they are or packed.
pub(crate) struct Stream {
    /// What messages call it, and what enters the event ids: the same whenever it is delivered again.
    pub(crate) origin: String,
    pub(crate) content: Content,
}

/// Where the bytes of a stream are.
pub(crate) enum Content {
    /// Elsewhere. What cannot be read there is given back as a whole.
    #[allow(dead_code, reason = "only objects are elsewhere")]
    Reader(Box<dyn Read>),
    /// In the message. What cannot be unpacked would never be, and is a reject.
    #[allow(dead_code, reason = "only some feeds have messages with content")]
    Bytes(Bytes),
}

/// Why a message, or a stream of it, could not be read to its end.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It is not there, not to be read, or not what it should be: another attempt would end the same.
    #[error("{0}")]
    ForGood(String),
    /// The network, the service or the output failed.
    #[error("{0}")]
    ForNow(String),
    /// The process is to end.
    #[error("the process is ending")]
    Stopped,
}

impl From<io::Error> for Failure {
    /// What comes through a decoder is either a failure from here, or of the system's, or about the bytes.
    fn from(error: io::Error) -> Failure {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Failure>()) {
            Some(failure) => failure.clone(),
            None if error.raw_os_error().is_some() => Failure::ForNow(error.to_string()),
            None => Failure::ForGood(error.to_string()),
        }
    }
}

/// A message all of whose events have been flushed: only such a one can be acknowledged.
pub(crate) struct Flushed<M>(M);

/// Why a message was not written completely.
enum Incomplete {
    /// A stream could not be read.
    Stream(Failure),
    /// No more can be written at all.
    End(PumpError),
}

/// What the workers share.
pub(crate) struct Collection<F: Feed> {
    pub(crate) feed: Arc<F>,
    pub(crate) settings: Settings,
    pub(crate) output: Mutex<Output<Recorder>>,
    pub(crate) metrics: Arc<Metrics>,
    /// Ends the receiving.
    pub(crate) stop: CancellationToken,
    /// Ends everything at once.
    pub(crate) abort: CancellationToken,
}

impl<F: Feed> Collection<F> {
    /// Works until the feed ends, on a thread for every session. Blocks.
    pub(crate) fn run(self, sessions: Vec<Session>) -> Result<(), PumpError> {
        let this = Arc::new(self);
        let (finished, received) = channel();
        let workers: Vec<_> = sessions
            .into_iter()
            .map(|session| {
                let (this, finished) = (this.clone(), finished.clone());
                thread::spawn(move || {
                    let outcome = catch_unwind(AssertUnwindSafe(|| this.work(session, &finished)));
                    let outcome = outcome.unwrap_or(Err(PumpError::Panicked));
                    if outcome.is_err() {
                        this.stop.cancel();
                    }
                    outcome
                })
            })
            .collect();
        drop(finished);
        let committed = this.commit(&received);
        if committed.is_err() {
            this.stop.cancel();
            this.abort.cancel();
            // What has been written and not flushed.
            received.iter().for_each(|message| this.feed.give_back(message, &unwritten()));
        }
        let worked = workers.into_iter().map(|worker| worker.join().unwrap_or(Err(PumpError::Panicked)));
        // All must have ended before the first error is told.
        let worked: Vec<_> = worked.collect();
        // When workers have failed, messages may still wait for them; once stopped, the feed takes
        // those back by itself.
        while this.feed.receive().is_some() {}
        this.feed.settle();
        worked.into_iter().collect::<Result<(), _>>().and(committed)
    }

    fn work(&self, mut session: Session, finished: &Sender<F::Message>) -> Result<(), PumpError> {
        let mut lines = Lines::default();
        while let Some(mut message) = self.feed.receive() {
            match self.write(&mut session, &mut lines, &message) {
                Ok(()) => {
                    self.feed.written(&mut message);
                    // Fails when nothing can be flushed any more.
                    if let Err(error) = finished.send(message) {
                        self.feed.give_back(error.0, &unwritten());
                    }
                }
                Err(Incomplete::Stream(failure)) => self.feed.give_back(message, &failure),
                Err(Incomplete::End(error)) => {
                    // Before anybody takes another one.
                    self.stop.cancel();
                    self.feed.give_back(message, &unwritten());
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Writes all events of a message.
    fn write(&self, session: &mut Session, lines: &mut Lines, message: &F::Message) -> Result<(), Incomplete> {
        for stream in self.feed.streams(message).map_err(Incomplete::Stream)? {
            let outcome = self.write_stream(session, lines, stream);
            let name = if outcome.is_ok() { "read" } else { "failed" };
            self.metrics.objects.get_or_create(&[("outcome", name.into())]).inc();
            outcome?;
        }
        Ok(())
    }

    fn write_stream(&self, session: &mut Session, lines: &mut Lines, stream: Stream) -> Result<(), Incomplete> {
        let Stream { origin, content } = stream;
        match content {
            Content::Reader(reader) => self.write_lines(session, lines, &origin, reader),
            Content::Bytes(bytes) => match self.write_lines(session, lines, &origin, Cursor::new(bytes.clone())) {
                Err(Incomplete::Stream(Failure::ForGood(error))) => self.reject(&origin, &bytes, error),
                outcome => outcome,
            },
        }
    }

    fn write_lines(
        &self,
        session: &mut Session,
        lines: &mut Lines,
        origin: &str,
        reader: impl Read,
    ) -> Result<(), Incomplete> {
        let failed = |error: io::Error| {
            // A key may hold anything.
            let named = |error| format!("{}: {error}", visible(origin));
            Incomplete::Stream(match Failure::from(error) {
                Failure::ForGood(error) => Failure::ForGood(named(error)),
                Failure::ForNow(error) => Failure::ForNow(named(error)),
                Failure::Stopped => Failure::Stopped,
            })
        };
        let mut framer = Framer::new(decompress(reader).map_err(failed)?, self.settings.framing());
        let mut context = Context { origin: origin.to_owned(), offset: 0, collected_at: None };
        let mut header = None;
        let mut lines_before = 0;
        while framer.next(lines).map_err(failed)? {
            if self.abort.is_cancelled() {
                return Err(Incomplete::Stream(Failure::Stopped));
            }
            context.offset = lines.offset;
            context.collected_at = self.settings.collected_at.then(now);
            let started = Instant::now();
            let transformed = session.transform(header.as_deref(), lines.bytes(), &context);
            self.metrics.transform_seconds.inc_by(started.elapsed().as_secs_f64());
            let mut transformed = transformed.map_err(|error| Incomplete::End(error.into()))?;
            self.write_batch(origin, &mut lines_before, lines, &mut transformed.batch)?;
            header = transformed.header;
        }
        Ok(())
    }

    /// Rejects a stream that cannot be unpacked. What could be read of it has been written.
    fn reject(&self, origin: &str, bytes: &[u8], error: String) -> Result<(), Incomplete> {
        let fault = Fault {
            reason: Reason::Other("unreadable".into()),
            column: None,
            field: None,
            found: error,
            wanted: "lines or JSON objects, as they are or in gzip, Zstandard or Parquet".into(),
        };
        let length = bytes.len().try_into().unwrap_or(u32::MAX);
        let reject = Reject { line: 0, offset: 0, length, event: None, fault };
        let counts = Counts { lines: 0, events: 0, rejects: 1, skips: 0 };
        let mut batch = Batch { events: Vec::new(), rejects: vec![reject], counts };
        self.write_batch(origin, &mut 0, &Lines::from(bytes.to_vec()), &mut batch)
    }

    fn write_batch(
        &self,
        origin: &str,
        lines_before: &mut u64,
        lines: &Lines,
        batch: &mut Batch,
    ) -> Result<(), Incomplete> {
        let written = lock(&self.output).write(origin, lines_before, lines, batch);
        written.map_err(|error| Incomplete::End(PumpError::Output(error)))
    }

    /// Flushes and acknowledges, until the last worker has gone.
    fn commit(&self, finished: &Receiver<F::Message>) -> Result<(), PumpError> {
        let interval = lock(&self.output).flush_interval();
        loop {
            let first = match finished.recv_timeout(IDLE_FLUSH) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => {
                    lock(&self.output).flush().map_err(PumpError::Output)?;
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if !self.stop.is_cancelled() {
                thread::sleep(interval);
            }
            let written: Vec<F::Message> = std::iter::once(first).chain(finished.try_iter()).collect();
            let flushed = lock(&self.output).flush();
            if let Err(error) = flushed {
                self.stop.cancel();
                written.into_iter().for_each(|message| self.feed.give_back(message, &unwritten()));
                return Err(PumpError::Output(error));
            }
            self.feed.acknowledge(written.into_iter().map(Flushed).collect());
        }
        lock(&self.output).finish().map_err(PumpError::Output)
    }
}

/// Of a message whose events could not be written: it comes again, but not at once, since each receipt
/// counts towards the queue's redrive policy.
fn unwritten() -> Failure {
    Failure::ForNow("its events could not be written".into())
}

/// What a service of AWS's says, or else what went wrong on the way to it. Not the SDK's own text, which
/// holds whole answers.
#[cfg(feature = "aws")]
pub(crate) fn describe<E, R>(service: &str, error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
    R: Debug,
{
    match (error.code(), error.message()) {
        // Behind the first line, some services repeat the request, token and all.
        (Some(code), Some(message)) => {
            format!("{service} answers {code}: {}", message.lines().next().unwrap_or_default())
        }
        (Some(code), None) => format!("{service} answers {code}"),
        _ => chain(error),
    }
}

/// An error and its causes.
#[cfg(any(feature = "aws", feature = "elasticsearch"))]
pub(crate) fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

/// How long to wait before the attempt that follows `attempts` failed ones: twice as long each time,
/// less a random part, so that those who failed together do not come again together.
#[cfg(any(feature = "aws", feature = "elasticsearch"))]
pub(crate) fn backoff(attempts: u32, first: Duration, most: Duration) -> Duration {
    let delay = first.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(most);
    // The one source of randomness that the standard library has.
    let random = RandomState::new().hash_one(attempts) as f64 / u64::MAX as f64;
    delay.mul_f64(1.0 - random / 2.0)
}
