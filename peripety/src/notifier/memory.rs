//! Recent events in memory: `prpt query` works where no journald is, and the socket gets its events from here.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use super::{Notifier, NotifyError};
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
}

impl Default for Limits {
    fn default() -> Self {
        Self { events: 10_000, bytes: 4 << 20, backlog: 512 }
    }
}

/// An event and its line of the socket's protocol, which all readers share.
#[derive(Debug)]
pub struct Stored {
    /// The last revision.
    pub event: Arc<Event>,
    /// `{"event":…}` and a newline.
    pub line: Bytes,
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
    next: u64,
    bytes: usize,
    evicted: u64,
}

#[derive(Debug)]
struct Inner {
    limits: Limits,
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
        let (live, _) = broadcast::channel(limits.backlog.max(1));
        Self(Arc::new(Inner { limits, state: Mutex::default(), live }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a revision of an event, and hands it to those who follow.
    ///
    /// # Errors
    ///
    /// The event has no JSON.
    pub fn store(&self, event: Arc<Event>) -> Result<(), NotifyError> {
        let stored = Arc::new(Stored { line: line(&event)?, event });
        let mut state = self.state();
        state.insert(Arc::clone(&stored), self.0.limits);
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

    /// The last revision of an event, if it is held.
    pub fn latest(&self, id: EventId) -> Option<Arc<Stored>> {
        let state = self.state();
        state.by_order.get(state.order_of.get(&id)?).cloned()
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
            return;
        }
        while self.by_order.len() >= limits.events || self.bytes + size > limits.bytes {
            let Some(oldest) = self.by_order.keys().next().copied() else { break };
            self.remove(oldest);
            self.evicted += 1;
        }
        self.order_of.insert(id, self.next);
        self.by_order.insert(self.next, stored);
        self.next += 1;
        self.bytes += size;
    }

    fn remove(&mut self, order: u64) {
        if let Some(gone) = self.by_order.remove(&order) {
            self.bytes -= gone.line.len();
            self.order_of.remove(&gone.event.event_id);
        }
    }
}

fn line(event: &Event) -> Result<Bytes, NotifyError> {
    #[derive(Serialize)]
    struct Line<'a> {
        event: &'a Event,
    }
    let mut line = serde_json::to_vec(&Line { event })
        .map_err(|source| NotifyError::Json { event_id: event.event_id, source })?;
    line.push(b'\n');
    Ok(line.into())
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
    use crate::notifier::fixture::sample;

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
        let one = line(&event(1, 0)).unwrap().len();
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
