//! The one line for a human.

use std::fmt::Write as _;

use super::{health_words, impact};
use crate::{
    event::{
        Event, EventType, Extent, Facts, Io, Op,
        facts::{FsFacts, GroupFacts, HostByte, StatusByte},
    },
    parser::errno,
    text::printable,
};

const DID_OK: HostByte = HostByte(0);
const GOOD: StatusByte = StatusByte(0);
/// Characters that a line of the kernel may take in a message.
const LINE_CHARS: usize = 160;

/// The line, with the device by the name that humans use. How often it happened and where the device is mounted stand
/// in fields of their own, beside which whoever shows the line puts it.
pub(crate) fn compose(event: &Event) -> String {
    let text = match event.event_type.as_str() {
        _ if is_of_many(event) => many(event),
        "BLK_HEALTH" => health_words::words(event.facts.health.as_deref()),
        "BLK_SLOW_IO" if event.facts.block.as_ref().is_some_and(|block| block.took_ms.is_some()) => {
            slow(event)
        }
        _ if is_request(event) => request(event),
        "BLK_LOST_WRITE" => lost_write(event),
        "FS_ERROR" if fs(event).is_some_and(|fs| fs.function.is_some()) => filesystem_error(event),
        "FS_SHUTDOWN" if fs(event).is_some_and(|fs| fs.reason.is_some()) => {
            let reason = fs(event).and_then(|fs| fs.reason.as_deref()).unwrap_or_default();
            format!("{} on {} was shut down: {reason}", event.sub_system, device(event))
        }
        "DM_MPATH_PATH_FAILED" | "DM_MPATH_PATH_REINSTATED" | "DM_MPATH_NO_PATH" => path(event),
        "NVME_CONTROLLER_FAILED" if event.raw_msgs.is_empty() => match &event.block {
            Some(block) => format!("controller {} of {} went away", event.kdev, block.id.name()),
            None => format!("controller {} went away", event.kdev),
        },
        "NVME_CONTROLLER_RECOVERED" => match &event.block {
            Some(block) => format!("controller {} of {} works again", event.kdev, block.id.name()),
            None => format!("controller {} works again", event.kdev),
        },
        "NVME_PATH_RECOVERED" if event.raw_msgs.is_empty() => match &event.block {
            Some(block) => format!("controller {} of {} is connected", event.kdev, block.id.name()),
            None => format!("controller {} is connected", event.kdev),
        },
        "SCSI_ERROR_RECOVERY" if event.raw_msgs.is_empty() => {
            format!("the error handler of {} woke up", event.kdev)
        }
        "BLK_DEVICE_ADDED" => format!("{} appeared", device(event)),
        "BLK_DEVICE_REMOVED" => removed(event),
        "MD_ARRAY_FAILED" if event.raw_msgs.is_empty() && event.facts.removal.is_some() => {
            let gone = event.facts.removal.as_ref().and_then(|removal| removal.devices.as_ref());
            format!(
                "{} cannot go on without {}",
                device(event),
                gone.map(|gone| gone.join(", ")).unwrap_or_default()
            )
        }
        "BLK_CAPACITY_CHANGED" if event.raw_msgs.is_empty() => {
            format!("the size of {} changed", device(event))
        }
        "BLK_READ_ONLY_CHANGED"
            if event.facts.block.as_ref().is_some_and(|block| block.read_only == Some(false)) =>
        {
            format!("{} became writable", device(event))
        }
        "BLK_READ_ONLY_CHANGED" => format!("{} became read-only", device(event)),
        "PERIPETY_EVENTS_LOST" if event.facts.loss.as_ref().is_some_and(|loss| loss.reason.is_some()) => {
            lost(event)
        }
        _ => other(event),
    };
    printable(&text).into_owned()
}

/// `/dev/mapper/mpatha (dm-0)`; the kernel's name alone where nothing better is known.
fn device(event: &Event) -> String {
    let kdev = if event.kdev.is_empty() { "an unknown device" } else { event.kdev.as_str() };
    let Some(block) = &event.block else { return kdev.to_owned() };
    let name = block.id.name();
    if event.kdev.is_empty() || name.rsplit('/').next() == Some(kdev) {
        name
    } else {
        format!("{name} ({kdev})")
    }
}

fn removed(event: &Event) -> String {
    let devices = event.facts.removal.as_ref().and_then(|removal| removal.devices.as_ref());
    match devices.filter(|devices| devices.len() > 1) {
        Some(names) => {
            cut(&format!("{} devices went away: {}", event.count.max(names.len() as u64), names.join(", ")))
        }
        None => format!("{} went away", device(event)),
    }
}

fn fs(event: &Event) -> Option<&FsFacts> {
    event.facts.fs.as_deref()
}

fn group(event: &Event) -> Option<&GroupFacts> {
    event.facts.group.as_deref()
}

/// Whether the event stands for devices, or for failures in many ways or places, that are not events of their own.
fn is_of_many(event: &Event) -> bool {
    group(event).is_some_and(|group| group.devices_total.or(group.others_total).is_some())
}

/// Whether the event is about a request whose fate can be reported in one sentence.
fn is_request(event: &Event) -> bool {
    let layer = matches!(event.sub_system.as_str(), "block" | "scsi" | "nvme");
    let lost = event.event_type == EventType::BLK_LOST_WRITE;
    let known = event
        .io
        .as_ref()
        .is_some_and(|io| io.op != Op::Unknown && (io.errno.is_some() || event.raw_msgs.is_empty()));
    layer && !lost && known
}

fn request(event: &Event) -> String {
    let Some(io) = &event.io else { return other(event) };
    let what = match (io.op, io.sector, io.nr_sectors) {
        (Op::Flush, ..) => "cache flush".to_owned(),
        (op, Some(sector), Some(1)) => format!("{} of 1 sector at {sector}", verb(op)),
        (op, Some(sector), Some(n)) if n > 0 => format!("{} of {n} sectors at {sector}", verb(op)),
        (op, Some(sector), _) => format!("{} at sector {sector}", verb(op)),
        (op, None, _) => verb(op).to_owned(),
    };
    let again = impact::was_tried_again(event);
    let mut text = if event.event_type == EventType::BLK_NOT_SUPPORTED {
        format!("{what} is not supported by {}", device(event))
    } else if again || (io.errno.is_none() && impact::is_attempt(event)) {
        // The request did not fail: an attempt at it did.
        format!("an attempt at a {what} failed on {}: {}", device(event), reason(event, io))
    } else {
        format!("{what} failed on {}: {}", device(event), reason(event, io))
    };
    if let Some(bad) = io.bad_lba {
        let _ = write!(text, ", bad sector {bad}");
    }
    if io.extent == Some(Extent::Within) && io.op != Op::Flush {
        text.push_str("; which of these sectors is not known");
    }
    let known = event.facts.impact.as_deref().cloned().unwrap_or_default();
    text.push_str(match () {
        () if known.succeeded.is_some() => "; it was retried and succeeded",
        () if again => "; it was tried again",
        () if known.requested.is_some() => "; its removal was asked for",
        () if known.removed.is_some() => "; it was removed",
        () if known.spared.is_some() => "; another path or copy serves it",
        () if known.repaired.is_some() => "; another copy served it",
        () if event.event_type == EventType::NVME_PATH_FAILED && io.errno.is_none() => {
            "; it goes to another path"
        }
        () if io.op == Op::Flush && io.errno.is_some() => "; written data may be lost",
        () => "",
    });
    text
}

fn slow(event: &Event) -> String {
    let what = event
        .io
        .as_ref()
        .map_or("request", |io| if io.op == Op::Flush { "cache flush" } else { verb(io.op) });
    let block = event.facts.block.as_ref();
    let took = block.and_then(|block| block.took_ms).unwrap_or_default();
    let limit = block.and_then(|block| block.limit_ms).unwrap_or_default();
    let upto = if event.count > 1 { "up to " } else { "" };
    format!("a {what} took {upto}{took} ms on {}; the limit is {limit} ms", device(event))
}

const fn verb(op: Op) -> &'static str {
    match op {
        Op::SecureErase => "secure erase",
        Op::WriteSame => "write same",
        Op::WriteZeroes => "write of zeroes",
        Op::Zone => "zone command",
        Op::Passthrough => "passthrough command",
        Op::Unknown => "request",
        other => other.as_str(),
    }
}

/// What the device said, else what the block layer made of it.
fn reason(event: &Event, io: &Io) -> String {
    let Facts { scsi, ata, nvme, .. } = &event.facts;
    let scsi = scsi.as_deref();
    // libata makes sense data up where the drive gave none; what it says itself is the reason.
    let no_sense = scsi.is_some_and(|scsi| (scsi.asc, scsi.ascq) == (Some(0), Some(0)));
    let add_sense = scsi.and_then(|scsi| scsi.add_sense.as_deref()).filter(|_| !no_sense);
    let by_libata = || ata.as_ref().filter(|ata| ata.emask.is_some())?.reason.as_deref();
    let add_sense = add_sense.or_else(by_libata);
    let key = scsi.and_then(|scsi| scsi.sense_key).map(|key| key.name());
    let host = scsi.and_then(|scsi| scsi.host_byte);
    let status = scsi.and_then(|scsi| scsi.status).filter(|status| host.is_some() && *status != GOOD);
    let of_nvme = nvme.as_ref().and_then(|nvme| nvme.status_name.as_deref());
    let mut reported = match (key, add_sense, host, status, of_nvme) {
        (Some(key), Some(more), ..) => format!("{key}, {more}"),
        (Some(key), ..) => key.into_owned(),
        (_, Some(more), ..) => more.to_owned(),
        (_, _, Some(host), ..) if host != DID_OK => host.name().into_owned(),
        (_, _, _, Some(status), _) => status.name().into_owned(),
        (_, _, _, _, Some(status)) => status.to_owned(),
        _ => match io.errno {
            Some(errno) => errno::block_error(errno).words.to_owned(),
            None => event.event_type.info().map_or("failed", |i| i.meaning).to_owned(),
        },
    };
    if let Some(name) = &io.errno_name {
        let _ = write!(reported, " ({name})");
    }
    reported
}

/// Those that are not events of their own.
fn many(event: &Event) -> String {
    let meaning =
        event.event_type.info().map_or_else(|| event.event_type.to_string(), |i| i.meaning.to_owned());
    let group = group(event).cloned().unwrap_or_default();
    match (group.devices_total, group.others_total) {
        (Some(n), _) => format!("{n} more devices fail at the same time: {meaning}"),
        (_, n) => format!("{}: {meaning}, in {} more ways or places", device(event), n.unwrap_or_default()),
    }
}

fn lost_write(event: &Event) -> String {
    let mut text = "written data".to_owned();
    if let Some(files) = group(event).and_then(|group| group.files_total) {
        let _ = write!(text, " of {files} more files");
    }
    let file = fs(event).map(|fs| (fs.inode, fs.path.as_deref()));
    let _ = match file {
        Some((Some(inode), Some(path))) => write!(text, " of {path} (inode {inode})"),
        Some((Some(inode), None)) => write!(text, " of inode {inode}"),
        _ => Ok(()),
    };
    let _ = write!(text, " on {} was lost", device(event));
    match event.io.as_ref().and_then(|io| io.lost_pages) {
        Some(1) => text.push_str(", 1 page"),
        Some(pages) => {
            let _ = write!(text, ", {pages} pages");
        }
        None => {}
    }
    if let Some(name) = event.io.as_ref().and_then(|io| io.errno_name.as_ref()) {
        let _ = write!(text, " ({name})");
    }
    text
}

fn filesystem_error(event: &Event) -> String {
    let function = fs(event).and_then(|fs| fs.function.as_deref()).unwrap_or("unknown");
    let mut text = format!("{} error on {} in {function}", event.sub_system, device(event));
    if let Some(line) = fs(event).and_then(|fs| fs.line) {
        let _ = write!(text, ":{line}");
    }
    // What the line says behind the place, if there is one.
    if let Some(words) = event.raw_msgs.first().and_then(|line| line.split_once("comm ")?.1.split_once(": "))
    {
        let _ = write!(text, ": {}", cut(words.1));
    }
    text
}

fn path(event: &Event) -> String {
    let Facts { dm, mpath, .. } = &event.facts;
    let map = dm.as_ref().and_then(|dm| dm.name.as_deref());
    let map = map.or_else(|| mpath.as_ref()?.map.as_deref());
    let mut line = match (event.event_type.as_str(), map) {
        ("DM_MPATH_NO_PATH", _) => return format!("{}: no path is left, the last one failed", device(event)),
        ("DM_MPATH_PATH_REINSTATED", None) => format!("path {} works again", device(event)),
        ("DM_MPATH_PATH_REINSTATED", Some(map)) => format!("path {} of {map} works again", device(event)),
        (_, None) => format!("path {} failed", device(event)),
        (_, Some(map)) => format!("path {} of {map} failed", device(event)),
    };
    if let Some(left) = mpath.as_ref().and_then(|mpath| mpath.valid_paths) {
        let _ = write!(line, ", {left} left");
    }
    line
}

fn lost(event: &Event) -> String {
    let loss = event.facts.loss.as_deref().cloned().unwrap_or_default();
    let source = loss.source.as_deref().unwrap_or("unknown");
    let reason = loss.reason.as_deref().unwrap_or("unknown");
    match loss.counted_by {
        Some(probe) => format!("lines of kernel text were left out; {probe} counts what they are about"),
        None if reason == "ring full" && source.starts_with("ebpf:block_") => {
            format!("the ring was full at {source}: sectors are missing, counts are not")
        }
        None => format!("records were lost at {source}: {reason}"),
    }
}

/// The kernel's own line, or what the type means.
fn other(event: &Event) -> String {
    let Some(line) = event.raw_msgs.first() else {
        let meaning = event
            .event_type
            .info()
            .map_or_else(|| event.event_type.to_string(), |info| info.meaning.to_owned());
        let meaning = detail(&event.facts).map_or(meaning, str::to_owned);
        return if event.kdev.is_empty() { meaning } else { format!("{}: {meaning}", device(event)) };
    };
    let line = line.lines().next().unwrap_or_default().trim();
    // Many lines begin with the device's name, which is about to be said in full.
    let line = line.strip_prefix(&event.kdev).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(line);
    let line = cut(line);
    match &event.block {
        Some(block) if !line.contains(&block.id.name()) => format!("{}: {line}", device(event)),
        None if !event.kdev.is_empty() && !line.contains(&event.kdev) => format!("{}: {line}", event.kdev),
        _ => line,
    }
}

/// What facts say in words where no line does.
fn detail(facts: &Facts) -> Option<&str> {
    let Facts { nvme, fs, loss, daemon, scsi, dm, md, .. } = facts;
    None.or_else(|| nvme.as_ref()?.aen_info.as_deref())
        .or_else(|| nvme.as_ref()?.reason.as_deref())
        .or_else(|| fs.as_ref()?.reason.as_deref())
        .or_else(|| loss.as_ref()?.reason.as_deref())
        .or_else(|| daemon.as_ref()?.reason.as_deref())
        .or_else(|| scsi.as_ref()?.unit_attention.as_deref())
        .or_else(|| scsi.as_ref()?.add_sense.as_deref())
        .or_else(|| nvme.as_ref()?.status_name.as_deref())
        .or_else(|| dm.as_ref()?.message.as_deref())
        .or_else(|| md.as_ref()?.message.as_deref())
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE_CHARS) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}
