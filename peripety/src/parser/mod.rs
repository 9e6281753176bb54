//! Records to raw events: what one record says, before it is joined with others.
//!
//! A parser is a pure function of one record. To add one, add a file and a line in [`kernel()`].

pub(crate) mod blk_status;
pub(crate) mod block;
mod command;
pub(crate) mod errno;
mod farewell;
pub(crate) mod fs;
pub(crate) mod health;
mod kernel;
pub(crate) mod nvme;
pub(crate) mod places;
mod raw;
pub(crate) mod report;
pub mod rules;
pub(crate) mod scsi;
pub(crate) mod stack;
pub(crate) mod status;
mod tracepoint;
pub mod uevent;

pub(crate) use command::{Command, command};
pub(crate) use farewell::BEGINNINGS as FAREWELLS;
pub(crate) use farewell::{Farewell, farewell};
pub use kernel::kernel;
pub(crate) use kernel::source_name;
pub(crate) use raw::Kdev;
pub use raw::RawEvent;
pub(crate) use tracepoint::Tracepoint;
