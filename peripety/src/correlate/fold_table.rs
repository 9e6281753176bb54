//! The open folds: found by number, in bounded memory, each with the moment at which something is due.

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use serde::{Deserialize, Serialize};

use super::{
    fold::Fold,
    key::{BuildKeyHasher, FoldKey},
};

/// Folds that are open at a time. The one that was quiet for longest is closed for a new one.
pub(super) const FOLDS_MAX: usize = 512;
/// How soon a fold that grew is written again. As long as it only grows, twice as late each time: a storm of hours is not to
/// fill the journal, and what its event says last is said when it ends.
pub(super) const UPDATE_NS: u64 = 1_000_000_000;
/// How late at most.
pub(super) const UPDATE_MOST_NS: u64 = 60_000_000_000;
/// A fold that was quiet for so long makes room for another one.
const ROOM_NS: u64 = 1_000_000_000;

const NONE: u32 = u32::MAX;

/// How long after a writing the next one is, when there were so many.
fn spacing(written: u32) -> u64 {
    let doublings = written.saturating_sub(1).min(u64::BITS - 1);
    UPDATE_NS.checked_mul(1 << doublings).map_or(UPDATE_MOST_NS, |ns| ns.min(UPDATE_MOST_NS))
}

/// A fold's place, as long as it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FoldId {
    slot: u32,
    generation: u32,
}

/// What is due for a fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// It is to be written, for the first time or because it grew.
    Write(FoldId),
    /// It was quiet for long enough.
    Close(FoldId),
}

/// A slot on paper.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedSlot<F> {
    fold: F,
    /// Which of the fold's keys lead to it, and not to a later fold.
    owned: Vec<bool>,
    write_ns: Option<u64>,
    touched_ns: u64,
    written_ns: u64,
}

#[derive(Debug)]
struct Slot {
    fold: Option<Fold>,
    generation: u32,
    /// When it is due to be written.
    write_ns: Option<u64>,
    /// When the last failure came in, by the engine's clock.
    touched_ns: u64,
    /// When it was written.
    written_ns: u64,
    /// The timer that counts; others in the heap are left over.
    wake_ns: u64,
    /// After how long without a failure it is closed.
    quiet_ns: u64,
    newer: u32,
    older: u32,
    /// Among those that changed since they were last saved.
    changed: bool,
}

/// The open folds.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    index: HashMap<FoldKey, u32, BuildKeyHasher>,
    timers: BinaryHeap<Reverse<(u64, u32, u32)>>,
    newest: u32,
    oldest: u32,
    /// Slots that changed since they were last saved.
    changed: Vec<u32>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            index: HashMap::default(),
            timers: BinaryHeap::new(),
            newest: NONE,
            oldest: NONE,
            changed: Vec::new(),
        }
    }
}

impl Table {
    /// How many folds are open.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The fold with this key.
    pub(super) fn find(&self, key: &FoldKey) -> Option<FoldId> {
        let slot = *self.index.get(key)?;
        Some(FoldId { slot, generation: self.slots.get(slot as usize)?.generation })
    }

    /// The fold at a place, if it is still open.
    pub(super) fn get(&self, place: FoldId) -> Option<&Fold> {
        self.slots.get(place.slot as usize).filter(|s| s.generation == place.generation)?.fold.as_ref()
    }

    /// The same, to change it.
    pub(super) fn get_mut(&mut self, place: FoldId) -> Option<&mut Fold> {
        self.changed(place.slot);
        self.slots.get_mut(place.slot as usize).filter(|s| s.generation == place.generation)?.fold.as_mut()
    }

    /// Takes a fold out for as long as it is worked on beside the others; its place stays its own.
    pub(super) fn take(&mut self, place: FoldId) -> Option<Fold> {
        self.changed(place.slot);
        self.slots.get_mut(place.slot as usize).filter(|s| s.generation == place.generation)?.fold.take()
    }

    /// Puts back what was taken out.
    pub(super) fn put(&mut self, place: FoldId, fold: Fold) {
        if let Some(slot) = self.slots.get_mut(place.slot as usize)
            && slot.generation == place.generation
        {
            slot.fold = Some(fold);
        }
    }

    /// The place of the fold that was quiet for longest, if there is no room for another.
    pub(super) fn must_go(&self) -> Option<FoldId> {
        let slot = self.slots.get(self.oldest as usize).filter(|_| self.len() >= FOLDS_MAX)?;
        Some(FoldId { slot: self.oldest, generation: slot.generation })
    }

    /// Whether there is no room for another one, and none that was quiet for a while.
    pub(super) fn is_busy(&self, now_ns: u64) -> bool {
        self.must_go()
            .and_then(|place| self.slots.get(place.slot as usize))
            .is_some_and(|slot| now_ns.saturating_sub(slot.touched_ns) < ROOM_NS)
    }

    /// Takes a fold in, to be written `settle_ns` from now.
    pub(super) fn open(&mut self, fold: Fold, now_ns: u64, settle_ns: u64) -> FoldId {
        let write_ns = now_ns.saturating_add(settle_ns);
        let fold_quiet_ns = fold.quiet_ns();
        let new = Slot {
            fold: Some(fold),
            generation: 0,
            write_ns: Some(write_ns),
            touched_ns: now_ns,
            written_ns: 0,
            wake_ns: write_ns,
            quiet_ns: fold_quiet_ns,
            newer: NONE,
            older: NONE,
            changed: false,
        };
        let number = if let Some(number) = self.free.pop() {
            if let Some(slot) = self.slots.get_mut(number as usize) {
                *slot = Slot { generation: slot.generation, changed: slot.changed, ..new };
            }
            number
        } else {
            self.slots.push(new);
            u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
        };
        self.changed(number);
        self.link_newest(number);
        let generation = self.slots.get(number as usize).map_or(0, |s| s.generation);
        self.timer(write_ns, number, generation);
        FoldId { slot: number, generation }
    }

    /// Lets the fold be found by `key`, instead of any other.
    pub(super) fn add_key(&mut self, place: FoldId, key: FoldKey) {
        let Some(fold) = self.get_mut(place) else { return };
        if !fold.keys.contains(&key) {
            fold.keys.push(key);
        }
        if let Some(before) = self.index.insert(key, place.slot)
            && before != place.slot
        {
            self.changed(before);
        }
    }

    /// The fold at a place for one more failure: it is written at most once a second, and more and more seldom.
    pub(super) fn touch(&mut self, place: FoldId, now_ns: u64) -> Option<&mut Fold> {
        let slot = self.slots.get_mut(place.slot as usize).filter(|s| s.generation == place.generation)?;
        slot.touched_ns = now_ns;
        let written = slot.fold.as_ref().map_or(0, |fold| fold.written);
        let write_ns = slot.written_ns.saturating_add(spacing(written)).max(now_ns);
        // The first writing waits for what others have to say.
        if slot.write_ns.is_none_or(|planned| planned > write_ns && slot.written_ns > 0) {
            slot.write_ns = Some(write_ns);
            if write_ns < slot.wake_ns {
                slot.wake_ns = write_ns;
                self.timers.push(Reverse((write_ns, place.slot, place.generation)));
            }
        }
        if self.newest != place.slot {
            self.unlink(place.slot);
            self.link_newest(place.slot);
        }
        self.get_mut(place)
    }

    /// The fold at a place has learned something: it is written soon, though nothing failed.
    pub(super) fn write_again(&mut self, place: FoldId, now_ns: u64) {
        let slot = self.slots.get_mut(place.slot as usize).filter(|s| s.generation == place.generation);
        let Some(slot) = slot else { return };
        let write_ns = slot.written_ns.saturating_add(UPDATE_NS).max(now_ns);
        if slot.written_ns > 0 && slot.write_ns.is_none_or(|planned| planned > write_ns) {
            slot.write_ns = Some(write_ns);
            if write_ns < slot.wake_ns {
                slot.wake_ns = write_ns;
                self.timers.push(Reverse((write_ns, place.slot, place.generation)));
            }
        }
    }

    /// The fold at a place has learned what those who have its event must know.
    pub(super) fn write_at_once(&mut self, place: FoldId, now_ns: u64) {
        let slot = self.slots.get_mut(place.slot as usize).filter(|s| s.generation == place.generation);
        let Some(slot) = slot.filter(|slot| slot.written_ns > 0) else { return };
        slot.write_ns = Some(now_ns);
        if now_ns < slot.wake_ns {
            slot.wake_ns = now_ns;
            self.timers.push(Reverse((now_ns, place.slot, place.generation)));
        }
    }

    /// After how long without a failure the fold at a place is closed has changed.
    pub(super) fn set_quiet(&mut self, place: FoldId) {
        let Some(slot) = self.slots.get_mut(place.slot as usize).filter(|s| s.generation == place.generation)
        else {
            return;
        };
        let Some(quiet_ns) = slot.fold.as_ref().map(Fold::quiet_ns).filter(|ns| *ns != slot.quiet_ns) else {
            return;
        };
        slot.quiet_ns = quiet_ns;
        let close_ns = slot.touched_ns.saturating_add(quiet_ns);
        if close_ns < slot.wake_ns {
            slot.wake_ns = close_ns;
            self.timer(close_ns, place.slot, place.generation);
        }
    }

    /// Takes a fold out.
    pub(super) fn close(&mut self, place: FoldId) -> Option<Fold> {
        let slot = self.slots.get_mut(place.slot as usize).filter(|s| s.generation == place.generation)?;
        let fold = slot.fold.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        for key in &fold.keys {
            if self.index.get(key) == Some(&place.slot) {
                self.index.remove(key);
            }
        }
        self.unlink(place.slot);
        self.free.push(place.slot);
        self.changed(place.slot);
        Some(fold)
    }

    /// The next thing that is due at `now_ns`. A fold that is to be written counts as written.
    pub(super) fn due(&mut self, now_ns: u64) -> Option<Due> {
        while let Some(Reverse((at, number, generation))) = self.timers.peek().copied() {
            if at > now_ns {
                return None;
            }
            self.timers.pop();
            let Some(slot) = self.slots.get_mut(number as usize) else { continue };
            if slot.generation != generation || slot.wake_ns != at || slot.fold.is_none() {
                continue;
            }
            let place = FoldId { slot: number, generation };
            // It may have another type by now.
            slot.quiet_ns = slot.fold.as_ref().map_or(slot.quiet_ns, Fold::quiet_ns);
            let close_ns = slot.touched_ns.saturating_add(slot.quiet_ns);
            let write = slot.write_ns.is_some_and(|write_ns| write_ns <= now_ns);
            if close_ns <= now_ns && !write {
                return Some(Due::Close(place));
            }
            if write {
                slot.write_ns = None;
                slot.written_ns = now_ns;
            }
            // At `now_ns` at the earliest, or a clock at its end would find the same timer for ever.
            slot.wake_ns = slot.write_ns.map_or(close_ns, |write_ns| write_ns.min(close_ns));
            let wake_ns = slot.wake_ns;
            self.timer(wake_ns, number, generation);
            if write {
                return Some(Due::Write(place));
            }
        }
        None
    }

    /// When something is due next; the past means now.
    pub(super) fn next_deadline_ns(&self) -> Option<u64> {
        self.timers.peek().map(|Reverse((at, ..))| *at)
    }

    /// All places, the one that was quiet for longest first.
    pub(super) fn oldest_first(&self) -> Vec<FoldId> {
        let mut places = Vec::with_capacity(self.len());
        let mut number = self.oldest;
        while let Some(slot) = self.slots.get(number as usize) {
            places.push(FoldId { slot: number, generation: slot.generation });
            number = slot.newer;
        }
        places
    }

    fn changed(&mut self, number: u32) {
        if let Some(slot) = self.slots.get_mut(number as usize)
            && !slot.changed
        {
            slot.changed = true;
            self.changed.push(number);
        }
    }

    /// Slots that changed since the last call, or all that are in use, in order.
    pub(super) fn take_changed(&mut self, all: bool) -> Vec<u32> {
        let mut numbers = std::mem::take(&mut self.changed);
        for number in &numbers {
            if let Some(slot) = self.slots.get_mut(*number as usize) {
                slot.changed = false;
            }
        }
        if all {
            let used = self.slots.iter().enumerate().filter(|(_, slot)| slot.fold.is_some());
            numbers = used.filter_map(|(number, _)| u32::try_from(number).ok()).collect();
        }
        numbers.sort_unstable();
        numbers
    }

    /// A slot as it is saved; none if it is free.
    pub(super) fn saved(&self, number: u32) -> Option<SavedSlot<Cow<'_, Fold>>> {
        let slot = self.slots.get(number as usize)?;
        let fold = slot.fold.as_ref()?;
        let owned = fold.keys.iter().map(|key| self.index.get(key) == Some(&number)).collect();
        Some(SavedSlot {
            fold: Cow::Borrowed(fold),
            owned,
            write_ns: slot.write_ns,
            touched_ns: slot.touched_ns,
            written_ns: slot.written_ns,
        })
    }

    /// Takes in slots as they were saved. To be called once, on an empty table.
    pub(super) fn restore(&mut self, mut saved: Vec<SavedSlot<Fold>>) {
        saved.sort_by_key(|slot| slot.touched_ns);
        for SavedSlot { fold, owned, write_ns, touched_ns, written_ns } in saved.into_iter().take(FOLDS_MAX) {
            let keys: Vec<_> = fold.keys.iter().copied().zip(owned).collect();
            let place = self.open(fold, touched_ns, 0);
            for (key, _) in keys.iter().filter(|(_, owned)| *owned) {
                self.index.insert(*key, place.slot);
            }
            if let Some(slot) = self.slots.get_mut(place.slot as usize) {
                let close_ns = touched_ns.saturating_add(slot.quiet_ns);
                (slot.write_ns, slot.written_ns) = (write_ns, written_ns);
                slot.wake_ns = write_ns.map_or(close_ns, |write_ns| write_ns.min(close_ns));
                self.timers.push(Reverse((slot.wake_ns, place.slot, place.generation)));
            }
        }
    }

    fn timer(&mut self, at: u64, number: u32, generation: u32) {
        // Timers of folds that were closed stay until their time; many short-lived folds must not pile them up.
        if self.timers.len() >= FOLDS_MAX * 8 {
            self.timers = self
                .slots
                .iter()
                .enumerate()
                .filter(|(_, slot)| slot.fold.is_some())
                .filter_map(|(number, slot)| {
                    Some(Reverse((slot.wake_ns, u32::try_from(number).ok()?, slot.generation)))
                })
                .filter(|Reverse((_, other, _))| *other != number)
                .collect();
        }
        self.timers.push(Reverse((at, number, generation)));
    }

    fn link_newest(&mut self, number: u32) {
        let before = self.newest;
        if let Some(slot) = self.slots.get_mut(number as usize) {
            (slot.older, slot.newer) = (before, NONE);
        }
        match self.slots.get_mut(before as usize) {
            Some(slot) => slot.newer = number,
            None => self.oldest = number,
        }
        self.newest = number;
    }

    fn unlink(&mut self, number: u32) {
        let Some(slot) = self.slots.get(number as usize) else { return };
        let (older, newer) = (slot.older, slot.newer);
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
    }
}
