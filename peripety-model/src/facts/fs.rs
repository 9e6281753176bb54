//! What is known of a filesystem's failure.

use super::field::{FromText, section};

/// How far a mount got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MountStage {
    /// It began, and may fail yet: the kernel says nothing more when it succeeded.
    Begun,
}

impl FromText for MountStage {
    fn from_text(text: &str) -> Option<Self> {
        (text == "begun").then_some(Self::Begun)
    }
}

section! {
    /// What a filesystem found, and where.
    FsFacts {
        /// Name by which the filesystem calls itself, where that is not the device at fault: of several devices of
        /// btrfs, any.
        device: String,
        /// Function in the kernel that found it.
        function: String,
        /// Line of the kernel's source.
        line: u32,
        /// File of the kernel's source.
        file: String,
        /// Function that called it.
        caller: String,
        /// Inode number.
        inode: u64,
        /// Offset in the file or device in bytes; ext4 counts some in blocks of the filesystem.
        offset: u64,
        /// Length in bytes.
        size: u64,
        /// Path of the file.
        path: String,
        /// Block of the filesystem, of a size that is its own.
        block: i64,
        /// Block of a directory.
        dir_block: u64,
        /// Number of blocks of the filesystem.
        blocks: u64,
        /// Block group.
        group: u64,
        /// Pages of the page cache.
        pages: i64,
        /// Journal credits of a handle (jbd2).
        credits: u64,
        /// Why, in the kernel's words.
        reason: String,
        /// Flags of a shutdown: EXT4_GOING_FLAGS_* or SHUTDOWN_* (fs/xfs/xfs_mount.h).
        flags: u32,
        /// errno beside that of the request, as the kernel prints it: negative.
        error: i64,
        /// Errors since the last check.
        errors: u64,
        /// Metadata structure that is wrong (xfs: the buffer's verifier).
        structure: String,
        /// What is wrong with it.
        detail: String,
        /// Kind of quota.
        quota: String,
        /// UUID of the filesystem.
        uuid: String,
        /// How it is mounted: `ro`, `r/w`.
        access: String,
        /// Data mode of ext4's journal.
        data_mode: String,
        /// Options of the mount.
        options: String,
        /// Device of the log: `internal`, or its name.
        logdev: String,
        /// How far a mount got.
        stage: MountStage,
        /// Seconds that the kernel names in the line: an interval or a delay.
        seconds: u64,
        /// The same in milliseconds.
        milliseconds: u64,
        /// Kind that the line names: of filesystem (`FAT`), or of error (`abort`).
        kind: String,
        /// Id of the filesystem in its cluster.
        fsid: String,
        /// Code of a reason, as the filesystem prints it.
        code: String,
        /// Version or checkpoint number that the line names.
        version: String,
        /// What the kernel's line says beyond this.
        message: String,
    }
}

section! {
    /// What only btrfs says.
    BtrfsFacts {
        /// State letters of the filesystem: E error, A aborted, M remounting, C checksums, L log replay, S shutdown.
        state: String,
        /// Writes that failed on the device so far.
        write_errs: u64,
        /// Reads that failed.
        read_errs: u64,
        /// Flushes that failed.
        flush_errs: u64,
        /// Blocks whose checksum did not match.
        corruption_errs: u64,
        /// Blocks of a wrong generation.
        generation_errs: u64,
        /// The member, where btrfs has no device for it.
        member: String,
        /// Number of the transaction.
        transaction: u64,
        /// Tree that the inode is in.
        root: i64,
        /// Logical address in bytes.
        logical: u64,
        /// Address on the device in bytes.
        physical: u64,
        /// Number of the copy.
        mirror: u32,
        /// Checksum that was found.
        found: String,
        /// Checksum that was expected.
        expected: String,
        /// The error in words.
        error: String,
    }
}

section! {
    /// What only the journal of ext4 and ocfs2 (jbd2) says.
    Jbd2Facts {
        /// Inode of the journal in its filesystem.
        inode: u64,
        /// Number of the transaction.
        transaction: u64,
        /// Number that was expected.
        expected: u64,
        /// Pass of the recovery.
        pass: u32,
        /// Block of the filesystem that is written back.
        metadata_block: u64,
        /// Last block of a range.
        end: u64,
        /// Blocks that a handle needs.
        needed: u64,
        /// Blocks that there are.
        had: u64,
        /// Transaction that somebody asked to commit.
        commit_request: u64,
        /// Transaction that somebody waits for.
        tid: u64,
    }
}

section! {
    /// What only ZFS says.
    ZfsFacts {
        /// Name of the pool.
        pool: String,
        /// Path of the virtual device.
        vdev: String,
        /// State of the virtual device: `FAULTED`.
        vdev_state: String,
        /// Number of the event in ZFS's own log.
        eid: u64,
        /// Type of the I/O (zio_type_t): 1 read, 2 write.
        zio_type: u32,
    }
}

section! {
    /// What only bcache says.
    BcacheFacts {
        /// Name of the device: `bcache0`.
        device: String,
        /// Name of a member as bcache prints it.
        name: String,
        /// UUID of the cache set.
        uuid: String,
        /// Which device failed: `backing device`, `cache device`.
        role: String,
        /// What was being done.
        action: String,
        /// Whether the read was repeated from elsewhere.
        recovering: bool,
        /// Seconds until something is done.
        seconds: u64,
        /// What the kernel's line says beyond this.
        message: String,
    }
}
