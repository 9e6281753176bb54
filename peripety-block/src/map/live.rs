//! The layouts of the running system, from sysfs and from what the kernel is asked.

use std::{
    cell::RefCell,
    collections::HashMap,
    ffi::OsString,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use peripety_model::{BlkType, Dev};
use uuid::Uuid;

use super::{
    Kind, Layout, MapFacts, Member, Role, Segment, Space,
    btrfs::{self, Chunk},
    dm::{self, Target},
    kernel::AskError,
    md,
};
use crate::{BlkCache, Direction, Roots, attr};

const SECTOR: u64 = 512;

/// What only the kernel itself knows.
pub trait Tables {
    /// The table of a map of device-mapper.
    ///
    /// # Errors
    ///
    /// Why it is not known.
    fn dm_table(&self, dev: Dev) -> Result<Vec<Target>, AskError>;

    /// Where a file lies. What is not written yet lies nowhere: nothing is written out for this.
    ///
    /// # Errors
    ///
    /// Why it is not known.
    fn extents(&self, file: &Path) -> Result<FileMap, AskError>;

    /// The chunks of the btrfs that is mounted there.
    ///
    /// # Errors
    ///
    /// Why they are not known.
    fn chunks(&self, mount_point: &Path) -> Result<Chunks, AskError>;

    /// Whether this is the file behind a loop device: sysfs has only its path.
    ///
    /// # Errors
    ///
    /// Why not, or why it is not known.
    fn check_loop(&self, device: &Path, file: &Path) -> Result<(), AskError>;
}

/// The chunks of a btrfs, and the number of each device by its id.
#[derive(Clone, Debug, Default)]
pub struct Chunks {
    /// The chunks.
    pub chunks: Vec<Chunk>,
    /// The devices.
    pub devices: HashMap<u64, Dev>,
}

/// Where a file lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMap {
    /// What its addresses are in.
    pub space: Space,
    /// Its extents.
    pub extents: Vec<Extent>,
    /// Whether these are all.
    pub complete: bool,
}

/// A part of a file, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where in the file.
    pub logical: u64,
    /// Where on what it lies on.
    pub physical: u64,
    /// How many bytes.
    pub len: u64,
    /// As FIEMAP gives them (Documentation/filesystems/fiemap.rst of the kernel).
    pub flags: u32,
}

impl Extent {
    /// In words why its address says nothing; none when it says where it is.
    pub fn unplaced(&self) -> Option<&'static str> {
        const UNKNOWN: u32 = 0x2;
        const DELALLOC: u32 = 0x4;
        const ENCODED: u32 = 0x8;
        const INLINE: u32 = 0x200;
        const TAIL: u32 = 0x400;
        [
            (DELALLOC, "not written yet"),
            (UNKNOWN, "the filesystem does not say where"),
            (INLINE, "within metadata"),
            (TAIL, "packed with other files"),
            (ENCODED, "compressed"),
        ]
        .into_iter()
        .find_map(|(flag, why)| (self.flags & flag != 0).then_some(why))
    }
}

impl FileMap {
    /// How a device that shows the file from byte `offset` on lies on what the file lies on.
    fn layout(&self, offset: u64) -> Layout {
        let segment = |extent: &Extent| {
            let skip = offset.saturating_sub(extent.logical);
            let len = extent.len.checked_sub(skip).filter(|len| *len > 0)? / SECTOR;
            let start = (extent.logical + skip).checked_sub(offset)? / SECTOR;
            let member = |at| Member { space: Some(self.space), start: at, len: Some(len) };
            Some(match extent.unplaced() {
                Some(why) => Segment::new(start, len, Kind::Opaque(why), vec![member(0)], "file"),
                None => {
                    let at = extent.physical.checked_add(skip)? / SECTOR;
                    Segment::new(start, len, Kind::Same(Role::Data), vec![member(at)], "file")
                }
            })
        };
        Layout { segments: self.extents.iter().filter_map(segment).collect() }
    }
}

/// The layout of a space, if it has one, or why it cannot be had.
type Found = Result<Option<Arc<Layout>>, String>;

/// The layouts of the devices of a [`BlkCache`]. Reads files and asks the kernel, but reads no block device: FIEMAP and the
/// chunk tree may have to read metadata of the filesystem.
pub struct LiveMap<T> {
    roots: Roots,
    cache: BlkCache,
    tables: T,
    known: RefCell<HashMap<Space, Found>>,
}

impl<T: Tables> LiveMap<T> {
    /// The layouts of these devices.
    pub fn new(roots: &Roots, cache: &BlkCache, tables: T) -> Self {
        Self { roots: roots.clone(), cache: cache.clone(), tables, known: RefCell::default() }
    }

    /// What the kernel is asked.
    pub fn tables(&self) -> &T {
        &self.tables
    }

    fn dir(&self, dev: Dev) -> Option<PathBuf> {
        self.roots.files.canonical(&self.roots.sysfs.join("dev/block").join(dev.to_string())).or_else(|| {
            let name = self.cache.all().iter().find(|info| info.id.dev == dev)?.id.blk_path.clone();
            let name = name.strip_prefix("/dev/")?.replace('/', "!");
            self.roots.files.canonical(&self.roots.sysfs.join("class/block").join(name))
        })
    }

    fn of_device(&self, dev: Dev) -> Result<Option<Layout>, String> {
        let Some(dir) = self.dir(dev) else { return Err(format!("{dev} is not in sysfs (any more)")) };
        let files = &self.roots.files;
        let number = |name: &str| attr::parsed::<u64>(files, &dir.join(name));
        let size = number("size").unwrap_or(0);
        if files.exists(&dir.join("partition")) {
            let disk: Option<Dev> = dir.parent().and_then(|disk| attr::parsed(files, &disk.join("dev")));
            let (Some(disk), Some(start)) = (disk, number("start")) else {
                return Err(format!("sysfs does not say where partition {dev} begins"));
            };
            return Ok(Some(Layout::same(size, Role::Data, vec![Member::at(disk, start)], "partition")));
        }
        if files.is_dir(&dir.join("dm")) {
            return self
                .tables
                .dm_table(dev)
                .map(|table| Some(dm::layout(&table)))
                .map_err(|e| e.to_string());
        }
        if let Some(array) = md::Array::read(files, &dir) {
            return array.layout().map(Some);
        }
        if files.is_dir(&dir.join("loop")) {
            return self.of_loop(&dir, size);
        }
        Ok(self.of_unknown(dev, size))
    }

    fn of_loop(&self, dir: &Path, size: u64) -> Result<Option<Layout>, String> {
        let files = &self.roots.files;
        let Some(file) = attr::bytes(files, &dir.join("loop/backing_file")) else { return Ok(None) };
        let file = file.strip_suffix(b"\n").unwrap_or(&file);
        let file = PathBuf::from(OsString::from_vec(file.to_vec()));
        let offset = attr::parsed::<u64>(files, &dir.join("loop/offset")).unwrap_or(0);
        if let Some(below) = crate::resolve::block_node(&file) {
            let member = Member::at(below, offset / SECTOR);
            return Ok(Some(Layout::same(size, Role::Data, vec![member], "loop")));
        }
        let name = dir.file_name().unwrap_or_default();
        self.tables.check_loop(&self.roots.dev.join(name), &file).map_err(|e| e.to_string())?;
        let mut layout = self.tables.extents(&file).map_err(|e| e.to_string())?.layout(offset);
        for segment in &mut layout.segments {
            segment.how = format!("file {}", file.display());
        }
        Ok(Some(layout))
    }

    /// What lies on others in a way that is not known here.
    fn of_unknown(&self, dev: Dev, size: u64) -> Option<Layout> {
        let below = self.cache.next(dev, Direction::Owners);
        let members: Vec<Member> = below.iter().map(|info| Member::at(info.id.dev, 0)).collect();
        let kind = Kind::Opaque("how it lays out its sectors is not known here");
        let how = self.cache.all().iter().find(|info| info.id.dev == dev).map(|info| info.id.blk_type);
        let how = if how == Some(BlkType::Bcache) { "bcache" } else { "device" };
        (!members.is_empty()).then(|| Layout { segments: vec![Segment::new(0, size, kind, members, how)] })
    }

    fn of_btrfs(&self, uuid: Uuid) -> Result<Option<Layout>, String> {
        let devices = self.btrfs_devices(uuid);
        let all = self.cache.all();
        let mounted = all.iter().filter(|info| devices.contains(&info.id.dev));
        let Some(point) = mounted.flat_map(|info| info.id.mount_points.iter()).next() else {
            return Err(format!("btrfs {uuid} is not mounted, so its chunk tree cannot be asked"));
        };
        let found = self.tables.chunks(Path::new(point)).map_err(|e| e.to_string())?;
        Ok(Some(btrfs::layout(&found.chunks, &|id| found.devices.get(&id).copied())))
    }

    /// The devices of a mounted btrfs.
    fn btrfs_devices(&self, uuid: Uuid) -> Vec<Dev> {
        let files = &self.roots.files;
        let dir = self.roots.sysfs.join("fs/btrfs").join(uuid.to_string()).join("devices");
        let names = attr::names(files, &dir);
        names.into_iter().filter_map(|name| attr::parsed(files, &dir.join(name).join("dev"))).collect()
    }

    /// The mounted btrfs that has this device.
    fn btrfs_of(&self, dev: Dev) -> Option<Uuid> {
        let names = attr::names(&self.roots.files, &self.roots.sysfs.join("fs/btrfs"));
        let mut all = names.into_iter().filter_map(|name| Uuid::parse_str(&name).ok());
        all.find(|uuid| self.btrfs_devices(*uuid).contains(&dev))
    }
}

impl<T: Tables> MapFacts for LiveMap<T> {
    fn layout(&self, space: Space) -> Result<Option<Arc<Layout>>, String> {
        if let Some(known) = self.known.borrow().get(&space) {
            return known.clone();
        }
        let found = match space {
            Space::Device(dev) => self.of_device(dev),
            Space::Btrfs(uuid) => self.of_btrfs(uuid),
        };
        let found = found.map(|layout| layout.map(Arc::new));
        self.known.borrow_mut().insert(space, found.clone());
        found
    }

    fn above(&self, space: Space) -> Vec<Space> {
        let devices = match space {
            Space::Device(dev) => vec![dev],
            Space::Btrfs(uuid) => self.btrfs_devices(uuid),
        };
        let mut above: Vec<Space> = Vec::new();
        for dev in &devices {
            for info in self.cache.next(*dev, Direction::Holders) {
                let next = Space::Device(info.id.dev);
                if !above.contains(&next) {
                    above.push(next);
                }
            }
        }
        if let Space::Device(dev) = space {
            above.extend(self.btrfs_of(dev).map(Space::Btrfs));
        }
        above
    }
}
