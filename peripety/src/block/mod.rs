//! What a block device is: identity, hierarchy, transport, mounts.

mod dev;
mod facts;
mod model;

pub use dev::{Dev, Hctl, ParseDevError};
pub use facts::{DeviceFacts, NoFacts};
pub use model::{BlkId, BlkInfo, BlkType, Identity, Transport};
