//! Which event is named as another one's cause: what is certain, and nothing else.

use proptest::prelude::*;

use super::{
    tests::{
        DM0, Devices, LOOP0, MS, SDA, SECOND, START, Words, all_live, any_company, any_failure, bio, finals,
        kernel, line, rq, scsi, stamp, wb_err,
    },
    *,
};
use crate::{
    block::Dev,
    event::{EventId, EventType},
    record::Uevent,
};
use peripety_common::{Kind, Payload, block_rq::BlockRq};

fn run(records: &[Record]) -> Vec<Event> {
    let settings = Settings { boot_id: "0".repeat(32), hostname: "host".to_owned(), live: all_live() };
    let facts = Devices::usual().with(Dev::new(8, 16), "sdb", &[]).with(DM0, "dm-0", &[SDA]);
    let (mut engine, mut out) = (Engine::new(settings, Words), Vec::new());
    for record in records {
        engine.push(record, &facts, &mut out);
    }
    engine.finish(&facts, &mut out);
    out
}

/// Type and device of each event, and of the one that it names as its cause.
fn causes(records: &[Record]) -> Vec<(String, String)> {
    let events = run(records);
    let finals = finals(&events);
    let name = |event: &Event| format!("{} {}", event.event_type, event.kdev);
    finals
        .iter()
        .map(|event| {
            let cause = event.root_cause_event_id.map(|id| {
                finals.iter().find(|other| other.event_id == id).map_or("lost".to_owned(), |e| name(e))
            });
            (name(event), cause.unwrap_or_default())
        })
        .collect()
}

fn cause_of(records: &[Record], event: &str) -> String {
    let all = causes(records);
    all.iter().find(|(name, _)| name == event).unwrap_or_else(|| panic!("no {event} in {all:?}")).1.clone()
}

fn writes(ns: u64, dev: Dev, errno: i32, sector: u64) -> Record {
    rq(ns, dev, 1, errno, sector)
}

#[test]
fn a_guard_error_is_not_of_the_retry_of_another_command() {
    // An aborted command is sent again; 40 ms later a read of other blocks has a wrong checksum.
    let records = [scsi(START, SDA, 8, 2, [0xb, 0x4b, 3]), rq(START + 140 * MS, SDA, 0, 84, 4096)];
    assert_eq!(cause_of(&records, "BLK_PROTECTION_ERROR sda"), "");
}

#[test]
fn no_space_is_not_of_a_read_that_was_aborted() {
    let records = [scsi(START, SDA, 8, 2, [0xb, 0x4b, 3]), writes(START + 200 * MS, SDA, 28, 4096)];
    assert_eq!(cause_of(&records, "BLK_NO_SPACE sda"), "");
    // Nor of a read that failed below.
    let records = [rq(START, SDA, 0, 61, 8), writes(START + MS, DM0, 28, 64)];
    assert_eq!(cause_of(&records, "BLK_NO_SPACE dm-0"), "");
}

#[test]
fn what_failed_at_two_places_of_one_disk_is_two_failures_in_either_order() {
    let one =
        [rq(START, SDA, 0, 61, 8), rq(START + MS, SDA, 0, 5, 4096), writes(START + 2 * MS, SDA, 110, 9)];
    assert!(causes(&one).iter().all(|(_, cause)| cause.is_empty()), "{:?}", causes(&one));
}

#[test]
fn a_map_without_paths_is_the_cause_of_its_failed_requests_and_not_their_effect() {
    // The request is read first, and its clock is ahead of that of the text.
    let request = bio(START, DM0, 5, 64);
    let no_path = line(START + 40 * MS, "DM_MPATH_NO_PATH multipath dm-0");
    let records = [request, no_path];
    assert_eq!(cause_of(&records, "DM_MPATH_NO_PATH dm-0"), "");
    assert_eq!(cause_of(&records, "BLK_IO_ERROR dm-0"), "DM_MPATH_NO_PATH dm-0");
}

#[test]
fn a_cause_that_came_before_counts_more_than_one_that_may_have() {
    // The request's record is read last: the second one is out already, and seems to be later.
    let records = [
        line(START, "ISCSI_CONNECTION_ERROR iscsi sda"),
        line(START + 150 * MS, "SCSI_DEVICE_OFFLINED scsi sda"),
        line(START + 250 * MS, "SCSI_POWER_ON_RESET scsi sdb"),
        rq(START + 140 * MS, SDA, 0, 5, 8),
    ];
    assert_eq!(cause_of(&records, "BLK_IO_ERROR sda"), "ISCSI_CONNECTION_ERROR sda");
}

#[test]
fn the_whole_chain_of_a_lost_path_has_one_root() {
    let records = [
        rq(START, SDA, 0, 110, 8),
        line(START + MS, "DM_MPATH_PATH_FAILED multipath sda"),
        line(START + 2 * MS, "DM_MPATH_NO_PATH multipath dm-0"),
        bio(START + 3 * MS, DM0, 5, 64),
        wb_err(START + 4 * MS, DM0),
        line(START + 5 * MS, "FS_JOURNAL_ABORTED ext4 dm-0"),
        line(START + 6 * MS, "FS_REMOUNT_READ_ONLY ext4 dm-0"),
    ];
    let reported = causes(&records);
    assert_eq!(reported[0], ("BLK_TIMEOUT sda".to_owned(), String::new()));
    assert!(reported[1..].iter().all(|(_, cause)| cause == "BLK_TIMEOUT sda"), "{reported:?}");
}

#[test]
fn wrong_contents_do_not_come_of_a_request_that_failed_elsewhere() {
    let records = [rq(START, SDA, 0, 61, 8), line(START + 2 * MS, "FS_CHECKSUM_ERROR btrfs sda")];
    assert_eq!(cause_of(&records, "FS_CHECKSUM_ERROR sda"), "");
    let late = [rq(START, SDA, 0, 61, 8), line(START + 4 * SECOND, "FS_ERROR ext4 sda")];
    assert_eq!(cause_of(&late, "FS_ERROR sda"), "", "what a filesystem says of a read, it says at once");
}

#[test]
fn a_command_that_was_sent_again_did_not_fail_what_is_above_it() {
    let records = [scsi(START, SDA, 8, 0xe << 16, [0; 3]), bio(START + 150 * MS, DM0, 5, 64)];
    assert_eq!(cause_of(&records, "BLK_IO_ERROR dm-0"), "");
}

#[test]
fn a_cause_that_is_explained_late_takes_what_it_caused_with_it() {
    // The record of what failed first is read last.
    let records = [
        line(START + 10 * MS, "FS_IO_ERROR xfs dm-0"),
        bio(START + 9 * MS, DM0, 5, 64),
        rq(START + 8 * MS, SDA, 0, 5, 8),
        line(START, "ISCSI_CONNECTION_ERROR iscsi sda"),
    ];
    let reported = causes(&records);
    let of = |name: &str| reported.iter().find(|(n, _)| n == name).unwrap().1.clone();
    for effect in ["BLK_IO_ERROR sda", "BLK_IO_ERROR dm-0", "FS_IO_ERROR dm-0"] {
        assert_eq!(of(effect), "ISCSI_CONNECTION_ERROR sda", "{reported:?}");
    }
}

fn any_line() -> impl Strategy<Value = Record> {
    let names = crate::event::TYPES.iter().filter(|t| t.sub_system != "peripety").collect::<Vec<_>>();
    let device = prop_oneof![Just("sda"), Just("dm-0"), Just("loop0"), Just("sdb")];
    (prop::sample::select(names), device, 0u64..20 * SECOND, any::<bool>()).prop_map(
        |(info, device, ns, has_io)| {
            let sub_system = if info.sub_system == "fs" { "ext4" } else { info.sub_system };
            let io = if has_io { " op=write sector=8" } else { "" };
            line(START + ns, &format!("{} {sub_system} {device}{io}", info.name))
        },
    )
}

fn any_removal() -> impl Strategy<Value = Record> {
    let dev = prop_oneof![Just(SDA), Just(LOOP0), Just(DM0)];
    let action = prop_oneof![Just("remove"), Just("add")];
    (dev, action, 0u64..20 * SECOND).prop_map(|(dev, action, ns)| {
        let event = Uevent {
            action: action.to_owned(),
            subsystem: "block".to_owned(),
            devpath: format!("/devices/virtual/block/{dev}"),
            dev: Some(dev),
            seq: ns,
            ..Uevent::default()
        };
        Record { time: stamp(START + ns), body: Body::Uevent(event) }
    })
}

fn any_flush() -> impl Strategy<Value = Record> {
    (0u64..20 * SECOND).prop_map(|ns| {
        let mut flush = rq(START + ns, SDA, 1, 5, 0);
        if let Body::Kernel(peripety_common::KernelRecord {
            payload: Payload::BlockRq(BlockRq { nr_sectors, .. }),
            ..
        }) = &mut flush.body
        {
            *nr_sectors = 0;
        }
        flush
    })
}

fn any_timeout() -> impl Strategy<Value = Record> {
    (0u64..64, 0u64..20 * SECOND).prop_map(|(sector, ns)| {
        let Body::Kernel(peripety_common::KernelRecord { payload: Payload::ScsiDone(cmd), .. }) =
            scsi(START + ns, SDA, sector * 8, 0, [0; 3]).body
        else {
            unreachable!()
        };
        kernel(Kind::ScsiTimeout, START + ns, Payload::ScsiTimeout(cmd))
    })
}

/// What holds of the links of all events, whatever was put in.
pub(super) fn check_links(events: &[Event]) -> Result<(), TestCaseError> {
    let finals = finals(events);
    let by_id = |id: EventId| finals.iter().find(|e| e.event_id == id);
    for event in events {
        let last = by_id(event.event_id).unwrap();
        // Incidents may be joined, and then as a whole.
        let reported = event.incident_id.and_then(by_id);
        prop_assert_eq!(reported.and_then(|root| root.incident_id), last.incident_id, "{:?}", event);
        if event.event_id != last.event_id || event.revision != last.revision {
            continue;
        }
        if event.incident_id.is_none() {
            prop_assert!(event.event_type.as_str().starts_with("PERIPETY_"));
            prop_assert_eq!(event.root_cause_event_id, None);
            continue;
        }
        let root_id = event.root_cause_event_id.unwrap_or(event.event_id);
        prop_assert_eq!(event.incident_id, Some(root_id), "an incident has its root's id");
        let Some(root) = by_id(root_id) else {
            return Err(TestCaseError::fail(format!("no event {root_id} that is the root of {event:?}")));
        };
        prop_assert_eq!((root.root_cause_event_id, root.incident_id), (None, Some(root_id)));
        if root_id != event.event_id {
            let ns = |event: &Event| event.first_timestamp.as_nanosecond();
            prop_assert!(ns(root) <= ns(last) + 300_000_000 * 16, "{root:?} after {last:?}");
            // What lies in a filesystem that stopped for it fails as well, a loop device's requests for one.
            let stopped = |event: &&Event| {
                let stops = ["FS_SHUTDOWN", "FS_JOURNAL_ABORTED", "FS_REMOUNT_READ_ONLY"];
                event.root_cause_event_id == Some(root_id) && stops.contains(&event.event_type.as_str())
            };
            prop_assert!(
                root.event_type != EventType::FS_CHECKSUM_ERROR
                    || last.event_type.as_str().starts_with("FS_")
                    || finals.iter().any(stopped)
            );
            let top = [
                "FS_REMOUNT_READ_ONLY",
                "MD_READ_ERROR_CORRECTED",
                "SCSI_RECOVERED_ERROR",
                "SMART_DISK_FAIL",
            ];
            prop_assert!(
                root.event_type == last.event_type || !top[1..].contains(&root.event_type.as_str()),
                "{root:?}"
            );
        }
    }
    Ok(())
}

/// More of them by `PERIPETY_CASES`.
fn cases() -> u32 {
    std::env::var("PERIPETY_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(96)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn every_incident_has_one_root_that_came_first(
        records in prop::collection::vec(
            prop_oneof![any_failure(), any_company(), any_line(), any_removal(), any_flush(), any_timeout()],
            1..120,
        ),
        in_order: bool,
    ) {
        let mut records = records;
        if in_order {
            records.sort_by_key(|record| record.time.monotonic_ns);
        }
        check_links(&run(&records))?;
    }
}
