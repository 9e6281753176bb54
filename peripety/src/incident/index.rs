//! How incidents are found: by the names of devices, by events, by ids.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::{case::Case, facet::Facet};
use crate::event::{EventId, incident::IncidentId};

/// Incidents that are found by one name, the latest ones.
const EACH_MAX: usize = 16;
/// Events that are remembered.
const EVENTS_MAX: usize = 65_536;
/// Incidents that failed of late.
const RECENT_MAX: usize = 64;

/// An incident's place. Older incidents have lower ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Slot(pub u64);

/// The index.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_key: HashMap<String, Vec<Slot>>,
    by_event: HashMap<EventId, Slot>,
    events: VecDeque<EventId>,
    by_id: HashMap<IncidentId, Slot>,
    recent: VecDeque<Slot>,
}

impl Index {
    /// Adds an incident.
    pub(super) fn add(&mut self, slot: Slot, case: &Case) {
        self.by_id.insert(case.incident.incident_id, slot);
        for id in &case.incident.supersedes {
            self.by_id.insert(*id, slot);
        }
        for facet in &case.facets {
            self.add_facet(slot, facet);
        }
        for key in &case.keys {
            self.add_key(key.clone(), slot);
        }
        if let Some(part) = &case.part {
            self.add_key(part.key(), slot);
        }
        let members = case.incident.events.iter().map(|member| member.event_id);
        // Those that may still grow come again, also those that are not kept in full.
        for id in members.chain(case.growing.keys().copied()) {
            self.note_event(id, slot);
        }
        self.touch(slot);
    }

    /// Adds what an event says.
    pub(super) fn add_facet(&mut self, slot: Slot, facet: &Facet) {
        let names = facet.own.iter().chain(&facet.below).chain(&facet.above).cloned();
        for key in names.chain(facet.parts.iter().map(super::part::SharedPart::key)) {
            self.add_key(key, slot);
        }
    }

    /// Adds a name.
    pub(super) fn add_key(&mut self, key: String, slot: Slot) {
        let slots = self.by_key.entry(key).or_default();
        if slots.contains(&slot) {
            return;
        }
        if slots.len() >= EACH_MAX {
            slots.remove(0);
        }
        slots.push(slot);
    }

    /// The incidents with a name, the latest last.
    pub(super) fn with(&self, key: &str) -> &[Slot] {
        self.by_key.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Notes to which incident an event belongs.
    pub(super) fn note_event(&mut self, id: EventId, slot: Slot) {
        if self.by_event.insert(id, slot).is_none() {
            if self.events.len() >= EVENTS_MAX
                && let Some(old) = self.events.pop_front()
            {
                self.by_event.remove(&old);
            }
            self.events.push_back(id);
        }
    }

    /// The incident of an event.
    pub(super) fn of_event(&self, id: EventId) -> Option<Slot> {
        self.by_event.get(&id).copied()
    }

    /// The incident with an id.
    pub(super) fn of_id(&self, id: IncidentId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    /// An incident failed now.
    pub(super) fn touch(&mut self, slot: Slot) {
        self.recent.retain(|other| *other != slot);
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(slot);
    }

    /// Those that failed of late.
    pub(super) fn recent(&self) -> impl Iterator<Item = Slot> {
        self.recent.iter().copied()
    }

    /// An incident is part of another one now.
    pub(super) fn redirect(&mut self, from: Slot, to: Slot, case: &Case) {
        for slot in self.by_event.values_mut().filter(|slot| **slot == from) {
            *slot = to;
        }
        for slot in self.by_id.values_mut().filter(|slot| **slot == from) {
            *slot = to;
        }
        self.recent.retain(|slot| *slot != from);
        let parts = case.facets.iter().flat_map(|f| f.parts.iter().map(super::part::SharedPart::key));
        let keys: Vec<String> = case.index_keys().cloned().chain(parts).collect();
        for key in keys {
            if let Some(slots) = self.by_key.get_mut(&key) {
                slots.retain(|slot| *slot != from && *slot != to);
                slots.push(to);
            }
        }
        self.touch(to);
    }

    /// An incident is forgotten.
    pub(super) fn remove(&mut self, slot: Slot, case: &Case) {
        // Events beyond those that it keeps lead to a place where nothing is.
        for member in &case.incident.events {
            self.by_event.remove(&member.event_id);
        }
        self.by_id.remove(&case.incident.incident_id);
        for id in &case.incident.supersedes {
            self.by_id.remove(id);
        }
        self.recent.retain(|other| *other != slot);
        let parts = case.facets.iter().flat_map(|f| f.parts.iter().map(super::part::SharedPart::key));
        let of_part = case.part.iter().map(super::part::SharedPart::key);
        let keys: Vec<String> = case.index_keys().cloned().chain(parts).chain(of_part).collect();
        for key in keys {
            if let Some(slots) = self.by_key.get_mut(&key) {
                slots.retain(|other| *other != slot);
                if slots.is_empty() {
                    self.by_key.remove(&key);
                }
            }
        }
    }
}
