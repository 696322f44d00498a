//! Keeps received messages invisible to others for as long as they are worked on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::ChangeMessageVisibilityBatchRequestEntry;

use super::{MAX_BATCH, MAX_VISIBILITY_SECS, Metrics, describe};
use crate::pump::lock;

/// How often is looked for messages whose time is half over.
const TICK: Duration = Duration::from_millis(500);

/// The right to work on a message.
pub(crate) struct Lease {
    number: u64,
    receipt: String,
}

impl Lease {
    /// What SQS wants to hear of the message.
    pub(crate) fn receipt(&self) -> &str {
        &self.receipt
    }
}

/// All leases of a queue.
pub(crate) struct Leases {
    client: Client,
    url: String,
    visibility: Duration,
    metrics: Arc<Metrics>,
    running: Mutex<HashMap<u64, Running>>,
    numbers: AtomicU64,
    is_forbidden: AtomicBool,
}

struct Running {
    receipt: String,
    received: Instant,
    /// When it was received or extended.
    since: Instant,
    /// SQS refuses to extend it; it may be with somebody else by now.
    is_lost: bool,
}

impl Leases {
    pub(crate) fn new(client: Client, url: String, visibility: Duration, metrics: Arc<Metrics>) -> Leases {
        let (running, numbers, is_forbidden) = Default::default();
        Leases { client, url, visibility, metrics, running, numbers, is_forbidden }
    }

    pub(crate) fn begin(&self, receipt: String) -> Lease {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let received = Instant::now();
        let running = Running { receipt: receipt.clone(), received, since: received, is_lost: false };
        lock(&self.running).insert(number, running);
        self.metrics.in_flight.inc();
        Lease { number, receipt }
    }

    pub(crate) fn end(&self, lease: &Lease) {
        if lock(&self.running).remove(&lease.number).is_some() {
            self.metrics.in_flight.dec();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.running).is_empty()
    }

    /// Makes a message visible again after `delay`. Failing that, its visibility time-out does.
    pub(crate) async fn change(&self, lease: &Lease, delay: Duration) {
        if self.is_forbidden.load(Ordering::Relaxed) {
            return;
        }
        let request = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(&lease.receipt);
        if let Err(error) = request.visibility_timeout(delay.as_secs() as i32).send().await {
            let error = describe("SQS", &error);
            tracing::debug!(error, "a message returns only when its visibility ends");
        }
    }

    /// Makes all messages visible at once.
    pub(crate) async fn return_all(&self) {
        let all: Vec<_> = lock(&self.running)
            .iter()
            .map(|(number, running)| (*number, running.receipt.clone(), Duration::ZERO))
            .collect();
        for batch in all.chunks(MAX_BATCH) {
            self.extend(batch).await;
        }
    }

    /// Extends what runs, for as long as the process does.
    pub(crate) async fn keep(self: Arc<Leases>) {
        while !self.is_forbidden.load(Ordering::Relaxed) {
            tokio::time::sleep(TICK).await;
            let due: Vec<(u64, String, Duration)> = lock(&self.running)
                .iter()
                .filter(|(_, running)| !running.is_lost && running.since.elapsed() >= self.visibility / 2)
                .map(|(number, running)| (*number, running.receipt.clone(), self.extension(running)))
                .collect();
            for batch in due.chunks(MAX_BATCH) {
                self.extend(batch).await;
            }
        }
    }

    /// Until when SQS can be asked to keep it invisible: it has a limit from the receipt on.
    fn extension(&self, running: &Running) -> Duration {
        let most = Duration::from_secs(MAX_VISIBILITY_SECS.into());
        self.visibility.min(most.saturating_sub(running.received.elapsed()))
    }

    async fn extend(&self, batch: &[(u64, String, Duration)]) {
        let asked = Instant::now();
        let entries = batch.iter().map(|(number, receipt, extension)| {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(number.to_string());
            let entry = entry.receipt_handle(receipt).visibility_timeout(extension.as_secs() as i32);
            entry.build().expect("id and receipt are set")
        });
        let request = self.client.change_message_visibility_batch().queue_url(&self.url);
        let answer = match request.set_entries(Some(entries.collect())).send().await {
            Ok(answer) => answer,
            // The least that a reader of a queue is allowed, as in many a policy.
            Err(error) if error.code().is_some_and(|code| code.contains("AccessDenied")) => {
                tracing::warn!(
                    "sqs:ChangeMessageVisibility is not allowed: what takes longer than --visibility-timeout-secs \
                     is delivered again"
                );
                self.is_forbidden.store(true, Ordering::Relaxed);
                return;
            }
            Err(error) => {
                let error = describe("SQS", &error);
                tracing::warn!(error, messages = batch.len(), "not kept invisible; trying again");
                return;
            }
        };
        let mut running = lock(&self.running);
        for extended in answer.successful() {
            self.metrics.visibility_extensions.inc();
            if let Some(running) = extended.id().parse().ok().and_then(|number: u64| running.get_mut(&number)) {
                running.since = asked;
            }
        }
        for failed in answer.failed() {
            let number = failed.id().parse::<u64>().ok();
            if let Some(running) = number.and_then(|number| running.get_mut(&number)) {
                running.is_lost = failed.sender_fault();
                let text = failed.message().unwrap_or_default();
                tracing::warn!(code = failed.code(), text, "a message may be delivered again while it is worked on");
            }
        }
    }
}
