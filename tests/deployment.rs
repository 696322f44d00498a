//! The template and the documented command lines, as they are written.

use std::process::Command;

use serde_json::Value;

use crate::aws::{Aws, environment, here, succeed};
use crate::flow_logs::{assert_all, events, gzip, text};

const TEMPLATE: &str = "../host/deploy/cloudformation.yaml";

#[test]
fn the_template_has_no_fault() {
    let Some(environment) = environment() else { return };
    succeed(Command::new(environment.join("bin/cfn-lint")).arg(here().join(TEMPLATE)));
}

/// All shell commands under a heading of the README.
fn documented(heading: &str) -> String {
    let readme = std::fs::read_to_string(here().join("../README.md")).unwrap();
    let section = readme.split(&format!("\n### {heading}\n")).nth(1).unwrap_or_else(|| panic!("no section {heading}"));
    let section = section.split("\n##").next().unwrap();
    let blocks: Vec<&str> = section.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!blocks.is_empty(), "{heading} has no commands");
    blocks.join("\n")
}

/// Runs them where there is a flow log to be collected, and checks that its events are.
fn run(heading: &str) {
    let Some(aws) = Aws::start() else { return };
    std::fs::write(aws.path("flow.log.gz"), gzip(text(1, 20).as_bytes())).unwrap();
    std::fs::write(aws.path("token"), "token").unwrap();
    std::os::unix::fs::symlink(here().join("../host"), aws.path("host")).unwrap();
    aws.shell(&documented(heading));
    assert_all(&events(&aws.path("events")), [1], 20);
    // And each was deleted where it was announced.
    let urls = aws.shell("aws sqs list-queues");
    let urls: Value = serde_json::from_str(&urls).unwrap_or_default();
    for url in urls["QueueUrls"].as_array().into_iter().flatten() {
        assert_eq!(aws.messages(url.as_str().unwrap().rsplit('/').next().unwrap()), (0, 0), "{url}");
    }
}

#[test]
fn documented_template_with_a_role() {
    run("By CloudFormation, signed in with a role");
}

#[test]
fn documented_template_with_access_keys() {
    run("By CloudFormation, signed in with access keys");
}

#[test]
fn documented_queue_by_hand() {
    run("By hand");
}

#[test]
fn documented_data_stream() {
    run("From Kinesis");
}

#[test]
fn documented_log_group() {
    run("From CloudWatch Logs");
}

#[test]
fn documented_topic() {
    run("Through SNS");
}

#[test]
fn documented_topic_with_envelopes() {
    let Some(aws) = Aws::start() else { return };
    std::fs::write(aws.path("flow.log.gz"), gzip(text(1, 20).as_bytes())).unwrap();
    let script = documented("Through SNS");
    let enveloped = script.replace(" --attributes RawMessageDelivery=true", "");
    assert_ne!(script, enveloped);
    aws.shell(&enveloped);
    assert_all(&events(&aws.path("events")), [1], 20);
    assert!(aws.journal().iter().all(|entry| entry["body"].as_str().unwrap().contains("TopicArn")));
}

#[test]
fn documented_event_bus() {
    run("Through EventBridge");
}

#[test]
fn documented_backfill() {
    run("What is there already");
}

#[test]
fn documented_configuration() {
    let output = Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test"))
        .args(documented("As a service").split_whitespace().skip(1))
        .current_dir(here().join(".."))
        .output();
    assert!(output.unwrap().status.success());
}
