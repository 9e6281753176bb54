//! What caused an event is decided before it is written.

use super::{
    super::{cause::Cause, fold::Fold, fold_table::FoldId},
    Correlator, DEPTH_MAX,
};
use crate::event::EventId;

impl Correlator {
    /// Decides what caused an event, once and for good: before it is written, or where its own consequence has to know.
    pub(super) fn decide(&mut self, fold: &mut Fold, depth: u32) {
        let id = fold.event().event_id;
        if fold.event().incident_id.is_some() || fold.is_own() {
            return;
        }
        fold.node_learns();
        self.causes.deciding(&fold.node, id);
        let found =
            if depth < DEPTH_MAX { self.causes.find(&fold.node, id, &self.table) } else { Vec::new() };
        let cause = found.into_iter().find(|cause| self.in_order(fold, cause));
        let root = cause.map(|cause| cause.root.unwrap_or_else(|| self.root_of(&cause, depth)));
        self.causes.decided(&fold.node, id, root.unwrap_or(id));
        let event = fold.event_mut();
        event.root_cause_event_id = root;
        event.incident_id = Some(root.unwrap_or(id));
    }

    /// Sees to it that a cause is not after its effect, where the clock of text let it seem so. False if it cannot be had.
    pub(super) fn in_order(&mut self, fold: &mut Fold, cause: &Cause) -> bool {
        if cause.first_ns <= fold.node.first_ns {
            return true;
        }
        if !fold.node.exact && !fold.is_out() {
            fold.first_at(cause.first_ns);
            return true;
        }
        let Some(open) = cause.place.and_then(|place| self.table.get_mut(place)) else { return false };
        if open.is_out() || open.node.exact {
            return false;
        }
        open.first_at(fold.node.first_ns);
        true
    }

    /// The root of the incident that a cause is of, which is decided now.
    pub(super) fn root_of(&mut self, cause: &Cause, depth: u32) -> EventId {
        if let Some(place) = cause.place {
            self.decide_at(place, depth + 1);
            if let Some(root) = self.table.get(place).and_then(|fold| fold.event().incident_id) {
                return root;
            }
        }
        cause.id
    }

    /// The same for an event that is written now, and of what is out already and came of it.
    pub(super) fn decide_before_writing(&mut self, place: FoldId) {
        self.decide_at(place, 0);
        if self.table.get(place).is_none_or(Fold::is_out) {
            return;
        }
        let Some(mut fold) = self.table.take(place) else { return };
        self.find_effects(&mut fold, self.now_ns);
        self.table.put(place, fold);
    }

    pub(super) fn decide_at(&mut self, place: FoldId, depth: u32) {
        if self.table.get(place).is_none_or(|fold| fold.event().incident_id.is_some()) {
            return;
        }
        let Some(mut fold) = self.table.take(place) else { return };
        self.decide(&mut fold, depth);
        self.table.put(place, fold);
    }
}
