//! What the kernel is asked: device-mapper's tables, extents, chunks.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use peripety_model::Dev;
use rustix::io::Errno;
use uuid::Uuid;

use super::{Chunks, Extent, FileMap, Space, Tables, btrfs::Chunk, dm::Target};
use crate::{
    bytes::{u32_at, u64_at},
    ioctl::{self, DM_HEADER, FIEMAP_EXTENT, FIEMAP_HEADER, LOOP_STATUS, Request},
    resolve::block_node,
};

/// Why the kernel does not say.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// A file cannot be opened.
    #[error("cannot open {path}: {source}{}", rights(source))]
    Open {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// An ioctl failed.
    #[error("{what} of {of} failed: {source}{}", rights(&io::Error::from(*source)))]
    Ioctl {
        /// What was asked.
        what: &'static str,
        /// About what.
        of: String,
        /// What the kernel said.
        source: Errno,
    },
    /// The answer is larger than any that makes sense.
    #[error("the answer about {of} is too large")]
    TooLarge {
        /// About what.
        of: String,
    },
    /// It has another file by now.
    #[error("{path} is not the file behind {device} (any more): it may be one of another mount namespace")]
    OtherFile {
        /// The file.
        path: PathBuf,
        /// The loop device.
        device: PathBuf,
    },
    /// Not on a block device.
    #[error("{path} lies on no block device that is known")]
    NoDevice {
        /// The file.
        path: PathBuf,
    },
}

fn rights(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::PermissionDenied { " (it takes root, or CAP_SYS_ADMIN)" } else { "" }
}

/// The running kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Where device nodes are.
    pub dev: PathBuf,
}

/// The largest table that is read.
const TABLE_MAX: usize = 4 << 20;
/// Extents that one call gives.
const EXTENTS_AT_ONCE: usize = 512;
/// Extents of one file that are read.
const EXTENTS_MAX: usize = 1 << 20;
/// Chunks of one filesystem that are read: a petabyte has so many.
const CHUNKS_MAX: usize = 1 << 20;

impl Tables for Kernel {
    fn dm_table(&self, dev: Dev) -> Result<Vec<Target>, AskError> {
        dm_table(&open_control(&self.dev)?, dev)
    }

    fn extents(&self, file: &Path) -> Result<FileMap, AskError> {
        extents(&open(file)?, file)
    }

    fn chunks(&self, mount_point: &Path) -> Result<Chunks, AskError> {
        chunks(&open(mount_point)?, mount_point, &self.dev)
    }

    fn check_loop(&self, device: &Path, file: &Path) -> Result<(), AskError> {
        let mut status = [0; LOOP_STATUS];
        let node = open(device)?;
        ioctl::ask(&node, Request::LoopStatus, &mut status).map_err(|source| AskError::Ioctl {
            what: "LOOP_GET_STATUS64",
            of: device.display().to_string(),
            source,
        })?;
        let inode = u64_at(&status, 8);
        let meta =
            std::fs::metadata(file).map_err(|source| AskError::Open { path: file.to_owned(), source })?;
        // The number of the filesystem is another one on btrfs, for each subvolume.
        if inode == Some(meta.ino()) {
            return Ok(());
        }
        Err(AskError::OtherFile { path: file.to_owned(), device: device.to_owned() })
    }
}

/// What device-mapper is asked by, in this directory of device nodes.
pub(crate) fn open_control(dev: &Path) -> Result<File, AskError> {
    let path = dev.join("mapper/control");
    File::options().read(true).write(true).open(&path).map_err(|source| AskError::Open { path, source })
}

/// Opens a file, directory or device to read of it, without a wait.
pub(crate) fn open(path: &Path) -> Result<File, AskError> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let opened = File::options().read(true).custom_flags(i32::try_from(flags).unwrap_or(0)).open(path);
    opened.map_err(|source| AskError::Open { path: path.to_owned(), source })
}

pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

/// What device-mapper is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// All maps.
    Maps,
    /// The table of a map.
    Table,
    /// The status of its targets.
    Status,
}

/// Fills in struct dm_ioctl.
pub(crate) fn dm_header(buffer: &mut [u8], dev: Option<Dev>, flags: u32) {
    let size = u32::try_from(buffer.len()).unwrap_or(0);
    put(buffer, 0, &4_u32.to_ne_bytes());
    put(buffer, 12, &size.to_ne_bytes());
    put(buffer, 16, &(DM_HEADER as u32).to_ne_bytes());
    put(buffer, 28, &flags.to_ne_bytes());
    if let Some(dev) = dev {
        let (major, minor) = (u64::from(dev.major), u64::from(dev.minor));
        let number = minor & 0xff | major << 8 | (minor & !0xff) << 12;
        put(buffer, 40, &number.to_ne_bytes());
    }
}

/// Asks device-mapper, with as much room as the answer takes. What is asked of a map does not wait for writes under way.
pub(crate) fn ask_dm(control: impl AsFd, dev: Option<Dev>, answer: Answer) -> Result<Vec<u8>, AskError> {
    const TABLE: u32 = 1 << 4;
    const BUFFER_FULL: u32 = 1 << 8;
    const NOFLUSH: u32 = 1 << 11;
    let of = || dev.map_or_else(|| "all maps".to_owned(), |dev| dev.to_string());
    let (request, what, flags) = match answer {
        Answer::Maps => (Request::DmListDevices, "DM_LIST_DEVICES", 0),
        Answer::Table => (Request::DmTableStatus, "DM_TABLE_STATUS", TABLE | NOFLUSH),
        Answer::Status => (Request::DmTableStatus, "DM_TABLE_STATUS", NOFLUSH),
    };
    let mut size = 16 * 1024;
    while size <= TABLE_MAX {
        let mut buffer = vec![0; size];
        dm_header(&mut buffer, dev, flags);
        ioctl::ask(&control, request, &mut buffer).map_err(|source| AskError::Ioctl {
            what,
            of: of(),
            source,
        })?;
        if u32_at(&buffer, 28).is_some_and(|flags| flags & BUFFER_FULL == 0) {
            return Ok(buffer);
        }
        forget(&mut buffer);
        size *= 4;
    }
    Err(AskError::TooLarge { of: of() })
}

/// A table may have the key of an encrypted device.
pub(crate) fn forget(answer: &mut [u8]) {
    answer.fill(0);
    std::hint::black_box(answer);
}

fn dm_table(control: impl AsFd, dev: Dev) -> Result<Vec<Target>, AskError> {
    let mut answer = ask_dm(control, Some(dev), Answer::Table)?;
    let table = decode_table(&answer);
    forget(&mut answer);
    Ok(table)
}

/// What the answer to `DM_TABLE_STATUS` says: struct dm_ioctl, then each struct dm_target_spec with its parameters.
pub fn decode_table(answer: &[u8]) -> Vec<Target> {
    const SPEC: usize = 40;
    let (Some(start), Some(count)) = (u32_at(answer, 16), u32_at(answer, 20)) else { return Vec::new() };
    let base = answer.get(start as usize..).unwrap_or_default();
    let mut at = 0;
    let mut table = Vec::new();
    for _ in 0..count {
        let Some(spec) = base.get(at..).filter(|spec| spec.len() >= SPEC) else { break };
        let (Some(first), Some(len), Some(next)) = (u64_at(spec, 0), u64_at(spec, 8), u32_at(spec, 20))
        else {
            break;
        };
        let text = |from: usize, to: usize| {
            let bytes = spec.get(from..to.min(spec.len())).unwrap_or_default();
            let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
            String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
        };
        table.push(Target::new(first, len, &text(24, SPEC), &text(SPEC, spec.len())));
        // Counted from the first; it goes forward, or there is no next.
        match usize::try_from(next) {
            Ok(next) if next > at => at = next,
            _ => break,
        }
    }
    table
}

fn extents(fd: impl AsFd, path: &Path) -> Result<FileMap, AskError> {
    const LAST: u32 = 1;
    let of = || path.display().to_string();
    let space = space_of(&fd, path)?;
    let mut found = Vec::new();
    let mut from = 0_u64;
    let mut complete = false;
    while !complete && found.len() < EXTENTS_MAX {
        let mut buffer = vec![0; FIEMAP_HEADER + EXTENTS_AT_ONCE * FIEMAP_EXTENT];
        put(&mut buffer, 0, &from.to_ne_bytes());
        put(&mut buffer, 8, &(u64::MAX - from).to_ne_bytes());
        put(&mut buffer, 24, &(EXTENTS_AT_ONCE as u32).to_ne_bytes());
        ioctl::ask(&fd, Request::Fiemap, &mut buffer).map_err(|source| AskError::Ioctl {
            what: "FS_IOC_FIEMAP",
            of: of(),
            source,
        })?;
        let (some, last) = decode_extents(&buffer);
        let next = some.last().map(|extent| extent.logical.saturating_add(extent.len));
        complete = last & LAST != 0 || next.is_none_or(|next| next <= from);
        from = next.unwrap_or(from);
        found.extend(some);
    }
    Ok(FileMap { space, extents: found, complete })
}

/// The extents of an answer to `FS_IOC_FIEMAP`, and the flags of the last; none also says that there is no more.
pub fn decode_extents(answer: &[u8]) -> (Vec<Extent>, u32) {
    let count = u32_at(answer, 20).unwrap_or(0) as usize;
    let raw = answer.get(FIEMAP_HEADER..).unwrap_or_default().chunks_exact(FIEMAP_EXTENT).take(count);
    let mut last = 1;
    let extents = raw.filter_map(|raw| {
        let flags = u32_at(raw, 40)?;
        last = flags;
        Some(Extent { logical: u64_at(raw, 0)?, physical: u64_at(raw, 8)?, len: u64_at(raw, 16)?, flags })
    });
    (extents.collect(), last)
}

/// What the addresses of a file's extents are in.
fn space_of(fd: impl AsFd, path: &Path) -> Result<Space, AskError> {
    let mut answer = [0; 1024];
    if ioctl::ask(&fd, Request::BtrfsFsInfo, &mut answer).is_ok()
        && let Some(id) = answer.get(16..32).and_then(|id| Uuid::from_slice(id).ok())
    {
        return Ok(Space::Btrfs(id));
    }
    let stat = rustix::fs::fstat(&fd)
        .map_err(|source| AskError::Open { path: path.to_owned(), source: source.into() })?;
    let dev = Dev::from_user(stat.st_dev);
    if dev.is_anonymous() {
        Err(AskError::NoDevice { path: path.to_owned() })
    } else {
        Ok(Space::Device(dev))
    }
}

/// The chunks of the btrfs that this directory is of, and the number of each device.
fn chunks(fd: impl AsFd, path: &Path, nodes: &Path) -> Result<Chunks, AskError> {
    const CHUNK_TREE: u64 = 3;
    const CHUNKS: u64 = 256;
    const CHUNK_ITEM: u32 = 228;
    let mut found = Chunks::default();
    let mut from = 0_u64;
    loop {
        let mut args = [0; 4096];
        for (at, value) in
            [(0, CHUNK_TREE), (8, CHUNKS), (16, CHUNKS), (24, from), (32, u64::MAX), (48, u64::MAX)]
        {
            put(&mut args, at, &value.to_ne_bytes());
        }
        for (at, value) in [(56, CHUNK_ITEM), (60, CHUNK_ITEM), (64, 4096)] {
            put(&mut args, at, &value.to_ne_bytes());
        }
        ioctl::ask(&fd, Request::BtrfsTreeSearch, &mut args).map_err(|source| AskError::Ioctl {
            what: "BTRFS_IOC_TREE_SEARCH",
            of: path.display().to_string(),
            source,
        })?;
        let some = decode_search(&args);
        let Some(last) = some.last().map(|chunk| chunk.logical) else { break };
        found.chunks.extend(some);
        let Some(next) = last.checked_add(1).filter(|_| found.chunks.len() < CHUNKS_MAX) else { break };
        from = next;
    }
    found.devices = devices(&fd, &found.chunks, nodes);
    Ok(found)
}

/// The chunks of an answer to `BTRFS_IOC_TREE_SEARCH`.
pub fn decode_search(answer: &[u8]) -> Vec<Chunk> {
    const KEY: usize = 104;
    const HEADER: usize = 32;
    let count = u32_at(answer, 64).unwrap_or(0);
    let mut rest = answer.get(KEY..).unwrap_or_default();
    let mut found = Vec::new();
    for _ in 0..count {
        let (Some(logical), Some(len)) = (u64_at(rest, 16), u32_at(rest, 28)) else { break };
        let Some((item, after)) = rest.get(HEADER..).and_then(|rest| rest.split_at_checked(len as usize))
        else {
            break;
        };
        found.extend(Chunk::decode(logical, item));
        rest = after;
    }
    found
}

fn devices(fd: impl AsFd, chunks: &[Chunk], nodes: &Path) -> HashMap<u64, Dev> {
    let mut devices = HashMap::new();
    for id in chunks.iter().flat_map(|chunk| chunk.stripes.iter().map(|(id, _)| *id)) {
        if devices.contains_key(&id) || devices.len() > 4096 {
            continue;
        }
        let mut args = [0; 4096];
        put(&mut args, 0, &id.to_ne_bytes());
        if ioctl::ask(&fd, Request::BtrfsDevInfo, &mut args).is_err() {
            continue;
        }
        let path = args.get(3072..).unwrap_or_default().split(|b| *b == 0).next().unwrap_or_default();
        let path = Path::new(std::str::from_utf8(path).unwrap_or_default());
        let below = path.strip_prefix("/dev").map(|below| nodes.join(below));
        devices.extend(block_node(&below.unwrap_or(path.to_owned())).map(|dev| (id, dev)));
    }
    devices
}
