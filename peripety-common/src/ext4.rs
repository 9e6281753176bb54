//! `ext4:ext4_error` and `ext4:ext4_shutdown`.

/// Bytes of a function's name that are kept.
pub const FUNCTION_BYTES: usize = 48;

wire_struct! {
    /// ext4 found itself inconsistent or failed to read metadata (fs/ext4/super.c, __ext4_error and its kin).
    Ext4Error {
        /// The filesystem's device, a partition or dm device, in the kernel's encoding.
        dev: u32,
        /// Source line that reports it.
        line: u32,
        /// Function that reports it.
        function: [u8; FUNCTION_BYTES],
    }
}

wire_struct! {
    /// ext4 is shut down (fs/ext4/ioctl.c, ext4_force_shutdown).
    Ext4Shutdown {
        /// The filesystem's device in the kernel's encoding.
        dev: u32,
        /// EXT4_GOING_FLAGS_*: 0 default, 1 flush the log, 2 do not.
        flags: u32,
    }
}
