//! Pools and snapshots: how full they are, and what they still do.

use peripety_block::status::{
    FIRST_LEVEL, LEVEL_STEP, Pool, PoolMode, Snapshot, Status, TargetLine, ThinPool,
};
use serde::{Deserialize, Serialize};

use super::Draft;
use crate::event::EventType;

/// A fill level that was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Level {
    /// First sector of the target.
    pub(super) start: u64,
    area: String,
    /// 80, 85 … 100.
    percent: u32,
}

/// Says each level when it is reached, and that it is left; once it is left, it is said again.
pub(super) fn compare(status: &Status, line: &TargetLine, levels: &mut Vec<Level>, out: &mut Draft<'_>) {
    for fill in status.fills(line.len) {
        let Some(percent) = fill.share.percent() else { continue };
        let reached = (percent.floor() as u32).min(100);
        let is_it = |level: &Level| level.start == line.start && level.area == fill.area;
        let said = levels.iter().find(|level| is_it(level)).map(|level| level.percent);
        let level = (reached >= FIRST_LEVEL).then(|| reached - reached % LEVEL_STEP);
        if level == said {
            continue;
        }
        levels.retain(|level| !is_it(level));
        levels.extend(level.map(|percent| Level { start: line.start, area: fill.area.to_owned(), percent }));
        let name = out.map.name.clone();
        let (event_type, words) = match (said, level) {
            (said, Some(level)) if said.is_none_or(|said| level > said) => {
                let event_type = match status {
                    Status::ThinPool(_) => EventType::DM_THIN_POOL_LOW_WATER,
                    _ => EventType::DM_SPACE_LOW,
                };
                (event_type, format!("{} of {name} is {percent:.1} % full", fill.area))
            }
            // It was extended, or something was removed, and is still above the first level.
            (_, Some(_)) => continue,
            (_, None) => (
                EventType::DM_SPACE_AVAILABLE,
                format!("{} of {name} is only {percent:.1} % full again", fill.area),
            ),
        };
        let raw = out.say(event_type, None, words);
        let dm = raw.facts.dm.get_or_insert_default();
        (dm.area, dm.percent) = (Some(fill.area.to_owned()), Some(percent));
    }
}

fn mode(pool: &ThinPool) -> Option<PoolMode> {
    match pool {
        ThinPool::Serves(pool) => Some(pool.mode),
        ThinPool::Fail | ThinPool::Error => None,
    }
}

fn needs_check(pool: &ThinPool) -> bool {
    matches!(pool, ThinPool::Serves(Pool { needs_check: true, .. }))
}

pub(super) fn pool(before: Option<&ThinPool>, now: &ThinPool, out: &mut Draft<'_>) {
    let name = out.map.name.clone();
    // What the kernel could not say this time is no change.
    if *now == ThinPool::Error {
        return;
    }
    let was = before.map(mode);
    if was != Some(mode(now)) {
        let (event_type, words, policy) = match now {
            ThinPool::Serves(pool) => {
                let policy = if pool.queues_without_space { "queue IO" } else { "error IO" };
                match pool.mode {
                    PoolMode::ReadWrite if was.is_none() => return check(before, now, out),
                    PoolMode::ReadWrite => {
                        (EventType::DM_THIN_POOL_WRITABLE, format!("{name} takes writes again"), None)
                    }
                    PoolMode::OutOfDataSpace => {
                        let becomes = if pool.queues_without_space { "wait" } else { "fail" };
                        (
                            EventType::DM_THIN_POOL_OUT_OF_DATA,
                            format!("{name} has no free data space: writes that need a block {becomes}"),
                            Some(policy),
                        )
                    }
                    PoolMode::ReadOnly => (
                        EventType::DM_THIN_POOL_READ_ONLY,
                        format!("{name} is read-only: its metadata are not written any more"),
                        None,
                    ),
                }
            }
            ThinPool::Fail | ThinPool::Error => {
                (EventType::DM_THIN_POOL_FAILED, format!("{name} failed: all I/O to its volumes fails"), None)
            }
        };
        let raw = out.say(event_type, None, words);
        raw.facts.dm.get_or_insert_default().policy = policy.map(str::to_owned);
    }
    check(before, now, out);
}

fn check(before: Option<&ThinPool>, now: &ThinPool, out: &mut Draft<'_>) {
    if needs_check(now) && !before.is_some_and(needs_check) {
        let words =
            format!("the metadata of {} have to be checked before they are written again", out.map.name);
        out.say(EventType::DM_METADATA_NEEDS_CHECK, None, words);
    }
}

pub(super) fn snapshot(same: bool, now: Snapshot, out: &mut Draft<'_>) {
    if same {
        return;
    }
    let name = out.map.name.clone();
    match now {
        Snapshot::Invalid => out.say(
            EventType::DM_SNAPSHOT_INVALID,
            None,
            format!("{name} is invalid: it was full, or its store failed; what it had is lost"),
        ),
        Snapshot::Overflow => out.say(
            EventType::DM_SNAPSHOT_INVALID,
            None,
            format!("{name} is full: what changed since is not in it"),
        ),
        Snapshot::MergeFailed => {
            out.say(EventType::DM_ERROR, None, format!("merging {name} into its origin failed"))
        }
        Snapshot::Unknown | Snapshot::Serves { .. } => return,
    };
}
