//! The state of an md array, as sysfs shows it (Documentation/admin-guide/md.rst of the kernel).

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Share, raid, spare_copies};
use crate::{attr, files::Files};

/// The most members of an array that are read.
const MEMBERS_MAX: usize = 4096;

/// An array that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MdArray {
    /// `raid1` …
    pub level: String,
    /// `clean`, `active`, `readonly`, `read-auto`, `broken` …
    pub state: String,
    /// Members that it should have.
    pub disks: u64,
    /// How many of them it lacks.
    pub degraded: u64,
    /// `idle`, `frozen`, `resync`, `recover`, `check`, `repair`, `reshape`.
    pub action: String,
    /// How far that is, in sectors, and how far it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// How fast, in KiB each second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<u64>,
    /// Sectors that the last check found to differ.
    pub mismatches: u64,
    /// The sector at which a check would begin: not 0 after one that was interrupted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub check_from: u64,
    /// Its members.
    pub members: Vec<MdMember>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// How far something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Sectors that are done.
    pub done: u64,
    /// Of so many.
    pub total: u64,
}

impl Progress {
    /// As a share.
    pub const fn share(self) -> Share {
        Share { used: self.done, total: self.total }
    }
}

/// A member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MdMember {
    /// Kernel name of its device.
    pub name: String,
    /// Which place it has; none for a spare.
    pub slot: Option<u64>,
    /// `in_sync`, `faulty`, `spare`, `write_mostly`, `blocked`, `want_replacement` …
    pub state: Vec<String>,
    /// Read errors that were corrected.
    pub corrected: u64,
}

impl MdMember {
    /// Whether it has all data.
    pub fn is_in_sync(&self) -> bool {
        self.has("in_sync") && !self.has("faulty")
    }

    /// Whether it failed.
    pub fn is_faulty(&self) -> bool {
        self.has("faulty")
    }

    /// Whether it waits to take the place of another one, or is on its way to.
    pub fn is_spare(&self) -> bool {
        self.has("spare") && !self.has("faulty")
    }

    fn has(&self, flag: &str) -> bool {
        self.state.iter().any(|state| state == flag)
    }
}

impl MdArray {
    /// Reads the array with this directory in sysfs (`/sys/block/md0`); none when there is none, or it does not run.
    pub fn read(files: &Files, dir: &Path) -> Option<Self> {
        let md = dir.join("md");
        let text = |name: &str| attr::text(files, &md.join(name));
        let number = |name: &str| text(name).and_then(|text| text.split(' ').next()?.parse().ok());
        let state = text("array_state")?;
        if matches!(state.as_str(), "clear" | "inactive") {
            return None;
        }
        let members = attr::names(files, &md).into_iter().filter(|name| name.starts_with("dev-"));
        let mut members: Vec<MdMember> =
            members.take(MEMBERS_MAX).map(|name| member(files, &md, &name)).collect();
        members.sort_by(|a, b| (a.slot.is_none(), a.slot, &a.name).cmp(&(b.slot.is_none(), b.slot, &b.name)));
        Some(Self {
            level: text("level")?,
            state,
            disks: number("raid_disks").unwrap_or(0),
            degraded: number("degraded").unwrap_or(0),
            action: text("sync_action").unwrap_or_default(),
            progress: text("sync_completed").as_deref().and_then(progress),
            speed: number("sync_speed"),
            mismatches: number("mismatch_cnt").unwrap_or(0),
            check_from: number("sync_min").unwrap_or(0),
            members,
        })
    }

    /// How many members have all data.
    pub fn in_sync(&self) -> usize {
        self.members.iter().filter(|member| member.is_in_sync()).count()
    }

    /// How many more members may fail for sure.
    pub fn spare_copies(&self) -> u64 {
        spare_copies(&self.level, usize::try_from(self.disks).unwrap_or(usize::MAX), self.in_sync())
    }

    /// Whether members are being brought in sync.
    pub fn is_rebuilding(&self) -> bool {
        raid::is_rebuilding(&self.action)
    }

    /// What is under way: `resync`, `check` …
    pub fn under_way(&self) -> Option<&str> {
        raid::under_way(&self.action)
    }

    /// Seconds until what is under way is done, at the speed of now.
    pub fn seconds_left(&self) -> Option<u64> {
        let progress = self.progress?;
        progress.total.checked_sub(progress.done)?.checked_div(self.speed?.checked_mul(2)?)
    }
}

/// `sync_completed`: `DONE / TOTAL`, `none` or `delayed`.
fn progress(text: &str) -> Option<Progress> {
    let (done, total) = text.split_once('/')?;
    Some(Progress { done: done.trim().parse().ok()?, total: total.trim().parse().ok()? })
}

fn member(files: &Files, md: &Path, entry: &str) -> MdMember {
    let dir = md.join(entry);
    let text = |name: &str| attr::text(files, &dir.join(name)).unwrap_or_default();
    MdMember {
        name: entry.strip_prefix("dev-").unwrap_or(entry).to_owned(),
        slot: text("slot").parse().ok(),
        state: text("state").split(',').filter(|flag| !flag.is_empty()).map(str::to_owned).collect(),
        corrected: text("errors").parse().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn array(attributes: &[(&str, &str)]) -> Option<MdArray> {
        let dir = tempfile::tempdir().unwrap();
        for (name, value) in attributes {
            let path = dir.path().join("md").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{value}\n")).unwrap();
        }
        MdArray::read(&Files::Disk, dir.path())
    }

    const REBUILDING: [(&str, &str); 14] = [
        ("level", "raid1"),
        ("array_state", "clean"),
        ("raid_disks", "2"),
        ("degraded", "1"),
        ("sync_action", "recover"),
        ("sync_completed", "40960 / 204800"),
        ("sync_speed", "1024"),
        ("mismatch_cnt", "0"),
        ("dev-sdb/state", "in_sync"),
        ("dev-sdb/slot", "0"),
        ("dev-sdc/state", "spare"),
        ("dev-sdc/slot", "1"),
        ("dev-sdd/state", "faulty,write_mostly"),
        ("dev-sdd/slot", "none"),
    ];

    #[test]
    fn a_rebuild_says_how_far_it_is() {
        let array = array(&REBUILDING).unwrap();
        assert_eq!((array.in_sync(), array.spare_copies(), array.is_rebuilding()), (1, 0, true));
        assert_eq!(array.seconds_left(), Some(80));
        assert_eq!(array.progress.unwrap().share().percent(), Some(20.0));
        let names: Vec<_> = array.members.iter().map(|member| (member.name.as_str(), member.slot)).collect();
        assert_eq!(names, [("sdb", Some(0)), ("sdc", Some(1)), ("sdd", None)]);
        assert!(array.members[2].is_faulty() && array.members[1].is_spare());
    }

    #[test]
    fn without_an_array_there_is_none() {
        assert_eq!(array(&[]), None);
        assert_eq!(array(&[("level", "raid1"), ("array_state", "inactive")]), None);
        let idle =
            array(&[("level", "raid0"), ("array_state", "clean"), ("sync_completed", "none")]).unwrap();
        assert_eq!((idle.progress, idle.seconds_left()), (None, None));
    }
}
