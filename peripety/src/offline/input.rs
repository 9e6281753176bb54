//! Bytes to lines, in bounded memory, whatever the file is.

use std::io::{self, Read};

/// Bytes of a line that are kept: a record of the kernel has at most 8 KiB, a field of the journal may have more.
pub(super) const LINE_MAX: usize = 64 << 10;
/// Bytes that are looked at before it is decided what a file is.
pub(crate) const SAMPLE: usize = 64 << 10;
/// Bytes that are in memory: more than a line and a sample have.
const ROOM: usize = 256 << 10;

/// A file that is read line by line.
pub struct Input<'r> {
    from: Box<dyn Read + 'r>,
    room: Vec<u8>,
    /// What of `room` was read and not taken.
    start: usize,
    end: usize,
    is_over: bool,
    /// What has no place in `room`.
    long: Vec<u8>,
    cut: u64,
    failed: Option<io::Error>,
}

impl std::fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("cut", &self.cut).field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl<'r> Input<'r> {
    /// Reads from `from`.
    pub fn new(from: impl Read + 'r) -> Self {
        Self {
            from: Box::new(from),
            room: vec![0; ROOM],
            start: 0,
            end: 0,
            is_over: false,
            long: Vec::new(),
            cut: 0,
            failed: None,
        }
    }

    /// The file's first bytes, without taking them; only before the first line.
    pub fn sample(&mut self) -> &[u8] {
        while self.end - self.start < SAMPLE && self.fill() {}
        let sample = self.read_ahead();
        sample.get(..SAMPLE).unwrap_or(sample)
    }

    /// The next line without its end; none at the end of the file, or where it could be read no further. A line that is
    /// too long is cut; of empty ones that follow each other some are left out.
    pub fn line(&mut self) -> Option<&[u8]> {
        let mut looked_at = 0;
        loop {
            let ahead = self.read_ahead();
            let found = memchr::memchr(b'\n', ahead.get(looked_at..).unwrap_or_default());
            if let Some(length) = found.map(|at| looked_at + at) {
                let mut used = length + 1;
                if length == 0 {
                    // Empty lines mean nothing, however many there are: gigabytes of them take kilobytes when packed.
                    used = ahead.iter().position(|byte| *byte != b'\n').unwrap_or(ahead.len());
                }
                return Some(self.take(length, used));
            }
            looked_at = ahead.len();
            if looked_at > LINE_MAX {
                return Some(self.rest_of_long_line());
            }
            if !self.fill() {
                return (looked_at > 0).then(|| self.take(looked_at, looked_at));
            }
        }
    }

    /// Takes `length` bytes and gives the first of them, as many as a line may have; none if there are not so many.
    pub fn bytes(&mut self, length: u64) -> Option<&[u8]> {
        self.long.clear();
        let (mut left, mut is_cut) = (length, false);
        while left > 0 {
            if self.start == self.end && !self.fill() {
                return None;
            }
            let ahead = self.room.get(self.start..self.end).unwrap_or_default();
            let used = ahead.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            is_cut |= keep(&mut self.long, ahead.get(..used).unwrap_or_default());
            self.start += used;
            left -= u64::try_from(used).unwrap_or(left);
        }
        self.cut += u64::from(is_cut);
        Some(&self.long)
    }

    /// Lines that were too long.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// Why the file could not be read to its end.
    pub fn failed(&self) -> Option<&io::Error> {
        self.failed.as_ref()
    }

    /// The same, when the file is done with.
    pub fn into_failure(self) -> Option<io::Error> {
        self.failed
    }

    fn read_ahead(&self) -> &[u8] {
        self.room.get(self.start..self.end).unwrap_or_default()
    }

    /// Takes `used` bytes, of which the first `length` are a line.
    fn take(&mut self, length: usize, used: usize) -> &[u8] {
        let start = self.start;
        self.start += used;
        self.cut += u64::from(length > LINE_MAX);
        self.room.get(start..start + length.min(LINE_MAX)).unwrap_or_default()
    }

    /// A line of which there is more than is kept.
    fn rest_of_long_line(&mut self) -> &[u8] {
        self.long.clear();
        self.cut += 1;
        loop {
            let ahead = self.room.get(self.start..self.end).unwrap_or_default();
            let end = memchr::memchr(b'\n', ahead);
            let length = end.unwrap_or(ahead.len());
            keep(&mut self.long, ahead.get(..length).unwrap_or_default());
            self.start += length + usize::from(end.is_some());
            if end.is_some() || !self.fill() {
                return &self.long;
            }
        }
    }

    /// Reads more; false at the end, and where nothing more can be read.
    fn fill(&mut self) -> bool {
        if self.is_over {
            return false;
        }
        if self.start > 0 {
            self.room.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let Some(free) = self.room.get_mut(self.end..).filter(|free| !free.is_empty()) else { return false };
        let length = loop {
            match self.from.read(free) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = Some(error);
                    break 0;
                }
                Ok(length) => break length,
            }
        };
        self.is_over = length == 0;
        self.end += length;
        !self.is_over
    }
}

/// Adds to a line what it has room for; true if that is not all.
fn keep(line: &mut Vec<u8>, part: &[u8]) -> bool {
    let room = LINE_MAX.saturating_sub(line.len());
    line.extend_from_slice(part.get(..room).unwrap_or(part));
    part.len() > room
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8], sampled: bool) -> Vec<Vec<u8>> {
        let mut input = Input::new(bytes);
        if sampled {
            input.sample();
        }
        let mut found = Vec::new();
        while let Some(line) = input.line() {
            found.push(line.to_owned());
        }
        found
    }

    #[test]
    fn lines_come_whole_and_the_last_needs_no_end() {
        for sampled in [false, true] {
            assert_eq!(lines(b"a\n\nbc", sampled), [&b"a"[..], b"", b"bc"]);
            assert_eq!(lines(b"", sampled), [] as [&[u8]; 0]);
            let long = [vec![b'x'; 3 * SAMPLE], b"\nend\n".to_vec()].concat();
            let found = lines(&long, sampled);
            assert_eq!((found.len(), found[0].len(), found[1].as_slice()), (2, LINE_MAX, &b"end"[..]));
        }
    }

    #[test]
    fn many_empty_lines_are_few() {
        let empty = [vec![b'\n'; 1 << 20], b"end".to_vec()].concat();
        for sampled in [false, true] {
            let found = lines(&empty, sampled);
            assert!(found.len() < 100, "{}", found.len());
            assert_eq!(found.last().map(Vec::as_slice), Some(&b"end"[..]));
        }
    }

    #[test]
    fn what_cannot_be_read_ends_the_file_and_is_reported() {
        struct Bad(bool);
        impl Read for Bad {
            fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(io::Error::other("broken"));
                }
                to[..4].copy_from_slice(b"a\nb\n");
                Ok(4)
            }
        }
        for sampled in [false, true] {
            let mut input = Input::new(Bad(false));
            if sampled {
                input.sample();
            }
            assert_eq!(input.line(), Some(&b"a"[..]));
            assert_eq!(input.line(), Some(&b"b"[..]));
            assert_eq!(input.line(), None);
            assert_eq!(input.failed().map(ToString::to_string).as_deref(), Some("broken"));
        }
    }

    #[test]
    fn bytes_are_taken_across_the_sample() {
        let mut input = Input::new(&b"head\n12345678rest\n"[..]);
        input.sample();
        assert_eq!(input.line(), Some(&b"head"[..]));
        assert_eq!(input.bytes(8), Some(&b"12345678"[..]));
        assert_eq!(input.line(), Some(&b"rest"[..]));
        assert_eq!(input.bytes(1), None);
    }
}
