//! Where events end. What a sink has flushed may be acknowledged at its source, and not before.

mod directory;
mod file;

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

pub use directory::{DirectorySink, Rotation};
pub use file::{Compression, FileSink};

/// Takes events. After an error it takes no more.
pub trait Sink: Send {
    /// Takes whole lines. A sink that cannot keep up takes its time, and so slows the source.
    fn write(&mut self, lines: &[u8]) -> io::Result<()>;

    /// Makes safe what has been written: when this returns, a crash loses none of it. Also called
    /// now and then when nothing has been written, for what is due by time.
    fn flush(&mut self) -> io::Result<()>;

    /// Flushes for the last time.
    fn finish(&mut self) -> io::Result<()> {
        self.flush()
    }

    /// How long to gather before a flush, where each costs space.
    fn flush_interval(&self) -> Duration {
        Duration::ZERO
    }
}

/// Writes to a stream, such as standard output, unbuffered: a batch is out when the next one begins.
/// What the stream's other end does with it is beyond its knowledge.
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

/// Writes a line to standard error. Where that cannot be written, nobody reads it: no reason to stop.
pub fn tell(message: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "vpcflow: {message}");
}

/// Without control characters, which a terminal would obey and a log take for lines.
pub fn visible(text: &str) -> String {
    let escape = |letter: char| if letter.is_control() { letter.escape_default().to_string() } else { letter.into() };
    text.chars().map(escape).collect()
}
