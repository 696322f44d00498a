//! Every event of the schema `elastic` fits ECS 8.11 and the data stream's own field list: each member
//! is named in `data/ecs-8.11.tsv`, and is of the type that stands there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use chrono::DateTime;
use serde_json::Value;

use crate::cases;
use crate::implementation::open_native;

fn types() -> BTreeMap<String, String> {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/ecs-8.11.tsv");
    let table = fs::read_to_string(table).unwrap();
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    rows.filter_map(|row| row.split_once('\t')).map(|(name, kind)| (name.into(), kind.into())).collect()
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "keyword" | "constant_keyword" => value.is_string(),
        "long" => value.as_u64().is_some_and(|number| number <= i64::MAX as u64),
        "ip" => value.as_str().is_some_and(|text| text.parse::<IpAddr>().is_ok()),
        "date" => value.as_str().is_some_and(|text| DateTime::parse_from_rfc3339(text).is_ok()),
        "geo_point" => value["lat"].is_f64() && value["lon"].is_f64(),
        array => {
            let item = array.strip_suffix("[]").unwrap();
            value.as_array().is_some_and(|items| items.iter().all(|value| is_of(item, value)))
        }
    }
}

fn check(path: &str, value: &Value, types: &BTreeMap<String, String>, seen: &mut BTreeSet<String>) {
    let named = types.get(path);
    let known = named.map(|kind| (path.to_owned(), kind)).or_else(|| {
        // Whatever else AWS may come to have is a keyword in the data stream's own space.
        let is_own = path.strip_prefix("aws.vpcflow.").is_some_and(|name| !name.contains('.') && !value.is_object());
        types.get("aws.vpcflow.*").filter(|_| is_own).map(|kind| ("aws.vpcflow.*".to_owned(), kind))
    });
    match (known, value) {
        (Some((name, kind)), _) => {
            assert!(is_of(kind, value), "{path} is no {kind}: {value}");
            seen.insert(name);
        }
        (None, Value::Object(members)) => {
            members.iter().for_each(|(key, value)| check(&format!("{path}.{key}"), value, types, seen));
        }
        (None, _) => panic!("{path} is not in the table: {value}"),
    }
}

#[test]
fn every_member_is_of_ecs_and_of_its_type() {
    let types = types();
    let mut seen = BTreeSet::new();
    for case in cases::all() {
        let outcome = open_native("elastic", &case.options).transform(&case.input, 0);
        for event in outcome.events.split_inclusive(|&byte| byte == b'\n') {
            let event: Value = serde_json::from_slice(event).unwrap();
            for (key, value) in event.as_object().unwrap() {
                check(key, value, &types, &mut seen);
            }
        }
    }
    let never: Vec<_> = types.keys().filter(|name| !seen.contains(*name)).collect();
    assert!(never.is_empty(), "no case gives {never:?}");
}
