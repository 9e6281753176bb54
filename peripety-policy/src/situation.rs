//! How an array is right now, in what matters for whether to act.

use peripety_block::status::{
    ArrayStatus, LegState, MapStatus, MemberState, PoolMode, Snapshot, Status, ThinPool, spare_copies,
};

use crate::lvm;

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A mirror of device-mapper.
    Mirror,
    /// An array of dm-raid.
    DmRaid,
    /// An array of md.
    Md,
    /// A thin pool.
    Pool,
    /// A snapshot.
    Snapshot,
}

impl Kind {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Mirror => "a mirror",
            Self::DmRaid => "an array of dm-raid",
            Self::Md => "an array of md",
            Self::Pool => "a thin pool",
            Self::Snapshot => "a snapshot",
        }
    }
}

/// How an array, pool or snapshot is.
#[derive(Clone, Debug, PartialEq)]
pub struct Situation {
    /// What it is.
    pub kind: Kind,
    /// Its name: of the map, or the kernel's of an array of md.
    pub name: String,
    /// `vg/lv`, where it is of LVM.
    pub volume: Option<String>,
    /// Members that it should have.
    pub members: usize,
    /// Members that have all data and failed nothing.
    pub good: usize,
    /// Members that have all data, though a read of them may have failed.
    pub with_data: usize,
    /// How many more may fail for sure.
    pub may_fail: u64,
    /// Names of members that failed, of an array of md.
    pub failed: Vec<String>,
    /// Members that wait to take a place.
    pub spares: usize,
    /// It is being brought in sync, or checked.
    pub busy: bool,
    /// How much of it is out of sync, in percent.
    pub out_of_sync: Option<f64>,
    /// How full it is, in percent: the fuller of data and metadata.
    pub full: Option<f64>,
    /// It serves nothing any more, and no action here helps.
    pub lost: bool,
}

impl Situation {
    fn new(kind: Kind, name: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            volume: None,
            members: 0,
            good: 0,
            with_data: 0,
            may_fail: 0,
            failed: Vec::new(),
            spares: 0,
            busy: false,
            out_of_sync: None,
            full: None,
            lost: false,
        }
    }

    /// Of a map; none of one that is neither array, pool nor snapshot.
    pub fn of_map(map: &MapStatus) -> Option<Self> {
        let named = |kind| Self { volume: lvm::volume(&map.name, &map.uuid), ..Self::new(kind, &map.name) };
        let mut all = map.targets.iter().filter_map(|line| {
            let status = line.decode()?;
            let fills =
                status.fills(line.len).iter().filter_map(|fill| fill.share.percent()).reduce(f64::max);
            Some(Self { full: fills, ..of_target(&status, named)? })
        });
        // Of a map with several of them the worst counts.
        let first = all.next()?;
        Some(all.fold(first, |worst, next| if next.may_fail < worst.may_fail { next } else { worst }))
    }

    /// Of an array of md.
    pub fn of_array(status: &ArrayStatus) -> Self {
        let array = &status.array;
        let in_sync = array.in_sync();
        let failed = array.members.iter().filter(|member| member.is_faulty());
        Self {
            members: usize::try_from(array.disks).unwrap_or(usize::MAX),
            good: in_sync,
            with_data: in_sync,
            may_fail: array.spare_copies(),
            failed: failed.map(|member| member.name.clone()).collect(),
            spares: array.members.iter().filter(|member| member.is_spare() && member.slot.is_none()).count(),
            busy: !matches!(array.action.as_str(), "" | "idle" | "frozen"),
            lost: array.state == "broken",
            ..Self::new(Kind::Md, &status.name)
        }
    }

    /// Whether nothing is wrong with it.
    pub fn is_well(&self) -> bool {
        !self.lost && self.good >= self.members && self.full.is_none_or(|percent| percent < 80.0)
    }
}

fn of_target(status: &Status, named: impl Fn(Kind) -> Situation) -> Option<Situation> {
    Some(match status {
        Status::Mirror(mirror) => {
            let with_data = mirror.legs.iter().filter(|leg| leg.state.has_data()).count();
            let is_full = mirror.sync.is_full();
            let alive = mirror.legs.iter().filter(|leg| leg.state == LegState::Alive).count();
            Situation {
                members: mirror.legs.len(),
                // While it is brought in sync only one leg is known to have everything.
                good: if is_full { alive } else { alive.min(1) },
                with_data,
                may_fail: if is_full { with_data.saturating_sub(1) as u64 } else { 0 },
                busy: !is_full && with_data == mirror.legs.len(),
                out_of_sync: mirror.sync.percent().map(|percent| 100.0 - percent),
                lost: with_data == 0,
                ..named(Kind::Mirror)
            }
        }
        Status::Raid(raid) => {
            let in_sync = raid.members.iter().filter(|member| **member == MemberState::InSync).count();
            let lost =
                raid.members.iter().filter(|m| matches!(m, MemberState::Dead | MemberState::Missing)).count();
            let runs = !matches!(raid.action.as_str(), "" | "idle" | "frozen");
            Situation {
                members: raid.members.len(),
                good: in_sync,
                with_data: in_sync,
                may_fail: spare_copies(&raid.level, raid.members.len(), in_sync),
                busy: runs,
                out_of_sync: raid.sync.percent().map(|percent| 100.0 - percent),
                lost: lost as u64 > spare_copies(&raid.level, raid.members.len(), raid.members.len()),
                ..named(Kind::DmRaid)
            }
        }
        Status::ThinPool(ThinPool::Serves(pool)) => {
            Situation { lost: pool.mode == PoolMode::ReadOnly || pool.needs_check, ..named(Kind::Pool) }
        }
        Status::ThinPool(_) => Situation { lost: true, ..named(Kind::Pool) },
        Status::Snapshot(Snapshot::Serves { .. }) => named(Kind::Snapshot),
        Status::Snapshot(_) => Situation { lost: true, ..named(Kind::Snapshot) },
        _ => return None,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use peripety_block::status::TargetLine;
    use peripety_model::Dev;

    use super::*;

    pub(crate) fn of(target: &str, line: &str) -> Situation {
        let line = TargetLine {
            start: 0,
            len: 65536,
            target: target.to_owned(),
            line: line.to_owned(),
            legs: Vec::new(),
        };
        let map = MapStatus {
            dev: Dev::new(254, 0),
            name: "vg-lv".to_owned(),
            uuid: "LVM-x".to_owned(),
            targets: vec![line],
        };
        Situation::of_map(&map).unwrap()
    }

    #[test]
    fn what_is_good_and_what_may_still_fail() {
        for (target, line, good, may_fail, busy, lost, well) in [
            ("mirror", "2 254:0 254:1 9/9 1 AA 1 core", 2, 1, false, false, true),
            ("mirror", "2 254:0 254:1 3/9 1 AA 1 core", 1, 0, true, false, false),
            ("mirror", "2 254:0 254:1 8/9 1 AD 1 core", 1, 0, false, false, false),
            ("mirror", "2 254:0 254:1 9/9 1 AR 1 core", 1, 1, false, false, false),
            ("mirror", "2 254:0 254:1 8/9 1 DD 1 core", 0, 0, false, true, false),
            ("raid", "raid1 2 AD 9/9 idle 0 0 -", 1, 0, false, false, false),
            ("raid", "raid5_ls 3 ADD 9/9 idle 0 0 -", 1, 0, false, true, false),
            ("raid", "raid6_zr 4 AAAa 1/9 recover 0 0 -", 3, 1, true, false, false),
            (
                "thin-pool",
                "0 1/9 50/100 - rw discard_passdown queue_if_no_space - 5",
                0,
                0,
                false,
                false,
                true,
            ),
            (
                "thin-pool",
                "0 1/9 85/100 - rw discard_passdown queue_if_no_space - 5",
                0,
                0,
                false,
                false,
                false,
            ),
            ("thin-pool", "Fail", 0, 0, false, true, false),
            ("snapshot", "Invalid", 0, 0, false, true, false),
        ] {
            let found = of(target, line);
            let seen = (found.good, found.may_fail, found.busy, found.lost, found.is_well());
            assert_eq!(seen, (good, may_fail, busy, lost, well), "{line}");
        }
        assert_eq!(of("mirror", "2 254:0 254:1 9/9 1 AA 1 core").volume.as_deref(), Some("vg/lv"));
    }
}
