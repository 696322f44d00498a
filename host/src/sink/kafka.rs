//! A topic of Kafka's, to which every event goes as a record of its own.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, Producer, ProducerContext, PurgeConfig, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, ClientContext};
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::Sink;
use crate::kafka::{Log, create, is_for_good};
use crate::pump::lock;
use crate::reject::Refusal;

/// How often a wait looks whether the process is to end.
const TICK: Duration = Duration::from_millis(100);

/// Produces to a topic. What has been flushed is on all replicas that are in sync.
pub struct KafkaSink {
    producer: ThreadedProducer<Context>,
    reports: Arc<Reports>,
    topic: String,
    /// The members that lead to the key.
    key: Option<Vec<String>>,
    abort: CancellationToken,
    refused: Vec<Refusal>,
}

/// What the brokers have said.
#[derive(Default)]
struct Reports {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Events of which nothing has been heard.
    open: usize,
    /// Events that were refused, and what was said.
    refused: Vec<(RDKafkaErrorCode, Vec<u8>)>,
    /// Why nothing more is to be had from the brokers.
    failure: Option<String>,
}

struct Context {
    reports: Arc<Reports>,
    log: Log,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.log.line(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(code) if is_for_good(code) => self.reports.fail(format!("{error}: {reason}")),
            _ => self.log.warn(&format!("{error}: {reason}")),
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut state = lock(&self.reports.state);
        state.open -= 1;
        if let Err((error, message)) = result {
            match error.rdkafka_error_code() {
                Some(code) if is_about_the_event(code) => {
                    state.refused.push((code, message.payload().unwrap_or_default().to_vec()));
                }
                _ => {
                    state.failure.get_or_insert(error.to_string());
                }
            }
        }
        if state.open == 0 || state.failure.is_some() {
            self.reports.changed.notify_all();
        }
    }
}

/// Whether the brokers do not want an event itself, or one that came in the same batch.
fn is_about_the_event(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{InvalidDifferentRecord, InvalidMessageSize, InvalidRecord, MessageSizeTooLarge};
    matches!(code, MessageSizeTooLarge | InvalidRecord | InvalidDifferentRecord | InvalidMessageSize)
}

impl Reports {
    fn fail(&self, error: String) {
        lock(&self.state).failure.get_or_insert(error);
        self.changed.notify_all();
    }
}

impl KafkaSink {
    /// Connects when there is something to be produced. `key` leads to a member of the events, by way of dots;
    /// `abort` ends all waiting, as an error.
    pub(crate) fn open(
        config: &ClientConfig,
        topic: &str,
        key: Option<&str>,
        abort: CancellationToken,
    ) -> anyhow::Result<KafkaSink> {
        let reports = Arc::<Reports>::default();
        let context = Context { reports: reports.clone(), log: Log::new() };
        let producer = create(config, context)?;
        let key = key.map(|key| key.split('.').map(str::to_owned).collect());
        Ok(KafkaSink { producer, reports, topic: topic.to_owned(), key, abort, refused: Vec::new() })
    }

    fn produce(&mut self, event: &[u8]) -> io::Result<()> {
        let key = self.key.as_deref().and_then(|path| member(event, path));
        lock(&self.reports.state).open += 1;
        loop {
            let mut record = BaseRecord::to(&self.topic).payload(event);
            if let Some(key) = &key {
                record = record.key(key.as_bytes());
            }
            let error = match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, _)) => error,
            };
            match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => {
                    self.check()?;
                    // The thread that polls makes room.
                    std::thread::sleep(Duration::from_millis(5));
                }
                Some(code) => {
                    lock(&self.reports.state).open -= 1;
                    if !is_about_the_event(code) {
                        return Err(io::Error::other(format!("Kafka: {error}")));
                    }
                    self.refuse(code, event);
                    return Ok(());
                }
                None => return Err(io::Error::other(format!("Kafka: {error}"))),
            }
        }
    }

    /// Waits until the brokers have said what has become of all events.
    fn wait(&self) -> io::Result<()> {
        loop {
            let state = lock(&self.reports.state);
            let is_waiting = |state: &mut State| state.open > 0 && state.failure.is_none();
            let waited = self.reports.changed.wait_timeout_while(state, TICK, is_waiting);
            let is_done = waited.is_ok_and(|(state, _)| state.open == 0);
            self.check()?;
            if is_done {
                return Ok(());
            }
        }
    }

    /// Fails if there is no sense in waiting.
    fn check(&self) -> io::Result<()> {
        if let Some(failure) = &lock(&self.reports.state).failure {
            return Err(io::Error::other(format!("Kafka: {failure}")));
        }
        match self.abort.is_cancelled() {
            true => Err(io::Error::other("Kafka: ended while the brokers had not taken all events")),
            false => Ok(()),
        }
    }

    fn refuse(&mut self, code: RDKafkaErrorCode, event: &[u8]) {
        self.refused.push(Refusal {
            destination: self.topic.clone(),
            reason: Refusal::REASON,
            found: code.to_string(),
            event: String::from_utf8_lossy(event).into_owned(),
        });
    }
}

impl Sink for KafkaSink {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        for event in lines.split(|&byte| byte == b'\n').filter(|event| !event.is_empty()) {
            self.produce(event)?;
        }
        self.check()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wait()?;
        // A batch is refused as a whole: alone, most of its events are taken.
        let together = std::mem::take(&mut lock(&self.reports.state).refused);
        for (_, event) in together {
            self.produce(&event)?;
            self.wait()?;
            let alone = std::mem::take(&mut lock(&self.reports.state).refused);
            if self.key.is_none() && alone.iter().any(|(code, _)| *code == RDKafkaErrorCode::InvalidRecord) {
                // What would be so for every event must not empty the source into the rejects.
                let error = "the topic takes no record without a key (--kafka-output-key), or none of this form";
                return Err(io::Error::other(format!("Kafka: {}: {error}", RDKafkaErrorCode::InvalidRecord)));
            }
            alone.iter().for_each(|(code, event)| self.refuse(*code, event));
        }
        Ok(())
    }

    fn refused(&mut self) -> Vec<Refusal> {
        std::mem::take(&mut self.refused)
    }

    fn flush_interval(&self) -> Duration {
        // Each costs a round trip.
        Duration::from_millis(20)
    }
}

impl Drop for KafkaSink {
    fn drop(&mut self) {
        // Nobody waits for it any more, and it will come again.
        Producer::<Context, NoCustomPartitioner>::purge(&self.producer, PurgeConfig::default().queue().inflight());
    }
}

/// The text of a member of a JSON object, or the JSON of what is no text.
fn member(object: &[u8], path: &[String]) -> Option<String> {
    let (first, rest) = path.split_first()?;
    let members: HashMap<String, &RawValue> = serde_json::from_slice(object).ok()?;
    let value = members.get(first)?.get();
    match rest {
        [] if value == "null" => None,
        [] => Some(serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned())),
        _ => member(value.as_bytes(), rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_text_of_a_member() {
        let event = br#"{"a": {"b": "x\ty", "c": [1, 2], "n": null}, "d": 7}"#;
        let key = |path: &str| member(event, &path.split('.').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(key("a.b").as_deref(), Some("x\ty"));
        assert_eq!(key("a.c").as_deref(), Some("[1, 2]"));
        assert_eq!(key("d").as_deref(), Some("7"));
        assert_eq!((key("a.n"), key("a.b.c"), key("e"), key("d.e")), (None, None, None, None));
    }
}
