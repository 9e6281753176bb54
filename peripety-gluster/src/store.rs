//! The state over a restart, so that only changes are reported.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::snapshot::Snapshot;

/// Longest file that is read back, bytes.
const MAX: u64 = 64 << 20;

/// What is saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Saved {
    /// The state that was reported last.
    pub snapshot: Option<Snapshot>,
    /// The last report of each thing that glusterd cannot be asked for.
    pub reports: BTreeMap<String, String>,
    /// Whether it was reported that glusterd does not answer.
    pub silent: bool,
}

/// Why it could not be saved or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {path}: {source}")]
pub struct StoreError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Saved {
    /// Reads the file; nothing is known where there is none.
    ///
    /// # Errors
    /// It cannot be read, or was not written by this program.
    pub fn load(path: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError { doing: "read", path: path.to_owned(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error)),
        };
        let mut text = Vec::new();
        file.take(MAX).read_to_end(&mut text).map_err(failed)?;
        serde_json::from_slice(&text).map_err(|error| failed(error.into()))
    }

    /// Replaces the file as a whole.
    ///
    /// # Errors
    /// The system refuses.
    pub fn store(&self, path: &Path) -> Result<(), StoreError> {
        let failed = |source| StoreError { doing: "write", path: path.to_owned(), source };
        let text = serde_json::to_vec(self).map_err(|error| failed(error.into()))?;
        let beside = path.with_extension("new");
        let mut file = File::create(&beside).map_err(failed)?;
        file.write_all(&text).and_then(|()| file.sync_data()).map_err(failed)?;
        fs::rename(&beside, path).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        assert_eq!(Saved::load(&path).unwrap(), Saved::default());
        let mut saved = Saved { silent: true, ..Saved::default() };
        saved.reports.insert("a".to_owned(), "b".to_owned());
        saved.store(&path).unwrap();
        assert_eq!(Saved::load(&path).unwrap(), saved);
        fs::write(&path, "{").unwrap();
        let error = Saved::load(&path).unwrap_err().to_string();
        assert!(error.starts_with("cannot read "), "{error}");
    }
}
