//! The ways to scan. Each does one step at a time, on a thread of its own: what it asks the kernel for may block.

mod dm_raid;
mod md;
mod narrow;
mod reader;
mod scrub;

use std::time::Duration;

use peripety_block::Roots;

use crate::{config::Method, machine::Device, pass::Step};

/// How often it is looked how far a check is.
const POLL: Duration = Duration::from_secs(1);

/// Why a step was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Not now; it is tried again in a while. What was done up to then.
    NotNow(String, Rested),
    /// The device is there no more, or another one has its name.
    Gone,
    /// It cannot be scanned.
    Failed(String),
}

impl Trouble {
    fn of_somebody_else() -> Self {
        Self::NotNow("somebody else checks the array".to_owned(), Rested::default())
    }
}

/// A way to scan one device.
pub(crate) trait Engine: Send {
    /// Goes on at this byte for about so many.
    fn step(&mut self, from: u64, len: u64) -> Result<Step, Trouble>;

    /// It is to wait: what the kernel does by itself is ended.
    fn rest(&mut self) -> Rested {
        Rested::default()
    }
}

/// What the kernel did by itself up to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rested {
    /// How far it was, where that is known.
    pub place: Option<u64>,
    /// What it found since the last step.
    pub errors: u64,
}

/// The way to scan a device.
pub(crate) fn open(
    method: Method,
    device: &Device,
    rate: u64,
    adopt: bool,
    roots: &Roots,
) -> Result<Box<dyn Engine>, Trouble> {
    Ok(match method {
        Method::Read => Box::new(reader::Reader::open(device, roots)?),
        Method::MdCheck => Box::new(md::Check::new(device, rate, adopt, roots)),
        Method::RaidCheck => Box::new(dm_raid::Check::open(device, adopt, roots)?),
        Method::Scrub => Box::new(scrub::Scrub::open(device, rate, roots)?),
    })
}

/// How much one step is, in bytes.
pub(crate) fn step_len(method: Method, rate: u64) -> u64 {
    match method {
        // A tenth of a second, within what one request may be.
        Method::Read => {
            (rate / 10).clamp(reader::STEP_MIN, reader::STEP_MAX) / reader::STEP_MIN * reader::STEP_MIN
        }
        Method::Scrub => scrub::STEP,
        Method::MdCheck | Method::RaidCheck => 0,
    }
}

/// Ends what the kernel does for a scan whose process is gone. How far that was, and all that this check found.
pub(crate) fn release(method: Method, device: &Device, roots: &Roots) -> Rested {
    match method {
        // It ended with the process, or is not interrupted.
        Method::Read | Method::RaidCheck => Rested::default(),
        Method::Scrub => {
            scrub::cancel(device);
            Rested::default()
        }
        Method::MdCheck => md::Check::new(device, 0, true, roots).rest(),
    }
}
