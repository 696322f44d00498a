//! The Kafka side: one thread polls, batches the records of a partition, and commits what has been flushed.

mod consumer;
mod partitions;

use std::mem::take;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rdkafka::ClientConfig;
use tokio_util::sync::CancellationToken;

use super::telemetry::Metrics;
use super::{Content, Failure, Feed, Flushed, Stream};
use crate::pump::lock;
use consumer::Poller;
use partitions::Partition;

/// What may wait for a worker or be with one, in bytes.
const MAX_WAITING_BYTES: usize = 32 << 20;
/// How long the end waits for the last commit and for the group to be left.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Consecutive records of a partition.
pub(crate) struct Records {
    partition: Arc<Partition>,
    /// Among those of the partition.
    number: u64,
    /// The offset of each, and where its value ends in `bytes`; a tombstone has none.
    records: Vec<(i64, Option<usize>)>,
    count: usize,
    bytes: Bytes,
    /// What it has of the memory that may wait.
    held: usize,
    /// When the first was produced.
    produced: Option<SystemTime>,
}

/// The topics that are read.
pub(crate) struct Topics {
    shared: Arc<Shared>,
    received: Mutex<Receiver<Records>>,
    /// The polling has ended.
    told: Mutex<Receiver<Result<(), String>>>,
    ended: OnceLock<Result<(), String>>,
}

/// What the workers share with the thread that polls.
struct Shared {
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    /// Bytes that wait for a worker or are with one.
    waiting: Mutex<usize>,
    released: Condvar,
    /// Batches that are neither acknowledged nor given back.
    in_hand: AtomicUsize,
    /// Nothing more will be acknowledged.
    is_over: AtomicBool,
    /// Why no more can be read.
    failure: Mutex<Option<String>>,
}

impl Shared {
    /// Ends everything, as an error.
    fn fail(&self, error: String) {
        lock(&self.failure).get_or_insert(error);
    }

    /// Waits for room, but no longer than this.
    fn has_room(&self, timeout: Duration) -> bool {
        let is_full = |waiting: &mut usize| *waiting >= MAX_WAITING_BYTES;
        let waiting = self.released.wait_timeout_while(lock(&self.waiting), timeout, is_full);
        waiting.is_ok_and(|(waiting, _)| *waiting < MAX_WAITING_BYTES)
    }

    fn release(&self, bytes: usize) {
        *lock(&self.waiting) -= bytes;
        self.released.notify_all();
    }

    fn settle(&self, count: usize, outcome: &'static str) {
        self.in_hand.fetch_sub(1, Ordering::AcqRel);
        self.metrics.in_flight.dec_by(count as i64);
        self.metrics.messages.get_or_create(&[("outcome", outcome.into())]).inc_by(count as u64);
    }
}

impl Topics {
    /// Joins the group and begins to read.
    pub(crate) fn open(
        config: &ClientConfig,
        topics: &[String],
        until_caught_up: bool,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> anyhow::Result<Topics> {
        let shared = Arc::new(Shared {
            metrics,
            stop,
            waiting: Mutex::new(0),
            released: Condvar::new(),
            in_hand: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            failure: Mutex::new(None),
        });
        // Bounded by the bytes that wait.
        let (sender, received) = channel();
        let (tell, told) = channel();
        let poller = Poller::open(config, topics, until_caught_up, shared.clone(), sender)?;
        thread::spawn(move || tell.send(poller.run()));
        Ok(Topics { shared, received: Mutex::new(received), told: Mutex::new(told), ended: OnceLock::new() })
    }
}

impl Feed for Topics {
    type Message = Records;

    fn receive(&self) -> Option<Records> {
        loop {
            let records = lock(&self.received).recv().ok()?;
            if !self.shared.stop.is_cancelled() {
                return Some(records);
            }
            self.give_back(records, &Failure::Stopped);
        }
    }

    fn streams(&self, message: &Records) -> Result<impl Iterator<Item = Stream>, Failure> {
        let Partition { topic, number, .. } = &*message.partition;
        let mut start = 0;
        Ok(message.records.iter().filter_map(move |&(offset, end)| {
            let Some(end) = end else {
                self.shared.metrics.objects.get_or_create(&[("outcome", "skipped".into())]).inc();
                return None;
            };
            let content = Content::Bytes(message.bytes.slice(start..end));
            start = end;
            Some(Stream { origin: format!("kafka://{topic}/{number}/{offset}"), content })
        }))
    }

    fn acknowledge(&self, messages: Vec<Flushed<Records>>) {
        for Flushed(message) in messages {
            message.partition.flushed(message.number);
            if let Some(age) = message.produced.and_then(|produced| produced.elapsed().ok()) {
                self.shared.metrics.lag_seconds.observe(age.as_secs_f64());
            }
            self.shared.settle(message.count, "acknowledged");
        }
    }

    fn written(&self, message: &mut Records) {
        // Others may come while this one waits for its flush.
        self.shared.release(take(&mut message.held));
        message.bytes = Bytes::new();
        message.records = Vec::new();
    }

    fn give_back(&self, message: Records, failure: &Failure) {
        self.shared.release(message.held);
        // Nothing behind it can be committed any more; whoever has the partition next begins with it.
        if let Failure::ForNow(error) | Failure::ForGood(error) = failure {
            self.shared.fail(error.clone());
        }
        self.shared.settle(message.count, "returned");
    }

    fn settle(&self) {
        self.shared.is_over.store(true, Ordering::Release);
        let told = lock(&self.told).recv_timeout(2 * LEAVE_TIMEOUT);
        let _ = self.ended.set(told.unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => {
                tracing::warn!("the group does not let go; the brokers will notice");
                lock(&self.shared.failure).take().map_or(Ok(()), Err)
            }
            RecvTimeoutError::Disconnected => Err("the thread that reads from Kafka has failed".into()),
        }));
    }

    fn end(&self) -> Result<(), String> {
        self.ended.get().cloned().unwrap_or_else(|| Err("the group has not been left".into()))
    }
}
