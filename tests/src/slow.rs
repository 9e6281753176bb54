//! A disk that is read at a crawl, or not everywhere: a filesystem in user space that answers for the first bytes of each file
//! only, and not for those that are bad.

use std::{
    ffi::OsStr,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation, INodeNo,
    LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEntry, Request,
};

const TTL: Duration = Duration::from_secs(3600);

/// Files in one directory, mounted until the end of its scope.
pub struct SlowFiles {
    session: Option<BackgroundSession>,
    shared: Arc<Shared>,
    dir: PathBuf,
}

#[derive(Default)]
struct Shared {
    fast: AtomicBool,
    /// Bytes of a file for which an answer comes at once.
    at_once: AtomicU64,
    held: Mutex<Vec<(ReplyData, Vec<u8>)>>,
    /// Bytes of each file that cannot be read.
    bad: Mutex<Vec<Range<u64>>>,
}

struct Served {
    files: Vec<(String, Vec<u8>)>,
    shared: Arc<Shared>,
}

impl SlowFiles {
    /// Mounts copies of files on `dir`. Of each, the first `at_once` bytes are read as quickly as ever.
    pub fn mount(dir: &Path, files: &[PathBuf], at_once: u64) -> Result<Self> {
        let read = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok((name, fs::read(path).with_context(|| format!("reading {}", path.display()))?))
        };
        let files = files.iter().map(read).collect::<Result<_>>()?;
        let shared = Arc::new(Shared { at_once: at_once.into(), ..Shared::default() });
        let mut config = Config::default();
        config.mount_options = vec![MountOption::RO, MountOption::FSName("slow".to_owned())];
        let served = Served { files, shared: Arc::clone(&shared) };
        let session =
            fuser::spawn_mount(served, dir, &config).context("mounting a filesystem in user space")?;
        Ok(Self { session: Some(session), shared, dir: dir.to_owned() })
    }

    /// One of its files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// How many reads wait for an answer.
    pub fn waiting(&self) -> usize {
        self.shared.held.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// From now on these bytes of each file cannot be read.
    pub fn spoil(&self, bytes: Range<u64>) {
        self.shared.bad.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }

    /// From now on it is as fast as any.
    pub fn recover(&self) {
        self.shared.fast.store(true, Ordering::SeqCst);
        for (reply, bytes) in self.shared.held.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            reply.data(&bytes);
        }
    }
}

impl Drop for SlowFiles {
    fn drop(&mut self) {
        self.recover();
        crate::disk::unmount(&self.dir);
        drop(self.session.take());
    }
}

impl Served {
    fn attr(&self, inode: u64) -> Option<FileAttr> {
        let index = usize::try_from(inode).ok()?;
        let (kind, size) = match index.checked_sub(2) {
            None => (FileType::Directory, 0),
            Some(nth) => (FileType::RegularFile, self.files.get(nth)?.1.len() as u64),
        };
        Some(FileAttr {
            ino: INodeNo(inode),
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm: if kind == FileType::Directory { 0o755 } else { 0o644 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            flags: 0,
            blksize: 4096,
        })
    }
}

impl Filesystem for Served {
    fn lookup(&self, _request: &Request, _parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let nth = self.files.iter().position(|(file, _)| OsStr::new(file) == name);
        match nth.and_then(|nth| self.attr(nth as u64 + 2)) {
            Some(attr) => reply.entry(&TTL, &attr, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _request: &Request, inode: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        match self.attr(inode.into()) {
            Some(attr) => reply.attr(&TTL, &attr),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn read(
        &self,
        _request: &Request,
        inode: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let nth = usize::try_from(u64::from(inode)).unwrap_or(0).checked_sub(2);
        let Some((_, bytes)) = nth.and_then(|nth| self.files.get(nth)) else {
            return reply.error(Errno::ENOENT);
        };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(usize::try_from(size).unwrap_or(0)).min(bytes.len());
        let bytes = bytes.get(start..end).unwrap_or_default();
        let asked = start as u64..end as u64;
        let bad = self.shared.bad.lock().unwrap_or_else(PoisonError::into_inner);
        if bad.iter().any(|bad| bad.start < asked.end && asked.start < bad.end) {
            return reply.error(Errno::EIO);
        }
        drop(bad);
        if self.shared.fast.load(Ordering::SeqCst) || offset < self.shared.at_once.load(Ordering::SeqCst) {
            return reply.data(bytes);
        }
        self.shared.held.lock().unwrap_or_else(PoisonError::into_inner).push((reply, bytes.to_vec()));
    }

    fn readdir(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let names = self.files.iter().map(|(name, _)| (FileType::RegularFile, name.as_str()));
        let all = [(FileType::Directory, "."), (FileType::Directory, "..")].into_iter().chain(names);
        for (nth, (kind, name)) in all.enumerate().skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
            let inode = nth.max(1) as u64;
            if reply.add(INodeNo(inode), nth as u64 + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }
}
