//! The choices of the page.

use serde::Deserialize;
use vpcflow_parser::{Databases, Moment, Options, Schema, TimeField};

use crate::filter::Filter;

/// As the page writes them. What is absent is as the parser has it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Settings {
    schema: Option<String>,
    format: Option<String>,
    max_line_bytes: Option<u32>,
    keep_message: Option<bool>,
    time_field: Option<Time>,
    event_id: bool,
    /// Unix seconds and nanoseconds.
    collected_at: Option<(u64, u32)>,
    pub(crate) filter: Filter,
    /// Whether every event is written that the filter takes.
    pub(crate) writes_all: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Time {
    Start,
    End,
}

impl Settings {
    pub(crate) fn read(json: &str) -> Result<Settings, String> {
        serde_json::from_str(json).map_err(|error| format!("the settings: {error}"))
    }

    pub(crate) fn collected_at(&self) -> Option<Moment> {
        self.collected_at.map(|(unix_secs, nanos)| Moment { unix_secs, nanos })
    }

    pub(crate) fn options(&self, databases: Databases) -> Result<Options, String> {
        let schema = match &self.schema {
            None => Schema::default(),
            Some(name) => Schema::by_name(name).ok_or_else(|| format!("no schema is called {name}"))?,
        };
        Ok(Options {
            schema,
            format: self.format.clone(),
            max_line_bytes: self.max_line_bytes.map_or(Options::DEFAULT_MAX_LINE_BYTES, |bytes| bytes as usize),
            keep_message: self.keep_message,
            time_field: self.time_field.as_ref().map(|time| match time {
                Time::Start => TimeField::Start,
                Time::End => TimeField::End,
            }),
            event_id: self.event_id,
            databases,
        })
    }
}
