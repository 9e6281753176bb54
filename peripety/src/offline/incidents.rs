//! The incidents of a log, each host's by itself.

use std::collections::BTreeMap;

use crate::{
    event::{
        Event,
        incident::{Incident, IncidentId},
    },
    incident::Incidents,
};

/// Hosts whose incidents are kept apart.
const HOSTS_MAX: usize = 8192;
/// Incidents that are kept.
const INCIDENTS_MAX: usize = 65_536;

/// Gives events their incidents, and keeps the last revision of each.
#[derive(Debug, Default)]
pub struct ByHost {
    hosts: BTreeMap<String, Incidents>,
    latest: BTreeMap<IncidentId, Incident>,
    revisions: Vec<Incident>,
    dropped: u64,
}

impl ByHost {
    /// Takes an event, which is reported its incident.
    pub fn push(&mut self, event: &mut Event) {
        if self.hosts.len() >= HOSTS_MAX && !self.hosts.contains_key(&event.hostname) {
            let first = self.hosts.keys().next().cloned();
            if let Some(mut gone) = first.and_then(|host| self.hosts.remove(&host)) {
                gone.finish(&mut self.revisions);
            }
        }
        // Lines that name no host are of the host that the others are of.
        if self.hosts.len() == 1 && !self.hosts.contains_key(&event.hostname) {
            if let Some(unnamed) = self.hosts.remove("") {
                self.hosts.insert(event.hostname.clone(), unnamed);
            } else if event.hostname.is_empty()
                && let Some(stage) = self.hosts.values_mut().next()
            {
                stage.push(event, &mut self.revisions);
                return self.keep();
            }
        }
        let stage = self.hosts.entry(event.hostname.clone()).or_default();
        stage.push(event, &mut self.revisions);
        self.keep();
    }

    /// All incidents, in the order in which they began; not those that became part of another.
    pub fn finish(mut self) -> Vec<Incident> {
        for stage in self.hosts.values_mut() {
            stage.finish(&mut self.revisions);
        }
        self.keep();
        let mut all: Vec<Incident> =
            self.latest.into_values().filter(|incident| incident.superseded_by.is_none()).collect();
        all.sort_by_key(|incident| (incident.opened, incident.incident_id));
        all
    }

    /// How many were left out for lack of room.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    fn keep(&mut self) {
        for incident in self.revisions.drain(..) {
            if self.latest.len() >= INCIDENTS_MAX && !self.latest.contains_key(&incident.incident_id) {
                self.dropped += 1;
                continue;
            }
            self.latest.insert(incident.incident_id, incident);
        }
    }
}
