//! Places on devices, and amounts of them, in sectors.

use std::{
    fmt,
    ops::{Add, Sub},
};

use serde::{Deserialize, Serialize};

/// Bytes of a sector, whatever the block size of the device (include/linux/blk_types.h, SECTOR_SIZE).
const BYTES: u64 = 512;

/// A place on a device: how many sectors of 512 bytes lie before it. In JSON it is the number.
///
/// ```
/// use peripety_model::{Sector, Sectors};
///
/// let first = Sector(2048);
/// assert_eq!((first + Sectors(8), first.bytes()), (Sector(2056), 1_048_576));
/// assert_eq!(Sector(2056) - first, Sectors(8));
/// assert_eq!(format!("{first}"), "2048");
/// # assert_eq!(serde_json::to_string(&first)?, "2048");
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// Two places cannot be added, and a count is no place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(transparent)]
pub struct Sector(pub u64);

/// So many sectors of 512 bytes. In JSON it is the number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(transparent)]
pub struct Sectors(pub u64);

impl Sector {
    /// Bytes of the device before it; at most `u64::MAX`.
    pub const fn bytes(self) -> u64 {
        self.0.saturating_mul(BYTES)
    }
}

impl Sectors {
    /// Whether there are none.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Their size in bytes; at most `u64::MAX`.
    pub const fn bytes(self) -> u64 {
        self.0.saturating_mul(BYTES)
    }
}

impl Add<Sectors> for Sector {
    type Output = Self;

    /// The one that is so many further on; at most the last that a number can say.
    fn add(self, count: Sectors) -> Self {
        Self(self.0.saturating_add(count.0))
    }
}

impl Sub for Sector {
    type Output = Sectors;

    /// How many lie between them; none if the other one is not the earlier.
    fn sub(self, earlier: Self) -> Sectors {
        Sectors(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Sector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Sectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
