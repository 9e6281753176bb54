//! The daemon's directory in /run: held against other daemons, and used again after a while in which it could not be.
//!
//! The directory may be full, read-only, gone, or out of reach for want of descriptors, when the daemon begins or at any time
//! after. The daemon works on: events go out from memory, and what cannot be written down would be gone with this daemon.
//! Its files are tried again after a pause that doubles, and when something changes in the directory; as long as all is
//! well, nothing of this wakes the daemon (promise 5).

use std::{
    collections::BTreeMap,
    fs::File,
    future, io,
    mem::MaybeUninit,
    os::{
        fd::OwnedFd,
        unix::{fs::MetadataExt as _, net::UnixListener},
    },
    time::Duration,
};

use peripety_watch::message::SOCKET as WATCHER;
use rustix::fs::inotify;
use serde_json::{Value, json};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::mpsc::UnboundedSender,
};

use super::{checkpoint_log::LOGBOOK, sources::readable};
use crate::{
    collector::async_fd::{drained, watch},
    notifier::{
        socket::{LET_GO, LOCK, Listening, Protocol, SocketError, inode, lock_directory},
        spool::{MARK, SPOOL},
    },
    roots::{Roots, SOCKET, VARLINK},
};

/// Files whose loss is noticed.
const FILES: [&str; 7] = [SOCKET, VARLINK, WATCHER, LOCK, LOGBOOK, SPOOL, MARK];

/// Pauses between two tries.
const FIRST_PAUSE_NS: u64 = 500_000_000;
const LONGEST_PAUSE_NS: u64 = 10_000_000_000;

/// The directory, and what is wrong with its files.
pub(super) struct Runtime {
    roots: Roots,
    lock: Option<File>,
    socket: Option<(u64, u64)>,
    varlink: Option<(u64, u64)>,
    /// The service manager keeps the socket for Varlink.
    varlink_given: bool,
    troubles: BTreeMap<&'static str, String>,
    /// The troubles were reported.
    reported: bool,
    retry_at: Option<u64>,
    pause: u64,
    watch: Option<AsyncFd<OwnedFd>>,
}

impl Runtime {
    /// Takes the directory into possession, if that can be done by now.
    ///
    /// # Errors
    /// Another daemon holds it.
    pub(super) fn open(roots: &Roots) -> Result<Self, SocketError> {
        let mut this = Self {
            roots: roots.clone(),
            lock: None,
            socket: None,
            varlink: None,
            varlink_given: false,
            troubles: BTreeMap::new(),
            reported: false,
            retry_at: None,
            pause: FIRST_PAUSE_NS,
            watch: None,
        };
        this.hold(LET_GO)?;
        Ok(this)
    }

    /// Holds the directory, which may have been removed or replaced meanwhile. Whether it does.
    ///
    /// # Errors
    /// Another daemon holds it.
    pub(super) fn hold(&mut self, patience: Duration) -> Result<bool, SocketError> {
        let there = inode(&self.roots.runtime.join(LOCK));
        let own =
            self.lock.as_ref().and_then(|lock| lock.metadata().ok()).map(|lock| (lock.dev(), lock.ino()));
        if own.is_some() && own == there {
            return Ok(true);
        }
        self.lock = None;
        let locked = lock_directory(&self.roots.runtime, patience);
        self.note("directory", locked.as_ref().err().map(ToString::to_string));
        match locked {
            Ok(lock) => {
                self.lock = Some(lock);
                // Without it a change is noticed when next something is written.
                self.watch = self.watch_directory().ok();
                Ok(true)
            }
            Err(error @ SocketError::Running { .. }) => Err(error),
            Err(_) => Ok(false),
        }
    }

    fn watch_directory(&self) -> io::Result<AsyncFd<OwnedFd>> {
        use inotify::{CreateFlags, WatchFlags};
        let watched = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let what = WatchFlags::DELETE | WatchFlags::MOVED_FROM | WatchFlags::ONLYDIR;
        let what = what | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        inotify::add_watch(&watched, &self.roots.runtime, what)?;
        watch(watched, Interest::READABLE)
    }

    /// Whether the directory is this daemon's.
    pub(super) const fn is_held(&self) -> bool {
        self.lock.is_some()
    }

    /// Takes the socket for Varlink that the service manager made.
    pub(super) fn take_varlink(&mut self, given: UnixListener, server: &UnboundedSender<Listening>) {
        match Listening::given(given, Protocol::Varlink) {
            Ok(listening) => {
                self.varlink_given = true;
                let _at_the_end = server.send(listening);
            }
            Err(error) => tracing::warn!("cannot use the socket for Varlink given to the daemon: {error}"),
        }
    }

    /// Sees to it that the sockets are there; a new one goes to the server.
    pub(super) fn listen(&mut self, server: &UnboundedSender<Listening>) {
        for protocol in [Protocol::Lines, Protocol::Varlink] {
            let (known, name) = match protocol {
                Protocol::Lines => (self.socket, "socket"),
                Protocol::Varlink if self.varlink_given => continue,
                Protocol::Varlink => (self.varlink, "socket for Varlink"),
            };
            if known.is_some() && inode(&protocol.path(&self.roots)) == known {
                continue;
            }
            let bound = Listening::bind(&self.roots, protocol);
            self.note(name, bound.as_ref().err().map(ToString::to_string));
            if let Ok(listening) = bound {
                match protocol {
                    Protocol::Lines => self.socket = listening.inode(),
                    Protocol::Varlink => self.varlink = listening.inode(),
                }
                let _at_the_end = server.send(listening);
            }
        }
    }

    /// Takes note of what is wrong with a file, or that nothing is.
    pub(super) fn note(&mut self, file: &'static str, trouble: Option<String>) {
        match trouble {
            Some(trouble) => self.troubles.insert(file, trouble),
            None => self.troubles.remove(file),
        };
    }

    /// Says once what is wrong, or that it is right again, and plans the next try. `tried` is whether this was one.
    pub(super) fn settle(&mut self, now_ns: u64, tried: bool) {
        let dir = self.roots.runtime.display();
        if self.troubles.is_empty() {
            if std::mem::take(&mut self.reported) {
                tracing::info!("{dir} can be used again: events and how far they are is written down there");
            }
            (self.retry_at, self.pause) = (None, FIRST_PAUSE_NS);
            return;
        }
        if !std::mem::replace(&mut self.reported, true) {
            let what: Vec<_> = self.troubles.iter().map(|(file, why)| format!("{file}: {why}")).collect();
            tracing::warn!(
                "{dir} cannot be used ({}): events go out from memory meanwhile, at most 16 MiB wait there, and were \
                 this daemon killed now, they and its open events would be lost; it is tried again",
                what.join("; ")
            );
        }
        if tried || self.retry_at.is_none() {
            self.retry_at = Some(now_ns.saturating_add(self.pause));
            self.pause = (self.pause * 2).min(LONGEST_PAUSE_NS);
        }
    }

    /// When to try again; none while all is well.
    pub(super) const fn retry_at(&self) -> Option<u64> {
        self.retry_at
    }

    /// Waits until one of the daemon's files is removed, or the directory itself.
    pub(super) async fn changed(&self) {
        loop {
            let Some(watch) = &self.watch else { return future::pending().await };
            if readable(Some(watch)).await.is_err() {
                return future::pending().await;
            }
            let mut buffer = [MaybeUninit::uninit(); 1024];
            let mut events = inotify::Reader::new(watch, &mut buffer);
            let mut any = false;
            while let Ok(event) = events.next() {
                // Files that are made and removed again on the way are no change.
                any |= event
                    .file_name()
                    .is_none_or(|name| FILES.iter().any(|file| file.as_bytes() == name.to_bytes()));
            }
            drained(watch);
            if any {
                return;
            }
        }
    }

    /// Plans a try: whoever removes files is let finish.
    pub(super) fn try_soon(&mut self, now_ns: u64) {
        let soon = now_ns.saturating_add(FIRST_PAUSE_NS);
        self.retry_at = Some(self.retry_at.map_or(soon, |at| at.min(soon)));
    }

    /// For `prpt stats` and `prpt doctor`.
    pub(super) fn to_json(&self) -> Value {
        json!({ "directory": self.roots.runtime, "trouble": self.troubles })
    }
}
