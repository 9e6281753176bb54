//! `scsi:scsi_eh_wakeup`: the error handler of a SCSI host starts to work.

wire_struct! {
    /// A host whose error handler woke up.
    ScsiEh {
        /// Host number.
        host: u32,
        /// Padding.
        reserved: u32,
    }
}
