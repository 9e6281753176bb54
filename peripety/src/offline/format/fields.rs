//! Fields of the journal, and of dmesg's JSON, to a record.

use std::collections::HashMap;

use super::{Item, text::level_named};
use crate::{offline::Entry, record::LogRecord};

/// The fields that are looked at: all others may be passed over while reading.
pub(in crate::offline) const WANTED: &[&str] = &[
    "MESSAGE",
    "PRIORITY",
    "SYSLOG_FACILITY",
    "SYSLOG_IDENTIFIER",
    "_BOOT_ID",
    "_COMM",
    "_EXE",
    "_HOSTNAME",
    "_KERNEL_DEVICE",
    "_KERNEL_SUBSYSTEM",
    "_SOURCE_MONOTONIC_TIMESTAMP",
    "_SYSTEMD_UNIT",
    "_TRANSPORT",
    "_UID",
    "__MONOTONIC_TIMESTAMP",
    "__REALTIME_TIMESTAMP",
    "fac",
    "facility",
    "msg",
    "pri",
    "priority",
    "time",
    "clock",
    "caller",
];

/// Fields of one entry.
pub(in crate::offline) type Fields = HashMap<String, String>;

/// The record that the fields make; none if they are no entry of a log.
pub(in crate::offline) fn entry(mut fields: Fields) -> Option<Item> {
    if let Some(text) = fields.remove("MESSAGE") {
        return Some(journal(&mut fields, text).into());
    }
    let text = fields.remove("msg")?;
    dmesg(&fields, text).map(Into::into)
}

fn number<T: std::str::FromStr>(fields: &Fields, name: &str) -> Option<T> {
    fields.get(name)?.trim().parse().ok()
}

fn journal(fields: &mut Fields, text: String) -> Entry {
    // journald takes all of /dev/kmsg for the kernel's transport; the facility says what a process wrote there.
    let of_kernel = fields.get("_TRANSPORT").is_some_and(|transport| transport == "kernel")
        && fields.get("SYSLOG_FACILITY").is_none_or(|facility| facility == "0");
    let (identifier, unproven) = if of_kernel {
        (None, false)
    } else {
        let (name, proven) = program(fields);
        (Some(name), !proven)
    };
    let uptime = of_kernel.then(|| number(fields, "_SOURCE_MONOTONIC_TIMESTAMP")).flatten();
    Entry {
        log: LogRecord {
            fragment: false,
            seq: 0,
            level: number(fields, "PRIORITY").filter(|level| *level < 8).unwrap_or(6),
            identifier,
            unproven,
            text,
            subsystem: fields.remove("_KERNEL_SUBSYSTEM"),
            device: fields.remove("_KERNEL_DEVICE"),
        },
        uptime_us: uptime.or_else(|| number(fields, "__MONOTONIC_TIMESTAMP")),
        wall_us: number(fields, "__REALTIME_TIMESTAMP"),
        boot_id: fields.remove("_BOOT_ID"),
        hostname: fields.remove("_HOSTNAME"),
        ..Entry::default()
    }
}

/// Who said it, by what journald itself vouches for: the name of the executable's process, of root's only. What a program
/// calls itself is believed where nothing else is known, and not proven.
fn program(fields: &mut Fields) -> (String, bool) {
    let named = fields.remove("SYSLOG_IDENTIFIER").unwrap_or_default();
    match (fields.remove("_COMM"), fields.get("_UID")) {
        (Some(comm), Some(uid)) if uid == "0" => (comm, true),
        (None, None) => (named, false),
        _ => (String::new(), false),
    }
}

fn dmesg(fields: &Fields, text: String) -> Option<Entry> {
    // Talos calls the same `priority`, `facility` and, in microseconds, `clock`.
    let priority = fields.get("pri").or_else(|| fields.get("priority"))?;
    let level = match priority.parse::<u8>() {
        Ok(priority) => priority & 7,
        Err(_) => level_named(priority)?,
    };
    let of_kernel = match fields.get("fac").or_else(|| fields.get("facility")) {
        Some(facility) => facility == "kern" || facility == "0",
        None => priority.parse::<u64>().is_ok_and(|p| p < 8) && super::text::process(&text).is_none(),
    };
    let micros = number::<u64>(fields, "clock").or_else(|| {
        let seconds: f64 =
            number(fields, "time").filter(|s: &f64| s.is_finite() && (0.0..1e12).contains(s))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
        Some((seconds * 1e6).round() as u64)
    })?;
    Some(Entry {
        log: LogRecord {
            level,
            identifier: (!of_kernel).then(|| super::text::process(&text).unwrap_or_default().to_owned()),
            text,
            ..LogRecord::default()
        },
        uptime_us: Some(micros),
        caller: fields.get("caller").cloned(),
        ..Entry::default()
    })
}
