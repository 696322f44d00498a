//! Where lines come from: standard input, files, folders and globs, each plain, gzip, zstd or Parquet.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use walkdir::WalkDir;

use crate::framing::{ParquetLines, decompress, is_parquet};
use crate::sink::tell;

/// One stream of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

/// Why a source cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A path that leads nowhere.
    #[error("{path}: {error}")]
    NotFound {
        /// The path as it was given.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// A glob that is ill-formed.
    #[error("{pattern}: {error}")]
    BadGlob {
        /// The pattern as it was given.
        pattern: String,
        /// What is wrong with it.
        error: glob::PatternError,
    },
    /// A glob or a folder without a file.
    #[error("{0}: no file there")]
    Empty(String),
}

impl Source {
    /// The sources that `paths` name, in order; folders and globs in the order of their file names.
    /// `-`, and no path at all, is standard input.
    pub fn from_paths(paths: &[PathBuf]) -> Result<Vec<Source>, SourceError> {
        if paths.is_empty() {
            return Ok(vec![Source::Stdin]);
        }
        let mut sources = Vec::new();
        for path in paths {
            match path.metadata() {
                _ if path.as_os_str() == "-" => sources.push(Source::Stdin),
                Ok(metadata) if metadata.is_dir() => add_folder(path, &mut sources)?,
                Ok(_) => sources.push(Source::File(path.clone())),
                Err(error) => add_glob(path, error, &mut sources)?,
            }
        }
        Ok(sources)
    }

    /// How messages call it.
    pub fn name(&self) -> String {
        match self {
            Source::Stdin => "-".into(),
            Source::File(path) => path.display().to_string(),
        }
    }

    /// What event ids are made of: the same for every way to the same file.
    pub fn origin(&self) -> String {
        match self {
            Source::Stdin => "-".into(),
            Source::File(path) => path.canonicalize().unwrap_or_else(|_| path.clone()).display().to_string(),
        }
    }

    /// How many bytes it holds, where that is known before it is read.
    pub fn size(&self) -> Option<u64> {
        match self {
            Source::Stdin => None,
            Source::File(path) => {
                path.metadata().ok().filter(|metadata| metadata.is_file()).map(|metadata| metadata.len())
            }
        }
    }

    /// Opens it and decompresses what it holds, as its first bytes tell. `bytes_read` counts the
    /// bytes before decompression.
    pub fn open(&self, bytes_read: Arc<AtomicU64>) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Source::Stdin => {
                if io::stdin().is_terminal() {
                    tell(format_args!("reading flow log lines from the terminal; end with Ctrl-D, see --help"));
                }
                Ok(Box::new(decompress(Counted { reader: io::stdin(), bytes_read })?))
            }
            Source::File(path) => {
                let file = File::open(path)?;
                match file.metadata()?.is_file() && is_parquet(&file)? {
                    true => Ok(Box::new(ParquetLines::open(file, bytes_read)?)),
                    false => Ok(Box::new(decompress(Counted { reader: file, bytes_read })?)),
                }
            }
        }
    }
}

fn add_folder(folder: &Path, sources: &mut Vec<Source>) -> Result<(), SourceError> {
    let before = sources.len();
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(folder).display().to_string();
            SourceError::NotFound { path, error: error.into() }
        })?;
        if entry.file_type().is_file() {
            sources.push(Source::File(entry.into_path()));
        }
    }
    if sources.len() == before { Err(SourceError::Empty(folder.display().to_string())) } else { Ok(()) }
}

fn add_glob(path: &Path, error: io::Error, sources: &mut Vec<Source>) -> Result<(), SourceError> {
    let pattern = path.to_string_lossy().into_owned();
    if !pattern.contains(['*', '?', '[']) {
        return Err(SourceError::NotFound { path: pattern, error });
    }
    let before = sources.len();
    let matches = glob::glob(&pattern).map_err(|error| SourceError::BadGlob { pattern: pattern.clone(), error })?;
    for path in matches {
        let path = path
            .map_err(|error| SourceError::NotFound { path: error.path().display().to_string(), error: error.into() })?;
        if path.is_dir() {
            add_folder(&path, sources)?;
        } else {
            sources.push(Source::File(path));
        }
    }
    if sources.len() == before { Err(SourceError::Empty(pattern)) } else { Ok(()) }
}

/// Counts what is read through it.
struct Counted<R> {
    reader: R,
    bytes_read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.bytes_read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
