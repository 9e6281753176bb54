//! The journal: what the daemon wrote into it.

use std::{
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
};

use systemd::journal::{Journal, JournalWaitResult, OpenDirectoryOptions, OpenOptions};

use crate::{
    Error,
    believed::{Believed, Fields, Judge, PROOF},
};

/// The fields that mark revisions of events and of incidents.
const EVENTS: &str = "IS_PERIPETY";
const INCIDENTS: &str = "IS_PERIPETY_INCIDENT";
/// Longest field that is read.
const FIELD_MAX: usize = 16 << 20;
/// Where peripetyd may be installed.
const DAEMONS: [&str; 6] = [
    "/usr/sbin/peripetyd",
    "/usr/bin/peripetyd",
    "/usr/local/sbin/peripetyd",
    "/usr/local/bin/peripetyd",
    "/sbin/peripetyd",
    "/bin/peripetyd",
];

/// Where in the journal reading begins.
#[derive(Clone, Debug)]
pub(crate) enum From {
    /// With the first entry.
    Head,
    /// After the last one.
    Tail,
    /// With what was written at this time or later, in microseconds since 1970.
    Time(i64),
    /// After this entry.
    After(String),
}

/// What is read, and who is believed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// A directory of journal files in place of the system's own.
    pub directory: Option<PathBuf>,
    /// Executables that are believed beside the installed ones.
    pub daemons: Vec<PathBuf>,
}

/// An entry of the daemon.
#[derive(Debug)]
pub(crate) struct Entry {
    pub is_incident: bool,
    pub json: String,
    pub cursor: String,
}

pub(crate) struct Reader {
    journal: Journal,
    fd: OwnedFd,
    judge: Judge,
    path: PathBuf,
    /// Entries that the daemon wrote, and that cannot be read.
    corrupt: u64,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("path", &self.path).finish_non_exhaustive()
    }
}

impl AsFd for Reader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[derive(Default)]
struct Proof([Option<String>; PROOF.len()]);

impl Fields for Proof {
    fn get(&self, name: &str) -> Option<&str> {
        let at = PROOF.iter().position(|known| *known == name)?;
        self.0.get(at)?.as_deref()
    }
}

fn machine_id() -> Option<String> {
    let id = fs::read_to_string("/etc/machine-id").ok()?.trim().to_ascii_lowercase();
    (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(id)
}

impl Reader {
    pub(crate) fn open(place: &Place, events: bool, incidents: bool, from: &From) -> Result<Self, Error> {
        let path = place.directory.clone().unwrap_or_else(|| "/var/log/journal".into());
        let system = |what: &'static str| {
            let path = path.clone();
            move |error: systemd::Error| match io::Error::from(error) {
                source if source.kind() == io::ErrorKind::PermissionDenied => Error::Permission { path },
                source => Error::System { what, path, source },
            }
        };
        let opened = match &place.directory {
            Some(directory) => {
                let name = directory.to_str().ok_or_else(|| Error::Option {
                    option: "journal",
                    why: format!("{} is not UTF-8", directory.display()),
                })?;
                OpenDirectoryOptions::default().open_directory(name)
            }
            None => OpenOptions::default().system(true).local_only(true).open(),
        };
        let mut journal = opened.map_err(system("open the journal"))?;
        if place.directory.is_none() {
            readable()?;
        }
        journal.set_data_threshold(FIELD_MAX).map_err(system("read the journal"))?;
        for (wanted, mark) in [(events, EVENTS), (incidents, INCIDENTS)] {
            if wanted {
                journal.match_add(mark, "TRUE").map_err(system("search the journal"))?;
                journal.match_or().map_err(system("search the journal"))?;
            }
        }
        let moved = match from {
            From::Head => journal.seek_head(),
            // Without a step libsystemd would give what is at the end itself.
            From::Tail => journal.seek_tail().and_then(|()| step_back(&mut journal)),
            From::Time(us) => journal.seek_realtime_usec(u64::try_from(*us).unwrap_or(0)),
            From::After(cursor) => journal.seek_cursor(cursor.as_str()).and_then(|()| {
                let stands = journal.next()? > 0;
                if stands && !journal.test_cursor(cursor.as_str())? {
                    // That entry is gone; this one comes after it and has not been given.
                    step_back(&mut journal)?;
                }
                Ok(())
            }),
        };
        moved.map_err(system("search the journal"))?;
        let raw = journal.fd().map_err(system("watch the journal"))?;
        let fd = duplicate(raw).map_err(|source| Error::System {
            what: "watch the journal",
            path: path.clone(),
            source,
        })?;
        let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let daemons = DAEMONS.iter().map(PathBuf::from).chain(place.daemons.iter().cloned()).collect();
        let judge = Judge::new(machine_id(), daemons, &group);
        Ok(Self { journal, fd, judge, path, corrupt: 0 })
    }

    /// The next entry of the daemon; none when there are no more now.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, Error> {
        let system = |what| {
            let path = self.path.clone();
            move |source: systemd::Error| Error::System { what, path, source: source.into() }
        };
        loop {
            if self.journal.next().map_err(system("read the journal"))? == 0 {
                return Ok(None);
            }
            let mut proof = Proof::default();
            for (name, place) in PROOF.iter().zip(&mut proof.0) {
                *place = field(&mut self.journal, name);
            }
            match self.judge.of(&proof) {
                Believed::Own => {}
                Believed::Unknown => {
                    self.corrupt += 1;
                    continue;
                }
                Believed::Foreign(_) | Believed::No => continue,
            }
            let is_incident = field(&mut self.journal, INCIDENTS).is_some();
            let (Some(json), Ok(cursor)) = (field(&mut self.journal, "JSON"), self.journal.cursor()) else {
                self.corrupt += 1;
                continue;
            };
            return Ok(Some(Entry { is_incident, json, cursor }));
        }
    }

    /// Takes note of what changed, so that the descriptor is quiet again; whether anything did.
    pub(crate) fn has_changed(&mut self) -> Result<bool, Error> {
        let changed = self.journal.process().map(|result| !matches!(result, JournalWaitResult::Nop));
        changed.map_err(|source| Error::System {
            what: "watch the journal",
            path: self.path.clone(),
            source: source.into(),
        })
    }

    /// Entries that could not be read since the last call.
    pub(crate) fn take_corrupt(&mut self) -> u64 {
        std::mem::take(&mut self.corrupt)
    }
}

/// Goes one entry back, so that the next step gives the one after it. Where there is none, libsystemd stays where it is, and a
/// step would pass over the first entry.
fn step_back(journal: &mut Journal) -> systemd::Result<()> {
    if journal.previous()? == 0 {
        journal.seek_head()?;
    }
    Ok(())
}

fn field(journal: &mut Journal, name: &str) -> Option<String> {
    let data = journal.get_data(name).ok()??;
    String::from_utf8(data.value()?.to_vec()).ok()
}

#[expect(unsafe_code, reason = "libsystemd gives a number")]
fn duplicate(raw: i32) -> io::Result<OwnedFd> {
    // SAFETY: the number is of a descriptor that the journal keeps open, which outlives this call.
    unsafe { BorrowedFd::borrow_raw(raw) }.try_clone_to_owned()
}

/// libsystemd passes over files that may not be read, in silence.
fn readable() -> Result<(), Error> {
    let mut denied = None;
    for top in ["/var/log/journal", "/run/log/journal"] {
        for directory in fs::read_dir(top).into_iter().flatten().flatten() {
            let file = directory.path().join("system.journal");
            match fs::File::open(&file) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => denied = Some(file),
                Err(_) => {}
            }
        }
    }
    denied.map_or(Ok(()), |path| Err(Error::Permission { path }))
}
