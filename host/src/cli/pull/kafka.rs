//! `vpcflow pull kafka`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

use super::{Environment, PullOptions};
use crate::collect::kafka::Topics;
use crate::kafka::{Property, configuration};

/// Read the records of Kafka topics, and commit the offset of a record when its events are safe
///
/// The value of a record is lines of flow logs, JSON, or a CloudWatch Logs payload, as they are or in gzip,
/// Zstandard or Parquet. Every event is delivered at least once; with --event-id, one that is delivered again has
/// the same id. Any number of processes may be members of the same group.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Brokers to begin with
    #[arg(long, value_name = "HOST:PORT,…", value_parser = NonEmptyStringValueParser::new())]
    brokers: String,

    /// Topic to read; may be given several times
    #[arg(long, value_name = "NAME", required = true, value_parser = NonEmptyStringValueParser::new())]
    topic: Vec<String>,

    /// Consumer group whose offsets are kept
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    group: String,

    /// Take more settings of librdkafka from the lines `name=value` of FILE: TLS, SASL and its secrets
    #[arg(long, value_name = "FILE")]
    kafka_config_file: Option<PathBuf>,

    /// Where to begin in a partition of which the group has no offset, or one that is gone
    #[arg(long, value_name = "WHERE", value_enum, default_value_t = Start::Earliest)]
    start: Start,

    /// End when all partitions that are assigned have been read to their ends; with one topic
    #[arg(long)]
    until_caught_up: bool,

    #[command(flatten)]
    pull: PullOptions,
}

#[derive(Clone, Copy, ValueEnum)]
enum Start {
    /// At the first record that there is
    Earliest,
    /// Behind the last one
    Latest,
}

const EXAMPLES: &str = "\
Examples:
  vpcflow pull kafka --brokers kafka:9092 --topic flow-logs --group vpcflow --event-id > events.ndjson
  vpcflow pull kafka --brokers b-1:9096,b-2:9096 --topic flow-logs --group vpcflow \\
      --kafka-config-file kafka.properties --output /var/lib/vpcflow/events/ --compress zstd

Exit status: 0 when it was told to end, or with --until-caught-up; 2 on an error, such as an output that cannot be
written or a topic that may not be read: what had not been flushed is delivered again.";

/// What librdkafka does by itself otherwise; all of it can be changed.
const DEFAULTS: [Property; 3] = [
    // Members whose partitions stay go on reading them while others come and go.
    ("partition.assignment.strategy", "cooperative-sticky"),
    // What is fetched ahead, over all partitions.
    ("queued.max.messages.kbytes", "32768"),
    ("client.id", "vpcflow"),
];

/// What the guarantees rest upon.
const OWN: [&str; 9] = [
    "group.id",
    "enable.auto.commit",
    "auto.commit.enable",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "enable.partition.eof",
    "offset.store.method",
    "statistics.interval.ms",
    // librdkafka passes over a batch with a wrong checksum.
    "check.crcs",
];

impl Arguments {
    /// Runs the command.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        self.pull.run_to_end(async |environment| self.open(environment))
    }

    fn open(&self, environment: Environment) -> anyhow::Result<Topics> {
        // librdkafka tells the number of a partition that ends, and not its topic.
        anyhow::ensure!(!self.until_caught_up || self.topic.len() == 1, "--until-caught-up reads one topic");
        let mut config = configuration(&self.brokers, &DEFAULTS, self.kafka_config_file.as_deref(), &OWN)?;
        config
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("statistics.interval.ms", "1000")
            .set(
                "auto.offset.reset",
                match self.start {
                    Start::Earliest => "earliest",
                    Start::Latest => "latest",
                },
            );
        let Environment { metrics, stop, workers, .. } = environment;
        tracing::info!(topics = self.topic.join(","), group = self.group, workers, "receiving");
        Topics::open(&config, &self.topic, self.until_caught_up, metrics, stop)
    }
}
