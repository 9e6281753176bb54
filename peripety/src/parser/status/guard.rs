//! Targets that check or keep data: most raise no event, and the kernel prints not all that it counts.

use peripety_block::status::{Cache, Status};

use super::Draft;
use crate::event::{EventType, Severity};

pub(super) fn compare(before: Option<&Status>, now: &Status, out: &mut Draft<'_>) {
    let name = out.map.name.clone();
    match now {
        Status::Integrity(now) => {
            let before = match before {
                Some(Status::Integrity(before)) => before.mismatches,
                _ => 0,
            };
            // Less than before: the map was made anew, and counts from zero.
            let more = now.mismatches.checked_sub(before).unwrap_or(now.mismatches);
            if more > 0 {
                let words = format!(
                    "{more} sectors of {name} were read that do not match their checksum, {} since it was made",
                    now.mismatches
                );
                let raw = out.say(EventType::DM_INTEGRITY_CHECKSUM_FAILED, None, words);
                raw.count = more;
                raw.facts.dm.get_or_insert_default().errors = Some(now.mismatches);
            }
        }
        Status::Verity(now)
            if now.corrupt && !matches!(before, Some(Status::Verity(before)) if before.corrupt) =>
        {
            out.say(
                EventType::DM_VERITY_CORRUPTION,
                None,
                format!("a block of {name} does not match its hash"),
            );
        }
        Status::Writecache(now)
            if now.error != 0
                && !matches!(before, Some(Status::Writecache(before)) if before.error == now.error) =>
        {
            let words = format!(
                "{name} failed (errno {}): {} blocks are only in the cache",
                now.error.unsigned_abs(),
                now.cache.used
            );
            out.say(EventType::DM_WRITECACHE_FAILED, None, words);
        }
        Status::Vdo(now)
            if now.mode == "read-only"
                && !matches!(before, Some(Status::Vdo(before)) if before.mode == now.mode) =>
        {
            out.say(
                EventType::DM_VDO_READ_ONLY,
                None,
                format!("{name} went read-only after an error of its metadata"),
            );
        }
        Status::Era(now) if now.failed && !matches!(before, Some(Status::Era(before)) if before.failed) => {
            out.say(EventType::DM_ERROR, None, format!("{name} cannot read its metadata"));
        }
        Status::Clone(now)
            if (now.failed || now.read_only)
                && !matches!(before, Some(Status::Clone(before)) if before.failed == now.failed && before.read_only == now.read_only) =>
        {
            let what =
                if now.failed { "failed" } else { "is read-only: its metadata are not written any more" };
            out.say(EventType::DM_ERROR, None, format!("{name} {what}"));
        }
        Status::Cache(now) => cache(before, now, out),
        _ => {}
    }
}

/// `write`, `read-only` or `fail`, as the kernel's lines call it.
fn mode(cache: &Cache) -> Option<&'static str> {
    match cache {
        Cache::Fail => Some("fail"),
        Cache::Error => None,
        Cache::Serves(serves) if serves.read_only => Some("read-only"),
        Cache::Serves(_) => Some("write"),
    }
}

fn cache(before: Option<&Status>, now: &Cache, out: &mut Draft<'_>) {
    let before = match before {
        Some(Status::Cache(before)) => Some(before),
        _ => None,
    };
    let name = out.map.name.clone();
    let was = before.map_or(Some("write"), mode);
    if let Some(mode) = mode(now).filter(|mode| Some(*mode) != was) {
        let raw = out.say(EventType::DM_CACHE_MODE_CHANGED, None, format!("{name} is in {mode} mode"));
        raw.facts.dm.get_or_insert_default().mode = Some(mode.to_owned());
        if mode == "write" {
            raw.severity = Severity::Notice;
        }
    }
    let needs_check = |cache: &Cache| matches!(cache, Cache::Serves(serves) if serves.needs_check);
    if needs_check(now) && !before.is_some_and(needs_check) {
        let words = format!("the metadata of {name} have to be checked before they are written again");
        out.say(EventType::DM_METADATA_NEEDS_CHECK, None, words);
    }
}
