//! What is known of a request or a disk beside [`Io`](crate::event::Io).

use super::field::section;

section! {
    /// A request of the block layer, or a disk.
    BlockFacts {
        /// Tag of the request among those of its queue.
        tag: u32,
        /// REQ_* flags of the request (include/linux/blk_types.h), as the kernel prints them.
        flags: u32,
        /// Segments of memory that the request is of (`nr_phys_segments`): a write of none is a cache flush.
        phys_seg: u32,
        /// I/O priority class (IOPRIO_CLASS_*): 1 real time, 2 best effort, 3 idle.
        prio_class: u32,
        /// How long the longest of the requests took, in milliseconds.
        took_ms: u64,
        /// From how many milliseconds on a request of this device is reported as slow.
        limit_ms: u64,
        /// Block of the buffer or page cache, of a size that the line does not report.
        logical_block: u64,
        /// Whether the page was written for somebody who waits: `sync` or `async`.
        page_write: String,
        /// Direction of a swap request, or what a checksum guards.
        what: String,
        /// Offset in bytes.
        offset: u64,
        /// Length in bytes.
        length: u64,
        /// REQ_* operation and flags in one number.
        rw: u64,
        /// First sector beyond the end, or the largest number that is allowed.
        limit: u64,
        /// Sector at which the request would have ended.
        end: u64,
        /// What was asked for.
        asked: u64,
        /// Sectors of 512 bytes before the disk's size changed.
        old_sectors: u64,
        /// Sectors of 512 bytes since.
        new_sectors: u64,
        /// Whether the disk is read-only now.
        read_only: bool,
        /// Protection information (T10 PI) that was read.
        received: String,
        /// Protection information that was expected.
        expected: String,
    }
}

section! {
    /// What drivers of single kinds of disks say: nbd, rbd, zram, loop, virtio, s390.
    DriverFacts {
        /// Connections that are alive.
        alive: u32,
        /// Connections in all.
        connections: u32,
        /// Offset in bytes.
        offset: u64,
        /// Length in bytes.
        length: u64,
        /// Seconds of a time limit.
        seconds: u64,
        /// What failed.
        what: String,
        /// Page of zram.
        page: u64,
        /// Object of an rbd image.
        object: u64,
        /// Offset in the object in bytes.
        object_offset: u64,
        /// Length in the object in bytes.
        object_length: u64,
        /// What the kernel's line says beyond this.
        message: String,
    }
}

section! {
    /// An eMMC or SD card (drivers/mmc).
    MmcFacts {
        /// Name of the host.
        host: String,
        /// Part of the request that failed: `cmd`, `data`, `sbc`, `erase`.
        what: String,
        /// Status of the card (R1 response).
        status: u64,
        /// errno of the command, negative.
        error: i64,
        /// What the kernel's line says beyond this.
        message: String,
    }
}

section! {
    /// A UFS host (drivers/ufs).
    UfsFacts {
        /// Name of the controller.
        controller: String,
        /// What the kernel's line says beyond this.
        message: String,
    }
}

section! {
    /// DRBD (drivers/block/drbd).
    DrbdFacts {
        /// Name of the resource.
        resource: String,
        /// State before.
        old_state: String,
        /// State now.
        state: String,
        /// Disk below.
        member: String,
        /// Sector that the peer does not have.
        lost_sector: u64,
        /// What the kernel's line says beyond this.
        message: String,
    }
}
