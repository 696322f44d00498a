//! Small writes made into large ones: a record may be a line, and a line of its own a system call.

use std::io;
use std::time::Duration;

use super::Sink;
use crate::reject::Refusal;

/// What is gathered before it is written.
const GATHERED_BYTES: usize = 64 << 10;

/// Hands on to another sink when enough has come together, and when it is flushed.
pub struct Gathered<S> {
    sink: S,
    lines: Vec<u8>,
}

impl<S: Sink> Gathered<S> {
    /// Gathers for `sink`.
    pub fn new(sink: S) -> Gathered<S> {
        Gathered { sink, lines: Vec::new() }
    }

    fn hand_on(&mut self) -> io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let outcome = self.sink.write(&self.lines);
        self.lines.clear();
        outcome
    }
}

impl<S: Sink> Sink for Gathered<S> {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.lines.len() + lines.len() > GATHERED_BYTES {
            self.hand_on()?;
        }
        if lines.len() >= GATHERED_BYTES {
            return self.sink.write(lines);
        }
        self.lines.extend_from_slice(lines);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hand_on()?;
        self.sink.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.hand_on()?;
        self.sink.finish()
    }

    fn refused(&mut self) -> Vec<Refusal> {
        self.sink.refused()
    }

    fn flush_interval(&self) -> Duration {
        self.sink.flush_interval()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What has been written, by writes.
    #[derive(Default)]
    struct Writes(Vec<usize>);

    impl Sink for &mut Writes {
        fn write(&mut self, lines: &[u8]) -> io::Result<()> {
            self.0.push(lines.len());
            Ok(())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.push(0);
            Ok(())
        }
    }

    #[test]
    fn small_writes_wait_for_others_or_for_the_flush() {
        let mut writes = Writes::default();
        let mut sink = Gathered::new(&mut writes);
        for length in [40 << 10, 20 << 10, 10 << 10, 100 << 10, 5] {
            sink.write(&vec![b'x'; length]).unwrap();
        }
        sink.flush().unwrap();
        sink.finish().unwrap();
        assert_eq!(writes.0, [60 << 10, 10 << 10, 100 << 10, 5, 0, 0]);
    }
}
