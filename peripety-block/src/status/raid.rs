//! `raid` (dm-raid.c `raid_status`; Documentation/admin-guide/device-mapper/dm-raid.rst):
//! `TYPE #MEMBERS HEALTH SYNCED/SECTORS ACTION MISMATCHES DATA_OFFSET JOURNAL`; older kernels have only the first words.

use serde::Serialize;

use super::words::{Share, Words};

/// An array of dm-raid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Raid {
    /// `raid1`, `raid5_ls` …
    pub level: String,
    /// Its members, in the order of the table.
    pub members: Vec<MemberState>,
    /// Sectors of each member that are in sync; while something is rebuilt or checked, how far that is.
    pub sync: Share,
    /// `idle`, `frozen`, `resync`, `recover`, `check`, `repair`, `reshape`; empty on Linux before 3.11.
    pub action: String,
    /// Sectors that the last check found to differ (or, of RAID 4 to 6, whose parity was wrong).
    pub mismatches: u64,
    /// Whether a journal device is used: `A` write-through, `a` write-back, `D` failed.
    pub journal: Option<char>,
}

/// A member of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// `A`: it works and is in sync.
    InSync,
    /// `a`: it works and is being brought in sync.
    OutOfSync,
    /// `D`: it failed.
    Dead,
    /// `-`: there is none.
    Missing,
}

impl MemberState {
    fn of(letter: char) -> Option<Self> {
        Some(match letter {
            'A' => Self::InSync,
            'a' => Self::OutOfSync,
            'D' => Self::Dead,
            '-' => Self::Missing,
            _ => return None,
        })
    }

    /// Whether it failed, or there is none.
    pub const fn is_lost(self) -> bool {
        matches!(self, Self::Dead | Self::Missing)
    }

    /// As the kernel has it.
    pub const fn letter(self) -> char {
        match self {
            Self::InSync => 'A',
            Self::OutOfSync => 'a',
            Self::Dead => 'D',
            Self::Missing => '-',
        }
    }
}

impl Raid {
    /// How many members have all data.
    pub fn in_sync(&self) -> usize {
        self.members.iter().filter(|member| **member == MemberState::InSync).count()
    }

    /// How many more members may fail for sure.
    pub fn spare_copies(&self) -> u64 {
        spare_copies(&self.level, self.members.len(), self.in_sync())
    }

    /// Whether more members failed or are missing than the level can do without.
    pub fn has_failed(&self) -> bool {
        let lost = self.members.iter().filter(|member| member.is_lost()).count();
        lost as u64 > spare_copies(&self.level, self.members.len(), self.members.len())
    }

    /// What is under way: `resync`, `check` …
    pub fn under_way(&self) -> Option<&str> {
        under_way(&self.action)
    }

    /// Whether members are being brought in sync.
    pub fn is_rebuilding(&self) -> bool {
        // After a failure the kernel also says `recover` for as long as it takes to see that there is nothing to recover to.
        let has_target = || self.members.contains(&MemberState::OutOfSync);
        is_rebuilding(&self.action) && (self.action != "recover" || has_target())
    }
}

/// An action that is one: `frozen` keeps others from being begun.
pub(super) fn under_way(action: &str) -> Option<&str> {
    Some(action).filter(|action| !matches!(*action, "" | "idle" | "frozen"))
}

pub(super) fn is_rebuilding(action: &str) -> bool {
    matches!(action, "resync" | "recover" | "reshape")
}

/// How many more members may fail for sure, of an array of this level with so many members of which so many are in sync.
///
/// Of RAID 10 it depends on which ones have the same data: this counts on the worst.
pub fn spare_copies(level: &str, members: usize, in_sync: usize) -> u64 {
    let lost = members.saturating_sub(in_sync);
    let can_lose = match level {
        // Any one of them has everything.
        "raid1" => members.saturating_sub(1),
        _ if level.starts_with("raid6") => 2,
        _ if level.starts_with("raid10") || level.starts_with("raid4") || level.starts_with("raid5") => 1,
        _ => 0,
    };
    can_lose.saturating_sub(lost) as u64
}

pub(super) fn decode(mut words: Words<'_>) -> Option<Raid> {
    let level = words.word()?.to_owned();
    let count: usize = words.value()?;
    let health = words.word()?;
    let members = health.chars().map(MemberState::of).collect::<Option<Vec<_>>>()?;
    if members.len() != count {
        return None;
    }
    let sync = words.value()?;
    let action = words.word().unwrap_or_default().to_owned();
    let mismatches = words.value().unwrap_or(0);
    let _data_offset = words.word();
    let journal = words.word().and_then(|word| word.chars().next()).filter(|letter| *letter != '-');
    Some(Raid { level, members, sync, action, mismatches, journal })
}

#[cfg(test)]
mod tests {
    use super::{super::decode, *};

    fn raid(line: &str) -> Option<Raid> {
        match decode("raid", line)? {
            super::super::Status::Raid(raid) => Some(raid),
            _ => None,
        }
    }

    #[test]
    fn lines_of_old_and_new_kernels() {
        // Seen on 7.3.
        let whole = raid("raid1 2 AA 120000/120000 idle 0 0 -").unwrap();
        assert_eq!((whole.level.as_str(), whole.members.len(), whole.journal), ("raid1", 2, None));
        assert!(whole.sync.is_full() && whole.action == "idle");
        // The documentation's examples.
        let initial = raid("raid4 5 AAAAA 2/490221568 init 0").unwrap();
        assert_eq!((initial.action.as_str(), initial.sync.used), ("init", 2));
        let dead = raid("raid5_ls 3 ADa 40/120000 recover 8 0 D").unwrap();
        assert_eq!(dead.members, [MemberState::InSync, MemberState::Dead, MemberState::OutOfSync]);
        assert_eq!((dead.mismatches, dead.journal), (8, Some('D')));
        assert_eq!(raid("raid1 2 DA 1/2").unwrap().action, "");
        for line in ["raid1", "raid1 2 A 1/2", "raid1 2 AX 1/2", "raid1 2 AA 1:2"] {
            assert_eq!(raid(line), None, "{line}");
        }
    }

    #[test]
    fn nothing_is_recovered_where_no_member_is_there_for_it() {
        assert!(!raid("raid1 2 DA 0/65536 recover 0 0 -").unwrap().is_rebuilding());
        assert!(raid("raid1 2 aA 0/65536 recover 0 0 -").unwrap().is_rebuilding());
        assert!(raid("raid1 2 AA 0/65536 resync 0 0 -").unwrap().is_rebuilding());
    }

    #[test]
    fn what_may_still_fail() {
        for (level, members, in_sync, left) in [
            ("raid1", 3, 3, 2),
            ("raid1", 2, 1, 0),
            ("raid6_zr", 6, 5, 1),
            ("raid6_zr", 6, 3, 0),
            ("raid5_ls", 3, 3, 1),
            ("raid10_near", 4, 4, 1),
            ("raid10", 4, 3, 0),
            ("raid0", 4, 4, 0),
            ("linear", 4, 4, 0),
        ] {
            assert_eq!(spare_copies(level, members, in_sync), left, "{level} {members} {in_sync}");
        }
    }
}
