//! `vpcflow pull s3`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Environment, PullOptions};
use crate::cli::FAILED;
use crate::collect::Feed;
use crate::collect::backfill::{Backfill, Progress, Selection};
use crate::collect::keys::{KeyFilter, TimeRange};
use crate::collect::object::Store;
use crate::collect::sign_in::{SignIn, parse_time};
use crate::sink::tell;

/// Read the objects that are in an S3 bucket already, each once
///
/// With --checkpoint, a run that was interrupted goes on where it was, and one that has ended reads
/// what could not be read before and objects whose keys come behind all others. For what comes in
/// from now on there is `pull sqs`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Bucket
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    bucket: String,

    /// Read only objects whose key begins so
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prefix: String,

    /// Read only objects of this time or later, as their keys say: a date, or a time as in
    /// 2024-09-05T16:20:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Option<DateTime<Utc>>,

    /// Read only objects from before this time, as their keys say
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    to: Option<DateTime<Utc>>,

    /// Keep in FILE what is done
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,

    #[command(flatten)]
    sign_in: SignIn,

    #[command(flatten, next_help_heading = "Objects")]
    filter: KeyFilter,

    #[command(flatten)]
    pull: PullOptions,
}

const EXAMPLES: &str = "\
Examples:
  vpcflow pull s3 --bucket my-logs --prefix AWSLogs/123456789012/vpcflowlogs/ > events.ndjson
  vpcflow pull s3 --bucket my-logs --from 2024-09-01 --to 2024-10-01 --checkpoint september.json \\
      --output events/ --compress zstd

Exit status: 0 if every object was read, 2 if one could not be, or if it was interrupted.";

impl Arguments {
    /// Runs the command.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let selection = Selection {
            bucket: self.bucket.clone(),
            prefix: self.prefix.clone(),
            filter: self.filter.clone(),
            range: TimeRange { from: self.from, to: self.to },
        };
        let bar = progress_bar();
        let writer = {
            let bar = bar.clone();
            move || Beside(bar.clone())
        };
        let feed = self.pull.run(writer, async |environment| {
            let Environment { metrics, stop, abort, workers } = environment;
            let config = self.sign_in.config(None).await?;
            let store = Store::open(&config, metrics, abort);
            let backfill = Backfill::open(store, selection, self.checkpoint.as_deref(), 2 * workers, stop).await?;
            draw(bar.clone(), backfill.progress.clone());
            Ok(backfill)
        });
        bar.finish_and_clear();
        let feed = feed?;
        let done = feed.progress.done_objects.load(Ordering::Relaxed);
        let failed = feed.progress.failed_objects.load(Ordering::Relaxed);
        tell(format_args!("{done} objects read, {failed} failed"));
        feed.end().map_err(anyhow::Error::msg)?;
        Ok(if failed > 0 { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
    }
}

fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}, {msg}, {eta} left");
    let style = style.expect("the template is well-formed");
    // indicatif draws nothing where standard error is no terminal.
    ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()).with_style(style)
}

/// Keeps the bar up to date until it is finished.
fn draw(bar: ProgressBar, progress: Arc<Progress>) {
    thread::spawn(move || {
        while !bar.is_finished() {
            let listed = if progress.is_listed.load(Ordering::Relaxed) { "" } else { ", listing" };
            bar.set_length(progress.listed_bytes.load(Ordering::Relaxed));
            bar.set_position(progress.done_bytes.load(Ordering::Relaxed));
            bar.set_message(format!("{} objects{listed}", progress.done_objects.load(Ordering::Relaxed)));
            thread::sleep(Duration::from_millis(100));
        }
    });
}

/// Standard error beside a progress bar.
struct Beside(ProgressBar);

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
