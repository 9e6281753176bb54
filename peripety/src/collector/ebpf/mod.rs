//! The eBPF probes: the only place that names aya.
//!
//! [`probes`] lists the probes, [`btf`] and [`mod@format`] find out where their fields are on the running kernel, [`loader`]
//! attaches each of them alone, [`status`] says what became of them.

mod bio_disks;
pub(crate) mod btf;
pub(crate) mod compat;
mod drop_accounting;
mod field_offsets;
pub(crate) mod format;
pub mod hits;
pub(crate) mod kernel;
mod loader;
mod maps;
pub(crate) mod probes;
#[expect(unsafe_code, reason = "the ring is memory shared with the kernel")]
mod ring;
mod slow_limits;
pub(crate) mod status;
mod verbose;

pub(crate) use drop_accounting::RingState;
pub(crate) use loader::{Addition, Ebpf, Options, clear_pins, prepare_pins};
pub(crate) use slow_limits::SlowLimits;
pub(crate) use status::{AttachMode, Verdict};
