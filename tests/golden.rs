//! Every case gives what its files say, in every implementation, whole and cut at every line end.

use std::collections::BTreeSet;

use vpcflow::engine;
use vpcflow_parser::Field;

use crate::cases::{self, Case, SCHEMAS};
use crate::implementation::{ALL, Open, Outcome};

fn transform(open: Open, schema: &str, case: &Case, parts: &[&[u8]]) -> Outcome {
    let mut implementation = open(schema, &case.options);
    let mut whole = Outcome::default();
    let mut offset = 0;
    for part in parts {
        whole.append(implementation.transform(part, offset), offset);
        offset += part.len();
    }
    whole
}

#[test]
fn cases_give_what_their_files_say() {
    for case in cases::all() {
        for schema in SCHEMAS {
            for (_, open) in ALL {
                case.check(schema, &transform(open, schema, &case, &[&case.input]));
            }
        }
    }
}

#[test]
fn every_cut_at_a_line_end_gives_the_same() {
    for case in cases::all() {
        let line_ends = (1..case.input.len()).filter(|&end| case.input[end - 1] == b'\n');
        let every_line: Vec<&[u8]> = case.input.split_inclusive(|&byte| byte == b'\n').collect();
        for (name, open) in ALL {
            for schema in SCHEMAS {
                let whole = transform(open, schema, &case, &[&case.input]).as_text(&case.input);
                for end in line_ends.clone() {
                    let (left, right) = case.input.split_at(end);
                    let cut = transform(open, schema, &case, &[left, right]).as_text(&case.input);
                    assert_eq!(cut, whole, "{}, {name}, {schema}, cut at byte {end}", case.name);
                }
                let cut = transform(open, schema, &case, &every_line).as_text(&case.input);
                assert_eq!(cut, whole, "{}, {name}, {schema}, line by line", case.name);
            }
        }
    }
}

#[test]
fn every_line_is_accounted_for() {
    for case in cases::all() {
        let line_feeds = case.input.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let open_line = u64::from(case.input.last().is_some_and(|&byte| byte != b'\n'));
        for (name, open) in ALL {
            let outcome = transform(open, "sekoia", &case, &[&case.input]);
            let [lines, events, rejects, skips] = outcome.counts;
            assert_eq!(lines, line_feeds + open_line, "{}, {name}", case.name);
            if !case.options.several_records_a_line {
                assert_eq!(lines, events + rejects + skips, "{}, {name}", case.name);
            }
            assert_eq!(rejects, outcome.rejects.len() as u64, "{}, {name}", case.name);
            let written = outcome.events.iter().filter(|&&byte| byte == b'\n').count() as u64;
            assert_eq!(events, written, "{}, {name}", case.name);
        }
    }
}

#[test]
fn every_event_is_json_without_empty_values() {
    fn check(value: &serde_json::Value, place: &str) {
        match value {
            serde_json::Value::Object(members) => {
                assert!(!members.is_empty(), "{place}");
                members.iter().for_each(|(key, value)| check(value, &format!("{place}.{key}")));
            }
            serde_json::Value::Array(items) => {
                assert!(!items.is_empty(), "{place}");
                items.iter().for_each(|item| check(item, place));
            }
            serde_json::Value::Null => panic!("{place} is null"),
            serde_json::Value::String(text) => assert!(text != "-" && !text.is_empty(), "{place} is {text:?}"),
            _ => {}
        }
    }
    for case in cases::all() {
        for schema in SCHEMAS {
            let outcome = transform(ALL[0].1, schema, &case, &[&case.input]);
            for line in outcome.events.split_inclusive(|&byte| byte == b'\n') {
                let event: serde_json::Value = serde_json::from_slice(line).unwrap();
                check(&event, &case.name);
                // A key that stood twice would be lost in reading, and the text shorter when written again.
                assert_eq!(event.to_string().len(), line.trim_ascii_end().len(), "{}", line.escape_ascii());
            }
        }
    }
}

#[test]
fn cases_cover_every_field_and_every_reason() {
    let mut fields = BTreeSet::new();
    let mut reasons = BTreeSet::new();
    for case in cases::all() {
        let outcome = transform(ALL[0].1, "sekoia", &case, &[&case.input]);
        let reason = |reject: &engine::Reject| vpcflow::reject::reason_name(&reject.fault.reason).to_owned();
        reasons.extend(outcome.rejects.iter().map(reason));
        fields.extend(String::from_utf8_lossy(&case.input).split_ascii_whitespace().map(str::to_owned));
    }
    for field in Field::ALL {
        assert!(fields.contains(field.info().name), "no case has {}", field.info().name);
    }
    let expected = [
        "bad-envelope",
        "bad-json",
        "bad-value",
        "column-count",
        "line-too-long",
        "not-a-record",
        "not-utf8",
        "unknown-format",
    ];
    assert_eq!(reasons.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn no_file_lies_in_the_folder_without_a_case() {
    let mut files = cases::file_names();
    for case in cases::all() {
        for schema in SCHEMAS {
            files.remove(&case.events_file(schema));
        }
        files.remove(&case.rejects_file());
        for extension in ["log", "options.json"] {
            files.remove(&format!("{}.{extension}", case.name));
        }
    }
    assert_eq!(files, BTreeSet::new());
}
