//! Nothing is lost, whoever dies.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::cluster::{Cluster, ended, run};
use super::lines;
use crate::aws::{kill, terminate, told, wait_until};
use crate::flow_logs::{Found, assert_all, events, events_so_far, interface};

const PARTITIONS: usize = 4;
const RECORDS: usize = 3000;

/// Each partition has the records of one object.
fn filled() -> Cluster {
    let cluster = Cluster::new(PARTITIONS as i32);
    for partition in 0..PARTITIONS {
        cluster.produce_lines(partition as i32, &lines(3 * partition, RECORDS));
    }
    cluster.slow();
    cluster
}

/// The interfaces of all events that are in the files of a directory.
fn written(folder: &Path) -> BTreeSet<String> {
    events_so_far(folder).into_iter().map(|event| event.interface).collect()
}

/// Whatever is committed is written.
fn check_committed(cluster: &Cluster, written: &BTreeSet<String>) -> i64 {
    let committed = cluster.committed(PARTITIONS as i32);
    for (partition, &offset) in committed.iter().enumerate() {
        for record in 0..offset.max(0) as usize {
            let interface = interface(3 * partition, record);
            assert!(written.contains(&interface), "{interface} is committed and not written");
        }
    }
    committed.iter().map(|&offset| offset.max(0)).sum()
}

fn all() -> impl Iterator<Item = usize> {
    (0..PARTITIONS).map(|partition| 3 * partition)
}

#[test]
fn killed_at_any_moment_it_delivers_every_record() {
    let cluster = filled();
    let kills = if std::env::var_os("VPCFLOW_FULL_DELIVERY").is_some() { 30 } else { 4 };
    let out = cluster.path("out");
    let mut midway = 0;
    for number in 0..kills {
        let before = written(&out).len();
        let child = cluster.pull(&["--event-id", "--output", "out/", "--workers", "3"]).spawn().unwrap();
        wait_until("it writes", || written(&out).len() > before || before == PARTITIONS * RECORDS);
        thread::sleep(Duration::from_millis(RandomState::new().hash_one(number) % 1500));
        kill(child);
        let now = written(&out);
        let committed = check_committed(&cluster, &now);
        println!("killed with {} written, {committed} committed", now.len());
        midway += u32::from(now.len() < PARTITIONS * RECORDS);
    }
    assert!(midway > 0, "it was killed only after the work");
    run(&mut cluster.pull(&["--event-id", "--output", "out/", "--until-caught-up"]));
    let found = events(&out);
    println!("{kills} kills, {} events", found.len());
    assert_all(&found, all(), RECORDS);
    assert_eq!(cluster.committed(PARTITIONS as i32), [RECORDS as i64; PARTITIONS]);
}

#[test]
fn members_of_a_group_share_the_partitions_and_survive_each_other() {
    let cluster = filled();
    let member = |output: &str| cluster.pull(&["--event-id", "--output", output]).spawn().unwrap();
    let (first, second) = (member("first/"), member("second/"));
    let both = || !written(&cluster.path("first")).is_empty() && !written(&cluster.path("second")).is_empty();
    wait_until("both write", both);
    kill(first);
    let is_read = || cluster.committed(PARTITIONS as i32) == [RECORDS as i64; PARTITIONS];
    wait_until("the other one has read all", is_read);
    terminate(&second);
    let output = ended(second);
    assert!(output.status.success(), "{}", told(&output));
    // Finishes what the dead one has left.
    run(&mut cluster.pull(&["--until-caught-up", "--event-id", "--output", "first/"]));
    let found: Vec<Found> = ["first", "second"].into_iter().flat_map(|name| events(&cluster.path(name))).collect();
    assert_all(&found, all(), RECORDS);
}

#[test]
fn one_that_ends_hands_over_without_repeating_anything() {
    let cluster = filled();
    let member = |output: &str| cluster.pull(&["--event-id", "--output", output]).spawn().unwrap();
    let (first, second) = (member("first/"), member("second/"));
    wait_until("the first writes", || !written(&cluster.path("first")).is_empty());
    terminate(&first);
    let output = ended(first);
    assert!(output.status.success(), "{}", told(&output));
    let is_read = || cluster.committed(PARTITIONS as i32) == [RECORDS as i64; PARTITIONS];
    wait_until("the other one has read all", is_read);
    terminate(&second);
    assert!(ended(second).status.success());
    let found: Vec<Found> = ["first", "second"].into_iter().flat_map(|name| events(&cluster.path(name))).collect();
    assert_eq!(found.len(), PARTITIONS * RECORDS, "each once");
    assert_all(&found, all(), RECORDS);
}

#[test]
fn a_broker_may_go_and_come_back() {
    let cluster = filled();
    let child = cluster.pull(&["--event-id", "--output", "out/", "--until-caught-up"]).spawn().unwrap();
    wait_until("it writes", || !written(&cluster.path("out")).is_empty());
    cluster.mock.broker_down(-1).unwrap();
    thread::sleep(Duration::from_secs(4));
    assert!(written(&cluster.path("out")).len() < PARTITIONS * RECORDS, "it had ended before");
    cluster.mock.broker_up(-1).unwrap();
    let output = ended(child);
    assert!(output.status.success(), "{}", told(&output));
    assert_all(&events(&cluster.path("out")), all(), RECORDS);
    let lines = told(&output).lines().count();
    assert!(lines < 40, "{lines} lines are too many: {}", told(&output));
}
