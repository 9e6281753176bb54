//! What fills up.

use super::{Share, Snapshot, Status, ThinPool};

/// The fill level from which on it counts, in percent: as dmeventd does.
pub const FIRST_LEVEL: u32 = 80;
/// Further levels are so many percent apart.
pub const LEVEL_STEP: u32 = 5;

/// Something that fills up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// `data`, `metadata`, or `store` of a snapshot.
    pub area: &'static str,
    /// How much is used.
    pub share: Share,
    /// How many sectors all of it is, as far as writes of users fill it.
    pub sectors: u64,
}

impl Status {
    /// What of a target with so many sectors fills up; nothing once it is of no use any more.
    pub fn fills(&self, len: u64) -> Vec<Fill> {
        match self {
            Self::ThinPool(ThinPool::Serves(pool)) => vec![
                Fill { area: "data", share: pool.data, sectors: len },
                Fill { area: "metadata", share: pool.metadata, sectors: len },
            ],
            Self::Snapshot(Snapshot::Serves { store, .. }) => {
                vec![Fill { area: "store", share: *store, sectors: store.total }]
            }
            // Blocks of 4 KiB.
            Self::Vdo(vdo) => {
                vec![Fill { area: "data", share: vdo.store, sectors: vdo.store.total.saturating_mul(8) }]
            }
            _ => Vec::new(),
        }
    }
}
