//! Waiting until journald writes something.

use std::{
    fs, io,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify::{self, CreateFlags, WatchFlags},
};

use super::place::Place;

/// Bytes of inotify's answers that are read at a time.
const NOTICE_BYTES: usize = 4096;

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing, for as long as was waited.
    None,
    /// There may be more entries.
    Entries,
    /// Files came or went.
    Files,
}

/// Watches the directories of a place.
#[derive(Debug)]
pub(crate) struct Watch {
    inotify: OwnedFd,
    place: Place,
}

impl Watch {
    /// Begins to watch; what changes from now on is seen.
    ///
    /// # Errors
    /// There is no inotify instance left.
    pub(crate) fn new(place: &Place) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let this = Self { inotify, place: place.clone() };
        this.add();
        Ok(this)
    }

    /// Watches directories that came since. A watch that is there is the same.
    fn add(&self) {
        let Place::Directories { paths, .. } = &self.place else { return };
        // journald truncates a file to its own length when it has written an entry, so that this is seen.
        let files = WatchFlags::CREATE | WatchFlags::MOVE | WatchFlags::DELETE | WatchFlags::ONLYDIR;
        let entries = WatchFlags::MODIFY | files;
        for path in paths {
            // Until it is there, what is above is watched for it.
            let above = path.ancestors().skip(1).take(2).filter(|above| *above != Path::new("/"));
            for directory in above.filter(|_| !path.is_dir()) {
                let _not_there = inotify::add_watch(&self.inotify, directory, files);
            }
            let _not_there = inotify::add_watch(&self.inotify, path, entries);
            let children = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
            for directory in children.filter(|path: &PathBuf| path.is_dir()) {
                let _not_there = inotify::add_watch(&self.inotify, &directory, entries);
            }
        }
    }

    /// Waits for a change, for ever if there is no `patience`.
    ///
    /// # Errors
    /// The kernel's notices cannot be read.
    pub(crate) fn wait(&self, patience: Option<Duration>) -> io::Result<Change> {
        let timeout = patience.and_then(|patience| Timespec::try_from(patience).ok());
        let mut fds = [PollFd::from_borrowed_fd(self.inotify.as_fd(), PollFlags::IN)];
        // An interrupted wait is a short one.
        if poll(&mut fds, timeout.as_ref()).unwrap_or(0) == 0 {
            return Ok(Change::None);
        }
        let mut buffer = [std::mem::MaybeUninit::uninit(); NOTICE_BYTES];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut change = Change::Entries;
        loop {
            match reader.next() {
                Ok(notice) if notice.events() == inotify::ReadFlags::MODIFY => {}
                Ok(_) => change = Change::Files,
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => break,
                Err(error) => return Err(error.into()),
            }
        }
        if change == Change::Files {
            self.add();
        }
        Ok(change)
    }
}
