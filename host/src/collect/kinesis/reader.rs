//! One shard, from a checkpoint on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{Record, ShardIteratorType};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::checkpoint::Checkpoint;
use super::{Message, ShardState, Shared};
use crate::collect::{backoff, describe};
use crate::pump::lock;

/// The most that one answer holds.
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html>
pub(super) const MAX_ANSWER_BYTES: usize = 10 << 20;
/// What one permit of the room for records stands for.
pub(super) const ROOM_BYTES: usize = 1 << 10;
/// Kinesis allows five requests a second for each shard.
const REQUEST_INTERVAL: Duration = Duration::from_millis(200);
/// Where there was nothing, there will hardly be something at once.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// Reads a shard.
pub(super) struct Reader {
    shared: Arc<Shared>,
    state: Arc<ShardState>,
    /// As far as it has been read, though perhaps not flushed.
    position: Checkpoint,
    sender: mpsc::Sender<Message>,
}

impl Reader {
    pub(super) fn new(
        shared: Arc<Shared>,
        state: Arc<ShardState>,
        position: Checkpoint,
        sender: mpsc::Sender<Message>,
    ) -> Reader {
        Reader { shared, state, position, sender }
    }

    /// Reads to the end of the shard.
    pub(super) async fn run(mut self) {
        let mut iterator = None;
        let mut failures = 0;
        loop {
            let asked = Instant::now();
            // Before records come for which there would be no place.
            let room = self.shared.room.clone().acquire_many_owned((MAX_ANSWER_BYTES / ROOM_BYTES) as u32).await;
            let Ok(room) = room else { return };
            let answer = match self.ask(&mut iterator).await {
                Ok(answer) => answer,
                Err(error) => {
                    drop(room);
                    failures += 1;
                    let delay = backoff(failures, Duration::from_secs(1), Duration::from_secs(30));
                    self.shared.metrics.retries.inc();
                    let shard = &self.state.id;
                    tracing::warn!(shard, error, failures, retry_secs = delay.as_secs(), "no records can be had");
                    tokio::time::sleep(delay).await;
                    continue;
                }
            };
            failures = 0;
            let is_caught_up = answer.records().is_empty() && answer.millis_behind_latest().unwrap_or(0) == 0;
            iterator = answer.next_shard_iterator;
            match answer.records.is_empty() {
                true => drop(room),
                false => self.send(answer.records, room).await,
            }
            self.state.is_caught_up.store(is_caught_up && iterator.is_some(), Ordering::Relaxed);
            if iterator.is_none() {
                tracing::info!(shard = self.state.id, "read to its end");
                return self.end().await;
            }
            let interval = if is_caught_up { IDLE_INTERVAL } else { REQUEST_INTERVAL };
            tokio::time::sleep_until(asked + interval).await;
        }
    }

    async fn ask(&self, iterator: &mut Option<String>) -> Result<GetRecordsOutput, String> {
        let current = match iterator {
            Some(iterator) => iterator.clone(),
            None => iterator.insert(self.iterator().await?).clone(),
        };
        let request = self.shared.client.get_records().shard_iterator(current);
        let answer = request.set_stream_arn(self.shared.settings.arn()).send().await;
        answer.map_err(|error| {
            // An iterator lives for five minutes; who had to wait for room for longer needs another one.
            if error.code() == Some("ExpiredIteratorException") {
                *iterator = None;
            }
            describe("Kinesis", &error)
        })
    }

    async fn iterator(&self) -> Result<String, String> {
        let settings = &self.shared.settings;
        let request = self.shared.client.get_shard_iterator().shard_id(&self.state.id);
        let request = request.set_stream_name(settings.name_without_arn()).set_stream_arn(settings.arn());
        let request = match (&self.position, settings.from) {
            (Checkpoint::After(sequence_number), _) => {
                let kind = ShardIteratorType::AfterSequenceNumber;
                request.shard_iterator_type(kind).starting_sequence_number(sequence_number)
            }
            (_, Some(from)) => {
                let time = DateTime::from_millis(from.timestamp_millis());
                request.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(time)
            }
            (_, None) => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
        };
        let answer = request.send().await.map_err(|error| describe("Kinesis", &error))?;
        answer.shard_iterator.ok_or_else(|| "Kinesis gives no iterator".into())
    }

    async fn send(&mut self, records: Vec<Record>, mut room: OwnedSemaphorePermit) {
        let bytes: usize = records.iter().map(|record| record.data().as_ref().len()).sum();
        self.shared.metrics.read_bytes.inc_by(bytes as u64);
        if let Some(last) = records.last() {
            self.position = Checkpoint::After(last.sequence_number().into());
        }
        let taken = room.split(bytes.div_ceil(ROOM_BYTES).min(room.num_permits()));
        // The rest is free again, before anything is waited for.
        drop(room);
        self.message(records, self.position.clone(), taken).await;
    }

    /// Says behind all records that there will be no more.
    async fn end(&self) {
        self.message(Vec::new(), Checkpoint::End, None).await;
    }

    async fn message(&self, records: Vec<Record>, checkpoint: Checkpoint, room: Option<OwnedSemaphorePermit>) {
        let number = lock(&self.state.in_hand).begin(checkpoint);
        let message = Message { shard: self.state.clone(), records, number, _room: room };
        // Fails only when nobody receives any more.
        let _ = self.sender.send(message).await;
    }
}
