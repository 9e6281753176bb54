//! From a read that failed to the blocks that cannot be read.

use peripety_model::{Sector, Sectors};
use rustix::io::Errno;

use crate::pass::Bad;

/// Reads that may fail for one piece: each may take a disk many seconds. What is left then counts as bad as a whole.
const FAILING_MAX: u32 = 24;

/// Errors that say that these very blocks cannot be read; any other is about the device or the way to it.
pub(super) const fn is_of_blocks(error: Errno) -> bool {
    matches!(error, Errno::IO | Errno::NODATA | Errno::ILSEQ)
}

/// Finds what of a piece that failed (bytes `from` until `end`) cannot be read, to blocks of `block` bytes, by reads of halves.
/// What lies side by side is one.
pub(super) fn narrow(
    (from, end): (u64, u64),
    block: u64,
    error: Errno,
    mut read: impl FnMut(u64, u64) -> Result<(), Errno>,
) -> Result<Vec<Bad>, Errno> {
    let mut found: Vec<Bad> = Vec::new();
    // The first is looked at next; each is known to fail, or is still to be read.
    let mut open = vec![(from, end, Some(error))];
    let mut left = FAILING_MAX;
    while let Some((from, end, known)) = open.pop() {
        let failed = match known {
            Some(error) => Err(error),
            // Unread, it cannot be called good.
            None if left == 0 => Err(error),
            None => read(from, end - from),
        };
        let error = match failed {
            Ok(()) => continue,
            Err(error) if is_of_blocks(error) => error,
            Err(error) => return Err(error),
        };
        left = left.saturating_sub(u32::from(known.is_none()));
        let blocks = (end - from) / block;
        if blocks > 1 && left > 0 {
            let middle = from + blocks / 2 * block;
            open.push((middle, end, None));
            open.push((from, middle, None));
            continue;
        }
        let (sector, count) = (Sector(from / 512), Sectors((end - from) / 512));
        let errno = peripety_model::Errno::from_raw(error.raw_os_error());
        match found.last_mut() {
            Some(last) if last.sector + last.count == sector && last.errno == errno => {
                last.count = Sectors(last.count.0 + count.0);
            }
            _ => found.push(Bad { sector, count, errno }),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn disk(bad: &[u64], reads: &mut u32) -> impl FnMut(u64, u64) -> Result<(), Errno> {
        let bad = bad.to_vec();
        move |from, len| {
            let is_bad = bad.iter().any(|block| (from / 512..(from + len) / 512).contains(block));
            *reads += u32::from(is_bad);
            if is_bad { Err(Errno::IO) } else { Ok(()) }
        }
    }

    fn find(bad: &[u64], until: u64) -> (Vec<(u64, u64)>, u32) {
        let mut reads = 0;
        let found = narrow((0, until), 512, Errno::IO, disk(bad, &mut reads)).unwrap();
        (found.iter().map(|bad| (bad.sector.0, bad.count.0)).collect(), reads)
    }

    #[test]
    fn blocks_are_found_and_neighbours_are_one() {
        assert_eq!(find(&[77], 1 << 20).0, [(77, 1)]);
        assert_eq!(find(&[8, 9, 10, 11], 64 << 10).0, [(8, 4)]);
        assert_eq!(find(&[0, 127], 64 << 10).0, [(0, 1), (127, 1)]);
        // All of it: no read for each block.
        let all: Vec<u64> = (0..2048).collect();
        assert_eq!(find(&all, 1 << 20), (vec![(0, 2048)], FAILING_MAX));
        // What is no fault of blocks ends it.
        assert_eq!(narrow((0, 4096), 512, Errno::IO, |_, _| Err(Errno::NXIO)), Err(Errno::NXIO));
    }

    proptest! {
        #[test]
        fn nothing_that_fails_is_missed_and_reads_are_bounded(bad in prop::collection::btree_set(0_u64..2048, 1..40), block in 0_u32..4) {
            let bad: Vec<u64> = bad.into_iter().collect();
            let mut reads = 0;
            let found = narrow((0, 1 << 20), 512 << block, Errno::IO, disk(&bad, &mut reads)).unwrap();
            prop_assert!(reads <= FAILING_MAX);
            for sector in bad {
                prop_assert!(found.iter().any(|range| (range.sector..range.sector + range.count).contains(&Sector(sector))));
            }
            prop_assert!(found.windows(2).all(|pair| pair[0].sector + pair[0].count <= pair[1].sector));
        }
    }
}
