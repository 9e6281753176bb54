//! What the kernel side counted against what came out of the ring: the difference was dropped, device by device.

use std::collections::{BTreeMap, HashMap, HashSet};

use peripety_common::counters::CountKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{checkpoint::Checkpoint, record::Missed};

/// Looks at which nothing moved, after which what is still missing is given up as belonging to no device that is known: the
/// kernel's map is bounded and may have dropped an entry.
const FRUITLESS_MAX: u32 = 3;
/// Rows from which on those are forgotten that the kernel's map does not have any more.
const ROWS_MAX: usize = 1 << 17;

/// The book of one ring.
#[derive(Debug, Default)]
pub(super) struct DropAccounting {
    received: HashMap<CountKey, u64>,
    /// The latest key, whose count is not yet in `received`: in a storm it is the same again and again.
    latest: Option<(CountKey, u64)>,
    /// Records noted so far.
    noted: u64,
    /// Records before this position of the ring are in `received` already.
    begun: u64,
    missed: HashMap<CountKey, u64>,
    missed_total: u64,
    given_up: u64,
    /// The kernel's counts at the last look, and the ring's end then.
    snapshot: Option<Snapshot>,
    fruitless: u32,
    /// Failures by device since they were last taken.
    recent: HashMap<CountKey, u64>,
    /// Rows that changed since they were last saved.
    changed: HashSet<CountKey>,
    /// Anything else did.
    unsaved: bool,
}

#[derive(Debug)]
struct Snapshot {
    counts: Vec<(CountKey, u64)>,
    /// Records dropped, and noted, when it was taken.
    moved: (u64, u64),
    /// The ring's end at the look after that, when everything counted by then was in the ring, or dropped.
    produced: Option<u64>,
}

/// What a look at the kernel's counts found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Failures by device.
    pub missed: Vec<Missed>,
    /// Failures of which not even the device is known.
    pub given_up: u64,
    /// Failures that perf counted, for which no program ran, and that belong to no device that is known.
    pub unexplained: u64,
    /// Another look is needed.
    pub look_again: bool,
}

impl Found {
    fn add(&mut self, key: CountKey, count: u64) {
        self.missed.push(Missed {
            kind: key.kind,
            dev: key.dev,
            op: key.op,
            errno: key.code.cast_signed(),
            count,
        });
    }
}

impl DropAccounting {
    /// A book for a ring that others have read before, and which is written up to `produced`.
    pub(super) fn begin_at(
        counts: impl Iterator<Item = (CountKey, u64)>,
        dropped: u64,
        produced: u64,
    ) -> Self {
        let received: HashMap<_, _> = counts.collect();
        let changed = received.keys().copied().collect();
        Self { received, given_up: dropped, begun: produced, changed, unsaved: true, ..Self::default() }
    }

    /// Notes a record that came out of the ring, where it began at `position`.
    pub(super) fn note(&mut self, key: CountKey, position: u64) {
        if position < self.begun {
            return;
        }
        self.noted += 1;
        match &mut self.latest {
            Some((latest, count)) if *latest == key => *count += 1,
            _ => {
                self.settle();
                self.latest = Some((key, 1));
            }
        }
    }

    /// Rows that it has.
    pub(super) fn rows(&self) -> usize {
        self.received.len()
    }

    fn settle(&mut self) {
        if let Some((key, count)) = self.latest.take() {
            *self.received.entry(key).or_default() += count;
            *self.recent.entry(key).or_default() += count;
            self.changed.insert(key);
        }
    }

    /// Failures by device since the last call: received, or found missing.
    pub(super) fn take_recent(&mut self) -> HashMap<CountKey, u64> {
        self.settle();
        std::mem::take(&mut self.recent)
    }

    /// Whether a look at the kernel's counts is needed: it dropped more than was reported.
    pub(super) const fn wants_look(&self, dropped: u64) -> bool {
        self.snapshot.is_some() || self.open(dropped) > 0
    }

    /// What was dropped and belongs to no device yet.
    const fn open(&self, dropped: u64) -> u64 {
        dropped.saturating_sub(self.missed_total + self.given_up)
    }

    /// Compares with the kernel's counts.
    ///
    /// It takes three looks: the first takes the kernel's counts; the second sees how far the ring is written, and every
    /// record that was counted is in it by then; when it is read so far, what is missing was dropped, and nothing is reported
    /// twice. Records that came later hide what is missing, never the other way round: a storm that goes on is exact as of
    /// a moment before, and looked at until it is over. What is missing then belongs to no device.
    pub(super) fn look(
        &mut self,
        counts: impl Iterator<Item = (CountKey, u64)>,
        dropped: u64,
        read: u64,
        produced: u64,
    ) -> Found {
        self.settle();
        self.unsaved = true;
        let mut found = Found::default();
        if let Some(snapshot) = self.snapshot.take_if(|s| s.produced.is_some_and(|produced| produced <= read))
        {
            let stands_still = snapshot.moved == (dropped, self.noted);
            self.find(snapshot.counts, dropped, &mut found);
            self.fruitless = if found.missed.is_empty() && stands_still { self.fruitless + 1 } else { 0 };
        }
        let open = self.open(dropped);
        if open == 0 {
            self.snapshot = None;
            self.fruitless = 0;
        } else if self.fruitless >= FRUITLESS_MAX {
            found.given_up = self.give_up(open);
        } else {
            match &mut self.snapshot {
                Some(snapshot) => snapshot.produced = snapshot.produced.or(Some(produced)),
                None => {
                    let moved = (dropped, self.noted);
                    self.snapshot = Some(Snapshot { counts: counts.collect(), moved, produced: None });
                }
            }
            found.look_again = true;
        }
        found
    }

    /// The same when the programs have ended and the ring is read to its end: nothing moves any more.
    pub(super) fn last_look(&mut self, counts: impl Iterator<Item = (CountKey, u64)>, dropped: u64) -> Found {
        self.settle();
        self.unsaved = true;
        let mut found = Found::default();
        self.find(counts.collect(), dropped, &mut found);
        match self.open(dropped) {
            0 => self.snapshot = None,
            open => found.given_up = self.give_up(open),
        }
        found
    }

    fn give_up(&mut self, open: u64) -> u64 {
        (self.fruitless, self.snapshot) = (0, None);
        self.given_up += open;
        open
    }

    fn find(&mut self, counts: Vec<(CountKey, u64)>, dropped: u64, found: &mut Found) {
        if self.received.len() > ROWS_MAX {
            let known: HashSet<_> = counts.iter().map(|(key, _)| *key).collect();
            self.received.retain(|key, _| known.contains(key));
            self.missed.retain(|key, _| known.contains(key));
        }
        for (key, count) in counts {
            let known =
                self.received.get(&key).copied().unwrap_or(0) + self.missed.get(&key).copied().unwrap_or(0);
            // Never more than were dropped, whatever the map says.
            let missing = count.saturating_sub(known).min(self.open(dropped));
            if missing > 0 {
                *self.missed.entry(key).or_default() += missing;
                *self.recent.entry(key).or_default() += missing;
                self.changed.insert(key);
                self.missed_total += missing;
                found.add(key, missing);
            }
        }
        found.missed.sort_unstable_by_key(|m| (m.kind, m.dev, m.op, m.errno));
    }
}

impl Checkpoint for DropAccounting {
    /// Counts by key. What is written later adds to it.
    type State = Saved;

    fn save(&mut self, all: bool) -> Option<Saved> {
        self.settle();
        let unsaved = std::mem::take(&mut self.unsaved);
        if self.changed.is_empty() && !unsaved && !all {
            return None;
        }
        let changed = std::mem::take(&mut self.changed);
        let rows = |map: &HashMap<CountKey, u64>| {
            let row = |(k, count): (&CountKey, &u64)| (place(k), *count);
            if all {
                Rows(map.iter().map(row).collect())
            } else {
                Rows(changed.iter().filter_map(|key| map.get_key_value(key)).map(row).collect())
            }
        };
        let begun = self.begun;
        Some(Saved {
            received: rows(&self.received),
            missed: rows(&self.missed),
            given_up: self.given_up,
            begun,
        })
    }

    fn restore(&mut self, saved: Saved) {
        let map = |rows: &Rows| -> HashMap<_, _> {
            let row = |((kind, dev, op, code), count): (&RowPlace, &u64)| {
                (CountKey { dev: *dev, code: *code, kind: *kind, op: *op, reserved: 0 }, *count)
            };
            rows.0.iter().map(row).collect()
        };
        let missed = map(&saved.missed);
        *self = Self {
            received: map(&saved.received),
            missed_total: missed.values().sum(),
            missed,
            given_up: saved.given_up,
            begun: saved.begun,
            ..Self::default()
        };
    }
}

/// Hook, device, operation, errno.
type RowPlace = (u16, u32, u8, u32);

const fn place(key: &CountKey) -> RowPlace {
    (key.kind, key.dev, key.op, key.code)
}

/// Counts by place, written as rows of five numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rows(BTreeMap<RowPlace, u64>);

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let row = |((kind, dev, op, code), count): (&RowPlace, &u64)| (*kind, *dev, *op, *code, *count);
        serializer.collect_seq(self.0.iter().map(row))
    }
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows = Vec::<(u16, u32, u8, u32, u64)>::deserialize(deserializer)?;
        Ok(Self(
            rows.into_iter().map(|(kind, dev, op, code, count)| ((kind, dev, op, code), count)).collect(),
        ))
    }
}

/// A book on paper, or what changed in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    received: Rows,
    missed: Rows,
    given_up: u64,
    #[serde(default)]
    begun: u64,
}

impl Saved {
    /// Takes in what was saved later.
    fn take(&mut self, later: Self) {
        self.received.0.extend(later.received.0);
        self.missed.0.extend(later.missed.0);
        (self.given_up, self.begun) = (later.given_up, later.begun);
    }
}

/// How far a ring is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingState {
    /// The kernel's number of the ring.
    pub map: u32,
    /// Byte that is read next.
    pub position: u64,
    /// Runs of its program that were compared with perf's count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_runs: Option<u64>,
    /// What changed in its book, if anything did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub book: Option<Saved>,
}

impl RingState {
    /// Takes the place of an earlier state of the same ring.
    pub fn replace_in(mut self, states: &mut Vec<Self>) {
        match states.iter_mut().find(|state| state.map == self.map) {
            Some(earlier) => {
                let mut book = earlier.book.take();
                match (&mut book, self.book.take()) {
                    (Some(book), Some(later)) => book.take(later),
                    (None, later) => book = later,
                    (Some(_), None) => {}
                }
                *earlier = Self { book, ..self };
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

    fn reported(found: &Found) -> Vec<(u32, u64)> {
        found.missed.iter().map(|m| (m.dev, m.count)).collect()
    }

    #[test]
    fn what_was_dropped_is_found_by_device_and_told_once() {
        let mut book = DropAccounting::default();
        for dev in [1, 1, 2] {
            book.note(key(dev), 0);
        }
        assert!(!book.wants_look(0));
        let counts = [(key(1), 5), (key(2), 1), (key(3), 4)];
        assert!(book.wants_look(7));
        // The first look only takes the counts, the second the ring's end: records may be under way.
        for _look in 0..2 {
            let early = book.look(counts.into_iter(), 7, 100, 200);
            assert_eq!((reported(&early), early.look_again), (vec![], true));
        }
        // Not all that was under way is read yet.
        let third = book.look(counts.into_iter(), 7, 150, 300);
        assert_eq!((reported(&third), third.look_again), (vec![], true));
        let fourth = book.look(counts.into_iter(), 7, 200, 300);
        assert_eq!((reported(&fourth), fourth.look_again), (vec![(1, 3), (3, 4)], false));
        assert!(!book.wants_look(7));

        let saved = book.save(false).unwrap();
        assert_eq!(book.save(false), None);
        let mut again = DropAccounting::default();
        again.restore(saved.clone());
        assert_eq!(again.save(true), Some(saved));
        assert!(!again.wants_look(7));
        assert_eq!(again.look(counts.into_iter(), 7, 300, 300), Found::default());
    }

    #[test]
    fn a_record_that_was_under_way_is_not_missed() {
        let mut book = DropAccounting::default();
        assert!(book.look([(key(1), 2)].into_iter(), 1, 0, 5).look_again);
        assert!(book.look([(key(1), 2)].into_iter(), 1, 0, 10).look_again);
        book.note(key(1), 5);
        assert_eq!(reported(&book.look([(key(1), 2)].into_iter(), 1, 10, 10)), [(1, 1)]);
    }

    #[test]
    fn what_the_map_has_forgotten_is_given_up_and_still_counted() {
        let mut book = DropAccounting::default();
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
        // An entry that came back with a lower count than was received reports nothing.
        book.note(key(1), 10);
        book.note(key(1), 10);
        assert!(book.look([(key(1), 1)].into_iter(), 4, 20, 20).look_again);
        assert!(book.look([(key(1), 1)].into_iter(), 4, 20, 20).look_again);
        assert_eq!(reported(&book.look([(key(1), 1)].into_iter(), 4, 20, 20)), []);
    }

    /// Ten records come in between two looks, for as long as it takes, and seven were dropped in the beginning.
    #[test]
    fn a_storm_that_goes_on_hides_nothing_for_good() {
        let mut book = DropAccounting::default();
        let (mut counted, mut position, mut found) = (7, 0, 0);
        let mut look = |book: &mut DropAccounting, counted: u64, position: u64| {
            let now = book.look([(key(1), counted)].into_iter(), 7, position, position);
            assert_eq!(now.given_up, 0);
            found += now.missed.iter().map(|m| m.count).sum::<u64>();
            (found, now.look_again)
        };
        for _second in 0..100 {
            for _record in 0..10 {
                book.note(key(1), position);
                position += 64;
            }
            counted += 10;
            look(&mut book, counted, position);
        }
        let mut looks = 0;
        while look(&mut book, counted, position).1 {
            looks += 1;
            assert!(looks < 5, "it is over");
        }
        assert_eq!(look(&mut book, counted, position), (7, false));
    }

    #[test]
    fn the_last_look_needs_no_other() {
        let mut book = DropAccounting::default();
        book.note(key(1), 0);
        let found = book.last_look([(key(1), 4), (key(2), 1)].into_iter(), 5);
        assert_eq!((reported(&found), found.given_up, found.look_again), (vec![(1, 3), (2, 1)], 1, false));
        assert!(!book.wants_look(5));
    }

    #[test]
    fn what_waits_in_a_ring_that_is_taken_up_is_counted_already() {
        let mut book = DropAccounting::begin_at([(key(1), 5)].into_iter(), 0, 100);
        book.note(key(1), 36);
        book.note(key(1), 100);
        assert_eq!(reported(&book.last_look([(key(1), 8)].into_iter(), 2)), [(1, 2)]);
    }

    #[test]
    fn a_book_is_saved_by_what_changed_and_restored_whole() {
        let mut book = DropAccounting::default();
        let mut states = Vec::new();
        let save = |book: &mut DropAccounting, states: &mut Vec<RingState>| {
            let saved = book.save(false).unwrap();
            let rows = saved.received.0.len() + saved.missed.0.len();
            let state = RingState { map: 1, position: 0, book: Some(saved), checked_runs: None };
            serde_json::from_str::<RingState>(&serde_json::to_string(&state).unwrap())
                .unwrap()
                .replace_in(states);
            rows
        };
        for dev in 0..30_000 {
            book.note(key(dev), 0);
        }
        assert_eq!(save(&mut book, &mut states), 30_000);
        book.note(key(7), 0);
        assert_eq!(save(&mut book, &mut states), 1);
        RingState { map: 1, position: 64, book: None, checked_runs: None }.replace_in(&mut states);
        assert_eq!((states.len(), states[0].position), (1, 64));
        let mut again = DropAccounting::default();
        again.restore(states[0].book.clone().unwrap());
        assert_eq!(again.save(true), book.save(true));
    }
}
