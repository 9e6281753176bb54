//! The events of an incident: which are kept, how often they failed, what they hurt.

use super::{
    super::{class::Class, facet::Facet, impact, rules, words},
    Case, GROWING_MAX, MEMBERS_MAX, Reported,
};
use crate::event::{
    Event, EventId, Severity,
    incident::{ImpactKind, Member, Relation},
};

impl Case {
    /// Takes back what an event reported before.
    pub(super) fn forget_reported(&mut self, id: EventId) {
        let Some(reported) = self.reported.remove(&id) else { return };
        let harm = if reported.is_below { &mut self.harm_below } else { &mut self.harm };
        for kind in reported.harm {
            if let Some(many) = harm.get_mut(&kind) {
                *many = many.saturating_sub(1);
            }
        }
        harm.retain(|_, many| *many > 0);
        self.errors = self.errors.saturating_sub(u32::from(reported.is_error));
    }

    /// Gives an event back that belongs elsewhere. Not where others rest on it, or where nothing would be left.
    pub(in crate::incident) fn release(&mut self, event: &Event) -> bool {
        let id = event.event_id;
        let rests_on_it = |because: Option<EventId>| because == Some(id);
        if self.facets.len() < 2
            || self.facets.iter().any(|facet| rests_on_it(facet.because))
            || self.incident.events.iter().any(|member| rests_on_it(member.because))
        {
            return false;
        }
        self.forget_reported(id);
        self.facets.retain(|facet| facet.event_id != id);
        self.incident.events.retain(|member| member.event_id != id);
        self.conditions.retain(|c| c.event_id != Some(id) || c.last_event_id != Some(id));
        self.growing.remove(&id);
        // How sure the rest is follows from what links the rest.
        self.incident.cause.rules.retain(|rule| self.facets.iter().any(|facet| facet.rule == *rule));
        self.certainty = self.facets.iter().map(|f| rules::certainty(&f.rule)).min().unwrap_or_default();
        self.incident.event_count = self.incident.event_count.saturating_sub(1);
        self.incident.failures = self.incident.failures.saturating_sub(event.count);
        self.dirty = true;
        true
    }

    pub(super) fn touch(&mut self, event: &Event) {
        self.incident.updated = self.incident.updated.max(event.last_timestamp);
        self.incident.opened = self.incident.opened.min(event.first_timestamp);
        self.incident.boot_id.clone_from(&event.boot_id);
        self.dirty = true;
    }

    pub(super) fn count(&mut self, event: &Event, before: Option<u64>) {
        let more = event.count.saturating_sub(before.unwrap_or(0));
        self.incident.failures = self.incident.failures.saturating_add(more);
        self.signs.count(event, more);
        if event.is_final {
            self.growing.remove(&event.event_id);
        } else if self.growing.len() < GROWING_MAX {
            self.growing.insert(event.event_id, event.count);
        }
    }

    pub(super) fn note_member(&mut self, event: &Event, facet: &Facet) {
        self.incident.event_count += 1;
        self.count(event, None);
        let member = member(event, facet);
        self.keep_member(member);
    }

    pub(super) fn keep_member(&mut self, member: Member) {
        let events = &mut self.incident.events;
        if events.len() >= MEMBERS_MAX {
            // The cause and what came of it last are kept; of what is alike, the first.
            let Some(place) =
                events.iter().enumerate().skip(1).max_by_key(|(n, m)| (m.severity, *n)).map(|(n, _)| n)
            else {
                return;
            };
            let is_milder = events.get(place).is_none_or(|m| m.severity <= member.severity);
            if is_milder && member.relation.is_failure() {
                return;
            }
            events.remove(place);
        }
        events.push(member);
    }

    pub(super) fn note_harm(&mut self, event: &Event, class: Class, facet: &Facet) {
        let is_error = event.severity.at_least(Severity::Error);
        self.errors = self.errors.saturating_add(u32::from(is_error));
        let is_below = matches!(
            class,
            Class::Way | Class::Removed | Class::NoAnswer | Class::GivenUp | Class::Command | Class::Request
        );
        let kinds = impact::kinds(event, class, &facet.failed);
        if !event.is_final && self.reported.len() < GROWING_MAX {
            self.reported.insert(event.event_id, Reported { harm: kinds.clone(), is_below, is_error });
        }
        for &kind in &kinds {
            let harm = if is_below { &mut self.harm_below } else { &mut self.harm };
            *harm.entry(kind).or_default() += 1;
            // A person who knew of less has to know of this.
            if kind == ImpactKind::DataLost
                && self.incident.acknowledged.as_ref().is_some_and(|ack| ack.at < event.last_timestamp)
            {
                self.incident.acknowledged = None;
            }
        }
        impact::add_names(&mut self.incident.impact, event, class, &kinds);
    }

    /// Notes an event that is no fault.
    pub fn note_recovery(&mut self, event: &Event, rule: &str) {
        if let Some(known) = self.incident.events.iter_mut().find(|m| m.event_id == event.event_id) {
            // Between two recoveries that one event counts it failed again, however few of its revisions are written.
            let more = event.count.saturating_sub(known.count);
            self.signs.count(event, more);
            (known.count, known.last) = (known.count.max(event.count), known.last.max(event.last_timestamp));
            let unseen = u32::try_from(more.saturating_sub(1)).unwrap_or(u32::MAX);
            self.incident.episodes = self.incident.episodes.saturating_add(unseen);
            self.touch(event);
            return;
        }
        self.incident.event_count += 1;
        self.signs.count(event, event.count);
        self.keep_member(beside(event, Relation::Recovery, rule));
        self.touch(event);
    }

    /// Notes the state of a device. A later one of the same device takes its place.
    pub fn note_snapshot(&mut self, event: &Event) {
        let device = words::short(event);
        let is_older = |m: &Member| m.relation == Relation::Snapshot && m.device == device;
        let before = self.incident.events.len();
        self.incident.events.retain(|member| !is_older(member));
        if self.incident.events.len() == before {
            self.incident.event_count += 1;
        }
        self.keep_member(beside(event, Relation::Snapshot, ""));
        self.dirty = true;
    }
}

fn member(event: &Event, facet: &Facet) -> Member {
    Member { because: facet.because, ..beside(event, facet.relation, &facet.rule) }
}

/// An event that came of no other.
fn beside(event: &Event, relation: Relation, rule: &str) -> Member {
    Member {
        event_id: event.event_id,
        event_type: event.event_type.clone(),
        device: words::short(event),
        relation,
        because: None,
        rule: rule.to_owned(),
        severity: event.severity,
        count: event.count,
        first: event.first_timestamp,
        last: event.last_timestamp,
        msg: event.msg.clone(),
    }
}
