//! Programs that go on while the daemon is away: pinned in the BPF filesystem, with their maps and links.
//!
//! Each load of the object has a directory of its own below `/sys/fs/bpf/peripety`. Its name says what was loaded (object,
//! options, offsets) and for which rows of the table, so that a successor adopts only what it would load itself. What
//! fails meanwhile waits in the ring, and is counted where the ring is full: bounded, and nothing is lost by a restart.
//! `peripetyd --detach` removes all of it.

mod tree;

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use aya::{
    Ebpf,
    maps::{Map, MapData, MapError},
    pin::PinError,
    programs::{
        Program, ProgramError, RawTracePoint, TracePoint,
        links::{FdLink, LinkError, PinnedLink},
    },
};
use rustix::{
    fs::{AtFlags, FlockOperation, flock, unlinkat},
    mount::{MountFlags, mount},
};
use tree::Tree;
use uuid::Uuid;

use super::super::{
    field_offsets::Layout,
    maps::NAMES,
    probes::{PROBES, Probe},
    status::AttachMode,
};
use super::instance::Adopted;
use crate::roots::Roots;

/// `BPF_FS_MAGIC` of include/uapi/linux/magic.h.
const BPF_FS: u64 = 0xcafe_4a11;
/// Name space of the directories' names.
const NAMESPACE: Uuid = Uuid::from_u128(0x1b0f_6f0e_7b0a_4c5e_8a54_9d6c_2e8f_7a11);

/// Why something cannot be pinned or taken up.
#[derive(Debug, thiserror::Error)]
pub(super) enum PinFailure {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Pin(#[from] PinError),
    #[error(transparent)]
    Map(#[from] MapError),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("{0} was loaded and not attached")]
    NotAttached(&'static str),
}

/// The directory, held against other daemons.
#[derive(Debug)]
pub(super) struct Pins {
    dir: PathBuf,
    /// Locked.
    tree: Tree,
}

/// What can be distinguished from a directory's name.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) dir: PathBuf,
    /// Rows of the table.
    pub(super) rows: Vec<usize>,
}

fn directory(roots: &Roots) -> PathBuf {
    roots.sysfs.join("fs/bpf/peripety")
}

/// Removes all pins, and with them all programs that no daemon holds. Whether there were any.
///
/// # Errors
/// A daemon uses them, they cannot be removed, or there is something that no daemon made.
pub(crate) fn clear(roots: &Roots) -> io::Result<bool> {
    let dir = directory(roots);
    let tree = match Tree::open(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        tree => tree?,
    };
    flock(&tree.fd, FlockOperation::NonBlockingLockExclusive).map_err(|_busy| {
        let what = format!("a running peripetyd uses {}; stop it first", dir.display());
        io::Error::new(io::ErrorKind::ResourceBusy, what)
    })?;
    let loads = tree.loads()?;
    for load in &loads {
        tree.remove(load).map_err(|error| in_path(&dir.join(load), &error))?;
    }
    let parent = tree::walk(dir.parent().unwrap_or(&dir))?;
    let name = dir.file_name().unwrap_or_default();
    unlinkat(&parent, name, AtFlags::REMOVEDIR).map_err(|error| in_path(&dir, &error.into()))?;
    Ok(!loads.is_empty())
}

fn in_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Why nothing can be pinned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PinsError {
    /// mount(2) failed.
    #[error("no BPF filesystem is at {}: {error}", path.display())]
    Mount { path: PathBuf, error: rustix::io::Errno },
    /// The directory cannot be made or is not to be trusted.
    #[error(transparent)]
    Directory(#[from] io::Error),
    /// The command line says so.
    #[error("it is not wanted")]
    Unwanted,
    /// flock(2) says so.
    #[error("another daemon holds {}", .0.display())]
    Busy(PathBuf),
}

/// Sees to it that there is a BPF filesystem, and the directory in it.
///
/// # Errors
/// There is not.
pub(crate) fn prepare(roots: &Roots) -> Result<(), PinsError> {
    let dir = directory(roots);
    let parent = dir.parent().unwrap_or(&dir);
    if !is_bpffs(parent) {
        // systemd mounts it at boot; elsewhere nobody may have.
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("bpf", parent, "bpf", flags, Some(c"mode=0700"))
            .map_err(|error| PinsError::Mount { path: parent.to_owned(), error })?;
    }
    match fs::DirBuilder::new().mode(0o700).create(&dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(in_path(&dir, &error).into()),
        _ => Ok(()),
    }
}

impl Pins {
    /// Takes the directory into possession.
    ///
    /// # Errors
    /// Nothing can be pinned.
    pub(super) fn open(roots: &Roots) -> Result<Self, PinsError> {
        prepare(roots)?;
        let dir = directory(roots);
        let tree = Tree::open(&dir)?;
        flock(&tree.fd, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_busy| PinsError::Busy(dir.clone()))?;
        Ok(Self { dir, tree })
    }

    /// The directory for a load: the same for the same object, options, offsets and rows.
    pub(super) fn place(&self, object: &[u8], options: &str, layout: &Layout, rows: &[usize]) -> PathBuf {
        let mut parts = object.to_vec();
        parts.extend_from_slice(options.as_bytes());
        for (name, offset) in &layout.offsets {
            parts.extend_from_slice(format!("\0{name}={offset}").as_bytes());
        }
        for (name, switch) in &layout.switches {
            parts.extend_from_slice(format!("\0{name}={switch}").as_bytes());
        }
        let rows = rows.iter().filter(|row| **row < 32).fold(0u32, |bits, row| bits | 1 << row);
        let id = Uuid::new_v5(&NAMESPACE, &parts).simple().to_string();
        self.dir.join(format!("{rows:08x}_{id}"))
    }

    /// What earlier daemons pinned.
    pub(super) fn all(&self) -> Vec<Pinned> {
        let loads = self.tree.loads().unwrap_or_else(|error| {
            tracing::warn!("{}: {error}", self.dir.display());
            Vec::new()
        });
        let mut all: Vec<_> = loads
            .into_iter()
            .map(|load| {
                let name = load.to_string_lossy();
                let bits = name.split('_').next().and_then(|bits| u32::from_str_radix(bits, 16).ok());
                let rows =
                    (0..PROBES.len().min(32)).filter(|row| bits.is_some_and(|bits| bits & 1 << row != 0));
                Pinned { rows: rows.collect(), dir: self.dir.join(&load) }
            })
            .collect();
        all.sort_by(|a, b| a.dir.cmp(&b.dir));
        all
    }
}

fn is_bpffs(dir: &Path) -> bool {
    rustix::fs::statfs(dir).is_ok_and(|fs| u64::try_from(fs.f_type).is_ok_and(|t| t & 0xffff_ffff == BPF_FS))
}

/// Removes a directory of pins: what nothing else holds is detached.
pub(super) fn remove(dir: &Path) {
    with_load(dir, Tree::remove);
}

/// Detaches the programs of a directory; ring and counters stay.
pub(super) fn detach(dir: &Path) {
    with_load(dir, Tree::detach);
}

fn with_load(dir: &Path, act: impl Fn(&Tree, &Path) -> io::Result<()>) {
    let (Some(pins), Some(load)) = (dir.parent(), dir.file_name()) else { return };
    match Tree::open(pins).and_then(|tree| act(&tree, Path::new(load))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("cannot remove the pins in {}: {error}", dir.display());
        }
        _ => {}
    }
}

/// Pins an object that was just loaded.
pub(super) fn pin_maps(ebpf: &Ebpf, dir: &Path) -> Result<(), PinFailure> {
    fs::DirBuilder::new()
        .mode(0o700)
        .create(dir)
        .map_err(|source| PinFailure::Io { path: dir.to_owned(), source })?;
    for (name, map) in ebpf.maps().filter(|(name, _)| NAMES.contains(name)) {
        map.pin(dir.join(name))?;
    }
    Ok(())
}

/// A map that an earlier daemon pinned.
pub(super) fn map(dir: &Path, name: &str) -> Result<Map, MapError> {
    Map::from_map_data(MapData::from_pin(dir.join(name))?)
}

/// Pins a program and its link. A classic tracepoint has a link since Linux 5.15; before, it is attached anew.
pub(super) fn pin_program(
    program: &mut Program,
    name: &str,
    link: Option<FdLink>,
    dir: &Path,
) -> Result<(), PinFailure> {
    program.pin(dir.join(format!("prog_{name}")))?;
    link.map_or(Ok(()), |link| pin_link(name, link, dir))
}

/// Pins the link of a program.
pub(super) fn pin_link(name: &str, link: FdLink, dir: &Path) -> Result<(), PinFailure> {
    // The pin keeps it attached; our own descriptor is not needed.
    drop(link.pin(dir.join(format!("link_{name}")))?);
    Ok(())
}

/// Whether an earlier daemon loaded a probe's program so that it waits, and never attached it.
pub(super) fn waits(probe: &Probe, dir: &Path) -> bool {
    let is = |what: &str, name: &str| dir.join(format!("{what}_{name}")).exists();
    probe.typed.is_some_and(|name| is("prog", name) && !is("link", name))
}

/// A program that an earlier daemon pinned, attached again where its link could not be pinned. With the way it is attached.
pub(super) fn adopt_pinned(
    probe: &Probe,
    dir: &Path,
) -> Result<(Adopted, AttachMode, &'static str), PinFailure> {
    let has = |name: &str| dir.join(format!("prog_{name}")).exists();
    let linked = |name: &str| -> Result<bool, PinFailure> {
        let path = dir.join(format!("link_{name}"));
        if !path.exists() {
            return Ok(false);
        }
        // It must be one that works.
        drop(PinnedLink::from_pin(&path)?);
        Ok(true)
    };
    if let Some(name) = probe.typed.filter(|name| has(name)) {
        let pin = dir.join(format!("prog_{name}"));
        if linked(name)? {
            return Ok((Adopted::Pinned(pin), AttachMode::Raw, name));
        }
        return Err(PinFailure::NotAttached(name));
    }
    if has(probe.raw) {
        let mut program = RawTracePoint::from_pin(dir.join(format!("prog_{}", probe.raw)))?;
        if !linked(probe.raw)? {
            program.attach(probe.event())?;
        }
        return Ok((Adopted::Open(Box::new(Program::RawTracePoint(program))), AttachMode::Raw, probe.raw));
    }
    let mut program = TracePoint::from_pin(dir.join(format!("prog_{}", probe.classic)))?;
    if !linked(probe.classic)? {
        program.attach(probe.category, probe.event())?;
    }
    Ok((Adopted::Open(Box::new(Program::TracePoint(program))), AttachMode::Classic, probe.classic))
}
