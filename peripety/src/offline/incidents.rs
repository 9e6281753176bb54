//! The incidents of a log, each host's by itself.

use std::collections::BTreeMap;

use crate::{
    event::{
        Event, EventType,
        incident::{Incident, IncidentId},
    },
    incident::Incidents,
};

/// Hosts whose incidents are kept apart.
const HOSTS_MAX: usize = 4096;
/// Incidents that may go on, of all hosts together: a host has room for as many as the daemon, and a log may be of thousands.
const CASES_MAX: usize = 12_288;
/// Incidents that are kept.
const INCIDENTS_MAX: usize = 24_576;

/// One host.
#[derive(Debug, Default)]
struct Host {
    stage: Incidents,
    /// Number of its latest event.
    last: u64,
}

/// Gives events their incidents, and keeps the last revision of each.
#[derive(Debug, Default)]
pub struct ByHost {
    hosts: BTreeMap<String, Host>,
    /// Incidents of all hosts.
    cases: usize,
    pushed: u64,
    /// Nobody asks for the incidents themselves.
    only_events: bool,
    latest: BTreeMap<IncidentId, Incident>,
    revisions: Vec<Incident>,
    dropped: u64,
}

impl ByHost {
    /// Gives events their incidents, and keeps none.
    pub fn only_events() -> Self {
        Self { only_events: true, ..Self::default() }
    }

    /// Takes an event, which is given its incident.
    pub fn push(&mut self, event: &mut Event) {
        // Lines that the kernel left out are no fault, and nobody can look for them any more.
        if event.event_type == EventType::PERIPETY_EVENTS_LOST {
            return;
        }
        if self.hosts.len() >= HOSTS_MAX && !self.hosts.contains_key(&event.hostname) {
            self.forget_silent();
        }
        // Lines that name no host are of the host that the others are of.
        let mut name = event.hostname.as_str();
        if self.hosts.len() == 1 && !self.hosts.contains_key(name) {
            if let Some(unnamed) = self.hosts.remove("") {
                self.hosts.insert(name.to_owned(), unnamed);
            } else if name.is_empty()
                && let Some(only) = self.hosts.keys().next()
            {
                name = only;
            }
        }
        let name = name.to_owned();
        self.pushed += 1;
        let host = self.hosts.entry(name).or_default();
        host.last = self.pushed;
        let before = host.stage.len();
        host.stage.push(event, &mut self.revisions);
        self.cases = (self.cases + host.stage.len()).saturating_sub(before);
        while self.cases > CASES_MAX && self.hosts.len() > 1 {
            self.forget_silent();
        }
        self.keep();
    }

    /// Forgets the half of the hosts that was silent for longer.
    fn forget_silent(&mut self) {
        let mut numbers: Vec<u64> = self.hosts.values().map(|host| host.last).collect();
        let middle = numbers.len() / 2;
        let (_, limit, _) = numbers.select_nth_unstable(middle);
        let limit = *limit;
        let Self { hosts, revisions, .. } = self;
        hosts.retain(|_, host| {
            let stays = host.last >= limit;
            if !stays {
                host.stage.finish(revisions);
            }
            stays
        });
        self.cases = self.hosts.values().map(|host| host.stage.len()).sum();
    }

    /// All incidents, in the order in which they began; not those that became part of another.
    pub fn finish(mut self) -> Vec<Incident> {
        for host in self.hosts.values_mut() {
            host.stage.finish(&mut self.revisions);
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
            if self.only_events {
                continue;
            }
            if self.latest.len() >= INCIDENTS_MAX && !self.latest.contains_key(&incident.incident_id) {
                self.dropped += 1;
                continue;
            }
            self.latest.insert(incident.incident_id, incident);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{EventId, EventType, Severity},
        notifier::fixture::sample,
    };

    #[test]
    fn incidents_of_many_hosts_are_bounded_and_the_last_ones_go_on() {
        let mut by_host = ByHost::only_events();
        let mut last = None;
        for number in 0..40_000_u128 {
            let mut event = sample();
            event.event_id = EventId::from_u128(number);
            event.hostname = format!("host{}", number % 3000);
            event.kdev = format!("sd{number}");
            event.block = None;
            (event.event_type, event.severity) = (EventType::FS_ERROR, Severity::Error);
            by_host.push(&mut event);
            assert!(by_host.cases <= CASES_MAX);
            last = Some(event);
        }
        assert!(by_host.cases > CASES_MAX / 4, "{}", by_host.cases);
        assert!(by_host.latest.is_empty());
        // The same event once more is of the same incident.
        let mut again = last.unwrap();
        let incident = again.incident_id.take();
        assert!(incident.is_some());
        again.revision += 1;
        by_host.push(&mut again);
        assert_eq!(again.incident_id, incident);
    }
}
