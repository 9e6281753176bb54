//! The records that cross peripety's ring buffer, shared by the eBPF programs that write them and user space that reads
//! them.
//!
//! All numbers are in the machine's byte order: a record never leaves the machine that made it in this form. Every record
//! starts with a [`Header`] that reports its kind and length, so that an older daemon can step over what it does not know.
//! [`KernelRecord::decode`] is total: no input makes it panic.

#![cfg_attr(not(test), no_std)]
#![warn(missing_docs)]

#[macro_use]
mod wire;

pub mod block_bio;
pub mod block_rq;
pub mod console;
pub mod counters;
pub mod ext4;
pub mod header;
pub mod nvme_aen;
pub mod nvme_rq;
mod record;
pub mod scsi_cmd;
pub mod scsi_eh;
pub mod slow;
pub mod text;
pub mod wb_err;
pub mod xfs;

pub use header::{FLAG_CLASSIC, Header, Kind, VERSION};
pub use record::{DecodeError, KernelRecord, Payload, RECORD_MAX};
