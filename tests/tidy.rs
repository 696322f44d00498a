//! The README tells what is so.

use std::fs;
use std::path::Path;
use std::process::Command;

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap()
}

fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test")).args(arguments).arg("--help").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_readme_names_every_option() {
    let readme = readme();
    let commands = [
        &["transform"][..],
        &["explain"],
        &["fields"],
        &["pull", "sqs"],
        &["pull", "s3"],
        #[cfg(feature = "kafka")]
        &["pull", "kafka"],
        &["check-config"],
        &["module"],
        &["playground"],
    ];
    let help: String = commands.into_iter().map(help).collect();
    let options: Vec<&str> =
        help.split_ascii_whitespace().filter(|word| word.starts_with("--") && word.len() > 2).collect();
    assert!(options.len() > 10);
    for option in options {
        let option = option.trim_end_matches([',', '.', ';', ']']);
        assert!(readme.contains(option) || option == "--help", "the README does not name {option}");
    }
}

#[test]
fn the_readmes_example_is_what_comes_out() {
    let readme = readme();
    let example = readme.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let expected: serde_json::Value = serde_json::from_str(example).unwrap();
    let input = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/aws-default.log");
    let output = Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test")).arg("transform").arg(input).output().unwrap();
    let first = String::from_utf8(output.stdout).unwrap().lines().next().unwrap().to_owned();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&first).unwrap(), expected);
}

#[test]
fn the_readmes_table_of_fields_is_the_commands() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test")).args(["fields", "--markdown"]).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(readme().contains(&table), "the README's table is not what `vpcflow fields --markdown` prints:\n{table}");
}
