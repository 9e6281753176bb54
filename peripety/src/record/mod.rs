//! What collectors hand over: records of the kernel's tracepoints and of logs, with source, clock and sequence.

mod log;

pub use log::{KmsgLevel, LogRecord};
pub use peripety_block::Uevent;
pub use peripety_block::status::{ArrayStatus, MapStatus};
use peripety_common::KernelRecord;
pub use peripety_watch::message::{Failure, Health};
use serde::{Deserialize, Serialize};

/// When a record was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// CLOCK_MONOTONIC in nanoseconds, where the source has it. Kernel text runs on another clock, which the collector
    /// has corrected as far as it could.
    pub monotonic_ns: Option<u64>,
    /// Wall clock, microseconds since 1970.
    pub realtime_us: i64,
}

/// One record of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When it was made.
    pub time: Stamp,
    /// What it says.
    pub body: Body,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A probe's record from the ring buffer.
    Kernel(KernelRecord),
    /// A line of text.
    Log(LogRecord),
    /// A device came, changed or went.
    Uevent(Uevent),
    /// A filesystem reports a failure to peripety-watch.
    Filesystem(Failure),
    /// How a map of device-mapper is now, by peripety-watch.
    Map(MapStatus),
    /// How an array of md is now.
    Array(ArrayStatus),
    /// The state of a disk of which something failed.
    Health(Health),
    /// Records are known to be lost.
    Lost(Lost),
    /// Failures that the kernel side counted and could not report.
    Missed(Missed),
}

/// Records that are known to be lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Which source: `kmsg`, `ebpf:block_rq_error`, `printk`, `queue`, `journald`, `socket` …
    pub source: String,
    /// Why: `overwritten`, `ring full`, `rate limit` …
    pub reason: String,
    /// How many.
    pub count: u64,
    /// What names this loss within its source, so that it has one id.
    pub sequence: String,
}

/// Failed requests that the kernel side counted, for which the ring had no room: their number is exact, their sectors are
/// not known. Numbers are those of the kernel's table of counts; the parser makes them what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// Number of the hook, a [`peripety_common::Kind`].
    pub kind: u16,
    /// Device in the kernel's encoding.
    pub dev: u32,
    /// Operation, a REQ_OP_* number.
    pub op: u8,
    /// errno, positive.
    pub errno: i32,
    /// How many.
    pub count: u64,
}
