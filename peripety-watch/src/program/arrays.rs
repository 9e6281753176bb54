//! The arrays of md: `/proc/mdstat` wakes whoever polls it when one of them changes; what changed stands in sysfs.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use peripety_block::{files::Files, status::ArrayStatus};

use crate::message::Message;

/// Arrays that are watched.
const ARRAYS_MAX: usize = 4096;

/// All of them.
#[derive(Debug)]
pub(super) struct ArrayWatch {
    mdstat: PathBuf,
    block: PathBuf,
    changes: Option<File>,
    sent: BTreeMap<String, ArrayStatus>,
}

impl ArrayWatch {
    /// None yet.
    pub(super) fn new(proc: &Path, sysfs: &Path) -> Self {
        let (mdstat, block) = (proc.join("mdstat"), sysfs.join("block"));
        Self { mdstat, block, changes: None, sent: BTreeMap::new() }
    }

    /// What wakes when an array changes; none while there is no md.
    pub(super) fn changes(&self) -> Option<&File> {
        self.changes.as_ref()
    }

    pub(super) fn count(&self) -> usize {
        self.sent.len()
    }

    /// The status of all of them, as it was read last.
    pub(super) fn send_all(&self) -> Vec<Message> {
        self.sent.values().cloned().map(Message::Array).collect()
    }

    /// Reads all arrays; gives those that changed in more than how far they are.
    ///
    /// # Errors
    /// mdstat is there and cannot be opened.
    pub(super) fn look(&mut self) -> io::Result<Vec<Message>> {
        // What happens from here on wakes again.
        self.changes = match File::open(&self.mdstat) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut there = BTreeMap::new();
        if self.changes.is_some() {
            for entry in fs::read_dir(&self.block).into_iter().flatten().flatten() {
                let Ok(name) = entry.file_name().into_string() else { continue };
                if name.starts_with("md") && there.len() < ARRAYS_MAX {
                    there.extend(read(&self.block, &name).map(|status| (name, status)));
                }
            }
        }
        let changed = there.iter().filter(|(name, status)| self.sent.get(*name) != Some(*status));
        let messages = changed.map(|(_, status)| Message::Array(status.clone())).collect();
        self.sent = there;
        Ok(messages)
    }
}

fn read(block: &Path, name: &str) -> Option<ArrayStatus> {
    let mut status = ArrayStatus::read(&Files::Disk, block, name)?;
    // They change all the time, and whoever wants to know reads them then.
    (status.array.progress, status.array.speed) = (None, None);
    Some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_sent_once() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        };
        let mut watch = ArrayWatch::new(&dir.path().join("proc"), &dir.path().join("sys"));
        assert!(watch.look().unwrap().is_empty() && watch.changes().is_none());
        write("proc/mdstat", "Personalities : [raid1]");
        for (attribute, text) in [
            ("dev", "9:0"),
            ("md/level", "raid1"),
            ("md/array_state", "clean"),
            ("md/raid_disks", "2"),
            ("md/degraded", "1"),
            ("md/sync_action", "recover"),
            ("md/sync_completed", "1 / 100"),
            ("md/dev-sda/state", "in_sync"),
        ] {
            write(&format!("sys/block/md0/{attribute}"), text);
        }
        write("sys/block/sda/dev", "8:0");
        let first = watch.look().unwrap();
        assert!(
            matches!(&first[..], [Message::Array(array)] if array.name == "md0" && array.array.degraded == 1)
        );
        assert_eq!((watch.count(), watch.send_all()), (1, first));
        write("sys/block/md0/md/sync_completed", "50 / 100");
        assert!(watch.look().unwrap().is_empty() && watch.changes().is_some());
        write("sys/block/md0/md/sync_action", "idle");
        assert_eq!(watch.look().unwrap().len(), 1);
        fs::remove_dir_all(dir.path().join("sys/block/md0")).unwrap();
        assert!(watch.look().unwrap().is_empty() && watch.count() == 0);
    }
}
