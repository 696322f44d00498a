//! `vpcflow fields --index-template`: every member of every golden case has a type there that it fits.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::process::Command;

use chrono::DateTime;
use serde_json::{Value, json};

use crate::aws::here;

fn template(arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test"));
    let output = command.args(["fields", "--index-template"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn fits(kind: &str, value: &Value) -> bool {
    match (kind, value) {
        (_, Value::Array(elements)) => !elements.is_empty() && elements.iter().all(|element| fits(kind, element)),
        ("ip", _) => value.as_str().is_some_and(|text| text.parse::<IpAddr>().is_ok()),
        ("date", _) => value.as_str().is_some_and(|text| DateTime::parse_from_rfc3339(text).is_ok()),
        ("long", _) => value.as_i64().is_some(),
        ("geo_point", _) => value["lat"].is_number() && value["lon"].is_number(),
        ("keyword", _) => value.is_string(),
        _ => false,
    }
}

/// Holds an object's members against the properties that are mapped for it.
fn check(path: &str, object: &Value, properties: &Value, seen: &mut BTreeSet<String>) {
    for (key, value) in object.as_object().unwrap() {
        let path = [path, key].join(if path.is_empty() { "" } else { "." });
        let mapping = &properties[key];
        match (mapping["type"].as_str(), &mapping["properties"]) {
            (Some(kind), _) => {
                assert!(fits(kind, value), "{path} is no {kind}: {value}");
                seen.insert(path);
            }
            (None, Value::Null) => {
                // Names that nobody knows in advance, which are mapped as texts.
                let is_open = path.starts_with("aws.vpcflow.") || path.starts_with("SNAREDATAMAP.");
                assert!(is_open && value.is_string(), "{path} is not in the template: {value}");
            }
            (None, inner) => check(&path, value, inner, seen),
        }
    }
}

fn types(path: &str, properties: &Value, found: &mut Vec<(String, String)>) {
    for (key, mapping) in properties.as_object().unwrap() {
        let path = [path, key].join(if path.is_empty() { "" } else { "." });
        match mapping["type"].as_str() {
            Some(kind) => found.push((path, kind.to_owned())),
            None => types(&path, &mapping["properties"], found),
        }
    }
}

#[test]
fn every_member_of_every_event_fits_its_type() {
    for schema in ["sekoia", "elastic", "snare"] {
        let template = template(&["--schema", schema]);
        let properties = &template["template"]["mappings"]["properties"];
        let (mut events, mut seen) = (0, BTreeSet::new());
        for entry in fs::read_dir(here().join("cases")).unwrap() {
            let path = entry.unwrap().path();
            if !path.to_str().unwrap().ends_with(&format!(".{schema}.ndjson")) {
                continue;
            }
            for line in fs::read_to_string(path).unwrap().lines() {
                check("", &serde_json::from_str(line).unwrap(), properties, &mut seen);
                events += 1;
            }
        }
        assert!(events > 100, "{events}");
        let mut all = Vec::new();
        types("", properties, &mut all);
        let never: Vec<_> = all.iter().filter(|(path, _)| !seen.contains(path)).collect();
        assert!(never.is_empty(), "no case of {schema} gives {never:?}");
    }
}

#[test]
fn the_types_of_the_data_stream_are_those_of_ecs() {
    let table = fs::read_to_string(here().join("data/ecs-8.11.tsv")).unwrap();
    let known = |path: &str| {
        let named = table.lines().find_map(|row| row.strip_prefix(path)?.strip_prefix('\t'));
        named.or_else(|| path.starts_with("aws.vpcflow.").then_some("keyword")).unwrap_or("absent")
    };
    let mut all = Vec::new();
    types("", &template(&["--schema", "elastic"])["template"]["mappings"]["properties"], &mut all);
    for (path, kind) in all {
        let wanted = known(&path).trim_end_matches("[]").replace("constant_keyword", "keyword");
        assert_eq!(kind, wanted, "{path}");
    }
}

#[test]
fn only_a_schema_for_a_data_stream_makes_one() {
    let elastic = template(&["--schema", "elastic"]);
    assert_eq!((&elastic["index_patterns"], &elastic["data_stream"]), (&json!(["logs-aws.vpcflow-*"]), &json!({})));
    let first = template(&[]);
    assert_eq!(first, template(&["--schema", "sekoia"]));
    assert_eq!(first["index_patterns"], json!(["vpcflow-sekoia", "vpcflow-sekoia-*"]));
    assert!(first.get("data_stream").is_none());
    let mappings = &first["template"]["mappings"];
    assert_eq!(mappings["properties"]["message"], json!({"type": "keyword", "index": false, "doc_values": false}));
    assert_eq!(mappings["properties"]["related"]["properties"]["ip"]["type"], "ip");
    assert_eq!(mappings["dynamic_templates"][0]["texts"]["mapping"]["type"], "keyword");
}

#[test]
fn an_unknown_schema_is_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test"));
    let output = command.args(["fields", "--index-template", "--schema", "ecs"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains(r#"unknown schema "ecs", wanted one of sekoia, elastic, snare"#), "{stderr}");
}
