//! Health snapshots of disks, which peripety-watch takes when something of them failed.

use peripety_watch::message::Health;

use super::{Kdev, RawEvent};
use crate::{
    event::{EventType, Severity},
    record::Stamp,
};

/// As it stands in an event's `sources`.
const SOURCE: &str = "health";

/// What a snapshot says. It is worth knowing; of a disk that says itself that it fails it is a warning.
pub(crate) fn parse(health: &Health, time: Stamp) -> RawEvent {
    let at = time.monotonic_ns.unwrap_or(0);
    let mut raw = RawEvent::new(time, SOURCE, format!("{at}/{}", health.dev), EventType::BLK_HEALTH);
    raw.kdev = Kdev::Dev(health.dev);
    if health.facts.failing == Some(true) {
        raw.severity = Severity::Warning;
    }
    raw.facts.health = Some(health.facts.clone());
    raw
}
