//! Where events end. What a sink has flushed may be acknowledged at its source, and not before.

mod directory;
#[cfg(feature = "elasticsearch")]
pub(crate) mod elasticsearch;
mod file;
mod gathered;
#[cfg(feature = "kafka")]
mod kafka;
mod rotated;
mod stream;

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use crate::reject::Refusal;

pub use directory::{DirectorySink, Rotation};
pub use file::{Compression, FileSink};
pub use gathered::Gathered;
#[cfg(feature = "kafka")]
pub use kafka::KafkaSink;
pub use rotated::RotatedSink;
pub use stream::{StandardOutput, StreamSink};

/// Takes events. After an error it takes no more.
pub trait Sink: Send {
    /// Waits until the destination is there and lets us in: before anything is received for it.
    fn prepare(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Takes whole lines. A sink that cannot keep up takes its time, and so slows the source.
    fn write(&mut self, lines: &[u8]) -> io::Result<()>;

    /// Makes safe what has been written: when this returns, a crash loses none of it. Also called
    /// now and then when nothing has been written, for what is due by time.
    fn flush(&mut self) -> io::Result<()>;

    /// Flushes for the last time.
    fn finish(&mut self) -> io::Result<()> {
        self.flush()
    }

    /// Takes away what the destination has refused for good since it was asked last: no failure of the sink,
    /// and nothing that another attempt would change. What has been flushed is either safe or among these.
    fn refused(&mut self) -> Vec<Refusal> {
        Vec::new()
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
