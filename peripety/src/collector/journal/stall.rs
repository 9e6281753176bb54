//! Watches that reading the journal does not take for ever: a page of it may lie on a disk that does not answer, and the
//! thread that wants it cannot say so itself.

use std::{
    io::{self, Write as _},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use super::Item;
use crate::journal::Touch;

/// How long one step may take, in milliseconds.
pub(crate) const SILENCE_MS: u64 = 20_000;
const STEP_MAX: Duration = Duration::from_millis(SILENCE_MS);

/// What the reading thread is at.
#[derive(Debug, Default)]
struct State {
    /// None while nothing is read.
    at: Option<Touch>,
    last: Option<Touch>,
    /// Counts steps.
    step: u64,
    watched: bool,
}

/// The reading thread's end.
#[derive(Debug)]
pub(super) struct Stall(Arc<(Mutex<State>, Condvar)>);

impl Stall {
    /// Starts the thread that watches. It sleeps while nothing is read.
    pub(super) fn start() -> io::Result<Self> {
        let shared: Arc<(Mutex<State>, Condvar)> = Arc::default();
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name("stall".to_owned()).spawn(move || watch(&theirs))?;
        Ok(Self(shared))
    }

    /// This is read now.
    pub(super) fn at(&self, touch: Touch) {
        lock(&self.0.0).last = Some(touch);
        self.goes_on();
    }

    /// The same is read on.
    pub(super) fn goes_on(&self) {
        let (state, changed) = &*self.0;
        let mut state = lock(state);
        if state.at.is_none() || state.last != state.at {
            state.at = state.last.clone();
        }
        state.step += 1;
        if !state.watched {
            changed.notify_one();
        }
    }

    /// Nothing is read for now.
    pub(super) fn pause(&self) {
        lock(&self.0.0).at = None;
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch((state, changed): &(Mutex<State>, Condvar)) {
    let mut guard = lock(state);
    loop {
        while guard.at.is_none() {
            guard.watched = false;
            guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        guard.watched = true;
        let step = guard.step;
        guard = changed.wait_timeout(guard, STEP_MAX).unwrap_or_else(PoisonError::into_inner).0;
        if let Some(touch) = guard.at.clone().filter(|_| guard.step == step) {
            // The daemon ends this process then.
            let _closed = io::stdout().write_all(Item::Silent(touch).to_line().as_bytes());
        }
    }
}
