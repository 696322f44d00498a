//! A file to which events are appended. After a crash it ends with a whole line again, or with a
//! whole gzip member or zstd frame, as soon as it is opened.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use memchr::memrchr;

use super::Sink;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    /// gzip, one member a flush
    Gzip,
    /// Zstandard, one frame a flush
    Zstd,
}

/// A compressed file begins a new member with every flush, which is small if flushes are frequent.
pub(super) const COMPRESSED_FLUSH_INTERVAL: Duration = Duration::from_secs(1);

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
    /// Opens or makes the file at `path`, waits for nobody: a file that another process writes to is an
    /// error. Cuts off what a crash has left unfinished at its end, none of which was ever flushed.
    pub fn open(path: &Path, compression: Option<Compression>) -> io::Result<FileSink> {
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        FileSink::append_to(file, compression)
    }

    /// The same for a file that is open already.
    pub(super) fn append_to(mut file: File, compression: Option<Compression>) -> io::Result<FileSink> {
        // A device or a pipe is nothing to lock, to cut or to synchronise.
        if file.metadata()?.is_file() {
            file.try_lock().map_err(|error| match error {
                TryLockError::WouldBlock => {
                    io::Error::new(io::ErrorKind::ResourceBusy, "another process is writing to it")
                }
                TryLockError::Error(error) => error,
            })?;
            let end = whole_bytes(&mut file, compression)?;
            if end < file.metadata()?.len() {
                file.set_len(end)?;
            }
            file.seek(SeekFrom::Start(end))?;
        }
        Ok(FileSink { file: Arc::new(file), compression, encoder: None, is_dirty: false })
    }

    /// How many bytes the file holds.
    pub(super) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
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
        if std::mem::take(&mut self.is_dirty) && self.file.metadata()?.is_file() {
            self.file.sync_data()?;
        }
        Ok(())
    }

    fn flush_interval(&self) -> Duration {
        self.compression.map_or(Duration::ZERO, |_| COMPRESSED_FLUSH_INTERVAL)
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

/// How many bytes at the beginning of `file` hold nothing unfinished.
fn whole_bytes(file: &mut File, compression: Option<Compression>) -> io::Result<u64> {
    match compression {
        None => whole_lines(file),
        Some(compression) => whole_members(file, compression),
    }
}

fn whole_lines(file: &mut File) -> io::Result<u64> {
    const BLOCK_BYTES: u64 = 64 << 10;
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

fn whole_members(file: &mut File, compression: Compression) -> io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(file);
    let mut whole = 0;
    while !reader.fill_buf()?.is_empty() {
        let member = match compression {
            Compression::Gzip => io::copy(&mut GzDecoder::new(&mut reader), &mut io::sink()),
            Compression::Zstd => zstd::stream::read::Decoder::with_buffer(&mut reader)
                .and_then(|decoder| io::copy(&mut decoder.single_frame(), &mut io::sink())),
        };
        if member.is_err() {
            break;
        }
        whole = reader.stream_position()?;
    }
    Ok(whole)
}
