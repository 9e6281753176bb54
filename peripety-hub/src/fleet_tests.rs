//! The fleet, with hosts that say this and that.

use peripety_forward::host::{Daemon, Host, Lost, Probe, SCHEMA, Sent};

use super::*;

pub(crate) fn host(name: &str, at: Timestamp) -> Seen {
    let host = Host {
        schema: SCHEMA,
        site: "north".to_owned(),
        host: name.to_owned(),
        version: "0.2.0".to_owned(),
        at,
        every_s: 30,
        sent: Sent::default(),
        lost: Lost::default(),
        daemon: Daemon { answers: true, probes: Vec::new() },
        open: Vec::new(),
        more: 0,
        alone: None,
    };
    Seen { at, host }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

#[test]
fn silence_and_what_hosts_lack_is_seen() {
    let mut fleet = Fleet::default();
    let ago = |seconds| now() - SignedDuration::from_secs(seconds);
    let mut add = |name: &str, change: &dyn Fn(&mut Seen)| {
        let mut seen = host(name, ago(10));
        change(&mut seen);
        fleet.host(format!("north.{name}"), seen);
    };
    add("well", &|_| {});
    add("silent", &|seen| seen.at = ago(91));
    add("late", &|seen| (seen.at, seen.host.at) = (ago(89), ago(89)));
    add("clock", &|seen| seen.host.at = ago(60));
    add("old", &|seen| seen.host.version = "0.1.9".to_owned());
    add("daemon", &|seen| seen.host.daemon.answers = false);
    add("probe", &|seen| {
        seen.host.daemon.probes = vec![Probe { name: "p".to_owned(), state: "refused".to_owned() }];
    });
    add("lost", &|seen| seen.host.lost.records = Some(3));
    add("alone", &|seen| seen.host.alone = Some("no table".to_owned()));
    let found: Vec<_> = fleet.conditions(now()).into_iter().map(|one| (one.condition, one.host)).collect();
    let expected = [
        ("daemon_silent", "daemon"),
        ("host_silent", "silent"),
        ("alone", "alone"),
        ("clock_off", "clock"),
        ("probe_refused", "probe"),
        ("records_lost", "lost"),
        ("version_behind", "old"),
    ];
    assert_eq!(found, expected.map(|(condition, host)| (condition, host.to_owned())));
    assert!(fleet.forget("north.silent", now()) && !fleet.forget("north.silent", now()));
    fleet.host("north.silent".to_owned(), host("silent", ago(500)));
    assert_eq!(fleet.conditions(now()).len(), expected.len() - 1);
    // Whatever numbers a host sends.
    let mut odd = host("odd", now());
    (odd.host.every_s, odd.host.version) = (u64::MAX, "x.99999999999999999999".to_owned());
    fleet.host("north.odd".to_owned(), odd);
    assert_eq!(fleet.conditions(now()).len(), expected.len() - 1);
}
