//! From the clock of kernel text to CLOCK_MONOTONIC.
//!
//! printk stamps with `local_clock()` and everything else with CLOCK_MONOTONIC. The two were seen 200 ms apart, constant
//! but for the slow drift that NTP's slewing adds, so pairs of records about the same failure show the difference.

use std::collections::VecDeque;

use crate::record::Stamp;

/// How many pairs are remembered: enough for a median that a few wrong pairs cannot move.
const PAIRS: usize = 31;

/// How far CLOCK_MONOTONIC is ahead of the clock of kernel text: 0 until the first pair.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClockOffset {
    newest: VecDeque<i64>,
    median_ns: i64,
}

impl ClockOffset {
    /// No pair yet: the two clocks are taken for the same.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Takes the times of two records about the same moment: of kernel text in microseconds, and CLOCK_MONOTONIC in
    /// nanoseconds.
    pub(crate) fn add_pair(&mut self, kmsg_us: u64, mono_ns: u64) {
        let Some(offset) = kmsg_us
            .checked_mul(1000)
            .and_then(|kmsg_ns| i64::try_from(i128::from(mono_ns) - i128::from(kmsg_ns)).ok())
        else {
            return;
        };
        if self.newest.len() == PAIRS {
            self.newest.pop_front();
        }
        self.newest.push_back(offset);
        let mut sorted: Vec<i64> = self.newest.iter().copied().collect();
        sorted.sort_unstable();
        self.median_ns = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    }

    /// Whether there is a pair.
    #[cfg(test)]
    fn is_calibrated(&self) -> bool {
        !self.newest.is_empty()
    }

    /// CLOCK_MONOTONIC minus the clock of kernel text, in nanoseconds.
    #[cfg(test)]
    fn offset_ns(&self) -> i64 {
        self.median_ns
    }

    /// CLOCK_MONOTONIC in nanoseconds at a record's time.
    pub(crate) fn mono_ns(&self, kmsg_us: u64) -> u64 {
        kmsg_us.saturating_mul(1000).saturating_add_signed(self.median_ns)
    }

    /// When a record was made, from both clocks read at one moment `now`: `now.monotonic_ns` must be known for the wall
    /// clock to be right. Time spent in suspend after the record is not counted by CLOCK_MONOTONIC and makes the wall
    /// clock of older records late by as much.
    pub(crate) fn stamp(&self, kmsg_us: u64, now: Stamp) -> Stamp {
        let mono_ns = self.mono_ns(kmsg_us);
        let ago_ns = now.monotonic_ns.unwrap_or(mono_ns).saturating_sub(mono_ns);
        let ago_us = i64::try_from(ago_ns / 1000).unwrap_or(i64::MAX);
        Stamp { monotonic_ns: Some(mono_ns), realtime_us: now.realtime_us.saturating_sub(ago_us) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_against_wrong_pairs_and_follows_the_drift() {
        let mut clock = ClockOffset::new();
        assert_eq!((clock.is_calibrated(), clock.mono_ns(5)), (false, 5_000));
        for i in 0..31_u64 {
            let wrong = if i % 5 == 0 { 3_000_000_000 } else { 0 };
            clock.add_pair(1_000_000 + i, 1_200_000_000 + i * 1000 + wrong);
        }
        assert_eq!(clock.offset_ns(), 200_000_000);
        assert_eq!(clock.mono_ns(2_000_000), 2_200_000_000);
        for _ in 0..31 {
            clock.add_pair(9_000_000, 9_200_500_000);
        }
        assert_eq!(clock.offset_ns(), 200_500_000);
    }

    #[test]
    fn the_wall_clock_is_counted_back_from_now() {
        let now = Stamp { monotonic_ns: Some(10_000_000_000), realtime_us: 1_700_000_010_000_000 };
        let mut clock = ClockOffset::new();
        clock.add_pair(1_000_000, 1_500_000_000);
        let stamp = clock.stamp(3_500_000, now);
        assert_eq!(stamp, Stamp { monotonic_ns: Some(4_000_000_000), realtime_us: 1_700_000_004_000_000 });
    }

    #[test]
    fn no_number_is_too_large() {
        let mut clock = ClockOffset::new();
        for (kmsg, mono) in [(u64::MAX, 0), (0, u64::MAX), (u64::MAX / 1000, 0), (0, 1 << 62)] {
            clock.add_pair(kmsg, mono);
            let now = Stamp { monotonic_ns: Some(u64::MAX), realtime_us: i64::MIN };
            let _ = clock.stamp(u64::MAX, now);
            let _ = clock.stamp(0, now);
        }
    }
}
