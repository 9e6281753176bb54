//! Recent events in memory: `prpt query` works where no journald is, and the socket gets its events from here.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use super::{Notifier, NotifyError, carrier};
use crate::event::{Event, EventId};

/// Name of this notifier.
pub(crate) const NAME: &str = "memory";

/// How much may be kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Events.
    pub events: usize,
    /// Bytes of their JSON.
    pub bytes: usize,
    /// Revisions that a reader of the live stream may be behind before it loses some.
    pub backlog: usize,
    /// Bytes of the revisions of incidents.
    pub incident_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { events: 10_000, bytes: 4 << 20, backlog: 512, incident_bytes: 2 << 20 }
    }
}

/// A revision of an event, or what carries one of an incident, and its line of the socket's protocol, which all readers
/// share.
#[derive(Debug)]
pub struct Stored {
    /// The last revision.
    pub event: Arc<Event>,
    /// `{"event":…}` or `{"incident":…}`, with its number, and a newline.
    pub line: Bytes,
    /// Its number: revisions of a boot have growing ones, whichever daemon gave them.
    pub sequence: u64,
}

impl Stored {
    /// Whether it is a revision of an incident.
    pub fn is_incident(&self) -> bool {
        carrier::is_carrier(&self.event)
    }
}

/// How the revisions of this daemon are numbered.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// The boot that the numbers are of.
    pub boot_id: String,
    /// The first number: greater than any that an earlier daemon of the boot gave. Microseconds since the boot are, for no
    /// daemon gives out a revision in each of them.
    pub first: u64,
}

/// What a reader who follows gets first.
#[derive(Debug)]
pub struct Held {
    /// Revisions of events and incidents after the number that was asked for.
    pub stored: Vec<Arc<Stored>>,
    /// All revisions after this number are in memory, but those of events that a later one of the same event replaced.
    pub since: u64,
    /// What happens from now on.
    pub live: broadcast::Receiver<Arc<Stored>>,
    /// The last number that this daemon gave, or the one before its first.
    pub newest: u64,
    /// The number before this daemon's first.
    before_first: u64,
    /// Revisions of events and incidents after the number that was asked for that are held.
    held_after: u64,
}

impl Held {
    /// How many revisions after the number that was asked for this daemon gave and no longer holds, replaced ones among them.
    pub fn gone_after(&self, after: u64) -> u64 {
        self.newest.saturating_sub(after.max(self.before_first)).saturating_sub(self.held_after)
    }
}

/// What the store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Events held.
    pub events: usize,
    /// Bytes of their JSON.
    pub bytes: usize,
    /// Events that had to make room since the start.
    pub evicted: u64,
}

#[derive(Debug, Default)]
struct State {
    by_order: BTreeMap<u64, Arc<Stored>>,
    order_of: HashMap<EventId, u64>,
    incidents: VecDeque<Arc<Stored>>,
    incident_bytes: usize,
    next: u64,
    bytes: usize,
    evicted: u64,
    /// The last number that had to make room, of events and of incidents.
    forgotten: (u64, u64),
}

#[derive(Debug)]
struct Inner {
    limits: Limits,
    numbers: Numbers,
    state: Mutex<State>,
    live: broadcast::Sender<Arc<Stored>>,
}

/// The last revision of each recent event, in the order in which they last changed. Clones share one store.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Inner>);

impl Default for Memory {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Memory {
    /// An empty store.
    pub fn new(limits: Limits) -> Self {
        Self::numbered(limits, Numbers::default())
    }

    /// An empty store whose revisions are numbered from there on.
    pub fn numbered(limits: Limits, numbers: Numbers) -> Self {
        let (live, _) = broadcast::channel(limits.backlog.max(1));
        let next = numbers.first.max(1);
        let state = State { next, forgotten: (next - 1, next - 1), ..State::default() };
        Self(Arc::new(Inner { limits, numbers, state: Mutex::new(state), live }))
    }

    /// The boot that the numbers are of.
    pub fn boot_id(&self) -> &str {
        &self.0.numbers.boot_id
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a revision of an event, or what carries one of an incident, and hands it to those who follow.
    ///
    /// # Errors
    ///
    /// The event has no JSON.
    pub fn store(&self, event: Arc<Event>) -> Result<(), NotifyError> {
        let line = line(&event)?;
        let mut state = self.state();
        let sequence = state.next;
        let stored = Arc::new(Stored { line: numbered(line, sequence), event, sequence });
        state.next += 1;
        if stored.is_incident() {
            state.insert_incident(Arc::clone(&stored), self.0.limits);
        } else {
            state.insert(Arc::clone(&stored), self.0.limits);
        }
        // Nobody listening is no error. Sent under the lock, so that a reader who subscribes gets each event once.
        let _nobody_listens = self.0.live.send(stored);
        Ok(())
    }

    /// All events held, oldest change first.
    pub fn events(&self) -> Vec<Arc<Stored>> {
        self.state().by_order.values().cloned().collect()
    }

    /// All events held, and every revision from now on. A reader who is too slow is informed how many it lost.
    pub fn follow(&self) -> (Vec<Arc<Stored>>, broadcast::Receiver<Arc<Stored>>) {
        let state = self.state();
        (state.by_order.values().cloned().collect(), self.0.live.subscribe())
    }

    /// What a reader wants who has all revisions up to a number of this boot, or none; with events, incidents, or both.
    pub fn follow_after(&self, after: Option<u64>, events: bool, incidents: bool) -> Held {
        let state = self.state();
        let after = after.unwrap_or(0);
        let late = state.incidents.iter().filter(|s| incidents && s.sequence > after).cloned();
        let mut stored: Vec<_> = late.collect();
        if events {
            stored.extend(state.by_order.range(after.saturating_add(1)..).map(|(_, s)| Arc::clone(s)));
            stored.sort_by_key(|s| s.sequence);
        }
        let (of_events, of_incidents) = state.forgotten;
        let since = if events { of_events } else { 0 }.max(if incidents { of_incidents } else { 0 });
        let held = state.by_order.range(after.saturating_add(1)..).count()
            + state.incidents.iter().rev().take_while(|s| s.sequence > after).count();
        Held {
            stored,
            since,
            live: self.0.live.subscribe(),
            newest: state.next - 1,
            before_first: self.0.numbers.first.max(1) - 1,
            held_after: held as u64,
        }
    }

    /// The last revision of an event, if it is held.
    pub fn latest(&self, id: EventId) -> Option<Arc<Stored>> {
        let state = self.state();
        state.by_order.get(state.order_of.get(&id)?).cloned()
    }

    /// The revision of this number, if it is held.
    pub fn at(&self, sequence: u64) -> Option<Arc<Stored>> {
        let state = self.state();
        let of_event = state.by_order.get(&sequence);
        let of_incident = || {
            let at = state.incidents.binary_search_by_key(&sequence, |s| s.sequence).ok()?;
            state.incidents.get(at)
        };
        of_event.or_else(of_incident).cloned()
    }

    /// What is held.
    pub fn usage(&self) -> Usage {
        let state = self.state();
        Usage { events: state.by_order.len(), bytes: state.bytes, evicted: state.evicted }
    }
}

impl State {
    fn insert(&mut self, stored: Arc<Stored>, limits: Limits) {
        if let Some(order) = self.order_of.remove(&stored.event.event_id) {
            self.remove(order);
        }
        let (id, size) = (stored.event.event_id, stored.line.len());
        if size > limits.bytes || limits.events == 0 {
            self.evicted += 1;
            self.forgotten.0 = self.forgotten.0.max(stored.sequence);
            return;
        }
        while self.by_order.len() >= limits.events || self.bytes + size > limits.bytes {
            let Some(oldest) = self.by_order.keys().next().copied() else { break };
            self.remove(oldest);
            self.evicted += 1;
            self.forgotten.0 = self.forgotten.0.max(oldest);
        }
        self.order_of.insert(id, stored.sequence);
        self.by_order.insert(stored.sequence, stored);
        self.bytes += size;
    }

    fn insert_incident(&mut self, stored: Arc<Stored>, limits: Limits) {
        self.incident_bytes += stored.line.len();
        self.incidents.push_back(stored);
        while self.incident_bytes > limits.incident_bytes {
            let Some(oldest) = self.incidents.pop_front() else { break };
            self.incident_bytes -= oldest.line.len();
            self.forgotten.1 = self.forgotten.1.max(oldest.sequence);
        }
    }

    fn remove(&mut self, order: u64) {
        if let Some(gone) = self.by_order.remove(&order) {
            self.bytes -= gone.line.len();
            self.order_of.remove(&gone.event.event_id);
        }
    }
}

fn line(event: &Event) -> Result<Vec<u8>, NotifyError> {
    #[derive(Serialize)]
    struct Line<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        event: Option<&'a Event>,
        #[serde(skip_serializing_if = "Option::is_none")]
        incident: Option<&'a serde_json::Value>,
    }
    let incident = carrier::json(event);
    let line = Line { event: incident.is_none().then_some(event), incident };
    serde_json::to_vec(&line).map_err(|source| NotifyError::Json { event_id: event.event_id, source })
}

/// An object with its number in it, as a line.
fn numbered(mut line: Vec<u8>, sequence: u64) -> Bytes {
    line.pop();
    line.extend_from_slice(format!(",\"sequence\":{sequence}}}\n").as_bytes());
    line.into()
}

impl Notifier for Memory {
    fn name(&self) -> &'static str {
        NAME
    }

    fn notify(&mut self, event: &Event) -> Result<(), NotifyError> {
        self.store(Arc::new(event.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::fixture::{incident as incident_sample, sample};

    fn event(id: u128, revision: u32) -> Arc<Event> {
        Arc::new(Event { event_id: uuid::Uuid::from_u128(id), revision, ..sample() })
    }

    fn held(memory: &Memory) -> Vec<(u128, u32)> {
        memory.events().iter().map(|s| (s.event.event_id.as_u128(), s.event.revision)).collect()
    }

    #[test]
    fn the_last_revisions_of_the_latest_events_are_kept() {
        let memory = Memory::new(Limits { events: 3, ..Limits::default() });
        for (id, revision) in [(1, 0), (2, 0), (1, 1), (3, 0), (4, 0)] {
            memory.store(event(id, revision)).unwrap();
        }
        assert_eq!(held(&memory), [(1, 1), (3, 0), (4, 0)]);
        assert_eq!(memory.usage().evicted, 1);
        assert_eq!(memory.usage().bytes, memory.events().iter().map(|s| s.line.len()).sum::<usize>());
    }

    #[test]
    fn bytes_are_bounded_too() {
        let one = numbered(line(&event(1, 0)).unwrap(), 1).len();
        let memory = Memory::new(Limits { bytes: one * 2 + one / 2, ..Limits::default() });
        for id in 1..=5 {
            memory.store(event(id, 0)).unwrap();
        }
        assert_eq!(held(&memory), [(4, 0), (5, 0)]);
        let mut huge = sample();
        huge.raw_msgs = vec!["x".repeat(one * 3)];
        memory.store(Arc::new(huge)).unwrap();
        assert_eq!(held(&memory), [(4, 0), (5, 0)]);
        assert_eq!(memory.usage().evicted, 4);
    }

    fn incident(id: u128, revision: u32) -> Arc<Event> {
        let mut incident = incident_sample();
        (incident.incident_id, incident.revision) = (uuid::Uuid::from_u128(id), revision);
        Arc::new(carrier::carry(&incident).unwrap())
    }

    #[test]
    fn who_comes_back_gets_what_it_has_not_and_knows_since_when_nothing_is_missing() {
        let limits = Limits { events: 2, ..Limits::default() };
        let memory = Memory::numbered(limits, Numbers { boot_id: "b".into(), first: 100 });
        for (id, revision) in [(1, 0), (2, 0)] {
            memory.store(event(id, revision)).unwrap();
        }
        memory.store(incident(7, 0)).unwrap();
        memory.store(event(1, 1)).unwrap();
        memory.store(incident(7, 1)).unwrap();
        let numbers = |after, events, incidents| {
            let held = memory.follow_after(after, events, incidents);
            (held.stored.iter().map(|s| s.sequence).collect::<Vec<_>>(), held.since)
        };
        assert_eq!(numbers(None, true, true), (vec![101, 102, 103, 104], 99));
        assert_eq!(numbers(Some(102), true, true), (vec![103, 104], 99));
        assert_eq!(numbers(Some(101), false, true), (vec![102, 104], 99));
        assert_eq!(numbers(Some(u64::MAX), true, true), (vec![], 99));
        memory.store(event(3, 0)).unwrap();
        assert_eq!(numbers(Some(102), true, false), (vec![103, 105], 101), "event 2 made room");
        assert_eq!(held(&memory), [(1, 1), (3, 0)], "an incident is no event");
    }

    #[test]
    fn revisions_of_incidents_are_bounded_by_their_bytes() {
        let one = numbered(line(&incident(1, 0)).unwrap(), 1).len();
        let memory = Memory::new(Limits { incident_bytes: one * 2 + one / 2, ..Limits::default() });
        for revision in 0..4 {
            memory.store(incident(1, revision)).unwrap();
        }
        let held = memory.follow_after(None, true, true);
        assert_eq!((held.stored.iter().map(|s| s.sequence).collect::<Vec<_>>(), held.since), (vec![3, 4], 2));
        let line = String::from_utf8(held.stored[0].line.to_vec()).unwrap();
        assert!(line.starts_with("{\"incident\":{") && line.ends_with(",\"sequence\":3}\n"), "{line}");
    }

    #[test]
    fn a_slow_reader_knows_what_it_lost() {
        let memory = Memory::new(Limits { backlog: 2, ..Limits::default() });
        let (before, mut live) = memory.follow();
        assert!(before.is_empty());
        for id in 1..=5 {
            memory.store(event(id, 0)).unwrap();
        }
        assert!(matches!(live.try_recv(), Err(broadcast::error::TryRecvError::Lagged(3))));
        assert_eq!(live.try_recv().unwrap().event.event_id.as_u128(), 4);
    }
}
