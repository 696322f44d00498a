//! The shards of the stream: which of them this process reads, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::checkpoint::{Checkpoint, Ledger, Shard, Shares};
use super::reader::Reader;
use super::{MAX_TURN, Message, ShardState, Shared};
use crate::collect::backoff;

/// How often the stream is asked for its shards, but for those that follow one at its end.
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListShards.html>: 1000 requests a second and stream.
const LIST_INTERVAL: Duration = Duration::from_secs(30);

/// The task that runs the readers.
pub(super) struct Sharing {
    shared: Arc<Shared>,
    /// Parents before their children.
    shards: Vec<Shard>,
    /// When; `None` when more are expected.
    listed: Option<Instant>,
    readers: BTreeMap<String, Running>,
    sender: Option<mpsc::Sender<Message>>,
}

/// A reader at work.
struct Running {
    state: Arc<ShardState>,
    stop: CancellationToken,
}

impl Running {
    /// Ends it where another process has the shard, or may have it.
    fn lose(&self) {
        self.state.is_lost.store(true, Ordering::Relaxed);
        self.stop.cancel();
    }
}

impl Sharing {
    pub(super) fn new(shared: Arc<Shared>, sender: mpsc::Sender<Message>) -> Sharing {
        Sharing { shared, shards: Vec::new(), listed: None, readers: BTreeMap::new(), sender: Some(sender) }
    }

    pub(super) async fn run(mut self, settled: CancellationToken, ended: Arc<OnceLock<Result<(), String>>>) {
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
        shared.keep(BTreeMap::new()).await;
        shared.ledger.release().await;
    }

    /// Shares out until it is stopped, or everything has been read.
    async fn read(&mut self) -> Result<(), String> {
        let shared = self.shared.clone();
        let mut failures = 0;
        let mut shared_out = Instant::now();
        loop {
            let outcome = tokio::select! {
                biased;
                () = shared.stop.cancelled() => return Ok(()),
                outcome = self.turn() => outcome,
            };
            shared.metrics.is_ready.store(outcome.is_ok(), Ordering::Relaxed);
            let delay = match outcome {
                Ok(true) => return Ok(()),
                Ok(false) => {
                    (failures, shared_out) = (0, Instant::now());
                    shared.turn()
                }
                Err(error) => {
                    if matches!(shared.ledger, Ledger::Table(_)) && shared_out.elapsed() >= shared.settings.lease {
                        // By now, others may have taken everything.
                        self.readers.values().for_each(Running::lose);
                        self.readers.clear();
                    }
                    failures += 1;
                    let delay = backoff(failures, Duration::from_secs(1), MAX_TURN);
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

    /// Learns what is to be read, and has it read; tells whether that was all.
    async fn turn(&mut self) -> Result<bool, String> {
        let shared = self.shared.clone();
        let is_due = self.listed.is_none_or(|listed| listed.elapsed() >= LIST_INTERVAL);
        let mut is_fresh = false;
        if is_due {
            match shared.list().await {
                Ok(shards) => (self.shards, self.listed, is_fresh) = (shards, Some(Instant::now()), true),
                Err(error) if self.shards.is_empty() => return Err(error),
                // What is held is to be kept up in any case.
                Err(error) => tracing::warn!(error, "the shards cannot be listed; going on with those that are known"),
            }
        }
        shared.keep(BTreeMap::new()).await;
        let shares = shared.ledger.share(&self.shards).await?;
        shared.unkept.lock().await.retain(|id, _| shares.held.contains(id) && !shares.taken.contains(id));
        let is_caught_up = self.follow(&shares);
        // Those that follow shards at their ends are wanted at once, and those that another process knows already.
        let listed: BTreeSet<&String> = self.shards.iter().map(|shard| &shard.id).collect();
        let parents: BTreeSet<&String> = self.shards.iter().flat_map(|shard| &shard.parents).collect();
        let mut checkpoints = shares.checkpoints.iter();
        let is_more =
            checkpoints.any(|(id, at)| !listed.contains(id) || *at == Checkpoint::End && !parents.contains(id));
        if is_more {
            self.listed = None;
        }
        Ok(is_caught_up && shared.settings.until_caught_up && (is_fresh || !is_more))
    }

    /// Starts and stops readers; tells whether all shards have been read up to the present, by whomever.
    fn follow(&mut self, shares: &Shares) -> bool {
        let Some(sender) = &self.sender else { return true };
        self.readers.retain(|id, reader| {
            let is_kept = shares.held.contains(id) && !shares.taken.contains(id);
            if !is_kept {
                reader.lose();
            }
            is_kept && shares.checkpoints.get(id) != Some(&Checkpoint::End)
        });
        let listed: BTreeSet<&String> = self.shards.iter().map(|shard| &shard.id).collect();
        let mut is_caught_up = true;
        for shard in &self.shards {
            let checkpoint = shares.checkpoints.get(&shard.id).cloned().unwrap_or(Checkpoint::Beginning);
            if checkpoint == Checkpoint::End {
                continue;
            }
            // A parent that is not listed any more is older than the retention.
            let is_read = |parent| match shares.checkpoints.get(parent) {
                Some(checkpoint) => *checkpoint == Checkpoint::End,
                None => !listed.contains(parent),
            };
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
                    is_lost: AtomicBool::new(false),
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
        is_caught_up && !self.shards.is_empty()
    }
}
