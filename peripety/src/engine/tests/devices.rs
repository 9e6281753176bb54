//! Which device a failure is of, and which one is below it.

use super::*;

#[test]
fn a_filesystem_points_at_the_disk_below() {
    let events = run(
        all_live(),
        &[
            line(START, "FS_IO_ERROR xfs dm-0"),
            rq(START + MS, SDA, 0, 5, 2048),
            bio(START + 2 * MS, DM0, 5, 2048),
        ],
    );
    let finals = finals(&events);
    let by_type = |name: &str| finals.iter().find(|e| e.event_type.as_str() == name).unwrap();
    let (fs, dm) =
        (by_type("FS_IO_ERROR"), finals.iter().find(|e| e.kdev == "dm-0" && e.io.is_some()).unwrap());
    let disk = finals.iter().find(|e| e.kdev == "sda").unwrap();
    assert_eq!(disk.root_cause_event_id, None);
    assert_eq!(fs.root_cause_event_id, Some(disk.event_id));
    assert_eq!(dm.root_cause_event_id, Some(disk.event_id));
    assert_eq!((fs.incident_id, dm.incident_id), (Some(disk.event_id), Some(disk.event_id)));
    assert_eq!(disk.incident_id, Some(disk.event_id));
    // Named in the first writing already, though the text came first.
    assert!(events.iter().filter(|e| e.event_id == fs.event_id).all(|e| e.root_cause_event_id.is_some()));
    assert_eq!(dm.msg, "read of 8 sectors at 2048 failed on /dev/mapper/mpatha (dm-0): I/O error (EIO)");
}

#[test]
fn a_shutdown_below_is_the_cause_and_not_what_follows_from_it() {
    let shutdown = Ext4Shutdown { dev: SDA.to_kernel(), flags: 2 };
    let events = run(
        all_live(),
        &[
            kernel(Kind::Ext4Shutdown, START, Payload::Ext4Shutdown(shutdown)),
            wb_err(START + MS, SDA),
            bio(START + 2 * MS, DM0, 5, 2048),
        ],
    );
    let finals = finals(&events);
    let shutdown = finals.iter().find(|e| e.event_type == EventType::FS_SHUTDOWN).unwrap();
    assert_eq!(shutdown.root_cause_event_id, None);
    for event in finals.iter().filter(|e| e.event_type != EventType::FS_SHUTDOWN) {
        assert_eq!(event.root_cause_event_id, Some(shutdown.event_id), "{}", event.msg);
    }
}

#[test]
fn a_cause_comes_first_and_not_long_before() {
    let root = |failure: u64, lost: u64| {
        let events = run(all_live(), &[rq(failure, SDA, 1, 5, 8), wb_err(lost, SDA)]);
        finals(&events)
            .iter()
            .find(|e| e.event_type == EventType::BLK_LOST_WRITE)
            .unwrap()
            .root_cause_event_id
    };
    assert!(root(START, START + 4 * SECOND).is_some());
    assert_eq!(root(START, START + 6 * SECOND), None);
    // Read in this order, happened in the other.
    assert_eq!(root(START + MS, START), None);
}

#[test]
fn a_uevent_tells_once_and_is_final() {
    let event = Uevent {
        seq: 9,
        action: "remove".to_owned(),
        subsystem: "block".to_owned(),
        devpath: "/devices/virtual/block/loop0".to_owned(),
        dev: Some(LOOP0),
        udev: false,
        properties: vec![("DEVNAME".to_owned(), "loop0".to_owned())],
    };
    let events = run(all_live(), &[Record { time: stamp(START), body: Body::Uevent(event) }]);
    assert_eq!(events.len(), 1);
    assert!(events[0].is_final);
    assert_eq!(events[0].msg, "/dev/loop0 went away");
}

#[test]
fn a_mount_is_told_with_its_mount_point_which_is_known_later() {
    let mounted = |points: &[&str]| {
        let mut devices = Devices::usual();
        Arc::make_mut(devices.0.get_mut(&LOOP0).unwrap()).id.mount_points =
            points.iter().map(|point| (*point).to_owned()).collect();
        devices
    };
    let (mut engine, mut out) = (engine(all_live()), Vec::new());
    let said = |ns| line(ns, "FS_MOUNTED xfs loop0");
    engine.push(&said(START), &mounted(&[]), &mut out);
    engine.push(&said(START + MS), &mounted(&[]), &mut out);
    assert_eq!(out.len(), 0);
    engine.tick(START + 400 * MS, &mounted(&["/mnt"]), &mut out);
    engine.push(&said(START + 500 * MS), &mounted(&["/mnt"]), &mut out);
    let reported: Vec<_> = out.iter().map(|e| (e.revision, e.count, e.is_final, block_points(e))).collect();
    assert_eq!(reported, vec![(0, 1, true, "/mnt".to_owned()); 3]);
    engine.finish(&mounted(&[]), &mut out);
    assert_eq!((out.len(), engine.open_events()), (3, 0));
}

fn block_points(event: &Event) -> String {
    event.block.as_ref().unwrap().id.mount_points.join(" ")
}

#[test]
fn failures_far_apart_are_two_events() {
    let events = run(all_live(), &[rq(START, SDA, 0, 5, 8), rq(START + 6 * SECOND, SDA, 0, 5, 8)]);
    assert_eq!(types(&finals(&events)), [("BLK_IO_ERROR".to_owned(), 1), ("BLK_IO_ERROR".to_owned(), 1)]);
}

#[test]
fn failures_of_two_devices_that_had_the_same_number_are_two_events() {
    let nth = |diskseq| {
        let mut devices = Devices::usual();
        Arc::make_mut(devices.0.get_mut(&LOOP0).unwrap()).id.diskseq = Some(diskseq);
        devices
    };
    let (mut engine, mut out) = (engine(all_live()), Vec::new());
    for (ns, diskseq) in [(0, 7), (MS, 7), (2 * MS, 8), (3 * MS, 8), (4 * MS, 8)] {
        engine.push(&rq(START + ns, LOOP0, 0, 5, 2048), &nth(diskseq), &mut out);
    }
    engine.finish(&nth(8), &mut out);
    let reported: Vec<_> =
        finals(&out).iter().map(|e| (e.block.as_ref().unwrap().id.diskseq, e.count)).collect();
    assert_eq!(reported, [(Some(7), 2), (Some(8), 3)]);
}
