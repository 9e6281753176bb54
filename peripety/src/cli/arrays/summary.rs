//! One array, map or volume in a form that both humans and programs are shown.

use std::time::Duration;

use peripety_block::status::{
    ArrayStatus, Cache, FIRST_LEVEL, LegState, MapStatus, MdMember, MemberState, PoolMode, Share, Snapshot,
    Status, TargetLine, ThinPool,
};
use serde::Serialize;

use crate::block::{BlkCache, Dev, DeviceFacts as _};

/// What one says of itself.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Summary {
    /// The name that humans use.
    pub(super) name: String,
    /// The kernel's.
    pub(super) kernel_name: String,
    pub(super) dev: Option<Dev>,
    /// `raid1`, `mirror`, `thin-pool` …
    pub(super) kind: String,
    /// How it is, in words.
    pub(super) state: String,
    /// Whether anything is wrong.
    pub(super) degraded: bool,
    /// How many more members may fail for sure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) may_fail: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) legs: Vec<Leg>,
    /// What is under way: `resync`, `recover`, `check` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<String>,
    /// How far that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seconds_left: Option<u64>,
    /// Sectors that the last check found to differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mismatches: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) fill: Vec<Fill>,
}

/// A member.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Leg {
    pub(super) device: String,
    pub(super) state: String,
}

/// How full something is.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Fill {
    pub(super) area: String,
    pub(super) percent: f64,
}

/// Whether a map is being brought in sync, at a speed that the kernel does not say.
pub(super) fn is_syncing(map: &MapStatus) -> bool {
    map.targets
        .iter()
        .any(|line| sync(line).is_some_and(|(sync, action)| action.is_some() && !sync.is_full()))
}

/// How far a target is in sync, and what is under way.
fn sync(line: &TargetLine) -> Option<(Share, Option<String>)> {
    match line.decode()? {
        Status::Mirror(mirror) => Some((mirror.sync, mirror.is_resyncing().then(|| "resync".to_owned()))),
        Status::Raid(raid) => Some((raid.sync, raid.under_way().map(str::to_owned))),
        _ => None,
    }
}

impl Summary {
    /// Whether nothing is wrong with it.
    pub(super) fn is_well(&self) -> bool {
        !self.degraded
    }

    /// An array of md.
    pub(super) fn of_array(status: &ArrayStatus, cache: &BlkCache) -> Self {
        let array = &status.array;
        let legs = array
            .members
            .iter()
            .map(|member| Leg { device: member.name.clone(), state: member_state(member) });
        let failed = array.state == "broken";
        let state = match () {
            () if failed => "failed".to_owned(),
            () if array.degraded > 0 => format!("{} of {} in sync", array.in_sync(), array.disks),
            () => "in sync".to_owned(),
        };
        let action = array.under_way().map(str::to_owned);
        Self {
            kind: array.level.clone(),
            state,
            degraded: failed || array.degraded > 0 || array.mismatches > 0,
            may_fail: redundant(&array.level).then(|| array.spare_copies()),
            legs: legs.collect(),
            percent: action.as_ref().and(array.progress).and_then(|progress| progress.share().percent()),
            seconds_left: action.as_ref().and_then(|_| array.seconds_left()),
            action,
            mismatches: Some(array.mismatches).filter(|n| *n > 0),
            ..Self::named(status.dev, &status.name, cache)
        }
    }

    /// The targets of a map that say something; `later` is what they said so long after.
    pub(super) fn of_map(
        map: &MapStatus,
        later: Option<(&MapStatus, Duration)>,
        cache: &BlkCache,
    ) -> Vec<Self> {
        let of_target = |line: &TargetLine| {
            let status = line.decode()?;
            let mut summary = Self { kind: line.target.clone(), ..Self::named(map.dev, &map.name, cache) };
            summary.describe(&status, line, cache);
            if let Some((now, Some(action))) = sync(line) {
                (summary.action, summary.percent) = (Some(action), now.percent());
                let then = later.and_then(|(later, after)| {
                    let same = later.targets.iter().find(|other| other.start == line.start)?;
                    Some((sync(same)?.0, after))
                });
                summary.seconds_left = then.and_then(|(then, after)| seconds_left(now, then, after));
            }
            Some(summary)
        };
        map.targets.iter().filter_map(of_target).collect()
    }

    fn named(dev: Dev, name: &str, cache: &BlkCache) -> Self {
        let kernel_name = kernel_name(dev, cache);
        Self { name: name.to_owned(), kernel_name, dev: Some(dev), ..Self::default() }
    }

    fn describe(&mut self, status: &Status, line: &TargetLine, cache: &BlkCache) {
        for fill in status.fills(line.len) {
            if let Some(percent) = fill.share.percent() {
                self.degraded |= percent >= f64::from(FIRST_LEVEL);
                self.fill.push(Fill { area: fill.area.to_owned(), percent });
            }
        }
        let state = match status {
            Status::Mirror(mirror) => {
                let good = mirror.with_data();
                self.legs = mirror
                    .legs
                    .iter()
                    .map(|leg| Leg {
                        device: kernel_name(leg.dev, cache),
                        state: leg_state(leg.state).to_owned(),
                    })
                    .collect();
                self.may_fail = Some(mirror.spare_copies());
                self.degraded |=
                    mirror.legs.iter().any(|leg| leg.state != LegState::Alive) || mirror.log.failed;
                if good < mirror.legs.len() {
                    format!("{good} of {} legs work", mirror.legs.len())
                } else if mirror.sync.is_full() {
                    "in sync".to_owned()
                } else {
                    "not in sync".to_owned()
                }
            }
            Status::Raid(raid) => {
                let in_sync = raid.in_sync();
                self.kind.clone_from(&raid.level);
                self.may_fail = redundant(&raid.level).then(|| raid.spare_copies());
                let device = |n: usize| {
                    line.legs
                        .get(n)
                        .copied()
                        .flatten()
                        .map_or_else(|| "-".to_owned(), |dev| kernel_name(dev, cache))
                };
                self.legs = raid
                    .members
                    .iter()
                    .enumerate()
                    .map(|(n, member)| Leg { device: device(n), state: raid_state(*member).to_owned() })
                    .collect();
                self.mismatches = Some(raid.mismatches).filter(|n| *n > 0);
                self.degraded |= in_sync < raid.members.len() || raid.mismatches > 0;
                if in_sync < raid.members.len() {
                    format!("{in_sync} of {} in sync", raid.members.len())
                } else {
                    "in sync".to_owned()
                }
            }
            Status::ThinPool(ThinPool::Serves(pool)) => {
                self.degraded |= pool.mode != PoolMode::ReadWrite || pool.needs_check;
                let mode = match pool.mode {
                    PoolMode::ReadWrite => "takes writes",
                    PoolMode::ReadOnly => "read-only",
                    PoolMode::OutOfDataSpace if pool.queues_without_space => "out of space, writes wait",
                    PoolMode::OutOfDataSpace => "out of space, writes fail",
                };
                if pool.needs_check { format!("{mode}, needs a check") } else { mode.to_owned() }
            }
            Status::ThinPool(_) | Status::Cache(Cache::Fail | Cache::Error) => self.wrong("failed"),
            Status::Snapshot(Snapshot::Serves { .. }) => "works".to_owned(),
            Status::Snapshot(Snapshot::MergeFailed) => self.wrong("its merge failed"),
            Status::Snapshot(_) => self.wrong("lost"),
            Status::Cache(Cache::Serves(cache)) => {
                self.degraded |= cache.read_only || cache.needs_check;
                let mode = if cache.read_only { "read-only".to_owned() } else { cache.mode.clone() };
                format!("{mode}, {} blocks only in the cache", cache.dirty)
            }
            Status::Writecache(cache) if cache.error != 0 => self.wrong("failed"),
            Status::Writecache(cache) => format!("{} blocks only in the cache", cache.cache.used),
            Status::Integrity(integrity) if integrity.mismatches > 0 => {
                let words = format!("{} checksums did not match", integrity.mismatches);
                self.wrong(&words)
            }
            Status::Verity(verity) if verity.corrupt => self.wrong("corrupt"),
            Status::Integrity(_) | Status::Verity(_) => "no mismatch".to_owned(),
            Status::Vdo(vdo) => {
                self.degraded |= vdo.mode == "read-only";
                vdo.mode.clone()
            }
            Status::Clone(clone) if clone.failed || clone.read_only => self.wrong("failed"),
            Status::Clone(clone) => format!("{:.0} % copied", clone.copied.percent().unwrap_or(0.0)),
            Status::Era(era) if era.failed => self.wrong("failed"),
            Status::Era(_) | Status::Thin(_) | Status::Multipath(_) => "works".to_owned(),
        };
        self.state = state;
    }

    fn wrong(&mut self, words: &str) -> String {
        self.degraded = true;
        words.to_owned()
    }
}

fn redundant(level: &str) -> bool {
    !matches!(level, "raid0" | "linear" | "faulty")
}

fn kernel_name(dev: Dev, cache: &BlkCache) -> String {
    let known = cache.by_dev(dev, None);
    known
        .and_then(|info| info.id.blk_path.strip_prefix("/dev/").map(str::to_owned))
        .unwrap_or_else(|| dev.to_string())
}

/// At the speed between two looks; none when nothing moved.
fn seconds_left(now: Share, then: Share, after: Duration) -> Option<u64> {
    let moved = then.used.checked_sub(now.used).filter(|moved| *moved > 0)?;
    let left = then.total.checked_sub(then.used)?;
    Some((left as f64 * after.as_secs_f64() / moved as f64).ceil() as u64)
}

fn member_state(member: &MdMember) -> String {
    let state = match () {
        () if member.is_faulty() => "failed",
        () if member.is_in_sync() => "in sync",
        () if member.slot.is_some() => "being rebuilt",
        () => "spare",
    };
    if member.corrected > 0 {
        format!("{state}, {} read errors corrected", member.corrected)
    } else {
        state.to_owned()
    }
}

fn leg_state(state: LegState) -> &'static str {
    match state {
        LegState::Alive => "works",
        LegState::FlushFailed => "failed a flush",
        LegState::WriteFailed => "failed a write, out of sync",
        LegState::SyncFailed => "could not be brought in sync",
        LegState::ReadFailed => "failed a read, data unaffected",
        LegState::Unknown => "failed",
    }
}

fn raid_state(state: MemberState) -> &'static str {
    match state {
        MemberState::InSync => "in sync",
        MemberState::OutOfSync => "being rebuilt",
        MemberState::Dead => "failed",
        MemberState::Missing => "missing",
    }
}

#[cfg(test)]
mod tests {
    use peripety_block::status::{MdArray, Progress};

    use super::*;
    use crate::block::fixture;

    fn cache() -> BlkCache {
        fixture::multipath().scan()
    }

    fn map(target: &str, line: &str) -> MapStatus {
        let line = TargetLine {
            start: 0,
            len: 65536,
            target: target.to_owned(),
            line: line.to_owned(),
            legs: vec![Some(Dev::new(259, 7)), None],
        };
        MapStatus {
            dev: Dev::new(254, 3),
            name: "vg-lv".to_owned(),
            uuid: String::new(),
            targets: vec![line],
        }
    }

    fn one(target: &str, line: &str) -> Summary {
        Summary::of_map(&map(target, line), None, &cache()).remove(0)
    }

    #[test]
    fn what_is_left_of_redundancy() {
        let states = [
            ("mirror", "2 254:0 254:1 128/128 1 AA 1 core", "in sync", Some(1), true),
            ("mirror", "2 254:0 254:1 12/128 1 AA 1 core", "not in sync", Some(0), true),
            ("mirror", "2 254:0 254:1 127/128 1 AD 1 core", "1 of 2 legs work", Some(0), false),
            ("mirror", "2 254:0 254:1 128/128 1 AR 1 core", "in sync", Some(1), false),
            ("raid", "raid6_zr 5 AAADA 1/1 idle 0 0 -", "4 of 5 in sync", Some(1), false),
            ("raid", "raid1 2 AA 1/1 idle 128 0 -", "in sync", Some(1), false),
            ("raid", "raid0 2 AA 1/1 idle 0 0 -", "in sync", None, true),
            (
                "thin-pool",
                "0 1/9 79/100 - rw discard_passdown queue_if_no_space - 5",
                "takes writes",
                None,
                true,
            ),
            (
                "thin-pool",
                "0 1/9 80/100 - rw discard_passdown queue_if_no_space - 5",
                "takes writes",
                None,
                false,
            ),
            ("snapshot", "Invalid", "lost", None, false),
            ("integrity", "3 65536 -", "3 checksums did not match", None, false),
            ("integrity", "0 65536 -", "no mismatch", None, true),
        ];
        for (target, line, state, may_fail, well) in states {
            let found = one(target, line);
            assert_eq!(
                (found.state.as_str(), found.may_fail, found.is_well()),
                (state, may_fail, well),
                "{line}"
            );
        }
    }

    #[test]
    fn the_time_that_is_left_follows_from_two_looks() {
        let line = |used: u32| map("raid", &format!("raid1 2 Aa {used}/1000 recover 0 0 -"));
        let (now, then) = (line(100), line(200));
        assert!(is_syncing(&now) && !is_syncing(&map("raid", "raid1 2 AA 1/1 idle 0 0 -")));
        let after = Some((&then, Duration::from_secs(1)));
        let summary = Summary::of_map(&now, after, &cache()).remove(0);
        assert_eq!(
            (summary.action.as_deref(), summary.percent, summary.seconds_left),
            (Some("recover"), Some(10.0), Some(8))
        );
        assert_eq!((summary.legs[0].device.as_str(), summary.legs[1].device.as_str()), ("259:7", "-"));
        let stuck = Some((&now, Duration::from_secs(1)));
        assert_eq!(Summary::of_map(&now, stuck, &cache())[0].seconds_left, None);
    }

    #[test]
    fn an_array_of_md() {
        let member = |name: &str, slot, state: &str| MdMember {
            name: name.to_owned(),
            slot,
            state: vec![state.to_owned()],
            corrected: 0,
        };
        let array = MdArray {
            level: "raid1".to_owned(),
            state: "clean".to_owned(),
            disks: 2,
            degraded: 1,
            action: "recover".to_owned(),
            progress: Some(Progress { done: 50, total: 200 }),
            speed: Some(15),
            mismatches: 0,
            check_from: 0,
            members: vec![
                member("sda", Some(0), "in_sync"),
                member("sdb", Some(1), "spare"),
                member("sdc", None, "faulty"),
            ],
        };
        let status = ArrayStatus { dev: Dev::new(9, 0), name: "md0".to_owned(), array };
        let found = Summary::of_array(&status, &cache());
        assert_eq!(
            (found.state.as_str(), found.may_fail, found.percent, found.seconds_left),
            ("1 of 2 in sync", Some(0), Some(25.0), Some(5))
        );
        let legs: Vec<_> = found.legs.iter().map(|leg| leg.state.as_str()).collect();
        assert_eq!(legs, ["in sync", "being rebuilt", "failed"]);
    }
}
