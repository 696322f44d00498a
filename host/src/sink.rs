//! Where events end. What a sink has flushed may be acknowledged at its source, and not before.

mod directory;
mod file;
mod rotated;
mod stream;

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

pub use directory::{DirectorySink, Rotation};
pub use file::{Compression, FileSink};
pub use rotated::RotatedSink;
pub use stream::{StandardOutput, StreamSink};

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

/// Writes a line to standard error. Where that cannot be written, nobody reads it: no reason to stop.
pub fn tell(message: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "vpcflow: {message}");
}

/// Without control characters, which a terminal would obey and a log take for lines.
pub fn visible(text: &str) -> String {
    let escape = |letter: char| if letter.is_control() { letter.escape_default().to_string() } else { letter.into() };
    text.chars().map(escape).collect()
}
