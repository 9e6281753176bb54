//! An engine that is killed and goes on from its notes reports the same as one that was not.

use proptest::prelude::*;

use super::{
    Engine,
    tests::{Devices, LOOP0, MS, SDA, SECOND, START, all_live, any_company, any_failure, engine, wb_err},
};
use crate::{correlate::Saved, event::Event, record::Record};

/// What an engine noted, as the daemon keeps it.
#[derive(Default)]
struct Paper(Vec<String>);

impl Paper {
    fn note(&mut self, engine: &mut Engine, all: bool) {
        if all {
            self.0.clear();
        }
        engine.save(all, |note| self.0.push(note)).unwrap();
    }

    fn engine(&mut self) -> Engine {
        let mut saved = Saved::default();
        for note in &self.0 {
            saved.take(note).unwrap();
        }
        let mut engine = engine(all_live());
        engine.restore(saved);
        self.note(&mut engine, true);
        engine
    }
}

/// The events of the records, the engine being killed before each of those at `kills`.
fn reported(records: &[Record], kills: &[usize]) -> Vec<Event> {
    let (mut engine, facts, mut out) = (engine(all_live()), Devices::usual(), Vec::new());
    let mut paper = Paper::default();
    for (number, record) in records.iter().enumerate() {
        if kills.contains(&number) {
            engine = paper.engine();
        }
        engine.push(record, &facts, &mut out);
        paper.note(&mut engine, number % 50 == 0);
    }
    if kills.contains(&records.len()) {
        engine = paper.engine();
    }
    engine.finish(&facts, &mut out);
    for event in &mut out {
        // Of what was over before the kill nothing is noted but in the journal.
        (event.root_cause_event_id, event.incident_id) = (None, None);
    }
    // What is due at the same moment has no order.
    out.sort_by_key(|event| (event.event_id, event.revision));
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_kill_changes_nothing(
        failures in prop::collection::vec(any_failure(), 1..100),
        company in prop::collection::vec(any_company(), 0..60),
        inodes in prop::collection::vec((0u64..9, 0u64..20 * SECOND), 0..20),
        kills in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let lost = inodes.iter().map(|(dev, ns)| wb_err(START + ns, if dev % 2 == 0 { SDA } else { LOOP0 }));
        let mut records: Vec<Record> = failures.into_iter().chain(company).chain(lost).collect();
        records.sort_by_key(|record| record.time.monotonic_ns);
        let kills: Vec<usize> = kills.iter().map(|kill| kill.index(records.len() + 1)).collect();
        for (one, other) in reported(&records, &kills).iter().zip(&reported(&records, &[])) {
            prop_assert_eq!(one, other);
        }
        prop_assert_eq!(reported(&records, &kills).len(), reported(&records, &[]).len());
    }
}

#[test]
fn an_event_that_was_written_is_not_written_again() {
    let facts = Devices::usual();
    let (mut first, mut out, mut paper) = (engine(all_live()), Vec::new(), Paper::default());
    first.push(&super::tests::rq(START, SDA, 0, 5, 8), &facts, &mut out);
    first.tick(START + 100 * MS, &facts, &mut out);
    paper.note(&mut first, false);
    assert_eq!(out.len(), 1);

    let mut second = paper.engine();
    second.tick(START + 200 * MS, &facts, &mut out);
    assert_eq!(out.len(), 1, "it is out already");
    second.push(&super::tests::rq(START + 300 * MS, SDA, 0, 5, 16), &facts, &mut out);
    second.tick(START + 20 * SECOND, &facts, &mut out);
    let reported: Vec<_> = out.iter().map(|e| (e.event_id, e.revision, e.count, e.is_final)).collect();
    let id = out[0].event_id;
    assert_eq!(reported, [(id, 0, 1, false), (id, 1, 2, false), (id, 2, 2, true)]);
}
