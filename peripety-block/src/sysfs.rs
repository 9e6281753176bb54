//! One block device as sysfs shows it.

use std::{
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use super::{BlkId, BlkType, Dev, Hctl, Identity, Transport, attr, blk_type, transport, wwid};
use crate::{Roots, files::Files};

/// A block device as sysfs shows it, without what lies on it and where that is mounted.
#[derive(Clone, Debug, Default)]
pub(super) struct SysDevice {
    /// Who it is.
    pub id: BlkId,
    /// The kernel's name, as kernel text spells it: `cciss/c0d0`, where sysfs writes `!` for the slash.
    pub name: String,
    /// Its directory, with symlinks resolved.
    pub dir: PathBuf,
    /// Address of a SCSI device.
    pub hctl: Option<Hctl>,
    /// Kernel names of the devices it lies on: a partition's disk, or `slaves/`.
    pub made_of: Vec<String>,
    /// Names in `slaves/` whose device has gone; another one may have the name by now.
    pub lost: Vec<String>,
    /// File behind a loop device.
    pub backing_file: Option<PathBuf>,
    /// Name of the device-mapper map.
    pub dm_name: Option<String>,
    /// Start and size of a partition: with them it is the same one after a new look at the partition table.
    pub extent: Option<(u64, u64)>,
    /// Controllers and namespace ids by which an NVMe namespace is reached.
    pub nvme: Vec<(String, u32)>,
    /// How it is reached by each of these controllers.
    pub ways: Vec<Transport>,
    /// Whether it takes requests: not when SCSI took it offline or a map is suspended.
    pub runs: bool,
}

/// Names of all block devices, partitions among them, in sysfs' spelling.
///
/// # Errors
///
/// When `class/block` of sysfs cannot be read.
pub(super) fn names(roots: &Roots) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for name in roots.files.names(&roots.sysfs.join("class/block"))? {
        names.extend(name.into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// Who the block devices are, as sysfs alone reports: nothing is read from a device.
pub fn ids(roots: &Roots) -> Vec<BlkId> {
    let all = names(roots).unwrap_or_default();
    all.iter().filter_map(|name| read_name(roots, name)).map(|device| device.id).collect()
}

/// Reads the device of this name in sysfs' spelling.
pub(super) fn read_name(roots: &Roots, name: &str) -> Option<SysDevice> {
    read_dir(roots, &roots.sysfs.join("class/block").join(name.replace('/', "!")))
}

/// Reads the device with this directory. None when it is gone, or is one that has no number (a path below an NVMe
/// multipath device).
pub(super) fn read_dir(roots: &Roots, dir: &Path) -> Option<SysDevice> {
    let files = &roots.files;
    let dir = files.canonical(dir)?;
    let dev: Dev = attr::parsed(files, &dir.join("dev"))?;
    let name = dir.file_name()?.to_str()?.replace('!', "/");
    let mut device = SysDevice { name, dir, runs: true, ..SysDevice::default() };
    device.id = BlkId {
        dev,
        identity: Identity::Live,
        blk_path: format!("/dev/{}", device.name),
        size_sectors: attr::parsed(files, &device.dir.join("size")).map(peripety_model::Sectors),
        diskseq: attr::parsed(files, &device.dir.join("diskseq")),
        ..BlkId::default()
    };
    if files.exists(&device.dir.join("partition")) {
        partition(files, &mut device);
    } else {
        disk(roots, &mut device);
    }
    device.id.preferred_blk_path.clone_from(&device.id.blk_path);
    if let Some(name) = &device.dm_name {
        device.id.preferred_blk_path = dm_path(name, device.id.blk_type);
    }
    Some(device)
}

/// `/dev/vg/lv` for a logical volume, `/dev/mapper/name` for any other map. LVM makes no link of the first kind for parts.
fn dm_path(name: &str, kind: BlkType) -> String {
    let lvm = (kind == BlkType::DmLvm).then(|| blk_type::lvm_names(name)).flatten();
    lvm.map_or_else(|| format!("/dev/mapper/{name}"), |(vg, lv)| format!("/dev/{vg}/{lv}"))
}

fn partition(files: &Files, device: &mut SysDevice) {
    device.id.blk_type = BlkType::Partition;
    let number = |name: &str| attr::parsed::<u64>(files, &device.dir.join(name));
    device.extent = number("start").zip(number("size"));
    let index = number("partition").unwrap_or_default();
    let Some(disk_dir) = device.dir.parent().map(Path::to_owned) else { return };
    device.id.diskseq = device.id.diskseq.or_else(|| attr::parsed(files, &disk_dir.join("diskseq")));
    let disk_wwid = disk_dir.file_name().and_then(|name| {
        let disk = name.to_string_lossy().replace('!', "/");
        let found = identify(files, &disk_dir, &disk).wwid;
        device.made_of.push(disk);
        (!found.is_empty()).then_some(found)
    });
    device.id.wwid = disk_wwid.map(|wwid| format!("{wwid}-part{index}")).unwrap_or_default();
}

fn disk(roots: &Roots, device: &mut SysDevice) {
    let files = &roots.files;
    let dir = device.dir.clone();
    for slave in attr::names(files, &dir.join("slaves")) {
        let there = holds(files, &dir, &slave);
        let list = if there { &mut device.made_of } else { &mut device.lost };
        list.push(slave.replace('!', "/"));
    }
    device.backing_file = attr::bytes(files, &dir.join("loop/backing_file")).and_then(|mut path| {
        while path.last() == Some(&b'\n') {
            path.pop();
        }
        (!path.is_empty()).then(|| PathBuf::from(std::ffi::OsString::from_vec(path)))
    });
    let found = identify(files, &dir, &device.name);
    device.id.wwid = found.wwid;
    device.id.blk_type = found.kind;
    device.id.serial = found.serial;
    device.id.vendor = found.vendor;
    device.id.model = found.model;
    match found.kind {
        BlkType::Scsi | BlkType::ScsiRom => {
            device.hctl = attr::link_name(files, &dir.join("device")).and_then(|name| name.parse().ok());
            device.runs = attr::text(files, &dir.join("device/state")).is_none_or(|state| state == "running");
        }
        BlkType::Nvme => device.nvme = transport::nvme_controllers(roots, &dir, &device.name),
        _ if files.is_dir(&dir.join("dm")) => {
            device.dm_name = attr::text(files, &dir.join("dm/name"));
            device.runs =
                attr::text(files, &dir.join("dm/suspended")).is_none_or(|suspended| suspended == "0");
        }
        _ => {}
    }
    if found.kind == BlkType::Md {
        device.id.raid_level = attr::text(files, &dir.join("md/level")).unwrap_or_default();
    }
    let reached = transport::of(roots, device);
    device.id.command_timeout_s = transport::command_timeout_s(&roots.files, &device.dir);
    device.id.recovery_s = transport::recovery_s(roots, device, reached.transport.as_ref());
    device.id.transport = reached.transport;
    device.id.paths = u32::try_from(reached.ways.len()).ok().filter(|ways| *ways > 1);
    device.ways = reached.ways;
    device.id.transport_id = reached.id;
}

/// Whether the device that a link in `slaves/` leads to is still the one that is used. The link outlives its device and
/// then leads to whichever device comes to the same place; only one that is used lists its user in `holders/`.
fn holds(files: &Files, dir: &Path, slave: &str) -> bool {
    let holders = dir.join("slaves").join(slave).join("holders");
    dir.file_name().is_some_and(|own| files.exists(&holders.join(own)))
}

/// Kind and ids of a whole disk.
#[derive(Default)]
struct Found {
    kind: BlkType,
    wwid: String,
    serial: String,
    vendor: String,
    model: String,
}

fn identify(files: &Files, dir: &Path, name: &str) -> Found {
    let get = |attribute: &str| attr::text(files, &dir.join(attribute)).unwrap_or_default();
    if files.is_dir(&dir.join("dm")) {
        let uuid = get("dm/uuid");
        return Found { kind: blk_type::of_dm(&get("dm/name"), &uuid), wwid: uuid, ..Found::default() };
    }
    if files.is_dir(&dir.join("md")) {
        let wwid = Some(get("md/uuid")).filter(|id| id.bytes().any(|b| !matches!(b, b'0' | b'-' | b':')));
        return Found { kind: BlkType::Md, wwid: wwid.unwrap_or_default(), ..Found::default() };
    }
    let bus = attr::link_name(files, &dir.join("device/subsystem")).unwrap_or_default();
    if bus == "scsi" {
        return scsi(files, dir);
    }
    let kind =
        blk_type::by_name(name).unwrap_or(if bus == "virtio" { BlkType::Virtio } else { BlkType::Other });
    match kind {
        BlkType::Nvme => Found {
            kind,
            wwid: nvme_wwid(&get),
            serial: get("device/serial"),
            vendor: String::new(),
            model: get("device/model"),
        },
        BlkType::Loop => Found { kind, wwid: get("loop/backing_file"), ..Found::default() },
        BlkType::Virtio => Found { kind, serial: get("serial"), wwid: get("serial"), ..Found::default() },
        BlkType::Mmc => Found {
            kind,
            wwid: get("device/cid"),
            serial: get("device/serial"),
            model: get("device/name"),
            ..Found::default()
        },
        BlkType::Dasd => {
            Found { kind, wwid: get("device/uid"), vendor: get("device/vendor"), ..Found::default() }
        }
        BlkType::Pmem => Found { kind, wwid: get("device/uuid"), ..Found::default() },
        BlkType::Bcache => Found { kind, wwid: get("bcache/backing_dev_uuid"), ..Found::default() },
        _ => Found { kind, ..Found::default() },
    }
}

fn scsi(files: &Files, dir: &Path) -> Found {
    let get = |attribute: &str| attr::text(files, &dir.join("device").join(attribute));
    let page = |name: &str| attr::bytes(files, &dir.join("device").join(name));
    // Peripheral device type 5 (SPC, table 150): CD and DVD.
    let kind = if get("type").as_deref() == Some("5") { BlkType::ScsiRom } else { BlkType::Scsi };
    let wwid = get("wwid").or_else(|| wwid::from_vpd83(&page("vpd_pg83")?)).unwrap_or_default();
    let serial = page("vpd_pg80").and_then(|raw| wwid::serial_from_vpd80(&raw)).unwrap_or_default();
    let (vendor, model) = (get("vendor").unwrap_or_default(), get("model").unwrap_or_default());
    Found { kind, wwid, serial, vendor, model }
}

/// The kernel's own choice, or on kernels without it (before 4.4) the best of the ids, in the same spelling.
fn nvme_wwid(get: &dyn Fn(&str) -> String) -> String {
    let known = |id: &str| id.bytes().any(|b| b.is_ascii_hexdigit() && b != b'0');
    let digits = |id: String| id.chars().filter(char::is_ascii_hexdigit).collect::<String>();
    let (wwid, uuid) = (get("wwid"), get("uuid"));
    if !wwid.is_empty() {
        return wwid;
    }
    if known(&uuid) {
        return format!("uuid.{uuid}");
    }
    ["nguid", "eui"]
        .into_iter()
        .map(get)
        .find(|id| known(id))
        .map(|id| format!("eui.{}", digits(id)))
        .unwrap_or_default()
}
