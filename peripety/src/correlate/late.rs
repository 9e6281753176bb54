//! Causes that are read after their consequences were written: a line of text reaches the daemon later than the record of a
//! probe, on a slow machine by a large fraction of a second.
//!
//! An event that was written as the root of its incident stays open to a cause for [`LATE_NS`]. If that comes, the event and
//! all that named it as their root are written again. What is closed is never changed: if such an event names the root, it
//! stays one.

use std::collections::VecDeque;

use super::{correlator::Correlator, fold::Fold, fold_table::FoldId, layer::Layer};
use crate::event::EventId;

/// For how long after its first writing a root may be given a cause.
pub(super) const LATE_NS: u64 = 1_000_000_000;
/// Roots that are remembered.
const ROOTS_MAX: usize = 128;

/// The roots that were written of late, oldest first.
#[derive(Debug, Default)]
pub(super) struct Roots(VecDeque<(FoldId, u64)>);

impl Roots {
    /// A root was written, and may be given a cause until then.
    pub(super) fn note(&mut self, place: FoldId, until_ns: u64) {
        if self.0.len() >= ROOTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((place, until_ns));
    }

    /// Those that may still be given one.
    fn at(&mut self, now_ns: u64) -> Vec<FoldId> {
        while self.0.front().is_some_and(|(_, until_ns)| *until_ns < now_ns) {
            self.0.pop_front();
        }
        self.0.iter().map(|(place, _)| *place).collect()
    }
}

impl Correlator {
    /// An event was written for the first time: as a root, it may still be given a cause.
    pub(super) fn note_root(&mut self, place: FoldId, now_ns: u64) {
        let Some(fold) = self.table.get_mut(place) else { return };
        let event = fold.event();
        if event.incident_id != Some(event.event_id) || fold.node.failed.layer == Layer::None {
            return;
        }
        let until_ns = now_ns.saturating_add(LATE_NS);
        fold.root_until_ns = until_ns;
        self.roots.note(place, until_ns);
    }

    /// An event is written for the last time: the root that it names, written or not, stays one.
    pub(super) fn root_is_final(&mut self, fold: &Fold) {
        let Some(root) = fold.event().root_cause_event_id else { return };
        let is_root =
            |place: &FoldId| self.table.get(*place).is_some_and(|fold| fold.event().event_id == root);
        let Some(place) = self.table.oldest_first().into_iter().find(is_root) else { return };
        if let Some(fold) = self.table.get_mut(place) {
            fold.stays_root = true;
        }
    }

    /// A failure is about to be written for the first time, its cause being decided: what came of it may be out already.
    pub(super) fn find_effects(&mut self, cause: &mut Fold, now_ns: u64) {
        let is_new = !cause.is_out() && !cause.is_own() && cause.event().confirmed;
        let Some(root) = cause.event().incident_id.filter(|_| is_new) else { return };
        for place in self.roots.at(now_ns) {
            let Some(effect) = self.table.get(place) else { continue };
            let id = effect.event().event_id;
            let still_root = effect.event().incident_id == Some(id)
                && effect.root_until_ns >= now_ns
                && !effect.stays_root;
            if id == root || !still_root {
                continue;
            }
            let found = self.causes.find_late(&effect.node, id, cause.event().event_id, &self.table);
            if found.is_none() || !self.is_in_order(cause, root, place) {
                continue;
            }
            self.join(id, root);
        }
    }

    /// Sees to it that neither a cause nor the root of its incident is after its effect. False if that cannot be had.
    fn is_in_order(&mut self, cause: &mut Fold, root: EventId, effect: FoldId) -> bool {
        let Some(effect) = self.table.get(effect) else { return false };
        let first_ns = effect.node.first_ns;
        if root != cause.event().event_id
            && self.causes.first_ns(root).is_none_or(|root_ns| root_ns > first_ns)
        {
            return false;
        }
        if cause.node.first_ns > first_ns {
            if cause.node.exact {
                return false;
            }
            cause.first_at(first_ns);
        }
        true
    }

    /// All that named `old` as the root of its incident, itself included, names `new`, and is written again.
    fn join(&mut self, old: EventId, new: EventId) {
        let now_ns = self.now_ns();
        self.causes.joined(old, new);
        for place in self.table.oldest_first() {
            if self.table.get(place).is_none_or(|fold| fold.event().incident_id != Some(old)) {
                continue;
            }
            if let Some(fold) = self.table.get_mut(place) {
                let event = fold.event_mut();
                (event.root_cause_event_id, event.incident_id) = (Some(new), Some(new));
                fold.written = 0;
            }
            self.table.write_at_once(place, now_ns);
        }
    }
}
