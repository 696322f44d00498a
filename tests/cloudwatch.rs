//! `vpcflow pull cloudwatch`: against moto's log groups.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::aws::{Aws, succeed, terminate, told, wait_until};
use crate::flow_logs::{assert_all, events, events_so_far, interface};

const GROUP: &str = "/aws/vpc/flowlogs";
const RECORDS: usize = 30;

fn logs(aws: &Aws, action: &str, parameters: Value) -> Value {
    aws.json("logs", &format!("Logs_20140328.{action}"), parameters)
}

fn with_log_group() -> Option<Aws> {
    let aws = Aws::start()?;
    logs(&aws, "CreateLogGroup", json!({"logGroupName": GROUP}));
    Some(aws)
}

/// Puts a log stream's events, which are so many seconds old.
fn put(aws: &Aws, stream: usize, records: std::ops::Range<usize>, age_secs: i64) {
    let name = format!("eni-{stream:05}-all");
    if records.start == 0 {
        logs(aws, "CreateLogStream", json!({"logGroupName": GROUP, "logStreamName": name}));
    }
    let time = chrono::Utc::now().timestamp_millis() - 1000 * age_secs;
    let event = |record: usize| {
        let interface = interface(stream, record);
        let message =
            format!("2 123456789012 {interface} 10.0.0.1 192.0.2.7 1024 443 6 5 400 1700000000 1700000060 ACCEPT OK");
        json!({"timestamp": time + record as i64, "message": message})
    };
    let log_events: Vec<Value> = records.map(event).collect();
    logs(aws, "PutLogEvents", json!({"logGroupName": GROUP, "logStreamName": name, "logEvents": log_events}));
}

fn pull(aws: &Aws, arguments: &[&str]) -> Command {
    let mut command = aws.vpcflow(&["pull", "cloudwatch", "--log-group", GROUP, "--event-id"]);
    command.args(arguments);
    command
}

#[test]
fn all_log_streams_are_read_once_when_they_are_old_enough() {
    let Some(aws) = with_log_group() else { return };
    for stream in 0..5 {
        put(&aws, stream, 0..RECORDS, 7200 * stream as i64 + 600);
    }
    put(&aws, 5, 0..RECORDS, 0);
    let arguments = ["--checkpoint", "checkpoint.json", "--output", "out/", "--until-caught-up", "--delay-secs", "300"];
    succeed(&mut pull(&aws, &arguments));
    let found = events(&aws.path("out"));
    assert_eq!(found.len(), 5 * RECORDS);
    assert_all(&found, 0..5, RECORDS);
    succeed(&mut pull(&aws, &arguments));
    assert_eq!(events(&aws.path("out")).len(), 5 * RECORDS, "from the checkpoint on there is nothing");
    // What is too young now is not passed over.
    succeed(&mut pull(
        &aws,
        &["--checkpoint", "checkpoint.json", "--output", "out/", "--until-caught-up", "--delay-secs", "0"],
    ));
    assert_all(&events(&aws.path("out")), 0..6, RECORDS);
    let output = aws
        .vpcflow(&["pull", "cloudwatch", "--log-group", "/other", "--checkpoint", "checkpoint.json"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("there is no log group /other"), "{}", told(&output));
    let output = pull(&aws, &["--checkpoint", "checkpoint.json", "--log-stream-prefix", "eni-1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("is the checkpoint of other log streams: all"), "{}", told(&output));
    // From before the beginning of time on, of which AWS wants to hear nothing.
    succeed(&mut pull(&aws, &["--from", "1960-01-01", "--delay-secs", "0", "--output", "all/", "--until-caught-up"]));
    assert_all(&events(&aws.path("all")), 0..6, RECORDS);
}

#[test]
fn killed_at_any_moment_it_reads_every_event() {
    let Some(aws) = with_log_group() else { return };
    for stream in 0..20 {
        put(&aws, stream, 0..RECORDS, 3600 * stream as i64 + 60);
    }
    let arguments = ["--checkpoint", "checkpoint.json", "--output", "out/", "--delay-secs", "10", "--workers", "2"];
    for kill in 0..6 {
        let mut child = pull(&aws, &arguments).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(100 + RandomState::new().hash_one(kill) % 1000));
        // SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    succeed(pull(&aws, &arguments).arg("--until-caught-up"));
    assert_all(&events(&aws.path("out")), 0..20, RECORDS);
}

#[test]
fn it_goes_on_after_failures_and_with_what_comes_in() {
    let Some(aws) = with_log_group() else { return };
    put(&aws, 0, 0..RECORDS, 60);
    aws.fault(r#"{"logs_filter_error": "ThrottlingException", "count": 5}"#);
    let mut command = pull(&aws, &["--checkpoint", "checkpoint.json", "--output", "out/", "--delay-secs", "1"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let found = || events_so_far(&aws.path("out"));
    wait_until("the first events have been read", || found().len() == RECORDS);
    put(&aws, 1, 0..RECORDS, 0);
    wait_until("those that came in have been read", || found().len() == 2 * RECORDS);
    terminate(&child);
    assert!(child.wait().unwrap().success(), "SIGTERM is no failure");
    assert_all(&found(), 0..2, RECORDS);
    let checkpoint: Value = serde_json::from_slice(&fs::read(aws.path("checkpoint.json")).unwrap()).unwrap();
    assert_eq!(checkpoint["log_group"], GROUP);
}

#[test]
fn the_format_is_the_flow_logs_own() {
    let Some(aws) = with_log_group() else { return };
    let create = |vpc: &str, format: &str| {
        aws.shell(&format!(
            "VPC=$(aws ec2 create-vpc --cidr-block {vpc} --query Vpc.VpcId --output text)
            aws ec2 create-flow-logs --resource-type VPC --resource-ids $VPC --traffic-type ALL \\
                --log-group-name {GROUP} --log-format '{format}' \\
                --deliver-logs-permission-arn arn:aws:iam::123456789012:role/flow-logs"
        ));
    };
    let format = "${dstaddr} ${interface-id} ${srcaddr} ${flow-direction}";
    create("10.0.0.0/16", format);
    create("10.1.0.0/16", format);
    logs(&aws, "CreateLogStream", json!({"logGroupName": GROUP, "logStreamName": "s"}));
    let time = chrono::Utc::now().timestamp_millis() - 60_000;
    let event = json!({"timestamp": time, "message": "192.0.2.7 eni-00001-000000 10.0.0.1 egress"});
    logs(&aws, "PutLogEvents", json!({"logGroupName": GROUP, "logStreamName": "s", "logEvents": [event]}));

    let arguments = ["--output", "events", "--until-caught-up", "--delay-secs", "0"];
    let output = succeed(&mut pull(&aws, &arguments));
    let written: Value = serde_json::from_str(&fs::read_to_string(aws.path("events")).unwrap()).unwrap();
    assert_eq!((&written["source"]["ip"], &written["destination"]["ip"]), (&json!("10.0.0.1"), &json!("192.0.2.7")));
    assert!(told(&output).contains(format), "{}", told(&output));

    // Their lines would be taken for each other's.
    create("10.2.0.0/16", "${srcaddr} ${interface-id} ${dstaddr} ${flow-direction}");
    let output = pull(&aws, &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("flow logs of different formats"), "{}", told(&output));
    succeed(pull(&aws, &arguments).args(["--format", format]));
}
