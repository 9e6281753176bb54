//! The thread behind a queue: one event after the other, each until it is out or can never go out.

use std::{
    sync::{Arc, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    super::{Notifier, NotifyError, spool::UNREADABLE},
    REFUSED, Shared, State, Store, WentOut,
};
use crate::event::Event;

/// How long to wait before an event that could not go out for a while is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The next event, with its number in the spool.
fn next(state: &mut State) -> Option<(u64, Arc<Event>)> {
    match &mut state.store {
        Store::Memory(events) => events.pop_front().map(|event| (0, event)),
        Store::Spool(spool) => {
            let next = spool.next_event();
            let lost = spool.take_lost();
            state.counters.failed += lost;
            state.counters.waiting = state.counters.waiting.saturating_sub(lost);
            state.lose(UNREADABLE, lost);
            next
        }
    }
}

pub(super) fn work(mut notifier: impl Notifier, mut went_out: Option<WentOut>, shared: &Shared) {
    loop {
        let mut state = shared.state();
        let (number, event) = loop {
            match next(&mut state) {
                Some(next) => break next,
                None if state.closed => return finished(state, shared),
                None => state = shared.wait(state),
            }
        };
        drop(state);
        let known = went_out.take().is_some_and(|went_out| went_out(&event));
        let outcome = if known { Outcome::Sent } else { deliver_with_retry(&mut notifier, &event, shared) };
        let mut state = shared.state();
        if let Store::Spool(spool) = &mut state.store {
            if outcome == Outcome::GivenUp {
                // The next daemon sends it.
                return finished(state, shared);
            }
            if let Err(error) = spool.sent(number) {
                state.files = Some(format!("cannot write down what went out: {error}"));
            }
        }
        state.counters.waiting -= 1;
        if outcome == Outcome::Sent {
            state.counters.notified += 1;
        } else {
            state.counters.failed += 1;
            state.lose(REFUSED, 1);
        }
    }
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Sent,
    /// It can never go out.
    Refused,
    /// It could not go out before the queue was closed.
    GivenUp,
}

fn finished(mut state: MutexGuard<'_, State>, shared: &Shared) {
    state.finished = true;
    drop(state);
    shared.changed.notify_all();
}

/// Sends one event; waits as long as what keeps it back is temporary and the queue is open.
fn deliver_with_retry(notifier: &mut impl Notifier, event: &Event, shared: &Shared) -> Outcome {
    loop {
        match notifier.notify(event) {
            Ok(()) => {
                if shared.state().trouble.take().is_some() {
                    tracing::info!(notifier = shared.name, "events go out again");
                }
                return Outcome::Sent;
            }
            Err(error) => {
                note(shared, &error);
                if !error.is_temporary() {
                    return Outcome::Refused;
                }
                if !pause(shared) {
                    return Outcome::GivenUp;
                }
            }
        }
    }
}

/// Waits for the next try; false when the queue was closed.
fn pause(shared: &Shared) -> bool {
    let deadline = Instant::now() + RETRY;
    let mut state = shared.state();
    while !state.closed {
        let Some(left) = deadline.checked_duration_since(Instant::now()) else { return true };
        state = shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    false
}

/// Says what is wrong once, not once for each event.
fn note(shared: &Shared, error: &NotifyError) {
    let text = error.to_string();
    let mut state = shared.state();
    if state.trouble.is_none() {
        tracing::warn!(notifier = shared.name, "{text}; events wait as long as there is room");
    }
    state.trouble = Some(text);
}
