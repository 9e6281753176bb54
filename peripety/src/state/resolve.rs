//! What a person says is over: `prpt resolve` asks, the daemon writes it down as an event, the table ends what it names.

use serde_json::{Map, Value, json};

use super::condition::{Condition, Subject};
use crate::event::Event;

/// What an event keeps of the conditions, so that they are found again, also after a reboot.
pub(crate) fn noted(conditions: &[Condition]) -> Vec<Map<String, Value>> {
    let one = |c: &Condition| {
        let device =
            Subject { mount_points: Vec::new(), holders: Vec::new(), owners: Vec::new(), ..c.device.clone() };
        let noted =
            json!({ "condition": c.condition, "device": device, "since": c.since, "event_id": c.event_id });
        if let Value::Object(noted) = noted { Some(noted) } else { None }
    };
    conditions.iter().filter_map(one).collect()
}

/// The conditions that an event ends.
pub(super) fn resolved(event: &Event) -> Vec<(String, Subject)> {
    let list = event.facts.daemon.as_ref().and_then(|daemon| daemon.resolved.as_deref()).unwrap_or_default();
    let one = |value: &Map<String, Value>| {
        let name = value.get("condition")?.as_str()?.to_owned();
        let device = serde_json::from_value(value.get("device")?.clone()).ok()?;
        Some((name, device))
    };
    list.iter().filter_map(one).collect()
}
