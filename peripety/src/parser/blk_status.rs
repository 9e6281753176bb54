//! The errno of each blk_status_t: BLK_STS_* in include/linux/blk_types.h, their errno in block/blk-core.c, blk_errors.

use crate::event::Errno;

/// Numbers that no version moved.
const FIXED: &[(u8, Errno)] = &[
    (1, Errno::EOPNOTSUPP), // NOTSUPP
    (2, Errno::ETIMEDOUT),  // TIMEOUT
    (3, Errno::ENOSPC),     // NOSPC
    (4, Errno::ENOLINK),    // TRANSPORT
    (5, Errno::EREMOTEIO),  // TARGET
    (6, Errno::EBADE),      // NEXUS, later RESV_CONFLICT
    (7, Errno::ENODATA),    // MEDIUM
    (8, Errno::EILSEQ),     // PROTECTION
    (9, Errno::ENOMEM),     // RESOURCE
    (10, Errno::EIO),       // IOERR
    (11, Errno::EREMCHG),   // DM_REQUEUE
    (12, Errno::EAGAIN),    // AGAIN
    (13, Errno::EBUSY),     // DEV_RESOURCE
];

/// Up to 6.9: ZONE_OPEN_RESOURCE, ZONE_ACTIVE_RESOURCE, OFFLINE, DURATION_LIMIT.
const BEFORE_6_10: &[(u8, Errno)] =
    &[(15, Errno::ETOOMANYREFS), (16, Errno::EOVERFLOW), (17, Errno::ENODEV), (18, Errno::ETIME)];

/// From 6.10, which dropped ZONE_RESOURCE (14) and moved the others up: the same, and INVAL.
const SINCE_6_10: &[(u8, Errno)] = &[
    (14, Errno::ETOOMANYREFS),
    (15, Errno::EOVERFLOW),
    (16, Errno::ENODEV),
    (17, Errno::ETIME),
    (19, Errno::EINVAL),
];

/// Pairs of blk_status_t and errno of a kernel.
pub(crate) fn of_kernel(is_before_6_10: bool) -> impl Iterator<Item = (u8, Errno)> {
    let moved = if is_before_6_10 { BEFORE_6_10 } else { SINCE_6_10 };
    FIXED.iter().chain(moved).copied()
}

/// The errno of a status that a filesystem prints raw; none for a number that is not the same in every kernel.
pub(crate) fn errno(status: u64) -> Option<Errno> {
    FIXED.iter().find(|(number, _)| u64::from(*number) == status).map(|(_, errno)| *errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offline_moved_and_medium_did_not() {
        let of = |before: bool, status: u8| of_kernel(before).find(|(s, _)| *s == status).map(|(_, e)| e);
        assert_eq!(
            (of(true, 17), of(false, 16), of(false, 17)),
            (Some(Errno::ENODEV), Some(Errno::ENODEV), Some(Errno::ETIME))
        );
        for before in [true, false] {
            assert_eq!((of(before, 7), of(before, 10)), (Some(Errno::ENODATA), Some(Errno::EIO)));
        }
        assert_eq!(
            (errno(7), errno(10), errno(0), errno(17)),
            (Some(Errno::ENODATA), Some(Errno::EIO), None, None)
        );
    }

    #[test]
    fn every_errno_of_a_status_has_its_words() {
        for (_, errno) in of_kernel(true).chain(of_kernel(false)) {
            assert!(super::super::errno::BLOCK_ERRORS.iter().any(|row| row.errno == errno), "{errno}");
        }
    }
}
