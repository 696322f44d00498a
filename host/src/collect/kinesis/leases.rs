//! Shards shared by several processes, through a table of DynamoDB.
//!
//! The table is that of the Kinesis Client Library, so that its tools show it, and what has read a stream so far can be
//! replaced: an item a shard, with its owner, a counter that the owner keeps going up, and the checkpoint. A lease whose
//! counter stands still has lost its owner, and anybody may take it. Every change has the condition that nobody else
//! has made one since the item was read, so that of two that want a shard one gets it.
//! <https://docs.aws.amazon.com/streams/latest/dev/kcl-dynamoDB.html>

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::Context;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ReturnValue,
    ReturnValuesOnConditionCheckFailure, ScalarAttributeType, TableStatus,
};

use super::checkpoint::{Checkpoint, Shard, Shares};
use crate::collect::describe;
use crate::pump::lock;

// The attributes.
const KEY: &str = "leaseKey";
const OWNER: &str = "leaseOwner";
const COUNTER: &str = "leaseCounter";
const CHECKPOINT: &str = "checkpoint";
const SUB_SEQUENCE_NUMBER: &str = "checkpointSubSequenceNumber";
const SWITCHES: &str = "ownerSwitchesSinceCheckpoint";
const PARENTS: &str = "parentShardId";
/// Not in tables that only Kinesis Client Library has written to.
const STREAM: &str = "streamName";

const SERVICE: &str = "DynamoDB";
/// How long a new table may take.
const TABLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The leases of all processes.
pub(crate) struct Leases {
    client: Client,
    table: String,
    /// Shards of all streams have the same names: a table is for one of them.
    stream: String,
    /// This process.
    owner: String,
    /// How long a counter stands still before its lease is free.
    lifetime: Duration,
    seen: Mutex<HashMap<String, Seen>>,
}

/// The counter of a lease as it was seen last.
#[derive(Clone, Copy)]
struct Seen {
    counter: u64,
    since: Instant,
    has_moved: bool,
}

/// An item of the table.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    shard: String,
    owner: Option<String>,
    counter: u64,
    checkpoint: Checkpoint,
}

impl Leases {
    /// Opens the table; makes it where there is none.
    pub(crate) async fn open(client: Client, table: &str, stream: &str, lifetime: Duration) -> anyhow::Result<Leases> {
        let random = RandomState::new().hash_one(table);
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let owner = format!("{}-{}-{random:016x}", host.trim(), std::process::id());
        let (table_name, stream) = (table.to_owned(), stream.to_owned());
        let leases = Leases { client, table: table_name, stream, owner, lifetime, seen: Mutex::default() };
        let opened = async {
            leases.make_table().await?;
            leases.scan().await.map_err(anyhow::Error::msg)
        };
        opened.await.with_context(|| format!("--lease-table {table}"))?;
        Ok(leases)
    }

    async fn make_table(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + TABLE_TIMEOUT;
        loop {
            match self.client.describe_table().table_name(&self.table).send().await {
                Ok(found) => {
                    let status = found.table().and_then(|table| table.table_status()).cloned();
                    if matches!(status, None | Some(TableStatus::Active | TableStatus::Updating)) {
                        return Ok(());
                    }
                }
                Err(error) if error.code() == Some("ResourceNotFoundException") => {
                    tracing::info!(table = self.table, "making the table of the leases");
                    let key = KeySchemaElement::builder().attribute_name(KEY).key_type(KeyType::Hash).build()?;
                    let text = AttributeDefinition::builder().attribute_name(KEY);
                    let text = text.attribute_type(ScalarAttributeType::S).build()?;
                    let request = self.client.create_table().table_name(&self.table).key_schema(key);
                    let request = request.attribute_definitions(text).billing_mode(BillingMode::PayPerRequest);
                    match request.send().await {
                        // Another process was quicker.
                        Err(error) if error.code() == Some("ResourceInUseException") => {}
                        outcome => drop(outcome.map_err(|error| anyhow::anyhow!(describe(SERVICE, &error)))?),
                    }
                }
                Err(error) => anyhow::bail!(describe(SERVICE, &error)),
            }
            anyhow::ensure!(Instant::now() < deadline, "the table is not there after {TABLE_TIMEOUT:?}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Renews what is held, and takes what this process should have besides.
    pub(crate) async fn share(&self, shards: &[Shard]) -> Result<Shares, String> {
        let mut leases = self.scan().await?;
        self.follow(&mut leases, shards).await?;
        let mut held = self.renew(&mut leases).await?;
        let (free, of_others) = self.look(&leases);
        let mut taken = BTreeSet::new();
        for shard in self.wanted(&leases, &free) {
            let Some(lease) = leases.get_mut(&shard) else { continue };
            let before = lease.owner.clone();
            if self.take(lease).await? {
                tracing::info!(shard, from = before, "taken");
                taken.insert(shard);
            }
        }
        held.extend(taken.iter().cloned());
        let checkpoints = leases.into_values().map(|lease| (lease.shard, lease.checkpoint)).collect();
        Ok(Shares { checkpoints, held, taken, of_others })
    }

    /// Renews what is held, and tells what that is.
    pub(super) async fn renew(&self, leases: &mut BTreeMap<String, Lease>) -> Result<BTreeSet<String>, String> {
        let mut held = BTreeSet::new();
        for lease in leases.values_mut().filter(|lease| lease.owner.as_ref() == Some(&self.owner)) {
            match self.take(lease).await? {
                true => drop(held.insert(lease.shard.clone())),
                false => {
                    tracing::warn!(shard = lease.shard, "another process has taken the shard");
                    lease.owner = None;
                }
            }
        }
        Ok(held)
    }

    /// Keeps a checkpoint, if the lease is still this process's.
    pub(crate) async fn save(&self, shard: &str, checkpoint: Checkpoint) -> Result<(), String> {
        let request =
            self.update(shard).update_expression("SET #checkpoint = :checkpoint, #sub = :zero, #switches = :zero");
        let request = request.expression_attribute_names("#checkpoint", CHECKPOINT);
        let request = request.expression_attribute_names("#sub", SUB_SEQUENCE_NUMBER);
        let request = request.expression_attribute_names("#switches", SWITCHES);
        let request = request.expression_attribute_values(":checkpoint", text(&checkpoint.to_string()));
        let request = request.expression_attribute_values(":zero", number(0));
        if !changed(self.if_owned(request)).await? {
            tracing::warn!(shard, "no checkpoint is kept, since another process has taken the shard");
        }
        Ok(())
    }

    /// Gives all leases of this process away, so that nobody has to wait until they end.
    pub(crate) async fn release(&self) {
        let Ok(leases) = self.scan().await else { return };
        for lease in leases.into_values().filter(|lease| lease.owner.as_ref() == Some(&self.owner)) {
            let request = self.update(&lease.shard).update_expression("REMOVE #owner");
            if let Err(error) = changed(self.if_owned(request)).await {
                tracing::debug!(shard = lease.shard, error, "the lease is free only when it ends");
            }
        }
    }

    pub(super) async fn scan(&self) -> Result<BTreeMap<String, Lease>, String> {
        let mut pages =
            self.client.scan().table_name(&self.table).consistent_read(true).into_paginator().items().send();
        let mut leases = BTreeMap::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| describe(SERVICE, &error))?;
            if let Some(AttributeValue::S(stream)) = item.get(STREAM).filter(|stream| **stream != text(&self.stream)) {
                return Err(format!("the table {} is that of another stream, {stream}", self.table));
            }
            // Its shard would be read by nobody.
            let lease = Lease::read(&item).ok_or_else(|| format!("an item of the table {} is no lease", self.table))?;
            leases.insert(lease.shard.clone(), lease);
        }
        Ok(leases)
    }

    /// Adds what the stream has and the table has not, and the other way round.
    async fn follow(&self, leases: &mut BTreeMap<String, Lease>, shards: &[Shard]) -> Result<(), String> {
        let finished = finished(leases, shards);
        // Parents before their children: who finds the lease of a child finds theirs.
        for shard in shards.iter().filter(|shard| !leases.contains_key(&shard.id)).collect::<Vec<_>>() {
            let is_finished = finished.contains(shard.id.as_str());
            let checkpoint = if is_finished { Checkpoint::End } else { Checkpoint::Beginning };
            let request =
                self.client.put_item().table_name(&self.table).condition_expression("attribute_not_exists(#key)");
            let request = request.expression_attribute_names("#key", KEY).item(KEY, text(&shard.id));
            let request = request.item(STREAM, text(&self.stream));
            let request =
                request.item(COUNTER, number(0)).item(SWITCHES, number(0)).item(SUB_SEQUENCE_NUMBER, number(0));
            let request = request.item(CHECKPOINT, text(&checkpoint.to_string()));
            let parents = (!shard.parents.is_empty()).then(|| AttributeValue::Ss(shard.parents.clone()));
            let request = parents.into_iter().fold(request, |request, parents| request.item(PARENTS, parents));
            match request.send().await {
                Ok(_) => {}
                // Another process was quicker; its item is read next time.
                Err(error) if error.code() == Some(CONDITION_FAILED) => continue,
                Err(error) => return Err(describe(SERVICE, &error)),
            }
            leases.insert(shard.id.clone(), Lease { shard: shard.id.clone(), owner: None, counter: 0, checkpoint });
        }
        // What Kinesis lists no more, its retention has taken. Later ones are younger than the list.
        let listed: BTreeSet<&str> = shards.iter().map(|shard| shard.id.as_str()).collect();
        let is_gone = |shard: &str| !listed.contains(shard) && Some(&shard) < listed.last();
        for shard in leases.keys().filter(|shard| is_gone(shard)).cloned().collect::<Vec<_>>() {
            let request = self.client.delete_item().table_name(&self.table).key(KEY, text(&shard));
            request.send().await.map_err(|error| describe(SERVICE, &error))?;
            leases.remove(&shard);
        }
        Ok(())
    }

    /// The leases that nobody keeps up, and those that another process has kept up while this one looked.
    fn look(&self, leases: &BTreeMap<String, Lease>) -> (BTreeSet<String>, BTreeSet<String>) {
        let mut seen = lock(&self.seen);
        seen.retain(|shard, _| leases.contains_key(shard));
        let (mut free, mut of_others) = (BTreeSet::new(), BTreeSet::new());
        for lease in leases.values() {
            let fresh = Seen { counter: lease.counter, since: Instant::now(), has_moved: false };
            let seen = seen.entry(lease.shard.clone()).or_insert(fresh);
            if seen.counter != lease.counter {
                *seen = Seen { has_moved: true, ..fresh };
            }
            if lease.owner.is_none() || seen.since.elapsed() >= self.lifetime {
                free.insert(lease.shard.clone());
            } else if seen.has_moved && lease.owner.as_ref() != Some(&self.owner) {
                of_others.insert(lease.shard.clone());
            }
        }
        (free, of_others)
    }

    /// What this process should take: as many shards as each should have, those that are free first, else one of
    /// the process that has the most, if that has two more. A shard at its end is nobody's.
    fn wanted(&self, leases: &BTreeMap<String, Lease>, free: &BTreeSet<String>) -> Vec<String> {
        let open: Vec<&Lease> = leases.values().filter(|lease| lease.checkpoint != Checkpoint::End).collect();
        let mut loads: BTreeMap<&str, Vec<&str>> = BTreeMap::from([(self.owner.as_str(), Vec::new())]);
        for lease in &open {
            if let Some(owner) =
                lease.owner.as_deref().filter(|&owner| owner == self.owner || !free.contains(&lease.shard))
            {
                loads.entry(owner).or_default().push(&lease.shard);
            }
        }
        let own = loads[self.owner.as_str()].len();
        let missing = open.len().div_ceil(loads.len()).saturating_sub(own);
        let mut wanted: Vec<String> = open
            .iter()
            .filter(|lease| free.contains(&lease.shard) && lease.owner.as_ref() != Some(&self.owner))
            .map(|lease| lease.shard.clone())
            .collect();
        // Lest all go for the same ones.
        let order = RandomState::new();
        wanted.sort_by_cached_key(|shard| order.hash_one(shard));
        wanted.truncate(missing);
        let most = loads.iter().filter(|(owner, _)| **owner != self.owner).max_by_key(|(_, shards)| shards.len());
        if let Some((_, shards)) = most.filter(|(_, shards)| wanted.is_empty() && shards.len() >= own + 2) {
            wanted.extend(shards.first().map(|shard| (*shard).to_owned()));
        }
        wanted
    }

    /// Takes a lease, or renews it, and reads it again: its owner may have kept a checkpoint meanwhile. `false` if
    /// another process has changed the counter since the lease was read.
    async fn take(&self, lease: &mut Lease) -> Result<bool, String> {
        let request =
            self.update(&lease.shard).update_expression("SET #owner = :me, #counter = :next ADD #switches :switches");
        let is_switch = lease.owner.as_ref() != Some(&self.owner);
        let request =
            request.condition_expression("#counter = :counter").expression_attribute_names("#counter", COUNTER);
        let request =
            request.expression_attribute_names("#owner", OWNER).expression_attribute_names("#switches", SWITCHES);
        let request = request.expression_attribute_values(":me", text(&self.owner));
        let request = request.expression_attribute_values(":counter", number(lease.counter));
        let request = request.expression_attribute_values(":next", number(lease.counter + 1));
        let request = request.expression_attribute_values(":switches", number(is_switch.into()));
        let request = request.return_values(ReturnValue::AllNew);
        let request = request.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let item = match request.send().await {
            Ok(answer) => answer.attributes,
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failure)) => failure.item.clone(),
                _ => return Err(describe(SERVICE, &error)),
            },
        };
        // Where the answer to a first attempt was lost, the second one finds what the first has done.
        let is_done = |found: &Lease| found.owner.as_ref() == Some(&self.owner) && found.counter == lease.counter + 1;
        let found = item.as_ref().and_then(Lease::read).filter(is_done);
        let is_taken = found.is_some();
        *lease = found.unwrap_or_else(|| lease.clone());
        Ok(is_taken)
    }

    fn update(&self, shard: &str) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).key(KEY, text(shard))
    }

    fn if_owned(&self, request: UpdateItemFluentBuilder) -> UpdateItemFluentBuilder {
        let request = request.condition_expression("#owner = :me").expression_attribute_names("#owner", OWNER);
        request.expression_attribute_values(":me", text(&self.owner))
    }
}

/// Shards without a lease of which later ones have leases: Kinesis Client Library deletes the lease of a shard that has
/// been read to its end, while Kinesis still lists the shard.
fn finished<'a>(leases: &BTreeMap<String, Lease>, shards: &'a [Shard]) -> BTreeSet<&'a str> {
    let mut finished = BTreeSet::new();
    // Children have higher ids than their parents.
    for shard in shards.iter().rev() {
        if leases.contains_key(&shard.id) || finished.contains(shard.id.as_str()) {
            let parents = shard.parents.iter().filter(|&parent| !leases.contains_key(parent));
            finished.extend(parents.map(String::as_str));
        }
    }
    finished
}

const CONDITION_FAILED: &str = "ConditionalCheckFailedException";

/// Sends an update; `false` if its condition does not hold.
async fn changed(request: UpdateItemFluentBuilder) -> Result<bool, String> {
    match request.send().await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(CONDITION_FAILED) => Ok(false),
        Err(error) => Err(describe(SERVICE, &error)),
    }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

impl Lease {
    fn read(item: &HashMap<String, AttributeValue>) -> Option<Lease> {
        let text = |name| item.get(name)?.as_s().ok().cloned();
        Some(Lease {
            shard: text(KEY)?,
            owner: text(OWNER),
            counter: item.get(COUNTER)?.as_n().ok()?.parse().ok()?,
            checkpoint: text(CHECKPOINT)?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_been_read_before_its_descendants_is_finished() {
        let shard = |id: &str, parents: &[&str]| Shard {
            id: id.into(),
            parents: parents.iter().map(|&parent| parent.into()).collect(),
        };
        let shards = [shard("1", &[]), shard("2", &[]), shard("3", &["1"]), shard("4", &["3"]), shard("5", &["2"])];
        let checkpoint = Checkpoint::Beginning;
        let lease = |id: &str| {
            (id.to_owned(), Lease { shard: id.into(), owner: None, counter: 0, checkpoint: checkpoint.clone() })
        };
        assert_eq!(finished(&BTreeMap::new(), &shards), BTreeSet::new());
        assert_eq!(finished(&BTreeMap::from([lease("4")]), &shards), BTreeSet::from(["1", "3"]));
        assert_eq!(finished(&BTreeMap::from([lease("1"), lease("4")]), &shards), BTreeSet::from(["3"]));
    }
}
