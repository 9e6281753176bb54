//! `peripety-watch`: gets to know of filesystems what takes CAP_SYS_ADMIN, and hands it to the daemon, which has not got it.
//!
//! It marks each mounted filesystem for FAN_FS_ERROR, and opens the health monitor of each XFS. What comes is decoded
//! ([`peripety_block::fanotify`], [`peripety_block::xfs_health`], both total) and sent to the daemon's socket as [`message`]s.
//! Of maps of device-mapper and arrays of md it reads the status after each event, and hands on what changed as the kernel has
//! it. It reads nothing that a user or the network wrote, has no network itself, and may die and come back: the daemon works
//! without it and says what it lacks.

#![deny(missing_docs)]

pub mod message;
#[cfg(feature = "program")]
mod program;

#[cfg(feature = "program")]
pub use program::{Args, main};
