//! From where to go on with each server of version 2: the number of the event that comes next.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// Servers that are remembered.
const SERVERS_MAX: usize = 1024;

/// The file of places cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlacesError {
    /// The system refuses.
    #[error("{}: {source}", path.display())]
    System {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is damaged.
    #[error("{}: it is damaged ({source}); remove it to begin with the oldest events that the servers have", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

/// By the id of the metadata server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(BTreeMap<u32, u64>);

impl Places {
    /// What was saved; nothing if there is no file yet.
    ///
    /// # Errors
    /// The system refuses, or the file is damaged.
    pub fn load(path: &Path) -> Result<Self, PlacesError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(PlacesError::System { path: path.to_owned(), source }),
        };
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|source| PlacesError::Damaged { path: path.to_owned(), source })
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// The system refuses.
    pub fn save(&self, path: &Path) -> Result<(), PlacesError> {
        // Not in place of what looks like an extension: `meta.1` and `meta.2` have a file each.
        let mut new = path.to_owned().into_os_string();
        new.push(".new");
        let bytes = serde_json::to_vec(&self.0).unwrap_or_default();
        fs::write(&new, bytes)
            .and_then(|()| fs::rename(&new, path))
            .map_err(|source| PlacesError::System { path: path.to_owned(), source })
    }

    /// The event that comes next from this server, if it is known.
    pub fn next_of(&self, meta_id: u32) -> Option<u64> {
        self.0.get(&meta_id).copied()
    }

    /// It is this one now.
    pub fn set(&mut self, meta_id: u32, next: u64) {
        if self.0.len() < SERVERS_MAX || self.0.contains_key(&meta_id) {
            self.0.insert(meta_id, next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_and_damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("places");
        assert_eq!(Places::load(&path).unwrap(), Places::default());
        let mut places = Places::default();
        places.set(7, u64::MAX);
        places.save(&path).unwrap();
        assert_eq!(Places::load(&path).unwrap(), places);
        fs::write(&path, "{\"7\": ").unwrap();
        assert!(Places::load(&path).unwrap_err().to_string().contains("remove it to begin"));
    }
}
