//! The errno of each blk_status_t: BLK_STS_* in include/linux/blk_types.h, their errno in block/blk-core.c, blk_errors.

/// Numbers that no version moved.
const FIXED: &[(u8, i32)] = &[
    (1, 95),  // NOTSUPP: EOPNOTSUPP
    (2, 110), // TIMEOUT: ETIMEDOUT
    (3, 28),  // NOSPC: ENOSPC
    (4, 67),  // TRANSPORT: ENOLINK
    (5, 121), // TARGET: EREMOTEIO
    (6, 52),  // NEXUS, later RESV_CONFLICT: EBADE
    (7, 61),  // MEDIUM: ENODATA
    (8, 84),  // PROTECTION: EILSEQ
    (9, 12),  // RESOURCE: ENOMEM
    (10, 5),  // IOERR: EIO
    (11, 78), // DM_REQUEUE: EREMCHG
    (12, 11), // AGAIN: EAGAIN
    (13, 16), // DEV_RESOURCE: EBUSY
];

/// Up to 6.9: ZONE_OPEN_RESOURCE, ZONE_ACTIVE_RESOURCE, OFFLINE, DURATION_LIMIT.
const BEFORE_6_10: &[(u8, i32)] = &[(15, 109), (16, 75), (17, 19), (18, 62)];

/// From 6.10, which dropped ZONE_RESOURCE (14) and moved the others up: the same, and INVAL.
const SINCE_6_10: &[(u8, i32)] = &[(14, 109), (15, 75), (16, 19), (17, 62), (19, 22)];

/// Pairs of blk_status_t and errno of a kernel.
pub(crate) fn of_kernel(is_before_6_10: bool) -> impl Iterator<Item = (u8, i32)> {
    let moved = if is_before_6_10 { BEFORE_6_10 } else { SINCE_6_10 };
    FIXED.iter().chain(moved).copied()
}

/// The errno of a status that a filesystem prints raw; none for a number that is not the same in every kernel.
pub(crate) fn errno(status: u64) -> Option<i32> {
    FIXED.iter().find(|(number, _)| u64::from(*number) == status).map(|(_, errno)| *errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offline_moved_and_medium_did_not() {
        let of = |before: bool, status: u8| of_kernel(before).find(|(s, _)| *s == status).map(|(_, e)| e);
        assert_eq!((of(true, 17), of(false, 16), of(false, 17)), (Some(19), Some(19), Some(62)));
        for before in [true, false] {
            assert_eq!((of(before, 7), of(before, 10)), (Some(61), Some(5)));
        }
        assert_eq!((errno(7), errno(10), errno(0), errno(17)), (Some(61), Some(5), None, None));
    }

    #[test]
    fn every_errno_of_a_status_has_its_words() {
        for (_, errno) in of_kernel(true).chain(of_kernel(false)) {
            assert!(super::super::errno::BLOCK_ERRORS.iter().any(|row| row.errno == errno), "{errno}");
        }
    }
}
