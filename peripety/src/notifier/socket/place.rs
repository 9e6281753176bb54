//! The runtime directory with its lock, and the files of sockets.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};

use crate::roots::Roots;

/// How long another daemon may take to end.
pub(crate) const LET_GO: Duration = Duration::from_secs(2);
/// Who may read the journal may read the socket: it reports the same.
const READERS: &str = "systemd-journal";

/// The socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon has it.
    #[error("another peripetyd runs{}: stop it first, or give this one a runtime directory of its own (it is {})",
        pid.map(|p| format!(" (pid {p})")).unwrap_or_default(), directory.display())]
    Running {
        /// The other daemon's process, where it could be read.
        pid: Option<u32>,
        /// The directory that both want.
        directory: PathBuf,
    },
    /// The system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

pub(super) fn system(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SocketError {
    let path = path.to_owned();
    move |source| SocketError::System { what, path, source }
}

/// Device and inode of a file, without following a link.
pub(crate) fn inode(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Name of the lock in the runtime directory.
pub(crate) const LOCK: &str = "peripetyd.lock";

/// Makes the runtime directory and takes the lock that every daemon of it wants. Another one that is just ending has
/// `patience` to let go of it.
///
/// # Errors
///
/// Another daemon runs, or the system refuses.
pub(crate) fn lock_directory(directory: &Path, patience: Duration) -> Result<File, SocketError> {
    let made = DirBuilder::new().recursive(true).mode(0o755).create(directory);
    // What cannot be looked at exists all the same: the reason is why not.
    made.map_err(|error| fs::metadata(directory).err().unwrap_or(error))
        .map_err(system("create", directory))?;
    let path = directory.join(LOCK);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .open(&path)
        // A lock that is there can be had on a filesystem that is read-only too.
        .or_else(|error| File::open(&path).map_err(|_also| error))
        .map_err(system("open", &path))?;
    if let Err(error) = lock_soon(&file, patience) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(system("lock", &path)(error.into()));
        }
        let mut text = String::new();
        let _unreadable = (&mut file).take(32).read_to_string(&mut text);
        return Err(SocketError::Running { pid: text.trim().parse().ok(), directory: directory.to_owned() });
    }
    // For whoever wants to know the holder; without room for it the lock holds as well.
    let _no_room = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// Locks the file, within a while.
fn lock_soon(file: &File, patience: Duration) -> rustix::io::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(50));
            }
            result => return result,
        }
    }
}

/// Makes a socket that its owner and its group can connect to, in place of a file that is there. With `readers` the group is
/// that of those who may read the journal.
///
/// # Errors
/// The system refuses.
pub fn listen(path: &Path, readers: Option<&Roots>) -> Result<std::os::unix::net::UnixListener, SocketError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(system("remove the old socket", path)(error));
        }
        _ => {}
    }
    let listener = std::os::unix::net::UnixListener::bind(path).map_err(system("listen on", path))?;
    // Until here only its owner could connect: connect(2) wants write permission, which umask 022 takes from others.
    if let Some(gid) = readers.and_then(|roots| group(&roots.etc.join("group"), READERS))
        && let Err(error) = chown(path, None, Some(gid))
    {
        tracing::warn!(
            "cannot give {} to group {READERS}: {error}; only its owner can read it",
            path.display()
        );
    }
    fs::set_permissions(path, Permissions::from_mode(0o660)).map_err(system("set the mode of", path))?;
    Ok(listener)
}

/// Id of a group, from a file like /etc/group.
fn group(file: &Path, name: &str) -> Option<u32> {
    fs::read_to_string(file).ok()?.lines().find_map(|line| {
        let mut parts = line.split(':');
        (parts.next() == Some(name)).then(|| parts.nth(1)?.parse().ok())?
    })
}
