//! Sectors that failed, merged, in bounded memory.

use serde::{Deserialize, Serialize};

use crate::event::{Sector, SectorRange, Sectors};

/// How many ranges an event names at most.
pub(super) const RANGES_MAX: usize = 64;

/// Ranges of sectors in order, none touching another.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Ranges {
    ranges: Vec<SectorRange>,
    /// Where the last insertion was: the next one is mostly there too.
    last: usize,
    coarsened: bool,
}

impl Ranges {
    /// Adds `count` sectors from `start`; no sectors stand for the one they start at.
    pub(super) fn insert(&mut self, start: Sector, count: u32) {
        let end = start + Sectors(u64::from(count.max(1)) - 1);
        // The usual cases of a storm: inside the range of the last one, or right behind it with room to the next.
        if let Some(range) = self.ranges.get_mut(self.last)
            && start >= range.start
            && end <= range.end
        {
            return;
        }
        // The first range that `start` does not lie behind (with a gap) …
        let from = self.ranges.partition_point(|r| r.end + Sectors(1) < start);
        // … and the first one that lies behind `end` (with a gap).
        let to = self.ranges.partition_point(|r| r.start <= end + Sectors(1));
        self.last = from;
        if from == to {
            self.ranges.insert(from, SectorRange { start, end });
            if self.ranges.len() > RANGES_MAX {
                self.merge_the_closest();
            }
            return;
        }
        let last_end = self.ranges.get(to - 1).map_or(end, |r| r.end);
        if let Some(first) = self.ranges.get_mut(from) {
            first.start = first.start.min(start);
            first.end = last_end.max(end);
        }
        self.ranges.drain(from + 1..to);
    }

    fn merge_the_closest(&mut self) {
        let gap = |pair: &[SectorRange]| match pair {
            [left, right] => right.start - left.end,
            _ => Sectors(u64::MAX),
        };
        let Some(place) = (0..self.ranges.len() - 1)
            .min_by_key(|i| self.ranges.get(*i..*i + 2).map_or(Sectors(u64::MAX), gap))
        else {
            return;
        };
        let right = self.ranges.remove(place + 1);
        if let Some(left) = self.ranges.get_mut(place) {
            left.end = right.end;
        }
        self.last = place;
        self.coarsened = true;
    }

    /// Whether a sector is in one of them.
    pub(super) fn contains(&self, sector: Sector) -> bool {
        let place = self.ranges.partition_point(|r| r.end < sector);
        self.ranges.get(place).is_some_and(|r| r.start <= sector)
    }

    /// The ranges in order.
    pub(super) fn as_slice(&self) -> &[SectorRange] {
        &self.ranges
    }

    /// Whether sectors that did not fail are in the ranges, for lack of room to keep them apart.
    pub(super) fn coarsened(&self) -> bool {
        self.coarsened
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges(inserts: &[(u64, u32)]) -> Ranges {
        let mut ranges = Ranges::default();
        for (start, count) in inserts {
            ranges.insert(Sector(*start), *count);
        }
        ranges
    }

    fn pairs(ranges: &Ranges) -> Vec<(u64, u64)> {
        ranges.as_slice().iter().map(|r| (r.start.0, r.end.0)).collect()
    }

    #[test]
    fn neighbours_become_one() {
        assert_eq!(pairs(&ranges(&[(8, 8), (24, 8), (16, 8)])), [(8, 31)]);
        assert_eq!(pairs(&ranges(&[(0, 0), (2, 1), (100, 8), (90, 50)])), [(0, 0), (2, 2), (90, 139)]);
        assert_eq!(pairs(&ranges(&[(u64::MAX, 8), (u64::MAX - 1, 1), (0, u32::MAX)])).len(), 2);
    }

    #[test]
    fn what_does_not_fit_is_coarsened_and_says_so() {
        let spread: Vec<(u64, u32)> = (0..RANGES_MAX as u64 + 1).map(|i| (i * 100, 8)).collect();
        assert!(!ranges(&spread[..RANGES_MAX]).coarsened());
        let ranges = ranges(&spread);
        assert!(ranges.coarsened());
        assert_eq!(ranges.as_slice().len(), RANGES_MAX);
        assert_eq!(ranges.as_slice()[0], SectorRange { start: Sector(0), end: Sector(107) });
    }

    proptest! {
        #[test]
        fn every_sector_is_covered_in_order_and_in_bounds(
            inserts in prop::collection::vec((0u64..2000, 0u32..40), 1..300)
        ) {
            let ranges = ranges(&inserts);
            let found = ranges.as_slice();
            prop_assert!(found.len() <= RANGES_MAX);
            prop_assert!(found.windows(2).all(|p| p[0].end + Sectors(1) < p[1].start));
            let covered = |s: u64| found.iter().any(|r| r.start.0 <= s && s <= r.end.0);
            for (start, count) in &inserts {
                let all_sectors = *start..*start + u64::from((*count).max(1));
                prop_assert!(all_sectors.clone().all(covered));
            }
            if !ranges.coarsened() {
                let failed = |s: u64| inserts.iter().any(|(b, n)| *b <= s && s < b + u64::from((*n).max(1)));
                for range in found {
                    prop_assert!((range.start.0..=range.end.0).all(failed));
                }
            }
        }
    }
}
