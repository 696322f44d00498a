//! `vpcflow transform` as the child of log shippers: the configuration files in host/deploy/pipelines. Of those
//! whose programs are not at hand, the command is run as the program would run it.

mod append;
mod rsyslog;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::aws::{here, succeed, wait_until};

/// For what must come at once, on a machine that may have much to do.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Records that tell themselves apart, in the order that AWS has by itself.
fn lines(numbers: Range<usize>) -> String {
    numbers
        .map(|number| {
            format!(
                "2 123456789010 eni-{number:08} 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 \
                 ACCEPT OK\n"
            )
        })
        .collect()
}

/// What the configuration files name, in a folder of a test's own.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        for folder in ["bin", "lib", "log", "spool"] {
            fs::create_dir(place.path(folder)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_vpcflow-under-test"), place.path("bin/vpcflow")).unwrap();
        for script in ["vpcflow-child", "vpcflow-follow"] {
            symlink(pipelines().join(script), place.path("bin").join(script)).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A configuration file as it is, but for its paths.
    fn configuration(&self, name: &str) -> String {
        let paths = [
            ("/usr/local/bin/", "bin/"),
            ("/var/lib/vpcflow/", "lib/"),
            ("/var/log/", "log/"),
            ("/var/spool/rsyslog", "spool"),
        ];
        let text = fs::read_to_string(pipelines().join(name)).unwrap();
        paths.iter().fold(text, |text, (path, own)| text.replace(path, self.path(own).to_str().unwrap()))
    }

    /// A command that finds vpcflow and its scripts.
    fn command(&self, words: &[&str]) -> Command {
        let path = format!("{}:{}:/usr/sbin", self.path("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env("PATH", path);
        if std::env::var_os("XDG_CACHE_HOME").is_none() {
            // Of the person who runs the tests, not of a service.
            command.env("XDG_CACHE_HOME", std::env::home_dir().unwrap().join(".cache"));
        }
        command
    }

    /// The events and the rejects that `vpcflow transform` makes of `input`.
    fn expected(&self, input: &str, options: &[&str]) -> (String, String) {
        fs::write(self.path("input"), input).unwrap();
        let rejects = self.path("rejects");
        let words = [&["vpcflow", "transform", "--rejects", rejects.to_str().unwrap()], options].concat();
        let output = succeed(self.command(&words).stdin(File::open(self.path("input")).unwrap()));
        (String::from_utf8(output.stdout).unwrap(), self.read("rejects"))
    }
}

/// A process that ends with its test, also where that fails.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Running {
        Running(command.spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn pipelines() -> PathBuf {
    here().join("../host/deploy/pipelines")
}

fn kill(signal: &str, process: u32) {
    succeed(Command::new("kill").args(["-s", signal, &process.to_string()]));
}

/// What stands behind `key` in the only line that begins with it, without quotes around it.
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let mut values = text.lines().filter_map(|line| line.trim_start().strip_prefix(key));
    let value = values.next().unwrap_or_else(|| panic!("no line begins with {key}"));
    assert_eq!(values.next(), None, "two lines begin with {key}");
    value.trim_matches('"')
}

/// Whether there is a process with `text` among its arguments.
fn is_in_a_command_line(text: &str) -> bool {
    fs::read_dir("/proc").unwrap().any(|entry| {
        let arguments = fs::read(entry.unwrap().path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(text)
    })
}

/// The lines of a child's standard output, as they come.
fn lines_of(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || BufReader::new(stdout).lines().try_for_each(|line| sender.send(line.unwrap())));
    lines
}

#[test]
fn what_reads_lines_writes_events_at_once_and_ends_with_its_input() {
    let cases =
        [("rsyslog.conf", "binary=", false), ("syslog-ng.conf", "program(", true), ("fluentd.conf", "command ", true)];
    for (name, key, by_shell) in cases {
        let place = Place::new();
        let text = place.configuration(name);
        let command = value(&text, key);
        let words = if by_shell { vec!["sh", "-c", command] } else { command.split(' ').collect() };
        let file = if command.contains(" --output ") { "lib/events.ndjson" } else { "stdout" };
        let mut command = place.command(&words);
        command.stdin(Stdio::piped()).stdout(File::create(place.path("stdout")).unwrap()).stderr(Stdio::null());
        let mut child = Running::start(&mut command);
        let mut stdin = child.0.stdin.take().unwrap();
        let mut input = lines(0..3) + "no flow log\n" + &lines(3..5);
        stdin.write_all(input.as_bytes()).unwrap();
        let expected = place.expected(&input, &[]);
        wait_until(name, || (place.read(file), place.read("lib/rejects.ndjson")) == expected);
        // A service manager may stop the children together with their parent, which has more for them.
        kill("TERM", child.0.id());
        let more = lines(5..2000);
        stdin.write_all(more.as_bytes()).unwrap();
        input += &more;
        drop(stdin);
        assert!(child.0.wait().unwrap().success(), "{name}");
        assert!((place.read(file), place.read("lib/rejects.ndjson")) == place.expected(&input, &[]), "{name}");
        if by_shell {
            assert!(place.read("log/vpcflow.log").contains("vpcflow: 2001 lines, 2000 events, 1 rejects"), "{name}");
        }
    }
}

#[test]
fn what_follows_a_file_gives_events_at_once_and_the_same_again() {
    let place = Place::new();
    let vector: toml::Table = place.configuration("vector.toml").parse().unwrap();
    let vector = &vector["sources"]["vpcflow"];
    assert_eq!((vector["mode"].as_str(), vector["include_stderr"].as_bool()), (Some("streaming"), Some(false)));
    let vector: Vec<&str> = vector["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let logstash = place.configuration("logstash.conf");
    let logstash = value(&logstash, "command => ").split(' ').collect();
    // Each with the signal that it stops its child by.
    for (words, signal) in [(vector, "TERM"), (logstash, "KILL")] {
        let log = place.path("log/flow.log");
        let columns = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start \
            end action log-status\n";
        let (before, after) = (columns.to_owned() + &lines(0..3), "no flow log\n".to_owned() + &lines(3..5));
        fs::write(&log, &before).unwrap();
        let _ = fs::remove_file(place.path("lib/rejects.ndjson"));
        let follow = || {
            let mut command = place.command(&words);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = Running::start(&mut command);
            let events = lines_of(child.0.stdout.take().unwrap());
            (child, events)
        };
        let (child, events) = follow();
        let get = |events: &Receiver<String>, count| -> String {
            (0..count).map(|_| events.recv_timeout(TIMEOUT).unwrap() + "\n").collect()
        };
        let mut found = get(&events, 3);
        OpenOptions::new().append(true).open(&log).unwrap().write_all(after.as_bytes()).unwrap();
        found += &get(&events, 2);
        let (expected, rejects) = place.expected(&(before + &after), &["--event-id"]);
        assert_eq!(found, expected);
        wait_until("the reject is kept", || place.read("lib/rejects.ndjson") == rejects);
        let stop = |child: Running, events: &Receiver<String>| {
            kill(signal, child.0.id());
            assert_eq!(events.recv_timeout(TIMEOUT), Err(RecvTimeoutError::Disconnected));
            wait_until("nobody follows the file", || !is_in_a_command_line(log.to_str().unwrap()));
        };
        stop(child, &events);
        let (child, events) = follow();
        assert_eq!(get(&events, 5), expected, "with the same ids");
        stop(child, &events);
    }
}

#[test]
fn a_child_that_cannot_start_lets_the_lines_wait() {
    let place = Place::new();
    let output = place.path("lib/later/events.ndjson");
    let mut command = place.command(&["vpcflow-child", "--append", "--output", output.to_str().unwrap()]);
    command.stdin(Stdio::piped()).stderr(File::create(place.path("log/vpcflow.log")).unwrap());
    let mut child = Running::start(&mut command);
    let mut stdin = child.0.stdin.take().unwrap();
    stdin.write_all(lines(0..10).as_bytes()).unwrap();
    wait_until("it says why", || {
        place.read("log/vpcflow.log").contains("events.ndjson cannot be written: No such file")
    });
    fs::create_dir(output.parent().unwrap()).unwrap();
    let expected = place.expected(&lines(0..10), &[]).0;
    wait_until("the lines have come", || place.read("lib/later/events.ndjson") == expected);
    drop(stdin);
    assert!(child.0.wait().unwrap().success());
}

#[test]
fn filebeat_reads_the_files_that_the_others_write() {
    let place = Place::new();
    let filebeat = place.configuration("filebeat.yml");
    let paths: Vec<&str> = filebeat.lines().filter_map(|line| line.trim().strip_prefix("- /")).collect();
    assert_eq!(paths.len(), 2, "{filebeat}");
    for (name, key) in [("rsyslog.conf", "binary="), ("syslog-ng.conf", "program(")] {
        let text = place.configuration(name);
        let file = value(&text, key).split(" --output /").nth(1).unwrap().split(' ').next().unwrap();
        for rotated in [file.to_owned(), format!("{file}.1")] {
            let is_read = paths.iter().filter_map(|path| path.strip_suffix('*')).any(|path| rotated.starts_with(path));
            assert!(is_read, "{name} writes {rotated}, and Filebeat reads {paths:?}");
        }
    }
}

#[test]
fn the_page_names_every_file() {
    let page = fs::read_to_string(pipelines().join("README.md")).unwrap();
    for entry in fs::read_dir(pipelines()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(page.contains(&name) || name == "README.md", "the page does not name {name}");
    }
}
