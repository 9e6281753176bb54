//! What failed on each device, when first, when last, how often.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Serialize;

use crate::event::{Event, EventId, EventType, Severity};

/// Devices that are distinguished.
const DEVICES_MAX: usize = 65_536;

/// What one type of event on one device comes to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    /// Host.
    pub hostname: String,
    /// The device as humans name it; empty for events of no device.
    pub device: String,
    /// What happened.
    pub event_type: EventType,
    /// The worst of them.
    pub severity: Severity,
    /// How many events.
    pub events: u64,
    /// How many failures they stand for.
    pub count: u64,
    /// When the first failure happened.
    pub first_timestamp: Timestamp,
    /// When the latest failure happened.
    pub last_timestamp: Timestamp,
}

/// Events by host, device and type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    rows: BTreeMap<(String, String, String), Row>,
    /// Events that were reported before they were over, with their count so far: they come once more.
    unfinished: HashMap<EventId, u64>,
}

impl Summary {
    /// Counts an event.
    pub(crate) fn add(&mut self, event: &Event) {
        let device = device(event);
        let key = (event.hostname.clone(), device.clone(), event.event_type.as_str().to_owned());
        if self.rows.len() >= DEVICES_MAX && !self.rows.contains_key(&key) {
            return;
        }
        let counted = self.unfinished.remove(&event.event_id);
        if !event.is_final && self.unfinished.len() < DEVICES_MAX {
            self.unfinished.insert(event.event_id, event.count);
        }
        let row = self.rows.entry(key).or_insert_with(|| Row {
            hostname: event.hostname.clone(),
            device,
            event_type: event.event_type.clone(),
            severity: event.severity,
            events: 0,
            count: 0,
            first_timestamp: event.first_timestamp,
            last_timestamp: event.last_timestamp,
        });
        row.events += u64::from(counted.is_none());
        row.count = row.count.saturating_add(event.count.saturating_sub(counted.unwrap_or(0)));
        if event.severity.at_least(row.severity) {
            row.severity = event.severity;
        }
        row.first_timestamp = row.first_timestamp.min(event.first_timestamp);
        row.last_timestamp = row.last_timestamp.max(event.last_timestamp);
    }

    /// All rows: hosts and devices by name, on each the worst first, then the oldest.
    pub(crate) fn rows(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.rows.values().collect();
        rows.sort_by(|a, b| {
            let worst = || a.severity.at_least(b.severity).cmp(&b.severity.at_least(a.severity)).reverse();
            let place = (&a.hostname, &a.device).cmp(&(&b.hostname, &b.device));
            place.then_with(worst).then_with(|| a.first_timestamp.cmp(&b.first_timestamp))
        });
        rows
    }
}

fn device(event: &Event) -> String {
    match &event.block {
        Some(block) if !block.id.preferred_blk_path.is_empty() || !block.id.blk_path.is_empty() => {
            block.id.name()
        }
        _ => event.kdev.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::fixture::sample;

    #[test]
    fn events_of_one_type_on_one_device_are_one_row() {
        let mut summary = Summary::default();
        let first = sample();
        let mut later = Event { event_id: uuid::Uuid::from_u128(7), ..sample() };
        later.count = 5;
        later.last_timestamp = first.last_timestamp + jiff::SignedDuration::from_secs(60);
        let worse = Event { severity: Severity::Critical, event_type: EventType::BLK_LOST_WRITE, ..sample() };
        for event in [&first, &later, &worse] {
            summary.add(event);
        }
        let rows = summary.rows();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].event_type, EventType::BLK_LOST_WRITE, "the worst comes first");
        assert_eq!((rows[1].events, rows[1].count), (2, first.count + 5));
        assert_eq!(
            (rows[1].first_timestamp, rows[1].last_timestamp),
            (first.first_timestamp, later.last_timestamp)
        );
    }

    #[test]
    fn an_event_that_is_told_again_is_counted_once() {
        let mut summary = Summary::default();
        for (count, is_final) in [(3, false), (5, false), (9, true)] {
            summary.add(&Event { count, is_final, ..sample() });
        }
        assert_eq!(summary.rows().iter().map(|row| (row.events, row.count)).collect::<Vec<_>>(), [(1, 9)]);
    }
}
