//! What goes over the two pipes: one JSON object a line.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::place::{FileId, Place};

/// What the process is started with, on its command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Orders {
    /// Where the files are.
    pub place: Place,
    /// Only entries that have all of these fields.
    pub matches: Vec<(String, String)>,
    /// Files that are not to be touched.
    pub avoid: Vec<FileId>,
    /// Bytes of a field that are read.
    pub field_max: usize,
    /// The process that asks: this one ends with it.
    pub parent: u32,
}

/// Which way to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// To later entries.
    Forward,
    /// To earlier entries.
    Back,
}

/// From where entries are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum From {
    /// The first entry.
    Head,
    /// The last entry.
    Tail,
    /// What comes after the last entry that is there now.
    End,
    /// The first entry of this time, microseconds since 1970, or later.
    Time(u64),
    /// Beyond the entry with this cursor.
    Beyond(String),
}

/// What the process is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Which files there are.
    List,
    /// Whether this user may read any of them.
    MayRead,
    /// Some entries.
    Entries {
        /// From where.
        from: From,
        /// Which way.
        direction: Direction,
        /// The fields that are wanted.
        fields: Vec<String>,
    },
    /// To answer when the journal changes, or after so many milliseconds.
    Wait(u64),
    /// The ids of the boots that it knows.
    Boots,
}

/// An entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// What names it.
    pub cursor: String,
    /// When journald took it, microseconds since 1970.
    pub realtime_us: u64,
    /// The host that it came from by systemd-journal-remote, as the name of its file reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// The same by CLOCK_MONOTONIC, with the boot.
    pub monotonic_us: Option<(u64, String)>,
    /// Fields that it has.
    pub fields: BTreeMap<String, String>,
}

impl Entry {
    /// A field.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

/// What the process says, before or in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message {
    /// It is about to touch this: if it dies now, that is why.
    Touch(Touch),
    /// It cannot read a file and goes on without it.
    Unread(Unread),
    /// The end of an answer.
    Answer(Answer),
}

/// What is about to be touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Touch {
    /// A file or a directory.
    pub path: PathBuf,
    /// Which file; none for a directory.
    pub id: Option<FileId>,
    /// How many entries it has, as far as that is known.
    pub entries: u64,
    /// When its last one was written, microseconds since 1970.
    pub last_us: u64,
}

impl Touch {
    /// That it could not be read.
    pub(crate) fn unread(self, why: Why, read_until_us: Option<u64>) -> Unread {
        let Self { path, id, entries, last_us } = self;
        Unread { path, id, why, read_until_us, entries, last_us }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// To [`Request::List`].
    Files {
        /// How many can be opened.
        readable: usize,
        /// What this user may not read.
        denied: Option<PathBuf>,
        /// Whether there is a directory for them.
        exists: bool,
    },
    /// To [`Request::MayRead`].
    MayRead {
        /// A file can be opened.
        readable: bool,
        /// What this user may not read.
        denied: Option<PathBuf>,
    },
    /// To [`Request::Entries`].
    Entries {
        /// Some; there may be more.
        entries: Vec<Entry>,
        /// There are no more for now.
        end: bool,
        /// Cursor of the last entry that is there, where [`From::End`] was asked for.
        stands: Option<String>,
    },
    /// To [`Request::Wait`].
    Waited,
    /// To [`Request::Boots`], oldest first.
    Boots(Vec<String>),
}

/// Why a file is not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// The disk does not give it.
    Disk(String),
    /// The disk does not answer, for so many milliseconds.
    Silence(u64),
    /// What it contains is no journal.
    Damage(String),
}

impl Why {
    /// What libsystemd says of what it does not understand, and what a disk says that does not give its data.
    pub fn of(error: &std::io::Error) -> Self {
        use rustix::io::Errno;
        let code = error.raw_os_error().unwrap_or(0);
        let of_disk = [
            Errno::IO,
            Errno::NXIO,
            Errno::NODEV,
            Errno::STALE,
            Errno::TIMEDOUT,
            Errno::REMOTEIO,
            Errno::NOMEDIUM,
        ];
        let damage = [
            (Errno::BADMSG, "its structure is broken"),
            (Errno::NODATA, "it is cut short"),
            (Errno::ADDRNOTAVAIL, "it points beyond its end"),
            (Errno::PROTONOSUPPORT, "of a kind that this libsystemd does not read"),
        ];
        if of_disk.iter().any(|errno| errno.raw_os_error() == code) {
            return Self::Disk(error.to_string());
        }
        let known = damage.iter().find(|(errno, _)| errno.raw_os_error() == code);
        Self::Damage(known.map_or_else(|| error.to_string(), |(_, words)| (*words).to_owned()))
    }
}

/// A file, or the rest of one, that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// Its path.
    pub path: PathBuf,
    /// Which file it is.
    pub id: Option<FileId>,
    /// Why.
    pub why: Why,
    /// Time of the last entry that was read, microseconds since 1970.
    pub read_until_us: Option<u64>,
    /// How many entries it says to have; 0 where it says nothing.
    pub entries: u64,
    /// When its last entry was written, as it says; 0 where it says nothing.
    pub last_us: u64,
}

impl Unread {
    /// Whether it may be read later: a disk may come back, damage stays.
    pub fn may_pass(&self) -> bool {
        !matches!(self.why, Why::Damage(_))
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Disk(why) => f.write_str(why),
            Self::Silence(ms) => write!(f, "its disk does not answer within {} s", *ms as f64 / 1000.0),
            Self::Damage(why) => write!(f, "damaged ({why})"),
        }
    }
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot read {}", self.path.display())?;
        if let Some(time) = self.read_until_us.and_then(time) {
            write!(f, " after {time}")?;
        }
        write!(f, ": {}", self.why)?;
        match (self.entries, time(self.last_us).filter(|_| self.last_us > 0)) {
            (0, _) => Ok(()),
            (entries, Some(last)) => {
                let part = if self.read_until_us.is_some() { "part of its" } else { "its" };
                write!(f, "; {part} {entries} entries of all programs, the last of {last}, are unknown")
            }
            (entries, None) => write!(f, "; its {entries} entries of all programs are unknown"),
        }
    }
}

fn time(us: u64) -> Option<String> {
    let time = Timestamp::from_microsecond(i64::try_from(us).ok()?).ok()?;
    Some(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_said() {
        let mut unread = Unread {
            path: "/var/log/journal/1/system.journal".into(),
            id: None,
            why: Why::Disk("Input/output error".into()),
            read_until_us: Some(1_000_000),
            entries: 7,
            last_us: 61_000_000,
        };
        assert_eq!(
            unread.to_string(),
            "cannot read /var/log/journal/1/system.journal after 1970-01-01T00:00:01Z: Input/output error; part of its 7 \
             entries of all programs, the last of 1970-01-01T00:01:01Z, are unknown"
        );
        assert!(unread.may_pass());
        unread = Unread { why: Why::Damage("Bad message".into()), read_until_us: None, entries: 0, ..unread };
        assert_eq!(
            unread.to_string(),
            "cannot read /var/log/journal/1/system.journal: damaged (Bad message)"
        );
        assert!(!unread.may_pass());
    }
}
