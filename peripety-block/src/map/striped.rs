//! Chunk by chunk on one member after the other; and the other way round, one stripe of something striped.

use std::num::NonZeroU64;

use super::{Above, Below, Role, Run};

/// `striped` of device-mapper, RAID 0 of md and btrfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Striped {
    /// Sectors of a chunk.
    pub chunk: NonZeroU64,
    /// Index of the member that has the first chunk.
    pub first: u64,
}

impl Striped {
    pub(super) fn down(self, members: usize, at: u64) -> Run<Below> {
        let chunk = self.chunk.get();
        let within = at % chunk;
        let len = chunk - within;
        let Some(count) = NonZeroU64::new(members as u64) else { return Run::nowhere(len) };
        let number = at / chunk;
        let member = (number % count + self.first % count) % count;
        let sector = number / count * chunk + within;
        Run { len, spots: vec![Below { member: member as usize, sector, role: Role::Data }] }
    }

    pub(super) fn up(self, members: usize, member: usize, at: u64) -> Run<Above> {
        let chunk = self.chunk.get();
        let within = at % chunk;
        let len = chunk - within;
        let Some(count) = NonZeroU64::new(members as u64) else { return Run::nowhere(len) };
        let place = (member as u64 + count.get() - self.first % count) % count;
        let number = (at / chunk).checked_mul(count.get()).and_then(|row| row.checked_add(place));
        let sector = number.and_then(|number| number.checked_mul(chunk)?.checked_add(within));
        Run { len, spots: sector.map(|sector| Above { sector, role: Role::Data }).into_iter().collect() }
    }
}

/// `unstriped` of device-mapper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unstriped {
    /// Sectors of a chunk.
    pub chunk: NonZeroU64,
    /// How many stripes there are below.
    pub stripes: NonZeroU64,
    /// Which of them it is.
    pub stripe: u64,
}

impl Unstriped {
    pub(super) fn down(self, at: u64) -> Run<Below> {
        let below = Striped { chunk: self.chunk, first: 0 };
        let run = below.up(self.stripes.get() as usize, self.stripe as usize, at);
        let spot = |above: Above| Below { member: 0, sector: above.sector, role: Role::Data };
        Run { len: run.len, spots: run.spots.into_iter().map(spot).collect() }
    }

    pub(super) fn up(self, at: u64) -> Run<Above> {
        let run = Striped { chunk: self.chunk, first: 0 }.down(self.stripes.get() as usize, at);
        let own = run.spots.into_iter().filter(|spot| spot.member as u64 == self.stripe);
        Run { len: run.len, spots: own.map(|s| Above { sector: s.sector, role: Role::Data }).collect() }
    }
}
