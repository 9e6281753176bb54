//! A revision of an incident on its way out: it takes the way of events, with their queues and their spool.

use std::collections::BTreeMap;

use serde::Deserialize as _;

use crate::event::{Event, EventType, SCHEMA_VERSION, SubSystem, incident::Incident};

/// Type of what carries an incident; no event of this type is ever shown.
const TYPE: &str = "PERIPETY_INCIDENT";
/// Key of its extension.
const KEY: &str = "incident";

/// What takes a revision of an incident out; none if it has no JSON.
pub fn carry(incident: &Incident) -> Option<Event> {
    let json = serde_json::to_value(incident).ok()?;
    Some(Event {
        schema: SCHEMA_VERSION,
        event_id: incident.incident_id,
        root_cause_event_id: None,
        incident_id: Some(incident.incident_id),
        timestamp: incident.updated,
        monotonic_ns: None,
        boot_id: incident.boot_id.clone(),
        hostname: incident.hostname.clone(),
        severity: incident.severity,
        sub_system: SubSystem::known("peripety"),
        event_type: EventType::new(TYPE),
        msg: incident.title.clone(),
        raw_msgs: Vec::new(),
        kdev: String::new(),
        block: None,
        io: None,
        count: 1,
        revision: incident.revision,
        is_final: !incident.state.is_open(),
        first_timestamp: incident.opened,
        last_timestamp: incident.updated,
        sector_ranges: Vec::new(),
        sources: Vec::new(),
        lost_before: 0,
        facts: crate::event::Facts::default(),
        confirmed: true,
        extension: BTreeMap::from([(KEY.to_owned(), json)]),
    })
}

/// Whether it carries an incident.
pub(crate) fn is_carrier(event: &Event) -> bool {
    event.event_type.as_str() == TYPE
}

/// The incident that it carries, as JSON.
pub(crate) fn json(event: &Event) -> Option<&serde_json::Value> {
    event.extension.get(KEY).filter(|_| is_carrier(event))
}

/// The incident that it carries.
pub(crate) fn carried(event: &Event) -> Option<Incident> {
    Incident::deserialize(json(event)?).ok()
}
