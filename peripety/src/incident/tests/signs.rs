//! Early signs: from how many on, until when, and what they are the signs of.

use super::{
    super::signs::{Limit, Limits, Signs, of_type},
    *,
};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn recovered(n: i64, every: i64) -> Vec<Event> {
    (0..n).map(|n| event("SCSI_RECOVERED_ERROR", "sda", n * every)).collect()
}

fn tick_to(run: &mut Run, ms: i64) {
    run.stage.tick(u64::try_from(ms).unwrap() * 1_000_000 + 1_000_000_000, &mut run.written);
}

#[test]
fn ten_recovered_errors_in_an_hour_are_a_warning_that_stays_for_a_day_and_nine_are_not() {
    let mut few = run(recovered(9, 5 * MINUTE));
    tick_to(&mut few, 2 * HOUR);
    assert_eq!((few.found()[0].severity, few.found()[0].state), (Severity::Notice, State::Resolved));
    assert!(few.found()[0].early_signs.is_empty());

    let mut many = run(recovered(10, 5 * MINUTE));
    let found = many.found();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].title, "sda: early sign of failure: 10 recovered errors in 1 h");
    let sign = &found[0].early_signs[0];
    assert_eq!((sign.kind.as_str(), sign.count, sign.within_s), ("recovered_errors", 10, 3600));
    assert_eq!(sign.words, "10 recovered errors in 1 h");
    let written = many.written.iter().rfind(|incident| incident.severity == Severity::Warning);
    assert!(written.is_some(), "it is written at once, not when it is its turn");
    // The last came after 45 minutes.
    tick_to(&mut many, DAY + 44 * MINUTE);
    assert_eq!((many.found()[0].severity, many.found()[0].state), (Severity::Warning, State::Open));
    tick_to(&mut many, DAY + 46 * MINUTE);
    assert_eq!((many.found()[0].severity, many.found()[0].state), (Severity::Warning, State::Resolved));
    assert_eq!(many.found()[0].resolved_by.as_deref(), Some("quiet"));
}

#[test]
fn one_event_that_grows_counts_as_often_as_it_grew() {
    let growing = |count, revision, at| Event {
        event_id: event("ATA_LINK_RESET", "ata2", 0).event_id,
        first_timestamp: event("ATA_LINK_RESET", "ata2", 0).first_timestamp,
        count,
        revision,
        is_final: false,
        ..event("ATA_LINK_RESET", "ata2", at)
    };
    let four = run(vec![growing(1, 0, 0), growing(4, 1, 30_000)]);
    assert!(four.found()[0].early_signs.is_empty());
    let six = run(vec![growing(1, 0, 0), growing(4, 1, 30_000), growing(6, 2, 60_000)]);
    assert_eq!(six.found()[0].early_signs[0].count, 6);
}

#[test]
fn a_sign_and_the_failure_an_hour_later_are_one_incident_and_the_failure_is_its_name() {
    let mut events = recovered(12, MINUTE);
    events.push(medium("sda", 2048, 70 * MINUTE));
    let run = run(events);
    let found = run.found();
    assert_eq!(found.len(), 1, "{:?}", found.iter().map(|i| &i.title).collect::<Vec<_>>());
    let incident = &found[0];
    assert_eq!(incident.events[0].event_type, EventType::SCSI_RECOVERED_ERROR);
    assert_eq!(incident.events.last().map(|m| m.rule.as_str()), Some("early-sign"));
    assert_eq!(incident.early_signs[0].count, 12);
    assert_eq!(incident.severity, Severity::Error);
    assert!(incident.title.starts_with("sda: medium errors"), "{}", incident.title);
    assert_eq!(incident.cause.kind, CauseKind::Medium);
}

#[test]
fn corrected_pcie_errors_and_the_drive_that_fails_an_hour_later_are_one() {
    let corrected = |at| with(event("PCIE_CORRECTED_ERROR", "0000:02:00.0", at), "pci.driver", "nvme");
    let mut events: Vec<Event> = (0..10).map(|n| corrected(n * MINUTE)).collect();
    let transport = Transport::Nvme {
        controller: "nvme0".into(),
        traddr: "0000:02:00.0".into(),
        transport: "pcie".into(),
        subsystem_nqn: String::new(),
    };
    let mut gone = io(event("NVME_TIMEOUT", "nvme0n1", 80 * MINUTE), Op::Read, 8, 5);
    let own = BlkId { transport: Some(transport), ..id("nvme0n1") };
    gone.block = Some(Arc::new(BlkInfo { id: own, owners: vec![], holders: vec![] }));
    events.push(gone);
    let run = run(events);
    let found = run.found();
    assert_eq!(found.len(), 1, "{:?}", found.iter().map(|i| &i.title).collect::<Vec<_>>());
    assert_eq!((found[0].cause.name.as_str(), found[0].early_signs[0].count), ("0000:02:00.0", 10));
    assert!(
        found[0].title.starts_with("0000:02:00.0: early sign of failure: 10 corrected PCIe"),
        "{}",
        found[0].title
    );
}

#[test]
fn link_resets_are_no_sign_of_a_bad_sector() {
    let mut events: Vec<Event> = (0..6).map(|n| event("ATA_LINK_RESET", "sda", n * MINUTE)).collect();
    events.push(medium("sda", 2048, 70 * MINUTE));
    assert_eq!(run(events).found().len(), 2);
}

#[test]
fn a_path_that_flaps_stays_open_between_its_failures_and_until_it_was_quiet() {
    let path = |kind, at| stacked(event(kind, "sda", at), &[], &["dm-0"], &[]);
    let flaps = |times: i64| {
        let pair = |n: i64| {
            [
                path("DM_MPATH_PATH_FAILED", n * 2 * MINUTE),
                path("DM_MPATH_PATH_REINSTATED", n * 2 * MINUTE + MINUTE),
            ]
        };
        (0..times).flat_map(pair).collect::<Vec<_>>()
    };
    let four = run(flaps(4));
    assert_eq!((four.found()[0].state, four.found()[0].episodes), (State::Resolved, 4));
    let mut six = run(flaps(6));
    let found = six.found();
    assert_eq!((found.len(), found[0].state, found[0].episodes), (1, State::Open, 6));
    assert_eq!(found[0].conditions, [""; 0], "nothing is wrong but that it may fail again");
    assert!(found[0].title.contains("6 path failures in 1 h"), "{}", found[0].title);
    tick_to(&mut six, 2 * DAY);
    assert_eq!(six.found()[0].state, State::Resolved);

    // One outage is many failed commands and many tries to connect, and no flapping.
    let outage = Event { count: 800, ..event("NVME_PATH_FAILED", "nvme0", 0) };
    let back = event("NVME_PATH_RECOVERED", "nvme0", MINUTE);
    let one = run(vec![outage, back]);
    assert_eq!((one.found()[0].state, one.found()[0].early_signs.len()), (State::Resolved, 0));
    // What is gone does not fail again.
    let mut gone = run(flaps(6));
    gone.stage.push(&mut path("BLK_DEVICE_REMOVED", HOUR), &mut gone.written);
    assert_eq!(gone.found()[0].state, State::Resolved);
}

#[test]
fn signs_go_on_over_a_restart() {
    let mut first = run(recovered(9, MINUTE));
    let saved: Vec<String> =
        first.stage.save(true).into_iter().map(|case| serde_json::to_string(case).unwrap()).collect();
    let mut second = Incidents::default();
    second.restore(saved.iter().map(|case| serde_json::from_str(case).unwrap()));
    second.push(&mut event("SCSI_RECOVERED_ERROR", "sda", 10 * MINUTE), &mut Vec::new());
    let found: Vec<&Incident> = second.all().collect();
    assert_eq!((found.len(), found[0].early_signs.len()), (1, 1), "{found:#?}");
    // And that it has to be quiet, as well.
    let saved: Vec<Case> = second.save(true).into_iter().cloned().collect();
    let mut third = Incidents::default();
    third.restore(saved);
    let mut out = Vec::new();
    third.push(&mut event("BLK_DEVICE_ADDED", "sdz", 40 * MINUTE), &mut out);
    assert!(third.all().all(|incident| incident.state == State::Open));
}

#[test]
fn a_user_sets_limits_and_switches_kinds_off() {
    let with_limit = |limit: Limit| {
        let (mut stage, mut out) = (Incidents::default(), Vec::new());
        let mut limits = Limits::default();
        limits.set("recovered_errors", limit);
        limits.set("no_such_kind", limit);
        stage.set_limits(limits);
        for mut event in recovered(20, MINUTE) {
            stage.push(&mut event, &mut out);
        }
        stage.finish(&mut out);
        stage.all().next().unwrap().early_signs.first().map(|sign| (sign.count, sign.within_s))
    };
    assert_eq!(with_limit(Limit { count: 0, within_s: 600, quiet_s: 60 }), None);
    assert_eq!(with_limit(Limit { count: 3, within_s: 300, quiet_s: 60_000 }), Some((6, 300)));
    assert_eq!(with_limit(Limit { count: 21, within_s: 3600, quiet_s: 60 }), None);
}

#[test]
fn every_kind_counts_types_that_there_are_and_each_in_one_kind() {
    let mut seen = BTreeSet::new();
    for kind in super::super::signs::KINDS {
        assert!(kind.limit.count > 0 && kind.limit.quiet_s >= kind.limit.within_s, "{}", kind.name);
        for name in kind.types {
            assert!(info(name).is_some() && seen.insert(*name), "{name}");
            assert_eq!(of_type(name).map(|kind| kind.name), Some(kind.name));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_limit_is_passed_when_a_look_at_all_of_them_says_so_and_little_is_kept(
        gaps in prop::collection::vec((0..900_i64, 1..4_u64), 1..120),
        count in 2..30_u32,
        within_s in 60..7200_u32,
    ) {
        let limit = Limit { count, within_s, quiet_s: 86_400 };
        let mut limits = Limits::default();
        limits.set("recovered_errors", limit);
        let (mut signs, mut all, mut at, mut passed) = (Signs::default(), Vec::new(), 0, false);
        for (gap, more) in gaps {
            at += gap;
            all.push((at, more));
            signs.count(&event("SCSI_RECOVERED_ERROR", "sda", at * 1000), more);
            passed |= signs.judge(&limits);
            let now: u64 =
                all.iter().filter(|(then, _)| at - then <= i64::from(within_s)).map(|(_, more)| more).sum();
            let is_due = now >= u64::from(count);
            prop_assert!(!is_due || passed, "{now} within {within_s} s are {count} or more");
            // Exact while so few are kept one by one.
            if all.len() <= 64 && passed {
                let ever = all.iter().enumerate().any(|(n, (last, _))| {
                    let recent = all.iter().take(n + 1).filter(|(then, _)| last - then <= i64::from(within_s));
                    recent.map(|(_, more)| more).sum::<u64>() >= u64::from(count)
                });
                prop_assert!(ever);
            }
        }
        prop_assert!(serde_json::to_string(&signs).unwrap().len() < 64 * 64 + 512);
    }
}
