//! Which incidents and events a receiver is notified of: a filter as those of the daemon's socket, with one exception.

use peripety_model::{Event, Filter, Incident};

use crate::config::Notify;

/// Whether an incident is for this receiver.
pub(crate) fn takes_incident(notify: &Notify, incident: &Incident) -> bool {
    let mut types = incident.events.iter().map(|member| member.event_type.as_str());
    // That a receiver takes nothing hurts nobody's data; the others say it all the same, and it itself cannot.
    if types.any(|name| name == "PERIPETY_NOTIFICATION_FAILED") {
        let itself = incident.cause.name == format!("notify:{}", notify.name);
        return !itself && Filter { severity: None, ..notify.filter().clone() }.takes_incident(incident);
    }
    notify.filter().takes_incident(incident)
}

/// Whether an event is for this receiver.
pub(crate) fn takes_event(notify: &Notify, event: &Event) -> bool {
    notify.filter().takes_event(event)
}
