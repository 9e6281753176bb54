//! Arrays of md, as sysfs shows them. The kernel's lines say most of it; this is what they leave out, and how it is when
//! nobody read them.

use peripety_block::status::{ArrayStatus, MdArray};

use super::MD_SOURCE;
use crate::{
    event::EventType,
    parser::{Kdev, RawEvent},
    record::Stamp,
};

pub(super) fn compare(before: Option<&MdArray>, now: &ArrayStatus, time: Stamp) -> Vec<RawEvent> {
    let mut events: Vec<RawEvent> = Vec::new();
    let (name, array) = (&now.name, &now.array);
    let mut say = |event_type: EventType, kdev: Kdev, words: String| {
        let at = time.monotonic_ns.unwrap_or(0);
        let sequence = format!("{at}/{name}/{}/{event_type}", kdev.to_text());
        let mut raw = RawEvent::new(time, MD_SOURCE, sequence, event_type);
        raw.kdev = kdev;
        let md = raw.facts.md.get_or_insert_default();
        md.array = Some(name.clone());
        md.level = Some(array.level.clone());
        md.devices = u32::try_from(array.disks).ok();
        md.devices_left = u32::try_from(array.in_sync()).ok();
        md.mismatches = Some(array.mismatches).filter(|n| *n > 0);
        md.message = Some(words);
        events.push(raw);
    };
    let of_array = || Kdev::Dev(now.dev);
    for member in array.members.iter().filter(|member| member.is_faulty()) {
        let was = before.is_some_and(|before| {
            before.members.iter().any(|old| old.name == member.name && old.is_faulty())
        });
        if !was {
            let words = format!(
                "{} of {name} failed, {} of {} members are in sync",
                member.name,
                array.in_sync(),
                array.disks
            );
            say(EventType::MD_DISK_FAILED, Kdev::Name(member.name.clone()), words);
        }
    }
    let has_faulty = array.members.iter().any(|member| member.is_faulty());
    if array.degraded > before.map_or(0, |before| before.degraded) && !has_faulty {
        let rebuild =
            if array.is_rebuilding() { format!(", {} is under way", array.action) } else { String::new() };
        let words = format!(
            "{} of {} members of {name} ({}) are in sync{rebuild}",
            array.in_sync(),
            array.disks,
            array.level
        );
        say(EventType::MD_ARRAY_DEGRADED, of_array(), words);
    }
    if array.state == "broken" && before.is_none_or(|before| before.state != "broken") {
        say(
            EventType::MD_ARRAY_FAILED,
            of_array(),
            format!("{name} ({}) cannot go on: too many members failed", array.level),
        );
    }
    if let Some(before) = before {
        if before.degraded > 0 && array.degraded == 0 && !array.is_rebuilding() {
            say(
                EventType::MD_RECOVERY_DONE,
                of_array(),
                format!("all {} members of {name} are in sync", array.disks),
            );
        }
        // One that was interrupted, or went on after that, says nothing of the rest.
        let whole = before.check_from == 0 && array.check_from == 0;
        if before.action == "check" && array.action == "idle" && (whole || array.mismatches > 0) {
            checked(array.mismatches, &array.level, name, &mut |event_type, words| {
                say(event_type, of_array(), words)
            });
        }
    }
    events
}

/// A check of all members ended.
pub(super) fn checked(mismatches: u64, level: &str, name: &str, say: &mut dyn FnMut(EventType, String)) {
    if mismatches == 0 {
        return say(EventType::MD_CHECK_DONE, format!("all members of {name} were read and agree"));
    }
    let what = match level {
        _ if level.starts_with("raid10") || level == "raid1" => "copies differ",
        _ => "parity does not fit the data",
    };
    say(EventType::MD_MISMATCH, format!("a check of {name} found {mismatches} sectors of which {what}"));
}
