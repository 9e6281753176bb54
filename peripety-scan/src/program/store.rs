//! What is kept of all devices over a restart and a reboot: one line with a checksum, in a file that is replaced as a whole.

use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use peripety_files::{
    checked::{LINE_MAX, seal, unseal},
    replace::replace,
};
use serde::{Deserialize, Serialize};

use crate::pass::Kept;

/// Name of the file.
const FILE: &str = "state";
/// Name of the file that is locked while the program runs.
const LOCK: &str = "lock";
/// Devices that are kept: those of long ago go, the longest gone first.
const DEVICES_MAX: usize = 4096;

/// What is kept, by what each device is known by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) devices: BTreeMap<String, Kept>,
}

/// It cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {path}: {source}")]
pub(super) struct StoreError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Takes the directory for this process; none where another one has it.
///
/// # Errors
/// The system refuses.
pub(super) fn lock(dir: &Path) -> Result<Option<File>, StoreError> {
    let path = dir.join(LOCK);
    let failed = |source| StoreError { doing: "lock", path: path.clone(), source };
    let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

impl Saved {
    /// Reads it in its directory; nothing is kept where there is no file.
    ///
    /// # Errors
    /// It cannot be read, or is not as it was written.
    pub(super) fn load(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let failed = |source| StoreError { doing: "read", path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = Vec::new();
        file.take(LINE_MAX as u64 + 64).read_to_end(&mut bytes).map_err(failed)?;
        let text = bytes.strip_suffix(b"\n").and_then(unseal);
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is damaged");
        serde_json::from_slice(text.ok_or_else(|| failed(damaged()))?).map_err(|error| failed(error.into()))
    }

    /// Replaces it.
    ///
    /// # Errors
    /// The system refuses; the old file is still there.
    pub(super) fn store(&mut self, dir: &Path) -> Result<(), StoreError> {
        while self.devices.len() > DEVICES_MAX {
            let age = |kept: &Kept| {
                kept.pass.as_ref().map(|pass| pass.began).or(kept.last.as_ref().map(|last| last.ended))
            };
            let oldest = self.devices.iter().min_by_key(|(_, kept)| age(kept)).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.devices.remove(&key));
        }
        let path = dir.join(FILE);
        let failed = |source| StoreError { doing: "write", path: path.clone(), source };
        let json = serde_json::to_vec(self).map_err(|error| failed(error.into()))?;
        let mut line = Vec::new();
        seal(&mut line, &json);
        replace(&path, &line, 0o600).and_then(|file| file.sync_data()).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::config::Method;

    fn saved() -> Saved {
        let mut kept = Kept::default();
        kept.pass(Method::Read, 1 << 40, Timestamp::UNIX_EPOCH).place = 1 << 30;
        Saved { devices: [("naa.5".to_owned(), kept)].into() }
    }

    #[test]
    fn what_was_stored_is_loaded_and_devices_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Saved::load(dir.path()).unwrap(), Saved::default());
        let mut saved = saved();
        saved.store(dir.path()).unwrap();
        assert_eq!(Saved::load(dir.path()).unwrap(), saved);
        for n in 0..DEVICES_MAX + 10 {
            saved.devices.insert(format!("x{n}"), Kept::default());
        }
        saved.store(dir.path()).unwrap();
        let loaded = Saved::load(dir.path()).unwrap();
        assert!(loaded.devices.len() == DEVICES_MAX && loaded.devices.contains_key("naa.5"));
    }

    #[test]
    fn a_directory_is_of_one_process() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path()).unwrap();
        assert!(first.is_some() && lock(dir.path()).unwrap().is_none());
        drop(first);
        assert!(lock(dir.path()).unwrap().is_some());
    }

    proptest! {
        #[test]
        fn damage_is_seen_and_nothing_panics(at in 0_usize..400, byte: u8, cut: bool) {
            let dir = tempfile::tempdir().unwrap();
            saved().store(dir.path()).unwrap();
            let path = dir.path().join(FILE);
            let mut bytes = fs::read(&path).unwrap();
            let at = at % bytes.len();
            if cut { bytes.truncate(at) } else { bytes[at] = byte }
            fs::write(&path, &bytes).unwrap();
            match Saved::load(dir.path()) {
                // A digit of the checksum may be a capital.
                Ok(loaded) => prop_assert!(loaded == saved()),
                Err(error) => prop_assert!(error.to_string().starts_with("cannot read ")),
            }
        }
    }
}
