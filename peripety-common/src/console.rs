//! `printk:console`: kernel text on its way to the console.

/// Bytes of text that are kept.
pub const TEXT_BYTES: usize = 256;

wire_struct! {
    /// A piece of kernel text, without level or sequence: its worth is its time.
    Console {
        /// Length of the text in the kernel; more than [`TEXT_BYTES`] if it was cut.
        len: u32,
        /// Padding.
        reserved: u32,
        /// The text, filled up with zeros.
        text: [u8; TEXT_BYTES],
    }
}
