//! The one line for a human.

use std::fmt::Write as _;

use serde_json::Value;

use super::impact;
use crate::{
    event::{Event, EventType, Extent, Io, Op},
    parser::errno,
    text::printable,
};

/// Characters that a line of the kernel may take in a message.
const LINE_CHARS: usize = 160;

/// The line, with the device by the name that humans use. How often it happened and where the device is mounted stand
/// in fields of their own, beside which whoever shows the line puts it.
pub fn compose(event: &Event) -> String {
    let text = match event.event_type.as_str() {
        _ if total(event, "devices_total").is_some() || total(event, "others_total").is_some() => many(event),
        _ if is_request(event) => request(event),
        "BLK_LOST_WRITE" => lost_write(event),
        "FS_ERROR" if event.extension.contains_key("function") => filesystem_error(event),
        "FS_SHUTDOWN" if event.extension.contains_key("reason") => {
            format!("{} on {} was shut down: {}", event.sub_system, device(event), word(event, "reason"))
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
        "BLK_CAPACITY_CHANGED" if event.raw_msgs.is_empty() => {
            format!("the size of {} changed", device(event))
        }
        "BLK_READ_ONLY_CHANGED" if event.extension.get("read_only") == Some(&Value::Bool(false)) => {
            format!("{} became writable", device(event))
        }
        "BLK_READ_ONLY_CHANGED" => format!("{} became read-only", device(event)),
        "PERIPETY_EVENTS_LOST" if event.extension.contains_key("reason") => lost(event),
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
    let devices = event.extension.get("devices").and_then(Value::as_array);
    match devices.filter(|devices| devices.len() > 1) {
        Some(devices) => {
            let names: Vec<&str> = devices.iter().filter_map(Value::as_str).collect();
            cut(&format!("{} devices went away: {}", event.count.max(names.len() as u64), names.join(", ")))
        }
        None => format!("{} went away", device(event)),
    }
}

fn word<'e>(event: &'e Event, key: &str) -> &'e str {
    event.extension.get(key).and_then(Value::as_str).unwrap_or("unknown")
}

/// Whether the event is about a request whose fate can be told in one sentence.
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
    let again = event.extension.contains_key("tried_again");
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
    let has = |key: &str| event.extension.contains_key(key);
    text.push_str(match () {
        () if has("succeeded") => "; it was retried and succeeded",
        () if again => "; it was tried again",
        () if has("requested") => "; its removal was asked for",
        () if has("removed") => "; it was removed",
        () if has("spared") => "; another path or copy serves it",
        () if has("mended") => "; another copy served it",
        () if event.event_type == EventType::NVME_PATH_FAILED && io.errno.is_none() => {
            "; it goes to another path"
        }
        () if io.op == Op::Flush && io.errno.is_some() => "; written data may be lost",
        () => "",
    });
    text
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
    let text = |key: &str| event.extension.get(key).and_then(Value::as_str);
    // libata makes sense data up where the drive gave none; what it says itself is the reason.
    let add_sense = text("add_sense").filter(|words| *words != "No additional sense information");
    let add_sense = add_sense.or_else(|| text("reason").filter(|_| event.extension.contains_key("emask")));
    let mut told = match (text("sense_key_name"), add_sense, text("hostbyte"), text("status_name")) {
        (Some(key), Some(more), ..) => format!("{key}, {more}"),
        (Some(key), ..) => key.to_owned(),
        (_, Some(more), ..) => more.to_owned(),
        (_, _, Some(host), _) if host != "DID_OK" => host.to_owned(),
        (_, _, Some(_), _) if text("status").is_some_and(|s| s != "GOOD") => {
            text("status").unwrap_or_default().to_owned()
        }
        (_, _, _, Some(status)) => status.to_owned(),
        _ => match io.errno {
            Some(errno) => errno::block_error(errno).words.to_owned(),
            None => event.event_type.info().map_or("failed", |i| i.meaning).to_owned(),
        },
    };
    if let Some(name) = &io.errno_name {
        let _ = write!(told, " ({name})");
    }
    told
}

/// How many one event stands for.
fn total(event: &Event, key: &str) -> Option<u64> {
    event.extension.get(key)?.as_u64()
}

/// Those that are not events of their own.
fn many(event: &Event) -> String {
    let meaning =
        event.event_type.info().map_or_else(|| event.event_type.to_string(), |i| i.meaning.to_owned());
    match (total(event, "devices_total"), total(event, "others_total")) {
        (Some(n), _) => format!("{n} more devices fail at the same time: {meaning}"),
        (_, n) => format!("{}: {meaning}, in {} more ways or places", device(event), n.unwrap_or_default()),
    }
}

fn lost_write(event: &Event) -> String {
    let mut text = "written data".to_owned();
    if let Some(files) = total(event, "files_total") {
        let _ = write!(text, " of {files} more files");
    }
    if let Some(inode) = event.extension.get("inode") {
        let _ = write!(text, " of inode {inode}");
    }
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
    let mut text = format!("{} error on {} in {}", event.sub_system, device(event), word(event, "function"));
    if let Some(line) = event.extension.get("line") {
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
    let text = |key: &str| event.extension.get(key).and_then(Value::as_str);
    let map = text("dm_name").or_else(|| text("map"));
    let mut line = match (event.event_type.as_str(), map) {
        ("DM_MPATH_NO_PATH", _) => return format!("{}: no path is left, the last one failed", device(event)),
        ("DM_MPATH_PATH_REINSTATED", None) => format!("path {} works again", device(event)),
        ("DM_MPATH_PATH_REINSTATED", Some(map)) => format!("path {} of {map} works again", device(event)),
        (_, None) => format!("path {} failed", device(event)),
        (_, Some(map)) => format!("path {} of {map} failed", device(event)),
    };
    if let Some(left) = event.extension.get("valid_paths").and_then(Value::as_u64) {
        let _ = write!(line, ", {left} left");
    }
    line
}

fn lost(event: &Event) -> String {
    match event.extension.get("counted_by").and_then(Value::as_str) {
        Some(probe) => format!("lines of kernel text were left out; {probe} counts what they are about"),
        None if word(event, "reason") == "ring full" && word(event, "source").starts_with("ebpf:block_") => {
            format!("the ring was full at {}: sectors are missing, counts are not", word(event, "source"))
        }
        None => format!("records were lost at {}: {}", word(event, "source"), word(event, "reason")),
    }
}

/// The kernel's own line, or what the type means.
fn other(event: &Event) -> String {
    let Some(line) = event.raw_msgs.first() else {
        let meaning = event
            .event_type
            .info()
            .map_or_else(|| event.event_type.to_string(), |info| info.meaning.to_owned());
        let detail = ["aen_info", "reason", "unit_attention", "add_sense", "status_name"]
            .into_iter()
            .find_map(|key| event.extension.get(key)?.as_str());
        let meaning = detail.map_or(meaning, str::to_owned);
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

fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE_CHARS) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}
