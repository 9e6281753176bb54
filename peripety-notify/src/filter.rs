//! Which incidents and events a receiver is notified of.

use peripety_model::{Event, Incident, info, name_fits};

use crate::config::Notify;

/// Whether an incident is for this receiver.
pub(crate) fn takes_incident(notify: &Notify, incident: &Incident) -> bool {
    let cause = &incident.cause;
    let device = cause.device.as_ref();
    let of_device = device.map(|d| [&d.path, &d.wwid, &d.serial]).into_iter().flatten();
    let mut devices = std::iter::once(&cause.name)
        .chain(of_device)
        .chain(&incident.impact.devices)
        .chain(incident.events.iter().map(|member| &member.device))
        .map(String::as_str);
    let types = || incident.events.iter().map(|member| member.event_type.as_str());
    let mut sub_systems = types().filter_map(info).map(|row| row.sub_system);
    // That a receiver takes nothing hurts nobody's data; the others say it all the same, and it itself cannot.
    let of_receiver = types().any(|name| name == "PERIPETY_NOTIFICATION_FAILED");
    if of_receiver && cause.name == format!("notify:{}", notify.name) {
        return false;
    }
    (of_receiver || incident.severity.at_least(notify.severity))
        && any(&notify.types, &mut types())
        && any(&notify.sub_systems, &mut sub_systems)
        && any(&notify.devices, &mut devices)
        && any(&notify.mount_points, &mut incident.impact.mount_points.iter().map(String::as_str))
        && any(&notify.hosts, &mut std::iter::once(incident.hostname.as_str()))
        && (notify.impact.is_empty() || incident.impact.kinds.iter().any(|kind| notify.impact.contains(kind)))
}

/// Whether an event is for this receiver.
pub(crate) fn takes_event(notify: &Notify, event: &Event) -> bool {
    let block = event.block.as_deref();
    let ids: Vec<_> = block.map(|b| std::iter::once(&b.id).chain(&b.owners).collect()).unwrap_or_default();
    let mut devices = std::iter::once(event.kdev.as_str()).chain(
        ids.iter()
            .flat_map(|id| [&id.wwid, &id.blk_path, &id.preferred_blk_path, &id.serial].map(String::as_str)),
    );
    let points = block
        .into_iter()
        .flat_map(|b| std::iter::once(&b.id).chain(&b.holders))
        .flat_map(|id| &id.mount_points);
    event.severity.at_least(notify.severity)
        && any(&notify.types, &mut std::iter::once(event.event_type.as_str()))
        && any(&notify.sub_systems, &mut std::iter::once(event.sub_system.as_str()))
        && any(&notify.devices, &mut devices)
        && any(&notify.mount_points, &mut points.map(String::as_str))
        && any(&notify.hosts, &mut std::iter::once(event.hostname.as_str()))
        // Nothing says what an event alone hurts.
        && notify.impact.is_empty()
}

/// Whether any of the names fits any of the patterns; without patterns all do. Of a device its node's name will do.
fn any<S: AsRef<str>>(patterns: &[String], mut names: impl Iterator<Item = S>) -> bool {
    patterns.is_empty()
        || names.any(|name| {
            let name = name.as_ref();
            let short = name.strip_prefix("/dev/").unwrap_or(name);
            patterns.iter().any(|pattern| name_fits(pattern, name) || name_fits(pattern, short))
        })
}
