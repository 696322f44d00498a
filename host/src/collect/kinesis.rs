//! Kinesis Data Streams: all shards of a stream, through splits and merges, each from its checkpoint on.
//!
//! One task finds the shards, learns from the [`Ledger`] which of them this process is to read, and runs a reader for
//! each. A shard that came from others is read when these have been read to their ends, so that what is put under one
//! partition key stays in order. What a reader gets in one request is one message; its checkpoint is saved when its
//! events, and all before it, have been flushed.

mod checkpoint;
mod leases;
mod reader;
mod sharing;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::Record;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::in_order::InOrder;
use super::telemetry::Metrics;
use super::{Content, Failure, Feed, Flushed, Stream, describe};
use crate::pump::lock;
use checkpoint::{Checkpoint, Shard};
pub(crate) use checkpoint::{FileLedger, Ledger};
pub(crate) use leases::Leases;
use sharing::Sharing;

/// How often shards are shared out at the most; leases ask for it more often than they end.
const MAX_TURN: Duration = Duration::from_secs(5);

/// A stream, and from where on.
#[derive(Clone, Debug)]
pub(crate) struct StreamSettings {
    /// Its name, or its ARN.
    pub(crate) stream: String,
    /// Of shards without a checkpoint, records from this time on.
    pub(crate) from: Option<DateTime<Utc>>,
    /// End when all shards have been read up to the present.
    pub(crate) until_caught_up: bool,
    /// How long a lease lasts.
    pub(crate) lease: Duration,
    /// Bytes of records that may be in hand.
    pub(crate) max_bytes: usize,
}

impl StreamSettings {
    /// The name, in whichever way it was given.
    pub(crate) fn name(&self) -> &str {
        self.stream.rsplit('/').next().unwrap_or(&self.stream)
    }

    fn arn(&self) -> Option<String> {
        self.stream.starts_with("arn:").then(|| self.stream.clone())
    }

    fn name_without_arn(&self) -> Option<String> {
        (!self.stream.starts_with("arn:")).then(|| self.stream.clone())
    }
}

/// What one request for records gave.
pub(crate) struct Message {
    shard: Arc<ShardState>,
    records: Vec<Record>,
    /// Its number in the shard's order.
    number: u64,
    /// Its part of the bytes that may be in hand.
    _room: Option<OwnedSemaphorePermit>,
}

/// A shard that is being read.
struct ShardState {
    id: String,
    in_hand: Mutex<InOrder<Checkpoint>>,
    /// Whether there was nothing more when it was asked last.
    is_caught_up: AtomicBool,
    /// Another process may have read on since: what is flushed from now on is no checkpoint.
    is_lost: AtomicBool,
}

/// A stream.
pub(crate) struct Kinesis {
    shared: Arc<Shared>,
    received: Mutex<mpsc::Receiver<Message>>,
    /// The task that shares out. It keeps up the leases until everything is settled.
    sharing: Mutex<Option<JoinHandle<()>>>,
    settled: CancellationToken,
    /// How the reading ended.
    ended: Arc<OnceLock<Result<(), String>>>,
    /// Why a message could not be read.
    failure: OnceLock<String>,
}

/// What all tasks need.
struct Shared {
    client: Client,
    settings: StreamSettings,
    ledger: Ledger,
    /// Checkpoints that could not be kept yet.
    unkept: tokio::sync::Mutex<BTreeMap<String, Checkpoint>>,
    runtime: Handle,
    metrics: Arc<Metrics>,
    room: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Kinesis {
    /// Begins to read.
    pub(crate) fn open(
        client: Client,
        settings: StreamSettings,
        ledger: Ledger,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Kinesis {
        let (sender, received) = mpsc::channel(1);
        let room = Arc::new(Semaphore::new(settings.max_bytes.max(reader::MAX_ANSWER_BYTES) / reader::ROOM_BYTES));
        let runtime = Handle::current();
        let unkept = tokio::sync::Mutex::default();
        let shared = Arc::new(Shared { client, settings, ledger, unkept, runtime, metrics, room, stop });
        let settled = CancellationToken::new();
        let ended = Arc::new(OnceLock::new());
        let sharing = Sharing::new(shared.clone(), sender);
        let task = tokio::spawn(sharing.run(settled.clone(), ended.clone()));
        Kinesis {
            shared,
            received: Mutex::new(received),
            sharing: Mutex::new(Some(task)),
            settled,
            ended,
            failure: OnceLock::new(),
        }
    }
}

impl Feed for Kinesis {
    type Message = Message;

    fn receive(&self) -> Option<Message> {
        lock(&self.received).blocking_recv().filter(|_| !self.shared.stop.is_cancelled())
    }

    fn streams(&self, message: &Message) -> Result<impl Iterator<Item = Stream>, Failure> {
        let (stream, shard) = (self.shared.settings.name(), &message.shard.id);
        Ok(message.records.iter().map(move |record| Stream {
            origin: format!("kinesis://{stream}/{shard}/{}", record.sequence_number()),
            content: Content::Bytes(Bytes::copy_from_slice(record.data().as_ref())),
        }))
    }

    fn acknowledge(&self, messages: Vec<Flushed<Message>>) {
        let mut last = BTreeMap::new();
        for Flushed(message) in &messages {
            let checkpoint = lock(&message.shard.in_hand).end(message.number);
            if let Some(checkpoint) = checkpoint.filter(|_| !message.shard.is_lost.load(Ordering::Relaxed)) {
                last.insert(message.shard.id.clone(), checkpoint);
            }
            let arrived = message.records.iter().filter_map(Record::approximate_arrival_timestamp);
            for arrived in arrived.filter_map(|time| SystemTime::try_from(*time).ok()) {
                let age = arrived.elapsed().unwrap_or_default();
                self.shared.metrics.lag_seconds.observe(age.as_secs_f64());
            }
        }
        self.shared.metrics.messages.get_or_create(&[("outcome", "acknowledged".into())]).inc_by(messages.len() as u64);
        self.shared.runtime.block_on(self.shared.keep(last));
    }

    fn give_back(&self, message: Message, failure: &Failure) {
        // Nobody gets it but who reads the shard from its checkpoint on.
        if !matches!(failure, Failure::Stopped) {
            let shard = &message.shard.id;
            tracing::error!(shard, error = %failure, "ending; what has not been flushed is read again");
            let _ = self.failure.set(failure.to_string());
            self.shared.stop.cancel();
        }
        self.shared.metrics.messages.get_or_create(&[("outcome", "returned".into())]).inc();
    }

    fn settle(&self) {
        self.settled.cancel();
        if let Some(task) = lock(&self.sharing).take() {
            let _ = self.shared.runtime.block_on(task);
        }
    }

    async fn abandon(&self) {
        self.shared.ledger.release().await;
    }

    fn end(&self) -> Result<(), String> {
        self.failure.get().map_or(Ok(()), |failure| Err(failure.clone()))?;
        self.ended.get().cloned().unwrap_or_else(|| Err("the task that shares out shards has failed".into()))
    }
}

impl Shared {
    fn turn(&self) -> Duration {
        // At the end, nobody waits for long.
        if self.settings.until_caught_up { Duration::from_millis(500) } else { (self.settings.lease / 4).min(MAX_TURN) }
    }

    /// Keeps checkpoints, and those that could not be kept before. One that is not kept in the end costs records that
    /// are read again by the next who has the shard.
    async fn keep(&self, checkpoints: BTreeMap<String, Checkpoint>) {
        let mut unkept = self.unkept.lock().await;
        unkept.extend(checkpoints);
        for shard in unkept.keys().cloned().collect::<Vec<_>>() {
            match self.ledger.save(&shard, unkept[&shard].clone()).await {
                Ok(()) => drop(unkept.remove(&shard)),
                Err(error) => tracing::error!(shard, error, "the checkpoint cannot be kept; it is tried again"),
            }
        }
    }

    /// All shards by their ids, which are in the order in which they were made.
    async fn list(&self) -> Result<Vec<Shard>, String> {
        let mut shards = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let request = self.client.list_shards();
            let request = match token.take() {
                Some(token) => request.next_token(token),
                None => request.set_stream_name(self.settings.name_without_arn()).set_stream_arn(self.settings.arn()),
            };
            let page = request.send().await.map_err(|error| describe("Kinesis", &error))?;
            shards.extend(page.shards().iter().map(|shard| {
                let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
                Shard { id: shard.shard_id().into(), parents: parents.into_iter().flatten().map(Into::into).collect() }
            }));
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                shards.sort_by(|one: &Shard, other| one.id.cmp(&other.id));
                return Ok(shards);
            }
        }
    }
}
