//! The type that a program with typed arguments attaches to, as aya wants it.

use aya::{Btf, BtfError, Endianness};

/// Bytes of a header, and of a type without members (Documentation/bpf/btf.rst).
const HEADER_BYTES: u32 = 24;
const TYPE_BYTES: u32 = 12;
const CONST: u32 = 10 << 24;
const TYPEDEF: u32 = 8 << 24;
/// A kernel has some 100,000.
const MOST: u32 = 1 << 22;

/// Types of which all are nothing but the one that is wanted: aya asks them for its number and for nothing else, which is
/// known already. To let it read the kernel's own would take 20 MB and more time than all else at a start.
///
/// # Errors
/// The number is no type's.
pub(super) fn with_number(name: &str, id: u32) -> Result<Btf, BtfError> {
    let unknown = || BtfError::UnknownBtfType { type_id: id };
    let others = id.checked_sub(1).filter(|_| id <= MOST).ok_or_else(unknown)?;
    let strings = format!("\0{name}\0");
    let types_bytes = id * TYPE_BYTES;
    let strings_bytes = u32::try_from(strings.len()).map_err(|_long| unknown())?;
    let mut bytes = Vec::with_capacity((HEADER_BYTES + types_bytes + strings_bytes) as usize);
    bytes.extend(0xeb9f_u16.to_ne_bytes());
    bytes.extend([1, 0]);
    for number in [HEADER_BYTES, 0, types_bytes, types_bytes, strings_bytes] {
        bytes.extend(number.to_ne_bytes());
    }
    let mut add = |name: u32, info: u32| [name, info, 0].map(|n| bytes.extend(n.to_ne_bytes()));
    for _other in 0..others {
        add(0, CONST);
    }
    add(1, TYPEDEF);
    bytes.extend(strings.as_bytes());
    Btf::parse(&bytes, Endianness::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aya_reads_it_and_what_is_no_number_is_refused() {
        for id in [1, 2, 77, 120_000] {
            assert!(with_number("btf_trace_block_bio_complete", id).is_ok(), "{id}");
        }
        assert!(with_number("x", 0).is_err());
        assert!(with_number("x", u32::MAX).is_err());
    }
}
