//! What a block device is: identity, hierarchy, transport, mounts.
//!
//! [`BlkCache`] knows all devices and answers from memory; [`BlkCache::resolve`] takes any form of name.

mod attr;
mod cache;
mod content;
mod facts;
#[cfg(test)]
pub(crate) mod fixture;
mod hierarchy;
mod kind;
pub(crate) mod mounts;
mod resolve;
mod superblock;
mod sysfs;
mod transport;
mod udevdb;
mod wwid;

pub(crate) use attr::{LIMIT as ATTRIBUTE_MAX, NAMES as ATTRIBUTES};
pub use cache::{BlkCache, BlockError, Direction, Rescan};
pub use facts::{DeviceFacts, NoFacts};
pub(crate) use hierarchy::reach;
pub(crate) use kind::{by_name as kind_by_name, lvm_names, of_dm as kind_of_dm};
pub(crate) use mounts::unescape as unescape_mount;
pub use peripety_model::{BlkId, BlkInfo, BlkType, Dev, Hctl, Identity, ParseDevError, Transport};
pub use resolve::ResolveError;
pub(crate) use sysfs::ids;
