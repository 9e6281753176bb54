//! Adds a fault to an incident, and makes one incident of several that turn out to belong together.

use super::{
    Incidents, NOTICED, REMOVED_MAX, WAITING_MAX,
    case::{Case, Link},
    facet::Facet,
    find::{Common, Found, link_of, rule_for},
    index::Slot,
};
use crate::event::{
    Event, EventId, Severity,
    incident::{Certainty, Incident, Relation},
};

impl Incidents {
    /// The incident that a fault belongs to, which may be a new one. What somebody asked for, and what is no fault of storage,
    /// opens none: its event is a notice.
    pub(super) fn assign(&mut self, event: &Event, facet: Facet, out: &mut Vec<Incident>) -> Option<Slot> {
        let Found { joins, heads, part } = self.find(event, &facet);
        let is_alone =
            joins.is_none() && heads.is_empty() && part.as_ref().is_none_or(|part| part.slots.is_empty());
        if is_alone && event.severity > Severity::Warning {
            return None;
        }
        let id = facet.event_id;
        // Where what was thought to be the root is a consequence of this, the oldest of those goes on.
        let of_heads = || Some((heads.iter().map(|head| head.slot).min()?, None));
        let of_part = || {
            let part = part.as_ref()?;
            Some((part.slots.iter().min().copied()?, Some(part.link.clone())))
        };
        let joins = joins.map(|(slot, link)| (slot, Some(link)));
        let slot = match joins.or_else(of_heads).or_else(of_part) {
            Some((slot, link)) => {
                self.add(slot, event, facet, link.as_ref());
                slot
            }
            None => self.open_by_removal(event, &facet).unwrap_or_else(|| self.open(event, facet)),
        };
        for head in heads {
            if let Some(case) = self.cases.get_mut(&head.slot) {
                let link = Link { because: Some(id), ..head.link };
                case.explain(head.root, &link);
                // What its devices have in common is what this event is about.
                if case.part.take().is_some() {
                    let roots: Vec<EventId> = case.roots().map(|root| root.event_id).collect();
                    roots.into_iter().filter(|root| *root != id).for_each(|root| case.explain(root, &link));
                }
            }
            self.merge(slot, head.slot, out);
        }
        if let Some(part) = part {
            self.blame(slot, part, out);
        }
        self.plan_quiet(slot);
        Some(slot)
    }

    /// Remembers a device that went: whether somebody took it out or it failed, what notices the loss comes after it.
    pub(super) fn note_removed(&mut self, event: &Event) {
        let Some(facet) = Facet::of_removal(event) else { return };
        self.removed.retain(|(known, _)| known.event_id != event.event_id);
        if self.removed.len() >= REMOVED_MAX {
            self.removed.pop_front();
        }
        self.removed.push_back((event.clone(), facet));
    }

    /// What fails of a device that was removed just before fails of that: an array loses a member, a map a path.
    fn open_by_removal(&mut self, event: &Event, facet: &Facet) -> Option<Slot> {
        let explains = |removed: &Facet| {
            let rule = rule_for(removed, facet, false)?;
            (facet.first.duration_since(removed.last) <= NOTICED)
                .then(|| link_of(rule, Some(removed.event_id)))
        };
        let (place, link) = (self.removed.iter().enumerate().rev())
            .find_map(|(place, (_, removed))| Some((place, explains(removed)?)))?;
        let (removal, removed) = self.removed.remove(place)?;
        let slot = self.open(&removal, removed);
        self.index.note_event(removal.event_id, slot);
        self.add(slot, event, facet.clone(), Some(&link));
        Some(slot)
    }

    /// A part that several have in common is the cause: their incidents are one.
    fn blame(&mut self, slot: Slot, common: Common, out: &mut Vec<Incident>) {
        for other in common.slots {
            self.merge(slot, other, out);
        }
        let Some(case) = self.cases.get_mut(&slot) else { return };
        case.blamed_by = case.blamed_by.max(common.devices);
        self.index.add_key(common.part.key(), slot);
        // Of those that have something in common none explains the other.
        case.part = Some(common.part);
        case.dirty = true;
    }

    /// A cause may be written after what came of it. The incident that has both then.
    pub(super) fn explain_waiting(&mut self, event: &Event, slot: Slot, out: &mut Vec<Incident>) -> Slot {
        if let Some(root) = event.root_cause_event_id.filter(|root| self.index.of_event(*root).is_none()) {
            let pair = (root, event.event_id);
            if !self.waiting.contains(&pair) {
                if self.waiting.len() >= WAITING_MAX {
                    self.waiting.pop_front();
                }
                self.waiting.push_back(pair);
            }
        }
        let is_for = |(root, _): &(EventId, EventId)| *root == event.event_id;
        let effects: Vec<EventId> = self.waiting.iter().filter(|w| is_for(w)).map(|(_, id)| *id).collect();
        if !effects.is_empty() {
            self.waiting.retain(|w| !is_for(w));
        }
        let mut now = slot;
        for id in effects {
            let Some(other) = self.index.of_event(id).filter(|other| *other != now) else { continue };
            // What was linked to an earlier failure makes one of the two only where both are of one device.
            let (Some(mine), Some(theirs)) = (self.cases.get(&now), self.cases.get(&other)) else { continue };
            let is_root = theirs.roots().any(|facet| facet.event_id == id);
            let same_device = || theirs.roots().any(|root| mine.roots().any(|other| other.is_of(root)));
            if is_root || same_device() {
                now = self.explain_by(event.event_id, id, now, other, out);
            }
        }
        now
    }

    /// The cause of an event may become known when that was written already. The incident that has both then.
    pub(super) fn explain_late(&mut self, slot: Slot, event: &Event, out: &mut Vec<Incident>) -> Slot {
        let root = event.root_cause_event_id.and_then(|root| Some((root, self.index.of_event(root)?)));
        let Some((root, other)) = root.filter(|(_, other)| *other != slot && self.cases.contains_key(other))
        else {
            return slot;
        };
        self.explain_by(root, event.event_id, other, slot, out)
    }

    /// A later revision names its device, or what that is made of, which an earlier one could not: the incidents that are about
    /// these are one with it. Of two that have nothing else in common than that nobody knew better, it leaves the one.
    pub(super) fn join_renamed(&mut self, slot: Slot, event: &Event, out: &mut Vec<Incident>) -> Slot {
        let id = event.event_id;
        let known = self.cases.get(&slot).and_then(|case| case.facets.iter().find(|f| f.event_id == id));
        let Some(facet) = known.cloned() else { return slot };
        self.index.add_facet(slot, &facet);
        let Found { joins, heads, part } = self.find_beside(slot, event, &facet);
        if joins.is_none() && heads.is_empty() && part.is_none() {
            return slot;
        }
        let mut now = slot;
        if super::rules::is_guess(&facet.rule)
            && let Some((other, link)) = &joins
            && let Some(case) = self.cases.get_mut(&slot)
            && case.release(event)
        {
            self.plan_quiet(slot);
            now = *other;
            self.add(now, event, Facet { because: None, ..facet }, Some(link));
        } else if let Some((other, link)) = joins {
            if let Some(case) = self.cases.get_mut(&slot) {
                case.explain(id, &link);
            }
            now = self.unite(slot, other, out);
        }
        for head in heads {
            if let Some(case) = self.cases.get_mut(&head.slot) {
                case.explain(head.root, &Link { because: Some(id), ..head.link });
            }
            now = self.unite(now, head.slot, out);
        }
        if let Some(mut part) = part {
            part.slots.push(now);
            now = part.slots.iter().min().copied().unwrap_or(now);
            self.blame(now, part, out);
        }
        self.plan_quiet(now);
        now
    }

    /// Makes one incident of two. The older one goes on.
    fn unite(&mut self, one: Slot, two: Slot, out: &mut Vec<Incident>) -> Slot {
        self.merge(one.min(two), one.max(two), out);
        one.min(two)
    }

    /// `root` is the cause of `effect`: of their incidents the older one goes on.
    fn explain_by(
        &mut self,
        root: EventId,
        effect: EventId,
        of_root: Slot,
        of_effect: Slot,
        out: &mut Vec<Incident>,
    ) -> Slot {
        let link = Link {
            because: Some(root),
            rule: "failure-below",
            relation: Relation::Consequence,
            certainty: Certainty::Certain,
        };
        if let Some(case) = self.cases.get_mut(&of_effect) {
            case.explain(effect, &link);
        }
        let older = self.unite(of_root, of_effect, out);
        self.plan_quiet(older);
        older
    }

    fn open(&mut self, event: &Event, facet: Facet) -> Slot {
        self.make_room();
        self.insert(Case::open(event, facet))
    }

    fn add(&mut self, slot: Slot, event: &Event, facet: Facet, link: Option<&Link>) {
        let Some(case) = self.cases.get_mut(&slot) else { return };
        case.reopen_for(event);
        self.index.add_facet(slot, &facet);
        case.add(event, facet, link);
        self.index.touch(slot);
    }

    /// Makes one incident of two; the older id stays.
    fn merge(&mut self, slot: Slot, other: Slot, out: &mut Vec<Incident>) {
        if slot == other {
            return;
        }
        let Some(mut theirs) = self.cases.remove(&other) else { return };
        let Some(mine) = self.cases.get_mut(&slot) else {
            self.cases.insert(other, theirs);
            return;
        };
        mine.take(&mut theirs);
        let was_written = theirs.written.is_some();
        self.index.redirect(other, slot, &theirs);
        if let (Some(at), _) = theirs.timers {
            self.due.remove(&(at, other));
        }
        if let (_, Some(at)) = theirs.timers {
            self.quiet.remove(&(at, other));
        }
        self.changed.insert(slot);
        if was_written {
            theirs.render();
            theirs.incident.revision += 1;
            out.push(theirs.incident);
        }
    }
}
