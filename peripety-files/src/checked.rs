//! Lines with a checksum, for files in which a kill, a full filesystem or a bad page may have left anything.
//!
//! A line is the CRC-32 of its text in eight hexadecimal digits, a space, the text. What is written at a time begins with
//! an empty line, so that it stands apart from whatever an interrupted write left before it. A reader passes over what is no
//! such line and goes on with the next one: damage costs the lines that it hit, and none after them.

use std::io::{self, BufRead};

/// Longest line that is read or written, in bytes; what is longer is passed over without being kept in memory.
pub const LINE_MAX: usize = 4 << 20;
/// Bytes of the checksum and the space after it.
const SUM: usize = 9;

/// Adds a line with this text, which must have no newline in it.
pub fn seal(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(format!("{:08x} ", crc32fast::hash(text)).as_bytes());
    out.extend_from_slice(text);
    out.push(b'\n');
}

/// The text of a line (without its newline); none if it is not as it was written.
pub fn unseal(line: &[u8]) -> Option<&[u8]> {
    let (sum, text) = line.split_at_checked(SUM)?;
    let (digits, space) = sum.split_at_checked(SUM - 1)?;
    let sum = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (space == b" " && crc32fast::hash(text) == sum).then_some(text)
}

/// What stands in a file next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A whole line, whose text is in the buffer.
    Line,
    /// Something else, up to a newline.
    Bad,
    /// Something without a newline at the end of the file: a write that was interrupted, or damage.
    Torn,
}

/// Reads the lines of a file.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    at: u64,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// From the beginning of `input`.
    pub const fn new(input: R) -> Self {
        Self { input, at: 0, line: Vec::new() }
    }

    /// The next piece and where it begins and ends, without the empty lines and NUL bytes before it. None at the end.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn next_piece(&mut self) -> io::Result<Option<(Piece, std::ops::Range<u64>)>> {
        loop {
            let (start, whole) = self.fill()?;
            let nothing = self.line.iter().all(|byte| *byte == 0) && self.at - start <= LINE_MAX as u64;
            if nothing && whole {
                continue;
            }
            if nothing {
                return Ok(None);
            }
            let nuls = self.line.iter().take_while(|byte| **byte == 0).count();
            self.line.drain(..nuls);
            let piece = match unseal(&self.line) {
                _ if !whole => Piece::Torn,
                Some(_) => Piece::Line,
                None => Piece::Bad,
            };
            return Ok(Some((piece, start + nuls as u64..self.at)));
        }
    }

    /// The text of the last piece, if that was a line.
    pub fn text(&self) -> &[u8] {
        unseal(&self.line).unwrap_or_default()
    }

    /// Reads to the next newline, and keeps no more than the longest line. Where it began, and whether there was a newline.
    fn fill(&mut self) -> io::Result<(u64, bool)> {
        self.line.clear();
        let start = self.at;
        loop {
            let chunk = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                chunk => chunk?,
            };
            if chunk.is_empty() {
                return Ok((start, false));
            }
            let newline = memchr::memchr(b'\n', chunk);
            let taken = newline.unwrap_or(chunk.len());
            let room = (LINE_MAX + 1).saturating_sub(self.line.len());
            self.line.extend_from_slice(chunk.get(..taken.min(room)).unwrap_or_default());
            let consumed = taken + usize::from(newline.is_some());
            self.input.consume(consumed);
            self.at += consumed as u64;
            if newline.is_some() {
                return Ok((start, true));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(bytes: &[u8]) -> (Vec<String>, usize) {
        let mut lines = Lines::new(bytes);
        let (mut texts, mut others) = (Vec::new(), 0);
        while let Some((piece, range)) = lines.next_piece().unwrap() {
            match piece {
                Piece::Line => {
                    let text = String::from_utf8(lines.text().to_vec()).unwrap();
                    assert_eq!(range.end - range.start, (text.len() + SUM + 1) as u64);
                    texts.push(text);
                }
                Piece::Bad | Piece::Torn => others += 1,
            }
        }
        (texts, others)
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let mut bytes = vec![b'x'; 3 * LINE_MAX];
        bytes.push(b'\n');
        seal(&mut bytes, b"after");
        assert_eq!(texts(&bytes), (vec!["after".to_owned()], 1));
        assert_eq!(texts(&vec![b'y'; 2 * LINE_MAX]), (vec![], 1));
    }

    proptest! {
        /// Whatever overwrites, cuts, or is put into a file: each line that was not hit is read.
        #[test]
        fn damage_costs_what_it_hits(
            count in 1usize..20, at in 0usize..2000, what in proptest::collection::vec(any::<u8>(), 0..300), insert: bool,
        ) {
            let mut bytes = Vec::new();
            let mut places = Vec::new();
            for n in 0..count {
                bytes.push(b'\n');
                let start = bytes.len();
                seal(&mut bytes, format!("line {n}").as_bytes());
                places.push(start..bytes.len());
            }
            let at = at % (bytes.len() + 1);
            let end = if insert { at } else { (at + what.len()).min(bytes.len()) };
            bytes.splice(at..end, what);
            let (found, _) = texts(&bytes);
            let spared = places.iter().enumerate().filter(|(_, place)| place.end <= at || place.start > end);
            for (n, _) in spared {
                prop_assert!(found.contains(&format!("line {n}")), "{} of {:?}", n, found);
            }
            prop_assert!(found.is_sorted_by_key(|text| text[5..].parse::<u32>().unwrap()));
        }
    }
}
