//! Events for tests.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde_json::json;

use crate::{
    block::{BlkId, BlkInfo, BlkType, Dev, Identity},
    event::{
        Event, EventType, Facts, Io, Op, SCHEMA_VERSION, Sector, SectorRange, Severity, SubSystem, event_id,
        facts::{ScsiFacts, SenseKey},
        incident::{Cause, CauseKind, Certainty, INCIDENT_SCHEMA_VERSION, Impact, Incident, Part, State},
    },
};

/// A logical volume whose disk has a bad spot, after three failures.
pub(crate) fn sample() -> Event {
    let disk = BlkId {
        wwid: "naa.5000c500a1b2c3d4".into(),
        blk_type: BlkType::Scsi,
        blk_path: "/dev/sdf".into(),
        preferred_blk_path: "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4".into(),
        dev: Dev::new(8, 80),
        identity: Identity::Live,
        serial: "ZA1234".into(),
        model: "ST4000NM0035".into(),
        vendor: "SEAGATE".into(),
        transport_id: "4:0:0:1".into(),
        ..BlkId::default()
    };
    let volume = BlkId {
        wwid: "LVM-kFUqR3RBcVYHEKPZuLXkjVMIY1LBAlFC".into(),
        blk_type: BlkType::DmLvm,
        blk_path: "/dev/dm-0".into(),
        preferred_blk_path: "/dev/vg0/data".into(),
        dev: Dev::new(253, 0),
        identity: Identity::Live,
        uuid: "8c0f5f64-6d2d-4c7e-9c8e-0d6b8a3f7c11".into(),
        fs_type: "ext4".into(),
        mount_points: vec!["/srv/data".into()],
        ..BlkId::default()
    };
    let first: Timestamp = "2026-11-21T09:32:07.123456Z".parse().unwrap();
    let last: Timestamp = "2026-11-21T09:32:09.5Z".parse().unwrap();
    Event {
        schema: SCHEMA_VERSION,
        event_id: event_id("0123456789abcdef0123456789abcdef", "ebpf:block_rq_error", "0.17.99"),
        root_cause_event_id: None,
        incident_id: None,
        timestamp: last,
        monotonic_ns: Some(1_234_567_890),
        boot_id: "0123456789abcdef0123456789abcdef".into(),
        hostname: "storage1".into(),
        severity: Severity::Error,
        sub_system: SubSystem::known("block"),
        event_type: EventType::BLK_IO_ERROR,
        msg: "/dev/vg0/data: read of 8 sectors at 2048 failed: I/O error".into(),
        raw_msgs: vec!["I/O error, dev dm-0, sector 2048 op 0x0:(READ) flags 0x80700 phys_seg 1".into()],
        kdev: "dm-0".into(),
        block: Some(Arc::new(BlkInfo { id: volume, owners: vec![disk], holders: vec![] })),
        io: Some(Io {
            op: Op::Read,
            sector: Some(Sector(2048)),
            nr_sectors: Some(8),
            errno: Some(crate::event::Errno::EIO),
            errno_name: Some("EIO".into()),
            bad_lba: None,
            extent: None,
            lost_pages: None,
        }),
        count: 3,
        revision: 1,
        is_final: false,
        first_timestamp: first,
        last_timestamp: last,
        confirmed: true,
        sector_ranges: vec![
            SectorRange { start: Sector(2048), end: Sector(2055) },
            SectorRange { start: Sector(4096), end: Sector(4111) },
        ],
        sources: vec!["ebpf:block_rq_error".into(), "kmsg".into()],
        lost_before: 0,
        facts: facts(),
        extension: BTreeMap::from([("my-key".into(), json!("0x3")), ("tries".into(), json!(5))]),
    }
}

fn facts() -> Facts {
    let scsi = ScsiFacts { sense_key: Some(SenseKey(3)), tag: Some(117), ..ScsiFacts::default() };
    Facts { scsi: Some(Box::new(scsi)), ..Facts::default() }
}

/// The incident that it opens.
pub(crate) fn incident() -> Incident {
    let cause = Cause {
        event_id: Some(sample().event_id),
        name: "sdf".to_owned(),
        part: Part::Device,
        device: None,
        kind: CauseKind::Medium,
        certainty: Certainty::Certain,
        rules: Vec::new(),
    };
    let event = sample();
    Incident {
        schema: INCIDENT_SCHEMA_VERSION,
        incident_id: event.event_id,
        revision: 0,
        state: State::Open,
        superseded_by: None,
        supersedes: Vec::new(),
        severity: Severity::Error,
        title: "sdf: unreadable sectors".to_owned(),
        hostname: event.hostname,
        boot_id: event.boot_id,
        opened: event.first_timestamp,
        updated: event.last_timestamp,
        resolved: None,
        resolved_by: None,
        episodes: 1,
        cause,
        impact: Impact::default(),
        events: Vec::new(),
        event_count: 1,
        failures: event.count,
        conditions: Vec::new(),
        early_signs: Vec::new(),
        progress: None,
        actions: Vec::new(),
        needs_acknowledgement: false,
        acknowledged: None,
    }
}
