//! Files that hold how far a source has been read.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;

/// A checkpoint as JSON in a file that no other process reads with meanwhile, or nowhere.
pub(crate) struct CheckpointFile {
    path: Option<PathBuf>,
    /// Locked for as long as this process runs. The file itself is replaced with every checkpoint.
    _lock: Option<File>,
}

impl CheckpointFile {
    pub(crate) fn open(path: Option<&Path>) -> anyhow::Result<CheckpointFile> {
        Ok(CheckpointFile { path: path.map(Path::to_owned), _lock: path.map(lock).transpose()? })
    }

    /// What was written last; `None` where there is no file yet.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> anyhow::Result<Option<T>> {
        let Some(path) = &self.path else { return Ok(None) };
        let text = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("{self} cannot be read"))?,
        };
        serde_json::from_slice(&text).with_context(|| format!("{self} is no checkpoint")).map(Some)
    }

    /// Puts a checkpoint in the place of the last one, so that a crash leaves the one or the other. `json` is not
    /// called where there is no file, and ends before the disk is waited for.
    pub(crate) fn write(&self, json: impl FnOnce() -> serde_json::Result<Vec<u8>>) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let bytes = json()?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(&bytes)?;
        file.as_file().sync_data()?;
        file.persist(path)?;
        File::open(directory)?.sync_all()
    }
}

impl fmt::Display for CheckpointFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.as_deref().unwrap_or(Path::new("")).display().fmt(f)
    }
}

/// Fails if another process has it: each would read what the other does, and go back to its own checkpoint.
fn lock(path: &Path) -> anyhow::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::create(name).with_context(|| format!("--checkpoint {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("--checkpoint {}: another process reads with it", path.display()),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("--checkpoint {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoint.json");
        let file = CheckpointFile::open(Some(&path)).unwrap();
        assert_eq!(file.read::<u32>().unwrap(), None);
        file.write(|| serde_json::to_vec(&7)).unwrap();
        let refused = CheckpointFile::open(Some(&path)).err().unwrap().to_string();
        assert_eq!(refused, format!("--checkpoint {}: another process reads with it", path.display()));
        drop(file);
        assert_eq!(CheckpointFile::open(Some(&path)).unwrap().read::<u32>().unwrap(), Some(7));
    }
}
