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
mod join;
mod life;
mod names;
mod part;
mod patience;
pub(crate) mod pick;
pub(crate) mod rules;
pub(crate) mod signs;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

pub(crate) use self::{case::Case, signs::Limits};
use self::{
    facet::Facet,
    index::{Index, Slot},
};
use crate::{
    event::{
        Event, EventId, EventType,
        incident::{Incident, State},
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
/// Ends that are remembered.
const ENDS_MAX: usize = 256;
/// Removals that are remembered, and for how long: the array notices at its next request that a member is gone.
const REMOVED_MAX: usize = 64;
const NOTICED: SignedDuration = SignedDuration::from_mins(2);
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
    /// What was over of late: what is reported after that may have been before.
    ends: VecDeque<End>,
    /// Devices that went, of which it was not known yet that it hurts anything.
    removed: VecDeque<(Event, Facet)>,
    /// Causes that were not written yet, and what came of them.
    waiting: VecDeque<(EventId, EventId)>,
    /// Those that were dropped for lack of room.
    dropped: u64,
    /// From when on early signs count.
    limits: Limits,
}

impl Incidents {
    /// Other limits of early signs from now on.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

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
                let is_renamed = self.grow(slot, event, facet);
                let slot = self.explain_late(slot, event, out);
                Some(if is_renamed { self.join_renamed(slot, event, out) } else { slot })
            }
            (None, Some(facet)) => self.assign(event, facet, out),
            (None, None) if event.event_type == EventType::BLK_HEALTH => self.note_snapshot(event),
            (None, None) => {
                self.note_removed(event);
                None
            }
        };
        let ended = self.end(event, slot, out);
        // A revision that ends nothing more belongs to what an earlier one ended.
        let slot = slot.or(ended).or(known);
        event.incident_id = None;
        if let Some(slot) = slot {
            self.index.note_event(event.event_id, slot);
            let slot = self.explain_waiting(event, slot, out);
            self.end_before(event, slot);
            self.judge_signs(slot);
            event.incident_id = self.cases.get(&slot).map(|case| case.incident.incident_id);
            self.write_if_due(slot, out);
        }
    }

    /// Whether an event that is no fault was one when an incident took it.
    fn is_fault_of(&self, slot: Slot, event: &Event) -> bool {
        let case = self.cases.get(&slot);
        let member = case.and_then(|case| case.incident.events.iter().find(|m| m.event_id == event.event_id));
        member.is_some_and(|member| member.relation.is_failure())
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

    /// Takes a later revision. Whether it names what earlier ones did not.
    fn grow(&mut self, slot: Slot, event: &Event, facet: Option<Facet>) -> bool {
        let Some(case) = self.cases.get_mut(&slot) else { return false };
        // One event may go on over the end of what it opened: it fails again.
        let end =
            case.incident.resolved.or(Some(case.incident.updated)
                .filter(|_| case.incident.resolved_by.is_some() || case.only_signs));
        if facet.is_some() && end.is_some_and(|end| event.last_timestamp > end) {
            case.reopen_for(event);
        }
        let is_renamed = case.grow(event, facet);
        self.plan_quiet(slot);
        is_renamed
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
    [EventType::MD_RECOVERY_STARTED, EventType::DM_RESYNC_STARTED].contains(&event.event_type)
}
