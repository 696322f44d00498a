//! How far each shard has been read, and who reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::leases::Leases;
use crate::collect::checkpoint_file::CheckpointFile;
use crate::pump::lock;

/// How far a shard has been read. As text it is what Kinesis Client Library keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub(crate) enum Checkpoint {
    /// Not at all.
    Beginning,
    /// Up to the record of this sequence number.
    After(String),
    /// To its end: it was split or merged.
    End,
}

const BEGINNING: &str = "TRIM_HORIZON";
const END: &str = "SHARD_END";

impl From<String> for Checkpoint {
    fn from(text: String) -> Checkpoint {
        match text.as_str() {
            END => Checkpoint::End,
            // Kinesis Client Library's other words stand for places before the first record that it has read.
            _ if text.bytes().all(|byte| byte.is_ascii_digit()) => Checkpoint::After(text),
            _ => Checkpoint::Beginning,
        }
    }
}

impl From<Checkpoint> for String {
    fn from(checkpoint: Checkpoint) -> String {
        checkpoint.to_string()
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Checkpoint::Beginning => BEGINNING,
            Checkpoint::After(sequence_number) => sequence_number,
            Checkpoint::End => END,
        })
    }
}

/// A shard of the stream, as Kinesis lists it.
#[derive(Clone, Debug)]
pub(crate) struct Shard {
    pub(crate) id: String,
    /// The shards that it came from, in a split or a merge.
    pub(crate) parents: Vec<String>,
}

/// What is known of the shards.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares {
    /// Of every shard.
    pub(crate) checkpoints: BTreeMap<String, Checkpoint>,
    /// Those that this process is to read.
    pub(crate) held: BTreeSet<String>,
    /// Those of them that it did not hold before.
    pub(crate) taken: BTreeSet<String>,
    /// Those that another process is seen to hold.
    pub(crate) of_others: BTreeSet<String>,
}

/// Where checkpoints are kept.
pub(crate) enum Ledger {
    /// For one process, which reads all shards: in a file, or nowhere.
    File(FileLedger),
    /// For any number of processes, which share the shards.
    Table(Leases),
}

impl Ledger {
    /// Takes note of the stream's shards; gives what is to be read now. Called again and again, more often than
    /// leases end.
    pub(crate) async fn share(&self, shards: &[Shard]) -> Result<Shares, String> {
        match self {
            Ledger::File(file) => file.share(shards).map_err(|error| error.to_string()),
            Ledger::Table(leases) => leases.share(shards).await,
        }
    }

    /// Keeps up what is held, and takes no more.
    pub(crate) async fn renew(&self) -> Result<(), String> {
        match self {
            Ledger::File(_) => Ok(()),
            Ledger::Table(leases) => leases.renew(&mut leases.scan().await?).await.map(drop),
        }
    }

    /// Keeps a checkpoint; of a shard that another process has taken, that one's counts.
    pub(crate) async fn save(&self, shard: &str, checkpoint: Checkpoint) -> Result<(), String> {
        match self {
            Ledger::File(file) => file.save(shard, checkpoint).map_err(|error| error.to_string()),
            Ledger::Table(leases) => leases.save(shard, checkpoint).await,
        }
    }

    /// Gives all shards away.
    pub(crate) async fn release(&self) {
        match self {
            Ledger::File(_) => {}
            Ledger::Table(leases) => leases.release().await,
        }
    }
}

/// Checkpoints in a file.
pub(crate) struct FileLedger {
    file: CheckpointFile,
    content: Mutex<Content>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    /// Whose shards.
    stream: String,
    shards: BTreeMap<String, Checkpoint>,
}

impl FileLedger {
    /// Reads the file, if there is one.
    pub(crate) fn open(path: Option<&Path>, stream: &str) -> anyhow::Result<FileLedger> {
        let file = CheckpointFile::open(path)?;
        let content = file.read()?.unwrap_or_else(|| Content { stream: stream.into(), ..Content::default() });
        if content.stream != stream {
            bail!("{file} is the checkpoint of another stream: {}", content.stream);
        }
        // Before anything is read that would have to be read again.
        file.write(|| serde_json::to_vec_pretty(&content)).with_context(|| format!("{file} cannot be written"))?;
        Ok(FileLedger { file, content: Mutex::new(content) })
    }

    fn share(&self, shards: &[Shard]) -> io::Result<Shares> {
        let mut content = lock(&self.content);
        let listed: BTreeSet<&str> = shards.iter().map(|shard| shard.id.as_str()).collect();
        // What Kinesis lists no more, its retention has taken.
        content.shards.retain(|id, _| listed.contains(id.as_str()));
        for shard in shards {
            content.shards.entry(shard.id.clone()).or_insert(Checkpoint::Beginning);
        }
        let held = content.shards.keys().cloned().collect();
        Ok(Shares { held, checkpoints: content.shards.clone(), ..Shares::default() })
    }

    fn save(&self, shard: &str, checkpoint: Checkpoint) -> io::Result<()> {
        let mut content = lock(&self.content);
        content.shards.insert(shard.into(), checkpoint);
        self.file.write(|| serde_json::to_vec_pretty(&*content))
    }
}
