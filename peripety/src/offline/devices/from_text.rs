//! What lines of the log report about devices.

use std::collections::{HashMap, VecDeque};

use super::{Known, names, of_map};
use crate::{
    block::{BlkType, Dev, Hctl, Transport},
    record::LogRecord,
};

type Learn = fn(&mut Known, &str) -> Option<()>;

/// Lines that report something, by what they begin with.
const LINES: &[(&str, Learn)] = &[
    ("sd ", disk),
    ("sr ", disk),
    ("scsi target", sas_target),
    ("scsi ", unit),
    ("ata", ata_port),
    (" ", partitions),
    ("md/raid", md),
    ("device-mapper: ", dm),
    ("EXT4-fs (", ext4),
    ("XFS (", xfs),
    ("BTRFS", btrfs),
    ("nvme ", nvme),
    ("mmcblk", mmc),
];

/// What lines of the kernel begin with that may say something of devices.
pub(crate) fn beginnings() -> impl Iterator<Item = &'static str> {
    // A line with the number beside it begins with `block`.
    LINES.iter().map(|(start, _)| *start).chain(["block "])
}

/// The program whose lines may say something of devices.
pub(crate) const PROGRAM: &str = "multipathd";

/// Whether a line may say something of devices.
pub(crate) fn may_say(log: &LogRecord) -> bool {
    match log.identifier.as_deref() {
        None => log.device.is_some() || LINES.iter().any(|(start, _)| log.text.starts_with(start)),
        Some(program) => program == PROGRAM,
    }
}

/// Learns from a line of the kernel, or of a daemon that knows devices.
pub(crate) fn from_line(known: &mut Known, log: &LogRecord) {
    let text = log.text.as_str();
    match log.identifier.as_deref() {
        None => {
            numbered(known, log);
            let learn = LINES.iter().find(|(start, _)| text.starts_with(start));
            let _line_tells_nothing = learn.and_then(|(_, learn)| learn(known, text));
        }
        Some(PROGRAM) => drop(multipathd(known, text)),
        Some(_) => {}
    }
}

/// `block nvme0n1: no usable path`, with the device's number beside the text.
fn numbered(known: &mut Known, log: &LogRecord) -> Option<()> {
    let dev: Dev = log.device.as_deref()?.strip_prefix('b')?.parse().ok()?;
    let (name, _) = log.text.strip_prefix("block ")?.split_once(": ")?;
    if known.name_of(dev).is_none_or(|known| known != name) {
        known.set_dev(name, dev);
    }
    Some(())
}

/// Text between two marks.
fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(found, _)| found)
}

/// `sd 2:0:0:1: [sdb] 2097152 512-byte logical blocks: (1.07 GB/1.00 GiB)`.
fn disk(known: &mut Known, text: &str) -> Option<()> {
    let (_, rest) = text.split_once(' ')?;
    let (address, rest) = rest.split_once(": ")?;
    let hctl: Hctl = address.parse().ok()?;
    if let Some(id) = alua_id(rest) {
        known.unit(hctl)?.wwid = id.clone();
        let name = known.at(hctl).map(str::to_owned)?;
        known.node(&name)?.id.wwid = id;
        return Some(());
    }
    let (name, rest) = rest.strip_prefix('[')?.split_once("] ")?;
    // A disk that is only said to be there may be an old one of the name.
    known.set_hctl(name, hctl);
    let (blocks, rest) = rest.split_once(' ')?;
    let (size, rest) = rest.split_once("-byte ")?;
    let (blocks, size): (u64, u64) = (blocks.parse().ok()?, size.parse().ok()?);
    if rest.starts_with("logical blocks") {
        known.node(name)?.id.size_sectors =
            blocks.checked_mul(size).map(|bytes| peripety_model::Sectors(bytes / 512));
    }
    Some(())
}

/// `alua: device naa.600140… port group 1 rel port 2`: the one line in which the kernel reports a WWID.
fn alua_id(rest: &str) -> Option<String> {
    let id = rest.strip_prefix("alua: device ")?.split(' ').next()?;
    let known = ["naa.", "eui.", "t10.", "uuid."].iter().any(|kind| id.starts_with(kind));
    (known && id.len() <= 256).then(|| id.to_owned())
}

/// `scsi 2:0:0:1: Direct-Access     VENDOR   MODEL            REV  PQ: 0 ANSI: 5`, and the hosts of ATA ports.
fn unit(known: &mut Known, text: &str) -> Option<()> {
    let rest = text.strip_prefix("scsi ")?;
    if let Some(host) = rest.strip_prefix("host") {
        let (number, driver) = host.split_once(": ")?;
        known.ata.host(number.parse().ok()?, driver.split(' ').next().unwrap_or_default());
        return Some(());
    }
    let (address, rest) = rest.split_once(": ")?;
    let hctl: Hctl = address.parse().ok()?;
    if let Some(id) = alua_id(rest) {
        known.unit(hctl)?.wwid = id;
        return Some(());
    }
    let (kind, rest) = [("Direct-Access", BlkType::Scsi), ("CD-ROM", BlkType::ScsiRom)]
        .iter()
        .find_map(|(word, kind)| Some((*kind, rest.strip_prefix(word)?)))?;
    let (names, _) = rest.split_once(" PQ: ")?;
    // Eight bytes of vendor, sixteen of model, four of revision; the kind of device is padded to sixteen.
    let names = names.get(names.len().checked_sub(30)?..)?;
    known.forget_address(hctl);
    let id = known.unit(hctl)?;
    id.blk_type = kind;
    id.vendor = names.get(..8)?.trim().to_owned();
    id.model = names.get(9..25)?.trim().to_owned();
    Some(())
}

/// `scsi target14:0:148: enclosure_logical_id(0x5003048009aaaabf), slot(30)`, `… sas_address(0x5000c50093aa92b1), phy(31)`.
fn sas_target(known: &mut Known, text: &str) -> Option<()> {
    let (address, rest) = text.strip_prefix("scsi target")?.split_once(": ")?;
    let mut numbers = address.split(':').map(str::parse::<u32>);
    let at = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    let id = |mark: &str| {
        between(rest, mark, ")")
            .filter(|id| id.len() == 18 && id.starts_with("0x"))
            .filter(|id| id.bytes().skip(2).all(|b| b.is_ascii_hexdigit()))
            .map(str::to_owned)
    };
    let (of, sas, slot) = (id("enclosure_logical_id("), id("sas_address("), between(rest, "slot(", ")"));
    if of.is_none() && sas.is_none() {
        return None;
    }
    known.target(at, |transport| {
        if let Transport::Sas { address, enclosure, bay, .. } = transport {
            if let Some(of) = of.filter(|of| of.trim_start_matches("0x").bytes().any(|b| b != b'0')) {
                *enclosure = of;
                *bay = slot.and_then(|slot| slot.parse().ok());
            }
            if let Some(sas) = sas {
                *address = sas;
            }
        }
    });
    Some(())
}

/// SCSI hosts and the ATA ports behind them: libata numbers both in the same order, and says the hosts first.
#[derive(Clone, Debug, Default)]
pub(crate) struct AtaPorts {
    waiting: VecDeque<u32>,
    host_of: HashMap<u32, u32>,
}

/// Ports that may wait, and that are known.
const PORTS_MAX: usize = 1024;

impl AtaPorts {
    /// A SCSI host came, with this driver.
    fn host(&mut self, host: u32, driver: &str) {
        let is_ata =
            driver == "ahci" || ["ata_", "sata_", "pata_", "ahci"].iter().any(|d| driver.starts_with(d));
        if is_ata && self.waiting.len() < PORTS_MAX {
            self.waiting.push_back(host);
        }
    }

    fn port(&mut self, port: u32) {
        if let Some(host) = self.waiting.pop_front()
            && self.host_of.len() < PORTS_MAX
        {
            self.host_of.insert(port, host);
        }
    }

    /// The port's device is there, as a report reports.
    pub(crate) fn reported(&mut self, port: &str, hctl: Hctl) {
        if let Some((port, None)) = ata_name(port) {
            self.host_of.insert(port, hctl.host);
        }
    }

    /// The addresses that `ata1.00` or `ata1` may have, the likeliest first.
    pub(crate) fn hctl_of(&self, name: &str) -> Vec<Hctl> {
        let Some((port, device)) = ata_name(name) else { return Vec::new() };
        let Some(host) = self.host_of.get(&port).copied() else { return Vec::new() };
        let at = |channel, target| Hctl { host, channel, target, lun: 0 };
        match device {
            Some(device) => vec![at(0, device), at(device, 0)],
            None => vec![at(0, 0)],
        }
    }
}

/// `ata1.01`: the port, and the device or the link behind a port multiplier.
fn ata_name(name: &str) -> Option<(u32, Option<u32>)> {
    let rest = name.strip_prefix("ata")?;
    let (port, device) = match rest.split_once('.') {
        Some((port, device)) => (port, Some(device.parse().ok()?)),
        None => (rest, None),
    };
    Some((port.parse().ok()?, device))
}

/// `ata1: SATA max UDMA/133 abar …`, `ata3: DUMMY`.
fn ata_port(known: &mut Known, text: &str) -> Option<()> {
    let (name, rest) = text.split_once(": ")?;
    let (port, None) = ata_name(name)? else { return None };
    let announced = ["SATA max", "PATA max", "DUMMY"].iter().any(|word| rest.starts_with(word));
    announced.then(|| known.ata.port(port))
}

/// ` sda: sda1 sda2 < sda5 >`, ` nvme0n1: p1 p2`.
fn partitions(known: &mut Known, text: &str) -> Option<()> {
    let (disk, list) = text.strip_prefix(' ')?.split_once(':')?;
    if disk.len() > 32 || !names::is_name(disk) || list.len() > 4096 {
        return None;
    }
    let words: Vec<String> = list
        .split([' ', '<', '>'])
        .filter(|word| !word.is_empty())
        .map(|word| {
            let short = word.strip_prefix('p').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
            if short { format!("{disk}{word}") } else { word.to_owned() }
        })
        .collect();
    for part in words.iter().filter(|part| names::disk_of(part).as_deref() == Some(disk)) {
        known.node(part)?;
    }
    let alone = words.is_empty() && (names::static_dev(disk).is_some() || disk.starts_with("nvme"));
    if alone { known.node(disk).map(|_| ()) } else { Some(()) }
}

/// `md/raid:md0: device sdb1 operational as raid disk 0`, `md/raid1:md0: Disk failure on sdb1, …`.
fn md(known: &mut Known, text: &str) -> Option<()> {
    let (_, rest) = text.split_once(':')?;
    let (array, rest) = rest.split_once(": ")?;
    let member = rest
        .strip_prefix("device ")
        .filter(|rest| rest.contains(" operational as raid disk "))
        .or_else(|| rest.strip_prefix("Disk failure on "))?;
    let member = member.split([' ', ',']).next()?;
    (array.starts_with("md") && names::is_name(member)).then(|| known.made_of(array, member))
}

/// `device-mapper: multipath: 253:0: Failing path 8:16.`, `device-mapper: thin: 253:2: reached low water mark …`
fn dm(known: &mut Known, text: &str) -> Option<()> {
    let (target, rest) = text.strip_prefix("device-mapper: ")?.split_once(": ")?;
    let (map, rest) = rest.split_once(": ")?;
    let map: Dev = map.parse().ok()?;
    // Some targets name a device that they are made of. Device mapper's major is one of those that are given out at boot.
    if !matches!(map.major, 234..=254 | 384..=511) {
        return None;
    }
    known.naming.dm_major = Some(map.major);
    let name = format!("dm-{}", map.minor);
    known.set_dev(&name, map);
    let kind = match target {
        "multipath" => BlkType::DmMultipath,
        "thin" => BlkType::DmThinPool,
        "crypt" => BlkType::DmCrypt,
        _ => BlkType::Dm,
    };
    let node = known.node(&name)?;
    if node.id.blk_type == BlkType::Dm {
        node.id.blk_type = kind;
    }
    let path = rest.strip_prefix("Failing path ").or_else(|| rest.strip_prefix("Reinstating path "))?;
    let path: Dev = path.trim_end_matches('.').parse().ok()?;
    let lower = known.name_of(path)?;
    known.made_of(&name, &lower);
    Some(())
}

/// Says what lies on a device.
fn content(known: &mut Known, name: &str, fs_type: &str, uuid: Option<&str>) -> Option<()> {
    let id = &mut known.node(name)?.id;
    if id.fs_type.is_empty() || id.fs_type != fs_type {
        id.fs_type = fs_type.to_owned();
    }
    if let Some(uuid) = uuid.filter(|uuid| uuid::Uuid::parse_str(uuid).is_ok()) {
        id.uuid = uuid.to_owned();
    }
    Some(())
}

/// `EXT4-fs (sda1): mounted filesystem 3b1c… r/w with ordered data mode.`
fn ext4(known: &mut Known, text: &str) -> Option<()> {
    let (name, rest) = text.strip_prefix("EXT4-fs (")?.split_once("): ")?;
    let rest = rest.strip_prefix("mounted filesystem ")?;
    content(known, name, "ext4", rest.split(' ').next())
}

/// `XFS (sda1): Mounting V5 Filesystem 3b1c…`
fn xfs(known: &mut Known, text: &str) -> Option<()> {
    let (name, rest) = text.strip_prefix("XFS (")?.split_once("): ")?;
    let rest = rest.strip_prefix("Mounting V")?;
    content(known, name, "xfs", rest.split(' ').nth(2))
}

/// `BTRFS: device fsid 3b1c… devid 1 transid 6 /dev/sda (8:0) scanned by mount (1)`.
fn btrfs(known: &mut Known, text: &str) -> Option<()> {
    if let Some(rest) = text.strip_prefix("BTRFS: device fsid ") {
        let path = between(rest, " /dev/", " ")?;
        let uuid = rest.split(' ').next();
        if let Some(dev) = between(rest, "(", ")").and_then(|dev| dev.parse().ok()) {
            known.set_dev(path, dev);
        }
        return content(known, path, "btrfs", uuid);
    }
    let (name, rest) = text.strip_prefix("BTRFS info (device ")?.split_once("): ")?;
    let uuid = rest.strip_prefix("first mount of filesystem ")?;
    content(known, name, "btrfs", Some(uuid.trim_end()))
}

/// `nvme nvme0: pci function 0000:01:00.0`.
fn nvme(known: &mut Known, text: &str) -> Option<()> {
    let (name, rest) = text.strip_prefix("nvme ")?.split_once(": ")?;
    let address = rest.strip_prefix("pci function ")?;
    let namespace = format!("{name}n1");
    if known.has(&namespace) {
        known.node(&namespace)?.id.transport_id = address.to_owned();
    }
    Some(())
}

/// `mmcblk0: mmc0:0001 SD16G 14.8 GiB`: the slot and the card. Boot areas are disks of their own.
fn mmc(known: &mut Known, text: &str) -> Option<()> {
    let (name, rest) = text.split_once(": ")?;
    let (card, rest) = rest.split_once(' ')?;
    let (slot, address) = card.split_once(':')?;
    let is_slot =
        slot.strip_prefix("mmc").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let is_card = name.strip_prefix("mmcblk")?.bytes().all(|b| b.is_ascii_digit());
    if !is_slot || !is_card || address.len() != 4 || !rest.contains("iB") {
        return None;
    }
    known.node(name)?;
    known.alias(slot, name);
    known.alias(card, name);
    Some(())
}

/// `mpatha: sdb - tur checker reports path is down`, `sdb [8:16]: path added to devmap mpatha`.
fn multipathd(known: &mut Known, text: &str) -> Option<()> {
    let (name, rest) = text.split_once(": ")?;
    if let Some((path, dev)) = name.split_once(" [") {
        let map = rest.strip_prefix("path added to devmap ")?;
        known.set_dev(path, dev.strip_suffix(']')?.parse().ok()?);
        return path_of_map(known, path, map);
    }
    let (path, _) = rest.split_once(" - ")?;
    names::static_dev(path)?;
    path_of_map(known, path, name)
}

/// The path belongs to a map of this name; which dm device that is, the kernel's lines about the path report.
fn path_of_map(known: &mut Known, path: &str, map: &str) -> Option<()> {
    if !names::is_name(map) {
        return None;
    }
    known.node(path)?;
    let upper = known.nodes.get(path)?.holders.iter().find(|holder| holder.starts_with("dm-")).cloned()?;
    let id = &mut known.node(&upper)?.id;
    of_map(id, map, BlkType::DmMultipath);
    known.alias(&format!("mapper/{map}"), &upper);
    Some(())
}
