use std::path::Path;

use super::*;
use crate::{config::Config, message::sample};

fn notify(more: &str) -> Notify {
    let text = format!("[[notify]]\nname = 'x'\n{more}\n[notify.stdout]\n");
    Config::from_text(Path::new("x"), &text).unwrap().notify.remove(0)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// Offers a revision, and takes what comes of it.
fn offer(queue: &mut Queue, notify: &Notify, incident: &Incident, now: Timestamp) -> Option<Kind> {
    let record = queue.decide(notify, incident, now)?;
    queue.apply(&record);
    match record {
        Record::Put(message) => Some(message.kind),
        _ => None,
    }
}

#[test]
fn an_incident_is_told_when_it_opens_when_it_changes_and_when_it_is_over() {
    let (mut queue, notify, mut incident) = (Queue::default(), notify(""), sample());
    let mut sent = Vec::new();
    type Change = fn(&mut Incident);
    let changes: [Change; 10] = [
        |_| {},
        |i| i.failures += 100,
        |i| i.severity = Severity::Critical,
        |i| i.impact.kinds.insert(0, ImpactKind::DataLost),
        |i| i.severity = Severity::Warning,
        |i| i.cause.name = "host2".into(),
        |i| i.state = State::Recovering,
        |i| i.state = State::Resolved,
        |i| i.updated = at(0),
        |i| (i.state, i.episodes) = (State::Open, 2),
    ];
    for change in changes {
        change(&mut incident);
        sent.push(offer(&mut queue, &notify, &incident, at(0)));
        // However often it comes, it is sent once.
        assert_eq!(offer(&mut queue, &notify, &incident, at(1)), None);
        incident.revision += 1;
    }
    use Kind::{Cause, Opened, Resolved, Worse};
    let expected = [
        Some(Opened),
        None,
        Some(Worse),
        Some(Worse),
        None,
        Some(Cause),
        None,
        Some(Resolved),
        None,
        Some(Opened),
    ];
    assert_eq!(sent, expected);
}

#[test]
fn what_nobody_was_told_of_ends_without_a_word_but_what_came_and_went_meanwhile_is_told() {
    let (mut queue, notify, mut incident) = (Queue::default(), notify("severity = 'error'"), sample());
    incident.severity = Severity::Warning;
    assert_eq!(offer(&mut queue, &notify, &incident, at(0)), None, "it is not bad enough");
    (incident.revision, incident.state) = (1, State::Resolved);
    assert_eq!(offer(&mut queue, &notify, &incident, at(0)), None);
    let mut other = Incident { incident_id: peripety_model::EventId::from_u128(8), ..sample() };
    other.state = State::Superseded;
    assert_eq!(offer(&mut queue, &notify, &other, at(0)), None);
    (other.incident_id, other.state) = (peripety_model::EventId::from_u128(9), State::Resolved);
    assert_eq!(offer(&mut queue, &notify, &other, at(0)), Some(Kind::Resolved));
    let mut part = Incident { incident_id: peripety_model::EventId::from_u128(10), ..sample() };
    assert_eq!(offer(&mut queue, &notify, &part, at(0)), Some(Kind::Opened));
    (part.revision, part.state) = (1, State::Superseded);
    assert_eq!(offer(&mut queue, &notify, &part, at(0)), Some(Kind::Merged));
}

#[test]
fn a_reminder_comes_after_ever_longer_times_until_somebody_knows_or_it_is_over() {
    let (mut queue, notify, mut incident) = (Queue::default(), notify("remind = '1h'"), sample());
    offer(&mut queue, &notify, &incident, at(0));
    let (mut now, mut times) = (at(0), Vec::new());
    for _ in 0..4 {
        let next = queue.next_reminder(&notify).unwrap();
        assert!(queue.reminders(&notify, next.checked_sub(SignedDuration::from_secs(1)).unwrap()).is_empty());
        let due = queue.reminders(&notify, next);
        assert_eq!(due.len(), 1);
        queue.apply(&Record::Put(Box::new(due[0].clone())));
        times.push(now.duration_until(next).as_hours());
        now = next;
    }
    assert_eq!(times, [1, 2, 4, 8]);
    incident.revision = 1;
    incident.acknowledged =
        Some(peripety_model::incident::Acknowledged { by: "root".into(), at: now, reason: "ordered".into() });
    assert_eq!(offer(&mut queue, &notify, &incident, now), None);
    assert_eq!(queue.next_reminder(&notify), None);
    assert_eq!(queue.open().len(), 1);
    assert_eq!(self::notify("remind = 'never'").remind, None);
}

#[test]
fn a_full_queue_keeps_what_matters_and_order_holds_for_each_incident() {
    let (mut queue, notify) = (Queue::default(), notify("severity = 'notice'"));
    for (id, severity) in [(1, Severity::Critical), (2, Severity::Notice), (3, Severity::Error)] {
        let incident = Incident { incident_id: peripety_model::EventId::from_u128(id), severity, ..sample() };
        offer(&mut queue, &notify, &incident, at(id as i64));
    }
    assert_eq!(queue.make_room(4), None);
    let Some(Record::Dropped(id, _)) = queue.make_room(3) else { panic!() };
    assert!(id.starts_with("00000000-0000-0000-0000-000000000002."));
    let mut worse = Incident { incident_id: peripety_model::EventId::from_u128(3), ..sample() };
    (worse.revision, worse.severity) = (1, Severity::Critical);
    offer(&mut queue, &notify, &worse, at(9));
    // What is held holds what comes after it of the same incident, however urgent.
    let holds = |message: &Message| (message.severity() != Severity::Critical).then_some(at(99));
    let (ready, next) = queue.ready(10, &holds);
    assert_eq!(ready.iter().map(|m| m.severity()).collect::<Vec<_>>(), [Severity::Critical]);
    assert_eq!(next, Some(at(99)));
}

#[test]
fn a_snapshot_makes_the_same_queue() {
    let (mut queue, notify, mut incident) = (Queue::default(), notify(""), sample());
    offer(&mut queue, &notify, &incident, at(0));
    let id = queue.ready(1, &|_| None).0[0].id.clone();
    queue.apply(&Record::Done(id));
    incident.incident_id = peripety_model::EventId::from_u128(8);
    offer(&mut queue, &notify, &incident, at(1));
    let mut again = Queue::default();
    queue.snapshot().iter().for_each(|record| again.apply(record));
    assert_eq!((again.len(), again.counters, again.snapshot()), (1, queue.counters, queue.snapshot()));
    assert_eq!(offer(&mut again, &notify, &incident, at(2)), None, "it was sent");
}

#[test]
fn what_is_known_is_bounded_and_what_is_open_is_kept_longest() {
    let (mut queue, notify) = (Queue::default(), notify(""));
    let open = sample();
    offer(&mut queue, &notify, &open, at(0));
    for id in 0..KNOWN_MAX as u128 + 100 {
        let incident = Incident {
            incident_id: peripety_model::EventId::from_u128(1000 + id),
            state: State::Resolved,
            ..sample()
        };
        offer(&mut queue, &notify, &incident, at(1));
        queue.waiting.clear();
    }
    assert_eq!(queue.known.len(), KNOWN_MAX);
    assert_eq!(offer(&mut queue, &notify, &open, at(2)), None, "it is known still");
}

#[test]
fn what_a_person_knows_is_known_after_a_restart() {
    let (mut queue, notify, mut incident) = (Queue::default(), notify("remind = '1h'"), sample());
    let mut log = vec![queue.decide(&notify, &incident, at(0)).unwrap()];
    queue.apply(&log[0]);
    incident.revision = 1;
    incident.acknowledged = Some(peripety_model::incident::Acknowledged {
        by: "root".into(),
        at: at(1),
        reason: "ordered".into(),
    });
    log.push(queue.decide(&notify, &incident, at(1)).unwrap());
    log.push(Record::Reported(true));
    let mut again = Queue::default();
    log.iter().for_each(|record| again.apply(record));
    assert_eq!(again.next_reminder(&notify), None);
    assert_eq!(again.decide(&notify, &incident, at(2)), None, "that is known already");
    assert!(again.reported, "so that its end is reported too");
}
