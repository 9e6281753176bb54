//! The chunk tree of btrfs: which of its logical addresses lie where on its devices (fs/btrfs, struct btrfs_chunk).

use std::num::NonZeroU64;

use peripety_model::Dev;

use super::{Algorithm, Kind, Layout, Member, Raid10, Raid456, Role, Segment, Space, Striped, kib};
use crate::bytes::array;

/// Bytes of a sector.
const SECTOR: u64 = 512;
/// Stripes of one chunk: more than a node of 64 KiB has room for.
const STRIPES_MAX: usize = 2048;

const RAID0: u64 = 1 << 3;
const RAID1: u64 = 1 << 4;
const DUP: u64 = 1 << 5;
const RAID10: u64 = 1 << 6;
const RAID5: u64 = 1 << 7;
const RAID6: u64 = 1 << 8;
const RAID1C3: u64 = 1 << 9;
const RAID1C4: u64 = 1 << 10;
const PROFILES: u64 = RAID0 | RAID1 | DUP | RAID10 | RAID5 | RAID6 | RAID1C3 | RAID1C4;

/// A chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its first logical address, in bytes.
    pub logical: u64,
    /// How many bytes of logical addresses.
    pub length: u64,
    /// Bytes of a stripe.
    pub stripe_len: u64,
    /// What it is for, and how it is laid out.
    pub flags: u64,
    /// For RAID 10: on how many devices each copy is.
    pub sub_stripes: u16,
    /// Id of the device, and first byte on it.
    pub stripes: Vec<(u64, u64)>,
}

impl Chunk {
    /// Decodes an item of the chunk tree whose key has the offset `logical`; none when it is too short.
    pub fn decode(logical: u64, item: &[u8]) -> Option<Self> {
        let u64_at = |at| array(item, at).map(u64::from_le_bytes);
        let u16_at = |at| array(item, at).map(u16::from_le_bytes);
        let count = usize::from(u16_at(44)?);
        if count > STRIPES_MAX {
            return None;
        }
        let stripe = |n: usize| Some((u64_at(48 + n * 32)?, u64_at(56 + n * 32)?));
        Some(Self {
            logical,
            length: u64_at(0)?,
            stripe_len: u64_at(16)?,
            flags: u64_at(24)?,
            sub_stripes: u16_at(46)?,
            stripes: (0..count).map(stripe).collect::<Option<_>>()?,
        })
    }

    fn segment(&self, device: &dyn Fn(u64) -> Option<Dev>) -> Segment {
        let member = |(id, offset): &(u64, u64)| Member {
            space: device(*id).map(Space::Device),
            start: offset / SECTOR,
            len: Some(self.member_bytes() / SECTOR),
        };
        let members = self.stripes.iter().map(member).collect();
        let (kind, name) =
            self.kind().unwrap_or((Kind::Opaque("its chunk has no layout that is known"), "?"));
        let chunk = if matches!(kind, Kind::Same(_)) {
            String::new()
        } else {
            format!(", chunk {}", kib(self.stripe_len / SECTOR))
        };
        let how = format!("btrfs {name} over {}{chunk}", self.stripes.len());
        Segment::new(self.logical / SECTOR, self.length / SECTOR, kind, members, how)
    }

    /// How many bytes of each device are the chunk's.
    fn member_bytes(&self) -> u64 {
        let count = self.stripes.len() as u64;
        let data = match self.flags & PROFILES {
            RAID0 => count,
            RAID10 => count / u64::from(self.sub_stripes.max(1)),
            RAID5 => count.saturating_sub(1),
            RAID6 => count.saturating_sub(2),
            _ => 1,
        };
        self.length.checked_div(data).unwrap_or(0)
    }

    fn kind(&self) -> Option<(Kind, &'static str)> {
        let chunk = NonZeroU64::new(self.stripe_len / SECTOR);
        let raid456 =
            |parities| Some(Kind::Raid456(Raid456 { chunk: chunk?, algorithm: Algorithm::Btrfs(parities) }));
        Some(match self.flags & PROFILES {
            0 => (Kind::Same(Role::Data), "single"),
            RAID0 => (Kind::Striped(Striped { chunk: chunk?, first: 0 }), "RAID 0"),
            RAID1 => (Kind::Same(Role::Copy), "RAID 1"),
            RAID1C3 => (Kind::Same(Role::Copy), "RAID 1 with three copies"),
            RAID1C4 => (Kind::Same(Role::Copy), "RAID 1 with four copies"),
            DUP => (Kind::Same(Role::Copy), "DUP"),
            RAID5 => (raid456(1)?, "RAID 5"),
            RAID6 => (raid456(2)?, "RAID 6"),
            RAID10 => {
                let near = NonZeroU64::new(self.sub_stripes.into())?;
                let set = NonZeroU64::new(self.stripes.len() as u64)?;
                let one = NonZeroU64::MIN;
                (Kind::Raid10(Raid10 { chunk: chunk?, near, far: one, stride: Some(0), set }), "RAID 10")
            }
            _ => return None,
        })
    }
}

/// How the logical addresses lie on the devices; `device` knows the number of the device with an id.
pub fn layout(chunks: &[Chunk], device: &dyn Fn(u64) -> Option<Dev>) -> Layout {
    Layout { segments: chunks.iter().map(|chunk| chunk.segment(device)).collect() }
}
