//! The golden cases: files in `cases/`.
//!
//! `NAME.log` is the input. `NAME.options.json`, where it exists, holds [`CaseOptions`].
//! `NAME.SCHEMA.ndjson` holds the events that are expected of a schema, `NAME.rejects.ndjson` the rejects
//! and, in its last line, the counts, which are the same for every schema.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::implementation::Outcome;

/// Write what came out as what is expected: `VPCFLOW_BLESS=1 cargo test --workspace golden`.
const BLESS: &str = "VPCFLOW_BLESS";

pub const SCHEMAS: [&str; 3] = ["sekoia", "elastic", "snare"];

pub struct Case {
    pub name: String,
    pub input: Vec<u8>,
    pub options: CaseOptions,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaseOptions {
    pub format: Option<String>,
    pub max_line_bytes: Option<u32>,
    pub keep_message: Option<bool>,
    /// `start` or `end`.
    pub time_field: Option<String>,
    pub event_id: bool,
    /// Unix seconds and nanoseconds.
    pub collected_at: Option<(u64, u32)>,
    /// Whether to look addresses up in the databases of `databases.rs`.
    pub geoip: bool,
    /// No option: the input has lines of several records, so that lines are not what is counted.
    pub several_records_a_line: bool,
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

pub fn all() -> Vec<Case> {
    let options = |name: &str| match fs::read_to_string(folder().join(format!("{name}.options.json"))) {
        Ok(json) => serde_json::from_str(&json).unwrap(),
        Err(_) => CaseOptions::default(),
    };
    let mut cases: Vec<Case> = file_names()
        .iter()
        .filter_map(|file| file.strip_suffix(".log"))
        .map(|name| Case {
            name: name.into(),
            input: fs::read(folder().join(format!("{name}.log"))).unwrap(),
            options: options(name),
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!cases.is_empty());
    cases
}

pub fn file_names() -> BTreeSet<String> {
    fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

impl Case {
    pub fn events_file(&self, schema: &str) -> String {
        format!("{}.{schema}.ndjson", self.name)
    }

    pub fn rejects_file(&self) -> String {
        format!("{}.rejects.ndjson", self.name)
    }

    /// Compares with the files of the case, or writes them.
    pub fn check(&self, schema: &str, outcome: &Outcome) {
        let events = String::from_utf8(outcome.events.clone()).unwrap();
        let rejects = outcome.rejects_as_ndjson(&self.input);
        for (file, found) in [(self.events_file(schema), events), (self.rejects_file(), rejects)] {
            let path = folder().join(&file);
            if std::env::var_os(BLESS).is_some() {
                fs::write(path, found).unwrap();
            } else {
                let expected = fs::read_to_string(&path).unwrap_or_default();
                assert_eq!(found, expected, "{file} differs; with {BLESS}=1 the tests write what came out");
            }
        }
    }
}
