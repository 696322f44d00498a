//! `vpcflow pull kinesis`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::{Environment, PullOptions};
use crate::collect::kinesis::{FileLedger, Kinesis, Leases, Ledger, StreamSettings};
use crate::collect::sign_in::{SignIn, parse_time, region_of_arn};

/// Read a Kinesis data stream, such as the destination of a log group's subscription filter
///
/// Understands CloudWatch Logs' payloads, plain lines and JSON records, as they are or in gzip. A checkpoint is kept when
/// the events before it are safe: every event is delivered at least once; with --event-id, one that is delivered again
/// has the same id. With --lease-table, any number of processes share the shards.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Name or ARN of the stream
    #[arg(long, value_name = "NAME|ARN", value_parser = NonEmptyStringValueParser::new())]
    stream: String,

    /// Keep in FILE how far each shard has been read; for one process
    #[arg(long, value_name = "FILE", conflicts_with = "lease_table")]
    checkpoint: Option<PathBuf>,

    /// Keep that in this table of DynamoDB, and share the shards with all processes that use it; made if missing. It is
    /// one of the Kinesis Client Library: an application's table can be taken over
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    lease_table: Option<String>,

    /// Time after which others take the shards of a process that has gone
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..=3600))]
    lease_secs: u64,

    /// Of shards that have not been read before, begin with the records of this time: a date, or a time as in
    /// 2024-09-05T16:20:00Z [default: the oldest]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Option<DateTime<Utc>>,

    /// Records that may be in memory, in MiB; one request may give ten
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u16).range(10..=4096))]
    max_waiting_mib: u16,

    /// End when every shard has been read up to the present
    #[arg(long)]
    until_caught_up: bool,

    #[command(flatten)]
    sign_in: SignIn,

    #[command(flatten)]
    pull: PullOptions,
}

const EXAMPLES: &str = "\
Examples:
  vpcflow pull kinesis --stream flow-logs --checkpoint flow-logs.json --output events/
  vpcflow pull kinesis --stream flow-logs --lease-table vpcflow --event-id --schema snare --collected-at now
  vpcflow pull kinesis --config vpcflow.toml

Exit status: 0 when it was told to end, or with --until-caught-up; 2 on an error, such as an output that
cannot be written: what had not been flushed is read again.";

impl Arguments {
    /// Runs the command.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        self.pull.run_to_end(async |environment| self.open(environment).await)
    }

    async fn open(&self, environment: Environment) -> anyhow::Result<Kinesis> {
        let Environment { metrics, stop, workers, .. } = environment;
        let config = self.sign_in.config(region_of_arn(&self.stream)).await?;
        let lease = Duration::from_secs(self.lease_secs);
        let settings = StreamSettings {
            stream: self.stream.clone(),
            from: self.from,
            until_caught_up: self.until_caught_up,
            lease,
            max_bytes: usize::from(self.max_waiting_mib) << 20,
        };
        let ledger = match &self.lease_table {
            Some(table) => {
                let client = aws_sdk_dynamodb::Client::new(&config);
                Ledger::Table(Leases::open(client, table, settings.name(), lease).await?)
            }
            None => Ledger::File(FileLedger::open(self.checkpoint.as_deref(), settings.name())?),
        };
        tracing::info!(stream = settings.name(), workers, "receiving");
        Ok(Kinesis::open(aws_sdk_kinesis::Client::new(&config), settings, ledger, metrics, stop))
    }
}
