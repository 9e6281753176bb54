//! State files: what programs keep of themselves over a kill or a reboot.
//!
//! [`checked`] is lines with a checksum, [`replace`](replace::replace) a file of which nobody ever sees a part.

#![deny(missing_docs)]

pub mod checked;
pub mod replace;
