//! What AWS and Sekoia publish.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

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
            let outcome = open(None, 1 << 20).transform(line.as_bytes());
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
            let outcome = open(None, 1 << 20).transform(message.as_bytes());
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
            let given = open(Some(format), 1 << 20).transform(line.as_bytes());
            assert_eq!(given.counts, [1, 1, 0, 0], "{name}, line {}: {:?}", row[0], given.rejects);
            let headed = open(None, 1 << 20).transform(format!("{format}\n{line}\n").as_bytes());
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
