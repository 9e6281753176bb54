use std::{sync::Arc, thread, time::Duration};

use super::*;
use crate::{
    event::{EventId, incident},
    notifier::{
        carrier,
        fixture::{incident, sample},
        memory::{Limits, Memory, Numbers},
        socket::{Answers, Server, Serving},
    },
};

struct Known(Vec<Incident>);

impl Answers for Known {
    fn answer(&self, request: &str) -> Option<Value> {
        (request == "status").then(|| serde_json::json!({ "incidents": self.0 }))
    }
}

struct Daemon {
    memory: Memory,
    _serving: Serving,
}

impl Daemon {
    fn start(roots: &Roots, limits: Limits, first: u64, open: Vec<Incident>) -> Self {
        let memory = Memory::numbered(limits, Numbers { boot_id: "b".into(), first });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let server = runtime.block_on(async { Server::bind(roots).unwrap() });
        let serving = server.start(memory.clone(), Arc::new(Known(open))).unwrap();
        Self { memory, _serving: serving }
    }

    fn incident(&self, id: u128, revision: u32) {
        let incident = Incident { incident_id: EventId::from_u128(id), revision, ..incident() };
        self.memory.store(Arc::new(carrier::carry(&incident).unwrap())).unwrap();
    }
}

/// Follows until `enough` items came, or the daemon ends.
fn get(roots: &Roots, place: Option<Place>, daemon: Daemon, wait: Duration) -> (Vec<String>, Option<Place>) {
    let (mut got, mut last) = (Vec::new(), place.clone());
    let end = thread::spawn(move || {
        thread::sleep(wait);
        drop(daemon);
    });
    let kinds = Kinds { events: true, incidents: true };
    follow(roots, kinds, place, &mut |item, place| {
        got.push(match item {
            Item::Incident(i) => format!("incident {}.{}", i.incident_id.as_u128(), i.revision),
            Item::Open(i) => format!("open {}.{}", i.incident_id.as_u128(), i.revision),
            Item::Event(e) => format!("event {}.{}", e.event_id.as_u128(), e.revision),
            Item::Live => "live".to_owned(),
            Item::Gap(why) => format!("gap {why}"),
        });
        last = place.cloned().or_else(|| last.take());
    })
    .unwrap();
    end.join().unwrap();
    (got, last)
}

#[test]
fn who_comes_for_the_first_time_gets_what_is_open_and_then_what_happens() {
    let directory = tempfile::tempdir().unwrap();
    let roots = Roots::under(directory.path());
    let open = Incident { incident_id: EventId::from_u128(5), revision: 3, ..incident() };
    let over = Incident { state: incident::State::Resolved, ..open.clone() };
    let daemon = Daemon::start(&roots, Limits::default(), 1, vec![over, open]);
    daemon.incident(1, 0);
    let memory = daemon.memory.clone();
    let later = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        memory.store(Arc::new(Event { event_id: EventId::from_u128(2), ..sample() })).unwrap();
    });
    let (got, place) = get(&roots, None, daemon, Duration::from_millis(400));
    later.join().unwrap();
    assert_eq!(got, ["open 5.3", "live", "event 2.1"]);
    assert_eq!(place.unwrap().position, Position { boot_id: "b".into(), sequence: 2 });
}

#[test]
fn who_comes_back_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let roots = Roots::under(directory.path());
    let daemon = Daemon::start(&roots, Limits::default(), 10, Vec::new());
    for revision in 0..3 {
        daemon.incident(1, revision);
    }
    let place = Place { position: Position { boot_id: "b".into(), sequence: 10 }, at: Timestamp::now() };
    let (got, place) = get(&roots, Some(place), daemon, Duration::from_millis(200));
    assert_eq!(got, ["incident 1.1", "incident 1.2", "live"]);
    assert_eq!(place.as_ref().unwrap().position.sequence, 12);
    // A later daemon of the same boot numbers on: what it has not is looked for in the journal, and there is none.
    let daemon = Daemon::start(&roots, Limits::default(), 1000, Vec::new());
    daemon.incident(2, 0);
    let roots = Roots { journal: Some(directory.path().join("none")), ..roots };
    let (got, place) = get(&roots, place, daemon, Duration::from_millis(200));
    let gap = got.first().unwrap();
    assert!(gap.starts_with("gap revisions after number 12 ") && gap.contains("no journal at "), "{got:?}");
    assert_eq!(got[1..], ["incident 2.0", "live"]);
    assert_eq!(place.unwrap().position.sequence, 1000);
}

#[test]
fn who_is_too_slow_asks_again() {
    let directory = tempfile::tempdir().unwrap();
    let roots = Roots::under(directory.path());
    let daemon = Daemon::start(&roots, Limits { backlog: 2, ..Limits::default() }, 1, Vec::new());
    let memory = daemon.memory.clone();
    let (mut got, mut stored, mut daemon) = (0, false, Some(daemon));
    let place = Place { position: Position { boot_id: "b".into(), sequence: 0 }, at: Timestamp::now() };
    follow(&roots, Kinds { events: true, incidents: true }, Some(place), &mut |item, _| match item {
        // More than the socket takes while nobody reads.
        Item::Live if !std::mem::replace(&mut stored, true) => {
            for id in 0..300_u128 {
                let event = Event { event_id: EventId::from_u128(id), msg: "x".repeat(10_000), ..sample() };
                memory.store(Arc::new(event)).unwrap();
            }
        }
        Item::Event(_) => {
            got += 1;
            // Without one it would go on for ever.
            if got == 300 {
                daemon = None;
            }
        }
        _ => {}
    })
    .unwrap();
    assert!(got == 300 && daemon.is_none());
}
