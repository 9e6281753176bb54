//! Lines of daemons: a daemon says what it found, often in several lines and some time after the kernel did.

use super::{
    super::{
        correlator::detail,
        fold_table::FoldId,
        key::{FoldKey, Scope},
    },
    Match, View,
};
use crate::{event::EventType, parser::RawEvent};

/// What a daemon's word for something is in the kernel's words.
const SAME: &[(EventType, &[EventType])] = &[
    (EventType::MULTIPATHD_PATH_DOWN, &[EventType::DM_MPATH_PATH_FAILED, EventType::MULTIPATHD_PATH_DOWN]),
    (EventType::MULTIPATHD_PATH_UP, &[EventType::DM_MPATH_PATH_REINSTATED, EventType::MULTIPATHD_PATH_UP]),
];

/// What a line of a daemon is found by, the best first.
pub(in super::super) fn keys(raw: &RawEvent, scope: Scope) -> impl Iterator<Item = FoldKey> {
    let own = std::slice::from_ref(&raw.event_type);
    let types = SAME.iter().find(|row| row.0 == raw.event_type).map_or(own, |row| row.1);
    let detail = detail(raw);
    types.iter().map(move |event_type| FoldKey::typed(scope, event_type.as_str(), detail))
}

/// The open event that a line of a daemon is about.
pub(in super::super) fn seek(view: &View<'_>, raw: &RawEvent, scope: Scope) -> Option<FoldId> {
    keys(raw, scope).find_map(|key| view.find(key))
}

/// What becomes of a line of a daemon that found no open event: a state that it repeats is ignored, unless other lines about
/// the device wait, of which the first opens the event.
pub(in super::super) fn unless_open(view: &View<'_>, scope: Scope, is_new: bool) -> Match {
    let others_wait = || view.held.any(|line| line.raw.program && line.scope == scope);
    if is_new || others_wait() { Match::Wait } else { Match::Ignore }
}
