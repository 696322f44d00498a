//! The core module, called as Fluent Bit calls it.

mod host;
mod module;

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use vpcflow_modules::CORE;

use crate::cases::{self, CaseOptions, SCHEMAS};
use crate::implementation::{Outcome, open_component};
use host::{FluentBit, Loaded};

const LINE: &str = "2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK";
const SEVERAL: &str = "a payload of several records, where one object can become one event only";
/// What other parts of a pipeline put into a record.
const CARRIED: &str = r#""stream":"stdout","kubernetes":{"pod_name":"p \u0000\"","labels":{"n":[1,2.50,null]}}"#;

fn start(function: &str) -> FluentBit {
    static MODULE: LazyLock<Loaded> = LazyLock::new(|| Loaded::new(CORE));
    FluentBit::start(&MODULE, function)
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Filters one record, and gives the answer as a value; `Null` for none.
fn filter(function: &str, record: &Value) -> Value {
    match start(function).json("tag", record.to_string()) {
        empty if empty.is_empty() => Value::Null,
        answer => value(&answer),
    }
}

/// The line as Fluent Bit has it, whatever bytes it is of.
fn record_of(line: &[u8], format: Option<&str>) -> Vec<u8> {
    let mut record =
        format.map_or_else(String::new, |format| format!("\"vpcflow_format\":{},", json!(format))).into_bytes();
    record.extend_from_slice(b"\"log\":\"");
    for &byte in line {
        match byte {
            b'"' | b'\\' | 0..0x20 => record.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => record.push(byte),
        }
    }
    [b"{", &*record, b"\",", CARRIED.as_bytes(), b"}"].concat()
}

/// Cases with a header line of words that other logs have, too: no header line here.
const COMMON_HEADERS: [&str; 2] = ["protocols", "times"];

/// Compares the answer to a line with what the component makes of the line.
fn check(expected: &Outcome, record: &[u8], answer: &str, place: &str) {
    let [_, events, rejects, _] = expected.counts;
    if (events, rejects) == (1, 0) {
        let event = String::from_utf8(expected.events.clone()).unwrap();
        assert_eq!(answer, format!("{},{CARRIED}}}", event.strip_suffix("}\n").unwrap()), "{place}");
    } else if (events, rejects) == (0, 0) && !answer.contains("a blank line") {
        assert_eq!(answer, "", "{place}");
    } else {
        let mut passed = value(answer);
        let message = passed.as_object_mut().unwrap().remove("error").unwrap()["message"].to_string();
        assert_eq!(passed, value(&String::from_utf8_lossy(record)), "{place}");
        let wanted = match (events, &expected.rejects[..]) {
            _ if std::str::from_utf8(record).is_err() => "the record is not UTF-8",
            (0, []) => "a blank line",
            (0, [reject, ..]) => &reject.fault.wanted,
            _ => SEVERAL,
        };
        let is_told = message.contains(wanted) || (rejects > 1 && message.contains(SEVERAL));
        assert!(is_told, "{place}: {message}, not {wanted}");
    }
}

#[test]
fn golden_cases_give_the_components_events_and_the_carried_members() {
    let mut events = 0;
    for case in cases::all().into_iter().filter(|case| !COMMON_HEADERS.contains(&case.name.as_str())) {
        // What Fluent Bit has no options for.
        let options = CaseOptions { format: case.options.format.clone(), ..CaseOptions::default() };
        for schema in SCHEMAS {
            let mut component = open_component(schema, &options);
            let mut fluent_bit = start(&format!("vpcflow_{schema}"));
            for (index, line) in case.input.split_inclusive(|&byte| byte == b'\n').enumerate() {
                let expected = component.transform(line, 0);
                let record = record_of(line, options.format.as_deref());
                let answer = fluent_bit.json(&case.name, &record);
                if answer.contains("JSON without a line under message") {
                    // Fields that others have, too, such as `bytes` and `version` alone.
                    let line = String::from_utf8_lossy(line);
                    let own = ["addr", "port", "interface", "status", "flags", "logEvents", "awslogs"];
                    assert!(!own.iter().any(|name| line.contains(&format!("{name}\":"))), "{}: {line}", case.name);
                    continue;
                }
                check(&expected, &record, &answer, &format!("{}, {schema}, line {}", case.name, index + 1));
                events += expected.counts[1];
            }
        }
    }
    assert!(events > 900, "{events}");
}

/// The event of [`LINE`] and what else is in the answer.
fn with_event(function: &str, others: Value) -> Value {
    let mut event = filter(function, &json!({ "log": LINE }));
    event.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
    event
}

#[test]
fn a_record_is_found_wherever_pipelines_put_it() {
    let expected = with_event("vpcflow_sekoia", json!({"file": "/var/log/a", "n": 1.50}));
    for key in ["log", "message", "MESSAGE"] {
        let record = json!({"file": "/var/log/a", key: format!("{LINE}\n"), "n": 1.50});
        assert_eq!(filter("vpcflow_sekoia", &record), expected, "{key}");
    }
    // The first of them that holds a record.
    let record = json!({"log": "a note", "message": LINE, "n": 1});
    assert_eq!(filter("vpcflow_sekoia", &record)["source"]["ip"], "172.31.16.139");
    assert_eq!(filter("vpcflow_sekoia", &record)["log"], "a note");

    let fields = json!({"version": 2, "account_id": "123456789010", "srcaddr": "10.0.0.1", "dstPort": "443"});
    let mut split = fields.clone();
    split.as_object_mut().unwrap().extend([("host".into(), json!("web-1")), ("log".into(), json!({"offset": 7}))]);
    for record in [split, json!({"log": fields, "host": "web-1"}), json!({"log": fields.to_string(), "host": "web-1"})]
    {
        let event = filter("vpcflow_elastic", &record);
        assert_eq!(
            (&event["source"]["ip"], &event["destination"]["port"]),
            (&json!("10.0.0.1"), &json!(443)),
            "{event}"
        );
        assert_eq!(
            (&event["host"], &event["srcaddr"], &event["dstPort"]),
            (&json!("web-1"), &Value::Null, &Value::Null)
        );
    }
}

#[test]
fn records_of_other_logs_are_not_taken_for_flow_logs() {
    let others = [
        json!({"type": "access", "version": "1.1", "bytes": 512, "message": "GET /"}),
        // What Fluent Bit's own filter `aws` adds.
        json!({"vpc_id": "vpc-1", "account_id": "123456789010", "subnet_id": "subnet-1", "az": "eu-west-1a"}),
        json!({"log": r#"{"type":"access","bytes":12,"region":"eu-west-1","action":"login"}"#}),
        json!({"log": r#"{"message":"{\"type\":\"access\"}","start":1}"#}),
        json!({"log": "", "level": "error", "detail": 7}),
        json!({"log": "start", "stream": "stdout"}),
        json!({"log": "action type start end", "stream": "stdout"}),
        json!({"log": {"file": {"path": "/var/log/x"}}, "region": "eu-west-1", "protocol": "http"}),
        json!({"log": "action required"}),
        json!({"log": "${bytes} sent"}),
        json!({"log": "java.lang.X: foo bar\n  at com.foo\n  at com.bar"}),
        json!({"log": "{\"a\":1} {\"b\":2}"}),
        json!({"log": r#"{"level":"info","message":""}"#}),
        json!({"message": "link up", "interface_id": 3, "srcport": 7}),
        json!({"messageType": "DATA_MESSAGE", "logEvents": [], "log": "hi there"}),
    ];
    let mut fluent_bit = start("vpcflow_sekoia");
    for record in others {
        let mut passed = value(&fluent_bit.json("t", record.to_string()));
        let error = passed.as_object_mut().unwrap().remove("error").unwrap();
        assert!(error["message"].as_str().unwrap().starts_with("vpcflow: "), "{error}");
        assert_eq!(passed, record);
        assert_eq!(filter("vpcflow_sekoia_or_drop", &record), Value::Null, "{record}");
        // Nor are they header lines for what follows.
        assert!(fluent_bit.json("t", json!({ "log": LINE }).to_string()).contains("172.31.16.139"));
    }
    assert!(fluent_bit.json("t", r#"{"log":"start server\n at x y z"}"#).contains("error"));
    assert!(fluent_bit.json("t", json!({ "log": LINE }).to_string()).contains("172.31.16.139"));
    // A line that is blank hides no other.
    assert_eq!(filter("vpcflow_sekoia", &json!({"log": " ", "message": LINE}))["source"]["ip"], "172.31.16.139");
    assert_eq!(filter("vpcflow_sekoia", &json!({"log": "", "srcaddr": "10.0.0.1"}))["source"]["ip"], "10.0.0.1");
}

#[test]
fn members_that_collide_with_the_events_are_kept_apart() {
    let record = json!({"log": LINE, "source": "stdout", "carried": 1, "EVENTID": "x", "tag": "t"});
    let others = json!({"EVENTID": "x", "tag": "t", "carried": {"source": "stdout", "carried": 1}});
    assert_eq!(filter("vpcflow_sekoia", &record), {
        let mut expected = with_event("vpcflow_sekoia", others);
        expected["source"] = with_event("vpcflow_sekoia", json!({}))["source"].take();
        expected
    });
    let others = json!({"source": "stdout", "tag": "t", "carried": {"EVENTID": "x", "carried": 1}});
    assert_eq!(filter("vpcflow_snare", &record), with_event("vpcflow_snare", others));
}

#[test]
fn schemas_name_all_members_of_their_events() {
    for (index, schema) in vpcflow_parser::Schema::ALL.into_iter().enumerate() {
        let mut found = BTreeSet::new();
        for case in cases::all() {
            let events = fs::read_to_string(cases::folder().join(case.events_file(SCHEMAS[index]))).unwrap();
            let keys =
                events.lines().flat_map(|event| value(event).as_object().unwrap().keys().cloned().collect::<Vec<_>>());
            found.extend(keys);
        }
        let mut named = schema.members().to_vec();
        named.sort_unstable();
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), named, "{}", schema.name());
    }
}

#[test]
fn what_is_no_flow_log_passes_with_a_reason_or_is_dropped() {
    let record = json!({"log": "GET /index.html 200", "stream": "stdout"});
    let mut passed = filter("vpcflow_elastic", &record);
    let error = passed.as_object_mut().unwrap().remove("error").unwrap();
    assert_eq!(passed, record);
    let message = "vpcflow: found \"3 columns\", wanted a header line before it, an order that AWS publishes";
    assert!(error["message"].as_str().unwrap().starts_with(message), "{error}");
    assert_eq!(filter("vpcflow_elastic_or_drop", &record), Value::Null);
    assert_eq!(filter("vpcflow_elastic_or_drop", &json!({})), Value::Null);
    assert!(filter("vpcflow_elastic", &json!({}))["error"]["message"].is_string());

    // A flow log that cannot be read is not dropped.
    let header = "version srcaddr dstaddr srcport";
    let mut fluent_bit = start("vpcflow_elastic_or_drop");
    assert_eq!(fluent_bit.json("t", json!({ "log": header }).to_string()), "");
    let bad = fluent_bit.json("t", json!({"log": "2 10.0.0.1 10.0.0.2 https"}).to_string());
    let message = "vpcflow: column 4, srcport: found \"https\", wanted a port, 0 to 65535";
    assert_eq!(value(&bad), json!({"log": "2 10.0.0.1 10.0.0.2 https", "error": {"message": message}}));

    // Nor is one under the order of AWS's, whose first columns fit, or in a record that is no JSON.
    for (wrong, right) in [("20641", "https"), ("1418530070", "14"), ("ACCEPT", "MAYBE")] {
        let passed = filter("vpcflow_sekoia_or_drop", &json!({"log": LINE.replace(wrong, right)}));
        assert!(passed["error"]["message"].is_string(), "{right}: {passed}");
    }
    let nan = start("vpcflow_sekoia_or_drop").json("t", format!("{{\"log\":\"{LINE}\",\"x\":-nan}}"));
    assert!(value(&nan)["log"].as_str().unwrap().contains(LINE), "{nan}");

    // Its own `error` stays what it is.
    let record = json!({"log": "x y", "error": "timeout"});
    let passed = filter("vpcflow_snare", &record);
    assert_eq!((&passed["error"], passed["vpcflow_error"].is_string()), (&json!("timeout"), true), "{passed}");
    assert_eq!(filter("vpcflow_snare", &passed), passed);
}

#[test]
fn a_payload_of_one_record_is_an_event_and_of_several_says_why_not() {
    let payload = |lines: &[&str]| {
        let events: Vec<Value> = lines.iter().map(|line| json!({"id": "1", "timestamp": 1, "message": line})).collect();
        json!({"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "g", "logStream": "s", "logEvents": events})
    };
    let one = payload(&[LINE]);
    assert_eq!(
        filter("vpcflow_sekoia", &one),
        with_event("vpcflow_sekoia", json!({"owner": "1", "logGroup": "g", "logStream": "s"}))
    );
    assert_eq!(filter("vpcflow_sekoia", &json!({"log": one.to_string()})), with_event("vpcflow_sekoia", json!({})));
    assert_eq!(filter("vpcflow_sekoia", &json!({"messageType": "CONTROL_MESSAGE", "logEvents": []})), Value::Null);
    let two = payload(&[LINE, LINE]);
    for function in ["vpcflow_sekoia", "vpcflow_sekoia_or_drop"] {
        let mut passed = filter(function, &two);
        let error = passed.as_object_mut().unwrap().remove("error").unwrap();
        assert!(error["message"].as_str().unwrap().contains(SEVERAL), "{error}");
        assert_eq!(passed, two);
    }
}

#[test]
fn each_tag_has_its_own_header_and_a_record_may_give_the_format() {
    let mut fluent_bit = start("vpcflow_sekoia");
    let mut source = |tag: &str, record: Value| match fluent_bit.json(tag, record.to_string()) {
        empty if empty.is_empty() => Value::Null,
        answer => value(&answer)["source"]["ip"].take(),
    };
    assert_eq!(source("a", json!({"log": "srcaddr dstaddr"})), Value::Null);
    assert_eq!(source("b", json!({"log": "dstaddr srcaddr"})), Value::Null);
    assert_eq!(source("a", json!({"log": "10.0.0.1 10.0.0.2"})), "10.0.0.1");
    assert_eq!(source("b", json!({"log": "10.0.0.1 10.0.0.2"})), "10.0.0.2");
    assert_eq!(source("c", json!({ "log": LINE })), "172.31.16.139");
    assert_eq!(source("a", json!({"log": "10.0.0.3 10.0.0.2"})), "10.0.0.3");
    for format in ["bytes srcaddr", "${bytes},${srcaddr}"] {
        assert_eq!(source("a", json!({"log": "40 10.0.0.9", "vpcflow_format": format})), "10.0.0.9");
    }
    // Tags come and go, as those of containers do: the oldest is forgotten.
    for tag in 0..300 {
        assert_eq!(source(&format!("tag-{tag}"), json!({"log": "srcaddr dstaddr"})), Value::Null);
    }
    assert_eq!(source("tag-299", json!({"log": "10.0.0.4 10.0.0.2"})), "10.0.0.4");
    assert_eq!(source("a", json!({"log": "10.0.0.4 10.0.0.2"})), Value::Null);

    let passed = filter("vpcflow_sekoia", &json!({"log": "40 10.0.0.9", "vpcflow_format": "bytes bytes"}));
    assert_eq!(passed["error"]["message"], "vpcflow: vpcflow_format: the format has the field bytes twice");
    let passed = filter("vpcflow_sekoia", &json!({"log": LINE, "vpcflow_format": 5}));
    assert_eq!((&passed["vpcflow_format"], passed["error"]["message"].is_string()), (&json!(5), true));
}

#[test]
fn whatever_comes_in_one_object_or_nothing_goes_out() {
    let mut fluent_bit = start("vpcflow_sekoia");
    let text = format!("{{\"log\":\"{LINE}\",\"k\":[1,{{\"a\":\"\\ud83d\\ude00\"}}]}}");
    let mut records: Vec<Vec<u8>> = (0..text.len()).map(|end| text.as_bytes()[..end].to_vec()).collect();
    records.extend((0..text.len()).map(|at| [&text.as_bytes()[..at], b"\xff", &text.as_bytes()[at + 1..]].concat()));
    let odd = [
        "[]",
        "null",
        "1",
        "\"x\"",
        "{}{}",
        "{\"log\":null}",
        "{\"log\":\"\\ud800\"}",
        "{\"\\ud800\":1}",
        " {\"a\" : 1 } ",
        "{\"error.message\":1}",
    ];
    records.extend(odd.map(|text| text.as_bytes().to_vec()));
    let mut deep = vec![b'['; 100_000];
    deep.extend(vec![b']'; 100_000]);
    records.push([b"{\"log\":\"x y\",\"deep\":", &deep[..], b"}"].concat());
    records.push([b"{\"deep\":", &deep[..100_000], b"}"].concat());
    for record in records {
        let answer = fluent_bit.json("t", &record);
        // A raw value may be of any depth.
        let is_object = answer.starts_with('{') && serde_json::from_str::<&RawValue>(&answer).is_ok();
        assert!(is_object || answer.is_empty(), "{}: {answer}", record.escape_ascii());
    }
    assert_eq!(value(&fluent_bit.json("t", "no JSON"))["log"], "no JSON");
}

#[test]
fn a_record_that_the_host_has_no_memory_for_is_told() {
    let record = json!({ "log": LINE, "more": "x".repeat(9000) }).to_string();
    let answer = start("vpcflow_sekoia").with_host_heap(8192).json("t", &record);
    let message = format!("vpcflow: the host had no memory for this record of {} bytes", record.len());
    assert_eq!(value(&answer), json!({"error": {"message": message}}));
    // With a larger heap, or the module's own, it passes.
    for mut fluent_bit in [start("vpcflow_sekoia").with_host_heap(16 << 10), start("vpcflow_sekoia")] {
        assert_eq!(value(&fluent_bit.json("t", &record))["source"]["ip"], "172.31.16.139");
    }
    let large = json!({ "log": LINE, "more": "x".repeat(900_000) }).to_string();
    assert_eq!(value(&start("vpcflow_sekoia").json("t", &large))["more"].as_str().unwrap().len(), 900_000);
}

#[test]
fn message_pack_is_answered_in_message_pack_without_a_zero_byte() {
    let record = b"\x81\xa3log\xa3x y";
    let answer = start("vpcflow_sekoia").message_pack("t", record);
    let (head, text) = answer.split_at(18);
    assert_eq!(head, [b"\x81\xa5error\x81\xa7message\xd9", &[text.len() as u8][..]].concat());
    assert!(std::str::from_utf8(text).unwrap().contains("event_format json"), "{text:?}");
}
