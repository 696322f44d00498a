//! The thread that polls: librdkafka gives records, rebalances and errors nowhere else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::Context as _;
use bytes::Bytes;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
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

/// What librdkafka calls back.
struct Context {
    partitions: Partitions,
    shared: Arc<Shared>,
    log: Log,
    until_caught_up: bool,
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
                    self.settle(consumer, list);
                }
                self.partitions.revoke(list);
            }
            Rebalance::Error(error) => self.failed(error, "no partitions are assigned"),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        match result {
            Ok(()) => self.partitions.committed(offsets),
            Err(error) => self.log.warn(&format!("not committed, for now: {error}")),
        }
    }
}

impl Context {
    /// Waits for what is in hand, and commits it.
    fn settle(&self, consumer: &BaseConsumer<Context>, list: &TopicPartitionList) {
        let deadline = Instant::now() + REVOKE_TIMEOUT;
        while !self.partitions.are_done(list) && Instant::now() < deadline && !self.shared.stop.is_cancelled() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let offsets = self.partitions.uncommitted();
        if offsets.count() > 0 {
            match consumer.commit(&offsets, CommitMode::Sync) {
                Ok(()) => self.partitions.committed(&offsets),
                Err(error) => self.log.warn(&format!("not committed: {error}")),
            }
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
    consumer: BaseConsumer<Context>,
    shared: Arc<Shared>,
    hand_over: HandOver,
    is_paused: bool,
    /// When was committed last.
    committed: Instant,
}

impl Poller {
    pub(super) fn open(
        config: &ClientConfig,
        topics: &[String],
        until_caught_up: bool,
        shared: Arc<Shared>,
        sender: Sender<Records>,
    ) -> anyhow::Result<Poller> {
        let context = Context {
            partitions: Partitions::default(),
            shared: shared.clone(),
            log: Log::new(),
            until_caught_up,
            is_leaving: AtomicBool::new(false),
        };
        let consumer: BaseConsumer<Context> = create(config, context)?;
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&names).context("Kafka")?;
        let hand_over = HandOver { shared: shared.clone(), sender: Some(sender), batch: None };
        Ok(Poller { consumer, shared, hand_over, is_paused: false, committed: Instant::now() })
    }

    /// Reads until it is stopped, or has read to the end, or cannot go on.
    pub(super) fn run(mut self) -> Result<(), String> {
        let context = self.consumer.context().clone();
        let mut timeout = POLL;
        while self.goes_on(&context) {
            self.pause_or_resume(&context);
            let is_idle = self.poll(&context, timeout);
            timeout = if is_idle { POLL } else { Duration::ZERO };
            self.commit_when_due(&context);
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
                // It has just been assigned, and is not paused yet.
                self.is_paused = false;
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

    fn commit_when_due(&mut self, context: &Context) {
        if self.committed.elapsed() < COMMIT_INTERVAL {
            return;
        }
        self.committed = Instant::now();
        let offsets = context.partitions.uncommitted();
        if offsets.count() > 0
            && let Err(error) = self.consumer.commit(&offsets, CommitMode::Async)
        {
            context.log.warn(&format!("not committed, for now: {error}"));
        }
    }

    /// Waits for what is in hand, commits it and leaves the group.
    fn leave(mut self, context: &Context) -> Result<(), String> {
        // After that, workers get no more.
        self.hand_over.sender = None;
        if let Err(error) = self.consumer.assignment().and_then(|assignment| self.consumer.pause(&assignment)) {
            context.log.warn(&error.to_string());
        }
        let shared = self.shared.clone();
        let is_over = || shared.is_over.load(Ordering::Acquire) || shared.in_hand.load(Ordering::Acquire) == 0;
        while !is_over() {
            // Records that come now have not been begun, and are never committed.
            self.consumer.poll(POLL);
            self.commit_when_due(context);
        }
        let deadline = Instant::now() + LEAVE_TIMEOUT;
        while context.partitions.uncommitted().count() > 0 && Instant::now() < deadline {
            self.commit_when_due(context);
            self.consumer.poll(POLL);
        }
        let left = context.partitions.uncommitted().count();
        if left > 0 {
            tracing::error!(partitions = left, "not committed; what was flushed last will be delivered again");
        }
        context.is_leaving.store(true, Ordering::Release);
        // Leaves the group.
        drop(self.consumer);
        lock(&self.shared.failure).take().map_or(Ok(()), Err)
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
        let count = records.len();
        *lock(&self.shared.waiting) += bytes.len();
        self.shared.in_hand.fetch_add(1, Ordering::AcqRel);
        self.shared.metrics.in_flight.inc_by(count as i64);
        self.shared.metrics.read_bytes.inc_by(bytes.len() as u64);
        let number = partition.begin(last + 1);
        let produced = produced.map(|millis| UNIX_EPOCH + Duration::from_millis(millis));
        let records = Records { partition, number, records, count, bytes: Bytes::from(bytes), produced };
        if let Some(sender) = &self.sender {
            // The workers' side lives as long as the feed.
            let _ = sender.send(records);
        }
    }
}
