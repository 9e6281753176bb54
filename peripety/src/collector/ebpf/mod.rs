//! The eBPF probes: the only place that names aya.
//!
//! [`table`] lists the probes, [`btf`] and [`mod@format`] find out where their fields are on the running kernel, [`loader`]
//! attaches each of them alone, [`status`] tells what became of them.

mod bio_disks;
mod book;
pub(crate) mod btf;
pub(crate) mod format;
pub mod hits;
pub(crate) mod kernel;
pub(crate) mod kernels;
mod layout;
mod loader;
mod maps;
#[expect(unsafe_code, reason = "the ring is memory shared with the kernel")]
mod ring;
pub(crate) mod status;
pub(crate) mod table;
mod verbose;

pub(crate) use book::RingState;
pub(crate) use loader::{Addition, Ebpf, Options, clear_pins, prepare_pins};
pub(crate) use status::{Verdict, Way};
