//! Numbers and strings of a packet: little-endian; a string is its length in bytes (u32), the bytes, and a NUL.

/// Bytes that are no packet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The packet ends inside a field.
    #[error("the packet ends inside {field}, at byte {at} of {length}")]
    Short {
        /// The field.
        field: &'static str,
        /// Where the field begins, in bytes.
        at: usize,
        /// Bytes of the packet.
        length: usize,
    },
    /// There are bytes after the last field.
    #[error("{0} bytes stand after the last field")]
    Long(usize),
    /// The packet says that it has another length.
    #[error("the packet says {says} bytes and has {has}")]
    Size {
        /// What it says.
        says: u64,
        /// What it has.
        has: usize,
    },
    /// A version that is not known.
    #[error("version {major}.{minor} is not known")]
    Version {
        /// Major.
        major: u16,
        /// Minor.
        minor: u16,
    },
    /// A kind of message that is not known, or does not come from this side.
    #[error("a message of kind {0} is not expected")]
    Kind(u8),
}

/// Reads the fields of a packet one after the other.
#[derive(Debug)]
pub struct Reader<'a> {
    all: usize,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// From its first byte.
    pub const fn new(packet: &'a [u8]) -> Self {
        Self { all: packet.len(), rest: packet }
    }

    /// What was not read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// `N` bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn bytes<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let Some((bytes, rest)) = self.rest.split_first_chunk::<N>() else { return Err(self.short(field)) };
        self.rest = rest;
        Ok(*bytes)
    }

    /// A string, as bytes: names of files need not be UTF-8.
    ///
    /// # Errors
    /// The packet is shorter.
    pub fn string(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.u32(field)?).map_err(|_| self.short(field))?;
        let Some((bytes, rest)) = self.rest.split_at_checked(length) else { return Err(self.short(field)) };
        let Some((_nul, rest)) = rest.split_first() else { return Err(self.short(field)) };
        self.rest = rest;
        Ok(bytes)
    }

    /// An unsigned byte.
    ///
    /// # Errors
    /// The packet is shorter.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.bytes(field).map(u8::from_le_bytes)
    }

    /// Two bytes.
    ///
    /// # Errors
    /// The packet is shorter.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.bytes(field).map(u16::from_le_bytes)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// The packet is shorter.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.bytes(field).map(u32::from_le_bytes)
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// The packet is shorter.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.bytes(field).map(u64::from_le_bytes)
    }

    /// Eight bytes with a sign.
    ///
    /// # Errors
    /// The packet is shorter.
    pub fn i64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        self.bytes(field).map(i64::from_le_bytes)
    }

    /// Nothing may follow.
    ///
    /// # Errors
    /// Something does.
    pub const fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Long(self.rest.len())) }
    }

    const fn short(&self, field: &'static str) -> DecodeError {
        DecodeError::Short { field, at: self.all.saturating_sub(self.rest.len()), length: self.all }
    }
}

/// Appends a string as a packet has it.
pub fn put_string(packet: &mut Vec<u8>, text: &[u8]) {
    packet.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    packet.extend_from_slice(text);
    packet.push(0);
}

/// A packet from its hexadecimal form, in which blanks are of no matter.
#[cfg(test)]
pub(crate) fn of_hex(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
