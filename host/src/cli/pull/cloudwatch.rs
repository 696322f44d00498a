//! `vpcflow pull cloudwatch`.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use chrono::{DateTime, Utc};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use tokio::runtime::Runtime;

use super::{Environment, PullOptions};
use crate::collect::cloudwatch::{CloudWatch, GroupSettings};
use crate::collect::flow_log_format::formats;
use crate::collect::sign_in::{SignIn, parse_time, region_of_arn};

/// Read a log group of CloudWatch Logs, all its log streams
///
/// Reads each event once it is as old as --delay-secs, since flow logs come in late and CloudWatch Logs cannot tell what
/// has come in since it was asked last. For events at once, there are subscription filters and `pull kinesis`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Name or ARN of the log group
    #[arg(long, value_name = "NAME|ARN", value_parser = NonEmptyStringValueParser::new())]
    log_group: String,

    /// Read only log streams whose name begins so
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    log_stream_prefix: Option<String>,

    /// Keep in FILE up to which time everything has been read
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,

    /// Without a checkpoint, begin with the events of this time: a date, or a time as in 2024-09-05T16:20:00Z
    /// [default: a day before the log group was made]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Option<DateTime<Utc>>,

    /// Age at which an event is read; one that comes in later is not
    #[arg(long, value_name = "SECONDS", default_value_t = 1200, value_parser = clap::value_parser!(u64).range(0..=86400))]
    delay_secs: u64,

    /// End when everything has been read that is old enough
    #[arg(long)]
    until_caught_up: bool,

    #[command(flatten)]
    sign_in: SignIn,

    #[command(flatten)]
    pull: PullOptions,
}

const EXAMPLES: &str = "\
Examples:
  vpcflow pull cloudwatch --log-group /aws/vpc/flowlogs --checkpoint flowlogs.json --output events/
  vpcflow pull cloudwatch --log-group /aws/vpc/flowlogs --from 2024-09-01 --until-caught-up > events.ndjson

Exit status: 0 when it was told to end, or with --until-caught-up; 2 on an error, such as an output that
cannot be written: what had not been flushed is read again.";

impl Arguments {
    /// Runs the command.
    pub(super) fn run(mut self) -> anyhow::Result<ExitCode> {
        self.pull.telemetry.start_logging(io::stderr);
        let format = &mut self.pull.transform.events.format;
        if format.is_none() {
            *format = Runtime::new()?.block_on(find_format(&self.sign_in, &self.log_group))?;
        }
        self.pull.run_to_end(async |environment| self.open(environment).await)
    }

    async fn open(&self, environment: Environment) -> anyhow::Result<CloudWatch> {
        let Environment { metrics, stop, workers, .. } = environment;
        let config = self.sign_in.config(region_of_arn(&self.log_group)).await?;
        let settings = GroupSettings {
            log_group: without_streams(&self.log_group).into(),
            stream_prefix: self.log_stream_prefix.clone(),
            from: self.from,
            delay: Duration::from_secs(self.delay_secs),
            until_caught_up: self.until_caught_up,
        };
        tracing::info!(log_group = settings.log_group, workers, "receiving");
        let client = aws_sdk_cloudwatchlogs::Client::new(&config);
        CloudWatch::open(client, settings, self.checkpoint.as_deref(), metrics, stop).await
    }
}

/// The format of the flow logs that deliver to the log group, if they tell one; nothing rests upon it otherwise.
async fn find_format(sign_in: &SignIn, log_group: &str) -> anyhow::Result<Option<String>> {
    let config = sign_in.config(region_of_arn(log_group)).await?;
    let name = without_streams(log_group).rsplit(':').next().unwrap_or_default();
    let formats = match formats(&config, name).await {
        Ok(formats) => formats,
        Err(error) => {
            tracing::info!("the format of the flow log is not known, and --format not given: {error:#}");
            return Ok(None);
        }
    };
    let mut formats = formats.into_iter();
    match (formats.next(), formats.next()) {
        (Some(format), None) => {
            tracing::info!(format, "the flow log's own");
            Ok(Some(format))
        }
        (Some(format), Some(other)) => bail!(
            "flow logs of different formats deliver to this log group, and nothing tells their lines apart; \
             choose with --format and --log-stream-prefix: {format:?}, {other:?}"
        ),
        (None, _) => Ok(None),
    }
}

/// Some of AWS's APIs give a log group's ARN with the pattern of its log streams.
fn without_streams(log_group: &str) -> &str {
    log_group.strip_suffix(":*").unwrap_or(log_group)
}
