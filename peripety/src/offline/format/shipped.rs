//! Lines as programs ship them: one JSON object a line, with the log's own line in a field of it (Docker's json-file, Fluent
//! Bit, Vector, Promtail, Filebeat, Logstash).

use serde_json::{Map, Value};

use super::{
    Calendar,
    text::{Reader, iso, level_named},
};
use crate::{
    offline::{Entry, Item},
    record::LogRecord,
};

/// Fields that have the line, the more certain first.
const LINES: &[&str] = &["log", "line", "message", "short_message"];
/// Fields that name the sender, as paths into nested objects.
const SENDERS: &[&str] = &[
    "SYSLOG_IDENTIFIER",
    "syslog.identifier",
    "journald.custom.syslog_identifier",
    "systemd.transport",
    "journald.transport",
    "_TRANSPORT",
    "transport",
    "appname",
    "app_name",
    "program",
    "ident",
    "syslog_identifier",
    "process.name",
    // Labels of Loki, and of what fills it.
    "labels.transport",
    "labels.__journal__transport",
    "fields.transport",
    "stream.transport",
    "labels.syslog_identifier",
    // GELF has the facility, by name.
    "_facility",
];
const TIMES: &[&str] = &["time", "@timestamp", "timestamp"];
const HOSTS: &[&str] = &[
    "labels.hostname",
    "labels.host",
    "_HOSTNAME",
    "hostname",
    "host.hostname",
    "host.name",
    "host",
    "node_name",
];
const LEVELS: &[&str] = &["PRIORITY", "priority", "level", "severity", "log.syslog.severity.name"];

/// Bytes of a line that is looked at.
const LINE_MAX: usize = 1 << 20;

/// Reads such lines.
pub(super) struct Shipped {
    reader: Reader,
    calendar: Calendar,
}

impl Shipped {
    pub(super) fn new(calendar: Calendar) -> Self {
        Self { reader: Reader::new(calendar.clone(), false), calendar }
    }

    /// What a line is; none if it is no such object.
    pub(super) fn line(&mut self, line: &[u8]) -> Option<Item> {
        let line = line.trim_ascii();
        if line.len() > LINE_MAX || !line.starts_with(b"{") || !line.ends_with(b"}") {
            return None;
        }
        // An entry of the journal or of dmesg has none of these names.
        let has = |name: &&str| memchr::memmem::find(line, format!("\"{name}\"").as_bytes()).is_some();
        if !LINES.iter().any(has) {
            return None;
        }
        let Ok(Value::Object(object)) = serde_json::from_slice(line) else { return None };
        let text = LINES.iter().find_map(|name| object.get(*name)?.as_str())?.trim_end_matches(['\n', '\r']);
        let time = first(&object, TIMES).and_then(|time| Some(iso(&time, &mut self.calendar)?.0));
        let host = first(&object, HOSTS);
        let mut item = self.reader.wrapped(text).item();
        if item == Item::Nothing
            && SENDERS.iter().any(|name| matches!(find(&object, name).as_deref(), Some("kernel" | "kern")))
        {
            let level =
                first(&object, LEVELS).and_then(|level| level.parse().ok().or_else(|| level_named(&level)));
            let log = LogRecord {
                level: level.filter(|level| *level < 8).unwrap_or(4),
                text: text.to_owned(),
                unproven: true,
                ..LogRecord::default()
            };
            item = Entry { log, ..Entry::default() }.into();
        }
        if let Item::Entry(entry) = &mut item {
            entry.wall_us = entry.wall_us.or(time);
            entry.hostname = entry.hostname.take().or(host);
        }
        Some(item)
    }
}

fn first(object: &Map<String, Value>, paths: &[&str]) -> Option<String> {
    paths.iter().find_map(|path| find(object, path))
}

/// The text or number at a path of names; a name may itself have dots in it.
fn find(object: &Map<String, Value>, path: &str) -> Option<String> {
    let value = match object.get(path) {
        Some(value) => value,
        None => {
            let (outer, inner) = path.split_once('.')?;
            return find(object.get(outer)?.as_object()?, inner);
        }
    };
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "I/O error, dev sda, sector 8";

    fn read(line: &str) -> Option<Item> {
        let newest = "2026-11-22T00:00:00Z".parse().unwrap();
        Shipped::new(Calendar::new(jiff::tz::TimeZone::UTC, newest)).line(line.as_bytes())
    }

    #[test]
    fn the_kernels_line_is_found_in_each_wrapper() {
        for line in [
            r#"{"log":"[   12.5] I/O error, dev sda, sector 8\n","stream":"stdout","time":"2026-11-21T13:16:50Z"}"#,
            r#"{"line":"Nov 21 13:16:50 db1 kernel: I/O error, dev sda, sector 8"}"#,
            r#"{"message":"I/O error, dev sda, sector 8","SYSLOG_IDENTIFIER":"kernel","timestamp":"2026-11-21T13:16:50Z"}"#,
            r#"{"@timestamp":"2026-11-21T13:16:50Z","message":"I/O error, dev sda, sector 8","syslog":{"identifier":"kernel"},"host":{"hostname":"db1"}}"#,
        ] {
            let Some(Item::Entry(entry)) = read(line) else { panic!("{line}") };
            assert_eq!(entry.log.text, TEXT, "{line}");
            assert!(entry.is_kernel(), "{line}");
            assert!(entry.wall_us.or(entry.uptime_us.map(|_| 0)).is_some(), "{line}");
        }
    }

    #[test]
    fn others_are_not_the_kernel() {
        for line in [
            r#"{"log":"I/O error, dev sda, sector 8\n","stream":"stdout"}"#,
            r#"{"message":"I/O error, dev sda, sector 8","SYSLOG_IDENTIFIER":"logger"}"#,
            r#"{"message":"Nov 21 13:16:50 db1 logger: I/O error, dev sda, sector 8"}"#,
        ] {
            let kernel = matches!(read(line), Some(Item::Entry(entry)) if entry.is_kernel());
            assert!(!kernel, "{line}");
        }
        for line in ["", "{", "{}", "[1]", r#"{"message":5}"#, r#"{"MESSAGE":"x"}"#] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
