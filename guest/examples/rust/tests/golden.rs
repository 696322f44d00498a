//! The example gives what the host gives.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the example on a golden case, whose files it gives by their ending.
fn run(case: &str, schema: &str) -> (Output, impl Fn(&str) -> String) {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("vpcflow.wasm");
    fs::write(&module, vpcflow_modules::COMPONENT).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/cases").join(case);
    let mut example = Command::new(env!("CARGO_BIN_EXE_vpcflow-example"));
    let output = example.arg(&module).arg(file.with_extension("log")).arg(schema).output().unwrap();
    (output, move |ending| fs::read_to_string(file.with_extension(ending)).unwrap())
}

#[test]
fn events_are_equal() {
    for schema in ["sekoia", "elastic", "snare"] {
        let (output, file) = run("every-field", schema);
        assert_eq!(String::from_utf8_lossy(&output.stdout), file(&format!("{schema}.ndjson")), "{output:?}");
        assert!(output.status.success());
    }
}

#[test]
fn rejects_and_errors_are_told() {
    let (output, file) = run("bad-values", "sekoia");
    // Behind the rejects, the file has a line of counts.
    let rejects = file("rejects.ndjson").lines().count() - 1;
    assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), rejects);
    let (output, _) = run("empty", "ocsf");
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("ocsf"), "{output:?}");
}
