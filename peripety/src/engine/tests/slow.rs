//! Requests that took long.

use peripety_common::slow::SlowRq;

use super::*;

fn slow(ns: u64, op: u8, count: u64, longest_ms: u64) -> Record {
    let slow = SlowRq {
        sector: 2048,
        longest_ns: longest_ms * MS,
        count,
        limit_ns: 300 * MS,
        dev: SDA.to_kernel(),
        nr_sectors: 8,
        cmd_flags: u32::from(op),
        op,
        reserved: [0; 3],
    };
    kernel(Kind::BlockRqSlow, ns, Payload::SlowRq(slow))
}

#[test]
fn slow_requests_of_one_kind_are_one_event_that_names_the_longest() {
    let events = run(
        all_live(),
        &[
            slow(START, 0, 1, 320),
            slow(START + SECOND, 0, 40, 900),
            slow(START + SECOND, 1, 2, 310),
            slow(START + 2 * SECOND, 0, 7, 400),
        ],
    );
    let finals = finals(&events);
    let took = |event: &Event| event.facts.block.as_ref().and_then(|block| block.took_ms);
    let mut found: Vec<_> = finals.iter().map(|e| (e.event_type.to_string(), e.count, took(e))).collect();
    found.sort();
    let of = |count, ms| ("BLK_SLOW_IO".to_owned(), count, Some(ms));
    assert_eq!(found, [of(2, 310), of(48, 900)]);
    let read = finals.iter().find(|event| event.count == 48).unwrap();
    assert!(read.msg.starts_with("a read took up to 900 ms on "), "{}", read.msg);
    assert!(read.msg.ends_with("; the limit is 300 ms"), "{}", read.msg);
    assert_eq!(
        (read.severity, read.sources.as_slice()),
        (Severity::Warning, &["ebpf:block_rq_slow".to_owned()][..])
    );
}

#[test]
fn a_request_that_is_slow_and_then_fails_is_two_things_that_are_known_of_it() {
    let events = run(all_live(), &[slow(START, 0, 1, 31_000), rq(START + MS, SDA, 0, 5, 2048)]);
    let kinds: Vec<String> = finals(&events).iter().map(|event| event.event_type.to_string()).collect();
    assert!(
        kinds.contains(&"BLK_SLOW_IO".to_owned()) && kinds.contains(&"BLK_IO_ERROR".to_owned()),
        "{kinds:?}"
    );
}
