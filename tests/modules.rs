//! The modules that users get: from the command, of their own making, and always the same.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::aws::{succeed, told};

const ANOTHER_MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/example.wasm"));

fn vpcflow(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test"));
    command.args(arguments);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_command_gives_modules_and_interface() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("component", vpcflow_modules::COMPONENT), ("core", vpcflow_modules::CORE)] {
        assert!(succeed(&mut vpcflow(&["module", name])).stdout == bytes, "{name}");
        let checksum = succeed(vpcflow(&["module", name, "--output", "a.wasm", "--checksum"]).current_dir(&folder));
        assert!(fs::read(folder.path().join("a.wasm")).unwrap() == bytes, "{name}");
        fs::write(folder.path().join("sums"), &checksum.stdout).unwrap();
        succeed(Command::new("sha256sum").args(["--check", "sums"]).current_dir(&folder));
        let alone = text(&succeed(&mut vpcflow(&["module", name, "--checksum"])).stdout);
        assert_eq!(alone.split(' ').next(), text(&checksum.stdout).split(' ').next());
    }
    let wit = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/transform.wit")).unwrap();
    assert_eq!(text(&succeed(&mut vpcflow(&["module", "--wit"])).stdout), text(&wit));

    for (arguments, message) in [
        (&["module"][..], "required"),
        (&["module", "core", "--wit"], "cannot be used with"),
        (&["module", "core", "--output", "/nowhere/a.wasm"], "/nowhere/a.wasm cannot be written"),
    ] {
        let output = vpcflow(arguments).output().unwrap();
        assert!(output.status.code() == Some(2) && text(&output.stderr).contains(message), "{}", told(&output));
    }
}

#[test]
fn a_module_for_another_log_runs_in_the_host() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("logfmt.wasm"), ANOTHER_MODULE).unwrap();
    let log = "level=info msg=\"it \\\"starts\\\"\" n=1\n\nok level=warn\nmsg=\"open\n=x\n";
    fs::write(folder.path().join("app.log"), log.repeat(1000)).unwrap();
    let run = |arguments: &[&str]| -> Output { vpcflow(arguments).current_dir(&folder).output().unwrap() };
    let output = run(&["transform", "--module", "logfmt.wasm", "--rejects", "bad.ndjson", "--threads", "2", "app.log"]);
    let expected =
        concat!(r#"{"level":"info","msg":"it \"starts\"","n":"1"}"#, "\n", r#"{"level":"warn","ok":true}"#, "\n");
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(text(&output.stdout), expected.repeat(1000));
    let counts = "vpcflow: 5000 lines, 2000 events, 2000 rejects, 1000 skips";
    assert!(text(&output.stderr).starts_with(counts), "{}", told(&output));
    let rejects = fs::read_to_string(folder.path().join("bad.ndjson")).unwrap();
    let last: serde_json::Value = serde_json::from_str(rejects.lines().last().unwrap()).unwrap();
    assert_eq!((&last["reason"], &last["line_number"]), (&"bad-logfmt".into(), &5000.into()), "{last}");
    assert_eq!((&last["wanted"], &last["line"]), (&"a key".into(), &"=x".into()), "{last}");

    let output = run(&["explain", "--module", "logfmt.wasm", "a=1"]);
    assert_eq!(text(&output.stdout), "logfmt\nevent: {\n  \"a\": \"1\"\n}\n");
    let output = run(&["transform", "--module", "logfmt.wasm", "--schema", "sekoia", "app.log"]);
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("there is json"), "{}", told(&output));
}

#[test]
fn the_same_source_gives_the_same_modules_elsewhere() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("a folder of another length");
    fs::create_dir(&copy).unwrap();
    for name in ["Cargo.toml", "Cargo.lock", "guest", "host", "tests", "wit"] {
        copy_all(&source.join(name), &copy.join(name));
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--package", "vpcflow-modules", "--target-dir"]).arg(folder.path().join("target"));
    succeed(cargo.current_dir(&copy));
    let builds = fs::read_dir(folder.path().join("target/debug/build")).unwrap();
    let mut folders = builds.map(|build| build.unwrap().path().join("out"));
    let built = folders.find(|out| out.join("core.wasm").exists()).unwrap();
    for (name, bytes) in [("component", vpcflow_modules::COMPONENT), ("core", vpcflow_modules::CORE)] {
        let again = fs::read(built.join(format!("{name}.wasm"))).unwrap();
        assert!(again == bytes, "{name}: {} and {} bytes", again.len(), bytes.len());
    }
}

/// What belongs to the source: without what builds and tests leave there.
fn copy_all(from: &Path, to: &Path) {
    if from.is_file() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if !["target", "node_modules", "venv"].contains(&entry.file_name().to_str().unwrap()) {
            copy_all(&entry.path(), &to.join(entry.file_name()));
        }
    }
}
