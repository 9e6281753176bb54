//! Which events belong together, why, what they hurt, and whether it is over.
//!
//! A stage behind the engine, as pure as that: revisions of events go in as they go out to the journal, revisions of
//! incidents come out. Time comes with the events and with [`Incidents::tick`]; device facts stand in the events. What may
//! explain what is the table in [`rules`], what opens and ends a condition is that of [`crate::state::rows`].

mod case;
mod class;
mod facet;
mod find;
mod impact;
mod index;
mod life;
mod part;
pub(crate) mod pick;
pub(crate) mod rules;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

pub(crate) use self::case::Case;
use self::{
    case::Link,
    facet::Facet,
    find::Found,
    index::{Index, Slot},
};
use crate::{
    event::{
        Event, EventId, EventType, Severity,
        incident::{Certainty, Incident, Relation, State},
    },
    state::{Condition, End},
};

/// Incidents that are open at a time; the one that was quiet for longest makes room.
pub(crate) const OPEN_MAX: usize = 10_000;
/// Incidents that are over and may come back.
const OVER_MAX: usize = 2048;
/// For so many new ones room is made at a time.
const ROOM: u64 = 64;
/// Causes that are waited for.
const WAITING_MAX: usize = 256;
/// How long after its end a fault that is back is the same one.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// How soon an incident that only grew is written again, doubled each time up to a minute.
const SPACING: SignedDuration = SignedDuration::from_secs(1);
const SPACING_MAX: SignedDuration = SignedDuration::from_mins(1);

/// All incidents of one host.
#[derive(Debug, Default)]
pub struct Incidents {
    cases: BTreeMap<Slot, Case>,
    index: Index,
    next: u64,
    boot: String,
    boots: Vec<String>,
    /// The latest time that is known.
    now: Option<Timestamp>,
    /// Wall clock less CLOCK_MONOTONIC, in nanoseconds.
    offset_ns: i128,
    /// When grown ones are to be written.
    due: BTreeSet<(Timestamp, Slot)>,
    /// When those that failed nothing are over.
    quiet: BTreeSet<(Timestamp, Slot)>,
    /// Those that changed since they were last saved.
    changed: BTreeSet<Slot>,
    /// Causes that were not written yet, and what came of them.
    waiting: VecDeque<(EventId, EventId)>,
    /// Those that were dropped for lack of room.
    dropped: u64,
}

impl Incidents {
    /// Takes a revision of an event on its way out: gives it its incident, and adds to `out` what changed.
    pub fn push(&mut self, event: &mut Event, out: &mut Vec<Incident>) {
        self.keep_time(event);
        self.settle(out);
        self.enter_boot(event, out);
        let known = self.index.of_event(event.event_id).filter(|slot| self.cases.contains_key(slot));
        let facet = Facet::of(event);
        let slot = match (known, facet) {
            // It ended something before, and may do so again.
            (Some(slot), None) if !self.is_fault_of(slot, event) => None,
            (Some(slot), facet) => {
                self.grow(slot, event, facet);
                Some(self.explain_late(slot, event, out))
            }
            (None, Some(facet)) => self.assign(event, facet, out),
            (None, None) => None,
        };
        let ended = self.end(event, slot, out);
        // A revision that ends nothing more belongs to what an earlier one ended.
        let slot = slot.or(ended).or(known);
        event.incident_id = None;
        if let Some(slot) = slot {
            self.index.note_event(event.event_id, slot);
            let slot = self.explain_waiting(event, slot, out);
            event.incident_id = self.cases.get(&slot).map(|case| case.incident.incident_id);
            self.write_if_due(slot, out);
        }
    }

    /// Whether an event that is no fault was one when an incident took it.
    fn is_fault_of(&self, slot: Slot, event: &Event) -> bool {
        let case = self.cases.get(&slot);
        let member = case.and_then(|case| case.incident.events.iter().find(|m| m.event_id == event.event_id));
        member.is_some_and(|member| member.relation != Relation::Recovery)
    }

    /// A cause may be written after what came of it. The incident that has both then.
    fn explain_waiting(&mut self, event: &Event, slot: Slot, out: &mut Vec<Incident>) -> Slot {
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

    /// Takes revisions that the engine gave, in their order.
    pub fn push_all(&mut self, events: &mut [Event], out: &mut Vec<Incident>) {
        events.iter_mut().for_each(|event| self.push(event, out));
    }

    /// Lets time go on to `now_ns` (CLOCK_MONOTONIC).
    pub fn tick(&mut self, now_ns: u64, out: &mut Vec<Incident>) {
        let wall = Timestamp::from_nanosecond(i128::from(now_ns) + self.offset_ns);
        if let (Ok(wall), Some(_)) = (wall, self.now) {
            self.now = self.now.max(Some(wall));
            self.settle(out);
        }
    }

    /// When the next tick is needed (CLOCK_MONOTONIC). None: not before the next event.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        let first = |set: &BTreeSet<(Timestamp, Slot)>| set.first().map(|(at, _)| *at);
        let at = [first(&self.due), first(&self.quiet)].into_iter().flatten().min()?;
        u64::try_from((at.as_nanosecond() - self.offset_ns).max(0)).ok()
    }

    /// Writes what is not written yet: at shutdown, or at the end of a log.
    pub fn finish(&mut self, out: &mut Vec<Incident>) {
        let dirty: Vec<Slot> =
            self.cases.iter().filter(|(_, case)| case.dirty).map(|(slot, _)| *slot).collect();
        for slot in dirty {
            self.write(slot, out);
        }
    }

    /// All that are known: open ones and those that were over within a day.
    pub fn all(&self) -> impl Iterator<Item = &Incident> {
        self.cases.values().map(|case| &case.incident)
    }

    /// What is wrong by those that are open, at most `most` of them, the ones that were quiet for longest first.
    pub(crate) fn open_conditions(&self, most: usize) -> Vec<Condition> {
        let open = self.cases.values().filter(|case| case.incident.state.is_open());
        let mut all: Vec<&Condition> = open.flat_map(|case| &case.conditions).collect();
        all.sort_by_key(|condition| condition.last);
        all.into_iter().take(most).cloned().collect()
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All that is needed to go on with them.
    pub fn cases(&self) -> impl Iterator<Item = &Case> {
        self.cases.values()
    }

    /// The incident with this id, or the one that it became part of.
    #[cfg(test)]
    pub fn get(&self, id: crate::event::IncidentId) -> Option<&Incident> {
        self.index.of_id(id).and_then(|slot| self.cases.get(&slot)).map(|case| &case.incident)
    }

    /// How many were dropped for lack of room.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What changed since the last call, or everything.
    pub fn save(&mut self, all: bool) -> Vec<&Case> {
        let changed = std::mem::take(&mut self.changed);
        let wanted = |slot: &Slot| all || changed.contains(slot);
        self.cases.iter().filter(|(slot, _)| wanted(slot)).map(|(_, case)| case).collect()
    }

    /// Goes on with what another stage saved. To be called before the first event.
    pub fn restore(&mut self, saved: impl IntoIterator<Item = Case>) {
        for case in saved {
            let known = self.index.of_id(case.incident.incident_id).is_some();
            if known || case.incident.state == State::Superseded {
                continue;
            }
            self.boot.clone_from(&case.incident.boot_id);
            self.now = self.now.max(Some(case.incident.updated));
            let slot = self.insert(case);
            self.changed.insert(slot);
        }
    }

    fn keep_time(&mut self, event: &Event) {
        self.now = self.now.max(Some(event.last_timestamp));
        if let Some(ns) = event.monotonic_ns {
            self.offset_ns = event.timestamp.as_nanosecond() - i128::from(ns);
        }
    }

    fn insert(&mut self, case: Case) -> Slot {
        let slot = Slot(self.next);
        self.next += 1;
        self.index.add(slot, &case);
        self.cases.insert(slot, case);
        slot
    }

    fn grow(&mut self, slot: Slot, event: &Event, facet: Option<Facet>) {
        let Some(case) = self.cases.get_mut(&slot) else { return };
        // One event may go on over the end of what it opened: it fails again.
        let end = case
            .incident
            .resolved
            .or(Some(case.incident.updated).filter(|_| case.incident.resolved_by.is_some()));
        if facet.is_some() && end.is_some_and(|end| event.last_timestamp > end) {
            case.reopen_for(event);
        }
        case.grow(event, facet);
        self.plan_quiet(slot);
    }

    /// The cause of an event may become known when that was written already. The incident that has both then.
    fn explain_late(&mut self, slot: Slot, event: &Event, out: &mut Vec<Incident>) -> Slot {
        let root = event.root_cause_event_id.and_then(|root| Some((root, self.index.of_event(root)?)));
        let Some((root, other)) = root.filter(|(_, other)| *other != slot && self.cases.contains_key(other))
        else {
            return slot;
        };
        self.explain_by(root, event.event_id, other, slot, out)
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
        let (older, newer) = (of_root.min(of_effect), of_root.max(of_effect));
        self.merge(older, newer, out);
        self.plan_quiet(older);
        older
    }

    /// The incident that a fault belongs to, which may be a new one. What somebody asked for, and what is no fault of storage,
    /// opens none: its event is a notice.
    fn assign(&mut self, event: &Event, facet: Facet, out: &mut Vec<Incident>) -> Option<Slot> {
        let Found { joins, heads, part } = self.find(event, &facet);
        let is_alone =
            joins.is_none() && heads.is_empty() && part.as_ref().is_none_or(|part| part.slots.is_empty());
        if is_alone && event.severity > Severity::Warning {
            return None;
        }
        let id = facet.event_id;
        let (slot, mut merged) = match joins {
            Some((slot, link)) => {
                self.add(slot, event, facet, Some(&link));
                (slot, heads)
            }
            None => {
                let oldest = heads.iter().map(|head| head.slot).min();
                match oldest {
                    // What was thought to be the root is a consequence of this.
                    Some(slot) => {
                        self.add(slot, event, facet, None);
                        (slot, heads)
                    }
                    None if part.is_some() => {
                        let slot = part.as_ref().and_then(|part| part.slots.iter().min().copied());
                        match slot {
                            Some(slot) => {
                                let link = part.as_ref().map(|part| part.link.clone());
                                self.add(slot, event, facet, link.as_ref());
                                (slot, Vec::new())
                            }
                            None => (self.open(event, facet), Vec::new()),
                        }
                    }
                    None => (self.open(event, facet), Vec::new()),
                }
            }
        };
        for head in std::mem::take(&mut merged) {
            if let Some(case) = self.cases.get_mut(&head.slot) {
                let link = Link { because: Some(id), ..head.link };
                case.explain(head.root, &link);
            }
            self.merge(slot, head.slot, out);
        }
        if let Some(part) = part {
            for other in part.slots {
                self.merge(slot, other, out);
            }
            if let Some(case) = self.cases.get_mut(&slot) {
                case.blamed_by = case.blamed_by.max(part.devices);
                self.index.add_key(part.part.key(), slot);
                case.part = Some(part.part);
                case.dirty = true;
                // Of those that have something in common none explains the other.
            }
        }
        self.plan_quiet(slot);
        Some(slot)
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

    fn make_room(&mut self) {
        if self.cases.len() < OVER_MAX || !self.next.is_multiple_of(ROOM) {
            return;
        }
        let mut open: Vec<(Timestamp, Slot)> = Vec::new();
        let mut over: Vec<(Timestamp, Slot)> = Vec::new();
        for (slot, case) in &self.cases {
            let list = if case.incident.state.is_open() { &mut open } else { &mut over };
            list.push((case.incident.updated, *slot));
        }
        for (list, most) in [(&mut open, OPEN_MAX), (&mut over, OVER_MAX)] {
            list.sort_unstable();
            let room = usize::try_from(ROOM).unwrap_or(1);
            let many = (list.len() + room).saturating_sub(most).min(list.len());
            for (_, slot) in list.drain(..many) {
                self.forget(slot);
            }
        }
    }

    fn forget(&mut self, slot: Slot) {
        self.unplan_write(slot);
        self.unplan_quiet(slot);
        if let Some(case) = self.cases.remove(&slot) {
            self.dropped += u64::from(case.incident.state.is_open());
            self.index.remove(slot, &case);
        }
    }

    fn unplan_write(&mut self, slot: Slot) {
        if let Some(at) = self.cases.get_mut(&slot).and_then(|case| case.timers.0.take()) {
            self.due.remove(&(at, slot));
        }
    }

    fn unplan_quiet(&mut self, slot: Slot) {
        if let Some(at) = self.cases.get_mut(&slot).and_then(|case| case.timers.1.take()) {
            self.quiet.remove(&(at, slot));
        }
    }

    /// Writes an incident, at once where something new is to be said.
    fn write_if_due(&mut self, slot: Slot, out: &mut Vec<Incident>) {
        let Some(case) = self.cases.get_mut(&slot).filter(|case| case.dirty) else { return };
        let before = (
            case.incident.state,
            case.incident.severity,
            case.incident.cause.name.clone(),
            case.incident.impact.kinds.clone(),
        );
        case.render();
        let merged = std::mem::take(&mut case.is_news);
        let incident = &case.incident;
        let is_change = case.written.is_none()
            || merged
            || before
                != (
                    incident.state,
                    incident.severity,
                    incident.cause.name.clone(),
                    incident.impact.kinds.clone(),
                );
        if is_change {
            self.write(slot, out);
            return;
        }
        let spacing =
            SPACING.checked_mul(1 << case.writings.min(6)).map_or(SPACING_MAX, |s| s.min(SPACING_MAX));
        let at = case.written.and_then(|at| at.checked_add(spacing).ok());
        if let (Some(at), None) = (at, case.timers.0) {
            case.timers.0 = Some(at);
            self.due.insert((at, slot));
        }
    }

    fn write(&mut self, slot: Slot, out: &mut Vec<Incident>) {
        self.unplan_write(slot);
        let Some(case) = self.cases.get_mut(&slot) else { return };
        case.render();
        if case.written.is_some() {
            case.incident.revision += 1;
            case.writings = case.writings.saturating_add(1);
        }
        case.written = self.now;
        (case.dirty, case.is_news) = (false, false);
        self.changed.insert(slot);
        out.push(case.incident.clone());
    }
}

/// Whether an event says that something is over, or is a person's word.
fn ends(event: &Event) -> Option<End> {
    End::by(event)
}

/// A rebuild or resync began.
fn begins_recovery(event: &Event) -> bool {
    event.event_type == EventType::MD_RECOVERY_STARTED
}
