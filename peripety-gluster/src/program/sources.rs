//! All that gives hints, waited for at once.

use std::{
    fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixDatagram,
    },
    path::{Path, PathBuf},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::inotify,
    io::Errno,
    net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with, sockopt},
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::note;
use crate::{
    datagram,
    follow::Follower,
    hint::{Giver, Hint},
    hook, log,
    snapshot::{Snapshot, Status},
};

/// Datagrams that are read in a row, of one socket.
const BATCH: usize = 1000;
/// How long to sleep where a wait fails, seconds.
const LONGEST_S: u64 = 600;

/// A brick's process of this node.
#[derive(Debug)]
struct Process {
    fd: OwnedFd,
    pid: i32,
    volume: String,
    path: String,
}

/// The sources.
#[derive(Debug)]
pub(super) struct Sources {
    datagrams: Vec<OwnedFd>,
    hook: Option<UnixDatagram>,
    logs: Option<(OwnedFd, Follower)>,
    bricks: Vec<Process>,
}

impl Sources {
    pub(super) fn open(directory: &Path) -> Self {
        let addresses = [
            SocketAddr::from((Ipv6Addr::LOCALHOST, datagram::PORT)),
            SocketAddr::from((Ipv4Addr::LOCALHOST, datagram::PORT)),
        ];
        let mut datagrams = Vec::new();
        for address in addresses {
            match udp(address) {
                Ok(socket) => datagrams.push(socket),
                Err(Errno::ADDRINUSE) => {
                    note(&format!(
                        "another program listens on {address}: events of GlusterFS are read from its logs"
                    ));
                }
                Err(error) => {
                    note(&format!("cannot listen on {address}: {error}; events are read from the logs"))
                }
            }
        }
        let logs = watch_logs(directory).map_err(|error| note(&format!("cannot follow logs: {error}"))).ok();
        Self { datagrams, hook: hook_socket(Path::new(hook::SOCKET)), logs, bricks: Vec::new() }
    }

    /// Watches the processes of this node's bricks, as they are now.
    pub(super) fn watch_bricks(&mut self, snapshot: Option<&Snapshot>) {
        let Some(snapshot) = snapshot else { return };
        let mut bricks = Vec::new();
        for (name, volume) in snapshot.volumes.iter().filter(|(_, volume)| volume.status == Status::Started) {
            let mine = volume.bricks.iter().filter(|b| b.node == snapshot.node && b.online == Some(true));
            for brick in mine {
                let Some(pid) = brick.pid else { continue };
                if let Some(at) =
                    self.bricks.iter().position(|known| known.pid == pid && known.path == brick.path)
                {
                    bricks.push(self.bricks.swap_remove(at));
                    continue;
                }
                let opened = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::NONBLOCK).ok());
                if let Some(fd) = opened {
                    bricks.push(Process { fd, pid, volume: name.clone(), path: brick.path.clone() });
                }
            }
        }
        self.bricks = bricks;
    }

    /// What happened, waiting for `millis` at most.
    pub(super) fn wait(&mut self, millis: u64) -> io::Result<Vec<(Giver, Hint)>> {
        let seconds = (millis / 1000).min(LONGEST_S);
        let timeout = Timespec {
            tv_sec: i64::try_from(seconds).unwrap_or_default(),
            tv_nsec: i64::try_from(millis % 1000 * 1_000_000).unwrap_or_default(),
        };
        let mut waits = Vec::new();
        let mut add = |fd| waits.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        self.datagrams.iter().for_each(|socket| add(socket.as_fd()));
        self.hook.iter().for_each(|socket| add(socket.as_fd()));
        self.logs.iter().for_each(|(fd, _)| add(fd.as_fd()));
        let others =
            self.datagrams.len() + usize::from(self.hook.is_some()) + usize::from(self.logs.is_some());
        self.bricks.iter().for_each(|brick| add(brick.fd.as_fd()));
        match poll(&mut waits, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ended: Vec<bool> = waits.iter().skip(others).map(|wait| !wait.revents().is_empty()).collect();
        drop(waits);
        let mut hints = Vec::new();
        for socket in &self.datagrams {
            receive(socket, datagram::MAX, |bytes| {
                hints.extend(datagram::hint(bytes).map(|hint| (Giver::Anyone, hint)));
            });
        }
        if let Some(socket) = &self.hook {
            receive(socket, 1, |_| hints.push((Giver::Root, Hint::Changed)));
        }
        if let Some((changes, follower)) = &mut self.logs {
            // Which file it was, the follower sees by itself.
            let _none_waits = rustix::io::read(changes, &mut [0; 4096]);
            follower.lines(|line| hints.extend(log::hint(line).map(|hint| (Giver::Root, hint))));
        }
        let mut ended = ended.into_iter();
        self.bricks.retain(|brick| {
            let has_ended = ended.next() == Some(true);
            if has_ended {
                let ended = Hint::Ended { volume: brick.volume.clone(), path: brick.path.clone() };
                hints.push((Giver::Root, ended));
            }
            !has_ended
        });
        Ok(hints)
    }
}

fn udp(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, &address)?;
    Ok(socket)
}

/// The socket of the hook; without it operations are seen a little later.
fn hook_socket(path: &Path) -> Option<UnixDatagram> {
    let directory = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let made = fs::create_dir_all(&directory)
        .and_then(|()| match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .and_then(|()| UnixDatagram::bind(path))
        .and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
    made.map_err(|error| note(&format!("cannot make the socket {}: {error}", path.display()))).ok()
}

fn watch_logs(directory: &Path) -> io::Result<(OwnedFd, Follower)> {
    let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let directories = [directory.to_owned(), directory.join("bricks")];
    let changes = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
    for directory in &directories {
        if let Err(error) = inotify::add_watch(&fd, directory, changes) {
            note(&format!("cannot watch {}: {error}", directory.display()));
        }
    }
    Ok((fd, Follower::new(&directories)))
}

/// Reads what waits, in a bounded number of pieces.
fn receive(fd: impl std::os::fd::AsFd, longest: usize, mut each: impl FnMut(&[u8])) {
    let mut buffer = vec![0; longest];
    for _ in 0..BATCH {
        match recv(&fd, &mut buffer, RecvFlags::DONTWAIT) {
            Ok((read, _)) => each(buffer.get(..read).unwrap_or_default()),
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}
