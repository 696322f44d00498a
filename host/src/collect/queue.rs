//! The SQS side: receiving, keeping messages invisible while they are worked on, deleting what has
//! been flushed, returning the rest.

mod lease;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, MessageSystemAttributeName, QueueAttributeName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::keys::KeyFilter;
use super::notification::Notification;
use super::object::{Object, Store};
use super::telemetry::Metrics;
use super::{Failure, Feed, Flushed, Stream, backoff, describe};
use crate::pump::lock;
use lease::{Lease, Leases};

/// The most that SQS gives or takes in one request.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
pub(crate) const MAX_BATCH: usize = 10;
/// The longest that SQS keeps a message invisible, counted from its receipt.
pub(crate) const MAX_VISIBILITY_SECS: u32 = 43_200;
/// A message that failed again and again does not wait longer than this for its next attempt.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(3600);
/// With `until_empty`, failures to receive after which it ends.
const MAX_RECEIVE_FAILURES: u32 = 5;
/// Attempts at deleting what SQS could not delete for the moment.
const MAX_DELETE_ATTEMPTS: u32 = 5;

/// How to receive.
#[derive(Clone, Debug)]
pub(crate) struct QueueSettings {
    pub(crate) visibility: Duration,
    pub(crate) wait: Duration,
    /// Before a message that failed is received again, the first time.
    pub(crate) retry_delay: Duration,
    /// End when the queue is empty.
    pub(crate) until_empty: bool,
    /// Messages that may wait for a worker or be with one.
    pub(crate) max_waiting: usize,
}

/// A message that was received.
pub(crate) struct Message {
    lease: Lease,
    id: String,
    receive_count: u32,
    sent: Option<SystemTime>,
    /// What it announces, as far as the filter lets it through; or what is wrong with it.
    objects: Result<Vec<Object>, String>,
    /// Among those that wait for a worker or are with one.
    place: Option<OwnedSemaphorePermit>,
}

/// A queue.
pub(crate) struct Queue {
    client: Client,
    url: String,
    store: Arc<Store>,
    settings: QueueSettings,
    metrics: Arc<Metrics>,
    leases: Arc<Leases>,
    received: Mutex<mpsc::Receiver<Message>>,
    /// How the receiving ended.
    ended: Arc<OnceLock<Result<(), String>>>,
    stop: CancellationToken,
}

impl Queue {
    /// Looks at the queue and begins to receive from it.
    pub(crate) async fn open(
        client: Client,
        url: String,
        settings: QueueSettings,
        filter: KeyFilter,
        store: Store,
        stop: CancellationToken,
    ) -> Queue {
        let metrics = store.metrics.clone();
        warn_without_redrive(&client, &url).await;
        // A message has its place in `max_waiting` before it is received, so this never fills up.
        let (sender, received) = mpsc::channel(settings.max_waiting);
        let leases = Arc::new(Leases::new(client.clone(), url.clone(), settings.visibility, metrics.clone()));
        tokio::spawn(leases.clone().keep());
        let receiver = Receiver {
            client: client.clone(),
            url: url.clone(),
            settings: settings.clone(),
            filter,
            metrics: metrics.clone(),
            leases: leases.clone(),
            stop: stop.clone(),
        };
        let ended = Arc::new(OnceLock::new());
        let task_ended = ended.clone();
        tokio::spawn(async move {
            let outcome = receiver.receive(&sender).await;
            let _ = task_ended.set(outcome);
            // The end of the feed, at which its outcome must be there.
            drop(sender);
        });
        let received = Mutex::new(received);
        Queue { client, url, store: Arc::new(store), settings, metrics, leases, received, ended, stop }
    }

    /// How long until a message that failed is to be seen again.
    fn retry_delay(&self, message: &Message, failure: &Failure) -> Duration {
        match failure {
            Failure::Stopped => Duration::ZERO,
            // The queue counts: after some receipts it moves the message away.
            Failure::ForGood(_) => self.settings.retry_delay,
            Failure::ForNow(_) => backoff(message.receive_count, self.settings.retry_delay, MAX_RETRY_DELAY),
        }
    }

    async fn delete(&self, messages: &[Flushed<Message>]) {
        let mut left: Vec<&Message> = messages.iter().map(|flushed| &flushed.0).collect();
        for attempt in 0..MAX_DELETE_ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(backoff(attempt, Duration::from_millis(200), Duration::from_secs(5))).await;
            }
            left = self.try_to_delete(left).await;
            if left.is_empty() {
                return;
            }
        }
        tracing::error!(messages = left.len(), "not deleted; they will be delivered again, their events are written");
    }

    /// Gives those for which another attempt may go better.
    async fn try_to_delete<'a>(&self, messages: Vec<&'a Message>) -> Vec<&'a Message> {
        let entries = messages.iter().enumerate().map(|(index, message)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
            entry.receipt_handle(message.lease.receipt()).build().expect("id and receipt are set")
        });
        let request = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries.collect()));
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(messages = messages.len(), error = describe("SQS", &error), "not deleted");
                return messages;
            }
        };
        let acknowledged = messages.len().saturating_sub(answer.failed().len());
        self.metrics.messages.get_or_create(&[("outcome", "acknowledged".into())]).inc_by(acknowledged as u64);
        let mut again = Vec::new();
        for failed in answer.failed() {
            let Some(&message) = failed.id().parse().ok().and_then(|index: usize| messages.get(index)) else {
                continue;
            };
            let (code, text) = (failed.code(), failed.message().unwrap_or_default());
            tracing::warn!(message_id = message.id, code, text, "not deleted");
            // With a receipt that is no longer valid, another attempt would end the same.
            if !failed.sender_fault() {
                again.push(message);
            }
        }
        again
    }
}

impl Feed for Queue {
    type Message = Message;

    fn receive(&self) -> Option<Message> {
        loop {
            let message = lock(&self.received).blocking_recv()?;
            if !self.stop.is_cancelled() {
                return Some(message);
            }
            self.give_back(message, &Failure::Stopped);
        }
    }

    fn streams(&self, message: &Message) -> Result<impl Iterator<Item = Stream>, Failure> {
        let objects = message.objects.as_deref().map_err(|error| Failure::ForGood(error.clone()))?;
        Ok(objects.iter().map(|object| self.store.stream(object)))
    }

    fn acknowledge(&self, messages: Vec<Flushed<Message>>) {
        for batch in messages.chunks(MAX_BATCH) {
            self.store.runtime.block_on(self.delete(batch));
        }
        for Flushed(message) in messages {
            if let Some(age) = message.sent.and_then(|sent| sent.elapsed().ok()) {
                self.metrics.lag_seconds.observe(age.as_secs_f64());
            }
            self.leases.end(&message.lease);
        }
    }

    fn written(&self, message: &mut Message) {
        // Others may come while this one waits for its flush.
        message.place = None;
    }

    async fn abandon(&self) {
        self.leases.return_all().await;
    }

    fn end(&self) -> Result<(), String> {
        self.ended.get().cloned().unwrap_or_else(|| Err("the task that receives has failed".into()))
    }

    fn give_back(&self, message: Message, failure: &Failure) {
        let delay = self.retry_delay(&message, failure);
        let (id, receive_count, retry_secs) = (&message.id, message.receive_count, delay.as_secs());
        let outcome = match failure {
            Failure::Stopped => "returned",
            Failure::ForNow(error) => {
                tracing::warn!(message_id = id, receive_count, retry_secs, error, "left for later");
                "returned"
            }
            Failure::ForGood(error) => {
                tracing::error!(
                    message_id = id,
                    receive_count,
                    retry_secs,
                    error,
                    "left to the queue's redrive policy"
                );
                "failed"
            }
        };
        self.metrics.messages.get_or_create(&[("outcome", outcome.into())]).inc();
        self.leases.end(&message.lease);
        self.store.runtime.block_on(self.leases.change(&message.lease, delay));
    }
}

/// Without such a policy, what cannot be read comes back until its retention ends.
async fn warn_without_redrive(client: &Client, url: &str) {
    let request = client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::RedrivePolicy);
    // Whoever may not ask is not told.
    let Ok(answer) = request.send().await else { return };
    let has_policy = answer.attributes().is_some_and(|all| all.contains_key(&QueueAttributeName::RedrivePolicy));
    if !has_policy {
        tracing::warn!("the queue has no redrive policy: messages that cannot be read will come again and again");
    }
}

/// The task that receives.
struct Receiver {
    client: Client,
    url: String,
    settings: QueueSettings,
    filter: KeyFilter,
    metrics: Arc<Metrics>,
    leases: Arc<Leases>,
    stop: CancellationToken,
}

impl Receiver {
    /// Receives until it is stopped, or the queue is empty. Takes no more than there is place for.
    async fn receive(&self, sender: &mpsc::Sender<Message>) -> Result<(), String> {
        let places = Arc::new(Semaphore::new(self.settings.max_waiting));
        let mut failures = 0;
        while !self.stop.is_cancelled() {
            let first = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                place = places.clone().acquire_owned() => place.map_err(|error| error.to_string())?,
            };
            let more = std::iter::from_fn(|| places.clone().try_acquire_owned().ok());
            let mut free: Vec<_> = std::iter::once(first).chain(more.take(MAX_BATCH - 1)).collect();
            let outcome = tokio::select! {
                biased;
                // What SQS has just given away comes again when its visibility ends.
                () = self.stop.cancelled() => break,
                outcome = self.request(free.len()) => outcome,
            };
            self.metrics.is_ready.store(outcome.is_ok(), Ordering::Relaxed);
            match outcome {
                Ok(messages) => {
                    failures = 0;
                    if messages.is_empty() && self.settings.until_empty && self.leases.is_empty() {
                        break;
                    }
                    for message in messages {
                        let Some(place) = free.pop() else { break };
                        if let Some(message) = self.message(message, place) {
                            let _ = sender.send(message).await;
                        }
                    }
                }
                Err(error) => {
                    failures += 1;
                    if self.settings.until_empty && failures == MAX_RECEIVE_FAILURES {
                        return Err(format!("the queue cannot be received from: {error}"));
                    }
                    let delay = backoff(failures, Duration::from_secs(1), Duration::from_secs(60));
                    tracing::error!(error, retry_secs = delay.as_secs(), "the queue cannot be received from");
                    tokio::select! {
                        () = self.stop.cancelled() => break,
                        () = tokio::time::sleep(delay) => {}
                    }
                }
            }
        }
        Ok(())
    }

    async fn request(&self, count: usize) -> Result<Vec<aws_sdk_sqs::types::Message>, String> {
        let request = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(count as i32)
            .wait_time_seconds(self.settings.wait.as_secs() as i32)
            .visibility_timeout(self.settings.visibility.as_secs() as i32)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        let answer = request.send().await.map_err(|error| describe("SQS", &error))?;
        Ok(answer.messages.unwrap_or_default())
    }

    fn message(&self, message: aws_sdk_sqs::types::Message, place: OwnedSemaphorePermit) -> Option<Message> {
        use MessageSystemAttributeName::{ApproximateReceiveCount, SentTimestamp};
        let attribute = |name| message.attributes()?.get(&name)?.parse::<u64>().ok();
        let objects = Notification::parse(message.body().unwrap_or_default()).map(|notification| match notification {
            Notification::Test => {
                tracing::info!("removing the test message that S3 sends when notifications are set up");
                Vec::new()
            }
            Notification::Objects { created, others } => {
                let announced = created.len();
                let passed: Vec<_> = created.into_iter().filter(|object| self.filter.passes(&object.key)).collect();
                let skipped = others + announced - passed.len();
                self.metrics.objects.get_or_create(&[("outcome", "skipped".into())]).inc_by(skipped as u64);
                passed
            }
        });
        Some(Message {
            lease: self.leases.begin(message.receipt_handle()?.to_owned()),
            id: message.message_id().unwrap_or_default().to_owned(),
            receive_count: attribute(ApproximateReceiveCount).unwrap_or(1).try_into().unwrap_or(u32::MAX),
            sent: attribute(SentTimestamp).map(|millis| UNIX_EPOCH + Duration::from_millis(millis)),
            objects,
            place: Some(place),
        })
    }
}

/// The URL of the queue of this name.
pub(crate) async fn url_of(client: &Client, name: &str) -> anyhow::Result<String> {
    let answer = client.get_queue_url().queue_name(name).send().await;
    let answer = answer.map_err(|error| anyhow::anyhow!(describe("SQS", &error)));
    let url = answer.with_context(|| format!("--queue-name {name}"))?.queue_url;
    url.with_context(|| format!("SQS gives no URL of the queue {name}"))
}
