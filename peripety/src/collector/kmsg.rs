//! Kernel text: `/dev/kmsg` (Documentation/ABI/testing/dev-kmsg).
//!
//! A record is `priority,sequence,microseconds,flags[,…];text` and, on further lines, ` KEY=value`. The sequence numbers
//! have no holes as long as no record is lost: every hole is counted and reported (promise 1). Only facility 0 is the kernel's,
//! anything else was written by a process (promise 7).

mod error;
mod reader;
mod record;

pub(crate) use error::KmsgError;
pub(crate) use reader::{KmsgItem, KmsgReader, Start};
pub use record::KmsgRecord;
pub use record::parse_record;
