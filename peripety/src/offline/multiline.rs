//! Lines that are one record for the kernel: text logs have each line by itself, lines of other CPUs between them.

use std::{collections::VecDeque, sync::LazyLock};

use memchr::memmem::Finder;

use super::{Entry, entry::Parsed};

/// How the first line of a record of several lines is known: what it begins with, and what it has in it or at its end.
const HEADS: &[(&str, &str)] = &[
    ("ata", ": cmd "),
    ("", "attempt to access beyond end of device"),
    ("md/", ": Disk failure on "),
    ("multipath: ", "IO failure on "),
    ("aacraid: ", "Host adapter abort request."),
    ("raid", ": Disk failure on "),
    ("sd", ": sense key"),
    ("mpt2sas", ": attempting "),
    ("mpt3sas", ": attempting "),
    ("mptscsih: ", ": attempting "),
    ("EXT3-fs error (device ", ": Detected aborted journal"),
    ("NFS: server ", " error: fileid changed"),
];

/// Lines of one record.
const LINES_MAX: usize = 4;
/// Lines of others that may come between two of one record.
const BETWEEN_MAX: usize = 16;

/// The SCSI layer of Linux 3.x named the device in a record of its own: `sd 4:0:0:0: [sdc]  `, `sd 4:0:0:0: [sdc] CDB: `.
fn is_device_only(text: &str) -> bool {
    let text = text.trim_end();
    let text = text.strip_suffix(" CDB:").unwrap_or(text);
    let name = DEVICE_ONLY.iter().find_map(|start| text.strip_prefix(start));
    let name = name.and_then(|rest| rest.split_once(": [")).and_then(|(_, rest)| rest.strip_suffix(']'));
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// The SCSI layer's lines that may name a device only.
const DEVICE_ONLY: [&str; 4] = ["sd ", "sr ", "st ", "scsi "];

/// What first lines begin with; where they may begin as they like, what they have in them.
pub(super) fn beginnings() -> impl Iterator<Item = &'static str> {
    HEADS.iter().map(|(start, _)| *start).filter(|start| !start.is_empty()).chain(DEVICE_ONLY)
}

/// What first lines have in them that may begin as they like.
pub(super) fn parts() -> impl Iterator<Item = &'static str> {
    HEADS.iter().filter(|(start, _)| start.is_empty()).map(|(_, part)| *part)
}

/// Whether more lines of the same record may follow.
pub(super) fn is_head(text: &str) -> bool {
    if is_device_only(text) {
        return true;
    }
    // Each line of the kernel is asked.
    static ANYWHERE: LazyLock<Vec<Finder<'static>>> = LazyLock::new(|| parts().map(Finder::new).collect());
    let is_head =
        HEADS.iter().any(|(start, part)| !start.is_empty() && text.starts_with(start) && text.contains(part))
            || ANYWHERE.iter().any(|part| part.find(text.as_bytes()).is_some());
    is_head && !text.contains('\n')
}

/// The same of an entry: a piece of another line has none.
fn is_head_of(entry: &Entry) -> bool {
    !entry.log.fragment && is_head(&entry.log.text)
}

/// Lines that wait for more of their record, and what came between.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    caller: Option<String>,
    lines: usize,
    /// The first is the one that waits.
    held: VecDeque<Entry>,
}

impl Joiner {
    /// Takes a line of the kernel; gives those that wait no more, in order. `takes` says whether a rule takes a text.
    pub(super) fn push(&mut self, entry: Entry, takes: &dyn Fn(&str) -> bool, out: &mut Vec<Entry>) {
        let Some(mut open) = self.open.take() else {
            if is_head_of(&entry) {
                self.open =
                    Some(Open { caller: entry.caller.clone(), lines: 1, held: VecDeque::from([entry]) });
            } else {
                out.push(entry);
            }
            return;
        };
        // A user wrote what is a piece of another line.
        let same = !entry.log.fragment && (open.caller.is_none() || open.caller == entry.caller);
        let near = open.held.front().is_some_and(|head| is_near(head, &entry));
        if let (true, true, Some(head)) = (same, near, open.held.front_mut()) {
            let joined = if is_device_only(&head.log.text) {
                format!("{} {}", head.log.text.trim_end(), entry.log.text.trim_start())
            } else {
                format!("{}\n{}", head.log.text, entry.log.text)
            };
            if takes(&joined) {
                (head.log.text, head.parsed) = (joined, Parsed::No);
                out.extend(open.held);
                return;
            }
            // A line of hexadecimal numbers between the first and the last.
            if entry.log.text.starts_with([' ', '\t']) && open.lines + 1 < LINES_MAX {
                (head.log.text, head.parsed) = (joined, Parsed::No);
                open.lines += 1;
                self.open = Some(open);
                return;
            }
        }
        let another = is_head_of(&entry);
        open.held.push_back(entry);
        if another && (same || !near) {
            // The one that waited gets nothing more.
            let last = open.held.pop_back();
            out.extend(open.held);
            self.open =
                last.map(|head| Open { caller: head.caller.clone(), lines: 1, held: VecDeque::from([head]) });
        } else if !near || open.held.len() > BETWEEN_MAX {
            out.extend(open.held);
        } else {
            self.open = Some(open);
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_none()
    }

    /// Gives what still waits.
    pub(super) fn finish(&mut self, out: &mut Vec<Entry>) {
        out.extend(self.open.take().into_iter().flat_map(|open| open.held));
    }
}

/// Lines of one record have one time; syslog daemons stamp them when they read them. What is a record of its own has the time
/// at which a slow console had printed the one before.
fn is_near(head: &Entry, line: &Entry) -> bool {
    let most_us = if is_device_only(&head.log.text) { 20_000 } else { 1000 };
    match (head.uptime_us, line.uptime_us) {
        (Some(one), Some(other)) => other.abs_diff(one) <= most_us,
        _ => match (head.wall_us, line.wall_us) {
            (Some(one), Some(other)) => other.abs_diff(one) <= 1_000_000,
            _ => true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{parser::rules::RuleSet, record::LogRecord};

    #[test]
    fn a_device_in_a_record_of_its_own_is_known() {
        for head in
            ["sd 4:0:0:0: [sdc]  ", "sd 4:0:0:0: [sdc]", "sd 4:0:0:0: [sdc] CDB: ", "sd 4:0:0:0: [sdc] CDB:"]
        {
            assert!(is_head(head), "{head}");
        }
        for whole in [
            "sd 4:0:0:0: [sdc] tag#12 Sense Key : Illegal Request [current] ",
            "sd 4:0:0:0: [sdc] Attached SCSI disk",
            "sd 4:0:0:0: []",
        ] {
            assert!(!is_head(whole), "{whole}");
        }
    }

    fn line(uptime_us: u64, caller: Option<&str>, text: &str) -> Entry {
        Entry {
            log: LogRecord { text: text.to_owned(), ..LogRecord::default() },
            uptime_us: Some(uptime_us),
            caller: caller.map(str::to_owned),
            ..Entry::default()
        }
    }

    fn joined(lines: Vec<Entry>) -> Vec<String> {
        let rules = RuleSet::built_in();
        let takes = |text: &str| {
            rules.rule_for(&LogRecord { text: text.to_owned(), ..LogRecord::default() }).is_some()
        };
        let (mut joiner, mut out) = (Joiner::default(), Vec::new());
        for line in lines {
            joiner.push(line, &takes, &mut out);
        }
        joiner.finish(&mut out);
        out.into_iter().map(|e| e.log.text).collect()
    }

    #[test]
    fn every_rule_of_several_lines_is_met() {
        let rules = RuleSet::built_in();
        for example in rules.rules().iter().flat_map(|rule| &rule.examples) {
            let text = example.line.trim_end();
            if !text.contains('\n') {
                continue;
            }
            let lines = text.split('\n').map(|text| line(5, None, text)).collect();
            assert_eq!(joined(lines), [text], "a row of HEADS is missing");
        }
    }

    #[test]
    fn a_slow_console_is_waited_for() {
        let (device, key) = ("sd 4:0:0:0: [sdc]", "Sense Key : 0x3 [current]");
        let whole = format!("{device} {key}");
        assert_eq!(joined(vec![line(5_000, None, device), line(9_400, None, key)]), [whole]);
        assert_eq!(joined(vec![line(5_000, None, device), line(95_000, None, key)]), [device, key]);
    }

    #[test]
    fn lines_of_other_cpus_may_come_between() {
        let cmd = "ata1.00: cmd 60/08:f0:08:00:00/00:00:00:00:00/40 tag 30 ncq dma 4096 in";
        let res = "         res 41/40:08:08:00:00/00:00:00:00:00/00 Emask 0x409 (media error) <F>";
        let found = joined(vec![
            line(5, Some("T1"), cmd),
            line(5, Some("C3"), "other"),
            line(5, Some("T1"), res),
            line(6, Some("C3"), "after"),
        ]);
        assert_eq!(found, [format!("{cmd}\n{res}"), "other".into(), "after".into()]);
        // Without callers, too, for the joined text must be one that a rule takes.
        let found = joined(vec![line(5, None, cmd), line(5, None, "other"), line(5, None, res)]);
        assert_eq!(found, [format!("{cmd}\n{res}"), "other".into()]);
    }

    #[test]
    fn what_gets_no_more_is_given_as_it_is() {
        let head = "attempt to access beyond end of device";
        assert_eq!(joined(vec![line(1, None, head), line(5_000_000, None, "late")]), [head, "late"]);
        assert_eq!(joined(vec![line(1, None, head), line(1, None, head)]), [head, head]);
        let rest = "sda1: rw=0, want=12, limit=8";
        let later = vec![line(1, None, head), line(9_000_000, None, head), line(9_000_001, None, rest)];
        assert_eq!(joined(later), [head.to_owned(), format!("{head}\n{rest}")]);
        assert_eq!(joined(vec![line(1, None, head)]), [head]);
        let many: Vec<Entry> = std::iter::once(line(1, None, head))
            .chain((0..100).map(|n| line(1, None, &format!("x{n}"))))
            .collect();
        assert_eq!(joined(many).len(), 101);
    }
}
