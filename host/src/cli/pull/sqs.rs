//! `vpcflow pull sqs`.

use std::process::ExitCode;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args};

use super::{Environment, PullOptions};
use crate::collect::keys::KeyFilter;
use crate::collect::object::Store;
use crate::collect::queue::{MAX_BATCH, MAX_VISIBILITY_SECS, Queue, QueueSettings, url_of};
use crate::collect::sign_in::SignIn;

/// Read the objects that S3 announces in an SQS queue, and delete a message when its events are safe
///
/// Understands S3's notifications, directly or through SNS (raw or not), and EventBridge's events.
/// Every event is delivered at least once; with --event-id, one that is delivered again has the same id.
/// Any number of processes may read the same queue.
#[derive(Args)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("queue").required(true))]
pub(super) struct Arguments {
    /// URL of the queue
    #[arg(long, value_name = "URL", group = "queue", conflicts_with = "queue_name", value_parser = NonEmptyStringValueParser::new())]
    queue_url: Option<String>,

    /// Name of the queue
    #[arg(long, value_name = "NAME", group = "queue", value_parser = NonEmptyStringValueParser::new())]
    queue_name: Option<String>,

    /// Time for which a message is invisible to others; extended while the message is worked on
    #[arg(long, value_name = "SECONDS", default_value_t = 300,
        value_parser = clap::value_parser!(u32).range(2..=i64::from(MAX_VISIBILITY_SECS)))]
    visibility_timeout_secs: u32,

    /// Time that a request for messages waits for one
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=20))]
    wait_time_secs: u32,

    /// Time until a message whose object could not be read is received again; doubled each time when
    /// the network or the service failed
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=900))]
    retry_delay_secs: u32,

    /// End when the queue gives no more messages; those that failed come later, and are not waited for
    #[arg(long)]
    until_empty: bool,

    #[command(flatten)]
    sign_in: SignIn,

    #[command(flatten, next_help_heading = "Objects")]
    filter: KeyFilter,

    #[command(flatten)]
    pull: PullOptions,
}

const EXAMPLES: &str = "\
Examples:
  vpcflow pull sqs --queue-name vpcflow --event-id > events.ndjson
  vpcflow pull sqs --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/vpcflow \\
      --output /var/lib/vpcflow/events/ --compress zstd --rejects rejects.ndjson
  vpcflow pull sqs --queue-name vpcflow --role-arn arn:aws:iam::123456789012:role/vpcflow \\
      --web-identity-token-file /var/run/secrets/token
  vpcflow pull sqs --config vpcflow.toml

Exit status: 0 when it was told to end, or with --until-empty; 2 on an error, such as an output that
cannot be written: what had not been flushed is delivered again.";

impl Arguments {
    /// Runs the command.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        self.pull.run_to_end(async |environment| self.open(environment).await)
    }

    async fn open(&self, environment: Environment) -> anyhow::Result<Queue> {
        let Environment { metrics, stop, abort, workers } = environment;
        let config = self.sign_in.config(self.queue_url.as_deref().and_then(region_of)).await?;
        let client = aws_sdk_sqs::Client::new(&config);
        let url = match &self.queue_url {
            Some(url) => url.clone(),
            None => url_of(&client, self.queue_name.as_deref().unwrap_or_default()).await?,
        };
        let settings = QueueSettings {
            visibility: Duration::from_secs(self.visibility_timeout_secs.into()),
            wait: Duration::from_secs(self.wait_time_secs.into()),
            retry_delay: Duration::from_secs(self.retry_delay_secs.into()),
            until_empty: self.until_empty,
            max_waiting: workers + MAX_BATCH,
        };
        tracing::info!(queue = url.rsplit('/').next(), workers, "receiving");
        let store = Store::open(&config, metrics, abort);
        Ok(Queue::open(client, url, settings, self.filter.clone(), store, stop).await)
    }
}

/// The region in `https://sqs.eu-west-1.amazonaws.com/…`.
fn region_of(url: &str) -> Option<&str> {
    url.split_once("://sqs.")?.1.split_once(".amazonaws.com")?.0.split('.').next()
}
