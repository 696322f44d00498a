//! `vpcflow transform --append`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::{Child, Output, Stdio};

use super::{Place, lines};
use crate::aws::{told, wait_until};

impl Place {
    fn start(&self, options: &[&str]) -> Child {
        let mut command = self.command(&[&["vpcflow", "transform"], options].concat());
        command.current_dir(self.0.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn run(&self, options: &[&str], input: &str) -> Output {
        let mut child = self.start(options);
        // It may end before it has read everything.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn assert_refused(&self, options: &[&str], message: &str) {
        let output = self.run(options, "");
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        assert!(told(&output).contains(message), "{}", told(&output));
    }
}

const BOTH: [&str; 5] = ["--append", "--output", "events", "--rejects", "rejected"];

#[test]
fn both_files_go_on_behind_their_last_whole_line() {
    let place = Place::new();
    let (first, second) = (lines(0..3) + "no flow log\n", lines(3..5) + "no flow log either\n");
    assert!(place.run(&BOTH, &first).status.success());
    for name in ["events", "rejected"] {
        OpenOptions::new().append(true).open(place.path(name)).unwrap().write_all(b"{\"half a li").unwrap();
    }
    assert!(place.run(&BOTH, &second).status.success());
    let (first, second) = (place.expected(&first, &[]), place.expected(&second, &[]));
    assert_eq!(place.read("events"), first.0 + &second.0);
    assert_eq!(place.read("rejected"), first.1 + &second.1);
    // Without the option it begins anew, and one of the two files is enough for the option.
    assert!(place.run(&["--output", "events"], &lines(5..6)).status.success());
    let expected = place.expected(&lines(5..6), &[]).0;
    assert_eq!(place.read("events"), expected);
    let output = place.run(&["--append", "--rejects", "rejected"], &lines(5..6));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    assert!(place.run(&["--append", "--output", "events"], &lines(5..6)).status.success());
    assert_eq!(place.read("events"), expected.repeat(2));
}

#[test]
fn what_cannot_be_appended_to_is_refused_and_left_as_it_is() {
    let place = Place::new();
    place.assert_refused(&["--append"], "required arguments were not provided");
    place.assert_refused(&["--append", "--output", "none/events"], "none/events cannot be written: No such file");
    place.assert_refused(&["--append", "--output", "x", "--rejects", "./x"], "would be overwritten");
    fs::write(place.path("notes"), "somebody's notes").unwrap();
    let message = "notes cannot be written: it holds something else than JSON objects";
    place.assert_refused(&["--append", "--output", "notes"], message);
    assert_eq!(place.read("notes"), "somebody's notes");
    let mut first = place.start(&BOTH);
    let mut stdin = first.stdin.take().unwrap();
    stdin.write_all(lines(0..2).as_bytes()).unwrap();
    let expected = place.expected(&lines(0..2), &[]).0;
    wait_until("the events are written", || place.read("events") == expected);
    place.assert_refused(&BOTH, "events cannot be written: another process is writing to it");
    drop(stdin);
    assert!(first.wait().unwrap().success());
    assert_eq!(place.read("events"), expected);
}

#[test]
fn a_file_that_is_rotated_is_begun_anew_and_nobody_needs_to_be_told() {
    let place = Place::new();
    let mut child = place.start(&BOTH);
    let mut stdin = child.stdin.take().unwrap();
    let mut write = |number: usize| {
        // Held open, so that each is written when it comes.
        stdin.write_all((lines(number..number + 1) + &format!("no flow log {number}\n")).as_bytes()).unwrap();
        let event = place.expected(&lines(number..number + 1), &[]).0;
        let reject = format!("\"line\":\"no flow log {number}\"}}\n");
        wait_until("a line has come", || {
            place.read("events").ends_with(&event) && place.read("rejected").ends_with(&reject)
        });
        (place.read("events"), event)
    };
    let (_, first) = write(0);
    fs::rename(place.path("events"), place.path("events.1")).unwrap();
    fs::rename(place.path("rejected"), place.path("rejected.1")).unwrap();
    let (found, second) = write(1);
    assert_eq!((place.read("events.1"), found), (first, second));
    assert_eq!((place.read("rejected.1").lines().count(), place.read("rejected").lines().count()), (1, 1));
    fs::remove_file(place.path("events")).unwrap();
    let (found, third) = write(2);
    assert_eq!(found, third);
    // As `copytruncate` does.
    OpenOptions::new().write(true).truncate(true).open(place.path("events")).unwrap();
    let (found, fourth) = write(3);
    assert_eq!(found, fourth);
    drop(stdin);
    assert!(child.wait().unwrap().success());
}
