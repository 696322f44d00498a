//! The `_bulk` interface of Elasticsearch and OpenSearch. Every event is created under its own id, so
//! that one that is sent again is there once.
//!
//! Events are gathered to a batch (`batch`), which is sent beside others (`client`) until each of its
//! documents is there or refused (`answer`). What this does not do: it makes no index and no template.

mod answer;
mod batch;
mod client;

use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinSet};

use super::Sink;
use crate::reject::Refusal;
use batch::Gathering;

pub(crate) use client::{Client, ClientSettings};

/// What is sent, by what became of it.
#[derive(Clone, Default)]
pub(crate) struct Counters {
    /// `answered`, `busy`, `failed`, `too-large`.
    requests: Family<[(&'static str, &'static str); 1], Counter>,
    /// `created`, `present`, `refused`, `sent-again`.
    documents: Family<[(&'static str, &'static str); 1], Counter>,
    sent_bytes: Counter,
}

impl Counters {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let requests = self.requests.clone();
        registry.register("elasticsearch_requests", "Requests to Elasticsearch by outcome", requests);
        let documents = self.documents.clone();
        registry.register("elasticsearch_documents", "Documents for Elasticsearch by outcome", documents);
        let bytes = self.sent_bytes.clone();
        registry.register_with_unit("elasticsearch_sent", "Bytes of requests to Elasticsearch", Unit::Bytes, bytes);
    }

    fn request(&self, outcome: &'static str) {
        self.requests.get_or_create(&[("outcome", outcome)]).inc();
    }

    fn documents(&self, outcome: &'static str, count: usize) {
        self.documents.get_or_create(&[("outcome", outcome)]).inc_by(count as u64);
    }
}

/// Sends batches, several at a time. It holds as many, and the one that is being gathered.
pub(crate) struct ElasticsearchSink {
    client: Arc<Client>,
    runtime: Handle,
    max_requests: usize,
    gathering: Gathering,
    requests: JoinSet<io::Result<Vec<Refusal>>>,
    refused: Vec<Refusal>,
}

impl ElasticsearchSink {
    /// Within the runtime that makes the requests.
    pub(crate) fn open(client: Client, max_requests: usize) -> ElasticsearchSink {
        ElasticsearchSink {
            client: Arc::new(client),
            runtime: Handle::current(),
            max_requests,
            gathering: Gathering::default(),
            requests: JoinSet::new(),
            refused: Vec::new(),
        }
    }

    /// Sends what has been gathered, as soon as there is room for another request.
    fn send(&mut self) -> io::Result<()> {
        let batch = mem::take(&mut self.gathering).finish();
        if batch.is_empty() {
            return Ok(());
        }
        self.wait(self.max_requests - 1)?;
        let client = self.client.clone();
        self.requests.spawn_on(async move { client.deliver(batch).await }, &self.runtime);
        Ok(())
    }

    /// Waits until no more than so many batches are on their way.
    fn wait(&mut self, most: usize) -> io::Result<()> {
        while let Some(ended) = self.requests.try_join_next() {
            self.take(ended)?;
        }
        while self.requests.len() > most {
            let Some(ended) = self.runtime.block_on(self.requests.join_next()) else { break };
            self.take(ended)?;
        }
        Ok(())
    }

    fn take(&mut self, ended: Result<io::Result<Vec<Refusal>>, JoinError>) -> io::Result<()> {
        self.refused.extend(ended.map_err(io::Error::other)??);
        Ok(())
    }
}

impl Sink for ElasticsearchSink {
    fn prepare(&mut self) -> io::Result<()> {
        self.runtime.block_on(self.client.wait_for_server())
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            if self.gathering.bytes_with(line) > self.client.batch_bytes() {
                self.send()?;
            }
            self.gathering.add(line)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()?;
        self.wait(0)
    }

    fn refused(&mut self) -> Vec<Refusal> {
        mem::take(&mut self.refused)
    }

    fn flush_interval(&self) -> Duration {
        // Elasticsearch, too, shows new documents once a second.
        Duration::from_secs(1)
    }
}
