//! RAID 10 of md and btrfs: copies near each other, far from each other, or in the next stripe (drivers/md/raid10.c).

use std::num::NonZeroU64;

use super::{Above, Below, Role, Run};

/// The most members that are laid out: more than any array has, and few enough to look through.
const MEMBERS_MAX: u64 = 4096;

/// Copies of each chunk on several members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raid10 {
    /// Sectors of a chunk.
    pub chunk: NonZeroU64,
    /// Copies on neighbouring members.
    pub near: NonZeroU64,
    /// Copies in other parts of the members.
    pub far: NonZeroU64,
    /// How far apart the far copies are on a member, in sectors; none when they are in the next stripe.
    pub stride: Option<u64>,
    /// Far copies stay within so many members.
    pub set: NonZeroU64,
}

impl Raid10 {
    /// The layout of `md/layout`, for an array with so many members, of each of which `dev_sectors` are used. None when it
    /// cannot be.
    pub fn of_md(layout: u64, members: u64, chunk: NonZeroU64, dev_sectors: u64) -> Option<Self> {
        let near = NonZeroU64::new(layout & 0xff)?;
        let far = NonZeroU64::new(layout >> 8 & 0xff)?;
        let copies = near.get() * far.get();
        let set = match layout >> 17 {
            0 => members,
            1 => members / far,
            2 => copies,
            _ => return None,
        };
        let set = NonZeroU64::new(set).filter(|set| set.get() <= members)?;
        if copies > members || members > MEMBERS_MAX {
            return None;
        }
        let stride = if layout >> 16 & 1 == 1 {
            None
        } else {
            // As the kernel rounds: chunks of the array, and from these the chunks of a member that are used.
            let array = (dev_sectors / chunk / far.get()).checked_mul(members)? / near;
            let used = array.checked_mul(copies)?.div_ceil(members);
            Some((used / far).checked_mul(chunk.get())?)
        };
        Some(Self { chunk, near, far, stride, set })
    }

    /// The member of the next far copy of what member `d` has.
    fn next_far(&self, members: u64, d: u64) -> u64 {
        let set = self.set.get();
        let last_start = (members / set - 1) * set;
        let last_size = set + members % set;
        let shifted = d + self.near.get();
        if !members.is_multiple_of(set) && shifted > last_start {
            (shifted - last_start) % last_size + last_start
        } else {
            shifted % set + d / set * set
        }
    }

    /// The member of far copy `copy` of what member `d` has.
    fn far_member(&self, members: u64, d: u64, copy: u64) -> u64 {
        (0..copy).fold(d, |d, _| self.next_far(members, d))
    }

    pub(super) fn down(self, members: usize, at: u64) -> Run<Below> {
        let chunk = self.chunk.get();
        let within = at % chunk;
        let len = chunk - within;
        let Some(members) = self.fitting(members) else { return Run::nowhere(len) };
        let Some(cell) = (at / chunk).checked_mul(self.near.get()) else { return Run::nowhere(len) };
        let role = if self.near.get() * self.far.get() > 1 { Role::Copy } else { Role::Data };
        let mut spots = Vec::new();
        for near in 0..self.near.get() {
            let Some(cell) = cell.checked_add(near) else { continue };
            let (row, d) = (cell / members, cell % members);
            for far in 0..self.far.get() {
                let sector = match self.stride {
                    Some(stride) => (row * chunk + within).checked_add(stride.saturating_mul(far)),
                    None => row
                        .checked_mul(self.far.get())
                        .and_then(|row| row.checked_add(far)?.checked_mul(chunk)?.checked_add(within)),
                };
                let member = self.far_member(members.get(), d, far) as usize;
                spots.extend(sector.map(|sector| Below { member, sector, role }));
            }
        }
        Run { len, spots }
    }

    pub(super) fn up(self, members: usize, member: usize, at: u64) -> Run<Above> {
        let chunk = self.chunk.get();
        let len = chunk - at % chunk;
        let Some(members) = self.fitting(members) else { return Run::nowhere(len) };
        let (far, within) = match self.stride {
            // One copy needs no stride, and its place on the member is not bounded.
            Some(_) if self.far.get() == 1 => (0, at),
            Some(stride) => match at.checked_div(stride) {
                Some(far) if far < self.far.get() => (far, at % stride),
                _ => return Run::nowhere(len),
            },
            None => {
                let row = at / chunk;
                (row % self.far, row / self.far * chunk + at % chunk)
            }
        };
        let role = if self.near.get() * self.far.get() > 1 { Role::Copy } else { Role::Data };
        let at_copy = |d: &u64| self.far_member(members.get(), *d, far) == member as u64;
        let sector = |d: u64| {
            let cell = (within / chunk).checked_mul(members.get())?.checked_add(d)?;
            (cell / self.near).checked_mul(chunk)?.checked_add(within % chunk)
        };
        let sectors = (0..members.get()).filter(at_copy).filter_map(sector);
        Run { len, spots: sectors.map(|sector| Above { sector, role }).collect() }
    }

    /// The number of members, where the layout fits it.
    fn fitting(&self, members: usize) -> Option<NonZeroU64> {
        let members = NonZeroU64::new(members as u64)?;
        let fits = members.get() <= MEMBERS_MAX && self.set <= members && self.near <= members;
        fits.then_some(members)
    }
}
