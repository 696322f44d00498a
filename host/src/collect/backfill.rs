//! The objects that are in a bucket already, each once. What is done is kept in a checkpoint, so that
//! a backfill that was interrupted goes on where it was.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, bail};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::keys::{KeyFilter, TimeRange};
use super::object::{Failure, Object};
use super::{Feed, Flushed};
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
    object: [Object; 1],
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

/// The objects of a bucket.
pub(crate) struct Backfill {
    checkpoint: Option<PathBuf>,
    state: Arc<Mutex<State>>,
    items: Mutex<mpsc::Receiver<Item>>,
    stop: CancellationToken,
    pub(crate) progress: Arc<Progress>,
    listing_error: Arc<Mutex<Option<String>>>,
}

struct State {
    checkpoint: Checkpoint,
    /// Listed and neither done nor failed.
    open: BTreeSet<String>,
}

impl State {
    /// Takes a key for tried.
    fn close(&mut self, key: &str, has_failed: bool) {
        self.open.remove(key);
        if has_failed {
            self.checkpoint.failed.insert(key.into());
        } else {
            self.checkpoint.failed.remove(key);
        }
        self.checkpoint.done.insert(key.into());
        // Up to the first open key, all are done.
        let rest = match self.open.first() {
            Some(first) => self.checkpoint.done.split_off(first),
            None => BTreeSet::new(),
        };
        if let Some(last) = self.checkpoint.done.pop_last() {
            self.checkpoint.after = last.max(std::mem::take(&mut self.checkpoint.after));
        }
        self.checkpoint.done = rest;
    }
}

impl Backfill {
    /// Reads the checkpoint, if there is one, and begins to list.
    pub(crate) async fn open(
        client: Client,
        selection: Selection,
        checkpoint: Option<&Path>,
        max_waiting: usize,
        stop: CancellationToken,
    ) -> anyhow::Result<Backfill> {
        let state = State { checkpoint: read_checkpoint(checkpoint, &selection)?, open: BTreeSet::new() };
        let state = Arc::new(Mutex::new(state));
        let (sender, items) = mpsc::channel(max_waiting);
        let progress = Arc::new(Progress::default());
        let listing_error = Arc::new(Mutex::new(None));
        let lister = Lister { client, selection, state: state.clone(), progress: progress.clone(), sender };
        let (stop_listing, error) = (stop.clone(), listing_error.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop_listing.cancelled() => {}
                outcome = lister.list() => *lock(&error) = outcome.err(),
            }
            // The end of the feed, at which the error must be there.
            drop(lister);
        });
        let checkpoint = checkpoint.map(Path::to_owned);
        Ok(Backfill { checkpoint, state, items: Mutex::new(items), stop, progress, listing_error })
    }

    /// What went wrong with listing, if anything did.
    pub(crate) fn listing_error(&self) -> Option<String> {
        lock(&self.listing_error).clone()
    }

    fn save(&self) {
        let Some(path) = &self.checkpoint else { return };
        let text = serde_json::to_vec_pretty(&lock(&self.state).checkpoint);
        // Without it, the next run does more than it need to, and loses nothing.
        if let Err(error) = text.map_err(io::Error::from).and_then(|text| replace(path, &text)) {
            tracing::error!(path = %path.display(), %error, "the checkpoint cannot be written");
        }
    }
}

impl Feed for Backfill {
    type Message = Item;

    fn receive(&self) -> Option<Item> {
        lock(&self.items).blocking_recv().filter(|_| !self.stop.is_cancelled())
    }

    fn objects<'a>(&self, item: &'a Item) -> Result<&'a [Object], Failure> {
        Ok(&item.object)
    }

    fn acknowledge(&self, items: Vec<Flushed<Item>>) {
        for Flushed(item) in items {
            lock(&self.state).close(&item.object[0].key, false);
            self.progress.done_bytes.fetch_add(item.size, Ordering::Relaxed);
            self.progress.done_objects.fetch_add(1, Ordering::Relaxed);
        }
        self.save();
    }

    fn give_back(&self, item: Item, failure: &Failure) {
        let [object] = &item.object;
        match failure {
            Failure::Stopped => {}
            Failure::ForGood(error) | Failure::ForNow(error) => {
                tracing::error!(%object, error, "not read; another run with the same checkpoint tries again");
                self.progress.failed_objects.fetch_add(1, Ordering::Relaxed);
                lock(&self.state).close(&object.key, true);
                self.save();
            }
        }
    }
}

fn read_checkpoint(path: Option<&Path>, selection: &Selection) -> anyhow::Result<Checkpoint> {
    let fresh = || Checkpoint { selection: selection.to_string(), ..Checkpoint::default() };
    let Some(path) = path else { return Ok(fresh()) };
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(fresh()),
        text => text.with_context(|| format!("{} cannot be read", path.display()))?,
    };
    let checkpoint: Checkpoint =
        serde_json::from_slice(&text).with_context(|| format!("{} is no checkpoint", path.display()))?;
    if checkpoint.selection != selection.to_string() {
        bail!("{} is the checkpoint of another backfill: {}", path.display(), checkpoint.selection);
    }
    Ok(checkpoint)
}

/// Puts `bytes` in the place of a file so that a crash leaves the old ones or the new ones.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_data()?;
    file.persist(path)?;
    fs::File::open(directory)?.sync_all()
}

/// The task that lists.
struct Lister {
    client: Client,
    selection: Selection,
    state: Arc<Mutex<State>>,
    progress: Arc<Progress>,
    sender: mpsc::Sender<Item>,
}

impl Lister {
    async fn list(&self) -> Result<(), String> {
        let failed = lock(&self.state).checkpoint.failed.clone();
        for key in failed {
            self.send(key, 0).await;
        }
        let mut after = lock(&self.state).checkpoint.after.clone();
        loop {
            let request = self.client.list_objects_v2().bucket(&self.selection.bucket).prefix(&self.selection.prefix);
            let request = if after.is_empty() { request } else { request.start_after(&after) };
            let page = request.send().await.map_err(|error| match (error.code(), error.message()) {
                (Some(code), message) => format!("S3 answers {code}: {}", message.unwrap_or("without a reason")),
                _ => DisplayErrorContext(error).to_string(),
            })?;
            let mut skip_to = None;
            for object in page.contents() {
                let Some(key) = object.key() else { continue };
                after = key.to_owned();
                if !self.selection.range.holds(key) {
                    skip_to = self.selection.range.skip_to(key);
                    match &skip_to {
                        Some(_) => break,
                        None => continue,
                    }
                }
                let is_done = lock(&self.state).checkpoint.done.contains(key);
                if !is_done && self.selection.filter.passes(key) {
                    let size = object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
                    self.send(after.clone(), size).await;
                }
            }
            match skip_to {
                Some(target) => after = target,
                None if page.is_truncated() == Some(true) => {}
                None => break,
            }
        }
        self.progress.is_listed.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn send(&self, key: String, size: u64) {
        self.progress.listed_bytes.fetch_add(size, Ordering::Relaxed);
        lock(&self.state).open.insert(key.clone());
        let object = [Object { bucket: self.selection.bucket.clone(), key, version: None, region: None }];
        // Fails only when nobody receives any more.
        let _ = self.sender.send(Item { object, size }).await;
    }
}
