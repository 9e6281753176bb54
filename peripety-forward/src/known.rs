//! What is known of the host's incidents: to which shared thing each belongs, and what was reported of it to the fleet. Pure.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use peripety_model::{Event, EventId, Incident, IncidentId, Severity};
use serde::{Deserialize, Serialize};

use crate::{
    cluster::{Member, Report},
    host::{OPEN_MAX, Open},
    shared::{self, Thing},
};

/// Events of which the shared things are remembered: an incident comes a moment after its events.
const EVENTS_MAX: usize = 512;
/// Incidents that are remembered.
const INCIDENTS_MAX: usize = 4096;

/// All of it. It is kept with the place in the journal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// What events named, the oldest first.
    events: VecDeque<(EventId, Vec<Thing>)>,
    incidents: BTreeMap<IncidentId, Of>,
}

/// Of one incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Of {
    member: Member,
    at: Timestamp,
    thing: Option<Thing>,
    cluster: Option<EventId>,
    /// What was reported to the fleet last.
    reported: Option<(bool, Severity)>,
}

impl Of {
    fn is_reported(&self) -> bool {
        let nothing = self.thing.is_none() || (self.reported.is_none() && !self.member.open);
        nothing || self.reported == Some((self.member.open, self.member.severity))
    }
}

impl Known {
    /// Takes note of what an event names.
    pub fn event(&mut self, event: &Event) {
        let things = shared::things(event);
        if things.is_empty() || self.events.iter().any(|(id, _)| *id == event.event_id) {
            return;
        }
        self.events.push_back((event.event_id, things));
        if self.events.len() > EVENTS_MAX {
            self.events.pop_front();
        }
    }

    /// Takes a revision of an incident.
    pub fn incident(&mut self, host: &str, incident: &Incident) {
        let report = Report::of(host, incident);
        let before = self.incidents.get(&incident.incident_id);
        if before.is_some_and(|before| before.member.revision > incident.revision) {
            return;
        }
        let thing = before.and_then(|before| before.thing.clone()).or_else(|| self.thing(incident));
        let (cluster, reported) = before.map_or((None, None), |before| (before.cluster, before.reported));
        let of = Of { member: report.member, at: report.at, thing, cluster, reported };
        self.incidents.insert(incident.incident_id, of);
        self.forget();
    }

    /// The things of its cause's event first, then those of the others.
    fn thing(&self, incident: &Incident) -> Option<Thing> {
        let ids =
            incident.cause.event_id.into_iter().chain(incident.events.iter().map(|member| member.event_id));
        let things: Vec<Thing> = ids
            .filter_map(|id| self.events.iter().find(|(of, _)| *of == id))
            .flat_map(|(_, things)| things.iter().cloned())
            .collect();
        shared::of_incident(incident, &things).cloned()
    }

    /// What is over and was reported is of no use any more; of too many the oldest go.
    fn forget(&mut self) {
        self.incidents.retain(|_, of| of.member.open || !of.is_reported());
        while self.incidents.len() > INCIDENTS_MAX {
            let oldest =
                self.incidents.iter().min_by_key(|(_, of)| (of.member.open, of.at)).map(|(id, _)| *id);
            let Some(oldest) = oldest else { return };
            self.incidents.remove(&oldest);
        }
    }

    /// What is to be reported to the fleet, the oldest first.
    pub fn unreported(&self, host: &str) -> Vec<(Thing, Report)> {
        let mut unreported: Vec<(Thing, Report)> = self
            .incidents
            .iter()
            .filter(|(_, of)| !of.is_reported())
            .filter_map(|(id, of)| {
                let report =
                    Report { host: host.to_owned(), incident_id: *id, member: of.member.clone(), at: of.at };
                Some((of.thing.clone()?, report))
            })
            .collect();
        unreported.sort_by_key(|(_, report)| report.at);
        unreported
    }

    /// It was reported, and this is the incident of the fleet.
    pub fn reported(&mut self, report: &Report, cluster: Option<EventId>) {
        if let Some(of) = self.incidents.get_mut(&report.incident_id) {
            of.reported = Some((report.member.open, report.member.severity));
            of.cluster = cluster.or(of.cluster);
        }
        self.forget();
    }

    /// The incident of the fleet that one belongs to.
    pub fn cluster(&self, id: IncidentId) -> Option<EventId> {
        self.incidents.get(&id)?.cluster
    }

    /// What is open, the worst first, and how many more are.
    pub fn open(&self) -> (Vec<Open>, u64) {
        let mut open: Vec<Open> = self
            .incidents
            .iter()
            .filter(|(_, of)| of.member.open)
            .map(|(id, of)| Open {
                incident_id: *id,
                severity: of.member.severity,
                since: of.member.since,
                title: of.member.title.clone(),
                thing: of.thing.clone(),
                cluster_id: of.cluster,
            })
            .collect();
        open.sort_by_key(|one| (one.severity, one.since));
        let more = open.len().saturating_sub(OPEN_MAX);
        open.truncate(OPEN_MAX);
        (open, more as u64)
    }
}

#[cfg(test)]
mod tests {
    use peripety_model::incident::State;

    use super::*;
    use crate::cluster::tests::incident;

    fn with_thing() -> (Known, Incident) {
        let mut known = Known::default();
        let id = EventId::from_u128(3);
        known.events.push_back((id, vec![crate::cluster::tests::lun()]));
        let mut incident = incident();
        incident.cause.event_id = Some(id);
        (known, incident)
    }

    #[test]
    fn a_change_is_reported_once_and_what_is_over_is_forgotten() {
        let (mut known, mut incident) = with_thing();
        known.incident("h", &incident);
        let unreported = known.unreported("h");
        assert_eq!(unreported.len(), 1);
        let cluster = EventId::from_u128(9);
        known.reported(&unreported[0].1, Some(cluster));
        assert_eq!((known.unreported("h").len(), known.cluster(incident.incident_id)), (0, Some(cluster)));
        incident.revision = 1;
        known.incident("h", &incident);
        assert_eq!(known.unreported("h").len(), 0, "it only grew");
        (incident.revision, incident.state) = (2, State::Resolved);
        known.incident("h", &incident);
        let unreported = known.unreported("h");
        assert_eq!(unreported.len(), 1);
        (incident.revision, incident.state) = (1, State::Open);
        known.incident("h", &incident);
        assert_eq!(known.unreported("h"), unreported, "an old revision came late");
        known.reported(&unreported[0].1, Some(cluster));
        assert_eq!((known.open().0.len(), known.incidents.len()), (0, 0));
    }

    #[test]
    fn what_began_and_ended_unreported_is_not_reported_and_memory_is_bounded() {
        let (mut known, mut incident) = with_thing();
        incident.state = State::Resolved;
        known.incident("h", &incident);
        assert_eq!(known.unreported("h").len(), 0);
        incident.state = State::Open;
        for id in 0..(INCIDENTS_MAX as u128 + 50) {
            incident.incident_id = EventId::from_u128(id);
            known.incident("h", &incident);
        }
        assert_eq!(known.incidents.len(), INCIDENTS_MAX);
        let (open, more) = known.open();
        assert_eq!((open.len(), more), (OPEN_MAX, (INCIDENTS_MAX - OPEN_MAX) as u64));
        let json = serde_json::to_vec(&known).unwrap();
        assert_eq!(serde_json::from_slice::<Known>(&json).unwrap(), known);
    }
}
