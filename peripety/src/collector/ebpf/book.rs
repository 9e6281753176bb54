//! What the kernel side counted against what came out of the ring: the difference was dropped, device by device.

use std::collections::HashMap;

use peripety_common::counters::CountKey;
use serde::{Deserialize, Serialize};

use crate::record::Missed;

/// Looks without any news after which what is still missing is given up as belonging to no device that is known: the
/// kernel's map is bounded and may have dropped an entry.
const FRUITLESS_MAX: u32 = 3;

/// The book of one ring.
#[derive(Debug, Default)]
pub struct Book {
    received: HashMap<CountKey, u64>,
    /// The latest key, whose count is not yet in `received`: in a storm it is the same again and again.
    latest: Option<(CountKey, u64)>,
    missed: HashMap<CountKey, u64>,
    missed_total: u64,
    given_up: u64,
    /// The kernel's counts at the last look, and the ring's end then.
    snapshot: Option<Snapshot>,
    fruitless: u32,
    /// Failures by device since they were last taken.
    recent: HashMap<CountKey, u64>,
    /// Since it was last saved.
    changed: bool,
}

#[derive(Debug)]
struct Snapshot {
    counts: Vec<(CountKey, u64)>,
    /// The ring's end at the look after that, when everything counted by then was in the ring, or dropped.
    produced: Option<u64>,
}

/// What a look at the kernel's counts found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Failures by device.
    pub missed: Vec<Missed>,
    /// Failures of which not even the device is known.
    pub given_up: u64,
    /// Failures that perf counted, for which no program ran, and that belong to no device that is known.
    pub unexplained: u64,
    /// Another look is needed.
    pub look_again: bool,
}

impl Book {
    /// A book for a ring that others have read before.
    pub fn begin_at(counts: impl Iterator<Item = (CountKey, u64)>, dropped: u64) -> Self {
        Self { received: counts.collect(), given_up: dropped, changed: true, ..Self::default() }
    }

    /// Notes a record that came out of the ring.
    pub fn note(&mut self, key: CountKey) {
        self.changed = true;
        match &mut self.latest {
            Some((latest, count)) if *latest == key => *count += 1,
            _ => {
                self.settle();
                self.latest = Some((key, 1));
            }
        }
    }

    fn settle(&mut self) {
        if let Some((key, count)) = self.latest.take() {
            *self.received.entry(key).or_default() += count;
            *self.recent.entry(key).or_default() += count;
        }
    }

    /// Failures by device since the last call: received, or found missing.
    pub fn take_recent(&mut self) -> HashMap<CountKey, u64> {
        self.settle();
        std::mem::take(&mut self.recent)
    }

    /// Whether a look at the kernel's counts is needed: it dropped more than was told of.
    pub const fn wants_look(&self, dropped: u64) -> bool {
        self.snapshot.is_some() || dropped > self.missed_total + self.given_up
    }

    /// Compares with the kernel's counts.
    ///
    /// It takes three looks: the first takes the kernel's counts; the second sees how far the ring is written, and every
    /// record that was counted is in it by then; when it is read so far, what is missing was dropped, and nothing is told
    /// twice. Later records may hide what is missing until the storm is over, never the other way round.
    pub fn look(
        &mut self,
        counts: impl Iterator<Item = (CountKey, u64)>,
        dropped: u64,
        read: u64,
        produced: u64,
    ) -> Found {
        self.settle();
        self.changed = true;
        let mut found = Found::default();
        if let Some(snapshot) = self.snapshot.take_if(|s| s.produced.is_some_and(|produced| produced <= read))
        {
            for (key, count) in snapshot.counts {
                let known = self.received.get(&key).copied().unwrap_or(0)
                    + self.missed.get(&key).copied().unwrap_or(0);
                // Never more than were dropped, whatever the map says.
                let room = dropped.saturating_sub(self.missed_total + self.given_up);
                let missing = count.saturating_sub(known).min(room);
                if missing > 0 {
                    *self.missed.entry(key).or_default() += missing;
                    *self.recent.entry(key).or_default() += missing;
                    self.missed_total += missing;
                    found.missed.push(Missed {
                        kind: key.kind,
                        dev: key.dev,
                        op: key.op,
                        errno: key.code.cast_signed(),
                        count: missing,
                    });
                }
            }
            found.missed.sort_unstable_by_key(|m| (m.kind, m.dev, m.op, m.errno));
            self.fruitless = if found.missed.is_empty() { self.fruitless + 1 } else { 0 };
        }
        let open = dropped.saturating_sub(self.missed_total + self.given_up);
        if open == 0 {
            self.snapshot = None;
            self.fruitless = 0;
        } else if self.fruitless >= FRUITLESS_MAX {
            (self.fruitless, self.snapshot) = (0, None);
            self.given_up += open;
            found.given_up = open;
        } else {
            match &mut self.snapshot {
                Some(snapshot) => snapshot.produced = snapshot.produced.or(Some(produced)),
                None => self.snapshot = Some(Snapshot { counts: counts.collect(), produced: None }),
            }
            found.look_again = true;
        }
        found
    }

    /// What has to be known again after a restart, for the same ring; nothing if it did not change since the last call.
    pub fn save(&mut self, all: bool) -> Option<Saved> {
        if !std::mem::take(&mut self.changed) && !all {
            return None;
        }
        self.settle();
        let rows = |map: &HashMap<CountKey, u64>| {
            let mut rows: Vec<_> =
                map.iter().map(|(k, count)| (k.kind, k.dev, k.op, k.code, *count)).collect();
            rows.sort_unstable();
            rows
        };
        Some(Saved { received: rows(&self.received), missed: rows(&self.missed), given_up: self.given_up })
    }

    /// The book as it was saved.
    pub fn restore(saved: &Saved) -> Self {
        let map = |rows: &[Row]| -> HashMap<_, _> {
            rows.iter()
                .map(|(kind, dev, op, code, count)| {
                    (CountKey { dev: *dev, code: *code, kind: *kind, op: *op, reserved: 0 }, *count)
                })
                .collect()
        };
        let missed = map(&saved.missed);
        Self {
            received: map(&saved.received),
            missed_total: missed.values().sum(),
            missed,
            given_up: saved.given_up,
            ..Self::default()
        }
    }
}

/// Hook, device, operation, errno, count.
type Row = (u16, u32, u8, u32, u64);

/// A book on paper.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    received: Vec<Row>,
    missed: Vec<Row>,
    given_up: u64,
}

/// How far a ring is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingState {
    /// The kernel's number of the ring.
    pub map: u32,
    /// Byte that is read next.
    pub position: u64,
    /// Its book, if that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub book: Option<Saved>,
}

impl RingState {
    /// Takes the place of an earlier state of the same ring.
    pub fn replace_in(mut self, states: &mut Vec<Self>) {
        match states.iter_mut().find(|state| state.map == self.map) {
            Some(earlier) => {
                self.book = self.book.or_else(|| earlier.book.take());
                *earlier = self;
            }
            None => states.push(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(dev: u32) -> CountKey {
        CountKey { dev, code: 5, kind: 1, op: 0, reserved: 0 }
    }

    fn told(found: &Found) -> Vec<(u32, u64)> {
        found.missed.iter().map(|m| (m.dev, m.count)).collect()
    }

    #[test]
    fn what_was_dropped_is_found_by_device_and_told_once() {
        let mut book = Book::default();
        for dev in [1, 1, 2] {
            book.note(key(dev));
        }
        assert!(!book.wants_look(0));
        let counts = [(key(1), 5), (key(2), 1), (key(3), 4)];
        assert!(book.wants_look(7));
        // The first look only takes the counts, the second the ring's end: records may be under way.
        for _look in 0..2 {
            let early = book.look(counts.into_iter(), 7, 100, 200);
            assert_eq!((told(&early), early.look_again), (vec![], true));
        }
        // Not all that was under way is read yet.
        let third = book.look(counts.into_iter(), 7, 150, 300);
        assert_eq!((told(&third), third.look_again), (vec![], true));
        let fourth = book.look(counts.into_iter(), 7, 200, 300);
        assert_eq!((told(&fourth), fourth.look_again), (vec![(1, 3), (3, 4)], false));
        assert!(!book.wants_look(7));

        let saved = book.save(false).unwrap();
        assert_eq!(book.save(false), None);
        let mut again = Book::restore(&saved);
        assert_eq!(again.save(true), Some(saved));
        assert!(!again.wants_look(7));
        assert_eq!(again.look(counts.into_iter(), 7, 300, 300), Found::default());
    }

    #[test]
    fn a_record_that_was_under_way_is_not_missed() {
        let mut book = Book::default();
        assert!(book.look([(key(1), 2)].into_iter(), 1, 0, 5).look_again);
        assert!(book.look([(key(1), 2)].into_iter(), 1, 0, 10).look_again);
        book.note(key(1));
        assert_eq!(told(&book.look([(key(1), 2)].into_iter(), 1, 10, 10)), [(1, 1)]);
    }

    #[test]
    fn what_the_map_has_forgotten_is_given_up_and_still_counted() {
        let mut book = Book::default();
        let mut looks = 0;
        let given_up = loop {
            looks += 1;
            let found = book.look(std::iter::empty(), 3, 10, 10);
            if !found.look_again {
                break found.given_up;
            }
            assert!(looks < 20);
        };
        assert_eq!(given_up, 3);
        assert!(!book.wants_look(3));
        // An entry that came back with a lower count than was received tells nothing.
        book.note(key(1));
        book.note(key(1));
        assert!(book.look([(key(1), 1)].into_iter(), 4, 20, 20).look_again);
        assert!(book.look([(key(1), 1)].into_iter(), 4, 20, 20).look_again);
        assert_eq!(told(&book.look([(key(1), 1)].into_iter(), 4, 20, 20)), []);
    }
}
