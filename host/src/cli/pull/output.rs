//! Where events go: a file, a directory, standard output, or a server.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::Environment;
#[cfg(feature = "elasticsearch")]
use super::elasticsearch::ElasticsearchOptions;
#[cfg(feature = "kafka")]
use super::kafka_output::KafkaOutputOptions;
use crate::collect::telemetry::Recorder;
use crate::engine::Session;
use crate::output::Output;
use crate::sink::{Compression, DirectorySink, FileSink, Gathered, Rotation, Sink, StandardOutput};

/// Of these there is one.
pub(super) const DESTINATION: &str = "destination";

/// Where events go.
#[derive(Args)]
pub(super) struct OutputOptions {
    /// Append the events to FILE, or to files in a directory if it ends in `/` or is one
    /// [default: standard output]
    #[arg(long, short, value_name = "FILE|DIR/", group = DESTINATION)]
    output: Option<PathBuf>,

    /// Compress the output
    #[arg(long, value_name = "METHOD", value_enum, requires = "output")]
    compress: Option<Compression>,

    /// Begin another file in the directory when one has this size
    #[arg(long, value_name = "MIB", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    rotate_mib: u64,

    /// Begin another file in the directory when one has this age
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    rotate_secs: u64,

    /// Append each rejected record to FILE as a JSON object [default: log some]
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,

    #[cfg(feature = "elasticsearch")]
    #[command(flatten, next_help_heading = "Elasticsearch")]
    elasticsearch: ElasticsearchOptions,

    #[cfg(feature = "kafka")]
    #[command(flatten, next_help_heading = "Kafka output")]
    kafka: KafkaOutputOptions,
}

impl OutputOptions {
    /// Whether the destination tells events apart by their ids.
    pub(super) fn needs_ids(&self) -> bool {
        #[cfg(feature = "elasticsearch")]
        return self.elasticsearch.is_wanted();
        #[cfg(not(feature = "elasticsearch"))]
        return false;
    }

    /// Opens it; `session` and `schema` tell what the events are.
    pub(super) fn open(
        &self,
        environment: &Environment,
        session: &Session,
        schema: Option<&str>,
    ) -> anyhow::Result<Output<Recorder>> {
        let events = match self.server(environment, session, schema)? {
            Some(sink) => sink,
            None => self.here()?,
        };
        let open_rejects = |path| append_to(path, None).with_context(|| format!("--rejects {}", path.display()));
        let rejects = self.rejects.as_deref().map(open_rejects).transpose()?;
        Ok(Output::new(events, rejects, Recorder::new(environment.metrics.clone())))
    }

    #[allow(unused_variables, reason = "what one server needs, another does not")]
    fn server(
        &self,
        environment: &Environment,
        session: &Session,
        schema: Option<&str>,
    ) -> anyhow::Result<Option<Box<dyn Sink>>> {
        #[cfg(feature = "elasticsearch")]
        if let Some(sink) = self.elasticsearch.open(environment, session, schema)? {
            return Ok(Some(Box::new(sink)));
        }
        #[cfg(feature = "kafka")]
        if let Some(sink) = self.kafka.open(environment.abort.clone())? {
            return Ok(Some(Box::new(sink)));
        }
        Ok(None)
    }

    /// On this machine.
    fn here(&self) -> anyhow::Result<Box<dyn Sink>> {
        let rotation = Rotation { bytes: self.rotate_mib << 20, age: Duration::from_secs(self.rotate_secs) };
        Ok(match &self.output {
            None => Box::new(Gathered::new(StandardOutput::open()?)),
            Some(path) if path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/") => Box::new(
                DirectorySink::open(path, self.compress, rotation)
                    .map(Gathered::new)
                    .with_context(|| format!("--output {}", path.display()))?,
            ),
            Some(path) => append_to(path, self.compress).with_context(|| format!("--output {}", path.display()))?,
        })
    }
}

fn append_to(path: &Path, compression: Option<Compression>) -> io::Result<Box<dyn Sink>> {
    Ok(Box::new(Gathered::new(FileSink::open(path, compression)?)))
}
