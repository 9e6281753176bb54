//! Events about the daemon itself and the devices it knows.

use std::sync::Arc;

use jiff::Timestamp;

use super::host::Host;
use crate::{
    block::BlkInfo,
    event::{Event, EventType, SubSystem, event_id},
    record::Stamp,
};

/// An event that the daemon says of itself.
pub(super) fn event(host: &Host, event_type: EventType, msg: String, now: Stamp) -> Event {
    let timestamp = Timestamp::from_microsecond(now.realtime_us).unwrap_or(Timestamp::UNIX_EPOCH);
    let sequence = format!("{event_type}/{}/{}", std::process::id(), now.monotonic_ns.unwrap_or_default());
    let id = event_id(&host.boot_id, "peripetyd", &sequence);
    Event {
        monotonic_ns: now.monotonic_ns,
        boot_id: host.boot_id.clone(),
        hostname: host.hostname.clone(),
        sub_system: SubSystem::known("peripety"),
        msg,
        is_final: true,
        sources: vec!["peripetyd".to_owned()],
        ..Event::new(id, event_type, timestamp)
    }
}

/// One PERIPETY_BLK_INFO for a device.
pub(super) fn blk_info(host: &Host, block: Arc<BlkInfo>, now: Stamp) -> Event {
    let id = &block.id;
    let mut msg = format!("{} is {}", id.name(), id.dev);
    for (what, value) in [("wwid", &id.wwid), ("type", &id.fs_type), ("uuid", &id.uuid)] {
        if !value.is_empty() {
            msg.push_str(&format!(", {what} {}", crate::text::printable(value)));
        }
    }
    if !id.mount_points.is_empty() {
        msg.push_str(&format!(", mounted at {}", crate::text::printable(&id.mount_points.join(" "))));
    }
    let sequence =
        format!("blk_info/{}/{}/{}", std::process::id(), id.dev, now.monotonic_ns.unwrap_or_default());
    Event {
        event_id: event_id(&host.boot_id, "peripetyd", &sequence),
        kdev: id.dev.to_string(),
        block: Some(block),
        ..event(host, EventType::PERIPETY_BLK_INFO, msg, now)
    }
}
