use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{Case, Facet, Incidents, OPEN_MAX, OVER_MAX, WAITING_MAX, rules::RULES};
use crate::{
    block::{BlkId, BlkInfo, Dev, Hctl, Transport},
    event::{
        Event, EventType, Io, Op, SectorRange, Severity, SubSystem, event_id,
        incident::{Certainty, ImpactKind, Incident, Part, Relation, State},
        info,
    },
    notifier::fixture::sample,
};

const BOOT: &str = "0123456789abcdef0123456789abcdef";

/// An event of a type on a device, `at` milliseconds after the beginning.
fn event(kind: &'static str, kdev: &str, at: i64) -> Event {
    let start: Timestamp = "2026-11-21T09:00:00Z".parse().unwrap();
    let when = start.checked_add(SignedDuration::from_millis(at)).unwrap();
    let row = info(kind).unwrap();
    Event {
        event_id: event_id(BOOT, kind, &format!("{kdev} {at}")),
        event_type: EventType::new(kind),
        sub_system: SubSystem::known(row.sub_system),
        severity: row.severity,
        kdev: kdev.to_owned(),
        block: None,
        io: None,
        msg: format!("{kdev}: {kind}"),
        raw_msgs: Vec::new(),
        count: 1,
        revision: 0,
        is_final: true,
        timestamp: when,
        first_timestamp: when,
        last_timestamp: when,
        monotonic_ns: u64::try_from(at).ok().map(|ms| ms * 1_000_000 + 1_000_000_000),
        sector_ranges: Vec::new(),
        facts: crate::event::Facts::default(),
        extension: BTreeMap::new(),
        boot_id: BOOT.to_owned(),
        ..sample()
    }
}

fn io(mut event: Event, op: Op, sector: u64, errno: i32) -> Event {
    event.io =
        Some(Io { op, sector: Some(sector), nr_sectors: Some(8), errno: Some(errno), ..Io::default() });
    event.sector_ranges = vec![SectorRange { start: sector, end: sector + 7 }];
    event
}

fn medium(kdev: &str, sector: u64, at: i64) -> Event {
    io(event("SCSI_MEDIUM_ERROR", kdev, at), Op::Read, sector, 61)
}

fn transport(kdev: &str, at: i64) -> Event {
    io(event("SCSI_TRANSPORT_ERROR", kdev, at), Op::Read, 0, 5)
}

fn id(name: &str) -> BlkId {
    let number = name.bytes().fold(7_u32, |sum, b| (sum * 31 + u32::from(b)) % 1000);
    BlkId {
        blk_path: format!("/dev/{name}"),
        preferred_blk_path: format!("/dev/{name}"),
        dev: Dev::new(8, number),
        ..BlkId::default()
    }
}

/// With what the device is made of and what is made of it.
fn stacked(mut event: Event, owners: &[&str], holders: &[&str], mounts: &[&str]) -> Event {
    let mut own = id(&event.kdev);
    own.mount_points = mounts.iter().map(ToString::to_string).collect();
    let list = |names: &[&str]| names.iter().map(|name| id(name)).collect();
    event.block = Some(Arc::new(BlkInfo { id: own, owners: list(owners), holders: list(holders) }));
    event
}

/// A disk at an address, reached in some way.
fn placed(mut event: Event, hctl: &str, transport: Option<Transport>) -> Event {
    assert!(hctl.parse::<Hctl>().is_ok());
    let own = BlkId { transport_id: hctl.to_owned(), transport, ..id(&event.kdev) };
    event.block = Some(Arc::new(BlkInfo { id: own, owners: vec![], holders: vec![] }));
    event
}

fn with(mut event: Event, path: &str, text: &str) -> Event {
    event.facts.set_text(path, text).unwrap();
    event
}

struct Run {
    stage: Incidents,
    written: Vec<Incident>,
    events: Vec<Event>,
}

impl Run {
    /// What is there in the end, in the order in which it began.
    fn found(&self) -> Vec<Incident> {
        let mut all: Vec<Incident> = self.stage.all().cloned().collect();
        all.sort_by_key(|incident| incident.opened);
        all
    }
}

fn run(events: Vec<Event>) -> Run {
    let mut run = Run { stage: Incidents::default(), written: Vec::new(), events };
    for event in &mut run.events {
        run.stage.push(event, &mut run.written);
    }
    run.stage.finish(&mut run.written);
    run
}

fn usb() -> Event {
    event("USB_STORAGE_ERROR", "2-1.4", 0)
}

/// For each rule the two events that it links, and two that are alike and that nothing links.
fn cases() -> Vec<(&'static str, Vec<Event>, Vec<Event>)> {
    let map = |at| stacked(event("DM_MPATH_NO_PATH", "dm-0", at), &["sda", "sdb"], &[], &[]);
    let path = |name: &str, at| stacked(event("DM_MPATH_PATH_FAILED", name, at), &[], &["dm-0"], &[]);
    let day = 24 * 3600 * 1000;
    vec![
        (
            "same-failure-again",
            vec![medium("sda", 8, 0), medium("sda", 8, 6_000)],
            vec![medium("sda", 8, 0), medium("sdb", 8, 6_000)],
        ),
        (
            "last-path",
            vec![path("sda", 0), map(5)],
            vec![stacked(event("DM_MPATH_PATH_FAILED", "sdc", 0), &[], &["dm-9"], &[]), map(5)],
        ),
        (
            "failing-device",
            vec![event("SCSI_TIMEOUT", "sda", 0), medium("sda", 8, 31_000)],
            vec![event("SCSI_TIMEOUT", "sda", 0), medium("sda", 8, day)],
        ),
        (
            "device-that-does-not-answer",
            vec![event("ATA_DEVICE_DISABLED", "sda", 0), transport("sda", 3_600_000)],
            vec![event("ATA_DEVICE_DISABLED", "sda", 0), medium("sda", 8, 3_600_000)],
        ),
        (
            "path-of-map",
            vec![transport("sda", 0), path("sda", 20)],
            vec![transport("sda", 0), path("sdb", 20)],
        ),
        (
            "way-to-device",
            vec![
                event("ISCSI_CONNECTION_ERROR", "session3", 0),
                placed(transport("sdd", 9_000), "7:0:0:1", Some(iscsi("session3", "10.0.0.1"))),
            ],
            vec![
                event("ISCSI_CONNECTION_ERROR", "session3", 0),
                placed(medium("sdd", 8, 9_000), "7:0:0:1", Some(iscsi("session3", "10.0.0.1"))),
            ],
        ),
        (
            "member-of-array",
            vec![medium("sda", 8, 0), stacked(event("MD_DISK_FAILED", "md0", 10), &["sda", "sdb"], &[], &[])],
            vec![medium("sdc", 8, 0), stacked(event("MD_DISK_FAILED", "md0", 10), &["sda", "sdb"], &[], &[])],
        ),
        (
            "array-of-members",
            vec![
                stacked(event("MD_DISK_FAILED", "sda", 0), &[], &["md0"], &[]),
                stacked(event("MD_ARRAY_FAILED", "md0", 5), &["sda", "sdb"], &[], &[]),
            ],
            vec![
                stacked(event("MD_DISK_FAILED", "sdc", 0), &[], &["md1"], &[]),
                stacked(event("MD_ARRAY_FAILED", "md0", 5), &["sda", "sdb"], &[], &[]),
            ],
        ),
        (
            "repaired-from-copy",
            vec![event("FS_CHECKSUM_ERROR", "sda", 0), event("FS_READ_ERROR_CORRECTED", "sda", 3)],
            vec![event("FS_CHECKSUM_ERROR", "sda", 0), event("FS_READ_ERROR_CORRECTED", "sdb", 3)],
        ),
        (
            "pool-runs-full",
            vec![event("DM_THIN_POOL_LOW_WATER", "dm-3", 0), event("DM_THIN_POOL_OUT_OF_DATA", "dm-3", day)],
            vec![event("DM_THIN_POOL_LOW_WATER", "dm-3", 0), event("DM_THIN_POOL_OUT_OF_DATA", "dm-4", day)],
        ),
        (
            "map-without-path",
            vec![
                map(0),
                stacked(event("FS_JOURNAL_ABORTED", "dm-1", 60_000), &["dm-0", "sda", "sdb"], &[], &["/srv"]),
            ],
            vec![map(0), stacked(event("FS_JOURNAL_ABORTED", "dm-2", 60_000), &["sdc"], &[], &["/srv"])],
        ),
        (
            "stack-above",
            vec![
                event("DM_THIN_POOL_OUT_OF_DATA", "dm-3", 0),
                stacked(io(event("BLK_NO_SPACE", "dm-5", 60_000), Op::Write, 8, 28), &["dm-3"], &[], &[]),
            ],
            vec![
                event("DM_THIN_POOL_OUT_OF_DATA", "dm-3", 0),
                stacked(io(event("BLK_MEDIUM_ERROR", "dm-5", 60_000), Op::Read, 8, 61), &["dm-3"], &[], &[]),
            ],
        ),
        (
            "request-below",
            vec![
                medium("sda", 8, 0),
                stacked(io(event("BLK_IO_ERROR", "dm-0", 1), Op::Read, 8, 5), &["sda"], &[], &[]),
            ],
            vec![
                medium("sda", 8, 0),
                stacked(io(event("BLK_NO_SPACE", "dm-0", 1), Op::Write, 8, 28), &["sda"], &[], &[]),
            ],
        ),
        (
            "filesystem-on-failing-device",
            vec![
                io(event("BLK_IO_ERROR", "vda", 0), Op::Write, 8, 5),
                stacked(event("FS_JOURNAL_ABORTED", "vda1", 60_000), &["vda"], &[], &["/"]),
            ],
            vec![
                io(event("BLK_IO_ERROR", "vdb", 0), Op::Write, 8, 5),
                stacked(event("FS_JOURNAL_ABORTED", "vda1", 60_000), &["vda"], &[], &["/"]),
            ],
        ),
        (
            "filesystem-itself",
            vec![event("FS_ERROR", "sda1", 0), event("FS_REMOUNT_READ_ONLY", "sda1", 5)],
            vec![event("FS_ERROR", "sda1", 0), event("FS_REMOUNT_READ_ONLY", "sda2", 5)],
        ),
        (
            "full-filesystem",
            vec![event("FS_NO_SPACE", "sda1", 0), io(event("BLK_LOST_WRITE", "sda1", 5), Op::Write, 8, 28)],
            vec![event("FS_NO_SPACE", "sda1", 0), io(event("BLK_LOST_WRITE", "sda2", 5), Op::Write, 8, 28)],
        ),
        (
            "pool-on-failing-device",
            vec![medium("sda", 8, 0), event("ZFS_IO_ERROR", "sda1", 5)],
            vec![medium("sda", 8, 0), stacked(event("ZFS_IO_ERROR", "sdb1", 5), &["sdb"], &[], &[])],
        ),
        (
            "device-of-pool",
            vec![
                with(event("ZFS_VDEV_FAULTED", "sda1", 0), "zfs.pool", "tank"),
                with(event("ZFS_POOL_SUSPENDED", "tank", 5), "zfs.pool", "tank"),
            ],
            vec![
                with(event("ZFS_VDEV_FAULTED", "sda1", 0), "zfs.pool", "tank"),
                stacked(
                    with(event("ZFS_POOL_SUSPENDED", "other", 5), "zfs.pool", "other"),
                    &["sdx"],
                    &[],
                    &[],
                ),
            ],
        ),
        (
            "service-on-filesystem",
            vec![event("FS_SHUTDOWN", "dm-4", 0), event("GLUSTER_BRICK_DOWN", "dm-4", 900)],
            vec![
                event("FS_SHUTDOWN", "dm-4", 0),
                event("FS_SHUTDOWN", "dm-5", 100),
                event("GLUSTER_BRICK_DOWN", "datavol", 900),
            ],
        ),
        (
            "task-waits-for-device",
            vec![event("NVME_PATH_FAILED", "nvme1", 0), event("TASK_BLOCKED", "nvme1n1", 122_000)],
            vec![
                event("NVME_PATH_FAILED", "nvme1", 0),
                stacked(event("TASK_BLOCKED", "nvme2n1", 122_000), &["nvme2"], &[], &[]),
            ],
        ),
        (
            "failure-was-predicted",
            vec![event("SMART_DISK_FAIL", "sda", 0), medium("sda", 8, day)],
            vec![event("SMART_DISK_FAIL", "sda", 0), transport("sda", day)],
        ),
        (
            "link-partners",
            vec![
                with(event("PCIE_CORRECTED_ERROR", "0000:00:1b.4", 0), "pci.driver", "pcieport"),
                with(event("PCIE_CORRECTED_ERROR", "0000:02:00.0", 500), "pci.driver", "nvme"),
            ],
            vec![
                with(event("PCIE_CORRECTED_ERROR", "0000:00:1b.4", 0), "pci.driver", "pcieport"),
                with(event("PCIE_CORRECTED_ERROR", "0000:02:00.0", 60_000), "pci.driver", "nvme"),
            ],
        ),
        (
            "port-of-unknown-disk",
            vec![usb(), with(transport("sdb", 30_000), "scsi.hctl", "0:0:0:0")],
            vec![
                usb(),
                placed(transport("sdb", 30_000), "0:0:0:0", Some(Transport::Usb { port: "3-1".into() })),
            ],
        ),
        (
            "adapter-itself",
            vec![
                event("SCSI_HOST_ADAPTER_RESET", "mpt3sas_cm0", 0),
                event("SCSI_TRANSPORT_ERROR", "mpt3sas_cm0", 5_000),
            ],
            vec![
                event("SCSI_HOST_ADAPTER_RESET", "mpt3sas_cm0", 0),
                event("SCSI_TRANSPORT_ERROR", "mpt3sas_cm1", 5_000),
            ],
        ),
        (
            "link-of-drive",
            vec![event("PCIE_LINK_DOWN", "0000:05:01.0", 0), event("NVME_CONTROLLER_FAILED", "nvme2", 300)],
            vec![
                event("PCIE_LINK_DOWN", "0000:05:01.0", 0),
                event("NVME_CONTROLLER_FAILED", "nvme2", 60_000),
            ],
        ),
        (
            "pool-of-unknown-volume",
            vec![event("DM_THIN_POOL_OUT_OF_DATA", "dm-4", 0), event("FS_JOURNAL_ABORTED", "dm-7", 300)],
            vec![event("DM_THIN_POOL_OUT_OF_DATA", "dm-4", 0), event("FS_JOURNAL_ABORTED", "sda1", 300)],
        ),
        (
            "server-of-block-device",
            vec![event("CEPH_CONNECTION_LOST", "osd4", 0), event("RBD_ERROR", "rbd0", 60_000)],
            vec![event("CEPH_CONNECTION_LOST", "osd4", 0), event("BLK_IO_ERROR", "sda", 60_000)],
        ),
        (
            "command-of-unknown-disk",
            vec![
                event("SCSI_TRANSPORT_ERROR", "", 0),
                with(event("SCSI_DEVICE_OFFLINED", "sdb", 25_000), "scsi.hctl", "1:0:0:0"),
            ],
            vec![
                event("SCSI_TRANSPORT_ERROR", "mpt2sas1", 0),
                with(
                    with(event("SCSI_ERROR_RECOVERY", "7:0:14:0", 25_000), "scsi.hctl", "7:0:14:0"),
                    "adapter.name",
                    "mpt2sas3",
                ),
            ],
        ),
        (
            "only-path-at-the-time",
            vec![event("DM_MPATH_PATH_FAILED", "sda", 0), event("DM_MPATH_NO_PATH", "dm-0", 5)],
            vec![
                event("DM_MPATH_PATH_FAILED", "sda", 0),
                event("DM_MPATH_PATH_FAILED", "sdb", 3),
                event("DM_MPATH_NO_PATH", "dm-0", 5),
            ],
        ),
        (
            "only-failure-at-the-time",
            vec![event("SCSI_TIMEOUT", "sda", 0), event("TASK_BLOCKED", "", 122_000)],
            vec![
                event("SCSI_TIMEOUT", "sda", 0),
                event("SCSI_TIMEOUT", "sdb", 60_000),
                event("TASK_BLOCKED", "", 122_000),
            ],
        ),
        (
            "failing-after-repairs",
            vec![event("MD_READ_ERROR_CORRECTED", "sdc1", 0), event("MD_DISK_FAILED", "sdc1", 82_000)],
            vec![event("MD_READ_ERROR_CORRECTED", "sdc1", 0), event("MD_DISK_FAILED", "sdd1", 82_000)],
        ),
        (
            "same-failure-unnamed",
            vec![event("CIFS_ERROR", "", 0), event("CIFS_ERROR", "", 700_000)],
            vec![event("CIFS_ERROR", "", 0), event("FS_SHUTDOWN", "", 700_000)],
        ),
        (
            "only-device-of-the-moment",
            vec![event("SCSI_SENSE_OTHER", "2:0:1:0", 0), medium("sdb", 8, 5)],
            vec![event("SCSI_SENSE_OTHER", "2:0:1:0", 0), medium("sdb", 8, 60_000)],
        ),
        (
            "only-filesystem-of-the-moment",
            vec![event("FS_PANIC", "", 0), event("FS_ERROR", "dm-5", 5)],
            vec![event("FS_PANIC", "", 0), event("FS_ERROR", "dm-5", 60_000)],
        ),
        (
            "only-failure-of-the-moment",
            vec![event("DM_VERITY_CORRUPTION", "179:8", 0), event("FS_IO_ERROR", "", 4)],
            vec![event("DM_VERITY_CORRUPTION", "179:8", 0), event("FS_IO_ERROR", "", 60_000)],
        ),
    ]
}

fn iscsi(session: &str, address: &str) -> Transport {
    Transport::Iscsi {
        target: "iqn.2026-01.org.example:t".into(),
        address: address.into(),
        port: 3260,
        tpgt: 1,
        iface: "default".into(),
        session: session.into(),
    }
}

#[test]
fn every_rule_links_what_it_is_for_and_nothing_else() {
    let cases = cases();
    let tested: BTreeSet<&str> = cases.iter().map(|(name, _, _)| *name).collect();
    let all: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(tested, all, "each rule has its test");
    let mut wrong = Vec::new();
    for (name, yes, no) in cases {
        let (together, apart) = (run(yes), run(no.clone()));
        let found = together.found();
        let rules: Vec<&String> = found.iter().flat_map(|incident| &incident.cause.rules).collect();
        if found.len() != 1 || !rules.iter().any(|rule| *rule == name) {
            wrong.push(format!("{name}: {} incidents by {rules:?}", found.len()));
        }
        if apart.found().len() != no.len() {
            let titles: Vec<String> =
                apart.found().iter().map(|i| format!("{} {:?}", i.title, i.cause.rules)).collect();
            wrong.push(format!("{name}: not to be linked: {titles:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn two_disks_that_fail_in_the_same_second_for_themselves_stay_two() {
    let at = |hctl: &str, event| placed(event, hctl, None);
    for (one, two) in [
        (at("2:0:0:0", medium("sda", 8, 0)), at("2:0:1:0", medium("sdb", 8, 0))),
        (at("2:0:0:0", transport("sda", 0)), at("2:0:1:0", transport("sdb", 1))),
        (at("2:0:0:0", event("SCSI_TIMEOUT", "sda", 0)), at("3:0:0:0", event("SCSI_TIMEOUT", "sdb", 0))),
        (
            at("2:0:0:0", event("SCSI_DEVICE_OFFLINED", "sda", 0)),
            at("2:0:1:0", event("SCSI_DEVICE_OFFLINED", "sdb", 0)),
        ),
        (event("NVME_TIMEOUT", "nvme0", 0), event("NVME_TIMEOUT", "nvme1", 0)),
        (
            io(event("BLK_IO_ERROR", "vda", 0), Op::Read, 8, 5),
            io(event("BLK_IO_ERROR", "vdb", 0), Op::Read, 8, 5),
        ),
    ] {
        assert_eq!(run(vec![one, two]).found().len(), 2);
    }
}

#[test]
fn disks_that_time_out_together_below_one_adapter_are_one_incident() {
    let at = |hctl: &str, event| placed(event, hctl, None);
    let run = run(vec![
        at("2:0:0:0", event("SCSI_TIMEOUT", "sda", 0)),
        at("2:0:1:0", event("SCSI_TIMEOUT", "sdb", 300)),
        at("2:0:2:0", event("SCSI_TIMEOUT", "sdc", 500)),
    ]);
    let found = run.found();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].cause.name.as_str(), found[0].cause.part), ("host2", Part::Adapter));
    assert_eq!((found[0].cause.event_id, found[0].cause.certainty), (None, Certainty::Likely));
    assert_eq!(found[0].events.iter().filter(|m| m.relation == Relation::Sibling).count(), 2);
}

#[test]
fn incidents_that_turn_out_to_be_one_merge_and_both_say_so() {
    let at = |hctl: &str, event| placed(event, hctl, None);
    let run = run(vec![
        at("2:0:0:0", transport("sda", 0)),
        at("2:0:1:0", transport("sdb", 300)),
        at("2:0:2:0", transport("sdc", 500)),
    ]);
    let found = run.found();
    assert_eq!(found.len(), 1);
    let gone: Vec<&Incident> = run.written.iter().filter(|i| i.state == State::Superseded).collect();
    assert_eq!(gone.len(), 1);
    assert_eq!(gone[0].superseded_by, Some(found[0].incident_id));
    assert_eq!(found[0].supersedes, [gone[0].incident_id]);
    assert_eq!(run.events[0].incident_id, Some(found[0].incident_id), "the older id stays");
    assert_eq!(run.stage.get(gone[0].incident_id).map(|i| i.incident_id), Some(found[0].incident_id));
}

#[test]
fn luns_behind_one_portal_are_its_incident_also_where_sessions_differ() {
    let disk = |name: &str, hctl: &str, session: &str, at| {
        placed(transport(name, at), hctl, Some(iscsi(session, "10.0.0.1")))
    };
    let run = run(vec![
        disk("sda", "3:0:0:0", "session1", 0),
        disk("sdb", "4:0:0:0", "session2", 5_000),
        disk("sdc", "5:0:0:0", "session3", 6_000),
        disk("sdd", "6:0:0:0", "session4", 8_000),
    ]);
    assert_eq!(
        run.found().iter().map(|i| i.cause.name.clone()).collect::<Vec<_>>(),
        ["portal 10.0.0.1:3260"]
    );
}

#[test]
fn an_adapter_that_is_reset_is_the_cause_of_what_did_not_answer_before() {
    let named = |mut event: Event| {
        event.raw_msgs = vec!["aacraid: Host adapter abort request.".into()];
        event
    };
    let run = run(vec![
        named(placed(event("SCSI_ERROR_RECOVERY", "sdb", 0), "0:0:1:0", None)),
        named(event("SCSI_HOST_ADAPTER_RESET", "0000:5e:00.0", 900)),
        event("TASK_BLOCKED", "", 1_000),
        event("SCSI_HOST_ADAPTER_RECOVERED", "0000:5e:00.0", 30_000),
    ]);
    let found = run.found();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((found[0].cause.name.as_str(), found[0].cause.part), ("0000:5e:00.0", Part::Adapter));
    assert_eq!(found[0].state, State::Resolved);
}

#[test]
fn a_session_that_flaps_is_one_incident_with_episodes() {
    let mut events = Vec::new();
    for n in 0..10 {
        events.push(event("ISCSI_CONNECTION_ERROR", "session2", n * 7_000));
        events.push(event("ISCSI_SESSION_RECOVERED", "session2", n * 7_000 + 2_000));
    }
    let run = run(events);
    let found = run.found();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].episodes, found[0].state), (10, State::Resolved));
    assert!(run.events.iter().all(|e| e.incident_id == Some(found[0].incident_id)));
    let revisions: Vec<u32> = run.written.iter().map(|i| i.revision).collect();
    assert_eq!(revisions, (0..u32::try_from(revisions.len()).unwrap()).collect::<Vec<_>>());
}

#[test]
fn after_a_day_it_is_another_incident() {
    let hour = 3_600_000;
    let run = run(vec![
        event("ISCSI_CONNECTION_ERROR", "session2", 0),
        event("ISCSI_SESSION_RECOVERED", "session2", 1_000),
        event("ISCSI_CONNECTION_ERROR", "session2", 25 * hour),
    ]);
    assert_eq!(run.found().len(), 2);
}

fn of_person(kind: &'static str, incident: &Incident, at: i64) -> Event {
    let event = event(kind, "", at);
    let event = with(event, "daemon.incident_id", &incident.incident_id.to_string());
    with(with(event, "daemon.user", "anna"), "daemon.reason", "restored from backup")
}

#[test]
fn lost_data_stays_until_a_person_says_that_it_is_known() {
    let lost = stacked(io(event("BLK_LOST_WRITE", "vda1", 10), Op::Write, 8, 5), &["vda"], &[], &["/srv"]);
    let mut run = run(vec![
        io(event("BLK_IO_ERROR", "vda", 0), Op::Write, 8, 5),
        lost,
        stacked(event("BLK_DEVICE_REMOVED", "vda1", 20_000), &["vda"], &[], &[]),
        event("BLK_DEVICE_REMOVED", "vda", 20_000),
    ]);
    let found = run.found();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].state, found[0].needs_acknowledgement), (State::Open, true));
    assert_eq!(found[0].impact.kinds.first(), Some(&ImpactKind::DataLost));
    assert_eq!(found[0].impact.mount_points, ["/srv"]);
    let mut ack = of_person("PERIPETY_ACKNOWLEDGED", &found[0], 30_000);
    run.stage.push(&mut ack, &mut run.written);
    let found = run.found();
    assert_eq!((found[0].state, found[0].needs_acknowledgement), (State::Resolved, false));
    assert_eq!(found[0].acknowledged.as_ref().map(|a| a.by.as_str()), Some("anna"));
    assert_eq!(ack.incident_id, Some(found[0].incident_id));
}

#[test]
fn a_fault_of_the_medium_is_open_over_a_reboot_and_a_state_of_the_kernel_is_not() {
    let mut run = run(vec![medium("sda", 8, 0), event("NVME_PATH_FAILED", "nvme1", 5)]);
    let mut started = event("PERIPETY_STARTED", "", 60_000);
    started.boot_id = "f".repeat(32);
    run.stage.push(&mut started, &mut run.written);
    let states: Vec<(String, State)> = run.found().iter().map(|i| (i.cause.name.clone(), i.state)).collect();
    assert_eq!(states, [("sda".to_owned(), State::Open), ("nvme1".to_owned(), State::Resolved)]);
    let mut again = medium("sda", 8, 90_000);
    again.boot_id = "f".repeat(32);
    run.stage.push(&mut again, &mut run.written);
    assert_eq!(again.incident_id, run.events[0].incident_id);
    let mut better = event("BLK_READ_BACK", "sda", 95_000);
    better.boot_id = "f".repeat(32);
    run.stage.push(&mut better, &mut run.written);
    assert!(run.found().iter().all(|i| i.state == State::Resolved));
}

#[test]
fn a_late_revision_of_an_earlier_boot_does_not_open_again_what_ended_with_it() {
    let first = Event { is_final: false, ..event("NVME_PATH_FAILED", "nvme1", 0) };
    let mut run = run(vec![first.clone()]);
    let mut started = event("PERIPETY_STARTED", "", 60_000);
    started.boot_id = "f".repeat(32);
    run.stage.push(&mut started, &mut run.written);
    let mut late = Event { revision: 1, is_final: true, ..first };
    run.stage.push(&mut late, &mut run.written);
    let found = run.found();
    assert_eq!((found[0].state, found[0].conditions.as_slice()), (State::Resolved, [].as_slice()));
}

/// A log of an ATA port that gives its disk up, within a minute and with resets between.
#[test]
fn the_error_handling_of_a_port_is_one_incident() {
    let ladder = [
        ("ATA_TIMEOUT", "ata2.00", 0),
        ("ATA_LINK_RESET", "ata2", 100),
        ("ATA_COMMAND_ERROR", "ata2.00", 15_000),
        ("ATA_SPEED_LIMITED", "ata2", 35_000),
        ("ATA_LINK_RESET", "ata2", 36_000),
        ("ATA_DEVICE_DISABLED", "ata2.00", 66_000),
    ];
    let run = run(ladder.map(|(kind, kdev, at)| event(kind, kdev, at)).to_vec());
    assert_eq!(run.found().len(), 1, "{:#?}", run.found());
    assert_eq!(run.found()[0].cause.name, "ata2.00");
}

#[test]
fn how_long_an_effect_is_waited_for_follows_from_the_timeouts_of_the_device() {
    let pair = |timeout: Option<u64>, recovery: Option<u64>, gap| {
        let timed = |mut event: Event| {
            let own = BlkId { command_timeout_s: timeout, recovery_s: recovery, ..id(&event.kdev) };
            event.block = Some(Arc::new(BlkInfo { id: own, owners: vec![], holders: vec![] }));
            event
        };
        run(vec![timed(event("SCSI_TIMEOUT", "sda", 0)), timed(medium("sda", 8, gap))]).found().len()
    };
    // 180 s and what error handling takes, where the kernel's default is set or nothing is known.
    assert_eq!((pair(None, None, 170_000), pair(None, None, 300_000)), (1, 2));
    assert_eq!((pair(Some(30), None, 230_000), pair(Some(30), None, 300_000)), (1, 2));
    assert_eq!((pair(Some(5), None, 80_000), pair(Some(5), None, 100_000)), (1, 2));
    assert_eq!((pair(Some(180), None, 900_000), pair(Some(30), Some(600), 800_000)), (1, 1));
}

#[test]
fn a_cause_that_is_written_after_what_came_of_it_is_its_cause() {
    let cause = io(event("BLK_IO_ERROR", "sda", 0), Op::Write, 8, 5);
    let effect = Event { root_cause_event_id: Some(cause.event_id), ..event("BLK_LOST_WRITE", "dm-7", 0) };
    let run = run(vec![effect, cause]);
    let found = run.found();
    assert_eq!((found.len(), found[0].cause.name.as_str()), (1, "sda"), "{found:#?}");
}

#[test]
fn revisions_that_wait_for_one_cause_leave_room_for_what_waits_for_another() {
    let cause = io(event("BLK_IO_ERROR", "sda", 0), Op::Write, 8, 5);
    let effect = Event { root_cause_event_id: Some(cause.event_id), ..event("BLK_LOST_WRITE", "dm-7", 0) };
    let other = io(event("BLK_IO_ERROR", "sdb", 0), Op::Write, 8, 5);
    let growing = Event { root_cause_event_id: Some(other.event_id), ..event("BLK_LOST_WRITE", "dm-9", 0) };
    let revision = |revision: u32| Event { revision, is_final: false, ..growing.clone() };
    let mut events = vec![effect];
    events.extend((0..WAITING_MAX as u32 + 1).map(revision));
    events.extend([cause, other]);
    let run = run(events);
    let names: Vec<String> = run.found().iter().map(|incident| incident.cause.name.clone()).collect();
    assert_eq!(names, ["sda", "sdb"]);
}

#[test]
fn a_filesystem_that_names_no_device_is_the_named_one_of_the_moment_and_no_cause() {
    for (named, nameless) in
        [("FS_ERROR", "FS_ERROR"), ("FS_ERROR", "FS_PANIC"), ("FS_IO_ERROR", "FS_IO_ERROR")]
    {
        for events in [
            vec![event(named, "dm-5", 0), event(nameless, "", 5)],
            vec![event(nameless, "", 0), event(named, "dm-5", 5)],
        ] {
            let found = run(events).found();
            let rules = &found[0].cause.rules;
            assert_eq!(
                (found.len(), found[0].cause.name.as_str()),
                (1, "dm-5"),
                "{named} {nameless} {rules:?}"
            );
            assert_eq!(rules, &["only-filesystem-of-the-moment"], "{named} {nameless}");
        }
    }
    let apart = run(vec![event("FS_ERROR", "", 0), event("FS_PANIC", "", 5)]);
    assert_eq!(apart.found().len(), 2, "none of the two says which filesystem it is");
}

#[test]
fn of_two_roots_one_that_names_its_device_is_the_cause() {
    let (nameless, named) = (event("FS_ERROR", "", 0), event("FS_ERROR", "dm-5", 5));
    let mut case = Case::open(&nameless, Facet::of(&nameless).unwrap());
    case.add(&named, Facet::of(&named).unwrap(), None);
    assert_eq!(case.root().map(|root| root.event_id), Some(named.event_id));
}

#[test]
fn what_could_not_be_named_is_over_with_what_ends_its_kind_where_it_is_the_only_one() {
    let lost = || with(event("DRBD_STATE_CHANGED", "", 0), "drbd.resource", "r0");
    let mut one = run(vec![lost()]);
    assert_eq!(one.found()[0].cause.name, "r0");
    one.stage.push(&mut event("DRBD_CONNECTED", "drbd0", 9_000), &mut one.written);
    assert_eq!(one.found()[0].state, State::Resolved);
    let mut two = run(vec![lost(), with(event("DRBD_STATE_CHANGED", "", 5), "drbd.resource", "r1")]);
    two.stage.push(&mut event("DRBD_CONNECTED", "drbd0", 9_000), &mut two.written);
    assert!(two.found().iter().all(|i| i.state == State::Open), "nobody knows which of the two it is");
}

#[test]
fn a_late_revision_of_an_event_does_not_open_again_what_ended_and_one_that_goes_on_does() {
    let fails = |at| stacked(io(event("BLK_IO_ERROR", "sda", at), Op::Read, 8, 5), &[], &["dm-0"], &[]);
    let first = Event { is_final: false, ..fails(0) };
    let back = stacked(event("DM_MPATH_PATH_REINSTATED", "sda", 4_000), &[], &["dm-0"], &[]);
    let mut run = run(vec![first.clone(), back]);
    assert_eq!(run.found()[0].state, State::Resolved);
    let mut last = Event { revision: 1, is_final: true, ..first.clone() };
    run.stage.push(&mut last, &mut run.written);
    assert_eq!((run.found()[0].state, run.found()[0].conditions.len()), (State::Resolved, 0));
    let mut again = Event { revision: 2, count: 2, last_timestamp: fails(9_000).last_timestamp, ..first };
    run.stage.push(&mut again, &mut run.written);
    assert_eq!((run.found()[0].state, run.found()[0].episodes), (State::Open, 2));
}

#[test]
fn recoveries_that_one_event_counts_are_episodes_also_where_few_of_its_revisions_are_written() {
    let path = |kind, at| stacked(event(kind, "sda", at), &[], &["dm-0"], &[]);
    let back = |count, revision, at| Event {
        event_id: path("DM_MPATH_PATH_REINSTATED", 2_000).event_id,
        count,
        revision,
        is_final: false,
        first_timestamp: path("DM_MPATH_PATH_REINSTATED", 2_000).first_timestamp,
        ..path("DM_MPATH_PATH_REINSTATED", at)
    };
    let fails = |at| path("DM_MPATH_PATH_FAILED", at);
    let mut run = run(vec![
        fails(0),
        back(1, 0, 2_000),
        fails(4_000),
        fails(8_000),
        fails(12_000),
        back(4, 1, 14_000),
        fails(16_000),
        back(5, 2, 18_000),
    ]);
    let found = run.found();
    assert_eq!((found.len(), found[0].episodes, found[0].state), (1, 5, State::Resolved), "{found:#?}");
    // Also a revision that ends nothing more belongs to what it ended.
    let mut last = Event { is_final: true, ..back(5, 3, 18_000) };
    run.stage.push(&mut last, &mut run.written);
    assert_eq!(last.incident_id, Some(found[0].incident_id));
    assert!(run.events.iter().all(|e| e.incident_id == last.incident_id));
}

#[test]
fn what_became_part_of_another_is_in_what_is_written_at_once() {
    let at = |hctl: &str, event| placed(event, hctl, None);
    let mut stage = Incidents::default();
    let mut written = Vec::new();
    for mut event in [
        at("2:0:0:0", transport("sda", 0)),
        at("2:0:1:0", transport("sdb", 300)),
        event("SCSI_HOST_ADAPTER_RESET", "host2", 400),
    ] {
        written.clear();
        stage.push(&mut event, &mut written);
    }
    let over = written.iter().filter(|i| i.state == State::Superseded).count();
    let open: Vec<&Incident> = written.iter().filter(|i| i.state == State::Open).collect();
    assert_eq!((over, open.len()), (1, 1), "{written:#?}");
    assert_eq!((open[0].supersedes.len(), open[0].event_count), (1, 3));
}

#[test]
fn trouble_before_a_device_went_is_the_cause_of_its_going() {
    let gone = |at| event("USB_DISCONNECTED", "sda", at);
    let trouble = || with(event("USB_STORAGE_ERROR", "sda", 0), "usb.port", "1-1.2");
    let found = run(vec![trouble(), gone(63_000)]).found();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].cause.event_id, found[0].events.first().map(|m| m.event_id), "{found:#?}");
}

#[test]
fn a_rebuild_is_recovering_until_it_is_done() {
    let array = |kind, at| stacked(event(kind, "md0", at), &["sda", "sdb"], &[], &[]);
    let mut run = run(vec![array("MD_DISK_FAILED", 0), array("MD_RECOVERY_STARTED", 60_000)]);
    assert_eq!(run.found()[0].state, State::Recovering);
    assert_eq!(run.found()[0].impact.kinds, [ImpactKind::RedundancyLost]);
    run.stage.push(&mut array("MD_RECOVERY_DONE", 120_000), &mut run.written);
    assert_eq!(run.found()[0].state, State::Resolved);
}

#[test]
fn a_leg_of_a_mirror_hurts_nobody_and_a_lost_last_path_does() {
    let leg = run(vec![
        stacked(event("SCSI_DEVICE_OFFLINED", "sda", 0), &[], &["md0"], &[]),
        stacked(event("MD_DISK_FAILED", "sda", 5), &[], &["md0"], &[]),
    ]);
    assert_eq!(leg.found()[0].impact.kinds, [ImpactKind::RedundancyLost]);
    assert_eq!(leg.found()[0].severity, Severity::Warning);
    let all = run(vec![
        stacked(transport("sda", 0), &[], &["dm-0"], &[]),
        stacked(event("DM_MPATH_PATH_FAILED", "sda", 5), &[], &["dm-0"], &[]),
        stacked(event("DM_MPATH_NO_PATH", "dm-0", 6), &["sda"], &[], &["/srv"]),
    ]);
    assert_eq!(all.found()[0].impact.kinds.first(), Some(&ImpactKind::Unavailable));
    assert_eq!(all.found()[0].severity, Severity::Critical);
}

#[test]
fn what_failed_nothing_is_over_when_it_is_quiet_and_an_error_is_not() {
    let mut quiet = run(vec![event("ATA_LINK_RESET", "ata2", 0), event("BLK_BEYOND_END", "sdq", 10)]);
    let at = quiet.stage.next_deadline_ns().unwrap();
    quiet.stage.tick(at, &mut quiet.written);
    let states: Vec<State> = quiet.found().iter().map(|i| i.state).collect();
    assert_eq!(states, [State::Resolved, State::Open]);
    assert_eq!(quiet.stage.next_deadline_ns(), None, "an idle stage wants no tick");
}

#[test]
fn what_is_transient_by_nature_ends_after_its_time() {
    let left_out = run(vec![with(event("PERIPETY_EVENTS_LOST", "", 0), "loss.source", "printk")]);
    assert!(left_out.found().is_empty(), "the kernel left out lines about what others report");
    let mut run = run(vec![with(event("PERIPETY_EVENTS_LOST", "", 0), "loss.source", "ebpf:block_rq_error")]);
    assert_eq!(run.found()[0].title, "peripety: records lost");
    let at = run.stage.next_deadline_ns().unwrap();
    run.stage.tick(at - 1_000_000, &mut run.written);
    assert_eq!(run.found()[0].state, State::Open);
    run.stage.tick(at, &mut run.written);
    assert_eq!(run.found()[0].state, State::Resolved);
}

#[test]
fn a_stage_that_goes_on_where_another_was_gives_the_same() {
    let all = [medium("sda", 8, 0), event("ISCSI_CONNECTION_ERROR", "session2", 5), medium("sda", 16, 9_000)];
    let whole = run(all.to_vec());
    let mut first = run(all[..2].to_vec());
    let saved: Vec<String> =
        first.stage.save(true).into_iter().map(|case| serde_json::to_string(case).unwrap()).collect();
    let mut second = Incidents::default();
    second.restore(saved.iter().map(|case| serde_json::from_str(case).unwrap()));
    let mut last = all[2].clone();
    second.push(&mut last, &mut Vec::new());
    assert_eq!(last.incident_id, whole.events[2].incident_id);
    assert_eq!(second.all().count(), 2);
}

#[test]
fn what_comes_again_after_a_restart_is_not_counted_again() {
    let growing =
        |n: u64| Event { is_final: false, ..medium("sda", n * 8, i64::try_from(n).unwrap() * 6_000) };
    let mut first = run((0..100).map(growing).collect());
    assert_eq!((first.found().len(), first.found()[0].failures), (1, 100));
    let mut second = Incidents::default();
    let saved: Vec<_> = first.stage.save(true).into_iter().cloned().collect();
    second.restore(saved);
    for mut event in (0..100).map(growing) {
        (event.is_final, event.revision) = (true, 1);
        second.push(&mut event, &mut Vec::new());
    }
    let found: Vec<&Incident> = second.all().collect();
    assert_eq!((found.len(), found[0].failures, found[0].event_count), (1, 100, 100));
}

#[test]
fn a_storm_below_one_adapter_is_one_incident_that_grows_and_stays_small() {
    let events =
        (0..2000).map(|n| placed(event("SCSI_TIMEOUT", &format!("sd{n}"), n), &format!("2:0:{n}:0"), None));
    let run = run(events.collect());
    let found = run.found();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].event_count, found[0].failures), (2000, 2000));
    assert!(run.written.len() < 100, "{}", run.written.len());
    assert!(serde_json::to_string(&found[0]).unwrap().len() < 64 << 10);
}

#[test]
fn there_are_no_more_than_so_many() {
    let events = (0..OPEN_MAX as u64 + OVER_MAX as u64 + 500)
        .map(|n| medium(&format!("sdx{n}x"), 8, i64::try_from(n).unwrap()));
    let run = run(events.collect());
    assert!(run.stage.all().count() <= OPEN_MAX + OVER_MAX);
    assert!(run.stage.dropped() >= 500);
}

/// Any faults of any devices, in any order.
fn any_events() -> impl Strategy<Value = Vec<Event>> {
    let kinds: Vec<&'static str> = crate::event::TYPES.iter().map(|row| row.name).collect();
    let kdevs = ["sda", "sdb", "dm-0", "md0", "nvme0", "nvme0n1", "ata1.00", "session1", "host2", "", "sda1"];
    let one = (
        prop::sample::select(kinds),
        prop::sample::select(kdevs.to_vec()),
        0..400_000_i64,
        any::<bool>(),
        0..3_u8,
    );
    prop::collection::vec(one, 1..40).prop_map(move |list| {
        let mut list = list;
        list.sort_by_key(|row| row.2);
        let made = |(kind, kdev, at, fails, shape): (&'static str, &str, i64, bool, u8)| {
            let event = event(kind, kdev, at);
            let event = if fails { io(event, Op::Read, 8, 5) } else { event };
            match shape {
                1 => stacked(event, &["sda", "sdb"], &[], &["/x"]),
                2 => stacked(event, &[], &["dm-0", "md0"], &[]),
                _ => event,
            }
        };
        list.into_iter().map(made).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_consequence_is_never_the_cause_of_its_cause(events in any_events()) {
        let run = run(events);
        for incident in run.stage.all() {
            let because: BTreeMap<_, _> = incident.events.iter().map(|m| (m.event_id, m.because)).collect();
            for start in because.keys() {
                let (mut at, mut steps) = (Some(*start), 0);
                while let Some(id) = at {
                    at = because.get(&id).copied().flatten();
                    steps += 1;
                    prop_assert!(steps <= because.len() + 1, "a circle: {incident:#?}");
                }
            }
        }
    }

    #[test]
    fn every_fault_is_of_one_incident_and_the_same_input_gives_the_same(events in any_events()) {
        let (one, two) = (run(events.clone()), run(events));
        prop_assert_eq!(serde_json::to_string(&one.written).unwrap(), serde_json::to_string(&two.written).unwrap());
        for event in &one.events {
            let fault = event.event_type.info().is_some_and(|row| row.nature == crate::event::Nature::Fault);
            prop_assert!(!fault || event.incident_id.is_some());
            if let Some(id) = event.incident_id {
                prop_assert!(one.stage.get(id).is_some());
            }
        }
        for incident in one.stage.all() {
            prop_assert!(incident.opened <= incident.updated);
            prop_assert!(!incident.title.is_empty() && incident.title.chars().count() <= 200);
            prop_assert!(incident.severity <= Severity::Notice);
        }
    }
}

/// The disk of that kernel name with this identity.
fn disk_of(mut event: Event, wwid: &str, diskseq: u64) -> Event {
    let own = BlkId { wwid: wwid.to_owned(), diskseq: Some(diskseq), ..id(&event.kdev) };
    event.block = Some(Arc::new(BlkInfo { id: own, owners: vec![], holders: vec![] }));
    event
}

#[test]
fn a_name_that_another_device_got_is_another_fault() {
    for (first, second, incidents) in [
        (("/one", 1), ("/two", 2), 2),
        (("", 1), ("", 2), 2),
        (("/one", 1), ("/one", 2), 1),
        (("", 1), ("/one", 1), 1),
    ] {
        let read = |at, (wwid, diskseq): (&str, u64)| disk_of(medium("sdb", 100, at), wwid, diskseq);
        let all = run(vec![read(0, first), read(2000, second)]).found();
        assert_eq!(all.len(), incidents, "{first:?} {second:?}: {all:#?}");
    }
    // What is made of the second disk is not made of the first.
    let mut on_top = stacked(medium("md7", 0, 2000), &["sdb"], &[], &[]);
    let mut block = BlkInfo::clone(on_top.block.as_deref().unwrap());
    block.owners = vec![BlkId { diskseq: Some(2), ..id("sdb") }];
    on_top.block = Some(Arc::new(block));
    let is_below = |diskseq| {
        let disk = Facet::of(&disk_of(medium("sdb", 100, 0), "", diskseq)).unwrap();
        disk.is_below(&Facet::of(&on_top).unwrap())
    };
    assert!(is_below(2) && !is_below(1));
}
