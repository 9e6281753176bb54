//! Records to raw events: what one record says, before it is joined with others.
//!
//! A parser is a pure function of one record. To add one, add a file and a line in [`kernel()`].

pub(crate) mod blk_status;
pub mod block;
mod command;
pub mod errno;
mod farewell;
pub mod fs;
mod kernel;
pub mod nvme;
pub mod places;
mod raw;
pub mod rules;
pub mod scsi;
pub mod stack;
mod tracepoint;
pub mod uevent;

pub use command::{Command, command};
pub(crate) use farewell::BEGINNINGS as FAREWELLS;
pub use farewell::{Farewell, farewell};
pub use kernel::{kernel, source_name};
pub use raw::{Kdev, RawEvent};
pub use tracepoint::Tracepoint;
