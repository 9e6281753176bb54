//! From what an expression captured to a raw event.

use serde_json::Value;

use super::{Rule, kernel_text};
use crate::{
    block::{Dev, Hctl},
    event::{Errno, Facts, Io, Op, Sector, SubSystem},
    parser::{Kdev, RawEvent, blk_status, command, nvme},
    record::{LogRecord, Stamp},
};

/// Groups whose text stays text even if it looks like a number.
const TEXTS: &[&str] = &[
    "process", "function", "uuid", "site", "path", "reason", "state", "message", "leg", "name", "target",
    "pci", "code", "command", "adapter", "pool", "server", "daemon", "volume", "fsid", "task", "slot",
    "usb_port", "rport",
];

/// Groups that have their place in the event itself; any other group with a dot in its name fills the fact of that path.
pub(super) const RESERVED: [&str; 9] =
    ["kdev", "sub_system", "sector", "nr_sectors", "bad_lba", "op", "errno", "blk_status", "count"];

/// The event that `rule` makes of a line.
pub(super) fn raw_event(rule: &Rule, groups: &[(&str, &str)], record: &LogRecord, time: Stamp) -> RawEvent {
    let mut event = RawEvent {
        sub_system: rule.sub_system.clone(),
        severity: rule.severity,
        raw_msg: Some(match &record.identifier {
            Some(program) => format!("{program}: {}", record.text),
            None => record.text.clone(),
        }),
        program: record.identifier.is_some(),
        state: rule.state,
        uncounted: rule.uncounted,
        seen_by: rule.seen_by,
        facts: rule.facts.clone(),
        extension: rule.extension.clone(),
        ..RawEvent::new(time, source(record), record.seq.to_string(), rule.event_type.clone())
    };
    let mut io = Io::default();
    for (name, text) in groups.iter().copied().filter(|(_, text)| !text.is_empty()) {
        match name {
            "kdev" => event.kdev = kdev(text),
            "sub_system" => event.sub_system = SubSystem::new(text),
            "sector" => io.sector = kernel_text::number(text).map(Sector),
            "nr_sectors" => io.nr_sectors = kernel_text::number(text).and_then(|n| u32::try_from(n).ok()),
            "bad_lba" => io.bad_lba = kernel_text::number(text).map(Sector),
            "op" => io.op = kernel_text::op(text),
            "errno" => io.errno = kernel_text::errno(text),
            "blk_status" => io.errno = kernel_text::number(text).and_then(blk_status::errno),
            "count" => event.count = kernel_text::number(text).unwrap_or(1).max(1),
            "systemd.device" | "systemd.mount" => fact(&mut event, name, &path_of_unit(text)),
            // A target; disks on SAS have no other unit.
            "scsi.hctl" if text.matches(':').count() == 2 => fact(&mut event, name, &format!("{text}:0")),
            // Words between its numbers, as up to 2.6.25; of two numbers in brackets the channel is left out.
            "scsi.hctl" if text.contains(' ') => fact(&mut event, name, &address(text)),
            "fc.nexus" => nexus(&mut event, text),
            _ if name.contains('.') => fact(&mut event, name, text),
            _ => drop(event.extension.insert(name.to_owned(), value(name, text))),
        }
        match name {
            "dm.name" => event.kdev = Kdev::Name(format!("/dev/mapper/{text}")),
            // btrfs gives the place on the device in bytes.
            "btrfs.physical" => io.sector = kernel_text::number(text).map(|bytes| Sector(bytes >> 9)),
            _ => {}
        }
    }
    event.facts.complete();
    if let Some(result) = event.facts.nvme.as_ref().and_then(|nvme| nvme.aen_result) {
        nvme::name_aen(&mut event, result.0);
    }
    // A write of no segments is the flush of a write cache: the data of earlier writes may be what is lost.
    if io.op == Op::Write && event.facts.block.as_ref().is_some_and(|block| block.phys_seg == Some(0)) {
        io.op = Op::Flush;
        io.nr_sectors = Some(0);
    }
    // A driver that speaks of its command in its own way.
    if io.op == Op::Unknown
        && io.sector.is_none()
        && let Some(command) = command(&event.facts, None)
    {
        io.op = command.op;
        if command.are_sectors && command.op != Op::Flush {
            (io.sector, io.nr_sectors) = (Some(Sector(command.start)), Some(command.blocks));
        }
    }
    io.errno_name = io.errno.and_then(Errno::name).map(str::to_owned);
    event.io = (io != Io::default()).then_some(io);
    if !rule.no_kdev {
        use_dictionary(&mut event, record.device.as_deref());
        if event.kdev == Kdev::None {
            event.kdev = stands_for_device(&event.facts).map(|name| kdev(&name)).unwrap_or_default();
        }
    }
    if event.kdev == Kdev::None
        && event.sub_system.as_str() == "iscsi"
        && let Some(session) = event.facts.iscsi.as_ref().and_then(|iscsi| iscsi.session)
    {
        event.kdev = Kdev::Name(format!("session{session}"));
    }
    event
}

/// Source of a line, as it stands in an event's `sources`: `kmsg`, or `journal:multipathd`; where the line alone says so,
/// `syslog:unproven`, or `syslog:multipathd:unproven`.
fn source(record: &LogRecord) -> String {
    match (&record.identifier, record.unproven) {
        (None, false) => "kmsg".to_owned(),
        (None, true) => "syslog:unproven".to_owned(),
        (Some(name), false) => format!("journal:{name}"),
        (Some(name), true) => format!("syslog:{name}:unproven"),
    }
}

/// A fact by its path. A rule with a path that names none was refused when it was read.
fn fact(event: &mut RawEvent, path: &str, text: &str) {
    if event.facts.set_text(path, text).is_err() {
        event.extension.insert(path.to_owned(), text.into());
    }
}

/// What names the device where the line has no better one, the better first; after the block devices what stands for one:
/// a PCI function, an adapter, a pool, a server.
fn stands_for_device(facts: &Facts) -> Option<String> {
    let Facts { scsi, md, bcache, fs, zfs, mpath, pci, adapter, net, gluster, usb, fc, systemd, .. } = facts;
    None.or_else(|| scsi.as_ref()?.hctl.map(|hctl| hctl.to_string()))
        .or_else(|| md.as_ref()?.array.clone())
        .or_else(|| bcache.as_ref()?.device.clone())
        .or_else(|| fs.as_ref()?.device.clone())
        .or_else(|| zfs.as_ref()?.vdev.clone())
        .or_else(|| mpath.as_ref()?.map.clone())
        .or_else(|| pci.as_ref()?.function.clone())
        .or_else(|| adapter.as_ref()?.name.clone())
        .or_else(|| zfs.as_ref()?.pool.clone())
        .or_else(|| net.as_ref()?.daemon.clone())
        .or_else(|| net.as_ref()?.server.clone())
        .or_else(|| usb.as_ref()?.port.clone())
        .or_else(|| fc.as_ref()?.rport.as_ref().map(|rport| format!("rport-{rport}")))
        .or_else(|| systemd.as_ref()?.device.clone())
        .or_else(|| systemd.as_ref()?.mount.clone())
        .or_else(|| net.as_ref()?.volume.clone())
        .or_else(|| gluster.as_ref()?.brick.clone())
        .or_else(|| gluster.as_ref()?.volume.clone())
        .or_else(|| gluster.as_ref()?.peer.clone())
        .or_else(|| fs.as_ref()?.fsid.clone())
}

/// The device by a name from text.
fn kdev(text: &str) -> Kdev {
    // A path below a directory of /dev is a name only as a whole.
    let name = text.strip_prefix("/dev/").filter(|n| !n.contains('/')).unwrap_or(text);
    if let Some(dev) = hexadecimal(name).or_else(|| name.parse::<Dev>().ok()).or_else(|| numbered(name)) {
        Kdev::Dev(dev)
    } else if let Ok(hctl) = name.parse::<Hctl>() {
        Kdev::Hctl(hctl)
    } else {
        // The kernel writes '!' for a '/' in a device's name: cciss!c0d0.
        Kdev::Name(name.to_owned())
    }
}

/// A device by driver and number, as 2.4 named it: `md(9,3)`, `ide0(3,2)`.
fn numbered(name: &str) -> Option<Dev> {
    let (_, numbers) = name.strip_suffix(')')?.split_once('(')?;
    let (major, minor) = numbers.split_once(',')?;
    format!("{major}:{minor}").parse().ok()
}

/// A number as 2.4 wrote it: `08:11` for `8:17`.
fn hexadecimal(name: &str) -> Option<Dev> {
    let (major, minor) = name.split_once(':').filter(|_| name.len() == 5 && name.starts_with('0'))?;
    let [major, minor] = [u8::from_str_radix(major, 16).ok()?, u8::from_str_radix(minor, 16).ok()?];
    format!("{major}:{minor}").parse().ok()
}

/// An address that is written with words or brackets: `1 channel 0 id 6 lun 2`, `1 (6:2)`.
fn address(text: &str) -> String {
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty());
    let numbers: Vec<&str> = numbers.collect();
    match numbers.as_slice() {
        [host, target, unit] => format!("{host}:0:{target}:{unit}"),
        _ => numbers.join(":"),
    }
}

/// A unit as drivers of FC name it: host, target and unit, on channel 0.
fn nexus(event: &mut RawEvent, text: &str) {
    fact(event, "fc.nexus", text);
    if let Some((host, rest)) = text.split_once(':')
        && let Ok(hctl) = format!("{host}:0:{rest}").parse::<Hctl>()
    {
        event.facts.scsi.get_or_insert_default().hctl = Some(hctl);
        event.kdev = Kdev::Hctl(hctl);
    }
}

/// The path that a unit of systemd is named for: `dev-disk-by\x2duuid-1A` is `/dev/disk/by-uuid/1A` (systemd.unit(5)).
fn path_of_unit(unit: &str) -> String {
    let mut path = String::from("/");
    let mut rest = unit;
    while let Some(at) = rest.find(['-', '\\']) {
        path.push_str(rest.get(..at).unwrap_or_default());
        let after = rest.get(at..).unwrap_or_default();
        let code = after.strip_prefix("\\x").and_then(|hex| hex.get(..2));
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(u8::is_ascii_graphic) {
            Some(byte) => {
                path.push(char::from(byte));
                rest = after.get(4..).unwrap_or_default();
            }
            None => {
                path.push(if after.starts_with('-') { '/' } else { '\\' });
                rest = after.get(1..).unwrap_or_default();
            }
        }
    }
    path.push_str(rest);
    path
}

/// What the kernel says of the device beside the text: `b8:16` is a block device's number and more exact than any name,
/// `+scsi:4:0:0:1` is the address of a SCSI device and serves where the text has no device.
fn use_dictionary(event: &mut RawEvent, device: Option<&str>) {
    let Some(device) = device else { return };
    if let Some(dev) = device.strip_prefix('b').and_then(|d| d.parse::<Dev>().ok()) {
        if !matches!(event.kdev, Kdev::Dev(_)) {
            event.kdev = Kdev::Dev(dev);
        }
    } else if let Some(hctl) = device.strip_prefix("+scsi:").and_then(|d| d.parse::<Hctl>().ok()) {
        event.facts.scsi.get_or_insert_default().hctl = Some(hctl);
    }
}

fn value(name: &str, text: &str) -> Value {
    let number = || {
        let negative =
            text.strip_prefix('-').and_then(kernel_text::number).and_then(|n| i64::try_from(n).ok());
        kernel_text::number(text).map(Value::from).or_else(|| negative.map(|n| Value::from(-n)))
    };
    if TEXTS.contains(&name) { Value::from(text) } else { number().unwrap_or_else(|| Value::from(text)) }
}
