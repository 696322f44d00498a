//! rsyslog itself, with its configuration file.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Stdio;
use std::thread;

use serde_json::Value;

use super::{Place, Running, TIMEOUT, kill, lines};
use crate::aws::wait_until;
use crate::environment::leave_out;

/// A daemon of one test's own, which ends with it.
struct Rsyslog<'a> {
    process: Running,
    place: &'a Place,
}

impl Rsyslog<'_> {
    /// Starts it on a free port of loopback; `None` where there is none.
    fn start(place: &Place) -> Option<Rsyslog<'_>> {
        let text = place.configuration("rsyslog.conf");
        let (fixed, port) = ("port=\"5514\"", place.path("port"));
        assert!(text.contains(fixed), "{text}");
        let free = format!("port=\"0\" listenPortFileName=\"{}\"", port.display());
        let (configuration, pid) = (place.path("rsyslog.conf"), place.path("pid"));
        fs::write(&configuration, text.replace(fixed, &free)).unwrap();
        let _ = fs::remove_file(&port);
        let log = File::create(place.path("log/rsyslogd")).unwrap();
        let words = ["rsyslogd", "-n", "-f", configuration.to_str().unwrap(), "-i", pid.to_str().unwrap()];
        let mut command = place.command(&words);
        let command = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = match command.spawn() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                leave_out("every test that needs rsyslog", "there is no rsyslogd");
                return None;
            }
            spawned => Running(spawned.unwrap()),
        };
        let mut rsyslog = Rsyslog { process, place };
        wait_until("rsyslogd listens", || {
            assert!(!rsyslog.has_ended(), "{}", place.read("log/rsyslogd"));
            !place.read("port").is_empty()
        });
        Some(rsyslog)
    }

    /// Sends messages, and returns when the daemon has taken them.
    fn send(&self, messages: &str) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.place.read("port").trim().parse().unwrap())).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(TIMEOUT)).unwrap();
        stream.write_all(messages.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // It hangs up after the last one.
        stream.read_to_end(&mut Vec::new()).unwrap();
    }

    /// The process of vpcflow, if there is one now.
    fn child(&self) -> Option<u32> {
        let parent = self.process.0.id().to_string();
        fs::read_dir("/proc").unwrap().find_map(|entry| {
            let entry = entry.unwrap();
            let process = entry.file_name().to_str()?.parse().ok()?;
            let status = fs::read_to_string(entry.path().join("stat")).ok()?;
            // Behind the name, which may hold anything: state, and the parent's id.
            let found = status.rsplit_once(") ")?.1.split(' ').nth(1)?.to_owned();
            (found == parent).then_some(process)
        })
    }

    fn has_ended(&mut self) -> bool {
        self.process.0.try_wait().unwrap().is_some()
    }

    fn stop(mut self) {
        kill("TERM", self.process.0.id());
        wait_until("rsyslogd has ended", || self.has_ended());
    }
}

/// Each line as a message of RFC 5424.
fn messages(lines: &str) -> String {
    lines.lines().map(|line| format!("<134>1 2026-09-30T12:00:00Z host flow - - - {line}\n")).collect()
}

fn sorted(lines: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = lines.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn no_line_is_lost_or_doubled_when_files_are_rotated_and_rsyslog_stops_and_starts() {
    let place = Place::new();
    let Some(rsyslog) = Rsyslog::start(&place) else { return };
    let input = lines(0..3) + "no flow log\n";
    let [first, second, third, bad] = input.lines().collect::<Vec<_>>()[..] else { panic!() };
    // RFC 3164, RFC 5424, and RFC 5424 behind its length.
    let counted = format!("<134>1 - - - - - - {third}");
    let old = format!("<134>Sep 30 12:00:00 host flow: {first}\n");
    rsyslog.send(&format!("{old}{}{} {counted}{}", messages(second), counted.len(), messages(bad)));
    let expected = place.expected(&input, &[]);
    wait_until("all lines have come", || {
        (place.read("lib/events.ndjson"), place.read("lib/rejects.ndjson")) == expected
    });

    fs::rename(place.path("lib/events.ndjson"), place.path("lib/events.ndjson.1")).unwrap();
    rsyslog.send(&messages(&lines(3..30_000)));
    rsyslog.stop();
    // What it had not delivered by then it kept.
    let Some(rsyslog) = Rsyslog::start(&place) else { return };
    rsyslog.send(&messages(&lines(30_000..30_001)));
    let count = |name: &str| place.read(name).lines().count();
    wait_until("the last line has come", || count("lib/events.ndjson") >= 29_998);
    rsyslog.stop();
    let events = place.read("lib/events.ndjson.1") + &place.read("lib/events.ndjson");
    assert!(sorted(&events) == sorted(&place.expected(&lines(0..30_001), &[]).0), "{} events", events.lines().count());
    assert_eq!(place.read("lib/rejects.ndjson"), expected.1);
    assert!(
        place.read("log/vpcflow.log").contains(" events, 1 rejects, 0 skips, "),
        "{}",
        place.read("log/vpcflow.log")
    );
}

#[test]
fn a_vpcflow_that_is_killed_is_started_again_and_costs_what_it_had_in_hand() {
    const LINES: usize = 60_000;
    let place = Place::new();
    let Some(rsyslog) = Rsyslog::start(&place) else { return };
    thread::scope(|scope| {
        scope.spawn(|| rsyslog.send(&messages(&lines(0..LINES))));
        wait_until("events come", || place.read("lib/events.ndjson").len() > 1_000_000);
        let first = rsyslog.child().unwrap();
        kill("KILL", first);
        wait_until("there is another one", || rsyslog.child().is_some_and(|child| child != first));
    });
    rsyslog.send(&messages(&lines(LINES..LINES + 1)));
    let last = format!("eni-{LINES:08}");
    wait_until("the last line has come", || place.read("lib/events.ndjson").contains(&last));
    rsyslog.stop();

    let events = place.read("lib/events.ndjson");
    let message = |line: &str| serde_json::from_str::<Value>(line).unwrap()["message"].as_str().unwrap().to_owned();
    let found: BTreeSet<String> = events.lines().map(message).collect();
    assert_eq!(found.len(), events.lines().count(), "none is doubled");
    let sent = lines(0..LINES + 1);
    let lost: usize = sent.lines().filter(|line| !found.contains(*line)).map(|line| line.len() + 1).sum();
    // What the page says: what is in the pipe, and what the one thread has taken out of it, with a line that was cut.
    assert!(lost <= 2 * (64 << 10) + 200, "{lost} bytes");
    assert_eq!(place.read("lib/rejects.ndjson"), "");
    println!("{lost} bytes of {} were lost", sent.len());
}
