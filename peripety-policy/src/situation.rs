//! How an array is right now, in what matters for whether to act.

use peripety_block::status::{
    ArrayStatus, FIRST_LEVEL, LegState, MapStatus, PoolMode, Snapshot, Status, ThinPool,
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
    /// How many more may fail for sure.
    pub may_fail: u64,
    /// Names of members that failed, of an array of md.
    pub failed: Vec<String>,
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
            may_fail: 0,
            failed: Vec::new(),
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
        let failed = array.members.iter().filter(|member| member.is_faulty());
        Self {
            members: usize::try_from(array.disks).unwrap_or(usize::MAX),
            good: array.in_sync(),
            may_fail: array.spare_copies(),
            failed: failed.map(|member| member.name.clone()).collect(),
            busy: array.under_way().is_some(),
            lost: array.state == "broken",
            ..Self::new(Kind::Md, &status.name)
        }
    }

    /// What a policy may call it: its name, and the volume's.
    pub fn names(&self) -> Vec<&str> {
        std::iter::once(self.name.as_str()).chain(self.volume.as_deref()).collect()
    }

    /// Whether nothing is wrong with it.
    pub fn is_well(&self) -> bool {
        !self.lost
            && self.good >= self.members
            && self.full.is_none_or(|percent| percent < f64::from(FIRST_LEVEL))
    }
}

fn of_target(status: &Status, named: impl Fn(Kind) -> Situation) -> Option<Situation> {
    Some(match status {
        Status::Mirror(mirror) => {
            let alive = mirror.legs.iter().filter(|leg| leg.state == LegState::Alive).count();
            Situation {
                members: mirror.legs.len(),
                // While it is brought in sync only one leg is known to have everything.
                good: if mirror.sync.is_full() { alive } else { alive.min(1) },
                may_fail: mirror.spare_copies(),
                busy: mirror.is_resyncing(),
                out_of_sync: mirror.sync.percent().map(|percent| 100.0 - percent),
                lost: mirror.with_data() == 0,
                ..named(Kind::Mirror)
            }
        }
        Status::Raid(raid) => Situation {
            members: raid.members.len(),
            good: raid.in_sync(),
            may_fail: raid.spare_copies(),
            busy: raid.under_way().is_some(),
            out_of_sync: raid.sync.percent().map(|percent| 100.0 - percent),
            lost: raid.has_failed(),
            ..named(Kind::DmRaid)
        },
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
