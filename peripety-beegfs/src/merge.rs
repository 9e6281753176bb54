//! Events of several servers in order of time: each is kept back a little, for what another server sends later.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::queue::Output;

/// Bytes that are kept back at most; above, the earliest go out before their time.
const BYTES_MAX: usize = 16 << 20;

/// What is kept back.
#[derive(Debug)]
pub struct Merge {
    window: Duration,
    /// By time, and among equals as they came.
    waiting: BTreeMap<(i64, u64), (Instant, Output)>,
    count: u64,
    bytes: usize,
}

impl Merge {
    /// Each for so long. Without a window everything goes out as it came.
    pub const fn new(window: Duration) -> Self {
        Self { window, waiting: BTreeMap::new(), count: 0, bytes: 0 }
    }

    /// It came now.
    pub fn push(&mut self, output: Output, now: Instant) {
        self.count += 1;
        self.bytes += output.line.len();
        let time = if self.window.is_zero() { 0 } else { output.time_ns };
        self.waiting.insert((time, self.count), (now, output));
    }

    /// The earliest, if its time is over.
    pub fn pop(&mut self, now: Instant) -> Option<Output> {
        let first = self.waiting.first_entry()?;
        let is_due = now.saturating_duration_since(first.get().0) >= self.window;
        if !is_due && self.bytes <= BYTES_MAX {
            return None;
        }
        let (_came, output) = first.remove();
        self.bytes = self.bytes.saturating_sub(output.line.len());
        Some(output)
    }

    /// How long until the earliest goes out.
    pub fn due(&self, now: Instant) -> Option<Duration> {
        let (came, _output) = self.waiting.first_key_value()?.1;
        Some((*came + self.window).saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(time_ns: i64) -> Output {
        Output { time_ns, ..Output::default() }
    }

    #[test]
    fn servers_are_put_in_order_within_the_window_only() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut merge = Merge::new(Duration::from_millis(100));
        merge.push(output(20), at(0));
        merge.push(output(10), at(50));
        assert!(merge.pop(at(99)).is_none());
        assert_eq!(merge.due(at(60)), Some(Duration::from_millis(90)));
        assert_eq!(merge.pop(at(150)).unwrap().time_ns, 10);
        assert_eq!(merge.pop(at(150)).unwrap().time_ns, 20);
        merge.push(output(5), at(160));
        assert_eq!(merge.pop(at(260)).unwrap().time_ns, 5);
        assert_eq!(merge.due(at(260)), None);
        let mut one = Merge::new(Duration::ZERO);
        one.push(output(2), at(0));
        one.push(output(1), at(0));
        assert_eq!([one.pop(at(0)).unwrap().time_ns, one.pop(at(0)).unwrap().time_ns], [2, 1]);
    }
}
