//! The bounded queue before each notifier, and the thread behind it.

mod worker;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    Notifier,
    spool::{Added, Spool, UNREADABLE},
};
use crate::event::Event;

/// Why events are lost.
const QUEUE_FULL: &str = "as much waits as may";
const REFUSED: &str = "events could not be written";
const NO_JSON: &str = "the event does not become JSON";

/// What became of the events that a notifier was given: `offered` is always the sum of the others (promise 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counters {
    /// Revisions given to the queue.
    pub offered: u64,
    /// Went out.
    pub notified: u64,
    /// Not sent, because a later revision of the same event, which says all of it, came while the queue was full.
    pub superseded: u64,
    /// Lost: the queue was full.
    pub shed: u64,
    /// Lost: the notifier could not do it.
    pub failed: u64,
    /// Still in the queue or in hand.
    pub waiting: u64,
}

/// Where events wait.
#[derive(Debug)]
enum Store {
    /// In memory: gone with the daemon.
    Memory(VecDeque<Arc<Event>>),
    /// In files, for the next daemon too.
    Spool(Box<Spool>),
}

impl Default for Store {
    fn default() -> Self {
        Self::Memory(VecDeque::new())
    }
}

#[derive(Debug, Default)]
struct State {
    store: Store,
    counters: Counters,
    /// What was lost and not reported yet, by reason.
    untold: BTreeMap<&'static str, u64>,
    trouble: Option<String>,
    /// Why the files of the spool cannot be used.
    files: Option<String>,
    closed: bool,
    finished: bool,
}

#[derive(Debug)]
struct Shared {
    name: &'static str,
    capacity: usize,
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, guard: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sending end of a notifier's queue.
#[derive(Clone, Debug)]
pub(crate) struct Queue(Arc<Shared>);

/// Starts `notifier` on a thread of its own; at most `capacity` events wait for it.
///
/// # Errors
///
/// The system has no thread left.
pub(crate) fn spawn(notifier: impl Notifier + 'static, capacity: usize) -> io::Result<Queue> {
    start(notifier, capacity, State::default(), None)
}

/// Whether an event had gone out before the daemon that sent it could write that down.
pub(crate) type WentOut = Box<dyn FnOnce(&Event) -> bool + Send>;

/// The same, with a spool that outlives the daemon. `went_out` is asked about the first event that an earlier daemon left.
///
/// # Errors
///
/// The system has no thread left.
pub(crate) fn spawn_spooled(
    notifier: impl Notifier + 'static,
    spool: Spool,
    files: io::Result<()>,
    went_out: WentOut,
) -> io::Result<Queue> {
    let waiting = spool.waiting() as u64;
    let counters = Counters { offered: waiting, waiting, ..Counters::default() };
    let went_out = (waiting > 0).then_some(went_out);
    let mut state = State { store: Store::Spool(Box::new(spool)), counters, ..State::default() };
    state.files = files.err().map(|error| error.to_string());
    state.note_unreadable();
    start(notifier, 1, state, went_out)
}

impl State {
    fn lose(&mut self, reason: &'static str, count: u64) {
        if count > 0 {
            *self.untold.entry(reason).or_default() += count;
        }
    }

    /// Events that an earlier daemon had written down and that are no more to be read: they were offered, and failed.
    fn note_unreadable(&mut self) {
        let Store::Spool(spool) = &mut self.store else { return };
        let count = spool.take_lost();
        self.counters.offered += count;
        self.counters.failed += count;
        self.lose(UNREADABLE, count);
    }
}

fn start(
    notifier: impl Notifier + 'static,
    capacity: usize,
    state: State,
    went_out: Option<WentOut>,
) -> io::Result<Queue> {
    let shared = Arc::new(Shared {
        name: notifier.name(),
        capacity: capacity.max(1),
        state: Mutex::new(state),
        changed: Condvar::new(),
    });
    let worker = Arc::clone(&shared);
    let name = format!("to-{}", notifier.name());
    thread::Builder::new().name(name).spawn(move || worker::work(notifier, went_out, &worker))?;
    Ok(Queue(shared))
}

impl Queue {
    /// Where there is a spool: writes events down, to go out after [`Queue::commit`]. Gives the number of the last one.
    pub(crate) fn write_down(&self, events: &[Arc<Event>]) -> Option<u64> {
        let mut state = self.0.state();
        let State { store: Store::Spool(spool), counters, files, untold, .. } = &mut *state else {
            return None;
        };
        for event in events {
            counters.offered += 1;
            let reason = match spool.add(event) {
                Ok(Added::Waits) => {
                    counters.waiting += 1;
                    continue;
                }
                Ok(Added::Supersedes) => {
                    counters.superseded += 1;
                    continue;
                }
                Ok(Added::Refused(reason)) => reason,
                Err(_no_json) => NO_JSON,
            };
            counters.shed += 1;
            *untold.entry(reason).or_default() += 1;
        }
        // What cannot be written down waits in this daemon's memory.
        if let Err(error) = spool.write() {
            *files = Some(error.to_string());
        }
        Some(spool.last())
    }

    /// Sees to it that the files of the spool are in use, if it has any. Why they are not.
    pub(crate) fn repair(&self) -> Option<String> {
        let mut state = self.0.state();
        let State { store: Store::Spool(spool), counters, files, .. } = &mut *state else {
            return None;
        };
        let before = spool.waiting();
        *files = spool.repair().err().map(|error| error.to_string());
        // Those of an earlier daemon that could not be read before.
        let more = spool.waiting().saturating_sub(before) as u64;
        counters.offered += more;
        counters.waiting += more;
        state.note_unreadable();
        let trouble = state.files.clone();
        drop(state);
        self.0.changed.notify_all();
        trouble
    }

    /// The logbook cannot say what is meant to go out: the spool says so itself, as well as it can.
    pub(crate) fn commit_in_spool(&self) {
        if let Store::Spool(spool) = &mut self.0.state().store {
            let _known_already = spool.commit_here();
        }
    }

    /// Why the files of the spool cannot be used, as long as that is so; events wait in memory meanwhile.
    pub(crate) fn files_trouble(&self) -> Option<String> {
        let state = self.0.state();
        match &state.store {
            Store::Spool(spool) if spool.is_failing() => {
                Some(state.files.clone().unwrap_or_else(|| "it cannot be written".to_owned()))
            }
            _ => None,
        }
    }

    /// Bytes that wait in the spool, and those of them that are in memory only.
    pub(crate) fn spooled_bytes(&self) -> Option<(u64, u64)> {
        match &self.0.state().store {
            Store::Spool(spool) => Some(spool.bytes()),
            Store::Memory(_) => None,
        }
    }

    /// Lets go out what was written down.
    pub(crate) fn commit(&self) {
        let mut state = self.0.state();
        if let Store::Spool(spool) = &mut state.store
            && spool.commit() > 0
        {
            drop(state);
            self.0.changed.notify_all();
        }
    }

    /// Gives an event to the notifier and never waits. False when that, or a less severe one in its place, was lost. Not
    /// for a queue with a spool.
    pub(crate) fn send(&self, event: Arc<Event>) -> bool {
        let mut state = self.0.state();
        let State { store: Store::Memory(events), counters, closed, untold, .. } = &mut *state else {
            return true;
        };
        counters.offered += 1;
        if *closed {
            counters.shed += 1;
            *untold.entry(QUEUE_FULL).or_default() += 1;
            return false;
        }
        let kept = if events.len() < self.0.capacity {
            events.push_back(event);
            counters.waiting += 1;
            true
        } else {
            make_room(events, counters, event)
        };
        if !kept {
            *untold.entry(QUEUE_FULL).or_default() += 1;
        }
        drop(state);
        self.0.changed.notify_all();
        kept
    }

    /// What became of the events so far.
    pub(crate) fn counters(&self) -> Counters {
        self.0.state().counters
    }

    /// How many revisions were lost since the last call, by reason: the daemon makes an event of each.
    pub(crate) fn take_lost(&self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.0.state().untold)
    }

    /// Why events wait or fail, as long as they do.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.0.state().trouble.clone()
    }

    /// Takes no more events and waits for those in the queue to go out, no longer than `patience`. True when all did.
    pub(crate) fn close(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.0.state();
        state.closed = true;
        self.0.changed.notify_all();
        while !state.finished {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { break };
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.finished && state.untold.is_empty()
    }
}

/// The queue is full: a later revision takes the place of an earlier one, a severe event that of a less severe one.
fn make_room(events: &mut VecDeque<Arc<Event>>, counters: &mut Counters, event: Arc<Event>) -> bool {
    if let Some(older) = events.iter_mut().find(|e| e.event_id == event.event_id) {
        if older.revision <= event.revision {
            *older = event;
        }
        counters.superseded += 1;
        return true;
    }
    counters.shed += 1;
    let least = events.iter().enumerate().max_by_key(|(place, e)| (e.severity, *place));
    if let Some((place, _)) = least.filter(|(_, e)| e.severity > event.severity) {
        events.remove(place);
        events.push_back(event);
    }
    false
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::{
        event::Severity,
        notifier::{NotifyError, fixture::sample},
    };

    /// Passes events on, but only when the test lets it.
    struct Gate {
        open: mpsc::Receiver<()>,
        out: mpsc::Sender<(u64, u32)>,
        absent: usize,
    }

    impl Notifier for Gate {
        fn name(&self) -> &'static str {
            "gate"
        }

        fn notify(&mut self, event: &Event) -> Result<(), NotifyError> {
            if self.absent > 0 {
                self.absent -= 1;
                return Err(NotifyError::Absent {
                    what: "gate".into(),
                    source: io::ErrorKind::NotFound.into(),
                });
            }
            self.open.recv().unwrap();
            self.out.send((event.count, event.revision)).unwrap();
            Ok(())
        }
    }

    fn gate(capacity: usize, absent: usize) -> (Queue, mpsc::Sender<()>, mpsc::Receiver<(u64, u32)>) {
        let (open, when) = mpsc::channel();
        let (out, seen) = mpsc::channel();
        (spawn(Gate { open: when, out, absent }, capacity).unwrap(), open, seen)
    }

    fn event(id: u128, revision: u32, severity: Severity) -> Arc<Event> {
        let mut event = sample();
        event.event_id = uuid::Uuid::from_u128(id);
        event.count = id as u64;
        event.revision = revision;
        event.severity = severity;
        Arc::new(event)
    }

    fn holds(c: Counters) {
        assert_eq!(c.offered, c.notified + c.superseded + c.shed + c.failed + c.waiting, "{c:?}");
    }

    #[test]
    fn a_full_queue_counts_what_it_loses_and_keeps_what_matters() {
        let (queue, open, seen) = gate(2, 0);
        assert!(queue.send(event(1, 0, Severity::Error)));
        while !matches!(&queue.0.state().store, Store::Memory(events) if events.is_empty()) {
            thread::yield_now();
        }
        // One is in hand, two wait.
        assert!(queue.send(event(2, 0, Severity::Info)));
        assert!(queue.send(event(3, 0, Severity::Error)));
        // A later revision of a waiting one loses nothing.
        assert!(queue.send(event(3, 1, Severity::Error)));
        // A critical one takes the place of the least severe, another info finds no room.
        assert!(!queue.send(event(4, 0, Severity::Critical)));
        assert!(!queue.send(event(5, 0, Severity::Info)));
        holds(queue.counters());
        let lost = (queue.take_lost(), queue.take_lost());
        assert_eq!(lost, (BTreeMap::from([(QUEUE_FULL, 2)]), BTreeMap::new()));
        for _ in 0..3 {
            open.send(()).unwrap();
        }
        assert_eq!(seen.iter().take(3).collect::<Vec<_>>(), [(1, 0), (3, 1), (4, 0)]);
        assert!(queue.close(Duration::from_secs(5)));
        let c = queue.counters();
        holds(c);
        assert_eq!((c.notified, c.superseded, c.shed, c.waiting), (3, 1, 2, 0));
        assert!(!queue.send(event(6, 0, Severity::Error)), "a closed queue takes nothing");
        holds(queue.counters());
    }

    #[test]
    fn what_is_absent_is_waited_for() {
        let (queue, open, seen) = gate(4, 1);
        open.send(()).unwrap();
        assert!(queue.send(event(1, 0, Severity::Error)));
        assert_eq!(seen.recv_timeout(Duration::from_secs(5)).unwrap(), (1, 0));
        assert!(queue.close(Duration::from_secs(5)));
        assert_eq!(queue.counters().notified, 1);
        assert_eq!(queue.trouble(), None);
    }

    #[test]
    fn closing_does_not_wait_for_ever() {
        let (queue, _open, _seen) = gate(4, usize::MAX);
        queue.send(event(1, 0, Severity::Error));
        assert!(!queue.close(Duration::from_secs(5)), "the event was given up");
        assert_eq!(queue.counters().failed, 1);
        let (queue, _open, _seen) = gate(4, 0);
        queue.send(event(1, 0, Severity::Error));
        assert!(!queue.close(Duration::from_millis(50)), "the notifier hangs");
    }
}
