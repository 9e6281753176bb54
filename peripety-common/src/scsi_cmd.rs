//! `scsi:scsi_dispatch_cmd_done` and `scsi:scsi_dispatch_cmd_timeout`: a command that did not simply succeed.

/// Bytes of the command that are kept; longer ones are variable length CDBs.
pub const CDB_BYTES: usize = 32;
/// Bytes of the sense data that are kept: the fixed format's 18, or the header and the first descriptors.
pub const SENSE_BYTES: usize = 32;
/// [`ScsiCmd::sector`] when it is not known.
pub const NO_SECTOR: u64 = u64::MAX;

wire_struct! {
    /// A SCSI command (include/trace/events/scsi.h, class scsi_cmd_done_timeout_template).
    #[cfg_attr(feature = "user", derive(serde::Serialize, serde::Deserialize))]
    ScsiCmd {
        /// LUN; 32 bits of it by a classic tracepoint.
        lun: u64,
        /// First sector of the request in units of 512 bytes, or [`NO_SECTOR`].
        sector: u64,
        /// Host number.
        host: u32,
        /// Channel.
        channel: u32,
        /// Target.
        target: u32,
        /// The disk in the kernel's encoding, 0 where it is not known.
        dev: u32,
        /// Result: status byte, and host byte << 16.
        result: u32,
        /// The driver's tag, -1 where it is not known.
        tag: i32,
        /// Data of the request in bytes, 0 where it is not known.
        data_len: u32,
        /// Length of the command.
        cmd_len: u16,
        /// How often it was tried again.
        retries: u8,
        /// How often it may be tried again.
        allowed: u8,
        /// 1 if the three sense bytes below are set, 2 if `sense` is.
        sense_valid: u8,
        /// Sense key.
        sense_key: u8,
        /// Additional sense code.
        asc: u8,
        /// Additional sense code qualifier.
        ascq: u8,
        /// Padding.
        reserved: u32,
        /// The command.
        cdb: [u8; CDB_BYTES],
        /// Start of the sense data.
        sense: [u8; SENSE_BYTES],
    }
}
