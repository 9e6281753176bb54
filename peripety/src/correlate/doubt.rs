//! Lines of the kernel's log that claim a failure which a probe would have seen.
//!
//! Whatever a user may make the kernel print, he cannot make a tracepoint fire. So a line is doubted where the silence of its
//! probe is sure to say something: the probe is attached so that no hit is left out, the ring was read to its end, nothing was
//! lost of late, and nothing else failed at that time. Everywhere else a line of the kernel is believed.

use peripety_common::Kind;

use super::{
    active_sources::LiveSources,
    waiting_lines::{HOLD_NS, Line},
};

/// For so long after records were lost, or the probes were others, silence says nothing. Losses are found within seconds; the
/// clock of text is known to a fraction of one.
const UNSURE_NS: u64 = 60_000_000_000;
/// For so long around the record of another failure, it says nothing either.
const AROUND_NS: u64 = 1_000_000_000;

/// What the silence of the probes is worth.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Silence {
    /// Before this it is worth nothing.
    from_ns: u64,
    /// When the latest record of a failure was taken.
    seen_ns: Option<u64>,
}

impl Silence {
    /// Records were lost, or the probes are others.
    pub(super) fn is_unsure(&mut self, now_ns: u64) {
        self.from_ns = self.from_ns.max(now_ns.saturating_add(UNSURE_NS));
    }

    /// A record of a probe came.
    pub(super) fn seen(&mut self, kind: Kind, now_ns: u64) {
        if kind != Kind::Console {
            self.seen_ns = self.seen_ns.max(Some(now_ns));
        }
    }

    /// Whether no record came while a line waited for its own, though it would have.
    pub(super) fn contradicts(self, line: &Line, now_ns: u64) -> bool {
        let Some(since_ns) = line.since_ns else { return false };
        since_ns >= self.from_ns
            && now_ns.saturating_sub(since_ns) >= HOLD_NS
            && self.seen_ns.is_none_or(|seen| seen.saturating_add(AROUND_NS) < since_ns)
    }
}

/// Whether a line may be doubted at all.
pub(super) fn may_be(line: &Line, live: LiveSources) -> bool {
    let seen_by = line.raw.seen_by.map_or(&[][..], |tracepoint| tracepoint.probes());
    line.raw.time.monotonic_ns.is_some()
        && live.is_complete(seen_by)
        && live.covers(seen_by, line.raw.time.monotonic_ns)
}
