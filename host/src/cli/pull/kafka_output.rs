//! Kafka as the place where events go.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use tokio_util::sync::CancellationToken;

use super::output::DESTINATION;
use crate::kafka::{Property, configuration};
use crate::sink::KafkaSink;

/// Where to, and how.
#[derive(Args)]
pub(super) struct KafkaOutputOptions {
    /// Produce the events to a topic of these brokers, each as one record
    #[arg(long, value_name = "HOST:PORT,…", value_parser = NonEmptyStringValueParser::new(),
        requires = "kafka_output_topic", group = DESTINATION)]
    kafka_output_brokers: Option<String>,

    /// The topic
    #[arg(long, value_name = "NAME", requires = "kafka_output_brokers", value_parser = NonEmptyStringValueParser::new())]
    kafka_output_topic: Option<String>,

    /// Take the record's key from this member of the event, such as `event.id`: equal keys share a partition
    /// [default: no key]
    #[arg(long, value_name = "MEMBER", requires = "kafka_output_brokers", value_parser = NonEmptyStringValueParser::new())]
    kafka_output_key: Option<String>,

    /// Take more settings of librdkafka from the lines `name=value` of FILE: TLS, SASL and its secrets
    #[arg(long, value_name = "FILE", requires = "kafka_output_brokers")]
    kafka_output_config_file: Option<PathBuf>,
}

/// What librdkafka does by itself otherwise; all of it can be changed.
const DEFAULTS: [Property; 4] = [
    // Events are ten times their size.
    ("compression.type", "lz4"),
    // What waits for the brokers: when it is full, the source waits.
    ("queue.buffering.max.kbytes", "65536"),
    // As Java's producers place their keys.
    ("partitioner", "murmur2_random"),
    ("client.id", "vpcflow"),
];

/// What the guarantees rest upon.
const OWN: [&str; 10] = [
    "enable.idempotence",
    "acks",
    "request.required.acks",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "retries",
    "message.send.max.retries",
    "transactional.id",
    "enable.gapless.guarantee",
    "delivery.report.only.error",
];

impl KafkaOutputOptions {
    /// The sink, if it was asked for.
    pub(super) fn open(&self, abort: CancellationToken) -> anyhow::Result<Option<KafkaSink>> {
        let (Some(brokers), Some(topic)) = (&self.kafka_output_brokers, &self.kafka_output_topic) else {
            return Ok(None);
        };
        let mut config = configuration(brokers, &DEFAULTS, self.kafka_output_config_file.as_deref(), &OWN)?;
        // Each event once and in its order, on all replicas that are in sync; it is tried for as long as it takes.
        config.set("enable.idempotence", "true").set("acks", "all").set("message.timeout.ms", "0");
        Ok(Some(KafkaSink::open(&config, topic, self.kafka_output_key.as_deref(), abort)?))
    }
}
