//! Streams, whose other end is beyond knowledge: what has been written is delivered.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use super::Sink;

/// Writes to any stream, unbuffered: a batch is out when the next one begins.
pub struct StreamSink<W>(pub W);

impl<W: Write + Send> Sink for StreamSink<W> {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        self.0.write_all(lines)?;
        self.0.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Standard output, of which it knows more than that it is a stream: where it was redirected into a
/// file, what has been flushed is on disk.
pub struct StandardOutput(File);

impl StandardOutput {
    /// The process's standard output, without the buffer that the standard library gives it.
    pub fn open() -> io::Result<StandardOutput> {
        Ok(StandardOutput(io::stdout().as_fd().try_clone_to_owned()?.into()))
    }
}

impl Sink for StandardOutput {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        self.0.write_all(lines)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.0.metadata()?.is_file() { self.0.sync_data() } else { Ok(()) }
    }
}
