use super::*;
use crate::{
    diff::tests::{cluster, rep},
    hint::{Giver::Root, Report},
    snapshot::Heal,
};

fn words(changes: &[Change]) -> Vec<String> {
    changes.iter().map(|change| change.to_string()).collect()
}

/// What knows the cluster and asks at 1,000,000 again if nothing happens.
fn settled() -> Core {
    let mut core = Core::default();
    assert!(core.snapshot(0, 0, cluster(), true).is_empty());
    core
}

fn down() -> Snapshot {
    let mut snapshot = cluster();
    rep(&mut snapshot).bricks.first_mut().unwrap().online = Some(false);
    snapshot
}

#[test]
fn glusterd_is_asked_once_for_hints_that_come_together_and_seldom_without() {
    let mut core = settled();
    assert_eq!(core.ask_at(), REGULAR_MS);
    core.hint(100_000, Root, Hint::Changed);
    core.hint(100_900, Root, Hint::Changed);
    assert_eq!(core.ask_at(), 100_000 + SETTLE_MS);
    assert!(core.snapshot(102_000, 0, cluster(), true).is_empty());
    assert_eq!(core.ask_at(), REGULAR_MS.min(102_000 + REGULAR_MS));
}

#[test]
fn what_anybody_can_send_leads_to_no_storm_of_questions() {
    let mut core = settled();
    for n in 0..1000 {
        core.hint(100_000 + n, Giver::Anyone, Hint::Changed);
    }
    let first = core.ask_at();
    assert_eq!(first, 100_000 + SETTLE_MS);
    assert!(core.snapshot(first, 0, cluster(), true).is_empty());
    core.hint(first + 10, Giver::Anyone, Hint::Changed);
    assert_eq!(core.ask_at(), first + UNFOUNDED_MS, "nothing had changed");
    core.hint(first + 20, Root, Hint::Changed);
    assert_eq!(core.ask_at(), first + 20 + SETTLE_MS, "what root alone can have written does not wait");
}

#[test]
fn three_sources_of_one_thing_are_one_change() {
    let mut core = settled();
    core.hint(100_000, Root, Hint::Changed);
    core.hint(100_001, Root, Hint::Ended { volume: "rep".to_owned(), path: "/b".to_owned() });
    core.hint(100_002, Root, Hint::Changed);
    assert!(
        core.snapshot(101_500, 0, down(), true).is_empty(),
        "it may come of a volume that is being stopped"
    );
    let changes = core.snapshot(core.ask_at(), 0, down(), true);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(core.snapshot(200_000, 0, down(), true).is_empty());
}

#[test]
fn a_volume_that_is_stopped_reports_no_bricks() {
    let mut core = settled();
    core.hint(100_000, Root, Hint::Changed);
    assert!(core.snapshot(101_500, 0, down(), true).is_empty());
    let mut stopped = down();
    rep(&mut stopped).status = Status::Stopped;
    let changes = words(&core.snapshot(core.ask_at(), 0, stopped, true));
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(changes.first().unwrap().starts_with("volume rep: stopped;"), "{changes:?}");
}

#[test]
fn a_brick_that_came_back_at_once_is_no_change() {
    let mut core = settled();
    assert!(core.snapshot(101_500, 0, down(), true).is_empty());
    assert!(core.snapshot(core.ask_at(), 0, cluster(), true).is_empty());
}

#[test]
fn after_a_restart_only_changes_are_reported() {
    let mut core = settled();
    core.snapshot(100_000, 0, down(), true);
    assert_eq!(core.snapshot(core.ask_at(), 0, down(), true).len(), 1);
    let mut again = Core::new(core.save());
    assert!(again.snapshot(0, 0, down(), true).is_empty());
    assert!(again.snapshot(60_000, 0, down(), true).is_empty());
    assert_eq!(again.snapshot(70_000, 0, cluster(), true).len(), 1, "it is up again");
}

#[test]
fn at_the_first_look_bricks_get_time_to_start() {
    let mut core = Core::default();
    assert!(core.snapshot(0, 0, down(), true).is_empty());
    assert_eq!(core.ask_at(), CONFIRM_FIRST_MS);
    assert!(core.snapshot(CONFIRM_FIRST_MS, 0, cluster(), true).is_empty());
}

#[test]
fn a_silent_glusterd_is_reported_once_and_bricks_are_still_known() {
    let mut core = settled();
    let mut now = 100_000;
    let mut reported = Vec::new();
    core.hint(now, Root, Hint::Ended { volume: "rep".to_owned(), path: "/b".to_owned() });
    for _ in 0..10 {
        reported.extend(words(&core.failed(now, 0, "no answer")));
        assert!(core.ask_at() > now && core.ask_at() <= now + RETRY_MS.1);
        now = core.ask_at();
    }
    assert_eq!(reported.len(), 2, "{reported:?}");
    assert_eq!(reported.first().unwrap(), "glusterd: does not answer: no answer");
    assert!(reported.last().unwrap().starts_with("volume rep: brick me:/b is down;"), "{reported:?}");
    assert_eq!(words(&core.snapshot(now, 0, down(), true)), ["glusterd: answers again"]);
}

#[test]
fn a_node_that_hangs_keeps_nothing_else_from_being_seen() {
    let mut core = settled();
    core.hint(100_000, Root, Hint::Ended { volume: "rep".to_owned(), path: "/b".to_owned() });
    let unknown = || {
        let mut snapshot = cluster();
        rep(&mut snapshot).bricks.iter_mut().for_each(|brick| brick.online = None);
        snapshot.peers.get_mut("two").unwrap().connected = false;
        snapshot
    };
    let first = words(&core.snapshot(101_500, 0, unknown(), false));
    assert_eq!(first, ["peer two: disconnected"], "the bricks are taken to be as they were");
    let mut later = Vec::new();
    for _ in 0..3 {
        later.extend(words(&core.snapshot(core.ask_at(), 0, unknown(), false)));
    }
    assert_eq!(later.len(), 1, "{later:?}");
    assert!(later.first().unwrap().starts_with("volume rep: brick me:/b is down;"), "{later:?}");
}

#[test]
fn what_only_its_event_reports_is_reported_when_it_changes() {
    let mut core = settled();
    let faulty = |faulty| {
        Hint::Report(Report::GeoReplication { volume: "rep".to_owned(), to: "far::rep".to_owned(), faulty })
    };
    assert!(core.hint(1, Root, faulty(false)).is_empty(), "what begins by being well is no change");
    assert_eq!(
        words(&core.hint(2, Root, faulty(true))),
        ["volume rep: geo-replication to far::rep is faulty"]
    );
    assert!(core.hint(3, Root, faulty(true)).is_empty());
    let mut again = Core::new(core.save());
    assert!(again.hint(4, Root, faulty(true)).is_empty(), "over a restart");
    assert_eq!(
        words(&again.hint(5, Root, faulty(false))),
        ["volume rep: geo-replication to far::rep is active"]
    );
}

#[test]
fn a_reason_stays_until_its_brick_has_gone() {
    let mut core = settled();
    let why = "health check failed".to_owned();
    core.hint(100_000, Root, Hint::Reason { volume: None, path: "/b".to_owned(), why });
    assert!(core.snapshot(101_500, 0, cluster(), true).is_empty(), "it still serves");
    core.hint(130_000, Root, Hint::Ended { volume: "rep".to_owned(), path: "/b".to_owned() });
    core.snapshot(131_500, 0, down(), true);
    let changes = words(&core.snapshot(core.ask_at(), 0, down(), true));
    assert!(changes.first().unwrap().contains("is down: health check failed;"), "{changes:?}");
}

#[test]
fn heal_is_asked_for_often_while_entries_wait() {
    let mut core = settled();
    assert!(!core.heal_wanted(1));
    let mut pending = cluster();
    rep(&mut pending).heal = Some(Heal { pending: 3, split_brain: 0 });
    core.hint(100_000, Root, Hint::Heal);
    let now = core.ask_at();
    assert!(core.heal_wanted(now));
    assert_eq!(core.snapshot(now, 0, pending, true).len(), 1);
    assert_eq!(core.ask_at(), now + HEAL_MS);
    // An answer in between has no heal, and says nothing of it.
    assert!(core.snapshot(now + 10, 0, cluster(), true).is_empty());
    let mut healed = cluster();
    rep(&mut healed).heal = Some(Heal::default());
    assert_eq!(core.snapshot(now + HEAL_MS, 0, healed, true).len(), 1);
}
