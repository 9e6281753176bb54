//! Which sources are live: what the engine may wait for.

use peripety_common::Kind;
use serde::{Deserialize, Serialize};

/// The sources that deliver. Text that a live probe reports too is not counted, and waits a little for the probe's record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveSources {
    probes: u32,
    text: bool,
    since_ns: u64,
    /// Probes for which the kernel leaves out no hit without counting it.
    #[serde(default)]
    complete: u32,
}

impl LiveSources {
    /// Nothing but text: no probe is attached.
    pub const fn text_only() -> Self {
        Self { probes: 0, text: true, since_ns: 0, complete: 0 }
    }

    /// Text, and the probes of these kinds. Text from before `since_ns` (CLOCK_MONOTONIC), when they were attached, has no
    /// record in the ring.
    pub fn with_probes(kinds: impl IntoIterator<Item = Kind>, since_ns: u64) -> Self {
        Self { probes: bits(kinds), text: true, since_ns, complete: 0 }
    }

    /// The same, where the silence of these probes says that nothing failed.
    #[must_use]
    pub fn with_complete(self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        Self { complete: bits(kinds) & self.probes, ..self }
    }

    /// The same without kernel text: no line will come for any record.
    #[must_use]
    pub const fn without_text(self) -> Self {
        Self { text: false, ..self }
    }

    /// Whether kernel text comes in.
    pub const fn text(self) -> bool {
        self.text
    }

    /// Whether a probe of this kind delivers.
    pub const fn has(self, kind: Kind) -> bool {
        self.probes & bit(kind) != 0
    }

    /// Whether a probe reports the requests that fail.
    pub const fn requests(self) -> bool {
        self.has(Kind::BlockRqError) || self.has(Kind::BlockRqComplete)
    }

    /// Since when the probes deliver.
    pub const fn since_ns(self) -> u64 {
        self.since_ns
    }

    /// Whether the silence of one of `kinds` says that nothing failed.
    pub fn is_complete(self, kinds: &[Kind]) -> bool {
        kinds.iter().any(|kind| self.complete & bit(*kind) != 0)
    }

    /// Whether one of `kinds` was delivering at `at_ns`.
    pub fn covers(self, kinds: &[Kind], at_ns: Option<u64>) -> bool {
        at_ns.is_none_or(|at| at >= self.since_ns) && kinds.iter().any(|kind| self.has(*kind))
    }
}

const fn bit(kind: Kind) -> u32 {
    1 << (kind.number() & 31)
}

fn bits(kinds: impl IntoIterator<Item = Kind>) -> u32 {
    kinds.into_iter().fold(0, |bits, kind| bits | bit(kind))
}
