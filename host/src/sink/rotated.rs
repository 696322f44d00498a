//! A file that others rotate.

use std::io;
use std::path::{Path, PathBuf};

use super::{FileSink, Sink};

/// Appends to the file of this name: to a new one, once the old one has been renamed or removed. Whoever
/// rotates it needs no signal for that.
pub struct RotatedSink {
    path: PathBuf,
    file: FileSink,
}

impl RotatedSink {
    /// Opens or makes the file at `path`, as [`FileSink::open`] does.
    pub fn open(path: &Path) -> io::Result<RotatedSink> {
        Ok(RotatedSink { path: path.to_owned(), file: FileSink::open(path, None)? })
    }
}

impl Sink for RotatedSink {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if !self.file.is_at(&self.path)? {
            match self.file.flush() {
                // Whoever has removed it wants nothing of it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                outcome => outcome?,
            }
            self.file = FileSink::open(&self.path, None)?;
        }
        self.file.write(lines)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
