//! What the status of maps shows, beside what the kernel prints.

use peripety_block::status::{MapStatus, TargetLine};

use super::{
    tests::{
        DM0, MS, SDA, SECOND, START, all_live, bio, engine_with_rules, finals, line as text_line,
        run_in_time, stamp,
    },
    *,
};
use crate::{block::Dev, event::Severity};

fn status(ns: u64, target: &str, line: String) -> Record {
    let line = TargetLine { start: 0, len: 65536, target: target.to_owned(), line, legs: Vec::new() };
    let map = MapStatus { dev: DM0, name: "vg-lv".to_owned(), uuid: String::new(), targets: vec![line] };
    Record { time: stamp(ns), body: Body::Map(map) }
}

fn mirror(ns: u64, leg: Dev, states: &str) -> Record {
    status(ns, "mirror", format!("2 {leg} 254:9 128/128 1 {states} 1 core"))
}

fn pool(ns: u64, used: u32) -> Record {
    status(ns, "thin-pool", format!("0 1/2048 {used}/1000 - rw discard_passdown queue_if_no_space - 512"))
}

fn engine() -> Engine {
    engine_with_rules(all_live())
}

fn run(engine: &mut Engine, records: &[Record]) -> Vec<Event> {
    finals(&run_in_time(engine, records)).into_iter().cloned().collect()
}

#[test]
fn a_read_that_another_leg_served_is_one_event_of_line_and_status_in_any_order() {
    let line = "device-mapper: raid1: Mirror read failed from 8:0. Trying alternative device.";
    let whole = mirror(START, SDA, "AA");
    for records in [
        [whole.clone(), text_line(START + SECOND, line), mirror(START + SECOND + MS, SDA, "RA")],
        [whole, mirror(START + SECOND, SDA, "RA"), text_line(START + SECOND + MS, line)],
    ] {
        let events = run(&mut engine(), &records);
        assert_eq!(events.len(), 1, "{events:?}");
        let event = &events[0];
        let dm = event.facts.dm.as_ref().unwrap();
        assert_eq!(
            (event.event_type.as_str(), event.count, event.kdev.as_str()),
            ("DM_MIRROR_READ_FAILED", 1, "sda")
        );
        assert_eq!(
            (dm.leg.as_deref(), dm.name.as_deref(), dm.legs_left),
            (Some("R"), Some("vg-lv"), Some(1))
        );
        assert_eq!(event.severity, Severity::Warning);
    }
}

#[test]
fn low_water_and_the_level_that_was_read_are_one_event_and_the_next_level_another() {
    let line = "device-mapper: thin: 253:0: reached low water mark for data device: sending event.";
    let records = [
        pool(START, 700),
        text_line(START + SECOND, line),
        pool(START + SECOND + MS, 812),
        pool(START + 2 * SECOND, 866),
    ];
    let events = run(&mut engine(), &records);
    let seen: Vec<_> = events
        .iter()
        .map(|event| (event.event_type.as_str(), event.facts.dm.as_ref().unwrap().percent, event.count))
        .collect();
    assert_eq!(seen, [("DM_THIN_POOL_LOW_WATER", Some(81.2), 1), ("DM_THIN_POOL_LOW_WATER", Some(86.6), 1)]);
    assert!(events[1].msg.ends_with("data of vg-lv is 86.6 % full"), "{}", events[1].msg);
}

#[test]
fn a_daemon_that_was_killed_says_what_changed_meanwhile_and_nothing_else() {
    let mut first = engine();
    run(&mut first, &[mirror(START, SDA, "DA")]);
    let mut saved = Saved::default();
    first.save(true, |note| saved.take(&note).unwrap()).unwrap();
    let mut second = engine();
    second.restore(saved);
    assert!(run(&mut second, &[mirror(START + 60 * SECOND, SDA, "DA")]).is_empty());
    let events = run(&mut second, &[mirror(START + 61 * SECOND, SDA, "AA")]);
    assert_eq!(events[0].event_type, EventType::DM_MIRROR_IN_SYNC, "{events:?}");
}

#[test]
fn a_line_that_names_no_map_is_about_the_one_whose_status_says_the_same() {
    let snapshot = |ns, line: &str| status(ns, "snapshot", line.to_owned());
    let line = "device-mapper: snapshots: Invalidating snapshot: Unable to allocate exception.";
    let records = [
        snapshot(START, "70/100 1"),
        text_line(START + SECOND, line),
        snapshot(START + SECOND + 5 * MS, "Invalid"),
        bio(START + SECOND + 200 * MS, DM0, 5, 0),
    ];
    let mut engine = engine();
    let events = run(&mut engine, &records);
    assert_eq!(events.len(), 2, "{events:?}");
    // What it serves no more is its consequence.
    assert_eq!(events[1].root_cause_event_id, Some(events[0].event_id), "{events:?}");
    let dm = events[0].facts.dm.as_ref().unwrap();
    assert_eq!((events[0].kdev.as_str(), dm.name.as_deref(), events[0].count), ("dm-0", Some("vg-lv"), 1));
    assert_eq!(events[0].sources, ["kmsg", "dm_status"]);
    // Of what is about another thing it is not.
    let records = [
        snapshot(START + 60 * SECOND, "10/100 1"),
        text_line(START + 61 * SECOND, "device-mapper: snapshots: Read error: shutting down merge."),
        snapshot(START + 62 * SECOND, "Invalid"),
    ];
    assert_eq!(run(&mut engine, &records).len(), 2);
}
