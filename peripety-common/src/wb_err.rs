//! `filemap:filemap_set_wb_err`: the page cache could not write back an inode's data.

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
