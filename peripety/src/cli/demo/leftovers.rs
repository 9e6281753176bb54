//! What a demo leaves that was killed while it made its disk: nobody else takes it away.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
};

use rustix::mount::{UnmountFlags, unmount};

use crate::block::mountinfo::{self, Line};

/// The source of its mount, and what the name of its directory begins with.
pub(super) const NAME: &str = "prpt-demo";

/// What the name of this process's directory begins with.
pub(super) fn prefix() -> String {
    format!("{NAME}-{}-", process::id())
}

/// Takes away what processes left that are no more. What cannot be taken away stays.
pub(super) fn remove() {
    let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
    for dir in mountinfo::lines(&mounts).filter_map(of_the_dead) {
        for name in loops_on(&dir) {
            let _busy = super::disk::losetup(&["--detach"], &Path::new("/dev").join(name));
        }
        // The directory is in a place where anybody may lay a link.
        let _busy = unmount(&dir, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
    }
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(is_of_the_dead) {
            let _not_empty = fs::remove_dir(entry.path());
        }
    }
}

/// The mount point of a demo's whose process is gone.
fn of_the_dead(mount: Line<'_>) -> Option<PathBuf> {
    (mount.fs_type == b"tmpfs" && mount.source == NAME.as_bytes()).then_some(())?;
    let dir = mount.point();
    is_of_the_dead(dir.file_name()?.to_str()?).then_some(dir)
}

fn is_of_the_dead(name: &str) -> bool {
    let pid = name.strip_prefix(NAME).and_then(|rest| rest.strip_prefix('-')?.split_once('-'));
    pid.and_then(|(pid, _)| pid.parse::<u32>().ok())
        .is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}

/// The loop devices whose file is in a directory.
fn loops_on(dir: &Path) -> Vec<String> {
    let disks = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let of_dir = disks.filter(|disk| {
        let file = fs::read_to_string(disk.path().join("loop/backing_file")).unwrap_or_default();
        Path::new(file.trim_end()).starts_with(dir)
    });
    of_dir.map(|disk| disk.file_name().to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_demo_mounted_is_taken_away() {
        let line = |dir: &str, kind: &str, source: &str| {
            format!("76 45 0:48 / {dir} rw,nodev,relatime - {kind} {source} rw,size=1024k,mode=700")
        };
        let of_the_dead = |line: &str| Line::parse(line.as_bytes()).and_then(of_the_dead);
        // Larger than any process number of Linux.
        let dead = "/tmp/prpt-demo-4194305-WkEYU1";
        assert_eq!(of_the_dead(&line(dead, "tmpfs", NAME)), Some(PathBuf::from(dead)));
        let alive = format!("/tmp/{}WkEYU1", prefix());
        for (dir, kind, source) in [
            (alive.as_str(), "tmpfs", NAME),
            (dead, "ext4", NAME),
            (dead, "tmpfs", "tmpfs"),
            ("/home", "tmpfs", NAME),
            ("/tmp/prpt-demo-x-y", "tmpfs", NAME),
        ] {
            assert_eq!(of_the_dead(&line(dir, kind, source)), None, "{dir} {kind} {source}");
        }
        assert_eq!(of_the_dead("no line of mountinfo"), None);
    }
}
