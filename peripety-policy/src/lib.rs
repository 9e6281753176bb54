//! `peripety-policy`: acts on failed mirrors, arrays and full pools, as the policies of an administrator say.
//!
//! It is a process of its own, which follows the daemon's events. Without a policy it does nothing. [`config`] is what
//! policies are, [`case`] decides what to do about an array and when (pure: no clock, no I/O), [`plan`] is the table of actions
//! with the commands that each is and when it would be wrong to take it. The state of the array is read before each decision,
//! and never taken from the event: whoever else repairs it (dmeventd, mdadm, a person) was first, and then nothing is done.

#![deny(missing_docs)]

pub mod case;
pub mod config;
pub mod look;
pub mod lvm;
pub mod plan;
#[cfg(feature = "program")]
mod program;
pub mod situation;

#[cfg(feature = "program")]
pub use program::{Args, main};
