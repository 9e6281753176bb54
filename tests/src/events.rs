//! Waiting for events, and reporting what came instead.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, anyhow};
use peripety::event::{Event, EventId};

use crate::cmd;

/// How long an event may take. The first of a kind is out within 100 ms; the machine may be busy.
pub const SOON: Duration = Duration::from_secs(20);

/// Waits until `source` has an event that `is_it`.
pub fn expect(
    what: &str,
    mut source: impl FnMut() -> Result<Vec<Event>>,
    is_it: impl Fn(&Event) -> bool,
) -> Result<Event> {
    cmd::wait_for(what, SOON, || {
        let events = source()?;
        events
            .iter()
            .rfind(|event| is_it(event))
            .cloned()
            .ok_or_else(|| anyhow!("there are {}", reported(&events)))
    })
}

/// Whether an event is about the device with this name: `loop3`.
pub fn about(event: &Event, device: &str) -> bool {
    let node = format!("/dev/{device}");
    event.kdev == device || event.block.as_ref().is_some_and(|block| block.id.blk_path == node)
}

/// The last revision of each event.
pub fn latest(events: Vec<Event>) -> Vec<Event> {
    let mut latest: BTreeMap<EventId, Event> = BTreeMap::new();
    for event in events {
        let newer = latest.get(&event.event_id).is_none_or(|known| known.revision <= event.revision);
        if newer {
            latest.insert(event.event_id, event);
        }
    }
    latest.into_values().collect()
}

/// A list of events for a message.
pub fn reported(events: &[Event]) -> String {
    let line = |event: &Event| {
        format!("{} {} x{} '{}'", event.event_type.as_str(), event.kdev, event.count, event.msg)
    };
    let shown: Vec<_> = events.iter().rev().take(20).map(line).collect();
    format!("{} events, last first: {}", events.len(), shown.join("; "))
}
