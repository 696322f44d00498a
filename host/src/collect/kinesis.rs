//! Kinesis Data Streams: all shards of a stream, through splits and merges, each from its checkpoint on.
//!
//! One task finds the shards, learns from the [`Ledger`] which of them this process is to read, and runs a reader for
//! each. A shard that came from others is read when these have been read to their ends, so that what is put under one
//! partition key stays in order. What a reader gets in one request is one message; its checkpoint is saved when its
//! events, and all before it, have been flushed.

mod checkpoint;
mod leases;
mod reader;

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
use checkpoint::{Checkpoint, Shard, Shares};
pub(crate) use checkpoint::{FileLedger, Ledger};
pub(crate) use leases::Leases;
use reader::Reader;

/// How often shards are shared out at the most; leases ask for it more often than they end.
const MAX_TURN: Duration = Duration::from_secs(5);
/// How often the stream is asked for its shards, but for those that follow one at its end.
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListShards.html>: 1000 requests a second and stream.
const LIST_INTERVAL: Duration = Duration::from_secs(30);

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
        let shared = Arc::new(Shared { client, settings, ledger, runtime, metrics, room, stop });
        let settled = CancellationToken::new();
        let ended = Arc::new(OnceLock::new());
        let sharing = Sharing { shared: shared.clone(), readers: BTreeMap::new(), sender: Some(sender) };
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
            if let Some(checkpoint) = lock(&message.shard.in_hand).end(message.number) {
                last.insert(message.shard.id.as_str(), checkpoint);
            }
            let arrived = message.records.iter().filter_map(Record::approximate_arrival_timestamp);
            for arrived in arrived.filter_map(|time| SystemTime::try_from(*time).ok()) {
                let age = arrived.elapsed().unwrap_or_default();
                self.shared.metrics.lag_seconds.observe(age.as_secs_f64());
            }
        }
        self.shared.metrics.messages.get_or_create(&[("outcome", "acknowledged".into())]).inc_by(messages.len() as u64);
        for (shard, checkpoint) in last {
            // Without it, the records are read again by the next who has the shard.
            if let Err(error) = self.shared.runtime.block_on(self.shared.ledger.save(shard, checkpoint)) {
                tracing::error!(shard, error, "the checkpoint cannot be kept");
            }
        }
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

/// The task that runs the readers.
struct Sharing {
    shared: Arc<Shared>,
    readers: BTreeMap<String, Running>,
    sender: Option<mpsc::Sender<Message>>,
}

/// A reader at work.
struct Running {
    state: Arc<ShardState>,
    stop: CancellationToken,
}

impl Sharing {
    async fn run(mut self, settled: CancellationToken, ended: Arc<OnceLock<Result<(), String>>>) {
        let outcome = self.read().await;
        let _ = ended.set(outcome);
        self.readers.values().for_each(|reader| reader.stop.cancel());
        // With those of the readers, the end of the feed, at which its outcome must be there.
        self.sender = None;
        let shared = self.shared;
        // What is in hand is still this process's.
        let keep = async {
            loop {
                tokio::time::sleep(shared.turn()).await;
                let _ = shared.ledger.renew().await;
            }
        };
        tokio::select! {
            () = settled.cancelled() => {}
            () = keep => {}
        }
        shared.ledger.release().await;
    }

    /// Shares out until it is stopped, or everything has been read.
    async fn read(&mut self) -> Result<(), String> {
        let shared = self.shared.clone();
        let mut shards = Vec::new();
        let mut listed = None;
        let mut failures = 0;
        loop {
            let turn = async {
                if listed.is_none_or(|listed: tokio::time::Instant| listed.elapsed() >= LIST_INTERVAL) {
                    shards = shared.list().await?;
                    listed = Some(tokio::time::Instant::now());
                }
                shared.ledger.share(&shards).await
            };
            let outcome = tokio::select! {
                biased;
                () = shared.stop.cancelled() => return Ok(()),
                outcome = turn => outcome,
            };
            shared.metrics.is_ready.store(outcome.is_ok(), Ordering::Relaxed);
            let delay = match outcome {
                Ok(shares) => {
                    failures = 0;
                    if self.follow(&shards, &shares) && shared.settings.until_caught_up {
                        return Ok(());
                    }
                    // Those that follow shards at their ends are wanted at once.
                    let has_ended = |shard: &Shard| shares.checkpoints.get(&shard.id) == Some(&Checkpoint::End);
                    let has_children =
                        |shard: &Shard| shards.iter().any(|other: &Shard| other.parents.contains(&shard.id));
                    if shards.iter().any(|shard| has_ended(shard) && !has_children(shard)) {
                        listed = None;
                    }
                    shared.turn()
                }
                Err(error) => {
                    failures += 1;
                    let delay = super::backoff(failures, Duration::from_secs(1), MAX_TURN);
                    tracing::error!(error, retry_secs = delay.as_secs(), "the shards cannot be shared out");
                    delay
                }
            };
            tokio::select! {
                () = shared.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    /// Starts and stops readers; tells whether all shards have been read up to the present, by whomever.
    fn follow(&mut self, shards: &[Shard], shares: &Shares) -> bool {
        let Some(sender) = &self.sender else { return true };
        self.readers.retain(|id, reader| {
            let is_held = shares.held.contains(id);
            if !is_held {
                reader.stop.cancel();
            }
            is_held && shares.checkpoints.get(id) != Some(&Checkpoint::End)
        });
        let mut is_caught_up = true;
        for shard in shards {
            let checkpoint = shares.checkpoints.get(&shard.id).cloned().unwrap_or(Checkpoint::Beginning);
            if checkpoint == Checkpoint::End {
                continue;
            }
            // A parent that is not listed any more is older than the retention.
            let is_read = |parent: &String| shares.checkpoints.get(parent).is_none_or(|at| *at == Checkpoint::End);
            let may_begin = shard.parents.iter().all(is_read);
            if !shares.held.contains(&shard.id) {
                // Another process reads it up to the present.
                is_caught_up &= shares.of_others.contains(&shard.id);
                continue;
            }
            if let Some(reader) = self.readers.get(&shard.id) {
                is_caught_up &= reader.state.is_caught_up.load(Ordering::Relaxed);
                continue;
            }
            is_caught_up = false;
            if may_begin {
                let state = Arc::new(ShardState {
                    id: shard.id.clone(),
                    in_hand: Mutex::default(),
                    is_caught_up: AtomicBool::new(false),
                });
                let stop = self.shared.stop.child_token();
                tracing::info!(shard = shard.id, %checkpoint, "reading");
                let reader = Reader::new(self.shared.clone(), state.clone(), checkpoint, sender.clone());
                let stopped = stop.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        () = stopped.cancelled() => {}
                        () = reader.run() => {}
                    }
                });
                self.readers.insert(shard.id.clone(), Running { state, stop });
            }
        }
        is_caught_up && !shards.is_empty()
    }
}

impl Shared {
    fn turn(&self) -> Duration {
        // At the end, nobody waits for long.
        if self.settings.until_caught_up { Duration::from_millis(500) } else { (self.settings.lease / 4).min(MAX_TURN) }
    }

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
                return Ok(shards);
            }
        }
    }
}
