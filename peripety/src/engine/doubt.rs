//! Lines that claim what a live probe would have seen.

use peripety_common::{
    Kind, Payload,
    ext4::{Ext4Error, FUNCTION_BYTES},
    xfs::{FILE_BYTES, XfsShutdown},
};

use super::{
    tests::{
        DM0, Devices, LOOP0, MS, SDA, SECOND, START, all_live, engine_with_rules, kernel, line, push_in_time,
        rq, run_in_time, stamp,
    },
    *,
};
use crate::{
    event::{EventType, Severity},
    record::{Lost, Missed, Uevent},
};

const IO: &str = "I/O error, dev loop0, sector 2048 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2";
const EXT4: &str =
    "EXT4-fs error (device dm-0): ext4_lookup:1785: inode #2: comm ls: deleted inode referenced: 12";
const EXT4_SHUTDOWN: &str = "EXT4-fs (dm-0): shut down requested (2)";
const XFS: &str = "XFS (sda): Metadata I/O Error (0x1) detected at xfs_trans_read_buf_map+0x1c1/0x330 (fs/xfs/xfs_trans_buf.c:311).  Shutting down filesystem.";
const CLAIMS: [&str; 4] = [IO, EXT4, EXT4_SHUTDOWN, XFS];

fn complete() -> LiveSources {
    all_live().with_complete(Kind::ALL.iter().copied())
}

fn run(live: LiveSources, records: &[Record]) -> Vec<Event> {
    run_in_time(&mut engine_with_rules(live), records)
}

fn about<'e>(events: &'e [Event], kdev: &str) -> Vec<&'e Event> {
    events.iter().filter(|event| event.kdev == kdev).collect()
}

fn lost(ns: u64) -> Record {
    let (source, reason) = ("ebpf:block_rq_error".to_owned(), "ring full".to_owned());
    let lost = Lost { source, reason, count: 1, sequence: ns.to_string() };
    Record { time: stamp(ns), body: Body::Lost(lost) }
}

fn missed(ns: u64) -> Record {
    let missed =
        Missed { kind: Kind::BlockRqError.number(), dev: SDA.to_kernel(), op: 0, errno: 5, count: 3 };
    Record { time: stamp(ns), body: Body::Missed(missed) }
}

fn ext4_error(ns: u64) -> Record {
    let mut function = [0; FUNCTION_BYTES];
    function[..11].copy_from_slice(b"ext4_lookup");
    let error = Ext4Error { dev: DM0.to_kernel(), line: 1785, function };
    kernel(Kind::Ext4Error, ns, Payload::Ext4Error(error))
}

#[test]
fn what_no_live_probe_saw_is_not_confirmed_and_at_most_a_warning() {
    for text in CLAIMS {
        let events = run(complete(), &[line(START, text)]);
        assert!(!events.is_empty());
        for event in &events {
            assert!(!event.confirmed && event.severity >= Severity::Warning, "{event:#?}");
            assert!(event.msg.contains("not confirmed"), "{}", event.msg);
            assert_eq!(serde_json::to_value(event).unwrap()["confirmed"], false);
        }
        // Another line of the kernel lets time go on as well.
        let events = run(complete(), &[line(START, text), line(START + SECOND, "usb 1-1: new device")]);
        assert!(!events.is_empty() && events.iter().all(|event| !event.confirmed), "{text}");
    }
}

#[test]
fn what_a_probe_saw_is_confirmed_whichever_comes_first() {
    let shutdown = |ns| {
        let shutdown =
            XfsShutdown { dev: SDA.to_kernel(), ptag: 0, flags: 1, line: 311, file: [0; FILE_BYTES] };
        kernel(Kind::XfsForceShutdown, ns, Payload::XfsShutdown(shutdown))
    };
    let ring = |ns| rq(ns, LOOP0, 0, 5, 2048);
    let pairs: [(&str, &dyn Fn(u64) -> Record); 3] = [(IO, &ring), (EXT4, &ext4_error), (XFS, &shutdown)];
    for (text, record) in pairs {
        let alone = run(all_live(), &[line(START, text), record(START + 10 * MS)]);
        for records in [
            [line(START, text), record(START + 10 * MS)],
            [record(START), line(START + 10 * MS, text)],
            [record(START), line(START + 250 * MS, text)],
        ] {
            let events = run(complete(), &records);
            assert!(events.iter().all(|event| event.confirmed), "{events:#?}");
            assert_eq!(events.last().unwrap().severity, alone.last().unwrap().severity);
            assert!(!serde_json::to_string(&events[0]).unwrap().contains("confirmed"));
        }
        // The record comes later than the line could wait for it: it is confirmed then, and as bad as ever.
        let events = run(complete(), &[line(START, text), record(START + 2 * SECOND)]);
        let (first, last) = (events.first().unwrap(), events.last().unwrap());
        assert!(!first.confirmed && last.confirmed && first.event_id == last.event_id, "{events:#?}");
        assert_eq!((last.severity, last.count), (alone.last().unwrap().severity, 1), "{events:#?}");
    }
}

/// Where the silence of the probes says nothing, the kernel's line is believed.
#[test]
fn a_line_is_believed_where_the_probes_may_have_missed_it() {
    let io = |ns| line(ns, IO);
    let late = LiveSources::with_probes(Kind::ALL.iter().copied(), START - 10 * SECOND);
    for (why, live, records) in [
        ("no probe", LiveSources::text_only(), vec![io(START)]),
        ("attached of late", late.with_complete(Kind::ALL.iter().copied()), vec![io(START)]),
        ("a classic tracepoint", all_live(), vec![io(START)]),
        ("another probe", all_live().with_complete([Kind::ScsiDone, Kind::Ext4Error]), vec![io(START)]),
        ("records were lost", complete(), vec![lost(START), io(START + 59 * SECOND)]),
        ("records are lost", complete(), vec![io(START), lost(START + MS)]),
        ("records turn out to be lost", complete(), vec![io(START), lost(START + 2 * SECOND)]),
        ("failures were not seen", complete(), vec![io(START), missed(START + 2 * SECOND)]),
        ("another failure before", complete(), vec![rq(START, SDA, 0, 5, 8), io(START + 500 * MS)]),
        ("another failure after", complete(), vec![io(START), rq(START + 50 * MS, SDA, 0, 5, 8)]),
    ] {
        let events = run(live, &records);
        let last = about(&events, "loop0").last().copied().unwrap();
        assert!(last.confirmed && last.severity == Severity::Error, "{why}: {events:#?}");
        assert!(!last.msg.contains("not confirmed"), "{why}");
    }
    // Sources changed.
    let (mut engine, mut out) = (engine_with_rules(LiveSources::text_only()), Vec::new());
    engine.tick(START, &Devices::usual(), &mut out);
    engine.set_live_sources(complete());
    push_in_time(&mut engine, &[io(START + 30 * SECOND), line(START + 40 * SECOND, "x")], &mut out);
    assert!(out.iter().all(|event| event.confirmed) && !out.is_empty());
    push_in_time(&mut engine, &[io(START + 61 * SECOND), line(START + 70 * SECOND, "x")], &mut out);
    assert!(out.iter().any(|event| !event.confirmed));
    // Another probe comes, of which no line says anything.
    let kinds = || Kind::ALL.iter().copied().filter(|kind| *kind != Kind::BlockBioComplete);
    let fewer = LiveSources::with_probes(kinds(), 0).with_complete(kinds());
    let (mut engine, mut out) = (engine_with_rules(fewer), Vec::new());
    engine.tick(START, &Devices::usual(), &mut out);
    engine.set_live_sources(complete());
    push_in_time(&mut engine, &[io(START + SECOND), line(START + 2 * SECOND, "x")], &mut out);
    assert!(out.iter().any(|event| !event.confirmed));
    // A device that nobody knows, and lines that no tracepoint goes with.
    for text in [
        "I/O error, dev sdq, sector 2048 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
        "EXT4-fs error (device dm-0) in ext4_do_update_inode:5136: Journal has aborted",
        "md/raid1:md0: Disk failure on sda, disabling device.\nmd/raid1:md0: Operation continuing on 1 devices.",
        "XFS (sda): Filesystem has been shut down due to log error (0x2).",
        "Buffer I/O error on dev loop0, logical block 1, lost async page write",
        "mount: attempt to access beyond end of device\nloop0: rw=4096, sector=1048832, nr_sectors = 8 limit=1048576",
    ] {
        let events = run(complete(), &[line(START, text)]);
        assert!(!events.is_empty() && events.iter().all(|event| event.confirmed), "{text}: {events:#?}");
    }
}

/// Uevents and what programs say come in before the ring is read.
#[test]
fn a_line_waits_until_the_ring_was_read() {
    let (mut engine, facts, mut out) = (engine_with_rules(complete()), Devices::usual(), Vec::new());
    engine.push(&line(START, IO), &facts, &mut out);
    let uevent = Uevent { action: "change".into(), subsystem: "block".into(), ..Uevent::default() };
    let uevent = Record { time: stamp(START + 3 * SECOND), body: Body::Uevent(uevent) };
    engine.push(&uevent, &facts, &mut out);
    assert!(out.is_empty(), "{out:#?}");
    engine.push(&rq(START + MS, LOOP0, 0, 5, 2048), &facts, &mut out);
    engine.tick(START + 20 * SECOND, &facts, &mut out);
    assert!(!out.is_empty() && out.iter().all(|event| event.confirmed), "{out:#?}");
}

#[test]
fn what_another_daemon_left_waiting_is_believed() {
    let (mut first, facts, mut out) = (engine_with_rules(complete()), Devices::usual(), Vec::new());
    let mut saved = Saved::default();
    first.push(&line(START, IO), &facts, &mut out);
    first.save(true, |note| saved.take(&note).unwrap()).unwrap();
    let mut second = engine_with_rules(complete());
    second.restore(saved);
    second.tick(START + SECOND, &facts, &mut out);
    second.tick(START + 2 * SECOND, &facts, &mut out);
    assert!(out.iter().all(|event| event.confirmed) && !out.is_empty());
}

#[test]
fn a_real_failure_after_a_claimed_one_is_its_own_event() {
    let events = run(complete(), &[line(START, IO), rq(START + 3 * SECOND, LOOP0, 0, 5, 99_999)]);
    let ids: std::collections::BTreeSet<_> = events.iter().map(|event| event.event_id).collect();
    assert_eq!(ids.len(), 2, "{events:#?}");
    let real = events.iter().rfind(|event| event.confirmed).unwrap();
    assert_eq!((real.io.as_ref().unwrap().sector, real.count), (Some(crate::event::Sector(99_999)), 1));
    assert!(real.severity == Severity::Error && real.raw_msgs.is_empty(), "{real:#?}");
    assert!(real.root_cause_event_id.is_none());
}

#[test]
fn what_is_not_confirmed_is_no_cause_and_ends_nothing() {
    let claimed = "I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2";
    let above = "EXT4-fs (dm-0): Remounting filesystem read-only";
    let consequence = |live| {
        let events = run(live, &[line(START, claimed), line(START + SECOND, above)]);
        let above = events.iter().find(|event| event.event_type == EventType::FS_REMOUNT_READ_ONLY).unwrap();
        assert!(above.confirmed && above.block.as_ref().unwrap().id.dev == DM0, "{above:#?}");
        above.root_cause_event_id
    };
    assert!(consequence(LiveSources::text_only()).is_some(), "the two belong together where it is believed");
    assert_eq!(consequence(complete()), None);
    // Once it is confirmed it is a cause like any other.
    let records = [line(START, claimed), rq(START + 500 * MS, SDA, 0, 5, 2048), line(START + SECOND, above)];
    let events = run(complete(), &records);
    let above = events.iter().find(|event| event.event_type == EventType::FS_REMOUNT_READ_ONLY).unwrap();
    assert!(above.root_cause_event_id.is_some(), "{events:#?}");
    let mut state = crate::state::Table::default();
    for event in run(complete(), &[line(START, XFS)]) {
        let _change = state.apply(&event);
    }
    assert!(state.conditions().iter().all(|condition| condition.severity >= Severity::Warning));
}
