//! `vpcflow pull kinesis`: against moto's streams, with splits, merges, kills and two processes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::aws::{Aws, succeed, terminate, told, wait_until};
use crate::flow_logs::{Found, assert_all, events, events_so_far, gzip, interface, text};

const STREAM: &str = "flow-logs";
const RECORDS: usize = 20;

fn kinesis(aws: &Aws, action: &str, parameters: Value) -> Value {
    aws.json("kinesis", &format!("Kinesis_20131202.{action}"), parameters)
}

fn with_shards(count: usize) -> Option<Aws> {
    let aws = Aws::start()?;
    kinesis(&aws, "CreateStream", json!({"StreamName": STREAM, "ShardCount": count}));
    Some(aws)
}

/// Puts one record; keys are spread over the shards by their digests.
fn put(aws: &Aws, key: usize, bytes: &[u8]) {
    let data = STANDARD.encode(bytes);
    kinesis(aws, "PutRecord", json!({"StreamName": STREAM, "Data": data, "PartitionKey": format!("key-{key}")}));
}

/// Puts flow logs of these objects, each a record, every other one in gzip.
fn put_objects(aws: &Aws, objects: impl Iterator<Item = usize>) {
    for number in objects {
        let text = text(number, RECORDS);
        match number % 2 {
            0 => put(aws, number, text.as_bytes()),
            _ => put(aws, number, &gzip(text.as_bytes())),
        }
    }
}

fn pull(aws: &Aws, arguments: &[&str]) -> Command {
    let mut command = aws.vpcflow(&["pull", "kinesis", "--stream", STREAM, "--event-id"]);
    command.args(arguments);
    command
}

/// The same, up to what is there now.
fn catch_up(aws: &Aws, arguments: &[&str]) -> Command {
    let mut command = pull(aws, arguments);
    command.arg("--until-caught-up");
    command
}

fn shards(aws: &Aws) -> Vec<Value> {
    kinesis(aws, "ListShards", json!({"StreamName": STREAM}))["Shards"].as_array().unwrap().clone()
}

fn open_shards(aws: &Aws) -> Vec<String> {
    let is_open = |shard: &&Value| shard["SequenceNumberRange"].get("EndingSequenceNumber").is_none();
    shards(aws).iter().filter(is_open).map(|shard| shard["ShardId"].as_str().unwrap().to_owned()).collect()
}

fn split(aws: &Aws, shard: &str) {
    let shards = shards(aws);
    let found = shards.iter().find(|found| found["ShardId"] == shard).unwrap();
    let bound = |name: &str| found["HashKeyRange"][name].as_str().unwrap().parse::<u128>().unwrap();
    let (start, end) = (bound("StartingHashKey"), bound("EndingHashKey"));
    let middle = (start + (end - start) / 2).to_string();
    kinesis(aws, "SplitShard", json!({"StreamName": STREAM, "ShardToSplit": shard, "NewStartingHashKey": middle}));
}

fn merge(aws: &Aws, left: &str, right: &str) {
    kinesis(aws, "MergeShards", json!({"StreamName": STREAM, "ShardToMerge": left, "AdjacentShardToMerge": right}));
}

fn end(mut child: Child) {
    terminate(&child);
    let status = child.wait().unwrap();
    assert!(status.success(), "SIGTERM is no failure: {status}");
}

#[test]
fn payloads_of_every_kind_are_read_once_and_poison_is_rejected() {
    let Some(aws) = with_shards(3) else { return };
    let record =
        "2 123456789010 eni-00001-000000 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK";
    let payload = json!({"messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "g", "logStream": "s",
        "subscriptionFilters": ["f"], "logEvents": [{"id": "1", "timestamp": 1_432_826_855_000u64, "message": record}]});
    put(&aws, 1, &gzip(payload.to_string().as_bytes()));
    put(&aws, 2, payload.to_string().replace("000000", "000001").replace("\"1\"", "\"2\"").as_bytes());
    put(&aws, 3, record.replace("000000", "000002").as_bytes());
    put(
        &aws,
        4,
        br#"{"version":2,"accountId":"1","interfaceId":"eni-00001-000003","start":1,"end":2,"logStatus":"OK"}"#,
    );
    let control = json!({"messageType": "CONTROL_MESSAGE", "owner": "CloudwatchLogs", "logGroup": "", "logStream": "",
        "subscriptionFilters": [], "logEvents": [{"id": "", "timestamp": 1, "message": "CWL CONTROL MESSAGE"}]});
    put(&aws, 5, &gzip(control.to_string().as_bytes()));
    let poison = &gzip(text(9, 100).as_bytes())[..60];
    put(&aws, 6, poison);

    let arguments = ["--checkpoint", "checkpoint.json", "--output", "out/", "--rejects", "rejects"];
    succeed(&mut catch_up(&aws, &arguments));
    assert_all(&events(&aws.path("out")), [1], 4);
    let rejects = fs::read_to_string(aws.path("rejects")).unwrap();
    let reject: Value = serde_json::from_str(rejects.trim()).unwrap();
    assert_eq!((&reject["reason"], &reject["line_base64"]), (&json!("unreadable"), &json!(STANDARD.encode(poison))));
    assert!(reject["source"].as_str().unwrap().starts_with("kinesis://flow-logs/shardId-"), "{reject}");

    // From the checkpoint on there is nothing but what is new.
    put_objects(&aws, 2..3);
    succeed(&mut catch_up(&aws, &["--checkpoint", "checkpoint.json", "--output", "again/", "--rejects", "more"]));
    assert_all(&events(&aws.path("again")), [2], RECORDS);
    assert_eq!(fs::read_to_string(aws.path("more")).unwrap(), "");
    // Without one, everything: with the same ids.
    succeed(&mut catch_up(&aws, &["--output", "out/", "--rejects", "rejects"]));
    let all: Vec<Found> =
        events(&aws.path("out")).into_iter().filter(|event| event.interface < interface(2, 0)).collect();
    assert_eq!(all.len(), 8);
    assert_all(&all, [1], 4);
}

#[test]
fn killed_at_any_moment_it_reads_every_record() {
    let Some(aws) = with_shards(4) else { return };
    put_objects(&aws, 0..40);
    let arguments = ["--checkpoint", "checkpoint.json", "--output", "out/", "--workers", "2"];
    for kill in 0..8 {
        let mut child = pull(&aws, &arguments).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(100 + RandomState::new().hash_one(kill) % 1500));
        // SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
        put_objects(&aws, 40 + 5 * kill..45 + 5 * kill);
    }
    succeed(&mut catch_up(&aws, &arguments));
    assert_all(&events(&aws.path("out")), 0..80, RECORDS);
    let checkpoint: Value = serde_json::from_slice(&fs::read(aws.path("checkpoint.json")).unwrap()).unwrap();
    let positions = checkpoint["shards"].as_object().unwrap();
    assert!(positions.len() == 4 && positions.values().all(|position| position != "TRIM_HORIZON"), "{checkpoint}");
}

#[test]
fn shards_may_be_split_and_merged_meanwhile() {
    let Some(aws) = with_shards(2) else { return };
    let arguments = ["--checkpoint", "checkpoint.json", "--output", "out/", "--lease-secs", "2"];
    let child = pull(&aws, &arguments).stderr(Stdio::null()).spawn().unwrap();
    put_objects(&aws, 0..10);
    let before = open_shards(&aws);
    split(&aws, &before[0]);
    put_objects(&aws, 10..20);
    let now = open_shards(&aws);
    let children: Vec<&String> = now.iter().filter(|shard| !before.contains(shard)).collect();
    merge(&aws, children[0], children[1]);
    put_objects(&aws, 20..30);
    wait_until("all records have been read", || events_so_far(&aws.path("out")).len() == 30 * RECORDS);
    end(child);
    put_objects(&aws, 30..35);
    succeed(&mut catch_up(&aws, &arguments));
    let all = events(&aws.path("out"));
    assert_eq!(all.len(), 35 * RECORDS, "each once, where nothing goes wrong");
    assert_all(&all, 0..35, RECORDS);
    let checkpoint: Value = serde_json::from_slice(&fs::read(aws.path("checkpoint.json")).unwrap()).unwrap();
    let ended = checkpoint["shards"].as_object().unwrap().values().filter(|position| **position == "SHARD_END");
    assert_eq!(ended.count(), 3, "{checkpoint}");
}

#[test]
fn two_processes_share_the_shards_and_one_takes_over_from_the_other() {
    let Some(aws) = with_shards(4) else { return };
    put_objects(&aws, 0..8);
    let start = |output: &str| {
        let mut command = pull(&aws, &["--lease-table", "leases", "--lease-secs", "2", "--output", output]);
        command.stderr(Stdio::null()).spawn().unwrap()
    };
    let mut first = start("first/");
    wait_until("the first has read everything", || events_so_far(&aws.path("first")).len() >= 8 * RECORDS);
    let second = start("second/");
    wait_until("each has two shards", || {
        let owners = leases(&aws).into_values().map(|lease| lease["leaseOwner"]["S"].clone());
        let mut counts = BTreeMap::new();
        owners.for_each(|owner| *counts.entry(owner.to_string()).or_insert(0) += 1);
        counts.len() == 2 && counts.values().all(|count| *count == 2)
    });
    put_objects(&aws, 8..24);
    let all = || {
        [events_so_far(&aws.path("first")), events_so_far(&aws.path("second"))]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
    };
    wait_until("both have read", || all().len() >= 24 * RECORDS);
    assert!(!events_so_far(&aws.path("second")).is_empty() && events_so_far(&aws.path("first")).len() > 8 * RECORDS);
    first.kill().unwrap();
    first.wait().unwrap();
    put_objects(&aws, 24..32);
    let is_there = |objects: std::ops::Range<usize>| {
        let all = all();
        objects.into_iter().all(|object| all.iter().any(|event| event.interface == interface(object, RECORDS - 1)))
    };
    wait_until("the second has taken over", || {
        let owners: BTreeSet<_> =
            leases(&aws).into_values().map(|lease| lease["leaseOwner"]["S"].to_string()).collect();
        owners.len() == 1 && is_there(24..32)
    });
    end(second);
    assert_all(&all(), 0..32, RECORDS);
    assert!(leases(&aws).values().all(|lease| lease.get("leaseOwner").is_none()), "who ends gives its leases back");
    let mut other = aws.vpcflow(&["pull", "kinesis", "--stream", "another", "--lease-table", "leases"]);
    let output = other.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("the table leases is that of another stream, flow-logs"), "{}", told(&output));
}

#[test]
fn a_table_that_does_not_answer_for_a_while_costs_nothing() {
    let Some(aws) = with_shards(1) else { return };
    put_objects(&aws, 0..5);
    let arguments = ["--lease-table", "leases", "--lease-secs", "2", "--output", "out/"];
    let child = pull(&aws, &arguments).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the first records have been read", || events_so_far(&aws.path("out")).len() == 5 * RECORDS);
    // More than the SDK itself tries, and for longer than leases last.
    aws.fault(r#"{"dynamodb_update_error": "InternalServerError", "count": 24}"#);
    put_objects(&aws, 5..10);
    split(&aws, &open_shards(&aws)[0]);
    put_objects(&aws, 10..20);
    let is_there = |object| events_so_far(&aws.path("out")).iter().any(|event| event.interface == interface(object, 0));
    wait_until("the children have been read", || (0..20).all(is_there));
    end(child);
    assert_all(&events(&aws.path("out")), 0..20, RECORDS);
    let before = events(&aws.path("out")).len();
    succeed(&mut catch_up(&aws, &arguments));
    assert_eq!(events(&aws.path("out")).len(), before, "everything had been kept in the table");
}

/// Kinesis Client Library deletes the lease of a shard that is read to its end.
#[test]
fn what_another_application_has_read_to_its_end_is_not_read_again() {
    let Some(aws) = with_shards(1) else { return };
    put_objects(&aws, 0..5);
    let parent = open_shards(&aws)[0].clone();
    split(&aws, &parent);
    put_objects(&aws, 5..10);
    let arguments = ["--lease-table", "leases", "--output", "out/"];
    succeed(&mut catch_up(&aws, &arguments));
    let key = json!({"leaseKey": {"S": parent}});
    aws.json("dynamodb", "DynamoDB_20120810.DeleteItem", json!({"TableName": "leases", "Key": key}));
    put_objects(&aws, 10..15);
    succeed(&mut catch_up(&aws, &arguments));
    let all = events(&aws.path("out"));
    assert_eq!(all.len(), 15 * RECORDS, "each once");
    assert_all(&all, 0..15, RECORDS);
}

fn leases(aws: &Aws) -> BTreeMap<String, Value> {
    let answer = aws.json("dynamodb", "DynamoDB_20120810.Scan", json!({"TableName": "leases"}));
    let items = answer["Items"].as_array().unwrap().iter();
    items.map(|item| (item["leaseKey"]["S"].as_str().unwrap().to_owned(), item.clone())).collect()
}

#[test]
fn expired_iterators_and_throttling_lose_nothing() {
    let Some(aws) = with_shards(1) else { return };
    put_objects(&aws, 0..3);
    let child =
        pull(&aws, &["--checkpoint", "checkpoint.json", "--output", "out/"]).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the first records have been read", || events_so_far(&aws.path("out")).len() == 3 * RECORDS);
    aws.fault(r#"{"kinesis_get_records_error": "ExpiredIteratorException"}"#);
    put_objects(&aws, 3..6);
    wait_until("the iterator has been replaced", || events_so_far(&aws.path("out")).len() == 6 * RECORDS);
    // More than the SDK itself tries.
    aws.fault(r#"{"kinesis_get_records_error": "ProvisionedThroughputExceededException", "count": 5}"#);
    put_objects(&aws, 6..9);
    wait_until("the throttling is over", || events_so_far(&aws.path("out")).len() == 9 * RECORDS);
    end(child);
    assert_all(&events(&aws.path("out")), 0..9, RECORDS);
}

#[test]
fn a_second_process_with_the_same_checkpoint_is_refused() {
    let Some(aws) = with_shards(1) else { return };
    let child =
        pull(&aws, &["--checkpoint", "checkpoint.json"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the first runs", || aws.path("checkpoint.json").exists());
    let output = pull(&aws, &["--checkpoint", "checkpoint.json"]).output().unwrap();
    end(child);
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("--checkpoint checkpoint.json: another process reads with it"), "{}", told(&output));
}

/// Seed of the project: flow log → log group → subscription filter → data stream → Snare's table.
#[test]
fn snares_table_comes_through_a_subscription_filter() {
    let Some(aws) = with_shards(2) else { return };
    let logs = |action: &str, parameters: Value| aws.json("logs", &format!("Logs_20140328.{action}"), parameters);
    logs("CreateLogGroup", json!({"logGroupName": "/aws/vpc/flowlogs"}));
    let stream = json!({"logGroupName": "/aws/vpc/flowlogs", "logStreamName": "eni-1234s1m4n56789-all"});
    logs("CreateLogStream", stream.clone());
    logs(
        "PutSubscriptionFilter",
        json!({"logGroupName": "/aws/vpc/flowlogs", "filterName": "vpcflow", "filterPattern": "",
        "destinationArn": format!("arn:aws:kinesis:eu-west-1:123456789012:stream/{STREAM}"),
        "roleArn": "arn:aws:iam::123456789012:role/vpcflow"}),
    );
    let now = chrono::Utc::now().timestamp_millis();
    let message = "2 123456789012 eni-1234s1m4n56789 122.31.17.169 122.31.17.69 20641 22 6 20 4249 1668722921 1668722981 ACCEPT OK";
    let mut request = stream;
    request["logEvents"] = json!([{"timestamp": now, "message": message}]);
    logs("PutLogEvents", request);
    let output = succeed(&mut catch_up(&aws, &["--schema", "snare", "--collected-at", "now"]));
    let lines: Vec<Value> =
        String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [row] = &lines[..] else { panic!("{lines:?}") };
    let time =
        |name: &str| chrono::DateTime::parse_from_rfc3339(row[name].as_str().unwrap()).unwrap().timestamp_millis();
    assert_eq!(time("CWLDATETIME"), now);
    assert!((time("COLLECTIONDATETIME") - now).abs() < 300_000);
    let mut expected = json!({
        "DATE": "2022-11-17", "TIME": "22:09:41", "SYSTEM": "AWS Internal", "TABLE": "AWSVPCFlowLog",
        "DATETIME": "2022-11-17T22:09:41Z", "VERSION": 2, "ACCOUNTID": "123456789012",
        "INTERFACEID": "eni-1234s1m4n56789", "SRCADDR": "122.31.17.169", "DSTADDR": "122.31.17.69", "SRCPORT": 20641,
        "DSTPORT": 22, "PROTOCOL": 6, "PACKETS": 20, "BYTES": 4249, "START": "2022-11-17T22:08:41Z", "ACTION": "ACCEPT",
        "LOGSTATUS": "OK",
    });
    for name in ["CWLDATETIME", "COLLECTIONDATETIME", "EVENTID"] {
        expected[name] = row[name].clone();
    }
    assert_eq!(row, &expected);
}
