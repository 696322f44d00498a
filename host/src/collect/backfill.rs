//! The objects that are in a bucket already, each once. What is done is kept in a checkpoint, so that
//! a backfill that was interrupted goes on where it was.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use aws_sdk_s3::Client;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::checkpoint_file::CheckpointFile;
use super::keys::{KeyFilter, TimeRange};
use super::object::{Object, Store};
use super::telemetry::Metrics;
use super::{Failure, Feed, Flushed, Stream, describe};
use crate::pump::lock;

/// Which objects.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    pub(crate) filter: KeyFilter,
    pub(crate) range: TimeRange,
}

impl fmt::Display for Selection {
    /// Two backfills of the same selection go on from the same checkpoint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}, {}, {}", self.bucket, self.prefix, self.range, self.filter)
    }
}

/// How far a backfill has come. Keys are listed in their order, and done nearly in it.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checkpoint {
    /// Of which objects.
    selection: String,
    /// Every selected key up to this one has been tried.
    after: String,
    /// Those beyond it that are done.
    done: BTreeSet<String>,
    /// Those that could not be read, for another run.
    failed: BTreeSet<String>,
}

/// A key on its way.
pub(crate) struct Item {
    object: Object,
    pub(crate) size: u64,
}

/// What has been listed and what of it is done, for a progress bar.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) listed_bytes: AtomicU64,
    pub(crate) done_bytes: AtomicU64,
    pub(crate) done_objects: AtomicU64,
    pub(crate) failed_objects: AtomicU64,
    pub(crate) is_listed: AtomicBool,
}

/// How often the checkpoint is written, which costs the more the more keys are on their way.
const SAVE_INTERVAL: Duration = Duration::from_millis(200);

/// The objects of a bucket.
pub(crate) struct Backfill {
    checkpoint: CheckpointFile,
    store: Arc<Store>,
    state: Arc<Mutex<State>>,
    items: Mutex<mpsc::Receiver<Item>>,
    stop: CancellationToken,
    pub(crate) progress: Arc<Progress>,
    /// How the listing ended.
    ended: Arc<OnceLock<Result<(), String>>>,
    saved: Mutex<Instant>,
}

struct State {
    checkpoint: Checkpoint,
    /// As far as the listing has come: of the selected keys up to this one, every one has been taken up.
    listed: String,
    /// Taken up from the listing, and neither done nor failed.
    open: BTreeSet<String>,
}

impl State {
    fn new(checkpoint: Checkpoint) -> State {
        State { listed: checkpoint.after.clone(), checkpoint, open: BTreeSet::new() }
    }

    /// Takes up the next key of the listing; `false` if it has been tried by a run before.
    fn take_up(&mut self, key: &str) -> bool {
        key.clone_into(&mut self.listed);
        let is_new = !self.checkpoint.done.contains(key);
        if is_new {
            self.open.insert(key.into());
        }
        is_new
    }

    /// Takes a key for tried: one from the listing, or one that had failed in a run before.
    fn close(&mut self, key: &str, has_failed: bool) {
        self.open.remove(key);
        let Checkpoint { after, done, failed, .. } = &mut self.checkpoint;
        match has_failed {
            true => failed.insert(key.into()),
            false => failed.remove(key),
        };
        if key > after.as_str() {
            done.insert(key.into());
        }
        // Below the first open key, all that have been listed are tried. Runs before this one may have
        // tried some that have not been listed yet.
        let rest = match self.open.first() {
            Some(first) => done.split_off(first),
            None => {
                let mut rest = done.split_off(&self.listed);
                rest.remove(&self.listed);
                done.insert(self.listed.clone());
                rest
            }
        };
        let tried = std::mem::replace(done, rest);
        if let Some(last) = tried.into_iter().next_back().filter(|last| last > after) {
            *after = last;
        }
    }
}

impl Backfill {
    /// Reads the checkpoint, if there is one, and begins to list.
    pub(crate) async fn open(
        store: Store,
        selection: Selection,
        checkpoint: Option<&Path>,
        max_waiting: usize,
        stop: CancellationToken,
    ) -> anyhow::Result<Backfill> {
        let checkpoint = CheckpointFile::open(checkpoint)?;
        let state = State::new(read_checkpoint(&checkpoint, &selection)?);
        let state = Arc::new(Mutex::new(state));
        let (sender, items) = mpsc::channel(max_waiting);
        let progress = Arc::new(Progress::default());
        let (client, metrics) = (store.client.clone(), store.metrics.clone());
        let lister = Lister { client, selection, state: state.clone(), progress: progress.clone(), metrics, sender };
        let ended = Arc::new(OnceLock::new());
        let (stop_listing, listing_ended) = (stop.clone(), ended.clone());
        tokio::spawn(async move {
            let outcome = tokio::select! {
                () = stop_listing.cancelled() => Err("interrupted before every object was read".into()),
                outcome = lister.list() => outcome,
            };
            let _ = listing_ended.set(outcome);
            // The end of the feed, at which its outcome must be there.
            drop(lister);
        });
        let saved = Mutex::new(Instant::now());
        let store = Arc::new(store);
        let backfill = Backfill { checkpoint, store, state, items: Mutex::new(items), stop, progress, ended, saved };
        // Before anything is read that would have to be read again.
        backfill.try_to_save().with_context(|| format!("--checkpoint {}", backfill.checkpoint))?;
        Ok(backfill)
    }

    fn save_now_and_then(&self) {
        let mut saved = lock(&self.saved);
        if saved.elapsed() >= SAVE_INTERVAL {
            self.save();
            *saved = Instant::now();
        }
    }

    fn save(&self) {
        // Without it, the next run does more than it need to, and loses nothing.
        if let Err(error) = self.try_to_save() {
            tracing::error!(path = %self.checkpoint, %error, "the checkpoint cannot be written");
        }
    }

    fn try_to_save(&self) -> io::Result<()> {
        self.checkpoint.write(|| serde_json::to_vec_pretty(&lock(&self.state).checkpoint))
    }
}

impl Feed for Backfill {
    type Message = Item;

    fn receive(&self) -> Option<Item> {
        lock(&self.items).blocking_recv().filter(|_| !self.stop.is_cancelled())
    }

    fn streams(&self, item: &Item) -> Result<impl Iterator<Item = Stream>, Failure> {
        Ok(std::iter::once(self.store.stream(&item.object)))
    }

    fn acknowledge(&self, items: Vec<Flushed<Item>>) {
        for Flushed(item) in items {
            lock(&self.state).close(&item.object.key, false);
            self.progress.done_bytes.fetch_add(item.size, Ordering::Relaxed);
            self.progress.done_objects.fetch_add(1, Ordering::Relaxed);
        }
        self.save_now_and_then();
    }

    fn give_back(&self, item: Item, failure: &Failure) {
        let object = &item.object;
        match failure {
            Failure::Stopped => {}
            Failure::ForGood(error) | Failure::ForNow(error) => {
                tracing::error!(%object, error, "not read; another run with the same checkpoint tries again");
                self.progress.failed_objects.fetch_add(1, Ordering::Relaxed);
                lock(&self.state).close(&object.key, true);
                self.save_now_and_then();
            }
        }
    }

    fn end(&self) -> Result<(), String> {
        self.save();
        self.ended.get().cloned().unwrap_or_else(|| Err("the task that lists has failed".into()))?;
        match lock(&self.state).open.is_empty() {
            true => Ok(()),
            false => Err("interrupted before every object was read".into()),
        }
    }
}

fn read_checkpoint(file: &CheckpointFile, selection: &Selection) -> anyhow::Result<Checkpoint> {
    let Some(checkpoint) = file.read::<Checkpoint>()? else {
        return Ok(Checkpoint { selection: selection.to_string(), ..Checkpoint::default() });
    };
    if checkpoint.selection != selection.to_string() {
        bail!("{file} is the checkpoint of another backfill: {}", checkpoint.selection);
    }
    Ok(checkpoint)
}

/// The task that lists.
struct Lister {
    client: Client,
    selection: Selection,
    state: Arc<Mutex<State>>,
    progress: Arc<Progress>,
    metrics: Arc<Metrics>,
    sender: mpsc::Sender<Item>,
}

impl Lister {
    async fn list(&self) -> Result<(), String> {
        let failed = lock(&self.state).checkpoint.failed.clone();
        for key in failed {
            self.send(key, 0).await;
        }
        let Selection { bucket, prefix, range, filter } = &self.selection;
        let mut after = lock(&self.state).checkpoint.after.clone();
        let mut continuation = None;
        loop {
            let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
            let request = match &continuation {
                Some(token) => request.continuation_token(token),
                None => request.set_start_after(Some(after.clone()).filter(|after| !after.is_empty())),
            };
            let page = request.send().await;
            let page =
                page.map_err(|error| format!("s3://{bucket}/{prefix} cannot be listed: {}", describe("S3", &error)))?;
            self.metrics.is_ready.store(true, Ordering::Relaxed);
            let mut skip_to = None;
            for object in page.contents() {
                let Some(key) = object.key() else { continue };
                if !range.holds(key) {
                    skip_to = range.skip_to(key);
                    match &skip_to {
                        Some(_) => break,
                        None => continue,
                    }
                }
                if filter.passes(key) && lock(&self.state).take_up(key) {
                    let size = object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
                    self.send(key.to_owned(), size).await;
                }
            }
            continuation = page.next_continuation_token().filter(|_| skip_to.is_none()).map(str::to_owned);
            match skip_to {
                Some(target) => after = target,
                None if continuation.is_some() => {}
                None => break,
            }
        }
        self.progress.is_listed.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn send(&self, key: String, size: u64) {
        self.progress.listed_bytes.fetch_add(size, Ordering::Relaxed);
        let object = Object { bucket: self.selection.bucket.clone(), key, version: None, region: None };
        // Fails only when nobody receives any more.
        let _ = self.sender.send(Item { object, size }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(keys: &[&str]) -> BTreeSet<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    fn state(after: &str, done: &[&str], failed: &[&str]) -> State {
        let (done, failed) = (set(done), set(failed));
        State::new(Checkpoint { after: after.into(), done, failed, ..Checkpoint::default() })
    }

    fn assert_is(state: &State, after: &str, done: &[&str], failed: &[&str]) {
        let Checkpoint { after: is_after, done: is_done, failed: is_failed, .. } = &state.checkpoint;
        assert_eq!((is_after.as_str(), is_done, is_failed), (after, &set(done), &set(failed)));
    }

    #[test]
    fn what_is_done_out_of_order_waits_for_what_is_before_it() {
        let mut state = state("", &[], &[]);
        assert!(state.take_up("a") && state.take_up("b") && state.take_up("c"));
        state.close("c", false);
        assert_is(&state, "", &["c"], &[]);
        state.close("a", true);
        assert_is(&state, "a", &["c"], &["a"]);
        state.close("b", false);
        assert_is(&state, "c", &[], &["a"]);
    }

    #[test]
    fn what_runs_before_have_done_is_not_taken_for_listed() {
        // `b` and `e` were in hand when the run before was interrupted.
        let mut state = state("a", &["c", "d", "f"], &["a", "d"]);
        // Those that had failed are tried before the listing begins.
        state.close("a", false);
        state.close("d", true);
        assert_is(&state, "a", &["c", "d", "f"], &["d"]);
        assert!(state.take_up("b"));
        state.close("b", false);
        assert_is(&state, "b", &["c", "d", "f"], &["d"]);
        assert!(!state.take_up("c") && !state.take_up("d") && state.take_up("e"));
        assert!(!state.take_up("f") && state.take_up("g"));
        state.close("g", false);
        assert_is(&state, "d", &["f", "g"], &["d"]);
        state.close("e", false);
        assert_is(&state, "g", &[], &["d"]);
    }
}
