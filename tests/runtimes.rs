//! The examples of `guest/examples`: in other runtimes the component gives the same bytes.

use std::fs;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::aws::{succeed, told};
use crate::{cases, environment};

/// Names of cases without options, and schemas.
const CASES: [(&str, &str); 6] = [
    ("every-field", "sekoia"),
    ("every-field", "elastic"),
    ("every-field", "snare"),
    ("headers-in-mid-stream", "elastic"),
    ("json-records", "snare"),
    ("not-utf8", "sekoia"),
];

#[test]
fn python_gives_the_same() {
    let example = examples().join("python");
    let requirements = example.join("requirements.txt");
    let Some(environment) = environment::python("python-example", &requirements, "the example in Python") else {
        return;
    };
    check(|| {
        let mut command = Command::new(environment.join("bin/python"));
        // Leaves nothing beside the example.
        command.arg("-B").arg(example.join("transform.py"));
        command
    });
}

#[test]
fn node_gives_the_same() {
    let example = examples().join("node");
    let Some(folder) = environment::node("node-example", &example, "the example in Node") else { return };
    // Node looks for packages beside the script.
    let script = folder.join("transform.mjs");
    fs::copy(example.join("transform.mjs"), &script).unwrap();
    check(|| {
        let mut command = Command::new("node");
        command.arg(&script);
        command
    });
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest/examples")
}

fn check(example: impl Fn() -> Command) {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("vpcflow.wasm");
    fs::write(&module, vpcflow_modules::COMPONENT).unwrap();
    for (case, schema) in CASES {
        let input = case_file(case, "log");
        let output = succeed(example().arg(&module).arg(&input).arg(schema));
        assert_eq!(text(&output.stdout), read(case, &format!("{schema}.ndjson")), "{case}, {schema}");
        assert_eq!(text(&output.stderr), rejects(case, &input, 1), "{case}, {schema}");
    }

    // Enough for many pieces, in two gzip members.
    let case = "bad-values";
    let half = gzip(&fs::read(case_file(case, "log")).unwrap().repeat(200));
    let large = folder.path().join("large");
    fs::write(&large, half.repeat(2)).unwrap();
    let output = succeed(example().arg(&module).arg(&large));
    assert!(text(&output.stdout) == read(case, "sekoia.ndjson").repeat(400), "the events of many pieces differ");
    assert!(text(&output.stderr) == rejects(case, &large, 400), "the rejects of many pieces differ");

    a_closed_pipe_ends_it_quietly(example().arg(&module).arg(&large));

    let missing = folder.path().join("missing");
    let cut = folder.path().join("cut");
    fs::write(&cut, &half[..half.len() / 2]).unwrap();
    for (module, input, schema, message) in [
        (&module, &missing, "sekoia", "missing"),
        (&module, &cut, "sekoia", "cut: "),
        (&module, &large, "ocsf", "no schema is called ocsf"),
        (&missing, &large, "sekoia", "missing"),
        (&large, &large, "sekoia", "large cannot be loaded: "),
    ] {
        let output = example().arg(module).arg(input).arg(schema).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        let stderr = text(&output.stderr);
        assert!(stderr.rsplit("transform.").next().unwrap().contains(message), "{stderr}");
        assert!(!stderr.contains("Traceback") && !stderr.contains("\n    at "), "{stderr}");
    }
}

fn a_closed_pipe_ends_it_quietly(command: &mut Command) {
    // Not a pipe, which would fill up with rejects.
    let mut messages = tempfile::tempfile().unwrap();
    let mut child = command.stdout(Stdio::piped()).stderr(messages.try_clone().unwrap()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 100]).unwrap();
    drop(stdout);
    assert!(child.wait().unwrap().success());
    let mut text = String::new();
    messages.rewind().unwrap();
    messages.read_to_string(&mut text).unwrap();
    assert!(text.lines().all(|line| line.contains(": found ")), "{text}");
}

/// What the examples tell of the rejects of a case whose input stands there several times.
fn rejects(case: &str, input: &Path, times: u64) -> String {
    let rejects = read(case, "rejects.ndjson");
    let rejects: Vec<Value> = rejects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (counts, rejects) = rejects.split_last().unwrap();
    let mut lines = String::new();
    for time in 0..times {
        for reject in rejects {
            let line = time * counts["lines"].as_u64().unwrap() + reject["line_number"].as_u64().unwrap();
            let field = reject["field"].as_str().map(|field| format!("{field}: ")).unwrap_or_default();
            let [wanted, reason] = ["wanted", "reason"].map(|name| reject[name].as_str().unwrap());
            let found = &reject["found"];
            lines += &format!("{}:{line}: {field}found {found}, wanted {wanted} ({reason})\n", input.display());
        }
    }
    lines
}

fn case_file(case: &str, ending: &str) -> PathBuf {
    cases::folder().join(format!("{case}.{ending}"))
}

fn read(case: &str, ending: &str) -> String {
    fs::read_to_string(case_file(case, ending)).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
