//! What the daemon remembers across restarts within one boot: how far it has read the kernel's log.
//!
//! It lies in /run, never on a disk that may be the failing one (promise 6), and is gone with the boot it belongs to.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// The state file.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    written: State,
}

/// Its content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Boot that it belongs to.
    pub boot_id: String,
    /// Sequence number of the last record of /dev/kmsg whose events are out.
    pub kmsg_seq: Option<u64>,
}

impl StateFile {
    /// Reads the state of this boot; an empty one if there is none or it cannot be understood.
    pub fn open(runtime: &Path, boot_id: &str) -> Self {
        let path = runtime.join("state.json");
        let read = fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str::<State>(&text).ok());
        let written = read
            .filter(|state| state.boot_id == boot_id)
            .unwrap_or_else(|| State { boot_id: boot_id.to_owned(), kmsg_seq: None });
        Self { path, written }
    }

    /// What was read or last written.
    pub const fn state(&self) -> &State {
        &self.written
    }

    /// Whether `kmsg_seq` is news.
    pub fn is_behind(&self, kmsg_seq: Option<u64>) -> bool {
        kmsg_seq.is_some() && kmsg_seq != self.written.kmsg_seq
    }

    /// Replaces the file at once, so that a crash leaves the old one or the new one.
    ///
    /// # Errors
    /// When the runtime directory cannot be written.
    pub fn write(&mut self, kmsg_seq: Option<u64>) -> io::Result<()> {
        self.written.kmsg_seq = kmsg_seq;
        let new = self.path.with_extension("new");
        fs::write(&new, serde_json::to_vec(&self.written)?)?;
        fs::rename(&new, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_another_boot_and_a_broken_file_count_for_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = StateFile::open(directory.path(), "boot1");
        assert_eq!(file.state().kmsg_seq, None);
        file.write(Some(7)).unwrap();
        assert_eq!(StateFile::open(directory.path(), "boot1").state().kmsg_seq, Some(7));
        assert_eq!(StateFile::open(directory.path(), "boot2").state().kmsg_seq, None);
        fs::write(directory.path().join("state.json"), "{\"boot_id\":").unwrap();
        assert_eq!(StateFile::open(directory.path(), "boot1").state().kmsg_seq, None);
    }
}
