//! How much of one source is taken in a row, so that the others, signals and the watchdog get their turn.

use std::time::{Duration, Instant};

/// How long one source may take.
const SLICE: Duration = Duration::from_millis(20);
/// Events that may come of it: they are written before anything else is done.
const EVENTS_MOST: usize = 512;
/// The share of one source in one visit.
#[derive(Debug)]
pub(super) struct Slice {
    end: Instant,
}

impl Slice {
    /// Begins now.
    pub(super) fn new() -> Self {
        Self { end: Instant::now() + SLICE }
    }

    /// It goes on for longer: that much was spent in waiting.
    pub(super) fn extend(&mut self, waited: Duration) {
        self.end += waited;
    }

    /// Whether it is over, with so many events waiting to go out.
    pub(super) fn is_over(&self, events: usize) -> bool {
        events > EVENTS_MOST || Instant::now() >= self.end
    }
}
