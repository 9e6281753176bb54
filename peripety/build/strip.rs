//! Takes DWARF out of the linked eBPF object: nine tenths of it, which the daemon would carry and read at every start. What
//! the kernel's verifier quotes source lines from is BTF, and stays.

use std::ops::Range;

use anyhow::{Context as _, Result, ensure};

/// Size of a section header of ELF64.
const HEADER: usize = 64;

/// The object with all sections in their places, those of DWARF empty: indices of sections and symbols stay true.
pub fn without_dwarf(object: &[u8]) -> Result<Vec<u8>> {
    ensure!(object.starts_with(b"\x7fELF\x02\x01"), "the linked object is no little-endian ELF64");
    let table = number(object, 40, 8)?;
    let (count, names) = (number(object, 60, 2)?, number(object, 62, 2)?);
    let header = |index: usize| -> Range<usize> { table + index * HEADER..table + (index + 1) * HEADER };
    let headers = object.get(table..header(count).start).context("section headers are cut off")?;
    let names = section(object, headers, names)?;

    let mut out = object.get(..HEADER).context("the ELF header is cut off")?.to_vec();
    let mut new_headers = headers.to_vec();
    for (index, new) in new_headers.chunks_exact_mut(HEADER).enumerate() {
        let name = object.get(names.start + number(new, 0, 4)?..names.end).context("a name is cut off")?;
        if name.starts_with(b".debug_") || name.starts_with(b".rel.debug_") {
            put(new, 24, 0)?;
            put(new, 32, 0)?;
            continue;
        }
        let data = section(object, headers, index)?;
        out.resize(out.len().next_multiple_of(number(new, 48, 8)?.max(1)), 0);
        put(new, 24, out.len() as u64)?;
        out.extend_from_slice(object.get(data).context("a section is cut off")?);
    }
    out.resize(out.len().next_multiple_of(8), 0);
    let table = out.len() as u64;
    put(&mut out, 40, table)?;
    out.extend(new_headers);
    Ok(out)
}

/// Where the data of a section lies.
fn section(object: &[u8], headers: &[u8], index: usize) -> Result<Range<usize>> {
    let header = headers.get(index * HEADER..).context("a section is not there")?;
    let start = number(header, 24, 8)?;
    let range = start..start + number(header, 32, 8)?;
    ensure!(range.end <= object.len(), "section {index} is cut off");
    Ok(range)
}

fn number(bytes: &[u8], at: usize, len: usize) -> Result<usize> {
    let bytes = bytes.get(at..at + len).context("the object is cut off")?;
    let number = bytes.iter().rev().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte));
    Ok(usize::try_from(number)?)
}

fn put(bytes: &mut [u8], at: usize, number: u64) -> Result<()> {
    let place = bytes.get_mut(at..at + 8).context("the object is cut off")?;
    place.copy_from_slice(&number.to_le_bytes());
    Ok(())
}
