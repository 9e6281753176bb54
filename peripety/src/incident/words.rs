//! Names and titles, as short as people say them.

use super::class::Class;
use crate::{
    event::{
        Event, EventType, Facts, advice,
        incident::{CauseKind, Device, ImpactKind, Incident, Part},
    },
    names,
};

/// Characters of a title.
const TITLE_MAX: usize = 200;

/// The shortest name that people use of an event's device: `vg/lv`, `mpatha`, `md0`, `sda`.
pub(super) fn short(event: &Event) -> String {
    // What failed is the session, and not the one of its disks that the event names.
    if event.sub_system.as_str() == "iscsi" && event.kdev.starts_with("session") {
        return event.kdev.clone();
    }
    let name = names::of_event(event);
    if !name.is_empty() {
        return name;
    }
    if event.sub_system.as_str() == "peripety" {
        return "peripety".to_owned();
    }
    let is_bug = event.event_type == EventType::KERNEL_BUG_IN_STORAGE;
    let Facts { zfs, net, gluster, adapter, pci, md, bcache, drbd, kernel, fs, .. } = &event.facts;
    None.or_else(|| zfs.as_ref()?.pool.as_deref())
        .or_else(|| net.as_ref()?.volume.as_deref())
        .or_else(|| gluster.as_ref()?.volume.as_deref())
        .or_else(|| gluster.as_ref()?.peer.as_deref())
        .or_else(|| adapter.as_ref()?.name.as_deref())
        .or_else(|| pci.as_ref()?.function.as_deref())
        .or_else(|| md.as_ref()?.array.as_deref())
        .or_else(|| bcache.as_ref()?.device.as_deref())
        .or_else(|| drbd.as_ref()?.resource.as_deref())
        .or_else(|| net.as_ref()?.server.as_deref())
        .or_else(|| adapter.as_ref()?.vmbus.as_deref())
        .or_else(|| fs.as_ref()?.path.as_deref().filter(|path| path.starts_with('/')))
        .or_else(|| kernel.as_ref().filter(|_| is_bug)?.module.as_deref())
        .map(str::to_owned)
        .or_else(|| Some(format!("host{}", adapter.as_ref()?.host?)))
        .unwrap_or_default()
}

/// What a person who is to replace a device has to know of it.
pub(super) fn device(event: &Event) -> Option<Device> {
    let id = &event.block.as_ref()?.id;
    let place = match &id.transport {
        Some(crate::block::Transport::Sas { port, enclosure, bay, .. }) => {
            let bay = bay.map(|bay| format!(" bay {bay}")).unwrap_or_default();
            let enclosure =
                if enclosure.is_empty() { String::new() } else { format!(" enclosure {enclosure}{bay}") };
            format!("{} {port}{enclosure}", id.transport_id)
        }
        Some(crate::block::Transport::Sata { port, .. }) => format!("{} {port}", id.transport_id),
        Some(crate::block::Transport::Usb { port }) => format!("{} usb {port}", id.transport_id),
        _ => id.transport_id.clone(),
    };
    Some(Device {
        path: id.name(),
        wwid: id.wwid.clone(),
        serial: id.serial.clone(),
        model: format!("{} {}", id.vendor, id.model).trim().to_owned(),
        place: place.trim().to_owned(),
    })
}

/// A part by its name.
pub(super) fn part(part: Part, name: &str) -> String {
    match part {
        Part::Enclosure => format!("enclosure {name}"),
        Part::Portal => format!("portal {name}"),
        Part::TargetPort => format!("target port {name}"),
        Part::HostPort => format!("host port {name}"),
        Part::Software if name == "udev" => "systemd/udev".to_owned(),
        Part::Software => format!("driver {name}"),
        _ => name.to_owned(),
    }
}

/// What failed, in a few words.
pub(super) fn class(class: Class, kind: CauseKind) -> &'static str {
    match class {
        Class::Adapter => "adapter reset",
        Class::Bus => "PCIe errors",
        Class::Way => "connection lost",
        Class::Removed => "removed while in use",
        Class::NoAnswer => "does not answer",
        Class::GivenUp => "given up by its driver",
        Class::Command | Class::Request if kind == CauseKind::Medium => "medium errors",
        Class::Command | Class::Request if kind == CauseKind::Space => "no space",
        Class::Command => "commands fail",
        Class::Request => "requests fail",
        Class::Guard => "data does not match its checksum",
        Class::Path => "path failed",
        Class::NoPath => "no path left",
        Class::Member => "member failed",
        Class::Array => "array failed",
        Class::Low => "space runs low",
        Class::Pool if kind == CauseKind::Space => "pool full",
        Class::Pool => "pool, snapshot or cache failed",
        Class::Stacked => "mapping failed",
        Class::Zfs => "pool errors",
        Class::Cache => "page cache errors",
        Class::Fs => "filesystem I/O errors",
        Class::Full => "filesystem full",
        Class::Contents => "filesystem damaged",
        Class::Checksum => "checksum errors",
        Class::Reaction => "filesystem stopped",
        Class::Mended => "errors repaired from a copy",
        Class::Service => "service stopped",
        Class::Missing => "not there at boot",
        Class::Blocked => "requests take long",
        Class::Predicted => "failure predicted",
        Class::Scan => "a scan found errors",
        Class::Server => "server does not respond",
        Class::Bug => "kernel bug",
        Class::Own => "peripety lacks something",
        Class::Other => "fault",
    }
}

/// The same where the type of the event says more than its class, with the worst of a class first.
pub(super) fn of_type(event_type: &EventType) -> Option<(u8, &'static str)> {
    Some(match event_type.as_str() {
        "SCSI_HOST_ADAPTER_FAILED" => (0, "adapter failed"),
        "USB_HOST_CONTROLLER_FAILED" => (0, "USB host controller failed"),
        "SCSI_HOST_ADAPTER_RESET" => (1, "adapter reset"),
        "IOMMU_FAULT" => (0, "access to memory refused"),
        "PCIE_LINK_DOWN" => (0, "PCIe link down"),
        "SCAN_FOUND_BAD" => (0, "cannot be read in part"),
        "SCAN_STOPPED" => (1, "cannot be scanned"),
        "FS_NOT_CLEAN" => (0, "not cleanly unmounted"),
        "FS_WARNING" => (0, "filesystem warns"),
        "FS_MOUNT_FAILED" => (0, "not mounted"),
        "DRBD_STATE_CHANGED" => (0, "replication broken"),
        "SMART_ATTRIBUTE_WARNING" => (1, "health attribute below its limit"),
        "PERIPETY_EVENTS_LOST" => (0, "records lost"),
        "PERIPETY_CONFIG_REJECTED" => (0, "configuration refused"),
        "PERIPETY_NOTIFICATION_FAILED" => (0, "notifications do not arrive"),
        _ => return None,
    })
}

/// The order in which people name devices: sdb before sdaa, sd9 before sd10.
fn by_number(one: &str, two: &str) -> std::cmp::Ordering {
    let key = |name: &str| {
        let base = name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
        let number = name.get(base.len()..).and_then(|n| n.parse::<u64>().ok());
        (base.len(), base, number)
    };
    key(one).cmp(&key(two))
}

/// The line that people see.
pub(super) fn title(incident: &Incident, what: &str) -> String {
    let name = &incident.cause.name;
    let mut title = if name.is_empty() { what.to_owned() } else { format!("{name}: {what}") };
    let kinds: Vec<&str> =
        incident.impact.kinds.iter().filter(|k| **k != ImpactKind::None).map(|k| k.words()).take(2).collect();
    if !kinds.is_empty() {
        title.push_str(&format!("; {}", kinds.join(", ")));
    }
    let points = &incident.impact.mount_points;
    let mut others: Vec<&String> = incident.impact.devices.iter().filter(|device| *device != name).collect();
    others.sort_by(|one, two| by_number(one, two));
    if points.is_empty() {
        match others.as_slice() {
            [] => {}
            [one] => title.push_str(&format!(" on {one}")),
            [one, two] => title.push_str(&format!(" on {one}, {two}")),
            [one, .., last] => title.push_str(&format!(" on {one} … {last} ({} devices)", others.len())),
        }
    } else {
        let more = if points.len() > 2 { format!(" and {} more", points.len() - 2) } else { String::new() };
        let named: Vec<&str> = points.iter().take(2).map(String::as_str).collect();
        title.push_str(&format!(" on {}{more}", named.join(", ")));
    }
    title.chars().take(TITLE_MAX).collect()
}

/// What to do, from the table of advice, with the names filled in.
pub(super) fn actions(incident: &Incident, event_type: Option<&str>) -> Vec<String> {
    let mut actions = Vec::new();
    let cause = &incident.cause;
    let node = cause.device.as_ref().map_or_else(
        || {
            if cause.part == Part::Device && !cause.name.is_empty() {
                format!("/dev/{}", cause.name)
            } else {
                cause.name.clone()
            }
        },
        |device| device.path.clone(),
    );
    if let Some(advice) = event_type.and_then(advice) {
        for words in [&advice.first, &advice.check, &advice.avoid] {
            actions.push(words.replace("{device}", &node));
        }
    }
    if let Some(device) = &cause.device {
        let facts: Vec<String> = [
            ("model", &device.model),
            ("serial", &device.serial),
            ("wwid", &device.wwid),
            ("at", &device.place),
        ]
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(what, value)| format!("{what} {value}"))
        .collect();
        if !facts.is_empty() {
            actions.push(format!("The device is {}: {}.", device.path, facts.join(", ")));
        }
    }
    if incident.needs_acknowledgement {
        let id = incident.incident_id;
        actions.push(format!(
            "Written data is lost: restore it from a backup, then say so: prpt ack {id} --reason '…'."
        ));
    }
    actions
}
