//! Uevents: devices that come, go and change.

use super::{Kdev, RawEvent, nvme};
use crate::{
    event::{EventType, Severity, SubSystem},
    record::{Stamp, Uevent},
};

/// SDEV_UA of a SCSI device's uevent (drivers/scsi/scsi_lib.c, scsi_evt_emit): unit attentions that the SCSI layer took in.
static UNIT_ATTENTIONS: &[(&str, EventType)] = &[
    ("INQUIRY_DATA_HAS_CHANGED", EventType::SCSI_LUN_CHANGED),
    ("CAPACITY_DATA_HAS_CHANGED", EventType::SCSI_CAPACITY_CHANGED),
    ("THIN_PROVISIONING_SOFT_THRESHOLD_REACHED", EventType::SCSI_THIN_SOFT_THRESHOLD),
    ("MODE_PARAMETERS_CHANGED", EventType::SCSI_UNIT_ATTENTION),
    ("REPORTED_LUNS_DATA_HAS_CHANGED", EventType::SCSI_LUN_CHANGED),
    ("ASYMMETRIC_ACCESS_STATE_CHANGED", EventType::SCSI_ALUA_STATE_CHANGED),
    ("POWER_ON_RESET_OCCURRED", EventType::SCSI_POWER_ON_RESET),
];

/// What a uevent says; nothing if it is of no interest, if udev only repeats it, or if a program asked for it again
/// (`udevadm trigger`).
pub fn parse(uevent: &Uevent, time: Stamp) -> Option<RawEvent> {
    if uevent.udev || uevent.get("SYNTH_UUID").is_some() {
        return None;
    }
    match uevent.subsystem.as_str() {
        "block" => block(uevent, time),
        "scsi" => scsi(uevent, time),
        "nvme" => nvme_event(uevent, time),
        _ => None,
    }
}

fn draft(uevent: &Uevent, time: Stamp, event_type: EventType, kdev: Kdev) -> RawEvent {
    RawEvent { kdev, ..RawEvent::new(time, "uevent", uevent.seq.to_string(), event_type) }
}

fn last_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn block(uevent: &Uevent, time: Stamp) -> Option<RawEvent> {
    // In sysfs a `!` stands for the `/` of a device's name.
    let name =
        uevent.get("DEVNAME").map_or_else(|| last_of(&uevent.devpath).replace('!', "/"), |n| n.to_owned());
    let name = name.strip_prefix("/dev/").unwrap_or(&name).to_owned();
    let kdev = match uevent.dev {
        Some(dev) if !dev.is_none() => Kdev::Dev(dev),
        _ => Kdev::Name(name.clone()),
    };
    let mut raw = match uevent.action.as_str() {
        "add" => draft(uevent, time, EventType::BLK_DEVICE_ADDED, kdev),
        "remove" => draft(uevent, time, EventType::BLK_DEVICE_REMOVED, kdev),
        "change" => change(uevent, time, kdev)?,
        _ => return None,
    };
    let facts = raw.facts.uevent.get_or_insert_default();
    facts.name = Some(name);
    facts.devtype = uevent.get("DEVTYPE").map(str::to_owned);
    facts.diskseq = uevent.get("DISKSEQ").and_then(|number| number.parse().ok());
    Some(raw)
}

fn change(uevent: &Uevent, time: Stamp, kdev: Kdev) -> Option<RawEvent> {
    if let Some(action) = uevent.get("DM_ACTION") {
        return multipath(uevent, action, time, kdev);
    }
    if uevent.get("RESIZE") == Some("1") {
        return Some(draft(uevent, time, EventType::BLK_CAPACITY_CHANGED, kdev));
    }
    let read_only = uevent.get("DISK_RO")?;
    let mut raw = draft(uevent, time, EventType::BLK_READ_ONLY_CHANGED, kdev);
    raw.facts.block.get_or_insert_default().read_only = Some(read_only == "1");
    Some(raw)
}

/// drivers/md/dm-uevent.c. The path is at fault, and the map where it was the last one.
fn multipath(uevent: &Uevent, action: &str, time: Stamp, map: Kdev) -> Option<RawEvent> {
    let left = uevent.get("DM_NR_VALID_PATHS");
    let event_type = match action {
        "PATH_FAILED" if left == Some("0") => EventType::DM_MPATH_NO_PATH,
        "PATH_FAILED" => EventType::DM_MPATH_PATH_FAILED,
        "PATH_REINSTATED" => EventType::DM_MPATH_PATH_REINSTATED,
        _ => return None,
    };
    let path = uevent.get("DM_PATH").and_then(|path| path.parse().ok());
    let mut raw = draft(uevent, time, event_type, map);
    let facts = raw.facts.mpath.get_or_insert_default();
    (facts.path, facts.valid_paths) = (path, left.and_then(|n| n.parse().ok()));
    if let Some(path) = path.filter(|_| raw.event_type != EventType::DM_MPATH_NO_PATH) {
        facts.map = Some(raw.kdev.to_text());
        raw.kdev = Kdev::Dev(path);
    }
    let (name, uuid) = (uevent.get("DM_NAME"), uevent.get("DM_UUID"));
    if name.or(uuid).is_some() {
        let dm = raw.facts.dm.get_or_insert_default();
        (dm.name, dm.uuid) = (name.map(str::to_owned), uuid.map(str::to_owned));
    }
    Some(raw)
}

fn scsi(uevent: &Uevent, time: Stamp) -> Option<RawEvent> {
    let attention = uevent.get("SDEV_UA")?;
    let event_type = UNIT_ATTENTIONS
        .iter()
        .find(|row| row.0 == attention)
        .map_or(EventType::SCSI_UNIT_ATTENTION, |row| row.1.clone());
    let address = last_of(&uevent.devpath);
    let kdev = address.parse().map_or_else(|_| Kdev::Name(address.to_owned()), Kdev::Hctl);
    let mut raw = draft(uevent, time, event_type, kdev);
    raw.facts.scsi.get_or_insert_default().unit_attention = Some(attention.to_owned());
    Some(raw)
}

fn nvme_event(uevent: &Uevent, time: Stamp) -> Option<RawEvent> {
    let controller = Kdev::Name(last_of(&uevent.devpath).to_owned());
    if let Some(aen) = uevent.get("NVME_AEN") {
        let result = u32::from_str_radix(aen.trim_start_matches("0x"), 16).ok()?;
        return Some(nvme::of_aen(draft(uevent, time, EventType::NVME_ASYNC_EVENT, controller), result));
    }
    if uevent.action == "remove" {
        // Whether it was asked to go or failed, the kernel's text says, if anything does.
        let mut raw = draft(uevent, time, EventType::NVME_CONTROLLER_FAILED, controller);
        raw.severity = Severity::Notice;
        raw.facts.nvme.get_or_insert_default().reason = Some("the controller went away".to_owned());
        return Some(raw);
    }
    // A controller that works: whether for the first time, the correlator knows.
    (uevent.get("NVME_EVENT")? == "connected").then(|| {
        let mut raw = draft(uevent, time, EventType::NVME_PATH_RECOVERED, controller);
        raw.sub_system = SubSystem::known("nvme");
        raw.facts.nvme.get_or_insert_default().event = Some("connected".to_owned());
        raw
    })
}

#[cfg(test)]
mod tests {
    use super::{super::block::tests::TIME, *};
    use crate::block::Dev;

    fn uevent(action: &str, subsystem: &str, devpath: &str, properties: &[(&str, &str)]) -> Uevent {
        Uevent {
            udev: false,
            seq: 4711,
            action: action.to_owned(),
            subsystem: subsystem.to_owned(),
            devpath: devpath.to_owned(),
            dev: None,
            properties: properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        }
    }

    fn kind(uevent: &Uevent) -> Option<(&'static str, String)> {
        let raw = parse(uevent, TIME)?;
        Some((raw.event_type.info()?.name, raw.kdev.to_text()))
    }

    #[test]
    fn devices_come_and_go() {
        let mut event = uevent(
            "add",
            "block",
            "/devices/virtual/block/loop0",
            &[("DEVNAME", "loop0"), ("DEVTYPE", "disk")],
        );
        assert_eq!(kind(&event), Some(("BLK_DEVICE_ADDED", "loop0".to_owned())));
        (event.action, event.dev) = ("remove".to_owned(), Some(Dev::new(259, 300)));
        assert_eq!(kind(&event), Some(("BLK_DEVICE_REMOVED", "259:300".to_owned())));
        event.properties.push(("SYNTH_UUID".to_owned(), "0".to_owned()));
        assert_eq!(kind(&event), None);
        event.properties.pop();
        event.udev = true;
        assert_eq!(kind(&event), None);
    }

    #[test]
    fn changes_tell_of_size_and_write_protection() {
        let path = "/devices/pci0000:00/0000:00:10.0/host2/target2:0:0/2:0:0:0/block/sda";
        assert_eq!(
            kind(&uevent("change", "block", path, &[("RESIZE", "1")])),
            Some(("BLK_CAPACITY_CHANGED", "sda".into()))
        );
        let event = uevent("change", "block", path, &[("DISK_RO", "1")]);
        assert_eq!(parse(&event, TIME).unwrap().facts.block.unwrap().read_only, Some(true));
        assert_eq!(kind(&uevent("change", "block", path, &[("DISK_MEDIA_CHANGE", "1")])), None);
        assert_eq!(kind(&uevent("bind", "block", path, &[])), None);
    }

    #[test]
    fn paths_of_a_map_fail_and_come_back() {
        let path = "/devices/virtual/block/dm-3";
        let mut event = uevent(
            "change",
            "block",
            path,
            &[
                ("DM_TARGET", "multipath"),
                ("DM_ACTION", "PATH_FAILED"),
                ("DM_SEQNUM", "1"),
                ("DM_PATH", "8:48"),
                ("DM_NR_VALID_PATHS", "1"),
                ("DM_NAME", "mpatha"),
            ],
        );
        event.dev = Some(Dev::new(253, 3));
        let raw = parse(&event, TIME).unwrap();
        assert_eq!((raw.event_type.as_str(), raw.kdev.to_text().as_str()), ("DM_MPATH_PATH_FAILED", "8:48"));
        let mpath = raw.facts.mpath.unwrap();
        assert_eq!((mpath.map.as_deref(), mpath.valid_paths), (Some("253:3"), Some(1)));
        event.properties[4].1 = "0".to_owned();
        assert_eq!(kind(&event), Some(("DM_MPATH_NO_PATH", "253:3".to_owned())));
        event.properties[1].1 = "PATH_REINSTATED".to_owned();
        assert_eq!(kind(&event).unwrap().0, "DM_MPATH_PATH_REINSTATED");
    }

    #[test]
    fn unit_attentions_name_the_unit() {
        let path = "/devices/pci0000:00/0000:00:10.0/host4/target4:0:0/4:0:0:1";
        let event = uevent("change", "scsi", path, &[("SDEV_UA", "REPORTED_LUNS_DATA_HAS_CHANGED")]);
        assert_eq!(kind(&event), Some(("SCSI_LUN_CHANGED", "4:0:0:1".to_owned())));
        let event = uevent("change", "scsi", path, &[("SDEV_UA", "SOMETHING_NEW")]);
        assert_eq!(kind(&event).unwrap().0, "SCSI_UNIT_ATTENTION");
        assert_eq!(kind(&uevent("change", "scsi", path, &[("SDEV_MEDIA_CHANGE", "1")])), None);
    }

    #[test]
    fn controllers_report_by_themselves() {
        let path = "/devices/pci0000:00/0000:00:04.0/nvme/nvme1";
        let event = uevent("change", "nvme", path, &[("NVME_AEN", "0x020101")]);
        assert_eq!(kind(&event), Some(("SMART_ATTRIBUTE_WARNING", "nvme1".to_owned())));
        assert_eq!(kind(&uevent("change", "nvme", path, &[("NVME_AEN", "zz")])), None);
        let gone = parse(&uevent("remove", "nvme", path, &[]), TIME).unwrap();
        assert_eq!((gone.event_type.as_str(), gone.severity), ("NVME_CONTROLLER_FAILED", Severity::Notice));
        assert_eq!(
            kind(&uevent("change", "nvme", path, &[("NVME_EVENT", "connected")])).unwrap().0,
            "NVME_PATH_RECOVERED"
        );
    }
}
