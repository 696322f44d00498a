//! `vpcflow pull s3`: the objects of a bucket, each once.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::aws::{Aws, BUCKET, succeed, terminate, told, wait_until};
use crate::flow_logs::{assert_all, events, object, text};

fn aws_with(objects: impl IntoIterator<Item = (String, Vec<u8>)>) -> Option<Aws> {
    let aws = Aws::start()?;
    aws.shell(&format!("aws s3 mb s3://{BUCKET}"));
    for (key, bytes) in objects {
        let path = aws.path("in").join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    aws.upload("in");
    Some(aws)
}

fn pull(aws: &Aws, arguments: &[&str]) -> Command {
    let mut command = aws.vpcflow(&["pull", "s3", "--bucket", BUCKET]);
    command.args(arguments);
    command
}

#[test]
fn a_range_of_time_is_found_in_every_layout() {
    let days = ["2023/12/31", "2024/09/04", "2024/09/05", "2024/09/06", "2025/01/01"];
    let hive = |day: &str| {
        let parts: Vec<&str> = day.split('/').collect();
        format!("year={}/month={}/day={}", parts[0], parts[1], parts[2])
    };
    let mut objects = Vec::new();
    // Which of them are of the 5th, from noon on.
    let mut wanted = Vec::new();
    let mut add = |key: String, is_wanted: bool| {
        if is_wanted {
            wanted.push(objects.len());
        }
        objects.push((key, text(objects.len(), 3).into_bytes()));
    };
    for day in days {
        let is_the_5th = day == "2024/09/05";
        add(format!("AWSLogs/123456789012/vpcflowlogs/eu-west-1/{day}/all-day.log"), is_the_5th);
        add(format!("AWSLogs/o-abc/123456789012/vpcflowlogs/eu-west-1/{day}/all-day.log"), is_the_5th);
        add(
            format!("AWSLogs/aws-account-id=1/aws-service=vpcflowlogs/aws-region=eu-west-1/{}/x.log", hive(day)),
            is_the_5th,
        );
        for hour in ["11", "12", "23"] {
            add(format!("hourly/{day}/{hour}/x.log"), is_the_5th && hour != "11");
            add(format!("hive/{}/hour={hour}/x.log", hive(day)), is_the_5th && hour != "11");
        }
        for minute in ["1150", "1200"] {
            let date = day.replace('/', "");
            let name = format!("123456789012_vpcflowlogs_eu-west-1_fl-1_{date}T{minute}Z_abcd.log");
            add(format!("named/{day}/{name}"), is_the_5th && minute == "1200");
        }
    }
    // Another flow log of the same day, behind one that is out of the range.
    let name = |flow_log: &str, minute: &str| {
        format!("logs/2024/09/06/123456789012_vpcflowlogs_eu-west-1_{flow_log}_20240906T{minute}Z_abcd.log")
    };
    add(name("fl-1", "0000"), false);
    add(name("fl-2", "0000"), false);
    add("logs/2024/09/05/123456789012_vpcflowlogs_eu-west-1_fl-1_20240905T1000Z_abcd.log".into(), false);
    add("logs/2024/09/05/123456789012_vpcflowlogs_eu-west-1_fl-2_20240905T1300Z_abcd.log".into(), true);
    // Beside the years, and without a time.
    add("named/20240905/x.log".into(), false);
    let Some(aws) = aws_with(objects.clone()) else { return };
    let range = ["--from", "2024-09-05T12:00:00Z", "--to", "2024-09-06"];
    succeed(pull(&aws, &["--output", "out/range"]).args(range));
    assert_all(&events(&aws.path("out/range")), wanted, 3);
    succeed(&mut pull(&aws, &["--output", "out/all"]));
    assert_all(&events(&aws.path("out/all")), 0..objects.len(), 3);
    succeed(&mut pull(&aws, &["--output", "out/hourly", "--prefix", "hourly/", "--exclude", "*/23/*"]));
    assert_eq!(events(&aws.path("out/hourly")).len(), 5 * 2 * 3);
}

#[test]
fn killed_and_started_again_it_goes_on_where_it_was() {
    const OBJECTS: usize = 60;
    let Some(aws) = aws_with((0..OBJECTS).map(|number| object(number, 200))) else { return };
    let arguments = ["--checkpoint", "checkpoint.json", "--output", "out/", "--event-id", "--workers", "2"];
    let size = || -> u64 {
        let files = fs::read_dir(aws.path("out")).unwrap();
        files.map(|file| file.unwrap().metadata().map_or(0, |metadata| metadata.len())).sum()
    };
    for _ in 0..4 {
        let before = size();
        let mut child = pull(&aws, &arguments).stderr(Stdio::null()).spawn().unwrap();
        wait_until("something has been written", || size() > before + 100_000 || child.try_wait().unwrap().is_some());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let done_before = events(&aws.path("out")).len();
    succeed(&mut pull(&aws, &arguments));
    let found = events(&aws.path("out"));
    assert_all(&found, 0..OBJECTS, 200);
    // Only what was in hand when it was killed is read twice.
    assert!(done_before > 0 && found.len() < 2 * OBJECTS * 200, "{done_before} and {}", found.len());

    let output = succeed(&mut pull(&aws, &arguments));
    assert!(told(&output).contains("0 objects read, 0 failed"), "{}", told(&output));
    let (key, bytes) = object(OBJECTS, 200);
    aws.put(&key, &bytes);
    let output = succeed(&mut pull(&aws, &arguments));
    assert!(told(&output).contains("1 objects read, 0 failed"), "{}", told(&output));
    let signalled = aws.path("signalled");
    let mut command = pull(&aws, &["--output", signalled.to_str().unwrap(), "--workers", "1"]);
    aws.fault(r#"{"s3_delay_secs": 8, "count": 1}"#);
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it has begun", || signalled.exists());
    thread::sleep(Duration::from_millis(500));
    terminate(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("interrupted before every object was read"), "{}", told(&output));

    let output = pull(&aws, &["--checkpoint", "checkpoint.json", "--prefix", "other/"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("checkpoint.json is the checkpoint of another backfill: s3://flow-logs/,"));
}

#[test]
fn what_cannot_be_read_is_told_and_tried_again_the_next_time() {
    let cut = object(1, 1000).1;
    let objects = vec![("a.log".into(), text(0, 5).into()), ("b.log.gz".into(), cut[..cut.len() / 2].to_vec())];
    let Some(aws) = aws_with(objects) else { return };
    let arguments = ["--checkpoint", "checkpoint.json", "--output", "out/events"];
    let output = pull(&aws, &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("s3://flow-logs/b.log.gz: "), "{}", told(&output));
    assert!(told(&output).contains("1 objects read, 1 failed"), "{}", told(&output));
    fs::remove_file(aws.path("out/events")).unwrap();
    aws.put("b.log.gz", &cut);
    let output = succeed(&mut pull(&aws, &arguments));
    assert!(told(&output).contains("1 objects read, 0 failed"), "{}", told(&output));
    assert_all(&events(&aws.path("out/events")), [1], 1000);

    let output = pull(&aws, &["--checkpoint", "none/checkpoint.json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("--checkpoint none/checkpoint.json: No such file"), "{}", told(&output));
    let output = aws.vpcflow(&["pull", "s3", "--bucket", "nothing-there"]).output().unwrap();
    assert!(
        told(&output).contains("s3://nothing-there/ cannot be listed: S3 answers NoSuchBucket"),
        "{}",
        told(&output)
    );
}
