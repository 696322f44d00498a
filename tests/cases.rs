//! The golden cases: files in `cases/`.
//!
//! `NAME.log` is the input. `NAME.format` and `NAME.max-line-bytes`, where they exist, hold options.
//! `NAME.sekoia.ndjson` holds the events that are expected of the schema `sekoia`, `NAME.rejects.ndjson`
//! the rejects and, in its last line, the counts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::implementation::Outcome;

/// Write what came out as what is expected: `VPCFLOW_BLESS=1 cargo test --workspace`.
const BLESS: &str = "VPCFLOW_BLESS";

pub struct Case {
    pub name: String,
    pub input: Vec<u8>,
    pub format: Option<String>,
    pub max_line_bytes: u32,
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

pub fn all() -> Vec<Case> {
    let read = |name: &str, extension: &str| fs::read_to_string(folder().join(format!("{name}.{extension}"))).ok();
    let mut cases: Vec<Case> = file_names()
        .iter()
        .filter_map(|file| file.strip_suffix(".log"))
        .map(|name| Case {
            name: name.into(),
            input: fs::read(folder().join(format!("{name}.log"))).unwrap(),
            format: read(name, "format"),
            max_line_bytes: read(name, "max-line-bytes").map_or(1 << 20, |bytes| bytes.trim().parse().unwrap()),
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
    pub fn expected_files(&self) -> [String; 2] {
        ["sekoia", "rejects"].map(|kind| format!("{}.{kind}.ndjson", self.name))
    }

    /// Compares with the files of the case, or writes them.
    pub fn check(&self, outcome: &Outcome) {
        let found = [String::from_utf8(outcome.events.clone()).unwrap(), outcome.rejects_as_ndjson(&self.input)];
        for (file, found) in self.expected_files().iter().zip(found) {
            let path = folder().join(file);
            if std::env::var_os(BLESS).is_some() {
                fs::write(path, found).unwrap();
            } else {
                let expected = fs::read_to_string(&path).unwrap_or_default();
                assert_eq!(found, expected, "{file} differs; with {BLESS}=1 the tests write what came out");
            }
        }
    }
}
