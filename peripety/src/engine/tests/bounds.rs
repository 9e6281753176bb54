//! Storms, losses and whatever comes in whatever order: bounded, and counted exactly.

use super::*;

#[test]
fn what_is_lost_is_told_and_counted() {
    let lost = |ns, count| Record {
        time: stamp(ns),
        body: Body::Lost(Lost {
            source: "kmsg".to_owned(),
            reason: "overwritten".to_owned(),
            count,
            sequence: format!("{ns}"),
        }),
    };
    let events = run(all_live(), &[lost(START, 3), lost(START + MS, 4), rq(START + 2 * MS, SDA, 0, 5, 8)]);
    let finals = finals(&events);
    assert_eq!(types(&finals), [("PERIPETY_EVENTS_LOST".to_owned(), 7), ("BLK_IO_ERROR".to_owned(), 1)]);
    assert_eq!(finals[0].msg, "records were lost at kmsg: overwritten");
    assert_eq!(finals[1].lost_before, 7);
}

#[test]
fn a_storm_of_a_million_is_one_event_with_every_failure_counted() {
    let (mut engine, facts, mut out) = (engine(all_live()), Devices::usual(), Vec::new());
    let total = 1_000_000u64;
    for i in 0..total {
        // Ten seconds of it.
        engine.push(&rq(START + i * 10_000, SDA, 0, 5, (i % 4096) * 8), &facts, &mut out);
    }
    engine.finish(&facts, &mut out);
    let finals = finals(&out);
    assert_eq!(types(&finals), [("BLK_IO_ERROR".to_owned(), total)]);
    assert!(out.len() <= 12, "at most once a second: {}", out.len());
    let ranges = &finals[0].sector_ranges;
    assert_eq!((ranges.len(), ranges[0].start.0, ranges[0].end.0), (1, 0, 4096 * 8 - 1));
}

#[test]
fn many_different_failures_stay_in_bounds_and_are_all_counted() {
    let (mut engine, mut out) = (engine(all_live()), Vec::new());
    let total = 20_000u64;
    for i in 0..total {
        engine.push(&rq(START + i, Dev::new(8, i as u32), 0, 5, 8), &NoFacts, &mut out);
        assert!(engine.open_events() <= 512, "memory is bounded, whatever fails");
    }
    engine.finish(&NoFacts, &mut out);
    assert_eq!(finals(&out).iter().map(|e| e.count).sum::<u64>(), total);
    assert!(out.len() < 1000, "{} revisions of one cause", out.len());
    // Those for which there was no room are in one event, which counts devices too.
    let finals = finals(&out);
    let rest: Vec<_> = finals.iter().filter(|e| group(e).devices_total.is_some()).collect();
    assert_eq!((rest.len(), group(rest[0]).devices_total), (1, Some(rest[0].count)));
    assert_eq!(group(rest[0]).devices.unwrap().len(), 32);
    assert_eq!(finals.len() as u64 - 1 + rest[0].count, total);
}

#[test]
fn devices_that_fail_one_after_the_other_are_events_of_their_own() {
    let (mut engine, mut out) = (engine(all_live()), Vec::new());
    let total = 2_000u64;
    for i in 0..total {
        engine.push(&rq(START + i * 3 * MS, Dev::new(8, i as u32), 0, 5, 8), &NoFacts, &mut out);
    }
    engine.finish(&NoFacts, &mut out);
    assert_eq!(finals(&out).len() as u64, total);
}

#[test]
fn files_that_one_shutdown_cost_are_one_event_that_grows() {
    let (mut engine, facts, mut out) = (engine(all_live()), Devices::usual(), Vec::new());
    let (files, again) = (30_000u64, 8_000);
    // Some of them lose more while others begin to.
    for ino in 1..=again {
        engine.push(&lost_write(START + ino * 50_000, ino, 1), &facts, &mut out);
    }
    for ino in 1..=again {
        engine.push(&lost_write(START + SECOND + ino * 50_000, ino, 3), &facts, &mut out);
    }
    for ino in again + 1..=files {
        engine.push(&lost_write(START + 2 * SECOND + ino * 50_000, ino, 1), &facts, &mut out);
    }
    engine.finish(&facts, &mut out);
    assert!(out.len() < 100, "{} revisions of one cause", out.len());
    let finals = finals(&out);
    let rest = finals.iter().find(|e| group(e).files_total.is_some()).unwrap();
    assert_eq!(group(rest).files_total, Some(files - 16));
    let named = group(rest).files.unwrap();
    assert_eq!((named.len(), named[0].inode, named[0].pages), (32, Some(17), Some(3)));
    assert_eq!(inode(rest), None);
    // A file with an event of its own distinguishes its pages from its failures.
    let pages = |e: &Event| {
        let own = e.io.as_ref().and_then(|io| io.lost_pages).filter(|_| inode(e).is_some());
        own.unwrap_or(e.count)
    };
    assert_eq!(finals.iter().map(|e| pages(e)).sum::<u64>(), files + 2 * again);
    assert_eq!(rest.msg, format!("written data of {} more files on /dev/sda was lost (EIO)", files - 16));
}

#[test]
fn a_storm_of_ten_minutes_is_written_a_few_times_and_at_once_when_it_gets_worse() {
    let (mut engine, facts, mut out) = (engine(all_live()), Devices::usual(), Vec::new());
    for i in 0..6_000 {
        engine.push(&rq(START + i * 100 * MS, SDA, 0, 5, 8), &facts, &mut out);
    }
    let apart: Vec<u64> =
        out.windows(2).map(|e| (e[1].monotonic_ns.unwrap() - e[0].monotonic_ns.unwrap()) / SECOND).collect();
    assert_eq!(apart.get(..7), Some([1, 2, 4, 8, 16, 32, 60].as_slice()), "{apart:?}");
    let before = out.len();
    engine.push(
        &line(START + 600 * SECOND, "SCSI_MEDIUM_ERROR scsi sda scsi.tag=117 scsi.sense_key=3"),
        &facts,
        &mut out,
    );
    engine.push(&rq(START + 600 * SECOND + 100 * MS, SDA, 0, 5, 8), &facts, &mut out);
    engine.push(&rq(START + 602 * SECOND, SDA, 0, 5, 8), &facts, &mut out);
    assert!(out.len() > before, "what is new waits for a minute");
    engine.finish(&facts, &mut out);
    assert_eq!(finals(&out).iter().map(|e| e.count).max(), Some(6_002));
}

#[test]
fn what_waits_in_vain_stays_in_bounds_and_is_counted() {
    let (mut engine, facts, mut out) = (engine(all_live()), Devices::usual(), Vec::new());
    let total = 5000u64;
    // No time goes by: nothing but the lack of room makes them give up.
    for i in 0..total {
        engine.push(&scsi(START, SDA, i * 8, 0xe << 16, [0; 3]), &facts, &mut out);
        engine.push(&line(START, &format!("BLK_IO_ERROR block disk{i} op=read sector=8")), &facts, &mut out);
        let waiting = engine.waiting();
        assert!(waiting <= 1024 + 256, "{waiting}");
        assert!(engine.open_events() <= 512);
    }
    engine.finish(&facts, &mut out);
    assert_eq!(engine.waiting(), 0);
    let count = |name: &str| {
        out.iter().filter(|e| e.is_final && e.event_type.as_str() == name).map(|e| e.count).sum::<u64>()
    };
    assert_eq!((count("SCSI_TRANSPORT_ERROR"), count("BLK_IO_ERROR")), (total, total));
}

fn failed_requests(events: &[Event]) -> u64 {
    let probe = |e: &&Event| e.sources.iter().any(|s| s.starts_with("ebpf:block"));
    finals(events).into_iter().filter(probe).map(|e| e.count).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn totals_do_not_depend_on_order_or_company(
        failures in prop::collection::vec(any_failure(), 1..200),
        company in prop::collection::vec(any_company(), 0..100),
        in_order: bool,
        seed: prop::sample::Selector,
    ) {
        let mut all: Vec<Record> = failures.iter().chain(&company).cloned().collect();
        if in_order {
            all.sort_by_key(|record| record.time.monotonic_ns);
        } else {
            let mut rest = all;
            all = Vec::new();
            while !rest.is_empty() {
                let place = seed.select(0..rest.len());
                all.push(rest.swap_remove(place));
            }
        }
        let events = run(all_live(), &all);
        prop_assert_eq!(failed_requests(&events), failures.len() as u64);
    }

    #[test]
    fn no_record_makes_it_panic(
        records in prop::collection::vec((0u16..13, any::<u64>(), prop::collection::vec(any::<u8>(), 400)), 1..60)
    ) {
        let (mut engine, facts, mut out) = (engine(all_live()), Devices::usual(), Vec::new());
        for (kind, ns, payload) in records {
            let mut bytes = Vec::new();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(((Header::SIZE + payload.len()) as u16).to_ne_bytes());
            bytes.extend([VERSION, (ns & 1) as u8]);
            bytes.extend(3u16.to_ne_bytes());
            bytes.extend(7u64.to_ne_bytes());
            bytes.extend(ns.to_ne_bytes());
            bytes.extend(payload);
            let record = KernelRecord::decode(&bytes).unwrap();
            let time = Stamp { monotonic_ns: (ns % 3 != 0).then_some(ns), realtime_us: ns as i64 };
            engine.push(&Record { time, body: Body::Kernel(record) }, &facts, &mut out);
        }
        engine.finish(&facts, &mut out);
        prop_assert_eq!(engine.open_events(), 0);
    }
}
