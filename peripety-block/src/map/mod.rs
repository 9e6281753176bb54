//! Where a sector lies: down to the disks below, and up to what is made of them.
//!
//! A device that is made of others is laid out in [segments](Segment), and each segment lies on its [members](Member) in one
//! of a few [ways](Kind), which are arithmetic and know nothing of the system. [`dm`] makes segments of the lines of a
//! device-mapper table, [`md`] of what sysfs shows of an array, [`btrfs`] of the items of the chunk tree; a partition and the
//! extents of a file behind a loop device are segments of the simplest kind. [`down`] and [`up`] walk through a whole stack
//! of them, asking [`MapFacts`].
//!
//! ```
//! use std::sync::Arc;
//!
//! use peripety_block::map::{self, Kind, Layout, Member, Range, Segment, Space};
//!
//! // A volume of 1,024 sectors striped over two disks in chunks of 8.
//! struct Facts;
//! impl map::MapFacts for Facts {
//!     fn layout(&self, space: Space) -> Result<Option<Arc<Layout>>, String> {
//!         let volume = Space::Device("253:0".parse().unwrap());
//!         let table = "0 1024 striped 2 8 8:0 2048 8:16 2048";
//!         Ok((space == volume).then(|| Arc::new(map::dm::layout(&map::dm::Target::lines(table)))))
//!     }
//!     fn above(&self, _: Space) -> Vec<Space> {
//!         vec![Space::Device("253:0".parse().unwrap())]
//!     }
//! }
//! let sector = Range { space: Space::Device("253:0".parse().unwrap()), sector: 9, len: 1 };
//! let below = map::down(&Facts, sector).leaves()[0].1.range;
//! assert_eq!((below.space.to_string().as_str(), below.sector), ("8:16", 2049));
//! assert_eq!(map::up(&Facts, below).steps[0].range, sector);
//! ```

pub mod btrfs;
pub mod dm;
pub mod kernel;
mod live;
pub mod md;
mod raid0;
mod raid10;
mod raid456;
mod same;
mod striped;
mod walk;

use std::{fmt, str::FromStr, sync::Arc};

use peripety_model::Dev;
use serde::{Serialize, Serializer};
use uuid::Uuid;

pub use live::{Chunks, Extent, FileMap, LiveMap, Tables};
pub use raid10::Raid10;
pub use raid456::{Algorithm, One, Raid456, Two};
pub use striped::{Striped, Unstriped};
pub use walk::{Step, down, up};

/// What sectors are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// A block device.
    Device(Dev),
    /// The logical addresses of a btrfs, which its chunk tree lays out on its devices.
    Btrfs(Uuid),
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(dev) => dev.fmt(f),
            Self::Btrfs(uuid) => write!(f, "btrfs:{uuid}"),
        }
    }
}

impl FromStr for Space {
    type Err = peripety_model::ParseDevError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("btrfs:").and_then(|uuid| Uuid::parse_str(uuid).ok()) {
            Some(uuid) => Ok(Self::Btrfs(uuid)),
            None => text.parse().map(Self::Device),
        }
    }
}

impl Serialize for Space {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Some sectors of 512 bytes in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    /// What they are sectors of.
    pub space: Space,
    /// The first.
    pub sector: u64,
    /// How many.
    pub len: u64,
}

impl Range {
    /// The sector after the last.
    pub fn end(&self) -> u64 {
        self.sector.saturating_add(self.len)
    }
}

/// What the sectors below are for those above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// They hold the data.
    #[default]
    Data,
    /// They hold one of several copies of it.
    Copy,
    /// They are the same sectors, reached by one of several paths.
    Path,
    /// They hold parity that the data is part of.
    Parity,
    /// They hold the second parity of RAID 6.
    Q,
}

impl Role {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Copy => "copy",
            Self::Path => "path",
            Self::Parity => "parity",
            Self::Q => "parity Q",
        }
    }
}

/// Part of a device, laid out in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its first sector.
    pub start: u64,
    /// How many sectors.
    pub len: u64,
    /// What `kind` counts its first sector as: not 0 where only a part of what `kind` lays out has its layout.
    pub base: u64,
    /// How it lies on its members.
    pub kind: Kind,
    /// What it lies on, in the order of `kind`.
    pub members: Vec<Member>,
    /// Whether a sector is where the layout says: not for a cache, which may have another copy, and not while an array is
    /// being reshaped.
    pub certain: bool,
    /// The layout in words: `striped over 2, chunk 64 KiB`.
    pub how: String,
}

/// What a segment lies on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// None where a member is missing: a disk that was removed from an array.
    pub space: Option<Space>,
    /// Where in it the segment begins.
    pub start: u64,
    /// How many sectors belong to the segment, where that bounds it.
    pub len: Option<u64>,
}

impl Member {
    /// A member that begins at `start` of a device.
    pub fn at(dev: Dev, start: u64) -> Self {
        Self { space: Some(Space::Device(dev)), start, len: None }
    }
}

/// How a segment lies on its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Each sector has the same number on every member: partitions, linear, crypt, mirrors, RAID 1, multipath.
    Same(Role),
    /// Chunk by chunk on one member after the other.
    Striped(Striped),
    /// One of the stripes of something striped.
    Unstriped(Unstriped),
    /// RAID 4, 5 and 6.
    Raid456(Raid456),
    /// RAID 10.
    Raid10(Raid10),
    /// On none: `error`, `zero`, a hole in a file.
    Nothing,
    /// Somewhere on its members, and where is not known; in words why not.
    Opaque(&'static str),
}

/// Where a sector lies, and for how many sectors in a row the same holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run<T> {
    /// At least 1.
    pub len: u64,
    /// The places.
    pub spots: Vec<T>,
}

impl<T> Run<T> {
    fn nowhere(len: u64) -> Self {
        Self { len: len.max(1), spots: Vec::new() }
    }
}

/// A place on a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Below {
    /// Index of the member.
    pub member: usize,
    /// Sector, counted from where the segment begins on the member.
    pub sector: u64,
    /// What it holds.
    pub role: Role,
}

/// A place of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Above {
    /// Sector, as `kind` counts.
    pub sector: u64,
    /// What the sector below holds of it.
    pub role: Role,
}

impl Kind {
    /// Where sector `at` lies on so many members.
    pub fn down(&self, members: usize, at: u64) -> Run<Below> {
        match self {
            Self::Same(role) => same::down(members, *role, at),
            Self::Striped(striped) => striped.down(members, at),
            Self::Unstriped(unstriped) => unstriped.down(at),
            Self::Raid456(raid) => raid.down(members, at),
            Self::Raid10(raid) => raid.down(members, at),
            Self::Nothing | Self::Opaque(_) => Run::nowhere(u64::MAX),
        }
    }

    /// What sector `at` of this member is part of.
    pub fn up(&self, members: usize, member: usize, at: u64) -> Run<Above> {
        match self {
            Self::Same(role) => same::up(*role, at),
            Self::Striped(striped) => striped.up(members, member, at),
            Self::Unstriped(unstriped) => unstriped.up(at),
            Self::Raid456(raid) => raid.up(members, member, at),
            Self::Raid10(raid) => raid.up(members, member, at),
            Self::Nothing | Self::Opaque(_) => Run::nowhere(u64::MAX),
        }
    }
}

/// How a device lies on those below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Its parts. Those that are missing lie nowhere.
    pub segments: Vec<Segment>,
}

impl Layout {
    /// One segment, each sector of which has the same number on every member but for where they begin.
    pub fn same(len: u64, role: Role, members: Vec<Member>, how: &str) -> Self {
        Self { segments: vec![Segment::new(0, len, Kind::Same(role), members, how)] }
    }
}

impl Segment {
    /// A segment where every sector is where the layout says.
    pub fn new(start: u64, len: u64, kind: Kind, members: Vec<Member>, how: impl Into<String>) -> Self {
        Self { start, len, base: 0, kind, members, certain: true, how: how.into() }
    }

    /// The same, of which it is not certain that the sectors are there.
    #[must_use]
    pub fn uncertain(mut self) -> Self {
        self.certain = false;
        self
    }
}

/// What has to be known of the system.
pub trait MapFacts {
    /// How this lies on what is below; none when nothing is, as with a disk. Shared, for a walk asks for each step, and a
    /// btrfs may have a million chunks.
    ///
    /// # Errors
    ///
    /// In words why it is not known.
    fn layout(&self, space: Space) -> Result<Option<Arc<Layout>>, String>;

    /// What may lie on this.
    fn above(&self, space: Space) -> Vec<Space>;
}

/// `64 KiB` for 128 sectors.
fn kib(sectors: u64) -> String {
    if sectors.is_multiple_of(2) { format!("{} KiB", sectors / 2) } else { format!("{sectors} sectors") }
}

#[cfg(test)]
mod tests;
