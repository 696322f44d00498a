//! Event ids: the same record of the same file has the same one, however it is read.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

fn ids(folder: &Path, path: &str, options: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test"))
        .current_dir(folder)
        .args(["transform", "--event-id", path])
        .args(options)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let id = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["event"]["id"].as_str().or(event["EVENTID"].as_str()).unwrap().to_owned()
    };
    String::from_utf8(output.stdout).unwrap().lines().map(id).collect()
}

#[test]
fn ids_depend_on_the_record_alone() {
    let folder = tempfile::tempdir().unwrap();
    // Equal lines, plain and in envelopes.
    let line = "2 123456789010 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 40 1418530010 1418530070 ACCEPT OK";
    let mut text = format!("{line}\n").repeat(300);
    text += &format!("{{\"message\":\"{line}\"}}").repeat(300);
    text += "\n";
    fs::write(folder.path().join("flow.log"), &text).unwrap();
    let whole = ids(folder.path(), "flow.log", &[]);
    assert_eq!(whole.len(), 600);
    assert_eq!(whole.iter().collect::<BTreeSet<_>>().len(), 600, "equal lines have ids of their own");
    for options in [
        &["--threads", "1"][..],
        &["--threads", "3", "--batch-bytes", "1"],
        &["--threads", "2", "--batch-bytes", "1000"],
        &["--schema", "elastic"],
        &["--schema", "snare", "--batch-bytes", "777"],
    ] {
        assert_eq!(ids(folder.path(), "flow.log", options), whole, "{options:?}");
    }
    fs::create_dir(folder.path().join("below")).unwrap();
    assert_eq!(ids(&folder.path().join("below"), "../flow.log", &[]), whole, "another way to the same file");

    fs::write(folder.path().join("other.log"), &text).unwrap();
    let other: BTreeSet<String> = ids(folder.path(), "other.log", &[]).into_iter().collect();
    assert!(whole.iter().all(|id| !other.contains(id)), "another file has other ids");
    // A file of the same name with other lines, as after a rotation.
    fs::write(folder.path().join("flow.log"), text.replace("eni-1", "eni-2")).unwrap();
    let rotated: BTreeSet<String> = ids(folder.path(), "flow.log", &[]).into_iter().collect();
    assert!(whole.iter().all(|id| !rotated.contains(id)), "other lines have other ids");
}

#[test]
fn a_log_event_that_comes_again_in_another_payload_has_the_same_id() {
    let folder = tempfile::tempdir().unwrap();
    let event = |id: u32| {
        let line = "2 123456789010 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 40 1418530010 1418530070 ACCEPT OK";
        format!("{{\"id\":\"{id}\",\"timestamp\":1418530010000,\"message\":\"{line}\"}}")
    };
    let payload = |stream: &str, events: &[u32]| {
        let events: Vec<_> = events.iter().map(|&id| event(id)).collect();
        let events = events.join(",");
        format!(
            "{{\"messageType\":\"DATA_MESSAGE\",\"owner\":\"1\",\"logGroup\":\"g\",\"logStream\":\"{stream}\",\"logEvents\":[{events}]}}"
        )
    };
    fs::write(folder.path().join("first"), payload("eni-1-all", &[31, 32, 33])).unwrap();
    fs::write(folder.path().join("second"), payload("eni-1-all", &[33, 31])).unwrap();
    fs::write(folder.path().join("third"), payload("eni-2-all", &[31])).unwrap();
    let first = ids(folder.path(), "first", &[]);
    let second = ids(folder.path(), "second", &[]);
    assert_eq!([&first[2], &first[0]], [&second[0], &second[1]]);
    assert_ne!(first[0], ids(folder.path(), "third", &[])[0], "another log stream");
}

/// Lines are counted as the file has them, however objects that run together are cut.
#[test]
fn rejects_of_objects_that_run_together_keep_their_line_and_byte() {
    let folder = tempfile::tempdir().unwrap();
    let good = r#"{"message":"2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 40 1418530010 1418530070 ACCEPT OK"}"#;
    let bad = good.replace("10.0.0.2 1 2", "10.0.0.2 x 2");
    let text = format!("{}\n{}{bad}{}\n\n{bad}", good, good.repeat(50), good.repeat(50));
    let places: Vec<usize> = text.match_indices(&bad).map(|(place, _)| place).collect();
    fs::write(folder.path().join("flow.json"), &text).unwrap();
    for batch_bytes in ["1", "500", "100000"] {
        let output = Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test"))
            .current_dir(folder.path())
            .args(["transform", "--rejects", "bad.ndjson", "--batch-bytes", batch_bytes, "flow.json"])
            .output()
            .unwrap();
        let summary = String::from_utf8(output.stderr).unwrap();
        assert!(summary.contains(" 4 lines, 101 events, 2 rejects, 1 skips"), "{summary}");
        let rejects = fs::read_to_string(folder.path().join("bad.ndjson")).unwrap();
        let found = rejects.lines().map(|reject| {
            let reject: serde_json::Value = serde_json::from_str(reject).unwrap();
            (reject["line_number"].as_u64().unwrap(), reject["byte_offset"].as_u64().unwrap() as usize)
        });
        assert_eq!(found.collect::<Vec<_>>(), [(2, places[0]), (4, places[1])], "{batch_bytes}");
    }
}
