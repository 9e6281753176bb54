//! Text in fixed arrays.

/// The bytes before the first zero.
pub fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or(bytes)
}
