//! Files that hold how far a source has been read.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::de::DeserializeOwned;

/// A checkpoint as JSON in a file, or nowhere.
pub(crate) struct CheckpointFile(Option<PathBuf>);

impl CheckpointFile {
    pub(crate) fn new(path: Option<&Path>) -> CheckpointFile {
        CheckpointFile(path.map(Path::to_owned))
    }

    /// What was written last; `None` where there is no file yet.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> anyhow::Result<Option<T>> {
        let Some(path) = &self.0 else { return Ok(None) };
        let text = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("{self} cannot be read"))?,
        };
        serde_json::from_slice(&text).with_context(|| format!("{self} is no checkpoint")).map(Some)
    }

    /// Puts a checkpoint in the place of the last one, so that a crash leaves the one or the other. `json` is not
    /// called where there is no file, and ends before the disk is waited for.
    pub(crate) fn write(&self, json: impl FnOnce() -> serde_json::Result<Vec<u8>>) -> io::Result<()> {
        let Some(path) = &self.0 else { return Ok(()) };
        let bytes = json()?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(&bytes)?;
        file.as_file().sync_data()?;
        file.persist(path)?;
        fs::File::open(directory)?.sync_all()
    }
}

impl fmt::Display for CheckpointFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_deref().unwrap_or(Path::new("")).display().fmt(f)
    }
}
