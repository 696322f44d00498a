//! A log group of CloudWatch Logs, by `FilterLogEvents`: all log streams, one window of time after the other.
//!
//! That request knows the time of an event, and not when it came in; flow logs come in some minutes late. So a window is
//! read once it is old enough for everything to be there, and then once. Each page is handed on as the payload that a
//! subscription would have delivered, so that the same event has the same id on both ways.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Context, bail};
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::error::ProvideErrorMetadata;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;
use aws_sdk_cloudwatchlogs::types::{FilteredLogEvent, LogGroup};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::checkpoint_file::CheckpointFile;
use super::in_order::InOrder;
use super::telemetry::Metrics;
use super::{Content, Failure, Feed, Flushed, Stream, backoff, describe};
use crate::pump::lock;

/// The longest window; a checkpoint is kept at the end of each.
const MAX_WINDOW: TimeDelta = TimeDelta::hours(1);
/// The shortest, and so how often there is one.
const MIN_WINDOW: TimeDelta = TimeDelta::seconds(10);

/// A log group, and what of it.
#[derive(Clone, Debug)]
pub(crate) struct GroupSettings {
    /// Its name, or its ARN.
    pub(crate) log_group: String,
    /// Only log streams whose name begins so.
    pub(crate) stream_prefix: Option<String>,
    /// Without a checkpoint, events from this time on.
    pub(crate) from: Option<DateTime<Utc>>,
    /// How old events are when they are read.
    pub(crate) delay: Duration,
    /// End when the log group has been read up to the present, less the delay.
    pub(crate) until_caught_up: bool,
}

/// How far a log group has been read.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checkpoint {
    log_group: String,
    /// Of its log streams, only those whose name begins so.
    #[serde(default)]
    stream_prefix: Option<String>,
    /// Every event from before this time has been read.
    before: DateTime<Utc>,
}

/// What one request gave.
pub(crate) struct Message {
    /// `None` at the end of a window.
    page: Option<Bytes>,
    origin: String,
    number: u64,
    /// The time of its newest event.
    newest: Option<DateTime<Utc>>,
}

/// A log group.
pub(crate) struct CloudWatch {
    log_group: String,
    stream_prefix: Option<String>,
    checkpoint: CheckpointFile,
    in_hand: Arc<Mutex<InOrder<DateTime<Utc>>>>,
    received: Mutex<mpsc::Receiver<Message>>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    /// How the reading ended.
    ended: Arc<OnceLock<Result<(), String>>>,
    /// Why a message could not be read.
    failure: OnceLock<String>,
}

impl CloudWatch {
    /// Reads the checkpoint, if there is one, and begins to read.
    pub(crate) async fn open(
        client: Client,
        settings: GroupSettings,
        checkpoint: Option<&Path>,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> anyhow::Result<CloudWatch> {
        let (log_group, stream_prefix) = (settings.log_group.clone(), settings.stream_prefix.clone());
        let group = look_up(&client, &log_group).await?;
        let checkpoint = CheckpointFile::open(checkpoint)?;
        let begin = match read_checkpoint(&checkpoint, &settings)? {
            Some(before) => before,
            // Flow logs may tell of times shortly before their log group.
            None => settings.from.unwrap_or_else(|| created(group.as_ref()) - TimeDelta::days(1)),
        };
        // No event is from before, and CloudWatch Logs refuses to look for one.
        let begin = begin.max(DateTime::UNIX_EPOCH);
        let in_hand = Arc::new(Mutex::new(InOrder::default()));
        let (sender, received) = mpsc::channel(1);
        let arn = if is_arn(&log_group) { Some(&*log_group) } else { group.as_ref().and_then(LogGroup::arn) };
        let owner = arn.and_then(|arn| arn.split(':').nth(4)).unwrap_or_default().to_owned();
        let reader = Reader {
            client,
            settings,
            owner,
            in_hand: in_hand.clone(),
            metrics: metrics.clone(),
            stop: stop.clone(),
            sender,
        };
        let ended = Arc::new(OnceLock::new());
        let (task_ended, task_stop) = (ended.clone(), stop.clone());
        let failure = OnceLock::new();
        let feed = CloudWatch {
            log_group,
            stream_prefix,
            checkpoint,
            in_hand,
            received: Mutex::new(received),
            metrics,
            stop,
            ended,
            failure,
        };
        // Before anything is read that would have to be read again.
        feed.save(begin).with_context(|| format!("--checkpoint {}", feed.checkpoint))?;
        tokio::spawn(async move {
            let outcome = tokio::select! {
                () = task_stop.cancelled() => Ok(()),
                outcome = reader.read(begin) => outcome,
            };
            let _ = task_ended.set(outcome);
            // The end of the feed, at which its outcome must be there.
            drop(reader);
        });
        Ok(feed)
    }

    fn save(&self, before: DateTime<Utc>) -> io::Result<()> {
        let (log_group, stream_prefix) = (self.log_group.clone(), self.stream_prefix.clone());
        self.checkpoint.write(|| serde_json::to_vec_pretty(&Checkpoint { log_group, stream_prefix, before }))
    }
}

impl Feed for CloudWatch {
    type Message = Message;

    fn receive(&self) -> Option<Message> {
        lock(&self.received).blocking_recv().filter(|_| !self.stop.is_cancelled())
    }

    fn streams(&self, message: &Message) -> Result<impl Iterator<Item = Stream>, Failure> {
        let origin = message.origin.clone();
        Ok(message
            .page
            .iter()
            .map(move |page| Stream { origin: origin.clone(), content: Content::Bytes(page.clone()) }))
    }

    fn acknowledge(&self, messages: Vec<Flushed<Message>>) {
        let mut last = None;
        for Flushed(message) in &messages {
            last = lock(&self.in_hand).end(message.number).or(last);
            if let Some(age) = message.newest.and_then(|newest| (Utc::now() - newest).to_std().ok()) {
                self.metrics.lag_seconds.observe(age.as_secs_f64());
            }
        }
        self.metrics.messages.get_or_create(&[("outcome", "acknowledged".into())]).inc_by(messages.len() as u64);
        // Without it, the next run does more than it need to, and loses nothing.
        if let Some(Err(error)) = last.map(|before| self.save(before)) {
            tracing::error!(path = %self.checkpoint, %error, "the checkpoint cannot be written");
        }
    }

    fn give_back(&self, _: Message, failure: &Failure) {
        // Whoever goes on from the checkpoint reads it again.
        if !matches!(failure, Failure::Stopped) {
            tracing::error!(error = %failure, "ending; what has not been flushed is read again");
            let _ = self.failure.set(failure.to_string());
            self.stop.cancel();
        }
        self.metrics.messages.get_or_create(&[("outcome", "returned".into())]).inc();
    }

    fn end(&self) -> Result<(), String> {
        self.failure.get().map_or(Ok(()), |failure| Err(failure.clone()))?;
        self.ended.get().cloned().unwrap_or_else(|| Err("the task that reads the log group has failed".into()))
    }
}

fn read_checkpoint(file: &CheckpointFile, settings: &GroupSettings) -> anyhow::Result<Option<DateTime<Utc>>> {
    let Some(checkpoint) = file.read::<Checkpoint>()? else { return Ok(None) };
    if checkpoint.log_group != settings.log_group {
        bail!("{file} is the checkpoint of another log group: {}", checkpoint.log_group);
    }
    if checkpoint.stream_prefix != settings.stream_prefix {
        let streams = checkpoint.stream_prefix.map_or("all".into(), |prefix| format!("those of the prefix {prefix}"));
        bail!("{file} is the checkpoint of other log streams: {streams}");
    }
    Ok(Some(checkpoint.before))
}

fn is_arn(log_group: &str) -> bool {
    log_group.starts_with("arn:")
}

/// What is known of the log group: nothing where this may not be asked, or of a linked account's.
async fn look_up(client: &Client, log_group: &str) -> anyhow::Result<Option<LogGroup>> {
    let name = log_group.rsplit(":log-group:").next().unwrap_or(log_group);
    let mut groups = client.describe_log_groups().log_group_name_prefix(name).into_paginator().items().send();
    while let Some(group) = groups.next().await {
        match group {
            Ok(group) if group.log_group_name() == Some(name) => {
                let arn = group.arn().map(|arn| arn.strip_suffix(":*").unwrap_or(arn));
                return Ok(Some(group.clone()).filter(|_| !is_arn(log_group) || arn == Some(log_group)));
            }
            Ok(_) => {}
            Err(error) if error.code() == Some("AccessDeniedException") => {
                let error = describe("CloudWatch Logs", &error);
                let effect =
                    "begins with the oldest event; of a log group by its name, event ids go without the account";
                tracing::warn!(error, effect, "the log group cannot be looked up");
                return Ok(None);
            }
            // Without the account, an event would have another id than the next time.
            Err(error) => bail!(describe("CloudWatch Logs", &error)),
        }
    }
    if !is_arn(log_group) {
        bail!("there is no log group {name}");
    }
    Ok(None)
}

fn created(group: Option<&LogGroup>) -> DateTime<Utc> {
    group.and_then(LogGroup::creation_time).and_then(DateTime::from_timestamp_millis).unwrap_or(DateTime::UNIX_EPOCH)
}

/// The task that reads.
struct Reader {
    client: Client,
    settings: GroupSettings,
    /// The account of the log group, or nothing.
    owner: String,
    in_hand: Arc<Mutex<InOrder<DateTime<Utc>>>>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    sender: mpsc::Sender<Message>,
}

impl Reader {
    /// Reads window after window.
    async fn read(&self, begin: DateTime<Utc>) -> Result<(), String> {
        let mut begin = begin;
        loop {
            let settled = Utc::now() - TimeDelta::from_std(self.settings.delay).unwrap_or(TimeDelta::MAX);
            // From the beginning of time there is no end of empty windows.
            let longest = if begin <= DateTime::UNIX_EPOCH { settled } else { begin + MAX_WINDOW };
            let end = settled.min(longest);
            if end - begin >= MIN_WINDOW {
                self.read_window(begin, end).await?;
                begin = end;
            } else if self.settings.until_caught_up {
                return if end > begin { self.read_window(begin, end).await } else { Ok(()) };
            } else {
                tokio::time::sleep((begin + MIN_WINDOW - end).to_std().unwrap_or_default()).await;
            }
        }
    }

    /// Reads all pages of a window; `end` is no longer in it.
    async fn read_window(&self, begin: DateTime<Utc>, end: DateTime<Utc>) -> Result<(), String> {
        let mut token = None;
        loop {
            let page = self.page(begin, end, token.as_deref()).await?;
            for (origin, payload, newest) in self.payloads(page.events()) {
                self.send(Some(payload), origin, Some(newest), begin).await;
            }
            token = page.next_token;
            if token.is_none() {
                self.send(None, String::new(), None, end).await;
                return Ok(());
            }
        }
    }

    async fn page(
        &self,
        begin: DateTime<Utc>,
        end: DateTime<Utc>,
        token: Option<&str>,
    ) -> Result<FilterLogEventsOutput, String> {
        let name = Some(self.settings.log_group.clone());
        let (name, arn) = if is_arn(&self.settings.log_group) { (None, name) } else { (name, None) };
        let mut failures = 0;
        loop {
            let request = self.client.filter_log_events().set_log_group_name(name.clone());
            let request = request.set_log_group_identifier(arn.clone());
            let request = request.set_log_stream_name_prefix(self.settings.stream_prefix.clone());
            // Both are in it.
            let request = request.start_time(begin.timestamp_millis()).end_time(end.timestamp_millis() - 1);
            let outcome = request.set_next_token(token.map(str::to_owned)).send().await;
            self.metrics.is_ready.store(outcome.is_ok(), Ordering::Relaxed);
            match outcome {
                Ok(page) => return Ok(page),
                Err(error) if error.code() == Some("ResourceNotFoundException") => {
                    return Err(describe("CloudWatch Logs", &error));
                }
                Err(error) => {
                    failures += 1;
                    self.metrics.retries.inc();
                    let delay = backoff(failures, Duration::from_secs(1), Duration::from_secs(60));
                    let error = describe("CloudWatch Logs", &error);
                    tracing::warn!(error, failures, retry_secs = delay.as_secs(), "no events can be had");
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }

    /// Events as a subscription delivers them: those of one log stream together.
    fn payloads(&self, events: &[FilteredLogEvent]) -> Vec<(String, Bytes, DateTime<Utc>)> {
        let log_group = self.settings.log_group.rsplit(":log-group:").next().unwrap_or_default();
        let mut streams: BTreeMap<&str, Vec<LogEvent<'_>>> = BTreeMap::new();
        for event in events {
            let entry = LogEvent {
                id: event.event_id().unwrap_or_default(),
                timestamp: event.timestamp().unwrap_or_default(),
                message: event.message().unwrap_or_default(),
            };
            streams.entry(event.log_stream_name().unwrap_or_default()).or_default().push(entry);
        }
        let payload = |(log_stream, log_events): (&str, Vec<LogEvent<'_>>)| {
            let newest = log_events.iter().map(|event| event.timestamp).max().unwrap_or_default();
            let newest = DateTime::from_timestamp_millis(newest).unwrap_or_default();
            let payload =
                Payload { message_type: "DATA_MESSAGE", owner: &self.owner, log_group, log_stream, log_events };
            let bytes = serde_json::to_vec(&payload).expect("a payload can be written as JSON");
            self.metrics.read_bytes.inc_by(bytes.len() as u64);
            (format!("cloudwatch://{log_group}:{log_stream}"), bytes.into(), newest)
        };
        streams.into_iter().map(payload).collect()
    }

    async fn send(
        &self,
        page: Option<Bytes>,
        origin: String,
        newest: Option<DateTime<Utc>>,
        done_before: DateTime<Utc>,
    ) {
        let number = lock(&self.in_hand).begin(done_before);
        // Fails only when nobody receives any more.
        if self.sender.send(Message { page, origin, number, newest }).await.is_err() {
            self.stop.cancel();
        }
    }
}

/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html>
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    message_type: &'static str,
    owner: &'a str,
    log_group: &'a str,
    log_stream: &'a str,
    log_events: Vec<LogEvent<'a>>,
}

#[derive(Serialize)]
struct LogEvent<'a> {
    id: &'a str,
    timestamp: i64,
    message: &'a str,
}
