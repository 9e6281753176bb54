//! Bytes to lines, in bounded memory, whatever the file is.

use std::io::{self, BufRead, BufReader, Read};

/// Bytes of a line that are kept: a record of the kernel has at most 8 KiB, a field of the journal may have more.
pub(super) const LINE_MAX: usize = 64 << 10;
/// Bytes that are looked at before it is decided what a file is.
pub(crate) const SAMPLE: usize = 64 << 10;

/// A file that is read line by line.
pub struct Input<'r> {
    from: BufReader<Box<dyn Read + 'r>>,
    sample: Vec<u8>,
    sampled: usize,
    line: Vec<u8>,
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
            from: BufReader::with_capacity(SAMPLE, Box::new(from)),
            sample: Vec::new(),
            sampled: 0,
            line: Vec::new(),
            cut: 0,
            failed: None,
        }
    }

    /// The file's first bytes, without taking them; only before the first line.
    pub fn sample(&mut self) -> &[u8] {
        if self.sample.is_empty() {
            let limit = u64::try_from(SAMPLE).unwrap_or(u64::MAX);
            let mut sample = Vec::new();
            if let Err(error) = (&mut self.from).take(limit).read_to_end(&mut sample) {
                self.failed = Some(error);
            }
            self.sample = sample;
        }
        &self.sample
    }

    /// The next line without its end; none at the end of the file, or where it could be read no further. A line that is
    /// too long is cut; of empty ones that follow each other some are left out.
    pub fn line(&mut self) -> Option<&[u8]> {
        self.line.clear();
        let (mut any, mut cut) = (false, false);
        while let Some((available, line)) = self.available() {
            any = true;
            let end = memchr::memchr(b'\n', available);
            let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
            let mut used = part.len() + usize::from(end.is_some());
            if end == Some(0) && line.is_empty() {
                // Empty lines mean nothing, however many there are: gigabytes of them take kilobytes when packed.
                let more = available.iter().position(|byte| *byte != b'\n');
                used = more.unwrap_or(available.len());
            }
            cut |= keep(line, part);
            self.consume(used);
            if end.is_some() {
                break;
            }
        }
        self.cut += u64::from(cut);
        any.then_some(self.line.as_slice())
    }

    /// Takes `length` bytes and gives the first of them, as many as a line may have; none if there are not so many.
    pub fn bytes(&mut self, length: u64) -> Option<&[u8]> {
        self.line.clear();
        let (mut left, mut cut) = (length, false);
        while left > 0 {
            let (available, line) = self.available()?;
            let used = available.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            cut |= keep(line, available.get(..used).unwrap_or_default());
            self.consume(used);
            left -= u64::try_from(used).unwrap_or(left);
        }
        self.cut += u64::from(cut);
        Some(&self.line)
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

    /// What can be had next, and the line that it may become a part of; none at the end.
    fn available(&mut self) -> Option<(&[u8], &mut Vec<u8>)> {
        if self.sampled < self.sample.len() {
            return Some((self.sample.get(self.sampled..).unwrap_or_default(), &mut self.line));
        }
        // What could not be read for the sample cannot be read now.
        while self.failed.is_none() {
            match self.from.fill_buf() {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.failed = Some(error),
            }
        }
        let available = if self.failed.is_none() { self.from.buffer() } else { &[] };
        (!available.is_empty()).then_some((available, &mut self.line))
    }

    fn consume(&mut self, used: usize) {
        if self.sampled < self.sample.len() {
            self.sampled += used;
        } else {
            self.from.consume(used);
        }
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
    fn what_cannot_be_read_ends_the_file_and_is_told() {
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
