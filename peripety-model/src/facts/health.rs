//! The state of a disk at one time: what it says of itself, what the kernel counted of it, and how fast its link is.

use super::field::section;

section! {
    /// A health snapshot of a disk. What could not be read is not there, and `not_read` says why.
    HealthFacts {
        /// State of the device or controller, as sysfs has it: `running`, `offline`, `live`.
        state: String,
        /// Version of its firmware.
        firmware: String,
        /// The disk says that it fails: SMART status, a threshold that is reached, a critical warning of NVMe, an
        /// informational exception of SCSI.
        failing: bool,
        /// Why it says so.
        failing_because: String,
        /// Temperature in degrees Celsius.
        temperature: i64,
        /// Hours that it was switched on.
        power_on_hours: u64,
        /// How much of its life is used, in percent; may be above 100.
        used_percent: u64,
        /// Spare blocks that are left, in percent.
        spare_percent: u64,
        /// Errors that it could not correct: media errors of NVMe, uncorrected errors of SCSI, reported ones of ATA.
        uncorrected_errors: u64,
        /// Errors that it corrected (SCSI).
        corrected_errors: u64,
        /// Sectors that were replaced (ATA attribute 5).
        reallocated_sectors: u64,
        /// Sectors that wait to be replaced (ATA attribute 197).
        pending_sectors: u64,
        /// Sectors that could not be read when it tested itself (ATA attribute 198).
        offline_uncorrectable: u64,
        /// Errors between it and its controller (ATA attribute 199).
        interface_errors: u64,
        /// How often it lost power without a warning (NVMe).
        unsafe_shutdowns: u64,
        /// Commands that the kernel sent to it (SCSI, since it came).
        commands: u64,
        /// Commands that failed.
        commands_failed: u64,
        /// Commands that were not answered in time (Linux 6.6 and later).
        commands_timed_out: u64,
        /// Speed and width of its links, and what they could be: `SATA 3.0 of 6.0 Gbps`.
        link: String,
        /// A link is slower or narrower than it could be.
        link_reduced: bool,
        /// What was not read, and why.
        not_read: String,
    }
}
