//! What AWS, Sekoia and Elastic publish.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::cases::CaseOptions;
use crate::implementation::ALL;

fn data(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(file)).unwrap()
}

/// Numbers as numbers: `8080.0` is `8080`.
fn normal(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.iter().map(normal).collect(),
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), normal(value))).collect(),
        other => other.clone(),
    }
}

/// Each sample's `message` is its input. Two end in a line feed: the line end that frames them is
/// another one, so they come as Firehose would bring them.
#[test]
fn sekoias_nine_samples_come_out_equal() {
    let samples: Vec<Value> = serde_json::from_str(&data("sekoia-samples.json")).unwrap();
    assert_eq!(samples.len(), 9);
    for (name, open) in ALL {
        for sample in &samples {
            let line = json!({"message": sample["message"]}).to_string() + "\n";
            let outcome = open("sekoia", &CaseOptions::default()).transform(line.as_bytes(), 0);
            let event: Value = serde_json::from_slice(&outcome.events).unwrap();
            assert_eq!(normal(&event), normal(sample), "{name}");
        }
    }
}

/// The same samples as lines of their own, where the final line feed is the frame's.
#[test]
fn sekoias_nine_samples_come_out_equal_as_lines() {
    let samples: Vec<Value> = serde_json::from_str(&data("sekoia-samples.json")).unwrap();
    for (name, open) in ALL {
        for sample in &samples {
            let mut expected = sample.clone();
            let message = sample["message"].as_str().unwrap().trim_end_matches('\n');
            expected["message"] = message.into();
            let outcome = open("sekoia", &CaseOptions::default()).transform(message.as_bytes(), 0);
            let event: Value = serde_json::from_slice(&outcome.events).unwrap();
            assert_eq!(normal(&event), normal(&expected), "{name}");
        }
    }
}

/// The 44 lines of AWS's documentation, with the format given and under a header line. What stands
/// behind ` #` is the documentation's comment.
#[test]
fn awss_lines_give_events() {
    let table = data("aws-samples.tsv");
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|row| row.split('\t').collect()).collect();
    assert_eq!(rows.len(), 44);
    for (name, open) in ALL {
        for row in &rows {
            let (format, line) = (row[1], row[2].split('#').next().unwrap().trim_end());
            let options = CaseOptions { format: Some(format.into()), ..CaseOptions::default() };
            let given = open("sekoia", &options).transform(line.as_bytes(), 0);
            assert_eq!(given.counts, [1, 1, 0, 0], "{name}, line {}: {:?}", row[0], given.rejects);
            let headed = open("sekoia", &CaseOptions::default()).transform(format!("{format}\n{line}\n").as_bytes(), 0);
            assert_eq!(headed.counts, [2, 1, 0, 1], "{name}, line {}: {:?}", row[0], headed.rejects);
            assert_eq!(headed.events, given.events);
            let event: Value = serde_json::from_slice(&given.events).unwrap();
            assert_eq!(event["message"], line);
            for (field, column) in format.split(' ').zip(line.split_ascii_whitespace()) {
                let key = match field {
                    "srcaddr" => "/source/ip",
                    "dstaddr" => "/destination/ip",
                    "interface-id" => "/observer/ingress/interface/name",
                    "instance-id" => "/cloud/instance/id",
                    _ => continue,
                };
                let expected = (column != "-").then(|| json!(column));
                assert_eq!(event.pointer(key), expected.as_ref(), "line {}: {field}", row[0]);
            }
        }
    }
}

/// Elastic's sample event of the data stream, made by its own pipeline. Where it breaks with ECS or
/// with itself, the difference is named here.
#[test]
fn elastics_sample_event_comes_out_equal() {
    let mut sample: Value = serde_json::from_str(&data("elastic-sample.json")).unwrap();
    // Not of the record: what Elastic's agent adds, and when.
    sample.as_object_mut().unwrap().remove("tags");
    assert_eq!(sample["event"]["ingested"].take(), "2021-09-28T19:10:43.075027100Z");
    // ECS defines both as arrays; the field list's own `allowed` is missing in the sample.
    assert_eq!(sample["event"]["category"].take(), "network");
    sample["event"]["category"] = json!(["network"]);
    assert_eq!(sample["event"]["type"].take(), "connection");
    sample["event"]["type"] = json!(["connection", "allowed"]);
    assert_eq!(sample["ecs"]["version"].take(), "8.0.0");
    sample["ecs"]["version"] = "8.11.0".into();
    // Members of the field list that the sample does not show.
    sample["event"]["action"] = "ACCEPT".into();
    sample["event"]["module"] = "aws".into();
    sample["event"]["dataset"] = "aws.vpcflow".into();
    let line = sample["event"]["original"].as_str().unwrap().to_owned();
    let options = CaseOptions { collected_at: Some((1_632_856_243, 75_027_100)), ..CaseOptions::default() };
    for (name, open) in ALL {
        let outcome = open("elastic", &options).transform(line.as_bytes(), 0);
        let mut event: Value = serde_json::from_slice(&outcome.events).unwrap();
        // The same moment without the two zeros at its end.
        assert_eq!(event["event"]["ingested"].take(), "2021-09-28T19:10:43.0750271Z");
        assert_eq!(event, sample, "{name}");
    }
}
