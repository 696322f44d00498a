//! Nothing is lost, whenever the process is killed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::aws::{Aws, DEAD_LETTERS, QUEUE, kill, succeed, wait_until};
use crate::flow_logs::{Found, assert_all, events, interface, object};

const RECORDS: usize = 1500;

/// How much of it: all where that is asked for.
fn amount() -> (usize, usize) {
    if std::env::var_os("VPCFLOW_FULL_DELIVERY").is_some() { (300, 50) } else { (60, 8) }
}

/// Fills the bucket: among the objects some whose bytes are cut, and some that are gone again. Gives
/// the numbers of the good ones.
fn fill(aws: &Aws, objects: usize) -> Vec<usize> {
    let (mut good, mut gone) = (Vec::new(), Vec::new());
    for number in 0..objects {
        let (key, mut bytes) = object(number, RECORDS);
        match number % 20 {
            // A gzip file, and a Parquet file.
            11 | 19 => bytes.truncate(bytes.len() / 2),
            15 => gone.push(key.clone()),
            _ => good.push(number),
        }
        aws.put(&key, &bytes);
    }
    gone.iter().for_each(|key| aws.remove(key));
    good
}

#[test]
fn killed_at_any_moment_it_delivers_every_record() {
    let Some(aws) = Aws::with_queue() else { return };
    let (objects, kills) = amount();
    let good = fill(&aws, objects);
    let poison = (objects - good.len()) as u64;
    // The kills must not make poison of what is good.
    aws.set_max_receive_count(1000);
    let arguments = ["--event-id", "--output", "out/", "--visibility-timeout-secs", "2", "--rotate-mib", "1"];
    for kill_number in 0..kills {
        let mut command = aws.vpcflow(&["pull", "sqs", "--queue-name", QUEUE, "--wait-time-secs", "1"]);
        command.args(["--retry-delay-secs", "1", "--workers", "3"]).args(arguments);
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        let random = RandomState::new().hash_one(kill_number) % 1500;
        thread::sleep(Duration::from_millis(100 + random));
        kill(child);
    }
    wait_until("only poison is left", || {
        let mut command =
            aws.vpcflow(&["pull", "sqs", "--queue-name", QUEUE, "--until-empty", "--wait-time-secs", "1"]);
        succeed(command.args(["--retry-delay-secs", "20", "--workers", "3"]).args(arguments));
        let (visible, in_flight) = aws.messages(QUEUE);
        visible + in_flight == poison
    });
    aws.set_max_receive_count(3);
    wait_until("the queue is empty", || {
        succeed(aws.pull(&["--workers", "3"]).args(arguments));
        aws.messages(QUEUE) == (0, 0)
    });

    let all = events(&aws.path("out"));
    // Of a file that is cut, the records in front of the cut.
    let is_good = |event: &Found| good.iter().any(|&number| event.interface.starts_with(&interface(number, 0)[..10]));
    let (found, of_poison): (Vec<_>, Vec<_>) = all.into_iter().partition(is_good);
    assert!(of_poison.iter().all(|event| event.interface < interface(objects, 0)));
    assert_all(&found, good.iter().copied(), RECORDS);
    assert_eq!(aws.messages(DEAD_LETTERS).0, poison);
    check_deletions(&aws, &found, good.len());
    println!("{kills} kills, {} records, {} events", good.len() * RECORDS, found.len());
}

/// Whatever was deleted had been written: at that moment, as the server saw it, the files held every event.
fn check_deletions(aws: &Aws, found: &[Found], good: usize) {
    let mut places: HashMap<&str, Vec<&(String, u64)>> = HashMap::new();
    for event in found {
        places.entry(&event.interface).or_default().push(&event.place);
    }
    let mut deleted = BTreeSet::new();
    for entry in aws.journal() {
        let body = entry["body"].as_str().unwrap();
        if body.contains("s3:TestEvent") {
            continue;
        }
        let key = body.split("\"key\": \"").nth(1).unwrap().split('"').next().unwrap();
        let number: usize = key.rsplit("%2F").next().unwrap()[..5].parse().unwrap();
        let watched: BTreeMap<String, u64> = entry["watched"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, size)| (name.trim_end_matches(".part").to_owned(), size.as_u64().unwrap()))
            .collect();
        for record in 0..RECORDS {
            let interface = interface(number, record);
            let is_written =
                places[interface.as_str()].iter().any(|(file, end)| watched.get(file).is_some_and(|size| end <= size));
            assert!(is_written, "{interface} was not in the output when its message was deleted");
        }
        deleted.insert(number);
    }
    assert_eq!(deleted.len(), good, "only messages of good objects are deleted");
}

#[test]
fn two_processes_share_a_queue() {
    let Some(aws) = Aws::with_queue() else { return };
    for number in 0..60 {
        let (key, bytes) = object(number, RECORDS);
        aws.put(&key, &bytes);
    }
    // So long that none has taken them all before the other has begun.
    aws.fault(r#"{"s3_delay_secs": 0.3, "count": 60}"#);
    let start =
        |output| aws.pull(&["--workers", "1", "--event-id", "--compress", "gzip", "--output", output]).spawn().unwrap();
    for mut process in [start("out/first/"), start("out/second/")] {
        assert!(process.wait().unwrap().success());
    }
    let (first, second) = (events(&aws.path("out/first")), events(&aws.path("out/second")));
    assert!(first.len() > 5 * RECORDS && second.len() > 5 * RECORDS, "{} and {}", first.len(), second.len());
    let all: Vec<Found> = first.into_iter().chain(second).collect();
    assert_eq!(all.len(), 60 * RECORDS, "none is delivered twice where nothing goes wrong");
    assert_all(&all, 0..60, RECORDS);
    assert_eq!(aws.messages(QUEUE), (0, 0));
}
