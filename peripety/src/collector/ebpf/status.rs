//! What became of the probes, for `prpt probes` and for the daemon's own decisions.

use serde::{Deserialize, Serialize};

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AttachMode {
    /// Raw tracepoint, with offsets from BTF.
    Raw,
    /// Classic tracepoint, with offsets from tracefs.
    Classic,
}

/// What became of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// It works.
    Attached {
        /// How.
        way: AttachMode,
        /// Why not by the better way.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        fallback: String,
    },
    /// It is loaded, and attached as soon as something needs it.
    Waiting {
        /// What it waits for.
        reason: String,
    },
    /// This kernel has no such tracepoint, or its driver is not loaded.
    Absent {
        /// Which of the two.
        reason: String,
    },
    /// The kernel refused it.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
    /// It was left off.
    Off {
        /// Why.
        reason: String,
    },
}

impl Verdict {
    /// Whether it works.
    pub(crate) fn is_attached(&self) -> bool {
        matches!(self, Self::Attached { .. })
    }

    /// Whether its program is in the kernel.
    pub(crate) fn is_loaded(&self) -> bool {
        matches!(self, Self::Attached { .. } | Self::Waiting { .. })
    }

    /// One word.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Attached { .. } => "attached",
            Self::Waiting { .. } => "waiting",
            Self::Absent { .. } => "absent",
            Self::Refused { .. } => "refused",
            Self::Off { .. } => "off",
        }
    }

    /// Why it does not work, or not by the better way; empty where all is well.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Attached { fallback: reason, .. }
            | Self::Waiting { reason }
            | Self::Absent { reason }
            | Self::Refused { reason }
            | Self::Off { reason } => reason,
        }
    }
}

/// Sums over all CPUs of what a probe counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Failures that passed the filter.
    pub seen: u64,
    /// Records put into the ring.
    pub sent: u64,
    /// Records for which the ring had no room.
    pub dropped: u64,
    /// Failures that an earlier record stands for.
    pub folded: u64,
    /// Failures for which the kernel did not run the program, as perf counts them.
    #[serde(default)]
    pub unseen: u64,
    /// Failures that passed the filter while perf did not count beside the program: of these it is not known whether there
    /// were more for which the kernel did not run it.
    #[serde(default)]
    pub unchecked: u64,
}

/// What the kernel knows about a loaded program: the same as `bpftool prog show`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProgramStatus {
    /// Name in the kernel.
    pub name: String,
    /// Id.
    pub id: u32,
    /// Hash of the instructions.
    pub tag: String,
    /// How often it ran; counted only while `kernel.bpf_stats_enabled` is 1.
    pub run_count: u64,
    /// Nanoseconds that it ran for, likewise.
    pub run_time_ns: u64,
    /// Calls that the kernel skipped because the program was already running on that CPU.
    pub misses: u64,
}

/// One probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProbeStatus {
    /// `category:event`.
    pub tracepoint: String,
    /// What became of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// `required`, `driver` or `optional`.
    pub need: String,
    /// What goes unseen without it.
    pub lost_without: String,
    /// What the kernel knows, where it is attached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<ProgramStatus>,
    /// What it counted.
    pub counts: Counts,
}

/// The rings that records come through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RingStatus {
    /// Bytes.
    pub bytes: u64,
    /// Most bytes that ever waited in one.
    pub most_filled_bytes: u64,
}

/// Everything that `prpt probes` shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// The probes, in the order of the table.
    pub probes: Vec<ProbeStatus>,
    /// The ring.
    pub ring: RingStatus,
    /// Whether the kernel counts runs (`kernel.bpf_stats_enabled`).
    pub kernel_statistics: bool,
}
