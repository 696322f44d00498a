//! `vpcflow pull sqs`: what arrives in which way, and what becomes of what goes wrong.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::aws::{Aws, BUCKET, DEAD_LETTERS, QUEUE, succeed, terminate, told, wait_until};
use crate::flow_logs::{assert_all, events, gzip, object, text};

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A notification as S3 sends it, of several records.
fn notification(records: &[(&str, &str)]) -> String {
    let record = |(name, key): &(&str, &str)| {
        json!({"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1", "eventName": name,
            "s3": {"bucket": {"name": BUCKET}, "object": {"key": key, "size": 1, "eTag": "e"}}})
    };
    json!({"Records": records.iter().map(record).collect::<Vec<_>>()}).to_string()
}

#[test]
fn keys_of_every_kind_are_found_and_the_test_event_is_removed() {
    let Some(aws) = Aws::with_queue() else { return };
    let keys = [
        "red flower.log",
        "a+b.log",
        "aws-account-id=1/year=2024/x.log",
        "100%25.log",
        "50%.log",
        "größe/日本.log",
        "a&b;c?d#e.log",
    ];
    let folder = aws.path("in");
    for (number, key) in keys.iter().enumerate() {
        let path = folder.join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text(number, 5)).unwrap();
    }
    aws.upload("in");
    succeed(&mut aws.pull(&["--output", "out/", "--compress", "zstd"]));
    assert_all(&events(&aws.path("out")), 0..keys.len(), 5);
    assert_eq!((aws.messages(QUEUE), aws.messages(DEAD_LETTERS)), ((0, 0), (0, 0)));
    let is_test_event = |entry: &Value| entry["body"].as_str().unwrap().contains("s3:TestEvent");
    assert_eq!(aws.journal().iter().filter(|entry| is_test_event(entry)).count(), 1);
}

#[test]
fn every_record_of_a_message_counts_and_others_than_creations_do_not() {
    let Some(aws) = Aws::with_queue() else { return };
    for number in 0..4 {
        aws.put(&format!("{number}.log"), text(number, 5).as_bytes());
    }
    // What S3 sends by itself is not wanted here.
    aws.purge();
    aws.send(&notification(&[
        ("ObjectCreated:Put", "0.log"),
        ("ObjectRemoved:Delete", "1.log"),
        ("ObjectCreated:CompleteMultipartUpload", "2.log"),
    ]));
    aws.send(&notification(&[("ObjectCreated:Put", "3.log")]));
    aws.send("this is no notification");
    let output = succeed(&mut aws.pull(&["--include", "*.log", "--exclude", "3*"]));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 10);
    let stderr = stderr(&output);
    assert!(stderr.contains("the body is no S3 notification: expected"), "{stderr}");
    assert_eq!(aws.messages(QUEUE), (0, 0));
    assert_eq!(aws.messages(DEAD_LETTERS).0, 1, "what is no notification is kept for a person");
}

#[test]
fn bad_records_go_to_the_rejects_and_hold_nothing_back() {
    let Some(aws) = Aws::with_queue() else { return };
    let bad = text(0, 20).replace(" 443 6 5 400 ", " https 6 5 400 ");
    aws.put("bad.log.gz", &gzip(bad.as_bytes()));
    aws.put("good.log", text(1, 5).as_bytes());
    succeed(&mut aws.pull(&["--output", "out/events", "--rejects", "rejects"]));
    assert_all(&events(&aws.path("out/events")), [1], 5);
    let rejects = fs::read_to_string(aws.path("rejects")).unwrap();
    let first: Value = serde_json::from_str(rejects.lines().next().unwrap()).unwrap();
    assert_eq!(
        (rejects.lines().count(), &first["source"], &first["line_number"], &first["field"], &first["found"]),
        (20, &json!("s3://flow-logs/bad.log.gz"), &json!(2), &json!("dstport"), &json!("https"))
    );
    assert_eq!((aws.messages(QUEUE), aws.messages(DEAD_LETTERS)), ((0, 0), (0, 0)));

    aws.put("bad.log.gz", &gzip(bad.as_bytes()));
    let output = succeed(&mut aws.pull(&[]));
    let shown = stderr(&output).matches("rejected: s3://flow-logs/bad.log.gz:").count();
    assert_eq!((shown, stderr(&output).matches("more rejects").count()), (10, 1), "{}", stderr(&output));
}

#[test]
fn what_fails_for_good_ends_in_the_dead_letter_queue_and_says_why() {
    let Some(aws) = Aws::with_queue() else { return };
    let whole = gzip(text(0, 1000).as_bytes());
    aws.put("cut.log.gz", &whole[..whole.len() / 2]);
    aws.put("cut.log.parquet", &object(4, 100).1[..500]);
    aws.put("gone.log", b"");
    aws.remove("gone.log");
    aws.put("good.log", text(1, 5).as_bytes());
    let output = succeed(&mut aws.pull(&["--output", "out/", "--log-format", "json"]));
    let lines: Vec<Value> = stderr(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = |text: &str| {
        let error = |line: &&Value| line["error"].as_str().is_some_and(|error| error.contains(text));
        lines.iter().filter(error).filter(|line| line["level"] == "ERROR").count()
    };
    assert_eq!(told("s3://flow-logs/cut.log.gz: "), 3, "{}", stderr(&output));
    assert_eq!(told("s3://flow-logs/cut.log.parquet: is no Parquet file that can be read: "), 3);
    assert_eq!(told("s3://flow-logs/gone.log: S3 answers NoSuchKey: "), 3);
    assert_eq!((aws.messages(QUEUE), aws.messages(DEAD_LETTERS)), ((0, 0), (3, 0)));
}

#[test]
fn what_fails_for_now_is_tried_again_from_where_it_was() {
    let Some(aws) = Aws::with_queue() else { return };
    let (key, bytes) = object(1, 2000);
    aws.put(&key, &bytes);
    aws.fault(r#"{"s3_get_status": 503, "count": 2}"#);
    aws.fault(r#"{"s3_cut_after": 10000, "count": 2}"#);
    aws.fault(r#"{"sqs_receive_status": 500, "count": 1}"#);
    aws.fault(r#"{"sqs_delete_fail": 1}"#);
    let output = succeed(&mut aws.pull(&["--output", "out/", "--log-level", "debug"]));
    let found = events(&aws.path("out"));
    assert_eq!(found.len(), 2000, "each event once: {}", stderr(&output));
    assert_all(&found, [1], 2000);
    assert!(stderr(&output).contains("position=10000"), "{}", stderr(&output));
    assert_eq!((aws.messages(QUEUE), aws.messages(DEAD_LETTERS)), ((0, 0), (0, 0)));
}

#[test]
fn forbidden_is_for_good_and_throttling_is_not() {
    let Some(aws) = Aws::with_queue() else { return };
    aws.put("a.log", text(0, 5).as_bytes());
    aws.fault(r#"{"s3_get_status": 403, "count": 1}"#);
    let output = succeed(&mut aws.pull(&["--output", "out/"]));
    assert!(stderr(&output).contains("left to the queue's redrive policy"), "{}", stderr(&output));
    assert!(stderr(&output).contains("S3 answers AccessDenied"), "{}", stderr(&output));
    assert_all(&events(&aws.path("out")), [0], 5);
}

#[test]
fn an_object_that_takes_longer_than_the_visibility_is_delivered_once() {
    let Some(aws) = Aws::with_queue() else { return };
    aws.put("slow.log", text(0, 5).as_bytes());
    aws.fault(r#"{"s3_delay_secs": 10, "count": 1}"#);
    let mut first = aws.pull(&["--output", "out/a", "--visibility-timeout-secs", "4"]).spawn().unwrap();
    let mut second = aws.pull(&["--output", "out/b", "--visibility-timeout-secs", "4"]).spawn().unwrap();
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
    let files = ["a", "b"].map(|name| events(&aws.path("out").join(name)).len());
    assert_eq!(files.iter().sum::<usize>(), 5, "{files:?}");
}

#[test]
fn the_same_notification_twice_gives_the_same_ids() {
    let Some(aws) = Aws::with_queue() else { return };
    aws.put("a.log", text(0, 5).as_bytes());
    aws.send(&notification(&[("ObjectCreated:Put", "a.log")]));
    succeed(&mut aws.pull(&["--output", "out/", "--event-id"]));
    let found = events(&aws.path("out"));
    assert_eq!(found.len(), 10);
    assert_all(&found, [0], 5);
}

#[test]
fn a_notification_may_come_before_its_object() {
    let Some(aws) = Aws::with_queue() else { return };
    aws.send(&notification(&[("ObjectCreated:Put", "late.log")]));
    let mut command = aws.vpcflow(&["pull", "sqs", "--queue-name", QUEUE, "--retry-delay-secs", "1"]);
    let output = succeed(command.args(["--until-empty", "--wait-time-secs", "1", "--output", "out/"]));
    assert!(stderr(&output).contains("NoSuchKey"), "{}", stderr(&output));
    aws.put("late.log", text(0, 5).as_bytes());
    wait_until("both notifications have been read", || {
        succeed(&mut aws.pull(&["--output", "out/", "--event-id"]));
        aws.messages(QUEUE) == (0, 0)
    });
    assert_all(&events(&aws.path("out")), [0], 5);
    assert_eq!(aws.messages(DEAD_LETTERS), (0, 0));
}

#[test]
fn a_closed_pipe_ends_it_and_the_messages_come_again() {
    let Some(aws) = Aws::with_queue() else { return };
    // More than a pipe holds.
    for number in 0..3 {
        aws.put(&format!("{number}.log"), text(3 * number, 2000).as_bytes());
    }
    let mut child = aws.pull(&["--workers", "1"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(stderr(&output).contains("the output cannot be written: Broken pipe"), "{}", stderr(&output));
    succeed(&mut aws.pull(&["--output", "out/"]));
    assert_all(&events(&aws.path("out")), [0, 3, 6], 2000);
}

#[test]
fn a_full_disk_ends_it_and_leaves_no_half_line() {
    let Some(aws) = Aws::with_queue() else { return };
    for number in 0..3 {
        aws.put(&format!("{number}.log"), text(3 * number, 2000).as_bytes());
    }
    // A file may have 512 blocks of 1024 bytes here, which ends within a line.
    let script = format!(
        "set +e; trap '' XFSZ; ulimit -f 512; vpcflow pull sqs --queue-name {QUEUE} --until-empty --wait-time-secs 1 \
         --workers 1 --retry-delay-secs 0 --output out/events 2> errors; test $? = 2"
    );
    aws.shell(&script);
    let errors = fs::read_to_string(aws.path("errors")).unwrap();
    assert!(errors.contains("the output cannot be written: File too large"), "{errors}");
    assert_eq!(fs::metadata(aws.path("out/events")).unwrap().len(), 512 * 1024);
    let (visible, in_flight) = aws.messages(QUEUE);
    assert!(visible > 0 && in_flight <= 1, "what was not flushed is in the queue: {visible} and {in_flight}");
    succeed(&mut aws.pull(&["--output", "out/events"]));
    // `events` checks that every line is whole.
    assert_all(&events(&aws.path("out/events")), [0, 3, 6], 2000);
}

#[test]
fn a_signal_returns_what_is_in_hand_within_its_time() {
    let Some(aws) = Aws::with_queue() else { return };
    aws.put("slow.log", text(0, 5).as_bytes());
    aws.fault(r#"{"s3_delay_secs": 30, "count": 1}"#);
    let mut command = aws.vpcflow(&["pull", "sqs", "--queue-name", QUEUE, "--wait-time-secs", "1"]);
    command.args(["--shutdown-timeout-secs", "1", "--output", "out/"]);
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the message is in flight", || aws.messages(QUEUE).1 == 1);
    let started = std::time::Instant::now();
    terminate(&child);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    assert_eq!(aws.messages(QUEUE), (1, 0), "returned, to be seen at once: {}", stderr(&output));
}

#[test]
fn a_signal_returns_what_waits_for_an_output_that_hangs() {
    let Some(aws) = Aws::with_queue() else { return };
    for number in 0..3 {
        aws.put(&format!("{number}.log"), text(3 * number, 2000).as_bytes());
    }
    let mut command = aws.vpcflow(&["pull", "sqs", "--queue-name", QUEUE, "--shutdown-timeout-secs", "1"]);
    // Nobody reads from this pipe.
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("all are in flight", || aws.messages(QUEUE).1 == 3);
    let started = std::time::Instant::now();
    terminate(&child);
    wait_until("all are returned", || aws.messages(QUEUE) == (3, 0));
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(2));
}

/// The peak of the resident memory, while an object of 500 MB is read.
#[test]
fn memory_does_not_grow_with_the_object() {
    let Some(aws) = Aws::with_queue() else { return };
    let part = text(1, 20_000);
    let (header, records) = part.split_once('\n').unwrap();
    let mut large = format!("{header}\n");
    while large.len() < 500_000_000 {
        large += records;
    }
    fs::create_dir_all(aws.path("in")).unwrap();
    fs::write(aws.path("in/large.log"), &large).unwrap();
    let lines = large.lines().count() - 1;
    drop(large);
    aws.upload("in");
    // The server announces the parts and the whole.
    aws.purge();
    aws.send(&notification(&[("ObjectCreated:CompleteMultipartUpload", "large.log")]));
    let mut command = aws.pull(&["--workers", "2", "--no-message"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::with_capacity(1 << 20, child.stdout.take().unwrap());
    let (mut count, mut buffer) = (0, Vec::new());
    while reader.read_until(b'\n', &mut buffer).unwrap() > 0 {
        buffer.clear();
        count += 1;
        if count == lines {
            let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
            let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
            assert!(kilobytes < 200_000, "{kilobytes} kB were resident");
        }
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(count, lines);
}
