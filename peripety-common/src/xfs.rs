//! `xfs:xfs_force_shutdown` (Linux 5.15).

/// Bytes of a source file's name that are kept.
pub const FILE_BYTES: usize = 48;

wire_struct! {
    /// xfs is shut down (fs/xfs/xfs_fsops.c, xfs_do_force_shutdown).
    XfsShutdown {
        /// The filesystem's data device in the kernel's encoding.
        dev: u32,
        /// Panic mask tag.
        ptag: u32,
        /// SHUTDOWN_*: 1 metadata I/O error, 2 log I/O error, 4 forced by unmount, 8 corruption in memory,
        /// 16 corruption on disk, 32 device removed.
        flags: u32,
        /// Source line that reports it.
        line: u32,
        /// Source file that reports it.
        file: [u8; FILE_BYTES],
    }
}
