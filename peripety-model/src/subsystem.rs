//! Which part of the storage stack speaks.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize};

/// The part of the storage stack an event is about, in lower case: `block`, `scsi`, `nvme`, `multipath`, `ext4` …
///
/// A user's rule may name one that peripety does not know.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct SubSystem(Cow<'static, str>);

/// The subsystems that peripety's own rules and parsers use.
pub const SUB_SYSTEMS: &[&str] = &[
    "block",
    "scsi",
    "ata",
    "nvme",
    "multipath",
    "dm-dirty-log",
    "dm-mirror",
    "dm-raid",
    "dm-thin",
    "dm-cache",
    "dm-snapshot",
    "dm-integrity",
    "dm-verity",
    "dm-crypt",
    "dm-writecache",
    "dm-clone",
    "dm-era",
    "dm-vdo",
    "dm",
    "md",
    "ext4",
    "xfs",
    "btrfs",
    "f2fs",
    "jbd2",
    "iscsi",
    "fc",
    "smart",
    "usb",
    "mmc",
    "ufs",
    "loop",
    "nbd",
    "zram",
    "bcache",
    "rbd",
    "drbd",
    "swap",
    "fs",
    "ext2",
    "ext3",
    "fat",
    "exfat",
    "ntfs3",
    "squashfs",
    "erofs",
    "overlay",
    "gfs2",
    "ocfs2",
    "bcachefs",
    "reiserfs",
    "nilfs2",
    "jfs",
    "udf",
    "isofs",
    "ubifs",
    "zfs",
    "nfs",
    "cifs",
    "ceph",
    "gluster",
    "pcie",
    "iommu",
    "scan",
    "task",
    "kernel",
    "peripety",
];

impl SubSystem {
    /// A subsystem by name, in any case.
    pub fn new(name: &str) -> Self {
        let lower = name.trim().to_ascii_lowercase();
        match SUB_SYSTEMS.iter().find(|s| **s == lower) {
            Some(known) => Self(Cow::Borrowed(known)),
            None => Self(Cow::Owned(lower)),
        }
    }

    /// A subsystem that is known when peripety is built; the name is lower case.
    pub const fn known(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is one of [`SUB_SYSTEMS`].
    pub fn is_known(&self) -> bool {
        SUB_SYSTEMS.contains(&self.as_str())
    }
}

impl fmt::Display for SubSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for SubSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SubSystem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&String::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TYPES;

    #[test]
    fn any_case_reads_as_the_same() {
        assert_eq!(SubSystem::new("EXT4"), SubSystem::known("ext4"));
        assert_eq!(SubSystem::new(" Multipath "), SubSystem::known("multipath"));
    }

    #[test]
    fn every_subsystem_of_the_vocabulary_is_known() {
        for t in TYPES {
            assert!(SubSystem::new(t.sub_system).is_known(), "{}", t.sub_system);
        }
    }
}
