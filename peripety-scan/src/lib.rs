//! `peripety-scan`: reads all of a disk, checks an array, scrubs a filesystem, a little at a time, so that what cannot be read
//! any more is found before anyone needs it.
//!
//! It is a process of its own. Without a configuration it does not start. [`config`] is what an administrator says, [`machine`]
//! reads what devices there are, [`plan`] decides which of them are scanned and how (pure), [`pass`] is how far one is, and
//! [`status`] what is published of that. What its reads provoke in the kernel comes back through the probes of `peripetyd`; the
//! lines of [`report`] add what only a scan knows, and `peripetyd` makes events of them (`rules/scan.toml`).

#![deny(missing_docs)]

pub mod amount;
pub mod config;
pub mod hours;
pub mod machine;
#[cfg(feature = "program")]
mod method;
pub mod others;
pub mod pass;
pub mod plan;
#[cfg(feature = "program")]
mod program;
pub mod report;
pub mod status;

#[cfg(feature = "program")]
pub use program::{Args, main};
