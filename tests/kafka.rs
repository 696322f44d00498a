//! `vpcflow pull kafka`, and Kafka as an output.

mod cluster;
mod delivery;
mod output;

use std::collections::BTreeSet;
use std::fs;

use rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
use serde_json::{Value, json};

use crate::aws::told;
use crate::flow_logs::{assert_all, events, gzip, text};
use cluster::{Cluster, SECRET, TOPIC, ended, run};

/// Lines of the default format, without their header.
fn lines(object: usize, records: usize) -> String {
    assert_eq!(object % 3, 0, "the others need their header");
    text(object, records).split_once('\n').unwrap().1.to_owned()
}

/// A payload as a subscription of CloudWatch Logs gives it.
fn payload(lines: &str) -> String {
    let event = |(number, line): (usize, &str)| json!({"id": number.to_string(), "timestamp": 1, "message": line});
    let events: Vec<Value> = lines.lines().enumerate().map(event).collect();
    json!({"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "g", "logStream": "s", "logEvents": events})
        .to_string()
}

#[test]
fn values_of_every_kind_are_read_and_none_holds_its_partition_up() {
    let cluster = Cluster::new(2);
    let message = json!({"message": lines(6, 1).trim()}).to_string();
    let good: [Vec<u8>; 6] = [
        lines(0, 1).into_bytes(),
        lines(3, 4).into_bytes(),
        message.into_bytes(),
        gzip(text(1, 5).as_bytes()),
        payload(&lines(9, 3)).into_bytes(),
        gzip(payload(&lines(12, 3)).as_bytes()),
    ];
    cluster.produce(0, good.iter().cloned().map(Some));
    let poison = gzip(text(15, 3000).as_bytes())[..60].to_vec();
    let bad = lines(18, 1).replace(" 443 ", " https ");
    cluster.produce(1, [Some(poison.clone()), None, Some(bad.into_bytes()), Some(lines(21, 1).into_bytes())]);
    let output = run(&mut cluster.pull(&["--until-caught-up", "--output", "out", "--rejects", "rejects"]));

    // The same as from files.
    let folder = cluster.path("in");
    fs::create_dir(&folder).unwrap();
    for (number, value) in good.iter().chain([&lines(21, 1).into_bytes()]).enumerate() {
        fs::write(folder.join(number.to_string()), value).unwrap();
    }
    let mut transform = std::process::Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test"));
    let transformed = transform.arg("transform").arg(&folder).output().unwrap();
    let expected: BTreeSet<String> =
        String::from_utf8(transformed.stdout).unwrap().lines().map(str::to_owned).collect();
    let found = fs::read_to_string(cluster.path("out")).unwrap();
    assert_eq!(found.lines().count(), 18, "{}", told(&output));
    assert_eq!(found.lines().map(str::to_owned).collect::<BTreeSet<_>>(), expected);

    let rejects = fs::read_to_string(cluster.path("rejects")).unwrap();
    let mut rejects: Vec<Value> = rejects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    rejects.sort_by_key(|reject| reject["source"].to_string());
    let told: Vec<_> = rejects.iter().map(|reject| (&reject["source"], &reject["reason"])).collect();
    let sources = [json!(format!("kafka://{TOPIC}/1/0")), json!(format!("kafka://{TOPIC}/1/2"))];
    assert_eq!(told, [(&sources[0], &json!("unreadable")), (&sources[1], &json!("unknown-format"))]);
    assert_eq!(cluster.committed(2), [6, 4]);
}

#[test]
fn records_that_come_again_have_the_same_ids_and_what_was_read_does_not_come() {
    let cluster = Cluster::new(1);
    cluster.produce_lines(0, &lines(0, 50));
    for group in ["first", "second"] {
        run(&mut cluster.pull_as(group, &["--until-caught-up", "--event-id", "--output", "out"]));
    }
    let found = events(&cluster.path("out"));
    assert_eq!(found.len(), 100);
    assert_all(&found, [0], 50);

    run(&mut cluster.pull(&["--until-caught-up", "--output", "first"]));
    cluster.produce_lines(0, &lines(3, 50));
    run(&mut cluster.pull(&["--until-caught-up", "--output", "second"]));
    let found = events(&cluster.path("second"));
    assert_all(&found, [3], 50);
    run(&mut cluster.pull(&["--until-caught-up", "--output", "third"]));
    assert_eq!(events(&cluster.path("third")).len(), 0);
}

#[test]
fn mistakes_are_told_and_no_secret_is() {
    let cluster = Cluster::new(1);
    cluster.produce_lines(0, &lines(0, 5));
    let secrets = format!("sasl.mechanism=PLAIN\nsasl.username=u\nsasl.password={SECRET}");
    let cases = [
        ("", "group.id=x", "bad.properties: line 1: group.id is set by vpcflow, and not to be changed"),
        ("", "\nenable.auto.commit = true", "line 2: enable.auto.commit is set by vpcflow"),
        ("--topic=other", "", "--until-caught-up reads one topic"),
        ("--kafka-config-file=none", "", "none cannot be read"),
        ("", &format!("sasl.pasword={SECRET}"), "line 1: sasl.pasword: No such configuration property"),
        ("", SECRET, "line 1: wanted name=value"),
    ];
    for (option, settings, expected) in cases {
        cluster.file("bad.properties", settings);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test"));
        command.args([
            "pull",
            "kafka",
            "--brokers",
            "127.0.0.1:1",
            "--topic",
            TOPIC,
            "--group",
            "g",
            "--until-caught-up",
        ]);
        command.arg(if option.is_empty() { "--kafka-config-file=bad.properties" } else { option });
        command.current_dir(cluster.folder.path()).stdout(std::process::Stdio::piped());
        let output = ended(command.stderr(std::process::Stdio::piped()).spawn().unwrap());
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        assert!(told(&output).contains(expected) && !told(&output).contains(SECRET), "{expected}: {}", told(&output));
    }
    cluster.file("kafka.properties", &format!("debug=all\n{secrets}"));
    let mut command = cluster.pull(&["--until-caught-up", "--log-level", "trace", "--kafka-output-config-file"]);
    let output = run(command.arg("kafka.properties").args(cluster.output()));
    assert!(told(&output).contains("DEBUG"), "{}", told(&output));
    assert!(!told(&output).contains(SECRET), "{}", told(&output));
    assert_eq!(cluster.records().len(), 5);
}

#[test]
fn what_will_never_be_readable_ends_it() {
    let cluster = Cluster::new(1);
    cluster.mock.topic_error(TOPIC, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).unwrap();
    let output = ended(cluster.pull(&[]).spawn().unwrap());
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("Topic authorization failed"), "{}", told(&output));
}
