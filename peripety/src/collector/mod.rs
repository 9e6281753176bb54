//! Where records come from: one file per source.

pub mod kmsg;
pub mod uevent;
