//! What is known of stacked devices: device mapper, multipath, md.

use super::field::section;
use crate::Dev;

section! {
    /// A device-mapper device, its target, or what dmeventd says of it.
    DmFacts {
        /// Name of the device: `mpatha`, `vg-lv`.
        name: String,
        /// UUID of the device (DM_UUID).
        uuid: String,
        /// Part of a pool: `data` or `metadata`.
        area: String,
        /// Mode that a pool or cache went to: `read-only`, `out-of-data-space`.
        mode: String,
        /// What a pool without space does with writes: `queue IO`, `error IO`.
        policy: String,
        /// Operation that failed.
        operation: String,
        /// What was being done.
        what: String,
        /// Block of the target, of a size that is its own.
        block: u64,
        /// Position of a member in its array.
        position: u32,
        /// Library of the kernel that reports it: `btree`, `thin metadata`.
        library: String,
        /// Errors so far.
        errors: u64,
        /// How full a pool or snapshot is, or how much of a mirror or array is in sync, in percent.
        percent: f64,
        /// RAID level as LVM names it.
        level: String,
        /// Leg of a mirror, by the letter of its state (D, S, R, F, U), or by its number in a RAID.
        leg: String,
        /// Which part of a mirror: `Primary mirror`, `Log`.
        side: String,
        /// Operation that a leg failed: `flush`, `sync`, `read`.
        failed: String,
        /// State of a snapshot.
        state: String,
        /// Logical volume whose repair failed.
        volume: String,
        /// Legs that still serve what the failed one does not.
        legs_left: u32,
        /// What the kernel's or daemon's line says beyond this.
        message: String,
    }
}

section! {
    /// A multipath map and its paths (drivers/md/dm-mpath.c, dm-uevent.c; multipathd).
    MpathFacts {
        /// The map: by number where the kernel names it, by name where multipathd does.
        map: String,
        /// The path, by number.
        path: Dev,
        /// Paths that are left.
        valid_paths: u32,
        /// Paths that are in use.
        active_paths: u32,
        /// Path checker that reports it: `tur`, `directio`.
        checker: String,
        /// State that the checker found.
        state: String,
        /// Device handler (scsi_dh).
        handler: String,
        /// Error of the handler (SCSI_DH_*).
        handler_error: u32,
        /// Number of the path group.
        group: u32,
        /// How often requests wait for a path; -1 is for ever.
        max_retries: i64,
        /// The path fails too often to be used.
        marginal: bool,
        /// Why multipathd calls it marginal.
        errors: String,
        /// WWID that the path had.
        wwid_before: String,
        /// WWID that the path has now.
        wwid: String,
        /// Why, where the path leads elsewhere.
        reason: String,
        /// What the kernel's or daemon's line says beyond this.
        message: String,
    }
}

section! {
    /// An md array (drivers/md; mdadm).
    MdFacts {
        /// Name of the array: `md0`. LVM's RAID prints `mdX`.
        array: String,
        /// The arrays that it may be, where the line names none.
        candidates: Vec<String>,
        /// RAID level: `raid1`.
        level: String,
        /// Member that the line names beside the device at fault.
        member: String,
        /// Members that are left.
        devices_left: u32,
        /// Members that failed.
        failed: u32,
        /// Members in all.
        devices: u32,
        /// Sector of the array, of 512 bytes.
        array_sector: u64,
        /// Block that the line names.
        block: u64,
        /// Member that serves the data instead.
        mirror: String,
        /// What goes on: `recovery`, `resync`, `check`.
        action: String,
        /// How that ended.
        state: String,
        /// Sectors that the last check found to differ between members.
        mismatches: u64,
        /// mdadm's name of the event.
        event: String,
        /// Length in bytes.
        bytes: u64,
        /// Offset in bytes.
        offset: u64,
        /// Largest sector.
        limit: u64,
        /// Shift of the bad block log.
        shift: u32,
        /// What the kernel's or daemon's line says beyond this.
        message: String,
    }
}
