//! The errno of each blk_status_t: BLK_STS_* in include/linux/blk_types.h, their errno in block/blk-core.c, blk_errors.

use super::kernel::KernelVersion;

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
pub(crate) fn of_status(kernel: KernelVersion) -> impl Iterator<Item = (u8, i32)> {
    let moved = if kernel < KernelVersion::new(6, 10) { BEFORE_6_10 } else { SINCE_6_10 };
    FIXED.iter().chain(moved).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errno(kernel: (u16, u16), status: u8) -> Option<i32> {
        of_status(KernelVersion::new(kernel.0, kernel.1)).find(|(s, _)| *s == status).map(|(_, e)| e)
    }

    #[test]
    fn offline_moved_and_medium_did_not() {
        assert_eq!(errno((6, 1), 17), Some(19));
        assert_eq!(errno((6, 12), 16), Some(19));
        assert_eq!(errno((6, 12), 17), Some(62));
        for kernel in [(5, 10), (6, 1), (7, 2)] {
            assert_eq!(errno(kernel, 7), Some(61));
            assert_eq!(errno(kernel, 10), Some(5));
        }
    }
}
