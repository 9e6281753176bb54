//! Revisions for one client, by its filter, with exact counts of what it does not get.

use std::{collections::VecDeque, sync::Arc};

use peripety_model::Filter;
use serde_json::{Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    super::{
        carrier,
        memory::{Memory, Stored},
    },
    Position,
};

/// What a client wants.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) filter: Filter,
    pub(super) events: bool,
    pub(super) incidents: bool,
    /// No revision up to this one, of this boot.
    pub(super) after: Option<u64>,
}

/// From where on the client gets everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Begin {
    /// All revisions after this one are held, but those that a later one of the same event replaced.
    pub(super) since: u64,
    /// Whether that is all after the one that was asked for.
    pub(super) complete: bool,
}

/// The number of a place that a client has. Of another boot this daemon has nothing: then all that it gave comes after it.
pub(super) fn number(memory: &Memory, place: &Position) -> u64 {
    if place.boot_id == memory.boot_id() { place.sequence } else { 0 }
}

/// Revisions for one client. What is stored is held by its number: a client that reads slowly keeps nothing in memory.
pub(super) struct Feed {
    memory: Memory,
    wanted: Wanted,
    stored: VecDeque<u64>,
    live: Receiver<Arc<Stored>>,
    /// The last number that was given or passed over.
    last: u64,
    /// Revisions that were left out because the client was too slow.
    pub(super) dropped: u64,
    /// How many of them [`Self::newly_dropped`] has given.
    dropped_before: u64,
    /// Revisions after the one asked for that this daemon gave and does not hold.
    pub(super) missed: u64,
}

impl Feed {
    pub(super) fn open(memory: &Memory, wanted: Wanted) -> (Self, Begin) {
        let held = memory.follow_after(wanted.after, wanted.events, wanted.incidents);
        let complete = wanted.after.is_some_and(|after| after >= held.since);
        let missed = wanted.after.map_or(0, |after| held.gone_after(after));
        let feed = Self {
            memory: memory.clone(),
            stored: held.stored.iter().map(|stored| stored.sequence).collect(),
            live: held.live,
            last: held.newest,
            dropped: 0,
            dropped_before: 0,
            missed,
            wanted,
        };
        (feed, Begin { since: held.since, complete })
    }

    /// What the client reads first.
    pub(super) fn first(&self, begin: Begin) -> Value {
        let position = Position { boot_id: self.memory.boot_id().to_owned(), sequence: begin.since };
        json!({ "position": position, "complete": begin.complete, "missed": self.missed })
    }

    /// The counts as keys to add to the object of a revision.
    pub(super) fn counts(&self) -> String {
        format!(",\"dropped\":{},\"missed\":{}", self.dropped, self.missed)
    }

    /// Revisions that were left out since the last call.
    pub(super) fn newly_dropped(&mut self) -> u64 {
        self.dropped - std::mem::replace(&mut self.dropped_before, self.dropped)
    }

    /// Leaves out what is stored.
    pub(super) fn skip_stored(&mut self) {
        self.stored.clear();
    }

    /// The next of what is stored.
    pub(super) fn next_stored(&mut self) -> Option<Arc<Stored>> {
        while let Some(sequence) = self.stored.pop_front() {
            match self.memory.at(sequence) {
                Some(stored) if self.wants(&stored) => return Some(stored),
                Some(_) => {}
                // It made room, or was replaced by one that is still to come.
                None => self.dropped += 1,
            }
        }
        None
    }

    /// The next revision, for which it waits; none when the daemon ends.
    pub(super) async fn next(&mut self) -> Option<Arc<Stored>> {
        loop {
            if let Some(stored) = self.next_stored() {
                return Some(stored);
            }
            match self.live.recv().await {
                Ok(stored) => {
                    self.last = self.last.max(stored.sequence);
                    if self.wants(&stored) {
                        return Some(stored);
                    }
                }
                Err(RecvError::Lagged(_)) => self.catch_up(),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The client was too slow: what is still held of what it did not get comes after all.
    fn catch_up(&mut self) {
        let held = self.memory.follow_after(Some(self.last), self.wanted.events, self.wanted.incidents);
        self.dropped += held.gone_after(self.last);
        self.stored = held.stored.iter().map(|stored| stored.sequence).collect();
        (self.live, self.last) = (held.live, held.newest);
    }

    fn wants(&self, stored: &Stored) -> bool {
        let Wanted { filter, events, incidents, .. } = &self.wanted;
        if !stored.is_incident() {
            return *events && filter.takes_event(&stored.event);
        }
        *incidents
            && (filter.takes_all()
                || carrier::carried(&stored.event).is_some_and(|of| filter.takes_incident(&of)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::Event,
        notifier::{
            fixture::sample,
            memory::{Limits, Numbers},
        },
    };

    fn event(id: u128, revision: u32) -> Arc<Event> {
        Arc::new(Event { event_id: uuid::Uuid::from_u128(id), revision, ..sample() })
    }

    fn memory(events: usize, backlog: usize) -> Memory {
        let limits = Limits { events, backlog, ..Limits::default() };
        Memory::numbered(limits, Numbers { boot_id: "b".into(), first: 100 })
    }

    fn events_after(after: Option<u64>) -> Wanted {
        Wanted { events: true, after, ..Wanted::default() }
    }

    /// What comes without waiting.
    fn drained(feed: &mut Feed) -> Vec<(u128, u32)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut all = Vec::new();
            let soon = std::time::Duration::from_millis(20);
            while let Ok(Some(stored)) = tokio::time::timeout(soon, feed.next()).await {
                all.push((stored.event.event_id.as_u128(), stored.event.revision));
            }
            all
        })
    }

    #[test]
    fn who_comes_back_gets_exactly_the_rest_and_the_count_of_what_is_gone() {
        let memory = memory(3, 512);
        for (id, revision) in [(1, 0), (2, 0), (1, 1), (3, 0)] {
            memory.store(event(id, revision)).unwrap();
        }
        // 100 was replaced by 102.
        let (mut feed, begin) = Feed::open(&memory, events_after(Some(101)));
        assert_eq!((begin, feed.missed), (Begin { since: 99, complete: true }, 0));
        assert_eq!(drained(&mut feed), [(1, 1), (3, 0)]);
        let (mut feed, begin) = Feed::open(&memory, events_after(Some(99)));
        assert_eq!((begin.complete, feed.missed), (true, 1), "all but the revision that was replaced");
        assert_eq!(drained(&mut feed), [(2, 0), (1, 1), (3, 0)]);
        // 4 and 5 make 2 and 1 leave.
        memory.store(event(4, 0)).unwrap();
        memory.store(event(5, 0)).unwrap();
        let (mut feed, begin) = Feed::open(&memory, events_after(Some(100)));
        assert_eq!((begin, feed.missed), (Begin { since: 102, complete: false }, 2));
        assert_eq!(drained(&mut feed), [(3, 0), (4, 0), (5, 0)]);
        // Of an earlier daemon nothing is known but that it was.
        let (feed, begin) = Feed::open(&memory, events_after(Some(7)));
        assert_eq!((begin.complete, feed.missed), (false, 3));
        // Nor of an earlier boot, whatever its numbers were.
        let other = Position { boot_id: "a".into(), sequence: 5000 };
        let (feed, begin) = Feed::open(&memory, events_after(Some(number(&memory, &other))));
        assert_eq!((begin.complete, feed.missed, feed.stored.len()), (false, 3, 3));
        let (feed, begin) = Feed::open(&memory, events_after(Some(105)));
        assert_eq!((begin.complete, feed.missed, feed.stored.len()), (true, 0, 0));
    }

    #[test]
    fn a_slow_client_gets_the_last_revision_of_each_event_and_the_count_of_the_others() {
        let memory = memory(3, 2);
        let (mut feed, _) = Feed::open(&memory, events_after(None));
        memory.store(event(1, 0)).unwrap();
        assert_eq!(drained(&mut feed), [(1, 0)]);
        for revision in 1..=10 {
            memory.store(event(1, revision)).unwrap();
        }
        for id in 2..=3 {
            memory.store(event(id, 0)).unwrap();
        }
        assert_eq!(drained(&mut feed), [(1, 10), (2, 0), (3, 0)]);
        assert_eq!((feed.dropped, feed.missed), (9, 0));
        for id in 4..=13 {
            memory.store(event(id, 0)).unwrap();
        }
        assert_eq!(drained(&mut feed), [(11, 0), (12, 0), (13, 0)]);
        assert_eq!(feed.dropped, 9 + 7);
    }

    #[test]
    fn what_goes_while_it_is_being_given_is_counted() {
        let memory = memory(3, 512);
        for id in 1..=3 {
            memory.store(event(id, 0)).unwrap();
        }
        let (mut feed, _) = Feed::open(&memory, events_after(None));
        assert_eq!(feed.next_stored().unwrap().event.event_id.as_u128(), 1);
        memory.store(event(4, 0)).unwrap();
        memory.store(event(2, 1)).unwrap();
        // 2 was replaced; its next revision comes live.
        assert_eq!(drained(&mut feed), [(3, 0), (4, 0), (2, 1)]);
        assert_eq!(feed.dropped, 1);
    }

    #[test]
    fn a_filter_counts_what_is_gone_whatever_it_was() {
        let memory = memory(10, 2);
        let filter = Filter { devices: vec!["no-such".into()], ..Filter::default() };
        let (mut feed, _) = Feed::open(&memory, Wanted { filter, ..events_after(None) });
        for id in 1..=5 {
            memory.store(event(id, 0)).unwrap();
        }
        assert_eq!(drained(&mut feed), []);
        assert_eq!(feed.dropped, 0, "all of it is held, and was looked at");
    }
}
