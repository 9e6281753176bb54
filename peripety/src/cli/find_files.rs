//! Which files of a filesystem have an inode number, or lie on some sectors: by a walk through its directories, which ends
//! in time.

use std::{
    collections::BTreeSet,
    os::unix::fs::{DirEntryExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::block::map::{Range, Tables as _, kernel::Kernel};

/// What is looked for in one filesystem.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Where it is mounted.
    pub(super) mount_point: PathBuf,
    /// Inode numbers.
    pub(super) inodes: BTreeSet<u64>,
    /// Sectors, as FIEMAP counts them for this filesystem.
    pub(super) ranges: Vec<Range>,
}

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Found {
    /// Its path.
    pub(super) path: PathBuf,
    /// Its inode.
    pub(super) inode: u64,
    /// Where in it the sectors begin, in bytes; none where it was found by its inode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) offset: Option<u64>,
}

/// How far the walk got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Walked {
    /// What was found.
    pub(super) files: Vec<Found>,
    /// Files and directories that were looked at.
    pub(super) looked_at: u64,
    /// Directories and files that could not be read.
    pub(super) unread: u64,
    /// Whether all of the filesystem was looked at, or all that was wanted was found.
    pub(super) complete: bool,
}

/// Files that are named.
const FILES_MAX: usize = 64;

enum Step {
    Found(Found),
    Progress(u64, u64),
    Done(bool),
}

/// Looks, for as long as that may take: a disk that does not answer stops the thread that reads it, and not this.
pub(super) fn find(wanted: Wanted, limit: Duration, kernel: &Kernel) -> Walked {
    let (sender, receiver) = mpsc::channel();
    let kernel = kernel.clone();
    let end = Instant::now() + limit;
    let walker =
        thread::Builder::new().name("files".to_owned()).spawn(move || walk(&wanted, end, &kernel, &sender));
    let mut walked = Walked::default();
    if walker.is_err() {
        return walked;
    }
    loop {
        match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(Step::Found(found)) => walked.files.push(found),
            Ok(Step::Progress(looked_at, unread)) => (walked.looked_at, walked.unread) = (looked_at, unread),
            Ok(Step::Done(complete)) => {
                walked.complete = complete;
                return walked;
            }
            Err(_) => return walked,
        }
    }
}

fn walk(wanted: &Wanted, end: Instant, kernel: &Kernel, sender: &mpsc::Sender<Step>) {
    let mut open = vec![wanted.mount_point.clone()];
    let (mut looked_at, mut unread, mut found) = (0_u64, 0_u64, 0);
    let mut missing = wanted.inodes.clone();
    let others = other_mounts(&wanted.mount_point);
    let report = |found: Found| sender.send(Step::Found(found)).is_ok();
    // The root of the filesystem is in no directory of it.
    if let Ok(meta) = wanted.mount_point.metadata()
        && missing.remove(&meta.ino())
    {
        report(Found { path: wanted.mount_point.clone(), inode: meta.ino(), offset: None });
    }
    while let Some(dir) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else {
            unread += 1;
            continue;
        };
        for entry in entries {
            looked_at += 1;
            if looked_at.is_multiple_of(1024) {
                let _nobody = sender.send(Step::Progress(looked_at, unread));
            }
            if Instant::now() >= end || found >= FILES_MAX {
                let _nobody = sender.send(Step::Progress(looked_at, unread));
                return;
            }
            let (Ok(entry), path) = (&entry, entry.as_ref().map(std::fs::DirEntry::path).unwrap_or_default())
            else {
                unread += 1;
                continue;
            };
            if missing.remove(&entry.ino()) {
                found += 1;
                report(Found { path: path.clone(), inode: entry.ino(), offset: None });
            }
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && !others.contains(&path) {
                open.push(path);
            } else if kind.is_file() && !wanted.ranges.is_empty() {
                match kernel.extents(&path) {
                    Ok(map) => {
                        if let Some(offset) = overlap(&map, &wanted.ranges) {
                            found += 1;
                            report(Found { path, inode: entry.ino(), offset: Some(offset) });
                        }
                    }
                    Err(_) => unread += 1,
                }
            }
        }
        if missing.is_empty() && wanted.ranges.is_empty() {
            break;
        }
    }
    let _nobody = sender.send(Step::Progress(looked_at, unread));
    let _nobody = sender.send(Step::Done(unread == 0 || (missing.is_empty() && wanted.ranges.is_empty())));
}

/// The first byte of the file that lies on one of the ranges.
fn overlap(map: &crate::block::map::FileMap, ranges: &[Range]) -> Option<u64> {
    const SECTOR: u64 = 512;
    map.extents.iter().filter(|extent| extent.unplaced().is_none()).find_map(|extent| {
        let (start, end) =
            (extent.physical / SECTOR, extent.physical.saturating_add(extent.len).div_ceil(SECTOR));
        let hit = ranges
            .iter()
            .filter(|range| range.space == map.space && range.sector < end && range.end() > start);
        let first = hit.map(|range| range.sector.max(start)).min()?;
        Some(extent.logical.saturating_add((first - start).saturating_mul(SECTOR)))
    })
}

/// What is mounted below: that is not of this filesystem.
fn other_mounts(point: &Path) -> BTreeSet<PathBuf> {
    let text = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let lines = crate::block::mountinfo::lines(&text).map(|line| line.point());
    lines.filter(|other| other != point && other.starts_with(point)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_by_its_inode_and_what_is_absent_is_not() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/file"), b"x").unwrap();
        let inode = std::fs::metadata(dir.path().join("a/b/file")).unwrap().ino();
        let wanted = |inodes: &[u64]| Wanted {
            mount_point: dir.path().to_owned(),
            inodes: inodes.iter().copied().collect(),
            ranges: Vec::new(),
        };
        let kernel = Kernel { dev: PathBuf::from("/dev") };
        let found = find(wanted(&[inode]), Duration::from_secs(10), &kernel);
        assert_eq!(found.files, [Found { path: dir.path().join("a/b/file"), inode, offset: None }]);
        assert!(found.complete);
        let none = find(wanted(&[u64::MAX]), Duration::from_secs(10), &kernel);
        assert!(none.files.is_empty() && none.complete && none.looked_at == 3, "{none:?}");
        // No time: nothing is known, and that is said.
        let hurried = find(wanted(&[u64::MAX]), Duration::ZERO, &kernel);
        assert!(!hurried.complete);
    }
}
