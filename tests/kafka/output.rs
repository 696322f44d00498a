//! Events in a topic.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaApiKey::Produce;
use rdkafka::types::RDKafkaRespErr::{RD_KAFKA_RESP_ERR_INVALID_RECORD, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE};
use serde_json::{Value, json};

use super::cluster::{Cluster, OUT, Record, ended, run};
use super::lines;
use crate::aws::{Aws, QUEUE, kill, succeed, terminate, told, wait_until};
use crate::flow_logs::{interface, object};

fn interface_of(record: &Record) -> String {
    record.event["observer"]["ingress"]["interface"]["name"].as_str().unwrap().to_owned()
}

/// The records are exactly those of the object, and no event id stands for two.
fn assert_object(records: &[Record], number: usize, count: usize) {
    let found: BTreeSet<String> = records.iter().map(interface_of).collect();
    let expected: BTreeSet<String> = (0..count).map(|record| interface(number, record)).collect();
    assert!(found == expected, "{} of {count}", found.len());
    let ids: BTreeSet<_> = records.iter().map(|record| record.event["event"]["id"].as_str()).collect();
    assert_eq!(ids.len(), count);
}

#[test]
fn every_event_is_a_record_with_its_key() {
    let cluster = Cluster::new(2);
    cluster.produce_lines(0, &lines(0, 500));
    cluster.produce_lines(1, &lines(0, 500));
    let key = "observer.ingress.interface.name";
    let mut command = cluster.pull(&["--until-caught-up", "--event-id", "--kafka-output-key", key]);
    run(command.args(cluster.output()));
    let records = cluster.records();
    assert_eq!(records.len(), 1000, "each once");
    let mut partitions: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
    for record in &records {
        assert_eq!(record.key.as_ref(), Some(&interface_of(record)));
        partitions.entry(interface_of(record)).or_default().insert(record.partition);
    }
    assert_eq!(partitions.len(), 500);
    assert!(partitions.values().all(|partitions| partitions.len() == 1), "equal keys share a partition");
    assert!(partitions.values().flatten().collect::<BTreeSet<_>>().len() > 1);
    assert_eq!(cluster.committed(2), [500, 500]);
}

#[test]
fn without_brokers_it_waits_and_goes_on() {
    let (cluster, other) = (Cluster::new(1), Cluster::new(1));
    cluster.produce_lines(0, &lines(0, 2000));
    other.mock.broker_down(-1).unwrap();
    let child = cluster.pull(&["--until-caught-up", "--event-id"]).args(other.output()).spawn().unwrap();
    // Longer than it takes when there are brokers.
    thread::sleep(Duration::from_secs(8));
    assert_eq!(cluster.committed(1), [0], "where it began: nothing is safe yet");
    other.mock.broker_up(-1).unwrap();
    let output = ended(child);
    assert!(output.status.success(), "{}", told(&output));
    let records = other.records();
    assert_eq!(records.len(), 2000, "each once");
    assert_object(&records, 0, 2000);
    assert_eq!(cluster.committed(1), [2000]);
}

#[test]
fn a_signal_ends_the_waiting_and_nothing_is_acknowledged() {
    let (cluster, other) = (Cluster::new(1), Cluster::new(1));
    cluster.produce_lines(0, &lines(0, 20));
    other.mock.broker_down(-1).unwrap();
    let mut command = cluster.pull(&["--shutdown-timeout-secs", "1"]);
    let child = command.args(other.output()).spawn().unwrap();
    wait_until("there are records in hand", || cluster.committed(1) == [0]);
    thread::sleep(Duration::from_secs(1));
    let started = Instant::now();
    terminate(&child);
    let output = ended(child);
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("ended while the brokers had not taken all events"), "{}", told(&output));
    assert_eq!(cluster.committed(1), [0]);
}

#[test]
fn an_event_that_is_too_large_is_refused_and_its_neighbours_are_not() {
    let cluster = Cluster::new(1);
    let large = json!({"message": lines(3, 1).trim(), "x": "x".repeat(10)}).to_string();
    let mut values: Vec<String> = lines(0, 100).lines().map(str::to_owned).collect();
    values.insert(50, large);
    let unknown = json!({"version": 2, "account_id": "123456789012", "interface_id": "eni-x", "srcaddr": "10.0.0.1",
        "dstaddr": "10.0.0.2", "start": 1_700_000_000, "end": 1_700_000_060, "unheard_of": "x".repeat(5000)});
    values.push(unknown.to_string());
    cluster.produce(0, values.into_iter().map(|value| Some(value.into_bytes())));
    // The brokers' limit concerns a batch.
    cluster.mock.request_errors(Produce, &[RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    cluster.file("output.properties", "message.max.bytes=4000\nbatch.num.messages=20");
    let mut command = cluster.pull(&["--until-caught-up", "--schema", "elastic", "--rejects", "rejects"]);
    let output = run(command.args(["--kafka-output-config-file", "output.properties"]).args(cluster.output()));
    let records = cluster.records();
    assert_eq!(records.len(), 101, "{}", told(&output));
    let rejects = fs::read_to_string(cluster.path("rejects")).unwrap();
    let reject: Value = serde_json::from_str(rejects.trim()).unwrap();
    assert_eq!((&reject["destination"], &reject["reason"]), (&json!(OUT), &json!("refused")));
    assert!(reject["found"].as_str().unwrap().contains("Message size too large"), "{reject}");
    assert!(reject["event"].as_str().unwrap().contains("eni-x"), "{reject}");
    assert_eq!(cluster.committed(1), [102]);
}

#[test]
fn an_invalid_event_is_refused_and_a_topic_that_wants_keys_ends_it() {
    let cluster = Cluster::new(1);
    cluster.produce_lines(0, &lines(0, 50));
    // Every batch, and every event of it alone.
    cluster.mock.request_errors(Produce, &[RD_KAFKA_RESP_ERR_INVALID_RECORD; 400]);
    let arguments = ["--until-caught-up", "--rejects", "rejects"];
    let output = ended(cluster.pull(&arguments).args(cluster.output()).spawn().unwrap());
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("no record without a key (--kafka-output-key)"), "{}", told(&output));
    assert_eq!(cluster.committed(1), [0]);

    let key = ["--kafka-output-key", "source.ip"];
    run(cluster.pull(&arguments).args(cluster.output()).args(key));
    assert_eq!(fs::read_to_string(cluster.path("rejects")).unwrap().lines().count(), 50);
    assert_eq!(cluster.records().len(), 0);
    assert_eq!(cluster.committed(1), [50]);
}

#[test]
fn killed_at_any_moment_every_object_of_a_bucket_is_in_the_topic() {
    const OBJECTS: usize = 20;
    const RECORDS: usize = 300;
    let Some(aws) = Aws::with_queue() else { return };
    let cluster = Cluster::new(1);
    for number in 0..OBJECTS {
        let (key, bytes) = object(number, RECORDS);
        aws.put(&key, &bytes);
    }
    aws.set_max_receive_count(1000);
    cluster.mock.broker_round_trip_time(-1, Duration::from_millis(50)).unwrap();
    let mut command = aws.vpcflow(&["pull", "sqs", "--queue-name", QUEUE, "--wait-time-secs", "1", "--event-id"]);
    command.args(["--visibility-timeout-secs", "2", "--workers", "1"]).args(cluster.output());
    for number in 0..4 {
        let child: Child = command.stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(700 + 300 * number));
        kill(child);
    }
    wait_until("the queue is empty", || {
        succeed(aws.pull(&["--event-id"]).args(cluster.output()));
        aws.messages(QUEUE) == (0, 0)
    });
    let records = cluster.records();
    println!("{} records of {}", records.len(), OBJECTS * RECORDS);
    let found: BTreeSet<(String, String)> = records
        .iter()
        .map(|record| (interface_of(record), record.event["event"]["id"].as_str().unwrap().to_owned()))
        .collect();
    let interfaces: BTreeSet<&String> = found.iter().map(|(interface, _)| interface).collect();
    assert_eq!((found.len(), interfaces.len()), (OBJECTS * RECORDS, OBJECTS * RECORDS));
}
