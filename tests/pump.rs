//! The pump with a sink that misbehaves.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use vpcflow::engine::Counts;
use vpcflow::output::{Output, Watcher};
use vpcflow::pump::{PumpError, Settings, open_sessions, pump};
use vpcflow::reject::Reject;
use vpcflow::sink::Sink;
use vpcflow::source::Source;

use crate::implementation::{engine, engine_options};

/// Takes some batches, then fails in its own way.
struct Failing {
    left: u32,
    fail: fn() -> io::Result<()>,
}

impl Sink for Failing {
    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        self.left -= 1;
        if self.left == 0 { (self.fail)() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Nobody;

impl Watcher for Nobody {
    fn batch(&mut self, _: &Counts) {}

    fn reject(&mut self, _: &Reject<'_>, _: bool) {}

    fn source_failed(&mut self, _: &str, _: &io::Error) {}
}

fn run(fail: fn() -> io::Result<()>) -> PumpError {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flow.log");
    std::fs::write(&path, "srcaddr\n".to_owned() + &"10.0.0.1\n".repeat(1000)).unwrap();
    let settings = Settings { options: Arc::new(engine_options()), collected_at: false, threads: 3, batch_bytes: 10 };
    let output = Output::new(Box::new(Failing { left: 50, fail }), None, Nobody);
    let sessions = open_sessions(&engine(), &settings).unwrap();
    pump(sessions, &settings, vec![Source::File(path)], output, Arc::new(AtomicU64::new(0))).err().unwrap()
}

#[test]
fn a_sink_that_fails_ends_the_pump() {
    let error = run(|| Err(io::Error::from(io::ErrorKind::StorageFull)));
    assert!(matches!(&error, PumpError::Output(error) if error.kind() == io::ErrorKind::StorageFull), "{error}");
}

#[test]
fn a_thread_that_panics_is_an_error_and_lets_no_other_wait() {
    let error = run(|| panic!("a sink that panics, for the test"));
    assert!(matches!(error, PumpError::Panicked), "{error}");
}
