//! From a raw event to an event.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    block::{BlkInfo, DeviceFacts},
    event::{Event, SCHEMA_VERSION, event_id},
    parser::{Kdev, RawEvent},
    record::Stamp,
};

/// The wall clock of a record; the nearest time that can be written, if it is out of range.
pub fn wall_clock(time: Stamp) -> Timestamp {
    let nearest = if time.realtime_us < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(time.realtime_us).unwrap_or(nearest)
}

/// The device of a raw event, as it was when the record was made.
pub fn device(raw: &RawEvent, facts: &dyn DeviceFacts) -> Option<Arc<BlkInfo>> {
    let at = raw.time.monotonic_ns;
    match &raw.kdev {
        Kdev::Dev(dev) => facts.by_dev(*dev, at),
        Kdev::Hctl(hctl) => facts.by_name(&hctl.to_string(), at),
        Kdev::Name(name) => facts.by_name(name, at),
        Kdev::None => None,
    }
}

/// The device as the kernel names it: `sdf` rather than `8:80`, where that is known.
fn kdev(raw: &RawEvent, block: Option<&BlkInfo>) -> String {
    if let (Kdev::Dev(_), Some(info)) = (&raw.kdev, block)
        && let Some(name) = info.id.blk_path.strip_prefix("/dev/")
    {
        return name.to_owned();
    }
    raw.kdev.to_text()
}

/// The event that a raw event opens.
pub fn event(raw: &RawEvent, block: Option<Arc<BlkInfo>>, boot_id: &str, hostname: &str) -> Event {
    let timestamp = wall_clock(raw.time);
    Event {
        schema: SCHEMA_VERSION,
        event_id: event_id(boot_id, &raw.source, &raw.sequence),
        root_cause_event_id: None,
        incident_id: None,
        timestamp,
        monotonic_ns: raw.time.monotonic_ns,
        boot_id: boot_id.to_owned(),
        hostname: hostname.to_owned(),
        severity: raw.severity,
        sub_system: raw.sub_system.clone(),
        event_type: raw.event_type.clone(),
        msg: String::new(),
        raw_msgs: Vec::new(),
        kdev: kdev(raw, block.as_deref()),
        block,
        io: raw.io.clone(),
        count: raw.count,
        revision: 0,
        is_final: false,
        first_timestamp: timestamp,
        last_timestamp: timestamp,
        sector_ranges: Vec::new(),
        sources: Vec::new(),
        lost_before: 0,
        extension: raw.extension.clone(),
    }
}
