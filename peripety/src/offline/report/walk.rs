//! The directory of a report: only what lies in it is read, and only regular files.
//!
//! Everything is opened below a file descriptor, one part of a name after the other, and no link is followed: a directory
//! that was unpacked from an archive has what whoever made the archive wanted it to have.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read as _},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::{Component, Path, PathBuf},
};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, readlinkat, statat};

use super::{LogKind, catalog::Catalog, facts, supportconfig};
use crate::{
    files::TreeError,
    offline::bounds::{DEPTH_MAX, FILES_MAX, MEMBERS_MAX, Reached, TREE_MAX},
};

/// How deep directories are looked into for logs; sysfs is deeper.
const LOGS_DEPTH_MAX: usize = 12;

/// Opens the directory that a user names: a link in its own name is the user's choice.
pub(crate) fn open_directory(dir: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Opens a regular file below a directory without following a link. Nothing else is opened: the open of a FIFO waits, that of
/// a device may do harm.
pub(super) fn open_file(directory: &OwnedFd, name: &Path) -> io::Result<File> {
    let mut above: Option<OwnedFd> = None;
    let mut parts = name.components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(part) = part else { return Err(io::ErrorKind::InvalidInput.into()) };
        let at = above.as_ref().map_or(directory.as_fd(), AsFd::as_fd);
        if parts.peek().is_none() {
            return open_last(at, part);
        }
        above = Some(openat(
            at,
            part,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?);
    }
    Err(io::ErrorKind::NotFound.into())
}

fn open_last(at: BorrowedFd<'_>, name: &OsStr) -> io::Result<File> {
    let is_file = |mode: u32| FileType::from_raw_mode(mode) == FileType::RegularFile;
    let no_file = || io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
    if !is_file(statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode) {
        return Err(no_file());
    }
    // It may be another thing by now: such an open neither waits nor makes a terminal ours.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(at, name, flags, Mode::empty())?;
    if !is_file(rustix::fs::fstat(&file)?.st_mode) {
        return Err(no_file());
    }
    Ok(File::from(file))
}

/// Looks through a directory.
///
/// # Errors
///
/// The directory itself cannot be read. Of one below it that cannot be, nothing is known, and the others are read.
pub(super) fn catalog(directory: OwnedFd) -> io::Result<Catalog> {
    let top = openat(&directory, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut walk = Walk { catalog: Catalog::new(Some(directory)), seen: 0 };
    walk.directory(top, &PathBuf::new(), 0)?;
    Ok(walk.catalog)
}

struct Walk {
    catalog: Catalog,
    seen: u64,
}

impl Walk {
    /// Depth is bounded, and so is the number of directories that are open at a time.
    fn directory(&mut self, fd: OwnedFd, path: &Path, depth: usize) -> io::Result<()> {
        let mut below = Vec::new();
        let mut dir = Dir::read_from(&fd)?;
        while let Some(entry) = dir.read() {
            let Ok(entry) = entry else { break };
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            self.seen += 1;
            if self.seen > MEMBERS_MAX {
                self.catalog.left_out.reached(Reached::Members(MEMBERS_MAX));
                return Ok(());
            }
            let kind = match entry.file_type() {
                FileType::Unknown => match statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                    Err(_) => continue,
                },
                kind => kind,
            };
            let path = path.join(name);
            match kind {
                FileType::Directory if self.enters(&path, depth) => below.push(path),
                FileType::RegularFile => self.file(fd.as_fd(), name, path),
                FileType::Symlink => self.link(fd.as_fd(), name, &path),
                FileType::Directory => {}
                _ => self.catalog.left_out.special += u64::from(is_log_or_fact(&path)),
            }
        }
        drop(dir);
        below.sort_unstable();
        for path in below {
            let Some(name) = path.file_name() else { continue };
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            if let Ok(child) = openat(&fd, name, flags, Mode::empty()) {
                let _others_are_read = self.directory(child, &path, depth + 1);
            }
        }
        Ok(())
    }

    /// sysfs is deep and large: only the parts that show devices are entered.
    fn enters(&mut self, path: &Path, depth: usize) -> bool {
        let in_sysfs = path.components().any(|part| part.as_os_str() == "sys");
        if !in_sysfs {
            return depth < LOGS_DEPTH_MAX;
        }
        if depth >= DEPTH_MAX || !facts::leads_to_sysfs(path) {
            return false;
        }
        if facts::is_sysfs(path) {
            let added = self.catalog.tree.add_directory(path);
            self.added(added);
        }
        true
    }

    fn file(&mut self, at: BorrowedFd<'_>, name: &OsStr, path: PathBuf) {
        if facts::is_sysfs(&path) {
            if !facts::is_attribute(&path) {
                return;
            }
            let read = || -> io::Result<Vec<u8>> {
                let mut content = Vec::new();
                open_last(at, name)?.take(facts::size_max(&path)).read_to_end(&mut content)?;
                Ok(content)
            };
            // An attribute that cannot be read is as one that is not there.
            if let Ok(content) = read() {
                let added = self.catalog.tree.add_file(&path, content.into());
                self.added(added);
            }
        } else if is_log_or_fact(&path) {
            if self.catalog.is_full() {
                self.catalog.left_out.reached(Reached::Files(FILES_MAX));
            } else {
                self.catalog.add_on_disk(path);
            }
        }
    }

    /// Outside of sysfs links are not followed: in a report they lead to files that are there anyway.
    fn link(&mut self, at: BorrowedFd<'_>, name: &OsStr, path: &Path) {
        if !facts::is_sysfs(path) {
            return;
        }
        if let Ok(target) = readlinkat(at, name, Vec::new()) {
            let target = PathBuf::from(std::ffi::OsString::from_vec(target.into_bytes()));
            let added = self.catalog.tree.add_link(path, &target);
            self.added(added);
        }
    }

    fn added(&mut self, added: Result<(), TreeError>) {
        if added == Err(TreeError::Full) {
            self.catalog.left_out.reached(Reached::Tree(TREE_MAX as u64));
        }
    }
}

fn is_log_or_fact(path: &Path) -> bool {
    LogKind::of(path).is_some() || facts::is_fact(path) || supportconfig::is_part(path)
}
