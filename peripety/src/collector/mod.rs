//! Where records come from: one file per source.

pub mod clock;
pub mod ebpf;
pub mod journal;
pub mod kmsg;
#[cfg(test)]
mod machine_tests;
pub mod mount_watch;
pub mod uevent;
pub mod wait;
