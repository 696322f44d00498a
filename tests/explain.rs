//! `vpcflow explain`, `vpcflow fields`, and the options that decide what an event is.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use serde_json::Value;
use vpcflow::engine::{Context, Datetime, Outcome, Session};
use vpcflow_parser::Field;

use crate::cases::{self, SCHEMAS};
use crate::databases;
use crate::implementation::{component_options, engine, open_native};

fn run(arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

const LINE: &str = "2 123456789010 eni-1 10.0.0.1 10.0.0.2 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK";

#[test]
fn a_record_is_explained_column_by_column() {
    let quoted = run(&["explain", LINE], "");
    let words: Vec<&str> = ["explain"].into_iter().chain(LINE.split(' ')).collect();
    assert_eq!(quoted, run(&words, ""), "as one argument or as several");
    assert_eq!(quoted, run(&["explain"], LINE), "or from standard input");
    let (status, text, errors) = quoted;
    assert_eq!((status, errors.as_str()), (Some(0), ""));
    let rows: Vec<Vec<&str>> =
        text.lines().map(|line| line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect()).collect();
    assert_eq!(rows[0], ["a text line of 14 columns, read by the order that AWS publishes for so many"]);
    assert_eq!(rows[1], ["1", "version", "2", "integer 2"]);
    assert_eq!(
        rows[4],
        ["4", "srcaddr", "10.0.0.1", "IPv4 address", "action.target, related.ip, source.address, source.ip"]
    );
    assert_eq!(rows[8], ["8", "protocol", "6", "protocol 6, tcp", "network.iana_number, network.transport"]);
    assert_eq!(rows[11], ["11", "start", "1418530010", "2014-12-14T04:06:50Z", "@timestamp, event.start"]);
    let event: Value = serde_json::from_str(text.split("event: ").nth(1).unwrap()).unwrap();
    let (_, events, _) = run(&["transform"], LINE);
    assert_eq!(event, serde_json::from_str::<Value>(&events).unwrap(), "the event is the one of transform");
}

#[test]
fn a_record_that_is_refused_shows_every_fault() {
    let line = "2 10.0.0.1 10.0.0.300 http";
    let (status, text, _) = run(&["explain", "--format", "version srcaddr dstaddr srcport", line], "");
    assert_eq!(status, Some(1));
    let expected = "\
a text line of 4 columns, read by the format that was given
  1  version  2           integer 2
  2  srcaddr  10.0.0.1    IPv4 address
  3  dstaddr  10.0.0.300  ✗ wanted an IPv4 or IPv6 address
  4  srcport  http        ✗ wanted a port, 0 to 65535
refused: column 3, dstaddr: found \"10.0.0.300\", wanted an IPv4 or IPv6 address (bad-value)
";
    assert_eq!(text, expected);
    let (_, text, _) = run(&["explain"], "version srcaddr dstaddr\n2 10.0.0.1\n2 - - x\n\n");
    let expected = "\
a text line
skipped: a header line: it names the columns of the lines that follow
a text line of 2 columns, read by the last header line
  1  version  2         integer 2
  2  srcaddr  10.0.0.1  IPv4 address
  3  dstaddr            ✗ wanted a column that is missing
refused: found \"2 columns\", wanted 3 columns: version srcaddr dstaddr (column-count)
a text line of 4 columns, read by the last header line
  1  version  2  integer 2
  2  srcaddr  -  absent
  3  dstaddr  -  absent
  4           x  ✗ wanted no more than 3 columns
refused: found \"4 columns\", wanted 3 columns: version srcaddr dstaddr (column-count)
a text line
skipped: a blank line
";
    assert_eq!(text, expected);
}

#[test]
fn options_may_stand_behind_the_record_and_control_characters_are_shown() {
    let (_, text, _) = run(&["explain", LINE, "--schema", "snare"], "");
    assert!(text.contains("INTERFACEID"), "{text}");
    let (status, _, errors) = run(&["explain", LINE, "--nosuch"], "");
    assert_eq!(status, Some(2), "{errors}");
    let (_, text, _) = run(&["explain", "--format", "srcaddr interface-id"], "10.0.0.1 \u{1b}]0;x\u{7}  \n");
    assert!(text.contains(r"\u{1b}]0;x\u{7}") && !text.contains('\u{1b}'), "{text}");
    assert!(text.contains(r#"\u0007  ","#), "the event keeps the blanks at the end of the record: {text}");
}

/// What explain says of every case is what transform does.
#[test]
fn explain_and_transform_agree_on_every_case() {
    for case in cases::all() {
        for schema in SCHEMAS {
            let mut native = open_native(schema, &case.options);
            let whole = native.transform(&case.input, 0);
            let mut session = Session::open(engine(), Arc::new(component_options(schema, &case.options))).unwrap();
            let (mut events, mut rejects, mut skips, mut offset) = (String::new(), 0, 0, 0);
            for line in case.input.split_inclusive(|&byte| byte == b'\n') {
                let collected_at = case.options.collected_at;
                let collected_at = collected_at.map(|(seconds, nanoseconds)| Datetime { seconds, nanoseconds });
                let context = Context { origin: "case".into(), offset, collected_at };
                for explanation in session.explain(line, &context).unwrap() {
                    match explanation.outcome {
                        Outcome::Event(event) => events += &(event + "\n"),
                        Outcome::Rejected(_) => rejects += 1,
                        Outcome::Skipped(_) => skips += 1,
                    }
                }
                offset += line.len() as u64;
            }
            assert_eq!(events.as_bytes(), whole.events, "{}, {schema}", case.name);
            assert_eq!([rejects, skips], whole.counts[2..], "{}, {schema}", case.name);
        }
    }
}

#[test]
fn json_and_envelopes_are_explained_record_by_record() {
    let object = r#"{"srcaddr":"10.0.0.1","dstport":443.0,"new-field":{"a":1}}"#;
    let (status, text, _) = run(&["explain", "--schema", "elastic", "--no-message", object], "");
    assert_eq!(status, Some(0));
    let expected = "\
a JSON object, whose members are fields
     srcaddr    \"10.0.0.1\"  IPv4 address  network.type, related.ip, source.address, source.ip
     dstport    443.0       port 443      destination.port
     new-field  {\"a\":1}     text          aws.vpcflow.new_field
event: {";
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(squeeze(&text).starts_with(&squeeze(expected)), "{text}");
    let payload = format!(
        r#"{{"messageType":"DATA_MESSAGE","logEvents":[{{"message":"{LINE}"}},{{"message":"x"}}]}}{{"messageType":"CONTROL_MESSAGE","logEvents":[]}}"#
    );
    let (status, text, _) = run(&["explain", &payload], "");
    assert_eq!(status, Some(1));
    for part in [
        "log event 1 of a CloudWatch Logs payload, with a text line under message of 14 columns",
        "log event 2 of a CloudWatch Logs payload, with a text line under message of 1 column, of which none is known",
        "skipped: a control message, or a payload without log events",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn fields_are_printed_in_three_ways() {
    let (_, json, _) = run(&["fields", "--json"], "");
    let fields: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(fields.len(), Field::ALL.len() + 1);
    for (field, printed) in Field::ALL.iter().zip(&fields) {
        assert_eq!(printed["name"], field.info().name);
        assert_eq!(printed["since"], field.info().since);
        assert_eq!(printed["meaning"], field.info().doc);
        let in_schema = |schema: &str| printed["members"][schema].as_array().unwrap().len();
        assert!(in_schema("elastic") > 0, "{field:?} goes nowhere in elastic");
        assert!(in_schema("snare") > 0, "{field:?} goes nowhere in snare");
    }
    let other = fields.last().unwrap();
    assert_eq!(other["members"]["elastic"][0], "aws.vpcflow.other_name");
    let (_, text, _) = run(&["fields"], "");
    assert!(
        text.contains(
            "srcport, version 2: Source port; 0 for ICMP. (a port, 0 to 65535)\n  sekoia   action.target, source.port\n"
        ),
        "{text}"
    );
    // The Markdown table is the README's: see tidy.rs.
}

#[test]
fn options_decide_what_an_event_is() {
    let folder = tempfile::tempdir().unwrap();
    let (city, asn) = (folder.path().join("city.mmdb"), folder.path().join("asn.mmdb"));
    fs::write(&city, databases::city()).unwrap();
    fs::write(&asn, databases::asn()).unwrap();
    let event = |arguments: &[&str]| -> Value {
        let line = LINE.replace("10.0.0.2", "89.160.20.5");
        let (status, events, errors) = run(&[&["transform"], arguments].concat(), &line);
        assert_eq!(status, Some(0), "{errors}");
        serde_json::from_str(&events).unwrap()
    };
    assert_eq!(event(&["--no-message"]).get("message"), None);
    assert_eq!(event(&["--no-message", "--schema", "elastic"])["event"].get("original"), None);
    let line = LINE.replace("10.0.0.2", "89.160.20.5");
    assert_eq!(event(&["--keep-message", "--schema", "snare"])["SNAREDATAMAP"]["message"], line);
    assert_eq!(event(&["--time-field", "end"])["@timestamp"], "2014-12-14T04:07:50Z");
    assert_eq!(event(&["--time-field", "start", "--schema", "elastic"])["@timestamp"], "2014-12-14T04:06:50.000Z");
    assert_eq!(event(&["--collected-at", "none", "--schema", "snare"]).get("COLLECTIONDATETIME"), None);
    let before = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now());
    let collected = event(&["--collected-at", "now", "--schema", "elastic"])["event"]["ingested"].clone();
    let collected = chrono::DateTime::parse_from_rfc3339(collected.as_str().unwrap()).unwrap();
    assert!((collected.to_utc() - before).num_seconds().abs() < 100, "{collected}");
    let databases = ["--geoip-city", city.to_str().unwrap(), "--geoip-asn", asn.to_str().unwrap()];
    for schema in ["sekoia", "elastic"] {
        let event = event(&[&databases[..], &["--schema", schema]].concat());
        assert_eq!(event["destination"]["geo"]["city_name"], "Linköping");
        assert_eq!(event["destination"]["as"]["number"], 29518);
        assert_eq!(event["source"].get("as"), None, "private addresses are not looked up");
    }
    let (status, _, errors) = run(&["transform", "--geoip-city", "Cargo.toml"], LINE);
    assert_eq!(status, Some(2));
    assert!(errors.contains("the city database is no MaxMind DB file"), "{errors}");
    let output = folder.path().join("events.ndjson");
    fs::write(&output, "events of before").unwrap();
    for mistake in [["--schema", "ocsf"], ["--format", "10.0.0.1"], ["--geoip-asn", "Cargo.toml"]] {
        let (status, _, _) = run(&[&["transform", "-o", output.to_str().unwrap()], &mistake[..]].concat(), LINE);
        assert_eq!(status, Some(2));
        assert_eq!(fs::read_to_string(&output).unwrap(), "events of before", "a mistake costs no output");
    }
    let (status, _, errors) = run(&["transform", "--geoip-city", "nowhere.mmdb"], LINE);
    assert_eq!((status, errors.contains("nowhere.mmdb cannot be read")), (Some(2), true), "{errors}");
}
