//! A file to which events are appended. After a crash it ends with a whole line again, or with a
//! whole gzip member or zstd frame, as soon as it is opened.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use memchr::memrchr;

use super::Sink;
use crate::framing::{GZIP_MAGIC, ZSTD_MAGIC};

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    /// gzip, one member a flush
    Gzip,
    /// Zstandard, one frame a flush
    Zstd,
}

/// A compressed file begins a new member with every flush, which is small if flushes are frequent.
pub(super) fn flush_interval(compression: Option<Compression>) -> Duration {
    if compression.is_some() { Duration::from_secs(1) } else { Duration::ZERO }
}

impl Compression {
    /// What the names of such files end with.
    pub fn suffix(self) -> &'static str {
        match self {
            Compression::Gzip => ".gz",
            Compression::Zstd => ".zst",
        }
    }
}

/// Appends to a file, which it keeps locked for itself.
pub struct FileSink {
    file: Arc<File>,
    compression: Option<Compression>,
    /// Of the member that has been begun.
    encoder: Option<Encoder>,
    is_dirty: bool,
}

enum Encoder {
    Gzip(GzEncoder<Arc<File>>),
    Zstd(zstd::stream::write::Encoder<'static, Arc<File>>),
}

impl FileSink {
    /// Opens or makes the file at `path`; a file that another process writes to is an error. Cuts off what
    /// a crash has left unfinished at its end, which had never been flushed. A file that holds something
    /// else than such a sink writes is an error.
    pub fn open(path: &Path, compression: Option<Compression>) -> io::Result<FileSink> {
        let metadata = path.metadata();
        if metadata.as_ref().is_ok_and(|metadata| !metadata.is_file()) {
            // Not for reading: who reads from a pipe must not be this process itself.
            let file = OpenOptions::new().write(true).open(path)?;
            return Ok(FileSink { file: Arc::new(file), compression, encoder: None, is_dirty: false });
        }
        // Not at an offset of its own: if somebody else truncates it, no hole must come to be.
        let file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let sink = FileSink::append_to(file, compression)?;
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
        check_room(directory)?;
        if metadata.is_err() {
            // The name of a new file is safe once its directory is.
            sync_directory(directory)?;
        }
        Ok(sink)
    }

    /// The same for a regular file that is open for reading and writing.
    pub(super) fn append_to(mut file: File, compression: Option<Compression>) -> io::Result<FileSink> {
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(io::ErrorKind::ResourceBusy, "another process is writing to it"),
            TryLockError::Error(error) => error,
        })?;
        let end = match compression {
            None => whole_lines(&mut file)?,
            Some(compression) => whole_members(&mut file, compression)?,
        };
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        file.sync_all()?;
        Ok(FileSink { file: Arc::new(file), compression, encoder: None, is_dirty: false })
    }

    /// Whether `path` leads to this file.
    pub(super) fn is_at(&self, path: &Path) -> io::Result<bool> {
        let own = self.file.metadata()?;
        match path.metadata() {
            Ok(found) => Ok((found.dev(), found.ino()) == (own.dev(), own.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// How many bytes the file holds.
    pub(super) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

/// Room that there must be when a file is opened.
pub(super) const PROBE_BYTES: usize = 256 << 10;

/// On a full disk it is better not to begin: each attempt costs messages one of their receipts. Tried in a file
/// of its own, since somebody may be reading the other one as it grows.
fn check_room(directory: &Path) -> io::Result<()> {
    match tempfile::tempfile_in(directory) {
        Ok(mut file) => file.write_all(&[0; PROBE_BYTES]),
        // A file may be written to where none may be made.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes new names in a directory safe.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

impl Sink for FileSink {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        self.is_dirty = true;
        let Some(compression) = self.compression else { return self.file.write_all(lines) };
        if self.encoder.is_none() {
            self.encoder = Some(Encoder::new(compression, self.file.clone())?);
        }
        match &mut self.encoder {
            Some(Encoder::Gzip(encoder)) => encoder.write_all(lines),
            Some(Encoder::Zstd(encoder)) => encoder.write_all(lines),
            None => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.encoder.take() {
            Some(Encoder::Gzip(encoder)) => drop(encoder.finish()?),
            Some(Encoder::Zstd(encoder)) => drop(encoder.finish()?),
            None => {}
        }
        if !std::mem::take(&mut self.is_dirty) {
            return Ok(());
        }
        match self.file.metadata()? {
            metadata if !metadata.is_file() => Ok(()),
            metadata if metadata.nlink() == 0 => Err(io::Error::new(io::ErrorKind::NotFound, "it has been removed")),
            _ => self.file.sync_data(),
        }
    }

    fn flush_interval(&self) -> Duration {
        flush_interval(self.compression)
    }
}

impl Encoder {
    fn new(compression: Compression, file: Arc<File>) -> io::Result<Encoder> {
        Ok(match compression {
            Compression::Gzip => Encoder::Gzip(GzEncoder::new(file, flate2::Compression::fast())),
            Compression::Zstd => {
                Encoder::Zstd(zstd::stream::write::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL)?)
            }
        })
    }
}

/// How many bytes at the beginning of `file` are whole lines.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    const BLOCK_BYTES: u64 = 64 << 10;
    check_beginning(file, b"{", "JSON objects")?;
    let mut end = file.metadata()?.len();
    while end > 0 {
        let start = end.saturating_sub(BLOCK_BYTES);
        let mut block = vec![0; (end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut block)?;
        if let Some(last) = memrchr(b'\n', &block) {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// How many bytes at the beginning of `file` are whole members or frames.
fn whole_members(file: &mut File, compression: Compression) -> io::Result<u64> {
    match compression {
        Compression::Gzip => check_beginning(file, GZIP_MAGIC, "gzip")?,
        Compression::Zstd => check_beginning(file, ZSTD_MAGIC, "Zstandard")?,
    }
    let mut reader = BufReader::new(file);
    let mut whole = 0;
    while !reader.fill_buf()?.is_empty() {
        let member = match compression {
            Compression::Gzip => io::copy(&mut GzDecoder::new(&mut reader), &mut io::sink()),
            Compression::Zstd => zstd::stream::read::Decoder::with_buffer(&mut reader)
                .and_then(|decoder| io::copy(&mut decoder.single_frame(), &mut io::sink())),
        };
        match member {
            Ok(_) => whole = reader.stream_position()?,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => {
                reader.seek(SeekFrom::Start(whole))?;
                // What a power failure may leave of what had not been flushed.
                if !is_all_zeros(&mut reader)? {
                    let text = format!("it is damaged behind byte {whole}, and nothing is appended to it: {error}");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
                break;
            }
        }
    }
    Ok(whole)
}

/// Refuses a file that does not begin as it should, unless it is shorter than that.
fn check_beginning(file: &mut File, expected: &[u8], name: &str) -> io::Result<()> {
    let mut beginning = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(expected.len() as u64).read_to_end(&mut beginning)?;
    file.seek(SeekFrom::Start(0))?;
    if expected.starts_with(&beginning) || beginning.iter().all(|&byte| byte == 0) {
        return Ok(());
    }
    let text = format!("it holds something else than {name}, and nothing is appended to it");
    Err(io::Error::new(io::ErrorKind::InvalidData, text))
}

fn is_all_zeros(reader: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() || bytes.iter().any(|&byte| byte != 0) {
            return Ok(bytes.is_empty());
        }
        let length = bytes.len();
        reader.consume(length);
    }
}
