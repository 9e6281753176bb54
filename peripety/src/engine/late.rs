//! A cause that is read after its consequence was written: it is linked all the same, and nothing else is.

use super::{
    tests::{DM0, Devices, LOOP0, MS, SDA, SECOND, START, Words, all_live, bio, finals, line, rq, wb_err},
    *,
};
use crate::block::{BlkType, Dev};

const DM1: Dev = Dev::new(253, 1);

/// dm-1 on dm-0 on sda.
fn stack() -> Devices {
    Devices::usual().holding(DM0, &[(DM1, "dm-1", BlkType::Dm)])
}

/// The events of `records`, each read at its time, in ms after [`START`].
fn read_at(records: &[(u64, Record)]) -> Vec<Event> {
    let settings = Settings { boot_id: "0".repeat(32), hostname: "host".to_owned(), live: all_live() };
    let (mut engine, mut out, facts) = (Engine::new(settings, Words), Vec::new(), stack());
    let mut records: Vec<_> = records.iter().collect();
    records.sort_by_key(|(ms, _)| *ms);
    let mut records = records.into_iter().peekable();
    for ms in 0..4000 {
        engine.tick(START + ms * MS, &facts, &mut out);
        while let Some((_, record)) = records.next_if(|(at, _)| *at <= ms) {
            engine.push(record, &facts, &mut out);
        }
    }
    engine.finish(&facts, &mut out);
    out
}

fn of<'e>(events: &'e [Event], name: &str) -> &'e Event {
    let finals = finals(events);
    let named = |event: &&&Event| format!("{} {}", event.event_type, event.kdev) == name;
    finals.iter().find(named).unwrap_or_else(|| panic!("no {name} in {finals:?}"))
}

/// A cause and what comes of it, with their names. The cause is stamped 2 ms before its effect.
fn pairs() -> Vec<(Record, &'static str, Record, &'static str)> {
    let before = START - 2 * MS;
    let text = |text: &str| line(before, text);
    vec![
        (
            text("DM_THIN_POOL_OUT_OF_DATA dm-thin dm-0"),
            "DM_THIN_POOL_OUT_OF_DATA dm-0",
            bio(START, DM1, 28, 64),
            "BLK_NO_SPACE dm-1",
        ),
        (
            text("DM_THIN_POOL_OUT_OF_DATA dm-thin dm-0"),
            "DM_THIN_POOL_OUT_OF_DATA dm-0",
            bio(START, DM1, 5, 64),
            "BLK_IO_ERROR dm-1",
        ),
        (
            text("DM_MPATH_NO_PATH dm-multipath dm-0"),
            "DM_MPATH_NO_PATH dm-0",
            bio(START, DM0, 5, 64),
            "BLK_IO_ERROR dm-0",
        ),
        (
            text("MD_ARRAY_FAILED md dm-0"),
            "MD_ARRAY_FAILED dm-0",
            bio(START, DM1, 5, 64),
            "BLK_IO_ERROR dm-1",
        ),
        (
            text("DM_INTEGRITY_CHECKSUM_FAILED dm-integrity dm-0"),
            "DM_INTEGRITY_CHECKSUM_FAILED dm-0",
            bio(START, DM0, 84, 64),
            "BLK_PROTECTION_ERROR dm-0",
        ),
        (
            text("ISCSI_CONNECTION_ERROR iscsi sda"),
            "ISCSI_CONNECTION_ERROR sda",
            rq(START, SDA, 0, 110, 8),
            "BLK_TIMEOUT sda",
        ),
        (
            text("SCSI_DEVICE_OFFLINED scsi sda"),
            "SCSI_DEVICE_OFFLINED sda",
            rq(START, SDA, 0, 5, 8),
            "BLK_IO_ERROR sda",
        ),
        // The record of the ring that was read last.
        (rq(before, SDA, 0, 5, 8), "BLK_IO_ERROR sda", bio(START, DM0, 5, 64), "BLK_IO_ERROR dm-0"),
        (
            rq(before, SDA, 0, 5, 8),
            "BLK_IO_ERROR sda",
            line(START, "FS_IO_ERROR ext4 dm-0"),
            "FS_IO_ERROR dm-0",
        ),
    ]
}

#[test]
fn a_cause_that_is_read_late_is_linked_by_a_revision_of_its_effect() {
    for late_ms in [0, 1, 5, 7, 9, 12, 20, 45, 55, 80, 130, 200, 301, 400, 500] {
        for (cause, cause_name, effect, effect_name) in pairs() {
            let events = read_at(&[(5, effect), (5 + late_ms, cause)]);
            let (cause, effect) = (of(&events, cause_name), of(&events, effect_name));
            let what = format!("{cause_name} -> {effect_name}, {late_ms} ms late: {events:#?}");
            assert_eq!(effect.root_cause_event_id, Some(cause.event_id), "{what}");
            assert_eq!(effect.incident_id, Some(cause.event_id), "{what}");
            assert_eq!(
                (cause.root_cause_event_id, cause.incident_id),
                (None, Some(cause.event_id)),
                "{what}"
            );
            assert!(cause.first_timestamp <= effect.first_timestamp, "{what}");
            let linked =
                |event: &&Event| event.event_id == effect.event_id && event.incident_id == cause.incident_id;
            let first = events.iter().find(linked).unwrap();
            assert!(!first.is_final, "it waits for the end of its effect: {what}");
            assert!(effect.revision <= 3, "{what}");
        }
    }
}

#[test]
fn all_that_came_of_the_effect_moves_with_it() {
    let events = read_at(&[
        (0, bio(START, DM0, 5, 64)),
        (1, bio(START + MS, DM1, 5, 64)),
        (2, wb_err(START + 2 * MS, DM1)),
        (70, line(START + 70 * MS, "FS_REMOUNT_READ_ONLY ext4 dm-1")),
        (300, rq(START - 20 * MS, SDA, 0, 110, 8)),
        (310, line(START - 10 * MS, "DM_MPATH_PATH_FAILED dm-multipath sda")),
        // Its clock is ahead.
        (320, line(START + 40 * MS, "DM_MPATH_NO_PATH dm-multipath dm-0")),
    ]);
    let root = of(&events, "BLK_TIMEOUT sda");
    for name in [
        "DM_MPATH_NO_PATH dm-0",
        "BLK_IO_ERROR dm-0",
        "BLK_IO_ERROR dm-1",
        "BLK_LOST_WRITE dm-1",
        "FS_REMOUNT_READ_ONLY dm-1",
    ] {
        assert_eq!(of(&events, name).root_cause_event_id, Some(root.event_id), "{name} {events:#?}");
    }
}

#[test]
fn what_is_only_said_to_have_come_later_is_no_cause() {
    // A session that broke 100 ms after the request failed; the same of a map without paths half a second later.
    for (text, name) in [
        ("ISCSI_CONNECTION_ERROR iscsi sda", "ISCSI_CONNECTION_ERROR sda"),
        ("SCSI_DEVICE_OFFLINED scsi sda", "SCSI_DEVICE_OFFLINED sda"),
    ] {
        let events = read_at(&[(0, rq(START, SDA, 0, 110, 8)), (400, line(START + 100 * MS, text))]);
        assert_eq!(of(&events, "BLK_TIMEOUT sda").root_cause_event_id, None, "{events:#?}");
        assert_eq!(of(&events, name).event_id, of(&events, name).incident_id.unwrap_or_default());
    }
    let no_path = line(START + 500 * MS, "DM_MPATH_NO_PATH dm-multipath dm-0");
    let events = read_at(&[(0, bio(START, DM0, 5, 64)), (500, no_path)]);
    assert_eq!(of(&events, "BLK_IO_ERROR dm-0").root_cause_event_id, None);
}

#[test]
fn a_cause_that_is_read_seconds_later_changes_nothing() {
    let cause = line(START - MS, "DM_MPATH_NO_PATH dm-multipath dm-0");
    let events = read_at(&[(0, bio(START, DM0, 5, 64)), (2000, cause)]);
    assert_eq!(of(&events, "BLK_IO_ERROR dm-0").root_cause_event_id, None);
    assert!(of(&events, "BLK_IO_ERROR dm-0").revision <= 1, "{events:#?}");
}

#[test]
fn an_event_that_has_a_cause_keeps_it() {
    let events = read_at(&[
        (0, rq(START - 10 * MS, SDA, 0, 5, 8)),
        (1, bio(START, DM0, 5, 64)),
        (200, line(START - 5 * MS, "DM_INTEGRITY_CHECKSUM_FAILED dm-integrity dm-0")),
    ]);
    let root = of(&events, "BLK_IO_ERROR sda");
    let effect: Vec<_> = events
        .iter()
        .filter(|event| event.kdev == "dm-0" && event.event_type == EventType::BLK_IO_ERROR)
        .collect();
    assert!(
        !effect.is_empty() && effect.iter().all(|event| event.incident_id == Some(root.event_id)),
        "{events:#?}"
    );
}

#[test]
fn an_end_of_the_daemon_does_not_forget_a_cause_that_is_not_written_yet() {
    let (mut engine, mut out, facts) = (tests::engine(all_live()), Vec::new(), stack());
    engine.push(&bio(START, DM1, 28, 64), &facts, &mut out);
    engine.tick(START + 60 * MS, &facts, &mut out);
    engine.push(&line(START - MS, "DM_THIN_POOL_OUT_OF_DATA dm-thin dm-0"), &facts, &mut out);
    engine.finish(&facts, &mut out);
    let cause = of(&out, "DM_THIN_POOL_OUT_OF_DATA dm-0").event_id;
    assert_eq!(of(&out, "BLK_NO_SPACE dm-1").root_cause_event_id, Some(cause), "{out:#?}");
}

#[test]
fn a_daemon_that_is_killed_in_between_still_links() {
    let (mut first, mut out, facts) = (tests::engine(all_live()), Vec::new(), stack());
    first.push(&bio(START, DM1, 28, 64), &facts, &mut out);
    first.tick(START + 100 * MS, &facts, &mut out);
    let mut saved = Saved::default();
    first.save(true, |note| saved.take(&note).unwrap()).unwrap();
    let mut second = tests::engine(all_live());
    second.restore(saved);
    second.push(&line(START - MS, "DM_THIN_POOL_OUT_OF_DATA dm-thin dm-0"), &facts, &mut out);
    for ms in 100..1000 {
        second.tick(START + ms * MS, &facts, &mut out);
    }
    second.tick(START + 20 * SECOND, &facts, &mut out);
    let cause = of(&out, "DM_THIN_POOL_OUT_OF_DATA dm-0").event_id;
    assert_eq!(of(&out, "BLK_NO_SPACE dm-1").root_cause_event_id, Some(cause), "{out:#?}");
}

/// The mount is reported when it is known where, or after a while. What fails in that time is not over by it.
#[test]
fn a_mount_that_waits_to_be_read_is_written_before_what_fails_after_it() {
    let events = read_at(&[
        (1, line(START + MS, "FS_MOUNTED ext4 sda")),
        (20, line(START + 20 * MS, "FS_JOURNAL_ABORTED ext4 sda")),
        (30, line(START + 30 * MS, "FS_MOUNTED ext4 loop0")),
        // A request that a new filesystem tries is no failure.
        (35, bio(START + 35 * MS, LOOP0, 95, 64)),
    ]);
    let order: Vec<String> = events.iter().map(|e| format!("{} {}", e.event_type, e.kdev)).collect();
    let at = |name: &str| order.iter().position(|one| one == name).unwrap_or_else(|| panic!("{order:?}"));
    assert!(at("FS_MOUNTED sda") < at("FS_JOURNAL_ABORTED sda"), "{order:?}");
    assert!(at("FS_JOURNAL_ABORTED sda") < at("FS_MOUNTED loop0"), "of another filesystem: {order:?}");
    assert!(
        at("BLK_NOT_SUPPORTED loop0") < at("FS_MOUNTED loop0"),
        "it does not wait to know where: {order:?}"
    );
}
