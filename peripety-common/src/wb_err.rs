//! `filemap:filemap_set_wb_err`: the page cache could not write back an inode's data.

/// Names of a path that are kept: those nearest to the file.
pub const NAMES: usize = 8;
/// Bytes of each that are kept, with the zero at its end.
pub const NAME_BYTES: usize = 40;

wire_struct! {
    /// An inode that lost written data (include/trace/events/filemap.h). Folded in the kernel by device, inode and error:
    /// at most one record in a second for each, with the count so far.
    WbErr {
        /// Inode number; for a block device opened as a file, 0.
        ino: u64,
        /// How often it happened to this inode so far.
        count: u64,
        /// The filesystem's device (anonymous for btrfs), or the block device itself, in the kernel's encoding.
        dev: u32,
        /// errno, positive.
        errno: i32,
        /// How many names there are: of the file, of its directory, and so on upwards. From version 2 on.
        depth: u32,
        /// 1 if the last of them lies in the root of the filesystem: the path is whole.
        whole: u32,
        /// The names, [`NAME_BYTES`] for each.
        names: [u8; NAMES * NAME_BYTES],
    }
}

impl WbErr {
    /// An inode of which no name is known.
    pub const fn unnamed(dev: u32, ino: u64, errno: i32, count: u64) -> Self {
        Self { ino, count, dev, errno, depth: 0, whole: 0, names: [0; NAMES * NAME_BYTES] }
    }
}

wire_struct! {
    /// What the folding goes by: key of a kernel map.
    WbErrKey {
        /// Inode number.
        ino: u64,
        /// Device.
        dev: u32,
        /// errno, positive.
        errno: i32,
    }
}

wire_struct! {
    /// Value of the same map.
    WbErrState {
        /// How often it happened.
        count: u64,
        /// CLOCK_MONOTONIC of the last record in nanoseconds.
        sent_ns: u64,
    }
}
