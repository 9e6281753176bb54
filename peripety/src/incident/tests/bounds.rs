//! Bounds, restarts, and whatever comes in whatever order.

use super::*;

#[test]
fn a_stage_that_goes_on_where_another_was_gives_the_same() {
    let all = [medium("sda", 8, 0), event("ISCSI_CONNECTION_ERROR", "session2", 5), medium("sda", 16, 9_000)];
    let whole = run(all.to_vec());
    let mut first = run(all[..2].to_vec());
    let saved: Vec<String> =
        first.stage.save(true).into_iter().map(|case| serde_json::to_string(case).unwrap()).collect();
    let mut second = Incidents::default();
    second.restore(saved.iter().map(|case| serde_json::from_str(case).unwrap()));
    let mut last = all[2].clone();
    second.push(&mut last, &mut Vec::new());
    assert_eq!(last.incident_id, whole.events[2].incident_id);
    assert_eq!(second.all().count(), 2);
}

#[test]
fn what_comes_again_after_a_restart_is_not_counted_again() {
    let growing =
        |n: u64| Event { is_final: false, ..medium("sda", n * 8, i64::try_from(n).unwrap() * 6_000) };
    let mut first = run((0..100).map(growing).collect());
    assert_eq!((first.found().len(), first.found()[0].failures), (1, 100));
    let mut second = Incidents::default();
    let saved: Vec<_> = first.stage.save(true).into_iter().cloned().collect();
    second.restore(saved);
    for mut event in (0..100).map(growing) {
        (event.is_final, event.revision) = (true, 1);
        second.push(&mut event, &mut Vec::new());
    }
    let found: Vec<&Incident> = second.all().collect();
    assert_eq!((found.len(), found[0].failures, found[0].event_count), (1, 100, 100));
}

#[test]
fn there_are_no_more_than_so_many() {
    let events = (0..OPEN_MAX as u64 + OVER_MAX as u64 + 500)
        .map(|n| medium(&format!("sdx{n}x"), 8, i64::try_from(n).unwrap()));
    let run = run(events.collect());
    assert!(run.stage.all().count() <= OPEN_MAX + OVER_MAX);
    assert!(run.stage.dropped() >= 500);
}

/// Any faults of any devices, in any order.
fn any_events() -> impl Strategy<Value = Vec<Event>> {
    let kinds: Vec<&'static str> = crate::event::TYPES.iter().map(|row| row.name).collect();
    let kdevs = ["sda", "sdb", "dm-0", "md0", "nvme0", "nvme0n1", "ata1.00", "session1", "host2", "", "sda1"];
    let one = (
        prop::sample::select(kinds),
        prop::sample::select(kdevs.to_vec()),
        0..400_000_i64,
        any::<bool>(),
        0..3_u8,
    );
    prop::collection::vec(one, 1..40).prop_map(move |list| {
        let mut list = list;
        list.sort_by_key(|row| row.2);
        let made = |(kind, kdev, at, fails, shape): (&'static str, &str, i64, bool, u8)| {
            let event = event(kind, kdev, at);
            let event = if fails { io(event, Op::Read, 8, 5) } else { event };
            match shape {
                1 => stacked(event, &["sda", "sdb"], &[], &["/x"]),
                2 => stacked(event, &[], &["dm-0", "md0"], &[]),
                _ => event,
            }
        };
        list.into_iter().map(made).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_consequence_is_never_the_cause_of_its_cause(events in any_events()) {
        let run = run(events);
        for incident in run.stage.all() {
            let because: BTreeMap<_, _> = incident.events.iter().map(|m| (m.event_id, m.because)).collect();
            for start in because.keys() {
                let (mut at, mut steps) = (Some(*start), 0);
                while let Some(id) = at {
                    at = because.get(&id).copied().flatten();
                    steps += 1;
                    prop_assert!(steps <= because.len() + 1, "a circle: {incident:#?}");
                }
            }
        }
    }

    #[test]
    fn every_fault_is_of_one_incident_and_the_same_input_gives_the_same(events in any_events()) {
        let (one, two) = (run(events.clone()), run(events));
        prop_assert_eq!(serde_json::to_string(&one.written).unwrap(), serde_json::to_string(&two.written).unwrap());
        for event in &one.events {
            let fault = event.event_type.info().is_some_and(|row| row.nature == crate::event::Nature::Fault);
            prop_assert!(!fault || event.incident_id.is_some());
            if let Some(id) = event.incident_id {
                prop_assert!(one.stage.get(id).is_some());
            }
        }
        for incident in one.stage.all() {
            prop_assert!(incident.opened <= incident.updated);
            prop_assert!(!incident.title.is_empty() && incident.title.chars().count() <= 200);
            prop_assert!(incident.severity <= Severity::Notice);
        }
    }
}
