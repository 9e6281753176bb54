//! Requests as probes report them: which matcher takes each.

use peripety_common::Kind;

use super::{
    super::{cause::Node, event_builder, fault::Fault, fold::Fold, fold_table::Table},
    probe_request::{Failed, REQUEST_ORDER, Request, RequestMatch, decide_request},
    *,
};
use crate::{
    block::Dev,
    event::{Errno, EventType, Io, Op, Sector},
    parser::{Kdev, nvme::NvmeFault, scsi::ScsiFault},
    record::Stamp,
};

const SECOND: u64 = 1_000_000_000;
const SDA: Dev = Dev::new(8, 0);

fn at(ns: u64) -> Stamp {
    Stamp { monotonic_ns: Some(ns), realtime_us: 1_000_000 }
}

fn scope() -> Scope {
    Scope::dev(SDA.to_kernel())
}

/// An event of sda with one failure at a sector, found by a key.
fn opened(io: Io, of_requests: bool, fault: Option<Fault>, key: FoldKey) -> (Table, FoldId) {
    let mut raw = RawEvent::new(at(SECOND), "ebpf:block_rq_error", "1", EventType::BLK_IO_ERROR);
    raw.kdev = Kdev::Dev(SDA);
    raw.io = Some(io);
    let mut fold = Fold::new(event_builder::event(&raw, None, "b", "h"), Node::default());
    fold.has_requests = of_requests;
    fold.fault = fault;
    fold.add(
        super::super::fold::Origin::Probe,
        1,
        at(SECOND),
        raw.io.as_ref().and_then(|io| io.sector).map(|s| (s, 8)),
    );
    let mut table = Table::default();
    let place = table.open(fold, 0, 0);
    table.add_key(place, key);
    (table, place)
}

fn request(op: Op, errno: i32) -> Request {
    Request {
        dev: SDA.to_kernel(),
        op,
        errno: Errno::from_raw(errno),
        sector: Some(Sector(2048)),
        nr_sectors: 8,
        extent: None,
        kind: Kind::BlockRqError,
    }
}

fn io(op: Op) -> Io {
    Io { op, sector: Some(Sector(2048)), nr_sectors: Some(8), ..Io::default() }
}

#[test]
fn each_request_is_taken_by_the_matcher_of_its_subject() {
    let medium = (EventType::BLK_MEDIUM_ERROR, Fault::Scsi(ScsiFault::Medium));
    let path = Fault::Scsi(ScsiFault::PathState);
    let nvme = Fault::Nvme(NvmeFault::Io);
    let read = request(Op::Read, 5);
    let block = |op, fault| FoldKey::block(scope(), op, Errno::EIO, fault);
    let nowhere = Io { op: Op::Unknown, ..Io::default() };
    let flush = Io { nr_sectors: Some(0), ..io(Op::Flush) };
    type Case = (&'static str, (Io, bool, Option<Fault>, FoldKey), Request, Option<(EventType, Fault)>, u64);
    let cases: Vec<Case> = vec![
        ("repeat", (io(Op::Read), true, None, block(Op::Read, None)), read, None, SECOND),
        ("refine", (io(Op::Read), true, None, block(Op::Read, None)), read, Some(medium.clone()), SECOND),
        ("open", (io(Op::Read), true, Some(path), block(Op::Read, None)), read, Some(medium), SECOND),
        ("open", (io(Op::Write), true, None, block(Op::Write, None)), read, None, SECOND),
        (
            "attempts",
            (io(Op::Read), false, None, FoldKey::driver(scope(), Fault::TimedOut)),
            read,
            None,
            SECOND,
        ),
        ("open", (io(Op::Read), true, None, FoldKey::driver(scope(), Fault::TimedOut)), read, None, SECOND),
        (
            "attempts without",
            (nowhere.clone(), false, None, FoldKey::driver(scope(), nvme)),
            read,
            None,
            SECOND,
        ),
        ("open", (nowhere.clone(), false, None, FoldKey::driver(scope(), nvme)), read, None, 3 * SECOND),
        (
            "open",
            (nowhere, false, None, FoldKey::driver(scope(), nvme)),
            request(Op::Read, 110),
            None,
            SECOND,
        ),
        ("flush", (flush.clone(), true, None, block(Op::Flush, None)), request(Op::Write, 5), None, SECOND),
        ("open", (flush, true, None, block(Op::Flush, None)), read, None, SECOND),
    ];
    for (number, (subject, (io, of_requests, fault, key), request, refined, now)) in
        cases.into_iter().enumerate()
    {
        let (table, place) = opened(io, of_requests, fault, key);
        let held = WaitingLines::default();
        let view = View { table: &table, held: &held, live: LiveSources::text_only() };
        let failed = Failed { request, time: at(now), now_ns: now, command: None, refined: refined.as_ref() };
        let taken = REQUEST_ORDER.iter().find(|(_, matcher)| matcher(&view, &failed).is_some());
        let name = taken.map_or("open", |(name, _)| name);
        assert!(name.starts_with(subject), "case {number}: {name}, not {subject}");
        let decided = decide_request(&view, &failed);
        assert_eq!(decided.fold(), (subject != "open").then_some(place), "case {number}");
        let empty = Table::default();
        let without = View { table: &empty, ..view };
        assert_eq!(decide_request(&without, &failed), RequestMatch::Open, "case {number}");
    }
}

#[test]
fn a_request_without_a_word_of_its_driver_is_none_that_a_path_answered() {
    let path = Some(Fault::Scsi(ScsiFault::PathState));
    let key = FoldKey::block(scope(), Op::Read, Errno::EIO, None);
    let (table, place) = opened(io(Op::Read), true, path, key);
    let held = WaitingLines::default();
    let failed = Failed {
        request: request(Op::Read, 5),
        time: at(SECOND),
        now_ns: SECOND,
        command: None,
        refined: None,
    };
    let with = |live| decide_request(&View { table: &table, held: &held, live }, &failed);
    assert_eq!(with(LiveSources::text_only()), RequestMatch::Repeat(place));
    assert_eq!(with(LiveSources::with_probes([Kind::ScsiDone], 0)), RequestMatch::Open);
}
