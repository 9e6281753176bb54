//! What is kept, in a real file.

use peripety_forward::name::Sender;
use peripety_model::{EventType, incident::State};
use serde_json::json;

use super::*;

const DAY: i64 = 86_400;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn incident(number: u128, revision: u32, state: State, opened: i64) -> Entry {
    let incident: Incident = serde_json::from_value(json!({
        "schema": 1, "incident_id": EventId::from_u128(number), "revision": revision, "state": state, "severity": "error",
        "title": "t", "hostname": "h", "boot_id": "", "opened": at(opened), "updated": at(opened), "episodes": 1,
        "cause": { "name": "sda", "part": "device", "kind": "medium", "certainty": "certain",
            "device": { "path": "/dev/sda", "wwid": "naa.1" } },
        "impact": { "kinds": [] }, "events": [], "event_count": 1, "failures": 1,
    }))
    .unwrap();
    let revision = Revision::Incident(Box::new(incident));
    Entry { checked: Checked { sender: Sender::new("s", "h"), revision }, cluster: None }
}

fn event(number: u128, of: u128, revision: u32, first: i64) -> Entry {
    let event = Event {
        incident_id: Some(EventId::from_u128(of)),
        revision,
        ..Event::new(EventId::from_u128(number), EventType::BLK_IO_ERROR, at(first))
    };
    let revision = Revision::Event(Box::new(event));
    Entry { checked: Checked { sender: Sender::new("s", "h"), revision }, cluster: None }
}

#[test]
fn of_each_id_the_highest_revision_stays_also_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.redb");
    let store = Store::open(&path).unwrap();
    let first = incident(1, 0, State::Open, 0);
    let batch = [
        first,
        incident(1, 2, State::Resolved, 0),
        event(10, 1, 1, 0),
        event(10, 1, 0, 0),
        event(11, 1, 0, 5),
    ];
    assert_eq!(store.take(&batch).unwrap().len(), 2);
    let late = Entry { cluster: Some(EventId::from_u128(9)), ..incident(1, 1, State::Open, 0) };
    assert_eq!(store.take(&[late]).unwrap(), [], "it came late");
    assert!(Store::open(&path).is_err(), "two have it");
    drop(store);
    let store = Store::open(&path).unwrap();
    let id = EventId::from_u128(1);
    let stored = store.incident(id).unwrap().unwrap();
    assert_eq!((stored.incident.revision, stored.incident.state, stored.cluster), (2, State::Resolved, None));
    let events: Vec<u32> = store.events(id).unwrap().iter().map(|event| event.revision).collect();
    assert_eq!(events, [1, 0]);
    assert_eq!(store.device("naa.1").unwrap(), [stored]);
    assert_eq!(store.incident(EventId::from_u128(2)).unwrap(), None);
}

#[test]
fn what_is_old_is_forgotten_but_not_what_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("x.redb")).unwrap();
    let batch = [
        incident(1, 0, State::Resolved, 0),
        event(10, 1, 0, 0),
        incident(2, 0, State::Open, 0),
        incident(3, 0, State::Resolved, 2 * DAY),
    ];
    store.take(&batch).unwrap();
    assert_eq!(store.prune(at(DAY), 100).unwrap(), 2);
    let mut left = Vec::new();
    store
        .each_incident(|stored| {
            left.push(stored.incident.incident_id.as_u128());
            true
        })
        .unwrap();
    assert_eq!((left, store.events(EventId::from_u128(1)).unwrap().len()), (vec![2, 3], 0));
    assert_eq!(store.device("naa.1").unwrap().len(), 2);
    assert_eq!(store.prune(at(DAY), 100).unwrap(), 0);
}

#[test]
fn who_did_what_stands_in_the_audit() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("x.redb")).unwrap();
    let act = |what: &str, target: &str| Act {
        by: "anna".to_owned(),
        at: at(1),
        what: what.to_owned(),
        target: target.to_owned(),
        reason: "r".to_owned(),
    };
    let id = EventId::from_u128(1);
    store.acknowledge(id, &act("acknowledge", "1")).unwrap();
    store.forget("s.h", &act("forget", "s.h")).unwrap();
    assert_eq!(store.acknowledged(id).unwrap().map(|act| act.by).as_deref(), Some("anna"));
    assert_eq!(store.forgotten().unwrap(), [("s.h".to_owned(), at(1))]);
    let acts: Vec<String> = store.audit(10).unwrap().into_iter().map(|act| act.what).collect();
    assert_eq!(acts, ["forget", "acknowledge"]);
}
