//! Looks ahead for the name of a disk of which a line reports only the address.
//!
//! Where the start of a log is missing, `sd 2:0:0:1: Device offlined …` may come before any line that says which disk that
//! is. Then the lines wait until one of the next says so, at most some hundred of them.

use std::collections::{HashMap, HashSet, VecDeque};

use super::Entry;
use crate::{block::Hctl, parser::rules::begins_with_quoted};

/// Lines that may wait.
const LINES_MAX: usize = 200;
/// For how much of the log's own time.
const WAIT_US: i64 = 60_000_000;
/// Addresses of which the name is known, or was looked for in vain.
const ADDRESSES_MAX: usize = 4096;

/// What a line says of an address.
#[derive(Debug, PartialEq, Eq)]
enum Said<'t> {
    /// It names the disk: `sd 2:0:0:1: [sdc] …`.
    Name(Hctl, &'t str),
    /// It does not: `sd 2:0:0:1: rejecting I/O to offline device`.
    Address(Hctl),
    /// Up to 2.6.24 the lines about one command name its address first, then its disk.
    Command(Hctl),
    /// The disk of such a command.
    Disk(&'t str),
    /// A unit comes to an address.
    Comes(Hctl),
}

/// Lines that wait for a name.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    waiting: VecDeque<(Entry, u32)>,
    /// The address that is looked for.
    wanted: Option<Hctl>,
    /// The address of a command of which the disk is not named yet.
    command: Option<Hctl>,
    names: HashMap<Hctl, String>,
    in_vain: HashSet<Hctl>,
}

impl Ahead {
    /// Takes a line; gives those that wait no more, in order. `is_known` says whether the disk at an address is known.
    pub(super) fn push(
        &mut self,
        entry: Entry,
        times: u32,
        is_known: impl Fn(Hctl) -> bool,
        out: &mut Vec<(Entry, u32)>,
    ) {
        let text = &entry.log.text;
        let is_kernels = entry.is_kernel() && !entry.log.fragment;
        // What a user wrote names nothing.
        let said = said(text).filter(|_| is_kernels && !begins_with_quoted(text));
        let mut asked = None;
        match said {
            Some(Said::Name(at, name)) => self.learn(at, name),
            Some(Said::Comes(at)) => {
                self.names.remove(&at);
                // It has no name yet, and gets one before long.
                if self.in_vain.len() < ADDRESSES_MAX {
                    self.in_vain.insert(at);
                }
            }
            Some(Said::Address(at)) => asked = Some(at),
            Some(Said::Command(at)) => {
                self.command = Some(at);
                asked = Some(at);
            }
            Some(Said::Disk(name)) => {
                if let Some(at) = self.command.take() {
                    self.learn(at, name);
                }
            }
            None => {}
        }
        let is_new = |at: &Hctl| !self.names.contains_key(at) && !self.in_vain.contains(at) && !is_known(*at);
        if self.wanted.is_none() {
            self.wanted = asked.filter(is_new);
        }
        let Some(wanted) = self.wanted else {
            out.push((entry, times));
            return;
        };
        let late = self.waiting.front().is_some_and(|(first, _)| waited_us(first, &entry) > WAIT_US);
        self.waiting.push_back((entry, times));
        if self.names.contains_key(&wanted) || late || self.waiting.len() >= LINES_MAX {
            self.release(out);
        }
    }

    /// Whether nothing waits, and a line need not be pushed that reports nothing.
    pub(super) fn may_pass(&self, text: &str) -> bool {
        self.wanted.is_none() && self.command.is_none() && !text.starts_with('s')
    }

    /// Whether nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        self.wanted.is_none()
    }

    /// Gives all that waits.
    pub(super) fn release(&mut self, out: &mut Vec<(Entry, u32)>) {
        if let Some(wanted) = self.wanted.take()
            && !self.names.contains_key(&wanted)
            && self.in_vain.len() < ADDRESSES_MAX
        {
            self.in_vain.insert(wanted);
        }
        out.extend(self.waiting.drain(..));
    }

    /// The name of the disk at an address, as a line said that came later.
    pub(super) fn name(&self, at: Hctl) -> Option<&str> {
        self.names.get(&at).map(String::as_str)
    }

    fn learn(&mut self, at: Hctl, name: &str) {
        if self.names.len() < ADDRESSES_MAX || self.names.contains_key(&at) {
            self.names.insert(at, name.to_owned());
        }
    }
}

/// How long after another an entry was written.
fn waited_us(first: &Entry, now: &Entry) -> i64 {
    match (first.uptime_us, now.uptime_us, first.wall_us, now.wall_us) {
        (Some(one), Some(two), ..) => i64::try_from(two.saturating_sub(one)).unwrap_or(i64::MAX),
        (_, _, Some(one), Some(two)) => two.saturating_sub(one),
        _ => 0,
    }
}

/// The address that a line begins with, and what it says of it.
pub(super) fn address(text: &str) -> Option<(Hctl, &str)> {
    let rest = text.strip_prefix("sd ").or_else(|| text.strip_prefix("scsi "))?;
    let (address, rest) = rest.split_once(": ")?;
    Some((address.parse().ok()?, rest))
}

/// What lines begin with that name a disk or an address.
pub(super) const BEGINNINGS: [&str; 3] = ["sd", "scsi ", "end_request: "];

fn said(text: &str) -> Option<Said<'_>> {
    if let Some((at, rest)) = address(text) {
        if let Some((name, _)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            return is_disk(name).then_some(Said::Name(at, name));
        }
        let is_unit = |kind: &&str| rest.starts_with(*kind);
        let comes =
            ["Direct-Access", "Sequential-Access", "Enclosure", "Processor", "CD-ROM", "RAID", "Attached"];
        if comes.iter().any(is_unit) {
            return Some(Said::Comes(at));
        }
        let is_old = rest.starts_with("SCSI error: return code");
        return Some(if is_old { Said::Command(at) } else { Said::Address(at) });
    }
    if let Some((_, rest)) = text.split_once("I/O error, dev ") {
        let name = rest.split(',').next()?;
        return (text.starts_with("end_request: ") && is_disk(name)).then_some(Said::Disk(name));
    }
    let (name, rest) = text.split_once(": ")?;
    (is_disk(name) && rest.starts_with("Current") && rest.contains("sense key")).then_some(Said::Disk(name))
}

fn is_disk(name: &str) -> bool {
    let letters = name.strip_prefix("sd").unwrap_or_default();
    (1..=4).contains(&letters.len()) && letters.bytes().all(|b| b.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::LogRecord;

    fn at(text: &str) -> Hctl {
        text.parse().unwrap()
    }

    fn push(ahead: &mut Ahead, second: i64, text: &str) -> usize {
        let log = LogRecord { text: text.to_owned(), ..LogRecord::default() };
        let entry = Entry { log, wall_us: Some(second * 1_000_000), ..Entry::default() };
        let mut out = Vec::new();
        ahead.push(entry, 1, |_| false, &mut out);
        out.len()
    }

    #[test]
    fn lines_wait_for_the_line_that_names_the_disk() {
        let mut ahead = Ahead::default();
        assert_eq!(push(&mut ahead, 1, "usb 2-1: reset SuperSpeed USB device number 2 using xhci_hcd"), 1);
        assert_eq!(push(&mut ahead, 1, "sd 6:0:0:0: Device offlined - not ready after error recovery"), 0);
        assert_eq!(push(&mut ahead, 2, "anything"), 0);
        assert_eq!(push(&mut ahead, 3, "sd 6:0:0:0: [sdd] CDB: Write(10) 2a 00"), 3, "in order, all of them");
        assert_eq!(ahead.name(at("6:0:0:0")), Some("sdd"));
        assert_eq!(push(&mut ahead, 4, "sd 6:0:0:0: rejecting I/O to offline device"), 1);
        // Another disk at the place.
        push(&mut ahead, 90, "scsi 6:0:0:0: Direct-Access     ACME     DISK             1.00 PQ: 0 ANSI: 6");
        assert_eq!(ahead.name(at("6:0:0:0")), None);
    }

    #[test]
    fn what_a_user_wrote_names_no_disk() {
        let mut ahead = Ahead::default();
        push(&mut ahead, 1, "sd 2:0:0:1: rejecting I/O to offline device");
        let mut out = Vec::new();
        let entry = |text: &str, fragment| Entry {
            log: LogRecord { text: text.to_owned(), fragment, ..LogRecord::default() },
            ..Entry::default()
        };
        let piece = entry("sd 2:0:0:1: [sdz] Attached SCSI disk", true);
        ahead.push(piece, 1, |_| false, &mut out);
        // The prefix of a rule of a firewall.
        let prefix = "sd 2:0:0:1: [sdz] IN=eth0 OUT= MAC=52:54:00:12:34:56 SRC=10.0.0.1 DST=10.0.0.2 LEN=40";
        ahead.push(entry(prefix, false), 1, |_| false, &mut out);
        assert_eq!((ahead.name(at("2:0:0:1")), out.len()), (None, 0));
        assert_eq!(push(&mut ahead, 2, "sd 2:0:0:1: [sdb] Attached SCSI disk"), 4);
        assert_eq!(ahead.name(at("2:0:0:1")), Some("sdb"));
        // No disk comes either.
        ahead.push(entry("scsi 2:0:0:1: Direct-Access     ACME", true), 1, |_| false, &mut out);
        assert_eq!(ahead.name(at("2:0:0:1")), Some("sdb"));
    }

    #[test]
    fn nothing_waits_for_long() {
        let mut ahead = Ahead::default();
        assert_eq!(push(&mut ahead, 1, "sd 6:0:0:0: rejecting I/O to offline device"), 0);
        assert_eq!(push(&mut ahead, 99, "anything"), 2);
        assert_eq!(push(&mut ahead, 99, "sd 6:0:0:0: rejecting I/O to offline device"), 1, "it was in vain");
        assert_eq!(push(&mut ahead, 99, "sd 7:0:0:0: rejecting I/O to offline device"), 0);
        let given: usize = (0..LINES_MAX).map(|_| push(&mut ahead, 99, "anything")).sum();
        assert_eq!(given, LINES_MAX + 1);
    }

    #[test]
    fn old_kernels_name_the_disk_of_a_command_in_the_next_line() {
        let mut ahead = Ahead::default();
        push(&mut ahead, 1, "sd 1:0:0:4: SCSI error: return code = 0x00010000");
        assert_eq!(push(&mut ahead, 1, "end_request: I/O error, dev sde, sector 81920"), 2);
        assert_eq!(ahead.name(at("1:0:0:4")), Some("sde"));
        push(&mut ahead, 1, "sd 1:0:0:5: SCSI error: return code = 0x08000002");
        assert_eq!(push(&mut ahead, 1, "sdf: Current: sense key: Medium Error"), 2);
        assert_eq!(ahead.name(at("1:0:0:5")), Some("sdf"));
    }
}
