//! `scsi:scsi_eh_wakeup`: the error handler of a SCSI host starts to work.

wire_struct! {
    /// A host whose error handler woke up.
    ScsiEh {
        /// Host number.
        host: u32,
        /// Commands of the host that failed and wait for it; [`UNKNOWN_FAILED`] where the probe cannot know.
        failed: u32,
    }
}

/// A classic tracepoint does not say how many commands failed.
pub const UNKNOWN_FAILED: u32 = u32::MAX;
