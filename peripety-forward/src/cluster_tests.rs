//! Reports in any order, each at most once or many times: the same entry.

use peripety_model::incident::{Cause, CauseKind, Certainty, Impact, Part};
use proptest::prelude::*;

use super::*;

/// An incident that is open.
pub(crate) fn incident() -> Incident {
    let at = Timestamp::from_second(1_790_000_000).unwrap_or_default();
    Incident {
        schema: 1,
        incident_id: EventId::from_u128(7),
        revision: 0,
        state: State::Open,
        superseded_by: None,
        supersedes: Vec::new(),
        severity: Severity::Error,
        title: "sdf: does not answer".to_owned(),
        hostname: "db1".to_owned(),
        boot_id: "0123456789abcdef0123456789abcdef".to_owned(),
        opened: at,
        updated: at,
        resolved: None,
        resolved_by: None,
        episodes: 1,
        cause: Cause {
            event_id: None,
            name: "sdf".to_owned(),
            part: Part::Device,
            device: None,
            kind: CauseKind::Target,
            certainty: Certainty::Certain,
            rules: Vec::new(),
        },
        impact: Impact::default(),
        events: Vec::new(),
        event_count: 1,
        failures: 3,
        conditions: Vec::new(),
        actions: Vec::new(),
        early_signs: Vec::new(),
        progress: None,
        needs_acknowledgement: false,
        acknowledged: None,
    }
}

pub(crate) fn lun() -> Thing {
    Thing { kind: "lun".to_owned(), name: "naa.6".to_owned() }
}

pub(crate) fn report(host: u32, open: bool, second: i64) -> Report {
    let at = Timestamp::from_second(1_790_000_000 + second).unwrap();
    let incident = Incident {
        incident_id: EventId::from_u128(u128::from(host) + 1),
        state: if open { State::Open } else { State::Resolved },
        updated: at,
        revision: u32::from(!open),
        ..incident()
    };
    Report::of(&format!("host{host}"), &incident)
}

fn run(reports: &[Report]) -> Option<Cluster> {
    let mut entry = None;
    for report in reports {
        if let Step::Write(next) = step(entry.as_ref(), "north", &lun(), report) {
            entry = Some(*next);
        }
    }
    entry
}

#[test]
fn fifty_hosts_of_one_lun_are_one_incident_that_grows_and_ends_with_the_last() {
    let begun: Vec<_> = (0..50).map(|host| report(host, true, i64::from(host))).collect();
    let entry = run(&begun).unwrap();
    assert_eq!((entry.open_hosts(), entry.hosts.len(), entry.state), (50, 50, State::Open));
    assert_eq!(entry.title(), "LUN naa.6 fails on 50 hosts");
    let mut all = begun.clone();
    all.extend((0..49).map(|host| report(host, false, 100)));
    let but_one = run(&all).unwrap();
    assert_eq!((but_one.open_hosts(), but_one.state, but_one.cluster_id), (1, State::Open, entry.cluster_id));
    assert_eq!(but_one.title(), "LUN naa.6 fails on 1 of 50 hosts");
    all.push(report(49, false, 120));
    let over = run(&all).unwrap();
    assert_eq!(over.state, State::Resolved);
    assert_eq!(over.resolved, Some(report(0, true, 120).at));
    assert_eq!(over.title(), "LUN naa.6 over on all 50 hosts");
    // Its size leaves room for the most that it lists.
    let bytes = serde_json::to_vec(&over).unwrap().len();
    assert!(bytes / 50 * PARTS_MAX < 1 << 20, "{bytes}");
}

#[test]
fn it_comes_again_as_the_same_within_a_day_and_as_another_later() {
    let first = run(&[report(1, true, 0), report(1, false, 10)]).unwrap();
    for (after, same) in [(60, true), (86_400 + 60, false)] {
        let mut again = report(1, true, after);
        again.incident_id = EventId::from_u128(99);
        again.member.since = again.at;
        let Step::Write(next) = step(Some(&first), "north", &lun(), &again) else {
            panic!("nothing to write")
        };
        assert_eq!(next.cluster_id == first.cluster_id, same, "{after}");
        assert_eq!((next.episodes, next.hosts.len(), next.open_hosts()), (if same { 2 } else { 1 }, 1, 1));
    }
}

#[test]
fn what_is_known_is_not_written_and_an_end_of_nothing_begins_nothing() {
    let entry = run(&[report(1, true, 0)]).unwrap();
    assert_eq!(step(Some(&entry), "north", &lun(), &report(1, true, 50)), Step::Same(Some(entry.cluster_id)));
    assert_eq!(
        step(Some(&entry), "north", &lun(), &report(2, false, 50)),
        Step::Same(Some(entry.cluster_id))
    );
    assert_eq!(step(None, "north", &lun(), &report(2, false, 50)), Step::Same(None));
    // A revision that comes late opens nothing again.
    let over = run(&[report(1, true, 0), report(1, false, 10)]).unwrap();
    assert_eq!(step(Some(&over), "north", &lun(), &report(1, true, 0)), Step::Same(Some(over.cluster_id)));
}

#[test]
fn an_entry_that_is_full_leaves_further_hosts_to_themselves() {
    let mut entry = run(&[report(0, true, 0)]).unwrap();
    for host in 1..u32::try_from(PARTS_MAX).unwrap() {
        let one = report(host, true, 0);
        entry.hosts.entry(one.host).or_default().insert(one.incident_id, one.member);
    }
    assert_eq!(step(Some(&entry), "north", &lun(), &report(99_999, true, 1)), Step::Full);
    assert!(matches!(step(Some(&entry), "north", &lun(), &report(5, false, 1)), Step::Write(_)));
}

#[test]
fn what_anybody_may_have_written_is_read_or_refused() {
    for bytes in [&b""[..], b"{}", b"[1]", b"\xff\xfe", br#"{"schema":2}"#] {
        assert_eq!(Cluster::read(bytes), None);
    }
}

proptest! {
    #[test]
    fn the_order_of_reports_of_different_hosts_does_not_matter(order in Just((0..20_u32).collect::<Vec<_>>()).prop_shuffle()) {
        let begun = |order: &[u32]| order.iter().map(|host| report(*host, true, i64::from(*host))).collect::<Vec<_>>();
        let plain = run(&begun(&(0..20).collect::<Vec<_>>())).unwrap();
        let shuffled = run(&begun(&order)).unwrap();
        prop_assert_eq!(&shuffled.hosts, &plain.hosts);
        prop_assert_eq!(shuffled.state, plain.state);
        prop_assert_eq!(shuffled.updated, plain.updated);
    }
}
