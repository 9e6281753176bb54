//! Where records come from: one file per source.

pub(crate) mod async_fd;
pub(crate) mod clock;
pub(crate) mod ebpf;
pub(crate) mod journal;
pub(crate) mod kmsg;
#[cfg(test)]
mod machine_tests;
pub(crate) mod mount_watch;
pub(crate) mod uevent;
pub(crate) mod watcher;
