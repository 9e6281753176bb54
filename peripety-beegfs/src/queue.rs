//! Between the servers and the output: bounded by bytes. A server that finds it full waits, which costs it nothing: version 1
//! counts what it cannot deliver, version 2 keeps it.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What goes out.
#[derive(Debug, Default)]
pub struct Output {
    /// Nanoseconds since 1970: the server's own time, else when it came.
    pub time_ns: i64,
    /// The line; empty if only the place moved.
    pub line: Vec<u8>,
    /// What is known once the line is written: server and next event.
    pub next: Option<(u32, u64)>,
}

impl Output {
    fn size(&self) -> usize {
        self.line.capacity() + size_of::<Self>()
    }
}

/// The queue.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    room: Condvar,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    outputs: VecDeque<Output>,
    bytes: usize,
    closed: bool,
}

impl Queue {
    /// At most so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self { state: Mutex::default(), filled: Condvar::new(), room: Condvar::new(), bytes_max }
    }

    /// Waits for room. False: nobody takes any more.
    pub fn push(&self, output: Output) -> bool {
        let mut state = self.state();
        while state.bytes >= self.bytes_max && !state.closed {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return false;
        }
        state.bytes += output.size();
        state.outputs.push_back(output);
        drop(state);
        self.filled.notify_one();
        true
    }

    /// All that is there, after at most this time.
    pub fn take(&self, wait: Option<Duration>) -> VecDeque<Output> {
        let state = self.state();
        let is_empty = |state: &mut State| state.outputs.is_empty();
        let mut state = match wait {
            Some(wait) => {
                let waited = self.filled.wait_timeout_while(state, wait, is_empty);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.filled.wait_while(state, is_empty).unwrap_or_else(PoisonError::into_inner),
        };
        state.bytes = 0;
        let outputs = std::mem::take(&mut state.outputs);
        drop(state);
        self.room.notify_all();
        outputs
    }

    /// Nobody takes any more.
    pub fn close(&self) {
        self.state().closed = true;
        self.room.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
