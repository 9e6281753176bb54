//! Who may be served at the same time, and who has to go for another one.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::task::AbortHandle;

/// Clients at the same time: of root, and of everybody else, so that others cannot lock root out.
pub(super) const ROOT_CLIENTS: usize = 16;
pub(super) const OTHER_CLIENTS: usize = 48;
/// One process may have this share of them.
pub(super) const SHARE: usize = 2;
/// A client that has not said for so long what it wants has to go for another one.
const SLOW_TO_ASK: Duration = Duration::from_millis(100);
/// The same for one that does not read what it asked for.
const SLOW_TO_READ: Duration = Duration::from_secs(1);

/// What a client is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// It has not asked yet.
    Asking,
    /// It is sent an answer.
    Reading,
    /// It waits for the next event.
    Following,
}

#[derive(Debug)]
struct Slot {
    is_root: bool,
    pid: Option<i32>,
    doing: Doing,
    since: Instant,
    task: Option<AbortHandle>,
}

impl Slot {
    /// For how long it has kept others waiting beyond what is usual; none if it does not.
    fn overdue(&self, now: Instant) -> Option<Duration> {
        let patience = match self.doing {
            Doing::Asking => SLOW_TO_ASK,
            Doing::Reading => SLOW_TO_READ,
            Doing::Following => return None,
        };
        now.duration_since(self.since).checked_sub(patience)
    }
}

/// The clients.
#[derive(Debug, Default)]
pub(super) struct Slots(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    slots: HashMap<u64, Slot>,
    last: u64,
}

impl Slots {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a new client; none when there is no room for it, nor one that has to go.
    pub(super) fn enter(&self, is_root: bool, pid: Option<i32>) -> Option<u64> {
        let (now, mut state) = (Instant::now(), self.state());
        let most = if is_root { ROOT_CLIENTS } else { OTHER_CLIENTS };
        let of_group = |slot: &Slot| slot.is_root == is_root;
        let of_process = |slot: &Slot| of_group(slot) && slot.pid == pid && pid.is_some();
        let count = |is: &dyn Fn(&Slot) -> bool| state.slots.values().filter(|slot| is(slot)).count();
        let must_be: Option<&dyn Fn(&Slot) -> bool> = if count(&of_process) >= most / SHARE {
            Some(&of_process)
        } else if count(&of_group) >= most {
            Some(&of_group)
        } else {
            None
        };
        if let Some(must_be) = must_be {
            let overdue = state.slots.iter().filter(|(_, slot)| must_be(slot));
            let longest = overdue.filter_map(|(number, slot)| Some((slot.overdue(now)?, *number))).max();
            let gone = state.slots.remove(&longest?.1)?;
            if let Some(task) = gone.task {
                task.abort();
            }
        }
        state.last += 1;
        let number = state.last;
        state.slots.insert(number, Slot { is_root, pid, doing: Doing::Asking, since: now, task: None });
        Some(number)
    }

    /// The task that serves a client.
    pub(super) fn is_served_by(&self, number: u64, task: AbortHandle) {
        if let Some(slot) = self.state().slots.get_mut(&number) {
            slot.task = Some(task);
        }
    }

    /// A client goes on with something else, or goes on with the same.
    pub(super) fn does(&self, number: u64, doing: Doing) {
        if let Some(slot) = self.state().slots.get_mut(&number) {
            (slot.doing, slot.since) = (doing, Instant::now());
        }
    }

    /// A client has gone.
    pub(super) fn leave(&self, number: u64) {
        self.state().slots.remove(&number);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.state().slots.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(slots: &Slots, number: u64, by: Duration) {
        let mut state = slots.state();
        let slot = state.slots.get_mut(&number).unwrap();
        slot.since = slot.since.checked_sub(by).unwrap();
    }

    #[test]
    fn one_process_never_has_all_of_it() {
        let slots = Slots::default();
        let of_one: Vec<u64> = (0..100).filter_map(|_| slots.enter(true, Some(7))).collect();
        assert_eq!(of_one.len(), ROOT_CLIENTS / SHARE);
        let others: Vec<u64> = (100..200).filter_map(|pid| slots.enter(true, Some(pid))).collect();
        assert_eq!(others.len(), ROOT_CLIENTS / SHARE);
        assert!(slots.enter(false, Some(9)).is_some(), "root locks nobody out");
    }

    #[test]
    fn who_does_not_ask_or_read_goes_for_another_one() {
        let slots = Slots::default();
        let all: Vec<u64> = (0..ROOT_CLIENTS as i32).filter_map(|pid| slots.enter(true, Some(pid))).collect();
        assert_eq!(slots.enter(true, Some(1000)), None, "all of them are new");
        age(&slots, all[3], SLOW_TO_ASK * 2);
        slots.does(all[4], Doing::Reading);
        age(&slots, all[4], SLOW_TO_READ + SLOW_TO_ASK * 3);
        slots.does(all[5], Doing::Following);
        age(&slots, all[5], Duration::from_secs(3600));
        for gone in [all[4], all[3]] {
            assert!(slots.enter(true, Some(1000)).is_some());
            assert!(!slots.state().slots.contains_key(&gone));
        }
        assert_eq!(slots.enter(true, Some(1001)), None, "who follows and reads stays");
        slots.leave(all[5]);
        assert!(slots.enter(true, Some(1001)).is_some());
        assert_eq!(slots.len(), ROOT_CLIENTS);
    }
}
