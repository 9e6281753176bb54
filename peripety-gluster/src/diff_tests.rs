use super::*;
use crate::snapshot::{Device, Heal, Peer};

const NODES: [&str; 3] = ["me", "two", "three"];

/// A cluster of three nodes with a volume that has a brick on each.
pub(crate) fn cluster() -> Snapshot {
    let brick = |node: &str| Brick {
        host: node.to_owned(),
        path: "/b".to_owned(),
        node: node.to_owned(),
        online: Some(true),
        device: (node == "me").then(|| Device { kdev: "7:1".to_owned(), ..Device::default() }),
        ..Brick::default()
    };
    let volume = Volume {
        id: "id".to_owned(),
        kind: "Replicate".to_owned(),
        status: Status::Started,
        version: 4,
        replicas: 3,
        bricks: NODES.map(brick).to_vec(),
        ..Volume::default()
    };
    let peer = |node: &str| (node.to_owned(), Peer { host: node.to_owned(), connected: true });
    Snapshot {
        node: "me".to_owned(),
        volumes: BTreeMap::from([("rep".to_owned(), volume)]),
        peers: NODES.iter().skip(1).map(|node| peer(node)).collect(),
    }
}

pub(crate) fn rep(snapshot: &mut Snapshot) -> &mut Volume {
    snapshot.volumes.get_mut("rep").unwrap()
}

fn down(snapshot: &mut Snapshot, node: &str) {
    let brick = rep(snapshot).bricks.iter_mut().find(|brick| brick.node == node).unwrap();
    brick.online = Some(false);
}

fn lines(before: Option<&Snapshot>, now: &Snapshot) -> Vec<String> {
    changes(before, now, &Reasons::new(), 1000).iter().map(|change| change.to_string()).collect()
}

/// Lines without the ids of cluster events.
fn words(before: Option<&Snapshot>, now: &Snapshot) -> Vec<String> {
    let cut = |line: String| line.split("; cluster event ").next().unwrap_or_default().to_owned();
    lines(before, now).into_iter().map(cut).collect()
}

#[test]
fn nothing_changes_where_nothing_changed() {
    assert!(lines(None, &cluster()).is_empty(), "a first look at what is well");
    assert!(lines(Some(&cluster()), &cluster()).is_empty());
}

#[test]
fn a_volume_from_its_creation_to_its_end() {
    let empty = Snapshot { volumes: BTreeMap::new(), ..cluster() };
    let mut created = cluster();
    rep(&mut created).status = Status::Created;
    let started = cluster();
    let mut stopped = cluster();
    rep(&mut stopped).status = Status::Stopped;
    down(&mut stopped, "me");
    assert_eq!(words(Some(&empty), &created), ["volume rep: created, Replicate of 3 bricks"]);
    assert_eq!(words(Some(&created), &started), ["volume rep: started"]);
    assert_eq!(words(Some(&started), &stopped), ["volume rep: stopped"], "its bricks are no failures");
    assert_eq!(words(Some(&stopped), &empty), ["volume rep: deleted"]);
    assert_eq!(
        words(Some(&empty), &started),
        ["volume rep: created, Replicate of 3 bricks", "volume rep: started"]
    );
    let mut anew = cluster();
    rep(&mut anew).id = "another".to_owned();
    assert_eq!(
        words(Some(&started), &anew),
        ["volume rep: deleted", "volume rep: created, Replicate of 3 bricks", "volume rep: started"]
    );
}

#[test]
fn each_node_gives_a_cluster_event_the_same_id() {
    let mut stopped = cluster();
    rep(&mut stopped).status = Status::Stopped;
    let mine = lines(Some(&cluster()), &stopped);
    let (mut before, mut now) = (cluster(), stopped.clone());
    (before.node, now.node) = ("two".to_owned(), "two".to_owned());
    assert_eq!(mine, lines(Some(&before), &now));
    rep(&mut stopped).version = 6;
    assert_ne!(mine, lines(Some(&cluster()), &stopped), "the next time it is another");
}

#[test]
fn a_brick_of_this_node_is_reported_and_those_of_others_are_not() {
    let mut mine = cluster();
    down(&mut mine, "me");
    let expected =
        "volume rep: brick me:/b is down; 2 of 3 bricks with this data are up, 2 needed: enough; device 7:1";
    assert_eq!(words(Some(&cluster()), &mine), [expected]);
    assert_eq!(words(None, &mine), [expected], "what is wrong at the first look is reported, too");
    assert_eq!(
        words(Some(&mine), &cluster()),
        ["volume rep: brick me:/b is up; 3 of 3 bricks with this data are up, 2 needed: enough; device 7:1"]
    );
    let mut other = cluster();
    down(&mut other, "two");
    assert!(words(Some(&cluster()), &other).is_empty());
    down(&mut other, "three");
    assert_eq!(
        words(Some(&cluster()), &other),
        [
            "volume rep: the bricks with me:/b have no quorum; 1 of 3 bricks with this data are up, 2 needed: not enough"
        ]
    );
    assert_eq!(
        words(Some(&other), &cluster()),
        [
            "volume rep: the bricks with me:/b have quorum again; 3 of 3 bricks with this data are up, 2 needed: enough"
        ]
    );
}

#[test]
fn a_reason_that_was_reported_stands_with_the_brick() {
    let mut now = cluster();
    down(&mut now, "me");
    let reason = |volume: &str| {
        Reasons::from([((volume.to_owned(), "/b".to_owned()), "health check failed".to_owned())])
    };
    for volume in ["rep", ""] {
        let changes = changes(Some(&cluster()), &now, &reason(volume), 0);
        assert!(
            changes.first().unwrap().to_string().contains("is down: health check failed; 2 of 3"),
            "{changes:?}"
        );
    }
    let changes = changes(Some(&cluster()), &now, &reason("other"), 0);
    assert!(!changes.first().unwrap().to_string().contains("health"));
}

#[test]
fn options_bricks_and_snapshots() {
    let mut now = cluster();
    rep(&mut now).options.insert("auth.allow".to_owned(), "10.*".to_owned());
    rep(&mut now).bricks.pop();
    rep(&mut now).snapshots = 1;
    assert_eq!(
        words(Some(&cluster()), &now),
        [
            "volume rep: option auth.allow set to '10.*'",
            "volume rep: brick three:/b removed",
            "volume rep: has 1 snapshots"
        ]
    );
    assert_eq!(
        words(Some(&now), &cluster()),
        [
            "volume rep: option auth.allow reset",
            "volume rep: brick three:/b added",
            "volume rep: has 0 snapshots"
        ]
    );
}

#[test]
fn heal_and_split_brain() {
    let mut some = cluster();
    rep(&mut some).heal = Some(Heal { pending: 5, split_brain: 0 });
    let mut more = cluster();
    rep(&mut more).heal = Some(Heal { pending: 9, split_brain: 2 });
    let mut none = cluster();
    rep(&mut none).heal = Some(Heal::default());
    assert_eq!(words(Some(&cluster()), &some), ["volume rep: 5 entries wait for heal"]);
    assert_eq!(words(Some(&some), &more), ["volume rep: 2 entries are in split-brain"]);
    assert!(words(Some(&more), &more).is_empty());
    assert_eq!(
        words(Some(&more), &none),
        ["volume rep: no entry waits for heal", "volume rep: no entry is in split-brain"]
    );
}

#[test]
fn peers_come_and_go() {
    let mut cut = cluster();
    cut.peers.get_mut("two").unwrap().connected = false;
    let mut removed = cluster();
    removed.peers.remove("two");
    assert_eq!(words(Some(&cluster()), &cut), ["peer two: disconnected"]);
    assert_eq!(words(Some(&cut), &cluster()), ["peer two: connected"]);
    assert_eq!(words(Some(&cluster()), &removed), ["peer two: removed from the cluster"]);
    assert_eq!(words(Some(&removed), &cluster()), ["peer two: added to the cluster"]);
    assert_eq!(words(None, &cut), ["peer two: disconnected"]);
}
