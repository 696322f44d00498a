//! Configuration files.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::aws::{here, told};

fn vpcflow(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test"));
    command.args(arguments).current_dir(folder).output().unwrap()
}

#[test]
fn mistakes_are_told_with_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("[pull.sqs]\nqueue-name", "c.toml:2:11: key with no value, expected `=`"),
        ("[pull.sqs]\nqeue-name = \"q\"", "c.toml:2:1: qeue-name is no option; a similar one is queue-name"),
        ("[pull.sqs]\nworkers = 4\n  xyz = 1", "c.toml:3:3: xyz is no option of this command"),
        ("[pull.sqs]\nworkers = 0", "c.toml:2:11: invalid value '0' for '--workers <N>': 0 is not in 1..=1024"),
        ("[pull.sqs]\nworkers = 1.5", "c.toml:2:11: workers: found float, wanted a string or a decimal integer"),
        ("[pull.sqs]\nworkers = [1, 2]", "c.toml:2:11: workers: found array, wanted one value"),
        ("[pull.sqs]\nevent-id = \"yes\"", "c.toml:2:12: event-id: found string, wanted true or false"),
        ("[pull.sqs]\ninclude = [\"*\", 1.5]", "c.toml:2:17: include: found float, wanted a string"),
        ("[pull.sqs]\ncompress = \"lz4\"", "c.toml:2:12: invalid value 'lz4' for '--compress <METHOD>'"),
        ("[pull.sqs]\nconfig = \"c.toml\"", "c.toml:2:1: config is no option of this command"),
        ("[pull.s4]\nbucket = \"b\"", "c.toml:1:7: pull.s4 is no table of a command; there are "),
        (
            "[transform]\nschema = \"snare\"",
            "c.toml:1:2: transform is no table of a command; there are [pull.sqs], [pull.s3]",
        ),
        ("schema = \"snare\"", "c.toml:1:1: schema is no table of a command; there are [pull.sqs], [pull.s3]"),
        ("", "c.toml: there is no table of a command, such as [pull.sqs]"),
        ("[pull.sqs]\nexternal-id = \"x\"", "c.toml: [pull.sqs]: the following required arguments were not provided:"),
        (
            "[pull.sqs]\nqueue-url = \"u\"\nqueue-name = \"q\"",
            "c.toml: [pull.sqs]: the argument '--queue-name <NAME>' cannot be used with '--queue-url <URL>'",
        ),
    ];
    for (text, message) in cases {
        fs::write(folder.path().join("c.toml"), text).unwrap();
        let output = vpcflow(folder.path(), &["check-config", "c.toml"]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(told(&output).contains(&format!("vpcflow: {message}")), "{text}\n{}", told(&output));
    }
    let output = vpcflow(folder.path(), &["check-config", "none.toml"]);
    assert!(told(&output).contains("none.toml cannot be read: No such file"), "{}", told(&output));
}

#[test]
fn every_value_of_a_file_counts_unless_the_command_line_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[pull.s3]\nbucket = \"from-the-file\"\nregion = \"eu-west-1\"\nevent-id = true\nkeep-message = false\n\
        include = [\"*.log\", \"*.gz\"]\nfrom = 2024-09-01\nendpoint-url = \"http://127.0.0.1:1\"\nworkers = 1\n\
        [pull.sqs]\nqueue-name = \"q\"";
    fs::write(folder.path().join("c.toml"), text).unwrap();
    let output = vpcflow(folder.path(), &["check-config", "c.toml"]);
    assert_eq!(told(&output).trim(), "c.toml: no mistake found; options for pull.s3, pull.sqs");
    // Nobody listens there, and the message tells which bucket was asked for.
    let bucket = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test"));
        command.args(["pull", "s3", "--config", "c.toml"]).args(arguments).current_dir(folder.path());
        command.env("AWS_ACCESS_KEY_ID", "x").env("AWS_SECRET_ACCESS_KEY", "y");
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        told(&output)
    };
    assert!(bucket(&[]).contains("s3://from-the-file/ cannot be listed"), "{}", bucket(&[]));
    let given = bucket(&["--bucket", "from-the-command-line"]);
    assert!(given.contains("s3://from-the-command-line/ cannot be listed"), "{given}");
    // One that excludes another which the file has.
    let arguments = ["pull", "sqs", "--config", "c.toml", "--queue-url", "http://127.0.0.1:1/x", "--until-empty"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test"));
    command.args(arguments).args(["--region", "eu-west-1", "--output", "none/x"]).current_dir(folder.path());
    let told_of = told(&command.output().unwrap());
    assert!(told_of.contains("--output none/x: No such file"), "{told_of}");
    let output = vpcflow(folder.path(), &["pull", "sqs", "--config", "none.toml"]);
    assert!(told(&output).contains("none.toml cannot be read"), "{}", told(&output));
    fs::write(folder.path().join("c.toml"), "[pull.s3]\nbucket = \"b\"").unwrap();
    let output = vpcflow(folder.path(), &["pull", "sqs", "--config", "c.toml"]);
    assert!(told(&output).contains("c.toml: there is no table [pull.sqs]"), "{}", told(&output));
}

#[test]
fn the_example_has_no_mistake() {
    let path = here().join("../host/deploy/vpcflow.toml");
    let output = vpcflow(Path::new("/"), &["check-config", path.to_str().unwrap()]);
    assert!(output.status.success(), "{}", told(&output));
}
