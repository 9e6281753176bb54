//! What a terminal shows while something takes long that prints nothing.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// What is over sooner is not mentioned.
const AFTER: Duration = Duration::from_secs(1);
/// Time between two writings.
const PERIOD: Duration = Duration::from_secs(1);

/// Shows what is done, and for how long, until it goes out of scope; only where standard error is a terminal.
pub(super) struct Waiting {
    over: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Waiting {
    /// `what` is done from now on: `reading the journal`.
    pub(super) fn with(what: &'static str) -> Self {
        if !stderr().is_terminal() {
            return Self { over: None, thread: None };
        }
        let (over, is_over) = mpsc::channel();
        let start = Instant::now();
        let show = move || {
            let mut wait = AFTER;
            let mut shown = false;
            while is_over.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                (wait, shown) = (PERIOD, true);
                let text = format!("\r{what}: {} s\x1b[K", start.elapsed().as_secs());
                let _nobody_looks = stderr().write_all(text.as_bytes());
            }
            if shown {
                let _nobody_looks = stderr().write_all(b"\r\x1b[K");
            }
        };
        Self { over: Some(over), thread: thread::Builder::new().spawn(show).ok() }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.over.take());
        if let Some(thread) = self.thread.take() {
            let _it_shows_nothing_more = thread.join();
        }
    }
}
