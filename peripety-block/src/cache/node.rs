//! One generation of a device: the same name and number may stand for another device later.

use std::sync::Arc;

use super::super::{
    BlkId, BlkInfo, BlkType, Identity, Transport, content::Content, mounts::Mounted, sysfs::SysDevice,
    udevdb::UdevEntry,
};

/// Number of a generation; never given again.
pub(super) type Gen = u64;

/// How many lost controllers of a namespace are remembered.
const WAYS_MOST: usize = 16;

fn controller(way: &Transport) -> Option<&str> {
    if let Transport::Nvme { controller, .. } = way { Some(controller) } else { None }
}

/// What was read of one device at one time.
#[derive(Debug)]
pub(super) struct Reading {
    pub device: SysDevice,
    /// udev's entry, where it has one for this very device.
    pub udev: Option<UdevEntry>,
}

/// A disk that came to the bus after another one went. The kernel talks to it, and may fail to, before it is announced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Successor {
    /// From when on it may have been there: what is said between this and `came` may be about the one or the other.
    pub from: u64,
    /// When it was known to be there: from then on nothing is said of its predecessor.
    pub came: u64,
    /// It came to the very place. One in another place may get the name and number, and nobody knows before it is announced.
    pub same_place: bool,
}

/// One generation of a device.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub device: SysDevice,
    pub content: Option<Content>,
    /// Links below /dev that udev made, without the `/dev/`.
    pub links: Vec<String>,
    /// UUID of an md array by udev, for kernels that do not report it.
    md_uuid: String,
    /// udev has reported what lies on it: nobody else need look.
    pub told_by_udev: bool,
    /// When udev first met it: reports its entry from one of a predecessor.
    pub udev_since: Option<u64>,
    /// CLOCK_MONOTONIC from which the names stand for this generation; 0 for since boot.
    pub valid_from: u64,
    /// When it went.
    pub valid_until: Option<u64>,
    /// After it went: another disk came, which may have its names.
    pub successor: Option<Successor>,
    /// What it is made of.
    pub owners: Vec<Gen>,
    /// What is made of it.
    pub holders: Vec<Gen>,
    /// For a loop device: the devices that hold its file.
    pub home: Vec<Gen>,
    /// Controllers of an NVMe namespace that are no longer there.
    lost_ways: Vec<Transport>,
    /// What of it is mounted.
    pub mounted: Option<Mounted>,
    /// Its holders just before they started to go, and when that was: a disk goes after its partitions.
    pub held_before: Option<(u64, Vec<BlkId>)>,
    /// All about it as it was when it went.
    pub frozen: Option<Arc<BlkInfo>>,
    /// All about it, and the epoch of the store for which that is right.
    pub memo: Option<(u64, Arc<BlkInfo>)>,
}

impl Node {
    pub(super) fn new(reading: Reading, valid_from: u64) -> Self {
        let mut node = Self { valid_from, ..Self::default() };
        node.update(reading);
        node
    }

    /// Takes what was read anew of the same device.
    pub(super) fn update(&mut self, reading: Reading) {
        let old = std::mem::replace(&mut self.device, reading.device);
        let ways = &self.device.ways;
        self.lost_ways.extend(old.ways);
        self.lost_ways.retain(|lost| ways.iter().all(|way| controller(way) != controller(lost)));
        let too_many = self.lost_ways.len().saturating_sub(WAYS_MOST);
        self.lost_ways.drain(..too_many);
        let Some(udev) = reading.udev else {
            // What udev had reported stays until it reports something else.
            if self.told_by_udev && self.device.dm_name.is_none() {
                self.device.id.preferred_blk_path = old.id.preferred_blk_path;
                self.device.id.serial = old.id.serial;
            }
            return;
        };
        self.udev_since = udev.initialized_us;
        self.told_by_udev = true;
        self.content = Content::of_udev(&udev);
        if self.device.id.serial.is_empty() {
            let serial = udev.get("ID_SCSI_SERIAL").or_else(|| udev.get("ID_SERIAL_SHORT"));
            self.device.id.serial = serial.unwrap_or_default().to_owned();
        }
        if let Some(path) = human_path(&self.device, &udev) {
            self.device.id.preferred_blk_path = path;
        }
        self.md_uuid = udev.get("MD_UUID").unwrap_or_default().to_owned();
        self.links = udev.links;
    }

    /// Whether what was read is of this generation.
    pub(super) fn is(&self, read: &SysDevice) -> bool {
        let own = &self.device;
        let same_start = own.extent.map(|e| e.0) == read.extent.map(|e| e.0);
        let same_disk = match (own.id.diskseq, read.id.diskseq) {
            (Some(own), Some(read)) => own == read,
            // Before Linux 5.15 nothing but the ids can report.
            _ => own.id.wwid == read.id.wwid && own.id.serial == read.id.serial && own.dir == read.dir,
        };
        own.name == read.name && own.id.dev == read.id.dev && same_start && same_disk
    }

    /// Whether the generation is over.
    pub(super) fn is_gone(&self) -> bool {
        self.valid_until.is_some()
    }

    /// Whether it is a loop device that has no file.
    pub(super) fn is_empty_loop(&self) -> bool {
        self.valid_until.is_none()
            && self.device.name.starts_with("loop")
            && self.device.backing_file.is_none()
            && self.device.id.size_sectors == Some(peripety_model::Sectors(0))
    }

    /// Who it is, with what lies on it and where that is mounted.
    pub(super) fn id(&self) -> BlkId {
        if let Some(frozen) = &self.frozen {
            return frozen.id.clone();
        }
        let mut id = self.device.id.clone();
        if let Some(content) = &self.content {
            id.fs_type.clone_from(&content.fs_type);
            id.uuid.clone_from(&content.uuid);
            id.label.clone_from(&content.label);
        }
        if let Some(mounted) = &self.mounted {
            if id.fs_type.is_empty() {
                id.fs_type.clone_from(&mounted.fs_type);
            }
            id.mount_points.clone_from(&mounted.points);
        }
        if id.blk_type == BlkType::Md && id.wwid.is_empty() {
            id.wwid.clone_from(&self.md_uuid);
        }
        if self.is_gone() {
            id.identity = Identity::Removed;
        }
        id
    }

    /// How an NVMe controller reaches it, or did while the device was there.
    pub(super) fn way(&self, name: &str) -> Option<&Transport> {
        self.device.ways.iter().chain(&self.lost_ways).find(|way| controller(way) == Some(name))
    }

    /// Names that the kernel's text may use for it.
    pub(super) fn kernel_names(&self) -> impl Iterator<Item = String> {
        let hctl = self.device.hctl.map(|hctl| hctl.to_string());
        std::iter::once(self.device.name.clone()).chain(hctl).chain(self.ata_names()).chain(self.mmc_names())
    }

    /// The slot and the card: `mmc0`, `mmc0:0001`. A slot has one card, whose boot areas are disks of their own.
    fn mmc_names(&self) -> Vec<String> {
        let is_card =
            |name: &str| name.strip_prefix("mmcblk").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
        if !is_card(&self.device.name) {
            return Vec::new();
        }
        let mut parts = self.device.dir.iter().filter_map(|part| part.to_str());
        let card = parts.find(|part| part.starts_with("mmc") && part.contains(':'));
        let slot = card.and_then(|card| card.split(':').next());
        slot.into_iter().chain(card).map(str::to_owned).collect()
    }

    /// libata's names: `ata3.00` for the disk; and for a SATA port with no port multiplier, which has one disk, also `ata3`
    /// and its SCSI host's.
    fn ata_names(&self) -> Vec<String> {
        let (Some(Transport::Sata { port, speed }), Some(hctl)) =
            (&self.device.id.transport, self.device.hctl)
        else {
            return Vec::new();
        };
        // A port multiplier counts its ports as channels; on a parallel cable the second disk is target 1.
        let number = hctl.channel.max(hctl.target);
        let mut names = vec![format!("{port}.{number:02}")];
        if number == 0 && !speed.is_empty() {
            names.extend([port.clone(), format!("host{}", hctl.host)]);
        }
        names
    }

    /// Paths below /dev that lead to it, without the `/dev/`.
    pub(super) fn dev_paths(&self) -> Vec<String> {
        let mut paths = self.links.clone();
        paths.push(self.device.name.clone());
        paths.extend(self.device.dm_name.iter().map(|name| format!("mapper/{name}")));
        paths.extend(self.device.id.preferred_blk_path.strip_prefix("/dev/").map(str::to_owned));
        paths
    }
}

/// Which links humans and configuration files use, best first: an id for the world, then model and serial number.
const LINKS: &[&str] = &[
    "disk/by-id/wwn-",
    "disk/by-id/nvme-eui.",
    "disk/by-id/nvme-uuid.",
    "disk/by-id/scsi-3",
    "disk/by-id/nvme-",
    "disk/by-id/ata-",
    "disk/by-id/virtio-",
    "disk/by-id/usb-",
    "disk/by-id/mmc-",
    "disk/by-id/",
];

fn human_path(device: &SysDevice, udev: &UdevEntry) -> Option<String> {
    match device.id.blk_type {
        BlkType::Md => {
            udev.links.iter().find(|link| link.starts_with("md/")).map(|link| format!("/dev/{link}"))
        }
        _ if device.dm_name.is_some() => None,
        _ => {
            let of = |prefix: &&str| {
                udev.links.iter().filter(|link| link.starts_with(*prefix)).min_by_key(|l| (l.len(), *l))
            };
            LINKS.iter().find_map(of).map(|link| format!("/dev/{link}"))
        }
    }
}
