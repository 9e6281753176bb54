//! What a person says is over: `prpt resolve` asks, the daemon writes it down as an event, the table ends what it names.

use serde_json::{Value, json};

use super::condition::{Condition, Subject};
use crate::event::Event;

/// Key of an event's extension that has the conditions.
pub(crate) const KEY: &str = "resolved";

/// What an event keeps of the conditions, so that they are found again, also after a reboot.
pub(crate) fn noted(conditions: &[Condition]) -> Value {
    let one = |c: &Condition| {
        let device =
            Subject { mount_points: Vec::new(), holders: Vec::new(), owners: Vec::new(), ..c.device.clone() };
        json!({ "condition": c.condition, "device": device, "since": c.since, "event_id": c.event_id })
    };
    conditions.iter().map(one).collect()
}

/// The conditions that an event ends.
pub(super) fn resolved(event: &Event) -> Vec<(String, Subject)> {
    let list = event.extension.get(KEY).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let one = |value: &Value| {
        let name = value.get("condition")?.as_str()?.to_owned();
        let device = serde_json::from_value(value.get("device")?.clone()).ok()?;
        Some((name, device))
    };
    list.iter().filter_map(one).collect()
}
