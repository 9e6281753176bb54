//! When an incident is over, and when it is back.

use jiff::Timestamp;

use super::{ENDS_MAX, Incidents, begins_recovery, case::Case, ends, facet::Facet, index::Slot};
use crate::{
    event::{
        Event, EventType, Nature,
        incident::{Acknowledged, Incident, IncidentId, State},
    },
    state::{Condition, End, is_gone, rows},
};

/// Boots that are remembered: what one of them could not write down in time may come late.
const BOOTS_MAX: usize = 8;

/// What else ends the trouble with a device that has no condition.
const ENDS_TROUBLE: [EventType; 2] = [EventType::FS_MOUNTED, EventType::FS_UNMOUNTED];

impl Incidents {
    /// Takes what an event says is over. The incident that it is about, if it is not that of the event itself.
    pub(super) fn end(&mut self, event: &Event, own: Option<Slot>, out: &mut Vec<Incident>) -> Option<Slot> {
        if let Some(slot) = self.by_person(event, out) {
            return Some(slot);
        }
        let end = ends(event).filter(|_| event.confirmed);
        if let Some(end) = &end {
            if self.ends.len() >= ENDS_MAX {
                self.ends.pop_front();
            }
            self.ends.push_back(end.clone());
        }
        // What has no condition of its own ends with the trouble of its device, with a mount, with the device.
        let clears = event.event_type.info().is_some_and(|info| info.nature == Nature::Clears)
            || ENDS_TROUBLE.contains(&event.event_type)
            || is_gone(event);
        if end.is_none() && !clears && !begins_recovery(event) {
            return None;
        }
        let by_person = event.event_type == EventType::PERIPETY_RESOLVED;
        let mut touched = None;
        for slot in self.about(event, by_person) {
            let Some(case) = self.cases.get_mut(&slot) else { continue };
            let mut is_about = false;
            if let Some(end) = &end
                && Some(slot) != own
            {
                is_about = case.end(event, end);
            }
            // What failed nothing has no condition: the end of the trouble is all there is.
            if clears && Some(slot) != own && !case.had_condition && case.is_about(event) {
                case.note_recovery(event, "end-of-trouble");
                is_about = true;
            }
            if begins_recovery(event) && case.waits_for_rebuild() {
                case.note_recovery(event, "rebuild");
                case.incident.state = State::Recovering;
                is_about = true;
            }
            if !is_about {
                continue;
            }
            case.dirty = true;
            case.is_news |= case.signs.judge(&self.limits);
            if case.conditions.is_empty() && !begins_recovery(event) && case.incident.state.is_open() {
                // A person, or another device in its place, ends its signs as well.
                if by_person || is_gone(event) {
                    case.resolve(event.last_timestamp, event.event_type.as_str().to_owned());
                } else {
                    case.conclude(event.last_timestamp, event.event_type.as_str());
                }
            }
            self.plan_quiet(slot);
            touched = Some(slot);
            self.write_if_due(slot, out);
        }
        touched.or_else(|| self.end_unnamed(event, end.as_ref()?, out))
    }

    /// Takes out what was over before it was reported: a filesystem whose journal aborts while it is unmounted says so after its
    /// unmount.
    pub(super) fn end_before(&mut self, event: &Event, slot: Slot) {
        let Self { cases, ends, .. } = self;
        let Some(case) = cases.get_mut(&slot).filter(|case| case.incident.state.is_open()) else { return };
        let ender = |condition: &Condition| {
            let is_mine = condition.last_event_id == Some(event.event_id);
            ends.iter().rev().find(|end| is_mine && end.was_end_of(condition, event))
        };
        let Some(by) = case.conditions.iter().find_map(ender).map(End::name) else { return };
        case.drop_conditions(event.last_timestamp, &|condition| ender(condition).is_some());
        if case.conditions.is_empty() && case.incident.resolved_by.is_none() {
            case.conclude(event.last_timestamp, &by);
            self.plan_quiet(slot);
        }
    }

    /// What could not be named, and is the only one of its kind, ends with what ends its kind.
    fn end_unnamed(&mut self, event: &Event, end: &End, out: &mut Vec<Incident>) -> Option<Slot> {
        // It is about the device that went, and nothing else.
        if is_gone(event) {
            return None;
        }
        let could = |case: &Case| {
            case.incident.state.is_open() && case.conditions.iter().any(|condition| end.could_end(condition))
        };
        let mut fitting = self.cases.iter().filter(|(_, case)| could(case)).map(|(slot, _)| *slot);
        let (Some(slot), None) = (fitting.next(), fitting.next()) else { return None };
        let case = self.cases.get_mut(&slot)?;
        case.drop_conditions(event.last_timestamp, &|condition| end.could_end(condition));
        case.note_recovery(event, "only-one-of-its-kind");
        if case.conditions.is_empty() {
            case.conclude(event.last_timestamp, event.event_type.as_str());
            self.plan_quiet(slot);
        }
        self.write_if_due(slot, out);
        Some(slot)
    }

    /// The state of a device, which belongs to the latest incident that is open of it.
    pub(super) fn note_snapshot(&mut self, event: &Event) -> Option<Slot> {
        let slot = self.about(event, false).into_iter().next_back()?;
        self.cases.get_mut(&slot)?.note_snapshot(event);
        Some(slot)
    }

    /// The incidents that have something to do with an event's device.
    fn about(&self, event: &Event, all: bool) -> Vec<Slot> {
        if all {
            return self.cases.keys().copied().collect();
        }
        let facet = Facet::names_of(event);
        let mut slots: Vec<Slot> = facet.iter().flat_map(|key| self.index.with(key)).copied().collect();
        slots.sort_unstable();
        slots.dedup();
        slots.retain(|slot| self.cases.get(slot).is_some_and(|case| case.incident.state.is_open()));
        slots
    }

    /// A person says something of an incident.
    fn by_person(&mut self, event: &Event, out: &mut Vec<Incident>) -> Option<Slot> {
        let resolves = event.event_type == EventType::PERIPETY_RESOLVED;
        if !resolves && event.event_type != EventType::PERIPETY_ACKNOWLEDGED {
            return None;
        }
        let said = event.facts.daemon.as_deref()?;
        let id: IncidentId = said.incident_id.as_ref()?.parse().ok()?;
        let slot = self.index.of_id(id)?;
        let case = self.cases.get_mut(&slot)?;
        let by = said.user.clone().unwrap_or_else(|| "?".to_owned());
        let reason = said.reason.clone().unwrap_or_default();
        case.note_recovery(event, "person");
        case.incident.acknowledged =
            Some(Acknowledged { by: by.clone(), at: event.last_timestamp, reason: reason.clone() });
        let only_waits = case.conditions.is_empty() && case.incident.needs_acknowledgement;
        case.incident.needs_acknowledgement = false;
        case.dirty = true;
        if resolves || only_waits {
            case.drop_conditions(event.last_timestamp, &|_| true);
            let known = case.incident.resolved_by.clone().filter(|_| !resolves);
            case.resolve(event.last_timestamp, known.unwrap_or_else(|| format!("{by}: {reason}")));
            self.unplan_quiet(slot);
        }
        self.write(slot, out);
        Some(slot)
    }

    /// A look at sysfs and mountinfo says that conditions are over.
    pub fn looked(&mut self, over: &[Condition], at: Timestamp, out: &mut Vec<Incident>) {
        self.now = self.now.max(Some(at));
        let slots: Vec<Slot> = self.cases.keys().copied().collect();
        for slot in slots {
            let Some(case) = self.cases.get_mut(&slot) else { continue };
            let is = |one: &Condition, two: &Condition| {
                one.condition == two.condition && one.device.is(&two.device) && one.last >= two.last
            };
            if !case.drop_conditions(at, &|mine| over.iter().any(|other| is(other, mine))) {
                continue;
            }
            if case.conditions.is_empty() && case.incident.state.is_open() {
                case.conclude(at, "sysfs");
            }
            case.dirty = true;
            self.plan_quiet(slot);
            self.write_if_due(slot, out);
        }
    }

    /// States of the kernel end with their boot.
    pub(super) fn enter_boot(&mut self, event: &Event, out: &mut Vec<Incident>) {
        if event.boot_id.is_empty() || event.boot_id == self.boot || self.boots.contains(&event.boot_id) {
            return;
        }
        if self.boots.len() >= BOOTS_MAX {
            self.boots.remove(0);
        }
        let is_first = self.boot.is_empty();
        self.boot.clone_from(&event.boot_id);
        self.boots.push(event.boot_id.clone());
        if is_first {
            return;
        }
        let open: Vec<Slot> = self
            .cases
            .iter()
            .filter(|(_, case)| case.incident.state.is_open())
            .map(|(slot, _)| *slot)
            .collect();
        for slot in open {
            let Some(case) = self.cases.get_mut(&slot) else { continue };
            let is_over = |condition: &Condition| {
                let lasting =
                    rows::row(&condition.condition).is_none_or(|row| row.lasts == rows::Lasts::OverReboots);
                !lasting && condition.device.boot_id != event.boot_id
            };
            if case.drop_conditions(event.first_timestamp, &is_over) || !case.had_condition {
                case.dirty = true;
                if case.conditions.is_empty() && case.incident.resolved_by.is_none() {
                    case.conclude(event.first_timestamp, "reboot");
                    self.plan_quiet(slot);
                }
                self.write_if_due(slot, out);
            }
        }
    }

    /// Does what is due by now.
    pub(super) fn settle(&mut self, out: &mut Vec<Incident>) {
        let Some(now) = self.now else { return };
        while let Some((at, slot)) = self.quiet.first().copied().filter(|(at, _)| *at <= now) {
            self.quiet.remove(&(at, slot));
            let Some(case) = self.cases.get_mut(&slot) else { continue };
            case.timers.1 = None;
            if case.quiet_at().is_some_and(|quiet| quiet <= now) {
                case.resolve(at, "quiet".to_owned());
                self.write_if_due(slot, out);
            } else {
                self.plan_quiet(slot);
            }
        }
        while let Some((at, slot)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, slot));
            self.write(slot, out);
        }
    }

    /// Holds the early signs of an incident against the limits.
    pub(super) fn judge_signs(&mut self, slot: Slot) {
        if let Some(case) = self.cases.get_mut(&slot)
            && case.signs.judge(&self.limits)
        {
            (case.dirty, case.is_news) = (true, true);
        }
        self.plan_quiet(slot);
    }

    pub(super) fn plan_quiet(&mut self, slot: Slot) {
        self.unplan_quiet(slot);
        if let Some(case) = self.cases.get_mut(&slot)
            && let Some(at) = case.quiet_at()
        {
            case.timers.1 = Some(at);
            self.quiet.insert((at, slot));
        }
    }
}

impl Case {
    /// Whether an event is about a device of it.
    fn is_about(&self, event: &Event) -> bool {
        let names = Facet::names_of(event);
        self.facets
            .iter()
            .any(|facet| facet.boot == event.boot_id && facet.own.iter().any(|name| names.contains(name)))
    }

    /// A fault is added: what was over is back.
    pub(super) fn reopen_for(&mut self, event: &Event) {
        let over =
            self.incident.state == State::Resolved || self.incident.resolved_by.is_some() || self.only_signs;
        let after = self.incident.resolved.unwrap_or(self.incident.updated);
        if over && event.last_timestamp >= after {
            self.reopen();
        }
    }
}
