//! How far the journal was forwarded, over a restart: a line with a checksum.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use peripety::internal::{checked, files::replace};
use serde::{Deserialize, Serialize};

use crate::known::Known;

/// The file, in the state directory.
const FILE: &str = "place";

/// The place, and what has to go with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Place {
    /// Of the last revision that the stream has.
    pub(super) cursor: Option<String>,
    /// Of the host's incidents.
    pub(super) known: Known,
}

/// Where it is.
pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

impl Place {
    /// Reads it; none where there is none, or it is damaged.
    pub(super) fn load(path: &Path) -> Self {
        match fs::read(path) {
            Ok(bytes) => Self::read(&bytes).unwrap_or_else(|| {
                tracing::warn!(
                    "{}: it is damaged; the journal is forwarded from its beginning, and the stream drops what it has",
                    path.display()
                );
                Self::default()
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Self::default(),
            Err(error) => {
                tracing::warn!("{}: cannot read it: {error}", path.display());
                Self::default()
            }
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(checked::unseal(bytes.strip_suffix(b"\n")?)?).ok()
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let mut line = Vec::new();
        checked::seal(&mut line, &serde_json::to_vec(self)?);
        replace(path, &line, 0o600).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_and_damage_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(dir.path());
        assert_eq!(Place::load(&path), Place::default());
        let place = Place { cursor: Some("journal:s=1".to_owned()), ..Place::default() };
        place.save(&path).unwrap();
        assert_eq!(Place::load(&path), place);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(Place::load(&path), Place::default());
    }
}
