//! Daemons and the kernel about the same thing, with the real rules.

use super::{
    tests::{Devices, all_live, finals},
    *,
};
use crate::{block::Dev, parser::rules::RuleSet, record::Uevent};

const SECOND: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;
const START: u64 = 1000 * SECOND;

fn at(ns: u64, body: Body) -> Record {
    let realtime_us = i64::try_from(ns / 1000).unwrap();
    Record { time: Stamp { monotonic_ns: Some(ns), realtime_us }, body }
}

fn said(ns: u64, program: Option<&str>, text: &str) -> Record {
    let identifier = program.map(str::to_owned);
    at(
        ns,
        Body::Log(LogRecord { seq: ns, level: 3, text: text.to_owned(), identifier, ..LogRecord::default() }),
    )
}

fn multipathd(ns: u64, text: &str) -> Record {
    said(ns, Some("multipathd"), text)
}

fn kernel_fails(ns: u64) -> Record {
    said(ns, None, "device-mapper: multipath: 253:0: Failing path 8:0.")
}

fn uevent(ns: u64, action: &str, left: &str) -> Record {
    let properties = [("DM_ACTION", action), ("DM_PATH", "8:0"), ("DM_NR_VALID_PATHS", left)];
    at(
        ns,
        Body::Uevent(Uevent {
            seq: ns,
            action: "change".to_owned(),
            subsystem: "block".to_owned(),
            devpath: "/devices/virtual/block/dm-0".to_owned(),
            dev: Some(Dev::new(253, 0)),
            udev: false,
            properties: properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        }),
    )
}

/// Facts with the map under its name.
struct Named(Devices);

impl DeviceFacts for Named {
    fn by_dev(&self, dev: Dev, at_ns: Option<u64>) -> Option<std::sync::Arc<crate::block::BlkInfo>> {
        self.0.by_dev(dev, at_ns)
    }

    fn by_name(&self, name: &str, at_ns: Option<u64>) -> Option<std::sync::Arc<crate::block::BlkInfo>> {
        let names = [
            ("/dev/mapper/mpatha", "dm-0"),
            ("/dev/mapper/raid-lv", "dm-4"),
            ("/dev/mapper/raid-lv_rimage_0", "dm-1"),
        ];
        self.0.by_name(names.iter().find(|row| row.0 == name).map_or(name, |row| row.1), at_ns)
    }
}

/// The last revision of each event.
fn reported(records: &[Record]) -> Vec<Event> {
    let settings = Settings { boot_id: "0".repeat(32), hostname: "host".to_owned(), live: all_live() };
    let devices = Devices::usual().with(Dev::new(253, 1), "dm-1", &[]).with(
        Dev::new(253, 4),
        "dm-4",
        &[Dev::new(253, 1)],
    );
    let (mut engine, facts) = (Engine::new(settings, RuleSet::built_in()), Named(devices));
    let mut out = Vec::new();
    for record in records {
        let now = record.time.monotonic_ns.unwrap();
        while let Some(due) = engine.next_deadline_ns().filter(|due| *due <= now) {
            engine.tick(due, &facts, &mut out);
        }
        engine.push(record, &facts, &mut out);
    }
    engine.finish(&facts, &mut out);
    finals(&out).into_iter().cloned().collect()
}

fn types(events: &[Event]) -> Vec<(&str, &str, u64)> {
    events.iter().map(|e| (e.event_type.as_str(), e.kdev.as_str(), e.count)).collect()
}

#[test]
fn each_time_a_path_fails_and_works_again_is_an_event_of_its_own() {
    let flaps = (0..4).flat_map(|n| {
        let at = START + n * 300 * MS;
        [uevent(at, "PATH_FAILED", "1"), kernel_fails(at + MS), uevent(at + 150 * MS, "PATH_REINSTATED", "2")]
    });
    let events = reported(&flaps.collect::<Vec<_>>());
    for kind in ["DM_MPATH_PATH_FAILED", "DM_MPATH_PATH_REINSTATED"] {
        let counts: Vec<u64> =
            events.iter().filter(|e| e.event_type.as_str() == kind).map(|e| e.count).collect();
        assert_eq!(counts, [1; 4], "{:?}", types(&events));
    }
}

#[test]
fn a_path_that_fails_is_one_event_whoever_tells_first() {
    let daemon = |ns| {
        [
            multipathd(ns, "checker failed path 8:0 in map mpatha"),
            multipathd(ns + MS, "sda: mark as failed"),
            multipathd(ns + 2 * MS, "mpatha: remaining active paths: 1"),
            multipathd(ns + SECOND, "mpatha: sda - path offline"),
            multipathd(ns + 2 * SECOND, "mpatha: sda - path offline"),
        ]
    };
    let kernel = |ns| vec![uevent(ns, "PATH_FAILED", "1"), kernel_fails(ns + MS)];
    let later: Vec<Record> = kernel(START).into_iter().chain(daemon(START + SECOND)).collect();
    let earlier: Vec<Record> = daemon(START).into_iter().chain(kernel(START + 20 * MS)).collect();
    for records in [later, earlier] {
        let events = reported(&records);
        let of_path: Vec<&Event> = events.iter().filter(|e| e.kdev == "sda").collect();
        assert_eq!(of_path.len(), 1, "{:?}", types(&events));
        let event = of_path[0];
        assert_eq!((event.event_type.as_str(), event.count), ("DM_MPATH_PATH_FAILED", 1));
        // Another path serves.
        assert_eq!(event.severity.as_str(), "warning");
        for source in ["uevent", "kmsg", "journal:multipathd"] {
            assert!(event.sources.iter().any(|s| s == source), "{source}: {:?}", event.sources);
        }
        assert!(
            event.raw_msgs.iter().any(|m| m == "multipathd: sda: mark as failed"),
            "{:?}",
            event.raw_msgs
        );
        let offline = event.raw_msgs.iter().filter(|m| m.ends_with("sda - path offline")).count();
        assert_eq!(offline, 1, "{:?}", event.raw_msgs);
        assert_eq!(events.len(), 1, "{:?}", types(&events));
    }
}

#[test]
fn what_the_kernel_tells_late_makes_the_daemons_word_exact() {
    let events = reported(&[multipathd(START, "sda: mark as failed"), kernel_fails(START + SECOND)]);
    assert_eq!(types(&events), [("DM_MPATH_PATH_FAILED", "sda", 1)]);
    assert_eq!(events[0].severity.as_str(), "error");
}

#[test]
fn a_state_that_lasts_is_told_once_and_again_after_it_was_over() {
    let down = "mpatha: sda - tur checker reports path is down";
    let records: Vec<Record> = [
        kernel_fails(START),
        multipathd(START + 7 * SECOND, down),
        multipathd(START + 20 * SECOND, down),
        multipathd(START + 40 * SECOND, "mpatha: sda - tur checker reports path is up"),
        multipathd(START + 40 * SECOND + MS, "8:0: reinstated"),
        said(START + 40 * SECOND + 2 * MS, None, "device-mapper: multipath: 253:0: Reinstating path 8:0."),
        multipathd(START + 80 * SECOND, down),
        multipathd(START + 100 * SECOND, down),
    ]
    .into();
    let wanted = [
        ("DM_MPATH_PATH_FAILED", "sda", 1),
        ("DM_MPATH_PATH_REINSTATED", "sda", 1),
        ("MULTIPATHD_PATH_DOWN", "sda", 1),
    ];
    assert_eq!(types(&reported(&records)), wanted);
}

#[test]
fn without_uevents_multipathd_tells_of_the_last_path() {
    let events =
        reported(&[kernel_fails(START), multipathd(START + MS, "mpatha: remaining active paths: 0")]);
    assert_eq!(types(&events), [("DM_MPATH_PATH_FAILED", "sda", 1), ("DM_MPATH_NO_PATH", "dm-0", 1)]);
    let events = reported(&[
        uevent(START, "PATH_FAILED", "0"),
        multipathd(START + MS, "mpatha: remaining active paths: 0"),
    ]);
    assert_eq!(types(&events), [("DM_MPATH_NO_PATH", "dm-0", 1)]);
    assert_eq!(events[0].sources, ["uevent", "journal:multipathd"]);
}

#[test]
fn smartd_repeats_itself_every_half_hour() {
    let smartd = |minutes: u64, text: &str| {
        said(START + minutes * 60 * SECOND, Some("smartd"), &format!("Device: /dev/sda [SAT], {text}"))
    };
    let eight = "8 Currently unreadable (pending) sectors";
    let events = reported(&[
        smartd(0, eight),
        smartd(0, "2 Offline uncorrectable sectors"),
        smartd(30, eight),
        smartd(30, "2 Offline uncorrectable sectors"),
        smartd(60, "16 Currently unreadable (pending) sectors (changed +8)"),
        smartd(90, "No more Currently unreadable (pending) sectors, warning condition reset after 1 email"),
        smartd(120, eight),
    ]);
    let wanted =
        ["SMART_ATTRIBUTE_WARNING", "SMART_ATTRIBUTE_WARNING", "BLK_READ_BACK", "SMART_ATTRIBUTE_WARNING"];
    let got: Vec<&str> = events.iter().map(|e| e.event_type.as_str()).collect();
    assert_eq!(got, wanted, "{:#?}", events.iter().map(|e| &e.raw_msgs).collect::<Vec<_>>());
    assert_eq!(events[0].raw_msgs.len(), 2, "two lines of one check are one event");
}

#[test]
fn an_iscsi_session_is_one_event_and_two_are_two() {
    let iscsid = "Kernel reported iSCSI connection 1:0 error (1020 - ISCSI_ERR_TCP_CONN_CLOSE: TCP connection closed) state (3)";
    let events = reported(&[
        said(START, None, " connection1:0: detected conn error (1020)"),
        said(START + MS, None, " connection2:0: detected conn error (1020)"),
        said(START + 5 * MS, Some("iscsid"), iscsid),
        said(START + 9 * SECOND, Some("iscsid"), "connection1:0 is operational after recovery (3 attempts)"),
    ]);
    let wanted = [
        ("ISCSI_CONNECTION_ERROR", "session1", 1),
        ("ISCSI_CONNECTION_ERROR", "session2", 1),
        ("ISCSI_SESSION_RECOVERED", "session1", 1),
    ];
    assert_eq!(types(&events), wanted);
    assert_eq!(events[0].sources, ["kmsg", "journal:iscsid"]);
    assert_eq!(
        events[0].facts.get("iscsi.reason"),
        Some("ISCSI_ERR_TCP_CONN_CLOSE: TCP connection closed".into())
    );
}

/// The lines of Linux 6.1 and LVM 2.03.16 when a leg fails.
#[test]
fn a_leg_that_fails_is_told_by_the_kernel_and_dmeventd_as_one() {
    let dmeventd = |ns, leg: u32| {
        let line = format!("WARNING: Device #{leg} of raid1 array, raid-lv, has failed.");
        said(ns, Some("dmeventd"), &line)
    };
    let kernel = "md/raid1:mdX: Disk failure on dm-1, disabling device.\nmd/raid1:mdX: Operation continuing on 1 devices.";
    let events =
        reported(&[said(START, None, kernel), dmeventd(START + 40 * MS, 0), dmeventd(START + 40 * MS, 1)]);
    let wanted = [("DM_RAID_LEG_FAILED", "dm-1", 1), ("DM_RAID_LEG_FAILED", "dm-4", 1)];
    assert_eq!(types(&events), wanted, "a leg that nobody knows is one of the array");
    assert_eq!(events[0].sources, ["kmsg", "journal:dmeventd"]);
}

#[test]
fn a_member_that_fails_is_told_by_md_and_mdadm_as_one() {
    let events = reported(&[
        said(
            START,
            None,
            "md/raid1:md0: Disk failure on sda, disabling device.\nmd/raid1:md0: Operation continuing on 1 devices.",
        ),
        said(
            START + SECOND,
            Some("mdadm"),
            "mdadm: Fail event detected on md device /dev/md0, component device /dev/sda",
        ),
        said(
            START + SECOND,
            Some("mdadm"),
            "Fail event detected on md device /dev/md0, component device /dev/sda",
        ),
    ]);
    assert_eq!(types(&events), [("MD_DISK_FAILED", "sda", 1)]);
    assert_eq!(events[0].sources, ["kmsg", "journal:mdadm"]);
}

#[test]
fn a_rebuild_is_told_by_md_and_mdadm_as_one() {
    let events = reported(&[
        said(START, None, "md: recovery of RAID array md0"),
        said(START + 2 * SECOND, None, "md: md0: recovery done."),
        said(
            START + 4 * SECOND,
            Some("mdadm"),
            "SpareActive event detected on md device /dev/md0, component device /dev/sdc",
        ),
    ]);
    assert_eq!(types(&events), [("MD_RECOVERY_STARTED", "md0", 1), ("MD_RECOVERY_DONE", "md0", 1)]);
    assert_eq!(events[1].sources, ["kmsg", "journal:mdadm"]);
}
