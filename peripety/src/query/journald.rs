//! Reads events from the journal, and believes only what the daemon wrote (promise 7).

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use systemd::journal::{Journal, OpenDirectoryOptions, OpenOptions};

use crate::{
    event::{Event, EventId},
    notifier::journald::MARK,
    roots::Roots,
};

/// Bytes of a field that are read; the JSON of an event is bounded well below.
const MAX_FIELD: usize = 4 << 20;
/// The daemon's name, as its executable shows it.
const DAEMON: &str = "peripetyd";

/// The journal could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is none.
    #[error("no journal at {}", path.display())]
    None {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// libsystemd failed.
    #[error("cannot {what} the journal: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
}

fn system(what: &'static str) -> impl FnOnce(systemd::Error) -> ReadError {
    move |error| ReadError::System { what, source: error.into_io_error() }
}

/// Which way to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To later entries.
    Forward,
    /// To earlier entries.
    Back,
}

/// Where to start. The first step goes to the entry there.
#[derive(Clone, Debug)]
pub enum Position {
    /// Before the first entry.
    Head,
    /// After the last entry.
    Tail,
    /// Before the first entry that was written at this time or later.
    Time(Timestamp),
    /// After the entry with this cursor.
    After(String),
}

/// What the index tells about an entry, without its JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The event.
    pub id: EventId,
    /// Which writing of it.
    pub revision: u32,
    /// When journald took it, microseconds since 1970.
    pub written_us: i64,
}

/// Entries that were passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Say that they are events, and were not written by the daemon.
    pub forged: u64,
    /// Written by the daemon, and cannot be read.
    pub corrupt: u64,
}

/// Events of the journal.
pub struct Reader {
    journal: Journal,
    skipped: Skipped,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("skipped", &self.skipped).finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens the system's journal, or the directory of journal files that `roots` names.
    ///
    /// # Errors
    ///
    /// There is no such directory, or libsystemd fails.
    pub fn open(roots: &Roots) -> Result<Self, ReadError> {
        let mut journal = match directory(roots) {
            Some(path) if !path.is_dir() => return Err(ReadError::None { path }),
            Some(path) => OpenDirectoryOptions::default()
                .open_directory(path.to_string_lossy().as_ref())
                .map_err(system("open"))?,
            // The files of users hold nothing that the daemon wrote.
            None => OpenOptions::default().system(true).local_only(true).open().map_err(system("open"))?,
        };
        journal.set_data_threshold(MAX_FIELD).map_err(system("read"))?;
        journal.match_add(MARK.0, MARK.1).map_err(system("search"))?;
        Ok(Self { journal, skipped: Skipped::default() })
    }

    /// Whether there is any journal file that this process may read.
    pub fn has_files(&self) -> bool {
        self.journal.has_persistent_files().unwrap_or(false)
            || self.journal.has_runtime_files().unwrap_or(false)
            || self.journal.usage().is_ok_and(|bytes| bytes > 0)
    }

    /// Goes to a position.
    ///
    /// # Errors
    ///
    /// libsystemd fails; a cursor that is none.
    pub fn seek(&mut self, position: &Position) -> Result<(), ReadError> {
        let done = match position {
            Position::Head => self.journal.seek_head(),
            Position::Tail => self.journal.seek_tail(),
            Position::Time(time) => {
                self.journal.seek_realtime_usec(u64::try_from(time.as_microsecond()).unwrap_or(0))
            }
            Position::After(cursor) => self.journal.seek_cursor(cursor.as_str()).and_then(|()| {
                // The entry with the cursor may be gone by rotation; then the next step is to the one after it.
                // Going back would not leave the first entry of all, and the next step would pass it over.
                if self.journal.next()? > 0 && !self.journal.test_cursor(cursor.as_str())? {
                    self.journal.seek_cursor(cursor.as_str())?;
                }
                Ok(())
            }),
        };
        done.map_err(system("search"))
    }

    /// Goes after the last entry that is there now, so that [`Self::step`] gives what comes later.
    ///
    /// # Errors
    ///
    /// libsystemd fails.
    pub fn seek_end(&mut self) -> Result<(), ReadError> {
        // seek_tail alone leaves open where "next" starts; being at the last entry does not.
        self.journal.seek_tail().and_then(|()| self.journal.previous()).map(|_| ()).map_err(system("search"))
    }

    /// Goes to the next entry that the daemon wrote.
    ///
    /// # Errors
    ///
    /// libsystemd fails.
    pub fn step(&mut self, direction: Direction) -> Result<Option<Head>, ReadError> {
        loop {
            let moved = match direction {
                Direction::Forward => self.journal.next(),
                Direction::Back => self.journal.previous(),
            };
            if moved.map_err(system("read"))? == 0 {
                return Ok(None);
            }
            let (uid, exe, transport) = (self.field("_UID"), self.field("_EXE"), self.field("_TRANSPORT"));
            if !believed(uid.as_deref(), exe.as_deref(), transport.as_deref()) {
                self.skipped.forged += 1;
                continue;
            }
            match self.head() {
                Some(head) => return Ok(Some(head)),
                None => self.skipped.corrupt += 1,
            }
        }
    }

    fn head(&mut self) -> Option<Head> {
        Some(Head {
            id: self.field("EVENT_ID")?.parse().ok()?,
            revision: self.field("REVISION")?.parse().ok()?,
            written_us: i64::try_from(self.journal.timestamp_usec().ok()?).ok()?,
        })
    }

    /// The event of the entry that the last step went to; none, and counted, when its JSON cannot be read.
    pub fn event(&mut self) -> Option<Event> {
        let event = self.field("JSON").and_then(|json| serde_json::from_str(&json).ok());
        if event.is_none() {
            self.skipped.corrupt += 1;
        }
        event
    }

    /// What names the entry that the last step went to, for [`Position::After`].
    pub fn cursor(&self) -> Option<String> {
        self.journal.cursor().ok()
    }

    /// Waits until the journal changes, no longer than `patience`.
    ///
    /// # Errors
    ///
    /// libsystemd fails.
    pub fn wait(&mut self, patience: Duration) -> Result<(), ReadError> {
        self.journal.wait(Some(patience)).map(|_| ()).map_err(system("wait for"))
    }

    /// What was passed over since the last call.
    pub fn take_skipped(&mut self) -> Skipped {
        std::mem::take(&mut self.skipped)
    }

    /// Ids of the boots that the journal knows, oldest first.
    ///
    /// # Errors
    ///
    /// libsystemd fails.
    pub fn boots(&mut self) -> Result<Vec<String>, ReadError> {
        let mut ids = Vec::new();
        self.journal.query_unique("_BOOT_ID").map_err(system("search"))?;
        while let Some(field) = self.journal.enumerate_unique().map_err(system("search"))? {
            if let Some(id) = field.value().and_then(|v| std::str::from_utf8(v).ok()) {
                ids.push(id.to_owned());
            }
        }
        let mut boots = Vec::with_capacity(ids.len());
        for id in ids {
            self.journal
                .match_flush()
                .and_then(|j| j.match_add("_BOOT_ID", id.as_str()))
                .and_then(|j| j.seek_head())
                .and_then(|()| self.journal.next())
                .map_err(system("search"))?;
            if let Ok(first) = self.journal.timestamp_usec() {
                boots.push((first, id));
            }
        }
        self.journal.match_flush().and_then(|j| j.match_add(MARK.0, MARK.1)).map_err(system("search"))?;
        boots.sort_unstable();
        Ok(boots.into_iter().map(|(_, id)| id).collect())
    }

    fn field(&mut self, name: &str) -> Option<String> {
        let value = self.journal.get_data(name).ok()??.value()?.to_vec();
        String::from_utf8(value).ok()
    }
}

/// Whether journald's own word on the sender shows the daemon: root, and an executable of that name. The fields with an
/// underscore are journald's, no client can set them.
fn believed(uid: Option<&str>, exe: Option<&str>, transport: Option<&str>) -> bool {
    let name = exe
        .map(|exe| exe.strip_suffix(" (deleted)").unwrap_or(exe))
        .and_then(|exe| Path::new(exe).file_name());
    uid == Some("0") && transport == Some("journal") && name.is_some_and(|name| name == DAEMON)
}

/// The directory to read instead of the system's journal.
fn directory(roots: &Roots) -> Option<PathBuf> {
    if let Some(directory) = &roots.journal {
        return Some(directory.clone());
    }
    if roots.run == Path::new("/run") {
        return None;
    }
    let lasting = roots.log.join("journal");
    Some(if lasting.is_dir() { lasting } else { roots.run.join("log/journal") })
}

/// What the system's journal lets this process do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its files can be read.
    Readable,
    /// There are files, and this process may not read them.
    Denied(PathBuf),
    /// There are none.
    NoFiles,
}

/// Whether this process may read the system's journal files. libsystemd passes over those it may not read, in silence.
pub fn access(roots: &Roots) -> Access {
    let parents = match &roots.journal {
        Some(directory) => vec![directory.clone()],
        None => vec![roots.log.join("journal"), roots.run.join("log/journal")],
    };
    let mut denied = None;
    for directory in parents.iter().flat_map(|parent| [parent.clone()].into_iter().chain(children(parent))) {
        for file in children(&directory).filter(|file| is_journal(file, roots.journal.is_none())) {
            match File::open(&file) {
                Ok(_) => return Access::Readable,
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => denied = Some(file),
                Err(_) => {}
            }
        }
        if fs::read_dir(&directory).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
            denied = Some(directory);
        }
    }
    denied.map_or(Access::NoFiles, Access::Denied)
}

fn children(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Whether it is a journal file; of the system, and not of a user, where it is asked so.
fn is_journal(file: &Path, of_system: bool) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    (name.starts_with("system") || !of_system) && (name.ends_with(".journal") || name.ends_with(".journal~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_daemon_is_believed() {
        for (uid, exe, transport) in [
            (Some("0"), Some("/usr/sbin/peripetyd"), Some("journal")),
            (Some("0"), Some("/usr/sbin/peripetyd (deleted)"), Some("journal")),
        ] {
            assert!(believed(uid, exe, transport), "{uid:?} {exe:?} {transport:?}");
        }
        for (uid, exe, transport) in [
            (Some("1000"), Some("/home/eve/peripetyd"), Some("journal")),
            (Some("00"), Some("/usr/sbin/peripetyd"), Some("journal")),
            (None, Some("/usr/sbin/peripetyd"), Some("journal")),
            (Some("0"), Some("/usr/bin/logger"), Some("journal")),
            (Some("0"), Some("/usr/bin/peripetyd/logger"), Some("journal")),
            (Some("0"), Some("/usr/bin/notperipetyd"), Some("journal")),
            (Some("0"), None, Some("journal")),
            (Some("0"), Some(""), Some("journal")),
            (Some("0"), Some("/usr/sbin/peripetyd"), Some("syslog")),
            (Some("0"), Some("/usr/sbin/peripetyd"), None),
        ] {
            assert!(!believed(uid, exe, transport), "{uid:?} {exe:?} {transport:?}");
        }
    }

    #[test]
    fn no_journal_is_told_apart_from_an_empty_one() {
        let directory = tempfile::tempdir().unwrap();
        let mut roots = Roots::under(directory.path());
        assert!(matches!(Reader::open(&roots), Err(ReadError::None { .. })));
        assert_eq!(access(&roots), Access::NoFiles);
        fs::create_dir_all(directory.path().join("run/log/journal/1234")).unwrap();
        assert!(!Reader::open(&roots).unwrap().has_files());
        roots.journal = Some(directory.path().join("nothing"));
        assert!(matches!(Reader::open(&roots), Err(ReadError::None { .. })));
    }

    #[test]
    fn broken_journal_files_are_no_panic() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("system.journal"), vec![0xa5; 70_000]).unwrap();
        fs::write(directory.path().join("system@x.journal"), b"LPKSHHRH").unwrap();
        let mut roots = Roots::under(directory.path());
        roots.journal = Some(directory.path().to_owned());
        assert_eq!(access(&roots), Access::Readable);
        let mut reader = Reader::open(&roots).unwrap();
        reader.seek(&Position::Head).unwrap();
        assert_eq!(reader.step(Direction::Forward).unwrap(), None);
        assert_eq!(reader.boots().unwrap(), Vec::<String>::new());
        assert!(reader.seek(&Position::After("not a cursor".into())).is_err());
    }
}
