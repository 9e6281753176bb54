//! The program: one thread, which waits for all descriptors at once, and another one that uses the paths of filesystems.

mod arrays;
mod asker;
mod filesystems;
mod link;
mod snapshots;
mod stacked;

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use self::{filesystems::Filesystems, link::Link, snapshots::Snapshots, stacked::Stacked};
use crate::message::{Ask, SOCKET};

/// Gets to know of filesystems what takes CAP_SYS_ADMIN, and hands it to peripetyd.
#[derive(Debug, Parser)]
#[command(name = "peripety-watch", version, max_term_width = 100)]
pub struct Args {
    /// Directory of the daemon's socket
    #[arg(
        long,
        value_name = "DIR",
        env = "PERIPETY_RUNTIME_DIR",
        default_value = "/run/peripety",
        hide = true
    )]
    runtime_dir: PathBuf,
    /// mountinfo of the mounts that are watched
    #[arg(long, value_name = "FILE", default_value = "/proc/self/mountinfo", hide = true)]
    mountinfo: PathBuf,
    /// Directory of device nodes
    #[arg(long, value_name = "DIR", default_value = "/dev", hide = true)]
    dev: PathBuf,
    /// Where sysfs is mounted
    #[arg(long, value_name = "DIR", default_value = "/sys", hide = true)]
    sysfs: PathBuf,
    /// Where procfs is mounted
    #[arg(long, value_name = "DIR", default_value = "/proc", hide = true)]
    proc: PathBuf,
}

/// Runs until a signal ends it.
pub fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

/// Words for whoever reads the unit's log.
fn say(words: &dyn std::fmt::Display) {
    // Nobody is left to read it when stderr is closed.
    let _closed = writeln!(io::stderr(), "peripety-watch: {words}");
}

/// Why it ends.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error("cannot read {path}: {source}")]
    Mountinfo { path: PathBuf, source: io::Error },
    #[error("cannot wait for what happens: poll failed: {0}")]
    Poll(Errno),
    #[error("cannot make an eventfd: {0}")]
    Eventfd(io::Error),
}

fn open(path: &Path) -> Result<File, WatchError> {
    File::open(path).map_err(|source| WatchError::Mountinfo { path: path.to_owned(), source })
}

fn run(args: &Args) -> Result<(), WatchError> {
    // Opened before it is first read, so that no change falls between.
    let changes = open(&args.mountinfo)?;
    let mut link = Link::new(args.runtime_dir.join(SOCKET));
    let mut filesystems = Filesystems::new().map_err(WatchError::Eventfd)?;
    let mut stacked = Stacked::new(&args.dev, &args.sysfs, &args.proc);
    let mut snapshots = Snapshots::new(&args.dev, &args.sysfs).map_err(WatchError::Eventfd)?;
    let mut mounts_changed = true;
    loop {
        if std::mem::take(&mut mounts_changed) {
            let mut text = Vec::new();
            io::Read::read_to_end(&mut open(&args.mountinfo)?, &mut text)
                .map_err(|source| WatchError::Mountinfo { path: args.mountinfo.clone(), source })?;
            filesystems.watch(&text);
            // Maps that are mounted are there, and their driver is.
            stacked.wake();
        }
        filesystems.go_on();
        let changed = stacked.go_on();
        let mut watching = filesystems.watching();
        stacked.add_to(&mut watching);
        link.watching(watching);
        // A daemon that is new to it gets all of it; without one nothing is kept, for only the latest counts.
        let messages = if link.go_on() { stacked.send_all() } else { changed };
        if link.socket().is_some() {
            messages.iter().for_each(|message| link.send(message));
        }
        snapshots.go_on().iter().for_each(|message| link.send(message));
        let ready = wait(&changes, &link, &filesystems, &stacked, &snapshots)?;
        mounts_changed = ready.mounts;
        match ready.link.then(|| link.read()).flatten() {
            Some(Ask::Health(dev)) => snapshots.ask(dev),
            Some(ask) => stacked.ask(ask),
            None => {}
        }
        if ready.stacked {
            stacked.wake();
        }
        for message in filesystems.read() {
            link.send(&message);
        }
    }
}

/// What has something to say.
struct Ready {
    mounts: bool,
    link: bool,
    stacked: bool,
}

fn wait(
    changes: &File,
    link: &Link,
    filesystems: &Filesystems,
    stacked: &Stacked,
    snapshots: &Snapshots,
) -> Result<Ready, WatchError> {
    let mut all = vec![PollFd::new(changes, PollFlags::PRI)];
    let connection: Option<BorrowedFd<'_>> = link.socket();
    all.extend(connection.map(|fd| PollFd::from_borrowed_fd(fd, link.waits_for())));
    let of_stacked = all.len();
    let (maps, arrays) = stacked.descriptors();
    all.extend(maps.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
    all.extend(arrays.map(|file| PollFd::new(file, PollFlags::PRI)));
    let of_filesystems = all.len();
    all.push(PollFd::from_borrowed_fd(snapshots.wake(), PollFlags::IN));
    all.extend(filesystems.descriptors().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
    let due = [link.retry_in(), filesystems.due_in(), stacked.due_in(), snapshots.due_in()];
    let timeout = due.into_iter().flatten().min();
    let timeout = timeout.and_then(|wait| Timespec::try_from(wait).ok());
    match poll(&mut all, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(WatchError::Poll(error)),
    }
    let fired = |index: usize| all.get(index).is_some_and(|fd| !fd.revents().is_empty());
    Ok(Ready {
        mounts: fired(0),
        link: connection.is_some() && fired(1),
        stacked: (of_stacked..of_filesystems).any(fired),
    })
}
