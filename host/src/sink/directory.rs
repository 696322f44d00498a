//! A directory of files. The one that is written to has a name that ends in `.part`, and takes its
//! final name when it is full or old enough; what a crash has left behind is finished at the next start.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::Utc;

use super::file::{PROBE_BYTES, flush_interval, sync_directory};
use super::{Compression, FileSink, Sink};

const PREFIX: &str = "events-";
const PART: &str = ".part";

/// When a file is finished and the next one begun.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// Once it holds this many bytes, as they are on disk.
    pub bytes: u64,
    /// Once its first event is this old.
    pub age: Duration,
}

/// Writes files named `events-20260930T120000Z-1a2b3c4d.ndjson`, with the time of their first event.
pub struct DirectorySink {
    directory: PathBuf,
    compression: Option<Compression>,
    rotation: Rotation,
    part: Option<Part>,
}

struct Part {
    path: PathBuf,
    sink: FileSink,
    begun: Instant,
}

impl DirectorySink {
    /// Makes the directory if need be, and finishes the files that a crash has left in it.
    pub fn open(directory: &Path, compression: Option<Compression>, rotation: Rotation) -> io::Result<DirectorySink> {
        fs::create_dir_all(directory)?;
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            // Not a link, which may lead anywhere.
            let is_own = name.to_str().is_some_and(is_part) && entry.file_type()?.is_file();
            if is_own {
                recover(&entry.path()).map_err(|error| named(&entry.path(), error))?;
            }
        }
        // On a full disk it is better not to begin.
        tempfile::tempfile_in(directory)?.write_all(&[0; PROBE_BYTES])?;
        let directory = directory.to_owned();
        Ok(DirectorySink { directory, compression, rotation, part: None })
    }

    fn begin(&self) -> io::Result<Part> {
        let prefix = format!("{PREFIX}{}-", Utc::now().format("%Y%m%dT%H%M%SZ"));
        let suffix = format!(".ndjson{}{PART}", self.compression.map_or("", Compression::suffix));
        loop {
            // As readable as the umask allows; a temporary file is its owner's by itself.
            let file = tempfile::Builder::new()
                .prefix(&prefix)
                .suffix(&suffix)
                .rand_bytes(8)
                .permissions(Permissions::from_mode(0o666))
                .tempfile_in(&self.directory)?;
            let (file, path) = file.keep()?;
            // Another process that starts just now may take an unlocked file for one that a crash has left.
            file.lock()?;
            if path.exists() {
                let sink = FileSink::append_to(file, self.compression)?;
                sync_directory(&self.directory)?;
                return Ok(Part { path, sink, begun: Instant::now() });
            }
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        match self.part.take() {
            Some(part) => finish(&part.path),
            None => Ok(()),
        }
    }
}

impl Sink for DirectorySink {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.part.is_none() {
            self.part = Some(self.begin()?);
        }
        self.part.as_mut().map_or(Ok(()), |part| part.sink.write(lines))
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(part) = &mut self.part else { return Ok(()) };
        part.sink.flush()?;
        let is_due = part.begun.elapsed() >= self.rotation.age || part.sink.len()? >= self.rotation.bytes;
        if is_due { self.rotate() } else { Ok(()) }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.rotate()
    }

    fn flush_interval(&self) -> Duration {
        flush_interval(self.compression)
    }
}

/// Whether this is the name of a file that such a sink has begun.
fn is_part(name: &str) -> bool {
    let ends = [".ndjson", ".ndjson.gz", ".ndjson.zst"];
    name.starts_with(PREFIX) && name.strip_suffix(PART).is_some_and(|name| ends.iter().any(|end| name.ends_with(end)))
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Gives a flushed file its final name.
fn finish(part: &Path) -> io::Result<()> {
    fs::rename(part, part.with_extension(""))?;
    part.parent().map_or(Ok(()), sync_directory)
}

/// Finishes a file that nobody writes to any more.
fn recover(path: &Path) -> io::Result<()> {
    match try_recover(path) {
        // Another process has just finished it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn try_recover(path: &Path) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(()),
        locked => locked?,
    }
    let name = path.with_extension("");
    let compression = match name.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => Some(Compression::Gzip),
        Some("zst") => Some(Compression::Zstd),
        _ => None,
    };
    let sink = FileSink::append_to(file, compression)?;
    if sink.len()? == 0 {
        return fs::remove_file(path);
    }
    finish(path)
}
