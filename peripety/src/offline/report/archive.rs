//! Archives: only what is of use is unpacked, and nothing outside of its directory.

use std::{
    fs::{self, File},
    io::{self, Read, Write as _},
    path::{Component, Path, PathBuf},
};

use tar::EntryType;
use tempfile::TempDir;

use super::{facts, parts::LogKind, supportconfig};

/// Bytes of what is unpacked in all.
const UNPACKED_MAX: u64 = 16 << 30;
/// Bytes of a file that tells of devices.
const FACTS_MAX: u64 = 64 << 20;
/// Files of sysfs.
const SYSFS_MAX: usize = 100_000;

/// Whether a file that starts so is a tar archive (POSIX 1003.1, ustar).
pub fn is_tar(start: &[u8]) -> bool {
    start.get(257..262) == Some(b"ustar")
}

/// Unpacks what is of use. What could be read of a broken archive is there, with the error.
///
/// # Errors
///
/// There is no room for it.
pub fn unpack_tar(from: impl Read) -> io::Result<(TempDir, Option<io::Error>)> {
    let dir = tempfile::Builder::new().prefix("prpt-parse").tempdir()?;
    let mut archive = tar::Archive::new(from);
    let mut room = UNPACKED_MAX;
    let mut sysfs = 0;
    let mut broken = None;
    for entry in archive.entries()? {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                broken = Some(error);
                break;
            }
        };
        let Some(path) = entry.path().ok().and_then(|path| below(&path)) else { continue };
        let to = dir.path().join(&path);
        let kind = entry.header().entry_type();
        if facts::is_sysfs(&path) {
            sysfs += 1;
            if sysfs > SYSFS_MAX {
                continue;
            }
            if kind == EntryType::Symlink {
                link(&path, &entry, &to);
                continue;
            }
            if kind == EntryType::Directory {
                let _no_room_shows_later = fs::create_dir_all(&to);
                continue;
            }
        }
        let is_log = LogKind::of(Path::new(""), &path).is_some() || supportconfig::is_part(&path);
        let is_fact = facts::is_fact(&path);
        if !matches!(kind, EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse)
            || !(is_log || is_fact)
        {
            continue;
        }
        let most = if is_log { room } else { room.min(FACTS_MAX) };
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut file = File::create(&to)?;
        let (written, error) = copy(&mut (&mut entry).take(most), &mut file)?;
        room -= written;
        let full =
            || io::Error::other("it holds more than 16 GiB of logs: unpack it, and give the directory");
        let error = error.or_else(|| (room == 0).then(full));
        if error.is_some() {
            broken = error;
            break;
        }
    }
    Ok((dir, broken))
}

/// Copies; an error of reading is told apart from one of writing.
fn copy(from: &mut impl Read, to: &mut File) -> io::Result<(u64, Option<io::Error>)> {
    let mut buffer = vec![0; 64 << 10];
    let mut written = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok((written, None)),
            Ok(length) => {
                to.write_all(buffer.get(..length).unwrap_or_default())?;
                written += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Ok((written, Some(error))),
        }
    }
}

/// The path within the directory; none if it leads out of it.
fn below(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    (clean.as_os_str().len() < 4000 && clean.components().next().is_some()).then_some(clean)
}

/// A link of sysfs, where it leads to another place of the same sysfs.
fn link(path: &Path, entry: &tar::Entry<'_, impl Read>, to: &Path) {
    let Ok(Some(target)) = entry.link_name() else { return };
    let mut place: Vec<Component<'_>> = path.parent().into_iter().flat_map(Path::components).collect();
    for part in target.components() {
        match part {
            Component::Normal(_) => place.push(part),
            Component::ParentDir => {
                if place.pop().is_none() {
                    return;
                }
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return,
        }
    }
    let inside: PathBuf = place.into_iter().collect();
    if !facts::is_sysfs(&inside) {
        return;
    }
    if let Some(parent) = to.parent() {
        let _no_room_shows_later = fs::create_dir_all(parent);
    }
    let _it_may_be_there = std::os::unix::fs::symlink(target, to);
}
