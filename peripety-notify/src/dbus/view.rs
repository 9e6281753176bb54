//! What the objects show: facts that any local user may know. No text of the kernel or of a device's firmware beyond its model
//! is in it.

use std::collections::HashMap;

use jiff::Timestamp;
use peripety_model::{BlkId, Event, Incident, Severity};
use zbus::Variant;

use super::names;

/// What is not explained here is in a signal's or method's dictionary.
pub(super) type More = HashMap<&'static str, Variant<'static>>;

/// Microseconds since 1970.
pub(super) fn us(at: Timestamp) -> u64 {
    u64::try_from(at.as_microsecond()).unwrap_or(0)
}

/// A block device that had an event.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Block {
    pub(super) path: String,
    pub(super) id: BlkId,
    pub(super) last: Last,
    /// Objects of the open incidents that it is part of.
    pub(super) incidents: Vec<String>,
}

/// The latest event of a device.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Last {
    pub(super) event_id: String,
    pub(super) event_type: String,
    pub(super) severity: Severity,
    pub(super) count: u64,
    pub(super) at: Timestamp,
}

impl Block {
    /// The device at fault of an event, by the kernel's name.
    pub(super) fn of(event: &Event) -> Option<(String, Self)> {
        let id = &event.block.as_deref()?.id;
        let name = id.blk_path.strip_prefix("/dev/").filter(|name| !name.is_empty())?.to_owned();
        let last = Last {
            event_id: event.event_id.to_string(),
            event_type: event.event_type.as_str().to_owned(),
            severity: event.severity,
            count: event.count,
            at: event.timestamp,
        };
        Some((name.clone(), Self { path: names::block(&name), id: id.clone(), last, incidents: Vec::new() }))
    }

    /// Whether it is the same device under the same name.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let differ = |one: &str, two: &str| !one.is_empty() && !two.is_empty() && one != two;
        let numbers = self.id.diskseq.zip(other.id.diskseq);
        !differ(&self.id.wwid, &other.id.wwid) && numbers.is_none_or(|(one, two)| one == two)
    }

    fn is_named(&self, name: &str) -> bool {
        let is_path = |path: &String| path == name || path.strip_prefix("/dev/") == Some(name);
        let BlkId { wwid, blk_path, preferred_blk_path, .. } = &self.id;
        !name.is_empty() && (name == wwid || [blk_path, preferred_blk_path].into_iter().any(is_path))
    }

    /// Whether an incident has it as its cause.
    pub(super) fn is_cause_of(&self, incident: &Incident) -> bool {
        let cause = &incident.cause;
        let of_device = cause.device.as_ref().map(|device| [&device.path, &device.wwid]);
        self.is_named(&cause.name)
            || of_device.is_some_and(|names| names.iter().any(|name| self.is_named(name)))
    }

    /// Whether an incident is about it: as its cause, or as one of the devices that are hit.
    pub(super) fn is_part_of(&self, incident: &Incident) -> bool {
        self.is_cause_of(incident)
            || incident.impact.devices.iter().any(|name| self.is_named(name))
            || incident.events.iter().any(|member| self.is_named(&member.device))
    }
}

/// What an incident is, in our own words and names of devices.
pub(super) fn summary(incident: &Incident) -> String {
    let impact: Vec<&str> = incident.impact.kinds.iter().map(|kind| kind.words()).collect();
    let cause = &incident.cause;
    let hurt = if impact.is_empty() { String::new() } else { format!("; {}", impact.join(", ")) };
    format!("{}: {}{hurt}", cause.name, cause.kind.words())
}

/// What a signal says of an incident beside its arguments.
pub(super) fn of_incident(incident: &Incident) -> More {
    let mut more = More::from([
        ("state", Variant::from(incident.state.as_str())),
        ("cause", Variant::from(incident.cause.name.clone())),
        ("failures", Variant::from(incident.failures)),
        ("events", Variant::from(incident.event_count)),
        ("updated", Variant::from(us(incident.updated))),
    ]);
    if let Some(other) = incident.superseded_by {
        more.insert("superseded-by", Variant::from(names::incident(other)));
    }
    more
}

/// What a signal says of an event beside its arguments.
pub(super) fn of_event(event: &Event) -> More {
    let mut more = More::from([
        ("device", Variant::from(event.kdev.clone())),
        ("count", Variant::from(event.count)),
        ("timestamp", Variant::from(us(event.timestamp))),
        ("final", Variant::from(event.is_final)),
        ("sub-system", Variant::from(event.sub_system.as_str().to_owned())),
    ]);
    if let Some(io) = &event.io {
        more.insert("operation", Variant::from(io.op.as_str()));
        if let Some(errno) = &io.errno_name {
            more.insert("errno", Variant::from(errno.clone()));
        }
    }
    more
}
