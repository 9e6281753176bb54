//! From a raw event to an event.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    block::{BlkInfo, DeviceFacts, Hctl, Identity},
    event::{Event, EventType, event_id},
    parser::{Kdev, RawEvent},
    record::Stamp,
};

/// The wall clock of a record; the nearest time that can be written, if it is out of range.
pub(crate) fn wall_clock(time: Stamp) -> Timestamp {
    let nearest = if time.realtime_us < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(time.realtime_us).unwrap_or(nearest)
}

/// The device of a raw event, as it was when the record was made.
pub(crate) fn device(raw: &RawEvent, facts: &dyn DeviceFacts) -> Option<Arc<BlkInfo>> {
    // A unit that was just switched on is not the one that is gone: it is the next one at its address, not announced yet.
    let is_new = raw.event_type == EventType::SCSI_POWER_ON_RESET;
    named(raw, facts).filter(|info| !is_new || info.id.identity != Identity::Removed)
}

fn named(raw: &RawEvent, facts: &dyn DeviceFacts) -> Option<Arc<BlkInfo>> {
    let at = raw.time.monotonic_ns;
    let named = match &raw.kdev {
        Kdev::Dev(dev) => facts.by_dev(*dev, at),
        Kdev::Hctl(hctl) => return facts.by_name(&hctl.to_string(), at),
        Kdev::Name(name) => facts.by_name(name, at),
        Kdev::None => return None,
    };
    let Some(place) = raw.facts.scsi.as_ref().and_then(|scsi| scsi.hctl) else { return named };
    let place = place.to_string();
    // The record names a place on the bus as well. A disk that is in another place only had the name before, or has it now.
    let is_there =
        |info: &BlkInfo| info.id.transport_id.parse::<Hctl>().is_err() || info.id.transport_id == place;
    named.filter(|info| is_there(info)).or_else(|| {
        facts.by_name(&place, at).filter(|info| match &raw.kdev {
            Kdev::Dev(dev) => info.id.dev == *dev,
            kdev => info.id.blk_path.strip_prefix("/dev/") == Some(&*kdev.to_text()),
        })
    })
}

/// The device as the kernel names it: `sdf` rather than `8:80` or `4:0:0:1`, where that is known.
pub(crate) fn kdev(raw: &RawEvent, block: Option<&BlkInfo>) -> String {
    let by_path = matches!(&raw.kdev, Kdev::Name(name) if name.starts_with('/'));
    if let (true, Some(info)) = (by_path || matches!(raw.kdev, Kdev::Dev(_) | Kdev::Hctl(_)), block)
        && let Some(name) = info.id.blk_path.strip_prefix("/dev/")
    {
        return name.to_owned();
    }
    raw.kdev.to_text()
}

/// The event that a raw event opens.
pub(crate) fn event(raw: &RawEvent, block: Option<Arc<BlkInfo>>, boot_id: &str, hostname: &str) -> Event {
    let timestamp = wall_clock(raw.time);
    Event {
        monotonic_ns: raw.time.monotonic_ns,
        boot_id: boot_id.to_owned(),
        hostname: hostname.to_owned(),
        severity: raw.severity,
        sub_system: raw.sub_system.clone(),
        kdev: kdev(raw, block.as_deref()),
        block,
        io: raw.io.clone(),
        count: raw.count,
        confirmed: !raw.unseen,
        facts: raw.facts.clone(),
        extension: raw.extension.clone(),
        ..Event::new(event_id(boot_id, &raw.source, &raw.sequence), raw.event_type.clone(), timestamp)
    }
}
