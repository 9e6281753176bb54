//! The eBPF probes: the only place that names aya.
//!
//! [`table`] lists the probes, [`btf`] and [`mod@format`] find out where their fields are on the running kernel, [`loader`]
//! attaches each of them alone, [`status`] tells what became of them.

mod bio_disks;
mod book;
pub mod btf;
pub mod errno;
pub mod format;
pub mod hits;
pub mod kernel;
pub mod kernels;
mod layout;
mod loader;
mod maps;
#[expect(unsafe_code, reason = "the ring is memory shared with the kernel")]
mod ring;
pub mod status;
pub mod table;
mod verbose;

pub use book::RingState;
pub use loader::{Addition, Ebpf, Options, Plan, clear_pins, prepare_pins};
pub use status::{ProbeStatus, Verdict, Way};
