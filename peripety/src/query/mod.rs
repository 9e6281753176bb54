//! Reading events back: from the journal, or from the daemon's memory over its socket.

mod believed;
pub mod boot;
mod device;
mod filter;
pub(crate) mod incidents;
pub mod journald;
mod revisions;
pub mod select;
pub(crate) mod socket;
pub(crate) mod time;

pub(crate) use device::DeviceFilter;
pub use filter::Filter;
