//! Short times: the start of the command, and one line on its way through a running one.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::input::{self, Mix};

const REPETITIONS: usize = 41;

fn command() -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the benchmark knows its file"));
    command.arg("transform").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Prints medians in milliseconds.
pub fn print() {
    let line = input::generate(Mix::Default, 200);
    let start = || {
        let started = Instant::now();
        let mut child = command().spawn().expect("the command starts");
        child.stdin.take().expect("it has an input").write_all(&line).expect("it reads its input");
        assert!(child.wait_with_output().expect("it ends").status.success());
        started.elapsed()
    };
    // The first start compiles the module, the others find it in the cache.
    start();
    let starts = (0..REPETITIONS).map(|_| start()).collect();

    let mut child = command().spawn().expect("the command starts");
    let mut stdin = child.stdin.take().expect("it has an input");
    let mut events = BufReader::new(child.stdout.take().expect("it has an output"));
    let mut event = String::new();
    let mut pass = || {
        let started = Instant::now();
        stdin.write_all(&line).expect("it reads its input");
        for _ in 0..line.split(|&byte| byte == b'\n').count() - 2 {
            event.clear();
            events.read_line(&mut event).expect("it writes events");
        }
        started.elapsed()
    };
    pass();
    let passes = (0..REPETITIONS).map(|_| pass()).collect();
    drop(stdin);
    child.wait().expect("it ends");
    println!("\nstart of the command with one line, from the second on: {:.1} ms", millis(starts));
    println!("one line through the running command: {:.2} ms", millis(passes));
}

fn millis(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}
