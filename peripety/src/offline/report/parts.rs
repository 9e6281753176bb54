//! Which file of a report is what.

use std::{
    cmp::Reverse,
    path::{Path, PathBuf},
};

/// Kinds of logs, the most complete first: what one kind has reported is passed over in those after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogKind {
    /// Files of journald.
    Journal,
    /// What journalctl printed, all of it.
    JournalText,
    /// What journalctl printed of a boot.
    JournalBoot,
    /// /var/log/messages and its like: the lines of all programs.
    Syslog,
    /// /var/log/kern.log: the kernel's alone.
    KernLog,
    /// What dmesg printed.
    Dmesg,
}

impl LogKind {
    /// The kind of a file by its name in the report; none if it is no log.
    pub fn of(file: &Path) -> Option<Self> {
        let name = file.file_name()?.to_str()?;
        let path = file.to_str()?;
        let starts = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
        if name.ends_with(".journal") || name.ends_with(".journal~") {
            return Some(Self::Journal);
        }
        if name.starts_with("journalctl") {
            let no_log = ["list-boots", "disk-usage", "verify", "--header", "fields", "_-u_", "--unit"];
            // Of a unit, or nothing of the kernel's.
            if no_log.iter().any(|word| name.contains(word)) {
                return None;
            }
            return Some(if name.contains("boot") || name.contains("_-b") {
                Self::JournalBoot
            } else {
                Self::JournalText
            });
        }
        if starts(&["messages", "syslog", "allmessages"])
            && !name.ends_with(".txt")
            && !name.ends_with(".conf")
        {
            return Some(Self::Syslog);
        }
        if starts(&["kern.log", "kernel.log"]) {
            return Some(Self::KernLog);
        }
        let at_home = path.contains("kernel/")
            || path.contains("log/")
            || !path.contains('/')
            || path.matches('/').count() == 1;
        (name.starts_with("dmesg") && !name.contains("level") && at_home).then_some(Self::Dmesg)
    }
}

/// What sorts rotated files from the oldest to the newest: `messages-20261114`, `syslog.2.gz`, `syslog.1`, `syslog`.
pub(super) fn age(file: &Path) -> (PathBuf, Reverse<u64>, String) {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let dir = file.parent().map(Path::to_owned).unwrap_or_default();
    let plain = ["gz", "xz", "bz2", "zst"]
        .iter()
        .find_map(|ending| name.strip_suffix(&format!(".{ending}")))
        .unwrap_or(&name);
    let rotation = plain.rsplit_once('.').and_then(|(_, number)| number.parse::<u64>().ok());
    match rotation {
        Some(number) => (dir, Reverse(number), String::new()),
        None => {
            let dated = plain
                .rsplit_once('-')
                .is_some_and(|(_, date)| date.len() >= 8 && date.bytes().all(|b| b.is_ascii_digit()));
            // The one that is written now comes last.
            let key = if dated { plain.to_owned() } else { format!("~{plain}") };
            (dir, Reverse(0), key)
        }
    }
}
