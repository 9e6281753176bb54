//! Lines of filesystems that name more than their type.

use super::{
    super::key::{FoldKey, Scope},
    Sought, View,
};
use crate::{event::EventType, parser::RawEvent};

/// An error of ext4, by the place in the kernel that found it.
pub(super) fn of_ext4(view: &View<'_>, raw: &RawEvent, scope: Scope) -> Sought {
    Sought::or_next(ext4_key(raw, scope).and_then(|key| view.find(key)))
}

/// ext4 prints the place that its tracepoint names.
pub(in super::super) fn ext4_key(raw: &RawEvent, scope: Scope) -> Option<FoldKey> {
    if raw.sub_system.as_str() != "ext4" {
        return None;
    }
    let fs = raw.facts.fs.as_ref()?;
    Some(FoldKey::ext4(scope, fs.function.as_ref()?.as_bytes(), fs.line?))
}

/// Whether a line of btrfs reports a bad copy, and leaves it to the next one to name the device.
pub(in super::super) fn is_checksum(raw: &RawEvent) -> bool {
    is_of_btrfs(raw) && raw.facts.btrfs.as_ref().is_some_and(|btrfs| btrfs.expected.is_some())
}

/// The filesystem's name, if a line of btrfs counts the bad copies of one of its devices.
pub(in super::super) fn names_member(raw: &RawEvent) -> Option<&str> {
    let counts = raw.facts.btrfs.as_ref().is_some_and(|btrfs| btrfs.corruption_errs.is_some());
    raw.facts.fs.as_ref()?.device.as_deref().filter(|_| counts && is_of_btrfs(raw))
}

fn is_of_btrfs(raw: &RawEvent) -> bool {
    raw.sub_system.as_str() == "btrfs" && raw.event_type == EventType::FS_CHECKSUM_ERROR
}
