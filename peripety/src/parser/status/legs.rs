//! Mirrors and arrays of device-mapper: legs, and how far they are in sync.

use peripety_block::status::{LegState, MemberState, Mirror, Raid, Share};

use super::Draft;
use crate::event::EventType;

pub(super) fn mirror(before: Option<&Mirror>, now: &Mirror, out: &mut Draft<'_>) {
    let good = now.with_data();
    let name = out.map.name.clone();
    for (n, leg) in now.legs.iter().enumerate() {
        let was =
            before.and_then(|before| before.legs.iter().find(|old| old.dev == leg.dev)).map(|old| old.state);
        if leg.state == LegState::Alive || was == Some(leg.state) {
            continue;
        }
        let number = n + 1;
        let (event_type, words) = match leg.state {
            LegState::ReadFailed if good > 1 => (
                EventType::DM_MIRROR_READ_FAILED,
                format!(
                    "a read failed on leg {number} of {name}: another leg served it, its data is unaffected"
                ),
            ),
            LegState::ReadFailed => (
                EventType::DM_MIRROR_LEG_FAILED,
                format!("a read failed on leg {number} of {name}, the last one with the data"),
            ),
            LegState::SyncFailed => (
                EventType::DM_MIRROR_LEG_OUT_OF_SYNC,
                format!("leg {number} of {name} could not be brought in sync: {} is", percent(now.sync)),
            ),
            LegState::WriteFailed => (
                EventType::DM_MIRROR_LEG_FAILED,
                format!(
                    "a write failed on leg {number} of {name}: it is out of sync, and written to no more"
                ),
            ),
            LegState::FlushFailed => (
                EventType::DM_MIRROR_LEG_FAILED,
                format!("a flush failed on leg {number} of {name}: what was written before may not be on it"),
            ),
            LegState::Alive | LegState::Unknown => {
                (EventType::DM_MIRROR_LEG_FAILED, format!("leg {number} of {name} failed"))
            }
        };
        let raw = out.say(event_type, Some(leg.dev), words);
        let dm = raw.facts.dm.get_or_insert_default();
        dm.leg = Some(leg.state.letter().to_string());
        dm.position = u32::try_from(n).ok();
        dm.legs_left = u32::try_from(good - usize::from(leg.state.has_data())).ok();
        dm.percent = now.sync.percent();
    }
    if now.log.failed && !before.is_some_and(|before| before.log.failed) {
        out.say(
            EventType::DM_DIRTY_LOG_WRITE_FAILED,
            now.log.dev,
            format!("the log of {name} failed: after a crash all of it is out of sync"),
        );
    }
    if good == 0 && before.is_none_or(|before| before.with_data() > 0) {
        out.say(EventType::DM_MIRROR_FAILED, None, format!("no leg of {name} is left that has all data"));
    }
    let all_have_data = |mirror: &Mirror| mirror.with_data() == mirror.legs.len();
    let is_whole = |mirror: &Mirror| all_have_data(mirror) && mirror.sync.is_full();
    if before.is_some_and(|before| !is_whole(before)) && is_whole(now) {
        let raw = out.say(
            EventType::DM_MIRROR_IN_SYNC,
            None,
            format!("all {} legs of {name} are in sync", now.legs.len()),
        );
        raw.facts.dm.get_or_insert_default().percent = Some(100.0);
    } else if now.is_resyncing() && before.is_none_or(|before| !before.is_resyncing()) {
        started(now.sync, "resync", out);
    }
}

fn percent(share: Share) -> String {
    // Short of all is never 100 %.
    share
        .percent()
        .map_or_else(|| "nothing".to_owned(), |percent| format!("{:.1} %", (percent * 10.0).floor() / 10.0))
}

fn started(sync: Share, action: &str, out: &mut Draft<'_>) {
    let words = format!("{action} of {} began, {} is in sync", out.map.name, percent(sync));
    let raw = out.say(EventType::DM_RESYNC_STARTED, None, words);
    raw.facts.dm.get_or_insert_default().percent = sync.percent();
    raw.facts.md.get_or_insert_default().action = Some(action.to_owned());
}

pub(super) fn raid(before: Option<&Raid>, now: &Raid, out: &mut Draft<'_>) {
    let name = out.map.name.clone();
    let legs = out.line.map(|line| line.legs.clone()).unwrap_or_default();
    let count = now.members.len();
    for (n, member) in now.members.iter().enumerate() {
        let was = before.and_then(|before| before.members.get(n));
        if !member.is_lost() || was.is_some_and(|was| was.is_lost()) {
            continue;
        }
        let what = if *member == MemberState::Missing { "is missing" } else { "failed" };
        let words = format!("member {} of {} of {name} ({}) {what}", n + 1, count, now.level);
        let dev = legs.get(n).copied().flatten();
        let raw = out.say(EventType::DM_RAID_LEG_FAILED, dev, words);
        raw.facts.dm.get_or_insert_default().position = u32::try_from(n).ok();
        let md = raw.facts.md.get_or_insert_default();
        md.level = Some(now.level.clone());
        // None is left where the level cannot do without so many.
        md.devices_left = u32::try_from(if now.has_failed() { 0 } else { now.in_sync() }).ok();
        md.devices = u32::try_from(count).ok();
    }
    if now.journal == Some('D') && before.is_none_or(|before| before.journal != Some('D')) {
        let raw = out.say(EventType::DM_RAID_LEG_FAILED, None, format!("the journal of {name} failed"));
        raw.facts.dm.get_or_insert_default().side = Some("journal".to_owned());
    }
    if now.is_rebuilding()
        && before.is_none_or(|before| !before.is_rebuilding() || before.action != now.action)
    {
        started(now.sync, &now.action, out);
    }
    let is_whole =
        |raid: &Raid| !raid.is_rebuilding() && raid.sync.is_full() && raid.in_sync() == raid.members.len();
    if before.is_some_and(|before| !is_whole(before)) && is_whole(now) && !before.is_some_and(checks) {
        out.say(
            EventType::DM_RAID_IN_SYNC,
            None,
            format!("all {count} members of {name} ({}) are in sync", now.level),
        );
    }
    // No event says that a check began: one that is over may be seen by what it found alone.
    let found = || now.mismatches > 0 && before.is_none_or(|before| before.mismatches != now.mismatches);
    if now.action == "idle" && (before.is_some_and(checks) || found()) {
        super::array::checked(now.mismatches, &now.level, &name, &mut |event_type, words| {
            let raw = out.say(event_type, None, words);
            raw.facts.md.get_or_insert_default().mismatches = Some(now.mismatches);
        });
    }
}

fn checks(raid: &Raid) -> bool {
    raid.action == "check"
}
