//! The daemon's clocks: the only place outside the command line that reads them.

use rustix::time::{ClockId, clock_gettime};

use crate::record::Stamp;

/// CLOCK_MONOTONIC in nanoseconds.
pub(super) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// Both clocks now.
pub(super) fn now() -> Stamp {
    let real = clock_gettime(ClockId::Realtime);
    Stamp { monotonic_ns: Some(monotonic_ns()), realtime_us: real.tv_sec * 1_000_000 + real.tv_nsec / 1000 }
}

/// The stamp of a record that was made at `mono_ns`, reported at `now`.
pub(super) fn stamp_of(mono_ns: u64, now: Stamp) -> Stamp {
    let ago_us = now.monotonic_ns.unwrap_or(mono_ns).saturating_sub(mono_ns) / 1000;
    Stamp {
        monotonic_ns: Some(mono_ns),
        realtime_us: now.realtime_us.saturating_sub(i64::try_from(ago_us).unwrap_or(i64::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_a_second_ago_is_a_second_earlier_on_both_clocks() {
        let now = Stamp { monotonic_ns: Some(5_000_000_000), realtime_us: 100_000_000 };
        let then = stamp_of(4_000_000_000, now);
        assert_eq!(then, Stamp { monotonic_ns: Some(4_000_000_000), realtime_us: 99_000_000 });
    }
}
