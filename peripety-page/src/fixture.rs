//! Incidents for tests.

use std::sync::Arc;

use jiff::Timestamp;
use peripety_model::{BlkId, BlkInfo, BlkType, Dev, Event, EventType, Identity, Incident};
use serde_json::json;

use crate::{Case, Facts, NamedFile, Report, Unseen};

pub(crate) fn id(name: &str, blk_type: BlkType) -> BlkId {
    let path = format!("/dev/{name}");
    let preferred = if name.contains('/') { path.clone() } else { String::new() };
    BlkId {
        blk_type,
        blk_path: path,
        preferred_blk_path: preferred,
        identity: Identity::Live,
        ..BlkId::default()
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A logical volume on multipath with two paths, of which one LUN has a bad spot.
pub(crate) fn medium_error() -> Case {
    let disk = |name: &str, minor| BlkId {
        dev: Dev::new(8, minor),
        model: "ST4000NM0035".into(),
        serial: "ZA1234".into(),
        ..id(name, BlkType::Scsi)
    };
    let map = BlkId {
        dev: Dev::new(253, 0),
        made_of: vec![Dev::new(8, 0), Dev::new(8, 16)],
        preferred_blk_path: "/dev/mapper/mpatha".into(),
        ..id("dm-0", BlkType::DmMultipath)
    };
    let volume = BlkId {
        dev: Dev::new(253, 1),
        made_of: vec![Dev::new(253, 0)],
        fs_type: "ext4".into(),
        label: "data".into(),
        mount_points: vec!["/srv/data".into()],
        preferred_blk_path: "/dev/vg/data".into(),
        ..id("dm-1", BlkType::DmLvm)
    };
    let other = BlkId {
        dev: Dev::new(253, 2),
        made_of: vec![Dev::new(253, 0)],
        fs_type: "xfs".into(),
        mount_points: vec!["/srv/logs".into()],
        preferred_blk_path: "/dev/vg/logs".into(),
        ..id("dm-2", BlkType::DmLvm)
    };
    let block = |own: &BlkId, owners: &[&BlkId], holders: &[&BlkId]| {
        let list = |ids: &[&BlkId]| ids.iter().map(|id| (*id).clone()).collect();
        Some(Arc::new(BlkInfo { id: own.clone(), owners: list(owners), holders: list(holders) }))
    };
    let (a, b) = (disk("sda", 0), disk("sdb", 16));
    let event = |n: u8, name: &str, text: &str, second: u8, msg: &str, line: &str, block| {
        let time = at(&format!("2026-11-21T09:32:{second:02}Z"));
        let id = format!("00000000-0000-5000-8000-0000000000{n:02}").parse().unwrap();
        Event {
            kdev: name.to_owned(),
            msg: msg.to_owned(),
            raw_msgs: vec![line.to_owned()],
            hostname: "db1".to_owned(),
            block,
            ..Event::new(id, EventType::new(text.to_owned()), time)
        }
    };
    let events = vec![
        event(
            1,
            "sda",
            "SCSI_MEDIUM_ERROR",
            7,
            "sda: medium error at sector 1052688",
            "sd 4:0:0:1: [sda] tag#12 Add. Sense: Unrecovered read error",
            block(&a, &[], &[&map, &volume, &other]),
        ),
        event(
            2,
            "dm-1",
            "BLK_IO_ERROR",
            8,
            "read of 8 sectors at 2048 failed: I/O error (EIO)",
            "I/O error, dev dm-1, sector 2048 op 0x0:(READ) flags 0x80700 phys_seg 1",
            block(&volume, &[&map, &a, &b], &[]),
        ),
        event(
            3,
            "dm-1",
            "FS_ERROR",
            9,
            "EXT4-fs error: ext4_find_entry:1455: inode #2: comm ls: reading directory lblock 0",
            "EXT4-fs error (device dm-1): ext4_find_entry:1455: inode #2: comm ls: reading directory lblock 0",
            block(&volume, &[&map, &a, &b], &[]),
        ),
    ];
    let member = |n: usize, device: &str, relation: &str, because: Option<usize>, count: u64| {
        let event = &events[n];
        json!({ "event_id": event.event_id, "event_type": event.event_type, "device": device, "relation": relation,
            "because": because.map(|n| events[n].event_id), "severity": "error", "count": count,
            "first": event.first_timestamp, "last": event.last_timestamp, "msg": event.msg, "rule": "a rule" })
    };
    let incident: Incident = serde_json::from_value(json!({
        "schema": 1, "incident_id": "427ef82e-cb67-5860-ab7c-52a1b6c22ebd", "revision": 3, "state": "open", "severity": "error",
        "title": "sda: medium error; data at risk on /srv/data", "hostname": "db1", "boot_id": "6c8e0a4e1c3b4d0f8a2b5c7d9e0f1a2b",
        "opened": "2026-11-21T09:32:07Z", "updated": "2026-11-21T09:32:09Z", "episodes": 2,
        "cause": { "event_id": events[0].event_id, "name": "sda", "part": "device", "kind": "medium", "certainty": "certain",
            "device": { "path": "/dev/sda", "wwid": "naa.5000c500a1b2c3d4", "serial": "ZA1234", "model": "SEAGATE ST4000NM0035",
                "place": "4:0:0:1" }, "rules": ["same range"] },
        "impact": { "kinds": ["data_at_risk"], "devices": ["sda", "vg/data"], "filesystems": ["vg/data (ext4)"],
            "mount_points": ["/srv/data"] },
        "events": [member(0, "sda", "cause", None, 3), member(1, "vg/data", "device_above", Some(0), 1),
            member(2, "vg/data", "consequence", Some(1), 1)],
        "event_count": 4, "failures": 5, "conditions": ["bad_sectors"],
        "early_signs": [{
            "kind": "recovered_errors", "event_type": "SCSI_RECOVERED_ERROR", "count": 12, "within_s": 3600,
            "since": "2026-11-21T08:02:00Z", "last": "2026-11-21T08:30:00Z",
            "words": "12 recovered errors in 1 h", "meaning": "The disk gets at its data only by its own retries."
        }],
        "progress": { "device": "md0", "action": "recover", "percent": 42.5 },
        "actions": ["Restore /srv/data from a backup where a file cannot be read.", "Replace the disk ZA1234."],
        "needs_acknowledgement": true,
        "acknowledged": { "by": "root", "at": "2026-11-21T10:00:00Z", "reason": "the disk is ordered" }
    }))
    .unwrap();
    let files =
        vec![NamedFile { path: "/srv/data/db/table.ibd".into(), how: "byte 4096 lies on them".into() }];
    Case { incident, events, files }
}

/// Another one, over.
pub(crate) fn removed() -> Case {
    let mut case = medium_error();
    let incident = &mut case.incident;
    incident.incident_id = "527ef82e-cb67-5860-ab7c-52a1b6c22ebd".parse().unwrap();
    (incident.state, incident.severity) =
        (peripety_model::incident::State::Resolved, peripety_model::Severity::Warning);
    incident.title = "host2: 3 disks removed".to_owned();
    (incident.opened, incident.updated) = (at("2026-11-21T06:10:00Z"), at("2026-11-21T06:45:00Z"));
    (incident.resolved, incident.resolved_by) =
        (Some(at("2026-11-21T06:45:00Z")), Some("a rescan".to_owned()));
    incident.needs_acknowledgement = false;
    for member in &mut incident.events {
        (member.first, member.last) = (at("2026-11-21T06:10:00Z"), at("2026-11-21T06:10:05Z"));
    }
    (incident.cause.name, incident.cause.part) = ("host2".into(), peripety_model::incident::Part::Adapter);
    case
}

pub(crate) fn report(cases: Vec<Case>) -> Report {
    Report {
        of: "db1".into(),
        made: at("2026-11-21T12:00:00Z"),
        by: "prpt 0.1.0".into(),
        known_until: at("2026-11-21T12:00:00Z"),
        span: (Some(at("2026-11-21T00:00:00Z")), None),
        cases,
        facts: vec![Facts { of: "db1".into(), rows: vec![("Kernel".into(), "6.1.0".into())] }],
        unseen: vec![Unseen { what: "kernel text".into(), why: "records were lost".into(), count: Some(17) }],
    }
}
