//! Which filesystems are mounted, the marks on them and their health monitors.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::fs::OpenOptionsExt as _,
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};
use peripety_block::{
    fanotify::{self, FS_ERROR, OVERFLOW},
    ioctl::{self, Request},
    mountinfo,
    xfs_health::{self as health, RECORD, Record},
};
use peripety_model::Dev;
use rustix::{fs::OFlags, io::Errno};

use super::{asker::Asker, say};
use crate::message::{Failure, Message, Reporter, Watching, What};

/// FAN_REPORT_FID, which nix has no name for.
const REPORT_FID: u32 = 0x200;
/// Filesystems that are watched.
const FILESYSTEMS_MAX: usize = 4096;
/// Filesystems that went, of which an event may still come.
const GONE_MAX: usize = 64;
/// Of one that does not answer in time.
const HANGS: &str = "it does not answer: its disk may hang; it is watched when it does";
/// Those that wait for other machines or for a process: on them, and on what is mounted below, a path may hang.
const MAY_HANG: [&str; 13] = [
    "nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "afs", "lustre", "beegfs", "gfs2", "ocfs2", "fuse",
    "fuseblk",
];

/// A mounted filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Filesystem {
    dev: Dev,
    fs_type: String,
    point: PathBuf,
}

/// What is asked of a filesystem.
struct Question {
    filesystem: Filesystem,
    monitor: bool,
}

/// What came of it.
struct Answer {
    filesystem: Filesystem,
    id: Result<[u32; 2], Errno>,
    monitor: Option<Result<OwnedFd, NoMonitor>>,
}

/// Why there is no monitor.
enum NoMonitor {
    /// The kernel has none.
    None,
    /// It could not be had.
    Refused(String),
}

/// What could be had of a filesystem, and why not.
#[derive(Clone, Debug)]
struct State {
    mark: Result<(), Errno>,
    monitor: Option<Result<(), String>>,
}

/// All of them.
pub(super) struct Filesystems {
    group: Result<Arc<Fanotify>, Errno>,
    asker: Asker<Question, Answer>,
    /// Those that are mounted and can be reached, and the others.
    mounted: BTreeMap<Dev, Filesystem>,
    unreachable: Vec<(Filesystem, &'static str)>,
    states: BTreeMap<Dev, State>,
    /// Which one an id of statfs(2) is of.
    by_id: BTreeMap<[u32; 2], Filesystem>,
    monitors: BTreeMap<Dev, (Filesystem, OwnedFd)>,
    /// XFS of a kernel without health monitors: they are not opened again each time that the mounts change.
    without_monitor: BTreeSet<Dev>,
    watching: Watching,
    /// Something came since that was put together.
    is_new: bool,
}

const NO_MONITORS: &str = "this kernel has none (Linux 7.2)";

impl Filesystems {
    /// None yet.
    pub(super) fn new() -> io::Result<Self> {
        let flags = InitFlags::FAN_CLASS_NOTIF | InitFlags::FAN_CLOEXEC | InitFlags::FAN_NONBLOCK;
        let flags = flags | InitFlags::from_bits_retain(REPORT_FID);
        let group = Fanotify::init(flags, EventFFlags::O_RDONLY | EventFFlags::O_CLOEXEC);
        let group = group.map(Arc::new).map_err(|error| Errno::from_raw_os_error(error as i32));
        if let Err(error) = &group {
            say(&format!("fanotify_init failed: {error}; it takes CAP_SYS_ADMIN and Linux 5.16"));
        }
        let marks = group.clone();
        let ask = move |question: Question| {
            let Question { filesystem, monitor } = question;
            let id = marks.as_ref().map_err(|error| *error).and_then(|group| mark(group, &filesystem));
            let monitor = monitor.then(|| open_monitor(&filesystem));
            Answer { filesystem, id, monitor }
        };
        Ok(Self {
            group,
            asker: Asker::new(ask)?,
            mounted: BTreeMap::new(),
            unreachable: Vec::new(),
            states: BTreeMap::new(),
            by_id: BTreeMap::new(),
            monitors: BTreeMap::new(),
            without_monitor: BTreeSet::new(),
            watching: Watching { pid: std::process::id(), ..Watching::default() },
            is_new: false,
        })
    }

    pub(super) fn watching(&self) -> Watching {
        self.watching.clone()
    }

    /// Takes the mounts that there are, and begins to ask for what reports of them.
    pub(super) fn watch(&mut self, text: &[u8]) {
        let (mounted, unreachable) = mounted(text);
        let is_unreachable = |dev: Dev| unreachable.iter().any(|(filesystem, _)| filesystem.dev == dev);
        if self.by_id.len() > mounted.len() + GONE_MAX {
            // Those that can be reached come back with their marks.
            self.by_id.retain(|_, known| is_unreachable(known.dev));
        }
        let is_there = |dev: &Dev| mounted.contains_key(dev) || is_unreachable(*dev);
        self.monitors.retain(|dev, _| is_there(dev));
        self.without_monitor.retain(is_there);
        self.states.retain(|dev, _| mounted.contains_key(dev));
        let questions = mounted.values().map(|filesystem| {
            let dev = filesystem.dev;
            let has_one = self.monitors.contains_key(&dev) || self.without_monitor.contains(&dev);
            let monitor = filesystem.fs_type == "xfs" && !has_one;
            (dev, Question { filesystem: filesystem.clone(), monitor })
        });
        self.asker.begin(questions);
        (self.mounted, self.unreachable) = (mounted, unreachable);
        self.is_new = true;
    }

    /// How long to wait at most before [`Filesystems::go_on`].
    pub(super) fn due_in(&self) -> Option<Duration> {
        self.asker.due_in()
    }

    /// Takes what filesystems answered. Whether what is watched changed.
    pub(super) fn go_on(&mut self) -> bool {
        for (dev, answer) in self.asker.go_on() {
            self.take(dev, answer);
            self.is_new = true;
        }
        if !self.asker.is_done() || !std::mem::take(&mut self.is_new) {
            return false;
        }
        let watching = self.summary();
        let changed = watching != self.watching;
        self.watching = watching;
        changed
    }

    fn take(&mut self, dev: Dev, answer: Answer) {
        let Answer { filesystem, id, monitor } = answer;
        // It went while it was asked.
        if self.mounted.get(&dev) != Some(&filesystem) {
            return;
        }
        let mark = id.map(|id| {
            self.by_id.insert(id, filesystem.clone());
        });
        let monitor = match monitor {
            Some(Ok(monitor)) => {
                self.monitors.insert(dev, (filesystem, monitor));
                Some(Ok(()))
            }
            Some(Err(NoMonitor::None)) => {
                self.without_monitor.insert(dev);
                Some(Err(NO_MONITORS.to_owned()))
            }
            Some(Err(NoMonitor::Refused(why))) => Some(Err(why)),
            None if self.without_monitor.contains(&dev) => Some(Err(NO_MONITORS.to_owned())),
            None => self.monitors.contains_key(&dev).then_some(Ok(())),
        };
        self.states.insert(dev, State { mark, monitor });
    }

    /// What is watched now.
    fn summary(&self) -> Watching {
        let mut watching = Watching { pid: std::process::id(), ..Watching::default() };
        for (filesystem, why) in &self.unreachable {
            watching.refuse(&filesystem.point.to_string_lossy(), (*why).to_owned());
        }
        for (dev, filesystem) in &self.mounted {
            let point = filesystem.point.to_string_lossy();
            if self.asker.hangs(*dev) {
                watching.refuse(&point, HANGS.to_owned());
                continue;
            }
            let Some(state) = self.states.get(dev) else {
                watching.refuse(&point, self.asker.why_not().unwrap_or("not asked").to_owned());
                continue;
            };
            match &state.mark {
                Ok(()) => watching.fanotify += 1,
                Err(error) => watching.refuse(&point, format!("fanotify: {error}")),
            }
            match &state.monitor {
                Some(Ok(())) => watching.health += 1,
                Some(Err(why)) => watching.refuse(&point, format!("health monitor: {why}")),
                None => {}
            }
        }
        watching
    }

    /// What may have something to say.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let group = self.group.as_ref().ok().map(|group| group.as_fd());
        let others = self.monitors.values().map(|(_, fd)| fd.as_fd());
        [self.asker.wake()].into_iter().chain(group).chain(others)
    }

    /// What they have to say now.
    pub(super) fn read(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        if let Ok(group) = &self.group {
            let mut buffer = [0; 16 * 1024];
            while let Ok(length @ 1..) = rustix::io::read(group, &mut buffer) {
                let events = fanotify::events(buffer.get(..length).unwrap_or_default());
                messages.extend(events.iter().filter_map(|event| self.message(event)));
            }
        }
        let mut ended = Vec::new();
        for (dev, (filesystem, monitor)) in &self.monitors {
            if !read_monitor(filesystem, monitor, &mut messages) {
                ended.push(*dev);
            }
        }
        for dev in ended {
            self.monitors.remove(&dev);
        }
        messages
    }

    fn message(&self, event: &fanotify::Event) -> Option<Message> {
        if event.mask & OVERFLOW != 0 {
            return Some(Message::Lost { count: 1, reason: "the queue of fanotify was full".to_owned() });
        }
        let filesystem = self.by_id.get(&event.fsid).filter(|_| event.mask & FS_ERROR != 0)?;
        Some(Message::Failure(Failure {
            reporter: Reporter::Fanotify,
            dev: filesystem.dev,
            fs_type: filesystem.fs_type.clone(),
            what: What::Error,
            errno: event.errno,
            inode: event.inode,
            generation: event.generation,
            offset: None,
            length: None,
            count: event.count.max(1).into(),
            detail: String::new(),
        }))
    }
}

/// Marks a filesystem, and gives its id as events have it; once more is the same mark.
fn mark(group: &Fanotify, filesystem: &Filesystem) -> Result<[u32; 2], Errno> {
    let id = rustix::fs::statvfs(&filesystem.point)?.f_fsid;
    let flags = MarkFlags::FAN_MARK_ADD | MarkFlags::FAN_MARK_FILESYSTEM;
    group
        .mark(flags, MaskFlags::FAN_FS_ERROR, rustix::fs::CWD, Some(&filesystem.point))
        .map_err(|error| Errno::from_raw_os_error(error as i32))?;
    // As the kernel has it: two numbers, the lower one first.
    Ok([id as u32, (id >> 32) as u32])
}

/// Opens the health monitor of an XFS. There is one place only: whoever was first keeps it.
fn open_monitor(filesystem: &Filesystem) -> Result<OwnedFd, NoMonitor> {
    let refused = |error: &dyn std::fmt::Display| NoMonitor::Refused(error.to_string());
    let flags = OFlags::DIRECTORY | OFlags::NONBLOCK;
    let root = File::options()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
        .open(&filesystem.point)
        .map_err(|error| refused(&error))?;
    let opened = ioctl::ask_for_fd(root.as_fd(), Request::XfsHealthMonitor, &mut [0; 32]);
    let monitor = opened.map_err(|error| match error {
        Errno::EXIST => refused(&"another program, such as xfs_healer, has it"),
        Errno::NOTTY => NoMonitor::None,
        Errno::INVAL | Errno::OPNOTSUPP => refused(&NO_MONITORS),
        error => refused(&error),
    })?;
    rustix::io::ioctl_fionbio(&monitor, true)
        .or_else(|_| set_nonblocking(&monitor))
        .map_err(|error| refused(&error))?;
    Ok(monitor)
}

/// The filesystems on disks that can be reached, each at one place, and the others with the reason.
fn mounted(text: &[u8]) -> (BTreeMap<Dev, Filesystem>, Vec<(Filesystem, &'static str)>) {
    let lines: Vec<mountinfo::Line<'_>> = mountinfo::lines(text).collect();
    let points: BTreeMap<u64, &[u8]> = lines.iter().map(|line| (line.id, line.point)).collect();
    let covers = |line: &&mountinfo::Line<'_>| {
        line.parent != line.id && points.get(&line.parent).is_some_and(|point| *point == line.point)
    };
    let covered: BTreeSet<u64> = lines.iter().filter(covers).map(|line| line.parent).collect();
    // Below a root that hangs nothing could be watched at all.
    let hanging: Vec<PathBuf> = lines
        .iter()
        .filter(|line| may_hang(&line.fs_type()))
        .map(mountinfo::Line::point)
        .filter(|point| point != Path::new("/"))
        .collect();
    let mut mounted: BTreeMap<Dev, Filesystem> = BTreeMap::new();
    let mut unreachable: Vec<(Filesystem, &str)> = Vec::new();
    for line in &lines {
        let fs_type = line.fs_type();
        let on_disk = !line.dev.is_anonymous() || fs_type == "btrfs" || fs_type == "bcachefs";
        if !on_disk || may_hang(&fs_type) || mounted.len() >= FILESYSTEMS_MAX {
            continue;
        }
        let found = Filesystem { dev: line.dev, fs_type, point: line.point() };
        if covered.contains(&line.id) {
            unreachable.push((found, "another filesystem is mounted over it"));
        } else if hanging.iter().any(|point| found.point.starts_with(point)) {
            unreachable.push((found, "its path may hang: it is below one of another machine or process"));
        } else {
            mounted.entry(line.dev).or_insert(found);
        }
    }
    unreachable.retain(|(filesystem, _)| !mounted.contains_key(&filesystem.dev));
    unreachable.sort_by_key(|(filesystem, _)| filesystem.dev);
    unreachable.dedup_by_key(|(filesystem, _)| filesystem.dev);
    (mounted, unreachable)
}

fn may_hang(fs_type: &str) -> bool {
    MAY_HANG.contains(&fs_type) || fs_type.starts_with("fuse.")
}

fn set_nonblocking(fd: &OwnedFd) -> Result<(), Errno> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)
}

/// Takes the records of a monitor; false when it has ended.
fn read_monitor(filesystem: &Filesystem, monitor: &OwnedFd, messages: &mut Vec<Message>) -> bool {
    let mut buffer = [0; 64 * RECORD];
    loop {
        let length = match rustix::io::read(monitor, &mut buffer) {
            Ok(0) => return false,
            Ok(length) => length,
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => return true,
            Err(_) => return false,
        };
        for record in buffer.get(..length).unwrap_or_default().chunks_exact(RECORD) {
            match health::decode(record) {
                Some(Record::Failed(failed)) => messages.push(Message::Failure(Failure {
                    reporter: Reporter::XfsHealth,
                    dev: filesystem.dev,
                    fs_type: filesystem.fs_type.clone(),
                    what: failed.what,
                    errno: failed.errno,
                    inode: failed.inode,
                    generation: failed.generation,
                    offset: failed.offset,
                    length: failed.length,
                    count: 1,
                    detail: failed.detail,
                })),
                Some(Record::Lost(count)) => {
                    messages.push(Message::Lost {
                        count,
                        reason: "the health monitor's queue was full".to_owned(),
                    });
                }
                Some(Record::Unmounted) => return false,
                Some(Record::Fine) | None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_on_a_disk_is_left_alone() {
        let mut filesystems = Filesystems::new().unwrap();
        let text = b"22 27 0:21 / /proc rw - proc proc rw\n\
            23 27 0:30 / /nfs rw - nfs server:/x rw\n\
            24 27 254:0 / /does/not/exist rw - ext4 /dev/vda rw\n\
            25 27 254:0 / /bind rw - ext4 /dev/vda rw\n";
        let settle = |filesystems: &mut Filesystems| {
            filesystems.watch(text);
            let mut changed = false;
            for _ in 0..1000 {
                changed |= filesystems.go_on();
                if filesystems.asker.is_done() {
                    return changed;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            panic!("the filesystems do not answer")
        };
        assert!(settle(&mut filesystems));
        let watching = filesystems.watching();
        // One filesystem is asked for once, and what cannot be had is named with the reason.
        assert_eq!((watching.fanotify, watching.refused.len()), (0, 1), "{watching:?}");
        let is_marked = |point: &str| filesystems.by_id.values().any(|found| found.point == Path::new(point));
        assert!(watching.refused[0].mount_point == "/does/not/exist" && !is_marked("/bind"));
        assert!(!settle(&mut filesystems), "nothing changed");
    }

    #[test]
    fn a_path_that_leads_elsewhere_or_may_hang_is_not_taken() {
        let (found, unreachable) = mounted(
            b"27 1 254:0 / / rw - ext4 /dev/vda rw\n\
            30 27 8:0 / /below rw - xfs /dev/sda rw\n\
            31 30 0:30 / /below rw - nfs server:/x rw\n\
            32 31 8:16 / /below/it rw - ext4 /dev/sdb rw\n\
            33 27 8:32 / /below-not rw - ext4 /dev/sdc rw\n\
            34 27 0:40 / /boot rw - autofs systemd-1 rw\n\
            35 34 8:48 / /boot rw - vfat /dev/sdd rw\n\
            36 31 8:32 / /below/again rw - ext4 /dev/sdc rw\n",
        );
        let points: Vec<_> = found.values().filter_map(|found| found.point.to_str()).collect();
        assert_eq!(points, ["/below-not", "/boot", "/"]);
        let points: Vec<_> = unreachable.iter().filter_map(|(found, _)| found.point.to_str()).collect();
        assert_eq!(points, ["/below", "/below/it"]);
    }
}
