//! The options that decide what an event is; every command that makes events has them.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::engine::{self, Engine, Limits, Options, Session};
use crate::pump::{Settings, open_sessions};

/// Several thousand times a record, since a CloudWatch Logs payload carries many.
const DEFAULT_MAX_LINE_BYTES: u32 = 8 << 20;

/// How events are made.
#[derive(Args)]
pub(super) struct EventOptions {
    /// Vocabulary of the events: sekoia, elastic or snare [default: sekoia]
    #[arg(long, value_name = "NAME")]
    schema: Option<String>,

    /// Columns of the text lines: field names as in AWS's LogFormat, `${version} ${account-id} …`,
    /// or plain, with hyphens or underscores
    #[arg(long, value_name = "FIELDS")]
    pub(super) format: Option<String>,

    /// Carry the original record in the events, also where the schema does not by itself
    #[arg(long)]
    keep_message: bool,

    /// Leave the original record out of the events
    #[arg(long, conflicts_with = "keep_message")]
    no_message: bool,

    /// Take this time of a record as the time of its event, where the schema allows a choice
    /// [default: start for sekoia, end for elastic]
    #[arg(long, value_name = "TIME", value_enum)]
    time_field: Option<TimeField>,

    /// Give each event an id of its origin, position and content, so that the same record, read
    /// again, has the same id
    #[arg(long)]
    event_id: bool,

    /// Add geo fields from this MaxMind DB file of cities or countries
    #[arg(long, value_name = "FILE")]
    geoip_city: Option<PathBuf>,

    /// Add AS fields from this MaxMind DB file of autonomous systems
    #[arg(long, value_name = "FILE")]
    geoip_asn: Option<PathBuf>,

    /// Reject lines, JSON objects, and payloads unpacked from them, that are longer than this
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_LINE_BYTES, value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    max_line_bytes: u32,

    #[command(flatten)]
    module: ModuleOptions,
}

/// Which module is run, and within which limits.
#[derive(Args)]
pub(super) struct ModuleOptions {
    /// Run this component of the world vpcflow:ecs/module instead of the built-in one
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,

    /// Memory limit of the module on each thread, beside the databases
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=4096))]
    module_memory_mib: u32,

    /// Deadline for one call of the module; a line that misses it is rejected
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86400))]
    call_timeout_secs: u64,
}

/// How lines are run through the module.
#[derive(Args)]
pub(super) struct TransformOptions {
    #[command(flatten)]
    pub(super) events: EventOptions,

    /// Write the time of collection into the events
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = CollectedAt::None)]
    collected_at: CollectedAt,

    /// Bytes of input for one call of the module
    #[arg(long, value_name = "BYTES", default_value_t = Settings::DEFAULT_BATCH_BYTES as u32,
        value_parser = clap::value_parser!(u32).range(1..=1 << 30))]
    batch_bytes: u32,
}

/// When the events are said to have been collected.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CollectedAt {
    /// When their batch is transformed
    Now,
    /// They do not say, so that the same input gives the same bytes
    None,
}

impl TransformOptions {
    /// The settings, and a session for each of so many threads: bad options are refused before an
    /// output is touched. `needs_ids` gives events ids that were not asked for.
    pub(super) fn open(&self, threads: usize, needs_ids: bool) -> anyhow::Result<(Settings, Vec<Session>)> {
        let mut options = self.events.options()?;
        options.event_id |= needs_ids;
        let settings = Settings {
            options: Arc::new(options),
            collected_at: self.collected_at == CollectedAt::Now,
            threads,
            batch_bytes: self.batch_bytes as usize,
        };
        let sessions = open_sessions(&self.events.engine()?, &settings)?;
        Ok((settings, sessions))
    }
}

/// One thread a core, unless somebody knows better.
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

#[derive(Clone, Copy, ValueEnum)]
enum TimeField {
    /// When the first packet arrived
    Start,
    /// When the last packet arrived
    End,
}

impl EventOptions {
    /// What the module is opened with.
    pub(super) fn options(&self) -> anyhow::Result<Options> {
        Ok(Options {
            schema: self.schema.clone(),
            format: self.format.clone(),
            max_line_bytes: self.max_line_bytes,
            keep_message: match (self.keep_message, self.no_message) {
                (true, _) => Some(true),
                (_, true) => Some(false),
                _ => None,
            },
            time_field: self.time_field.map(|field| match field {
                TimeField::Start => engine::TimeField::Start,
                TimeField::End => engine::TimeField::End,
            }),
            event_id: self.event_id,
            geoip_city: self.geoip_city.as_deref().map(read).transpose()?,
            geoip_asn: self.geoip_asn.as_deref().map(read).transpose()?,
        })
    }

    /// The module.
    pub(super) fn engine(&self) -> anyhow::Result<Arc<Engine>> {
        self.module.engine()
    }
}

impl ModuleOptions {
    /// The module.
    pub(super) fn engine(&self) -> anyhow::Result<Arc<Engine>> {
        let limits = Limits {
            memory_bytes: (self.module_memory_mib as usize) << 20,
            call_timeout: Duration::from_secs(self.call_timeout_secs),
        };
        Ok(match &self.module {
            Some(path) => Engine::from_file(path, limits)?,
            None => Engine::new(vpcflow_modules::COMPONENT, limits)?,
        })
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}
