//! The thread that polls: librdkafka gives records, rebalances and errors nowhere else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::Context as _;
use bytes::Bytes;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, ClientContext, TopicPartitionList};

use super::partitions::{Partition, Partitions};
use super::{LEAVE_TIMEOUT, Records, Shared};
use crate::kafka::{Log, create, is_for_good};
use crate::pump::lock;

/// What a batch holds at the most: enough that handing it over costs nothing.
const BATCH_RECORDS: usize = 1000;
const BATCH_BYTES: usize = 128 << 10;
/// How long a poll waits.
const POLL: Duration = Duration::from_millis(100);
/// How often is committed: what was flushed since is delivered again after a crash.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// How long there may be no room before no more is fetched: that throws away what has been fetched.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a revocation waits for what is in hand, which is delivered again otherwise.
const REVOKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it then waits for the commit.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(2);

/// What librdkafka calls back.
struct Context {
    partitions: Partitions,
    shared: Arc<Shared>,
    log: Log,
    until_caught_up: bool,
    /// To the thread that commits: to do so at once.
    wake: Sender<()>,
    /// What could be committed has been.
    is_leaving: AtomicBool,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.log.line(level, facility, text);
    }

    fn stats(&self, statistics: Statistics) {
        let is_ready = statistics.brokers.values().any(|broker| broker.state == "UP");
        self.shared.metrics.is_ready.store(is_ready, Ordering::Relaxed);
        let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
        let behind: i64 = partitions.map(|partition| partition.consumer_lag.max(0)).sum();
        self.shared.metrics.records_behind.set(behind);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The end of a partition comes this way, too.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            self.failed(&error, reason);
        }
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Context>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                tracing::info!(partitions = list.count(), "assigned");
                self.partitions.assign(list);
            }
            Rebalance::Revoke(list) => {
                tracing::info!(partitions = list.count(), "revoked");
                // They may be somebody else's already: what is committed now might go backwards.
                if !self.is_leaving.load(Ordering::Acquire) && !consumer.assignment_lost() {
                    self.settle(list);
                }
                self.partitions.revoke(list);
            }
            Rebalance::Error(error) => self.failed(error, "no partitions are assigned"),
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Context>, rebalance: &Rebalance<'_>) {
        // librdkafka keeps a partition paused that was ours before, and paused when it went.
        if let Rebalance::Assign(list) = rebalance
            && let Err(error) = consumer.resume(list)
        {
            self.failed(&error, "the partitions cannot be resumed");
        }
    }
}

impl Context {
    /// Waits for what is in hand, and commits it.
    fn settle(&self, list: &TopicPartitionList) {
        let deadline = Instant::now() + REVOKE_TIMEOUT;
        while !self.partitions.are_done(list) && Instant::now() < deadline && !self.shared.stop.is_cancelled() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.wake.send(());
        let deadline = Instant::now() + COMMIT_TIMEOUT;
        while !self.partitions.are_committed(list) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn failed(&self, error: &KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        // One that is made later is found; whoever waits for its end waits in vain.
        let is_no_topic = code == Some(RDKafkaErrorCode::UnknownTopicOrPartition) && self.until_caught_up;
        match code {
            Some(code) if is_for_good(code) || is_no_topic => self.shared.fail(format!("Kafka: {error}: {reason}")),
            _ => self.log.warn(&format!("{error}: {reason}")),
        }
    }
}

/// Polls.
pub(super) struct Poller {
    consumer: Arc<BaseConsumer<Context>>,
    shared: Arc<Shared>,
    hand_over: HandOver,
    is_paused: bool,
}

impl Poller {
    pub(super) fn open(
        config: &ClientConfig,
        topics: &[String],
        until_caught_up: bool,
        shared: Arc<Shared>,
        sender: Sender<Records>,
    ) -> anyhow::Result<Poller> {
        let (wake, woken) = channel();
        let context = Context {
            partitions: Partitions::default(),
            shared: shared.clone(),
            log: Log::new(),
            until_caught_up,
            wake,
            is_leaving: AtomicBool::new(false),
        };
        let consumer: Arc<BaseConsumer<Context>> = Arc::new(create(config, context)?);
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&names).context("Kafka")?;
        let hand_over = HandOver { shared: shared.clone(), sender: Some(sender), batch: None };
        let committed = consumer.clone();
        std::thread::spawn(move || commit(&committed, &woken));
        Ok(Poller { consumer, shared, hand_over, is_paused: false })
    }

    /// Reads until it is stopped, or has read to the end, or cannot go on.
    pub(super) fn run(mut self) -> Result<(), String> {
        let context = self.consumer.context().clone();
        let mut timeout = POLL;
        while self.goes_on(&context) {
            self.pause_or_resume(&context);
            let is_idle = self.poll(&context, timeout);
            timeout = if is_idle { POLL } else { Duration::ZERO };
        }
        if !self.shared.stop.is_cancelled() {
            self.hand_over.send();
        }
        self.leave(&context)
    }

    /// Takes what there is; tells whether there was nothing.
    fn poll(&mut self, context: &Context, timeout: Duration) -> bool {
        match self.consumer.poll(timeout) {
            Some(Ok(message)) => {
                self.hand_over.add(&context.partitions, &message);
                if self.is_paused {
                    // It has just been assigned, and the others are still paused.
                    self.pause(context);
                }
            }
            Some(Err(KafkaError::PartitionEOF(number))) => context.partitions.ended(number),
            // The context has been told.
            Some(Err(_)) => {}
            None => {
                self.hand_over.send();
                return true;
            }
        }
        false
    }

    fn goes_on(&self, context: &Context) -> bool {
        let has_ended = context.until_caught_up && context.partitions.have_ended();
        !has_ended && !self.shared.stop.is_cancelled() && lock(&self.shared.failure).is_none()
    }

    /// Fetches nothing until there is room, but stays in the group.
    fn pause_or_resume(&mut self, context: &Context) {
        let has_room = self.shared.has_room(if self.is_paused { Duration::ZERO } else { PATIENCE });
        if has_room != self.is_paused {
            return;
        }
        let assignment = self.consumer.assignment();
        let outcome = assignment.and_then(|assignment| match has_room {
            true => self.consumer.resume(&assignment),
            false => self.consumer.pause(&assignment),
        });
        match outcome {
            Ok(()) => self.is_paused = !has_room,
            Err(error) => context.log.warn(&error.to_string()),
        }
    }

    fn pause(&self, context: &Context) {
        if let Err(error) = self.consumer.assignment().and_then(|assignment| self.consumer.pause(&assignment)) {
            context.log.warn(&error.to_string());
        }
    }

    /// Waits for what is in hand, commits it and leaves the group.
    fn leave(mut self, context: &Context) -> Result<(), String> {
        // After that, workers get no more.
        self.hand_over.sender = None;
        self.pause(context);
        let shared = self.shared.clone();
        let is_over = || shared.is_over.load(Ordering::Acquire) || shared.in_hand.load(Ordering::Acquire) == 0;
        while !is_over() {
            // Records that come now have not been begun, and are never committed.
            self.consumer.poll(POLL);
        }
        let _ = context.wake.send(());
        let deadline = Instant::now() + LEAVE_TIMEOUT;
        while context.partitions.uncommitted().count() > 0 && Instant::now() < deadline {
            self.consumer.poll(POLL);
        }
        let is_committed = context.partitions.uncommitted().count() == 0;
        if !is_committed {
            shared.fail("Kafka: not all is committed; what was flushed last is delivered again".into());
        }
        context.is_leaving.store(true, Ordering::Release);
        let _ = context.wake.send(());
        // It hangs only if the commit does.
        while is_committed && Arc::strong_count(&self.consumer) > 1 {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Leaves the group.
        drop(self.consumer);
        lock(&self.shared.failure).take().map_or(Ok(()), Err)
    }
}

/// Commits what has been flushed, every now and then and when it is told to. On a thread of its own, since it waits for
/// as long as the group's coordinator cannot be reached; what librdkafka commits without waiting is confirmed to nobody.
fn commit(consumer: &BaseConsumer<Context>, woken: &Receiver<()>) {
    let context = consumer.context();
    while !context.is_leaving.load(Ordering::Acquire) {
        let _ = woken.recv_timeout(COMMIT_INTERVAL);
        let offsets = context.partitions.uncommitted();
        if offsets.count() > 0 {
            match consumer.commit(&offsets, CommitMode::Sync) {
                Ok(()) => context.partitions.committed(&offsets),
                Err(error) => context.log.warn(&format!("not committed, for now: {error}")),
            }
        }
    }
}

/// Gathers the records of a partition.
struct HandOver {
    shared: Arc<Shared>,
    sender: Option<Sender<Records>>,
    batch: Option<Batch>,
}

/// A batch that is being filled.
struct Batch {
    partition: Arc<Partition>,
    records: Vec<(i64, Option<usize>)>,
    bytes: Vec<u8>,
    produced: Option<u64>,
}

impl HandOver {
    fn add(&mut self, partitions: &Partitions, message: &BorrowedMessage<'_>) {
        let is_next = |batch: &Batch| {
            let Partition { topic, number, .. } = &*batch.partition;
            batch.partition.is_ours()
                && batch.records.len() < BATCH_RECORDS
                && batch.bytes.len() < BATCH_BYTES
                && (topic.as_str(), *number) == (message.topic(), message.partition())
        };
        if !self.batch.as_ref().is_some_and(is_next) {
            self.send();
            // Of what is not ours any more, nothing is to be done.
            let Some(partition) = partitions.get(message.topic(), message.partition()) else { return };
            let produced = message.timestamp().to_millis().and_then(|millis| millis.try_into().ok());
            self.batch = Some(Batch { partition, records: Vec::new(), bytes: Vec::new(), produced });
        }
        let Some(batch) = &mut self.batch else { return };
        let end = message.payload().map(|value| {
            batch.bytes.extend_from_slice(value);
            batch.bytes.len()
        });
        batch.records.push((message.offset(), end));
    }

    /// Hands the batch over to the workers.
    fn send(&mut self) {
        let Some(Batch { partition, records, bytes, produced }) = self.batch.take() else { return };
        let Some(&(last, _)) = records.last() else { return };
        // Whoever has it next reads them again.
        if !partition.is_ours() {
            return;
        }
        let (count, first) = (records.len(), records[0].0);
        let held = bytes.len() + count * size_of::<(i64, Option<usize>)>();
        *lock(&self.shared.waiting) += held;
        self.shared.in_hand.fetch_add(1, Ordering::AcqRel);
        self.shared.metrics.in_flight.inc_by(count as i64);
        self.shared.metrics.read_bytes.inc_by(bytes.len() as u64);
        let number = partition.begin(first, last + 1);
        let produced = produced.map(|millis| UNIX_EPOCH + Duration::from_millis(millis));
        let records = Records { partition, number, records, count, bytes: Bytes::from(bytes), held, produced };
        if let Some(sender) = &self.sender {
            // The workers' side lives as long as the feed.
            let _ = sender.send(records);
        }
    }
}
