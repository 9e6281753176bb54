//! Pairs of a record and a line of text about the same moment, by which the clock of kernel text is known.
//!
//! `printk:console` sees each line. Where it is off, the block layer's line about a request that failed is made just before the
//! hook that reports the same request (`blk_update_request`).

use std::collections::VecDeque;

use peripety_common::{KernelRecord, Payload, text::until_nul};

/// Texts of `printk:console`, and requests, that wait for their line in /dev/kmsg.
const MOST: usize = 64;

/// What waits for its line.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Pairing {
    texts: VecDeque<(Vec<u8>, u64)>,
    /// Device, sector and time of requests that failed.
    requests: VecDeque<(u32, u64, u64)>,
    /// `printk:console` delivers.
    has_console: bool,
}

impl Pairing {
    /// Looks at a record on its way to the engine.
    pub(in crate::daemon) fn note(&mut self, record: &KernelRecord) {
        match &record.payload {
            Payload::BlockRq(rq) if !self.has_console => {
                push(&mut self.requests, (rq.dev, rq.sector, record.header.mono_ns));
            }
            Payload::Console(console) => {
                self.has_console = true;
                let text = first_line(until_nul(&console.text)).to_vec();
                push(&mut self.texts, (text, record.header.mono_ns));
            }
            _ => {}
        }
    }

    /// When this text was made, by CLOCK_MONOTONIC. `dev_of` knows the number of a disk in the kernel's encoding.
    pub(in crate::daemon) fn time_of_text(
        &mut self,
        text: &str,
        dev_of: impl Fn(&str) -> Option<u32>,
    ) -> Option<u64> {
        let line = first_line(text.as_bytes());
        let said = self.texts.iter().position(|(t, _)| !t.is_empty() && t == line);
        if let Some(place) = said {
            return self.texts.drain(..=place).next_back().map(|(_, at)| at);
        }
        if self.requests.is_empty() {
            return None;
        }
        let (name, sector) = request(text)?;
        let dev = dev_of(name)?;
        let mut found = self.requests.iter().enumerate().filter(|(_, (d, s, _))| *d == dev && *s == sector);
        let (place, at) = found.next().map(|(place, (_, _, at))| (place, *at))?;
        // Of several failures at one place, nobody knows which one the line is about.
        if found.next().is_some() {
            return None;
        }
        self.requests.drain(..=place);
        Some(at)
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() == MOST {
        queue.pop_front();
    }
    queue.push_back(item);
}

/// Disk and sector of the block layer's line: `I/O error, dev sda, sector 2048 op 0x0:(READ) …`.
fn request(text: &str) -> Option<(&str, u64)> {
    let rest = text.split_once(" error, dev ")?.1;
    let (name, rest) = rest.split_once(", sector ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((name, rest.get(..digits)?.parse().ok()?))
}

fn first_line(text: &[u8]) -> &[u8] {
    text.split(|b| *b == b'\n').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_paired_once_and_with_its_own_line() {
        let mut pairing = Pairing::default();
        for (text, at) in [("one", 1), ("two\nsecond line", 2), ("", 3)] {
            pairing.texts.push_back((first_line(text.as_bytes()).to_vec(), at));
        }
        let mut time = |text: &str| pairing.time_of_text(text, |_| None);
        assert_eq!(time("three"), None);
        assert_eq!(time("two"), Some(2));
        assert_eq!(time("one"), None, "it is older than what was found");
        assert_eq!(time(""), None);
    }

    #[test]
    fn where_the_console_is_silent_the_request_that_a_line_names_tells_its_time() {
        let requests =
            [(0x0080_0000, 8, 100), (0x0080_0000, 16, 200), (0x0080_0010, 16, 300), (0x0080_0000, 24, 400)];
        let mut pairing = Pairing { requests: requests.into(), ..Pairing::default() };
        let dev_of = |name: &str| match name {
            "sda" => Some(0x0080_0000),
            "sdb" => Some(0x0080_0010),
            _ => None,
        };
        let mut time = |text: &str| pairing.time_of_text(text, dev_of);
        assert_eq!(
            time("I/O error, dev sdc, sector 16 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2"),
            None
        );
        assert_eq!(time("Buffer I/O error on dev sda, logical block 1, async page read"), None);
        let line = "blk_update_request: critical medium error, dev sda, sector 16 op 0x0:(READ) flags 0x0";
        assert_eq!(time(line), Some(200));
        assert_eq!(time(line), None, "once");
        assert_eq!(time("I/O error, dev sdb, sector 16 op 0x1:(WRITE)"), Some(300));
        let mut twice = Pairing { requests: [(1, 8, 1), (1, 8, 2)].into(), ..Pairing::default() };
        assert_eq!(twice.time_of_text("I/O error, dev sda, sector 8", |_| Some(1)), None);
    }
}
