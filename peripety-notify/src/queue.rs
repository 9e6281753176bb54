//! What one receiver got, what it is to get, and what waits. No clock, no file, no thread: what changes it is a
//! [`Record`], which is written down before it counts.

use std::collections::{HashMap, HashSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use peripety_model::{
    Event, Incident, Severity,
    incident::{ImpactKind, State},
};
use serde::{Deserialize, Serialize};

use crate::{
    config::{Notify, What},
    filter,
    message::{Kind, Message, cut},
};

/// Incidents, and events, of which is known what the receiver got.
const KNOWN_MAX: usize = 8192;
/// Longest time between two reminders.
const REMIND_MAX: SignedDuration = SignedDuration::from_hours(32 * 24);

/// A change of the queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    /// A message is to go out.
    Put(Box<Message>),
    /// The receiver has it.
    Done(String),
    /// It will never go out, and why.
    Dropped(String, String),
    /// What is known of an incident, when the log is written anew.
    Known(String, Box<Known>),
    /// Counters, when the log is written anew.
    Counted(Counters),
    /// Whether it is an event of the daemon that this receiver takes nothing.
    Reported(bool),
}

/// What a receiver last got of an incident or event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Known {
    revision: u32,
    severity: Severity,
    impact: Option<ImpactKind>,
    cause: String,
    /// When that was.
    at: Timestamp,
    reminders: u32,
    /// The latest revision, while the receiver knows it to be open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    incident: Option<Box<Incident>>,
}

/// What became of messages, since the first start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Counters {
    pub(crate) queued: u64,
    pub(crate) delivered: u64,
    pub(crate) dropped: u64,
    pub(crate) tries_failed: u64,
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Message>,
    known: HashMap<String, Known>,
    /// Of `known`, the oldest first; one may stand here twice.
    order: VecDeque<String>,
    pub(crate) counters: Counters,
    /// Whether it is an event of the daemon that this receiver takes nothing.
    pub(crate) reported: bool,
}

impl Known {
    fn of(message: &Message) -> Option<Self> {
        let at = message.at;
        if let Some(event) = &message.event {
            let (severity, revision) = (event.severity, event.revision);
            let cause = String::new();
            return Some(Self { revision, severity, impact: None, cause, at, reminders: 0, incident: None });
        }
        let incident = message.incident.as_ref()?;
        Some(Self {
            revision: incident.revision,
            severity: incident.severity,
            impact: incident.impact.kinds.first().copied(),
            cause: cause(incident),
            at,
            reminders: message.reminder,
            incident: message.is_open().then(|| incident.clone()),
        })
    }

    fn is_open(&self) -> bool {
        self.incident.is_some()
    }

    /// When to remind of it.
    fn remind_at(&self, first: SignedDuration) -> Option<Timestamp> {
        let incident = self.incident.as_ref()?;
        let known = incident.acknowledged.is_some();
        let wait = first.checked_mul(1 << self.reminders.min(16)).unwrap_or(REMIND_MAX).min(REMIND_MAX);
        (!known).then(|| self.at.checked_add(wait).ok())?
    }
}

/// What makes a cause another one.
fn cause(incident: &Incident) -> String {
    format!("{} {}", incident.cause.name, incident.cause.kind.words())
}

impl Queue {
    /// Takes a change.
    pub(crate) fn apply(&mut self, record: &Record) {
        match record {
            Record::Put(message) => {
                if let Some(known) = Known::of(message) {
                    self.know(&message.subject, known);
                }
                self.counters.queued += 1;
                self.waiting.push_back((**message).clone());
            }
            Record::Done(id) => self.counters.delivered += u64::from(self.take(id)),
            Record::Dropped(id, _) => self.counters.dropped += u64::from(self.take(id)),
            Record::Known(subject, known) => self.know(subject, (**known).clone()),
            Record::Counted(counters) => self.counters = *counters,
            Record::Reported(reported) => self.reported = *reported,
        }
    }

    fn know(&mut self, subject: &str, known: Known) {
        if self.known.insert(subject.to_owned(), known).is_none() {
            self.order.push_back(subject.to_owned());
        }
        // What is over goes first, then what is oldest.
        let mut looked = self.order.len();
        while self.known.len() > KNOWN_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            looked = looked.saturating_sub(1);
            if looked > 0 && self.known.get(&oldest).is_some_and(Known::is_open) {
                self.order.push_back(oldest);
            } else {
                self.known.remove(&oldest);
            }
        }
    }

    fn take(&mut self, id: &str) -> bool {
        let at = self.waiting.iter().position(|message| message.id == id);
        at.and_then(|at| self.waiting.remove(at)).is_some()
    }

    /// What a revision of an incident is for this receiver: a message, or something to know for the next reminder.
    pub(crate) fn decide(&self, notify: &Notify, incident: &Incident, now: Timestamp) -> Option<Record> {
        if notify.what == What::Events {
            return None;
        }
        let subject = incident.incident_id.to_string();
        let kind = match self.known.get(&subject) {
            None => match incident.state {
                _ if !filter::takes_incident(notify, incident) => return None,
                State::Open | State::Recovering => Kind::Opened,
                State::Resolved => Kind::Resolved,
                State::Superseded => return None,
            },
            Some(known) if incident.revision <= known.revision => return None,
            Some(known) => match incident.state {
                State::Superseded if known.is_open() => Kind::Merged,
                State::Resolved if known.is_open() => Kind::Resolved,
                State::Superseded | State::Resolved => return None,
                State::Open | State::Recovering if !known.is_open() => Kind::Opened,
                State::Open | State::Recovering => {
                    let impact = incident.impact.kinds.first().copied();
                    let hurt = |kind: Option<ImpactKind>| kind.unwrap_or(ImpactKind::None);
                    if incident.severity < known.severity || hurt(impact) < hurt(known.impact) {
                        Kind::Worse
                    } else if cause(incident) != known.cause {
                        Kind::Cause
                    } else {
                        // A reminder says how it is then, and there is none of what a person knows.
                        let (revision, incident) = (incident.revision, Some(cut(incident)));
                        let known = Known { revision, incident, ..known.clone() };
                        return Some(Record::Known(subject, Box::new(known)));
                    }
                }
            },
        };
        Some(Record::Put(Box::new(Message::of_incident(kind, incident, now))))
    }

    /// The message that an event is for this receiver: its first revision that it wants.
    pub(crate) fn decide_event(&self, notify: &Notify, event: &Event, now: Timestamp) -> Option<Message> {
        let wanted = notify.what != What::Incidents && filter::takes_event(notify, event);
        let known = self.known.contains_key(&event.event_id.to_string());
        (wanted && !known).then(|| Message::of_event(event.clone(), now))
    }

    /// Reminders that are due.
    pub(crate) fn reminders(&self, notify: &Notify, now: Timestamp) -> Vec<Message> {
        let Some(first) = notify.remind else { return Vec::new() };
        let due = |known: &&Known| known.remind_at(first).is_some_and(|at| at <= now);
        let mut due: Vec<&Known> = self.known.values().filter(due).collect();
        due.sort_by_key(|known| known.at);
        let message = |known: &Known| {
            known.incident.as_ref().map(|incident| Message::reminder(incident, known.reminders + 1, now))
        };
        due.into_iter().filter_map(message).collect()
    }

    /// When the next reminder is due.
    pub(crate) fn next_reminder(&self, notify: &Notify) -> Option<Timestamp> {
        let first = notify.remind?;
        self.known.values().filter_map(|known| known.remind_at(first)).min()
    }

    /// What makes room for one more, if there is none: a reminder, else the least severe, the oldest first.
    pub(crate) fn make_room(&self, limit: usize) -> Option<Record> {
        if self.waiting.len() < limit {
            return None;
        }
        let worst = self
            .waiting
            .iter()
            .max_by_key(|m| (m.kind == Kind::Reminder, m.severity(), std::cmp::Reverse(m.at)));
        worst.map(|message| Record::Dropped(message.id.clone(), "the queue is full".to_owned()))
    }

    /// The messages that may go out now, in order, of each subject only if none of it waits before; and when the next may.
    pub(crate) fn ready(
        &self,
        most: usize,
        holds: &dyn Fn(&Message) -> Option<Timestamp>,
    ) -> (Vec<Message>, Option<Timestamp>) {
        let (mut ready, mut held, mut next) = (Vec::new(), HashSet::new(), None::<Timestamp>);
        for message in &self.waiting {
            if ready.len() >= most {
                break;
            }
            if held.contains(message.subject.as_str()) {
                continue;
            }
            match holds(message) {
                None => ready.push(message.clone()),
                Some(until) => {
                    held.insert(message.subject.as_str());
                    next = Some(next.map_or(until, |next| next.min(until)));
                }
            }
        }
        (ready, next)
    }

    /// What waits.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// When the oldest of what waits was decided.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.waiting.front().map(|message| message.at)
    }

    /// What this receiver knows to be open, the oldest first.
    pub(crate) fn open(&self) -> Vec<&Incident> {
        let open = self.known.values().filter_map(|known| known.incident.as_deref());
        let mut open: Vec<&Incident> = open.collect();
        open.sort_by_key(|incident| (incident.opened, incident.incident_id));
        open
    }

    /// All of it, as records that make it again.
    pub(crate) fn snapshot(&self) -> Vec<Record> {
        let known = self.order.iter().filter_map(|subject| Some((subject, self.known.get(subject)?)));
        let known = known.map(|(subject, known)| Record::Known(subject.clone(), Box::new(known.clone())));
        let waiting = self.waiting.iter().map(|message| Record::Put(Box::new(message.clone())));
        let mut all: Vec<Record> = known.chain(waiting).collect();
        // Last, for each message that waits is counted when it is put.
        all.push(Record::Counted(self.counters));
        all.push(Record::Reported(self.reported));
        all
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
