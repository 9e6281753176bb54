//! The JSON form: a line for each event, with the names and the order of BeeGFS's own listener.

use std::io::Write as _;

use crate::{
    event::{EventType, FileEvent, Version},
    session::Loss,
};

/// Appends an event. `next` is what [`crate::session::Received::next`] says, `server` a name where there are several.
pub fn event(line: &mut Vec<u8>, event: &FileEvent<'_>, next: Option<(u32, u64)>, server: Option<&str>) {
    match event.version {
        Version::One { minor, size, dropped, missed } => {
            line.extend_from_slice(b"{ \"VersionMajor\": 1");
            number(line, "VersionMinor", minor);
            number(line, "PacketSize", size);
            number(line, "Dropped", dropped);
            number(line, "Missed", missed);
        }
        Version::Two { flags, links, .. } => {
            line.extend_from_slice(b"{ \"FormatVersion\": 2");
            number(line, "EventFlags", flags);
            number(line, "NumLinks", links);
        }
    }
    line.extend_from_slice(b", \"Event\": { \"Type\": ");
    match event.kind {
        EventType::Known(name) => string(line, name.as_bytes()),
        EventType::Unknown(number) => string(line, format!("Unknown{number}").as_bytes()),
    }
    for (name, text) in [
        ("Path", event.path),
        ("EntryId", event.entry_id),
        ("ParentEntryId", event.parent_entry_id),
        ("TargetPath", event.target_path),
        ("TargetParentId", event.target_parent_id),
    ] {
        field(line, name, text);
    }
    for (name, text) in [("PathBytes", event.path), ("TargetPathBytes", event.target_path)] {
        bytes(line, name, text);
    }
    if let Version::Two { user, time_ns, .. } = event.version {
        number(line, "UserID", user);
        let _to_memory = write!(line, ", \"Timestamp\": {time_ns}");
    }
    line.extend_from_slice(b" }");
    if let Some((meta_id, next)) = next {
        number(line, "Msn", next.saturating_sub(1));
        number(line, "MetaId", meta_id);
    }
    end(line, server);
}

/// Appends what was lost.
pub fn loss(line: &mut Vec<u8>, loss: Loss, meta_id: Option<u32>, server: Option<&str>) {
    line.extend_from_slice(b"{ \"EventsLost\": { \"Kind\": ");
    string(line, loss.kind.as_str().as_bytes());
    if let Some(count) = loss.count {
        number(line, "Count", count);
    }
    line.extend_from_slice(b", \"FullScanNeeded\": true }");
    if let Some(meta_id) = meta_id {
        number(line, "MetaId", meta_id);
    }
    end(line, server);
}

fn end(line: &mut Vec<u8>, server: Option<&str>) {
    if let Some(server) = server {
        field(line, "Server", server.as_bytes());
    }
    line.extend_from_slice(b" }\n");
}

fn number(line: &mut Vec<u8>, name: &str, value: impl Into<u64>) {
    let _to_memory = write!(line, ", \"{name}\": {}", value.into());
}

fn field(line: &mut Vec<u8>, name: &str, text: &[u8]) {
    let _to_memory = write!(line, ", \"{name}\": ");
    string(line, text);
}

/// The bytes of a name that is no UTF-8, in hexadecimal.
fn bytes(line: &mut Vec<u8>, name: &str, text: &[u8]) {
    if std::str::from_utf8(text).is_ok() {
        return;
    }
    let _to_memory = write!(line, ", \"{name}\": \"");
    for byte in text {
        let _to_memory = write!(line, "{byte:02x}");
    }
    line.push(b'"');
}

/// A string: what is no UTF-8 becomes U+FFFD.
fn string(line: &mut Vec<u8>, text: &[u8]) {
    line.push(b'"');
    for chunk in text.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'"' => line.extend_from_slice(b"\\\""),
                b'\\' => line.extend_from_slice(b"\\\\"),
                b'/' => line.extend_from_slice(b"\\/"),
                b'\n' => line.extend_from_slice(b"\\n"),
                b'\r' => line.extend_from_slice(b"\\r"),
                b'\t' => line.extend_from_slice(b"\\t"),
                8 => line.extend_from_slice(b"\\b"),
                12 => line.extend_from_slice(b"\\f"),
                0..=31 | 127 => {
                    let _to_memory = write!(line, "\\u{byte:04x}");
                }
                _ => line.push(byte),
            }
        }
        if !chunk.invalid().is_empty() {
            line.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::LossKind;

    fn sample(path: &[u8], version: Version) -> FileEvent<'_> {
        FileEvent {
            kind: EventType::Known("Rename"),
            entry_id: b"0-5A9EB0A7-1",
            parent_entry_id: b"root",
            path,
            target_path: b"/b",
            target_parent_id: b"root",
            version,
        }
    }

    #[test]
    fn version_1_is_as_beegfs_documents_it() {
        let mut line = Vec::new();
        let version = Version::One { minor: 0, size: 77, dropped: 0, missed: 0 };
        event(&mut line, &sample(b"/a", version), None, None);
        assert_eq!(
            String::from_utf8(line).unwrap(),
            concat!(
                r#"{ "VersionMajor": 1, "VersionMinor": 0, "PacketSize": 77, "Dropped": 0, "Missed": 0, "Event": { "Type": "Rename", "#,
                r#""Path": "\/a", "EntryId": "0-5A9EB0A7-1", "ParentEntryId": "root", "TargetPath": "\/b", "TargetParentId": "root" } }"#,
                "\n"
            )
        );
    }

    #[test]
    fn every_line_is_json_whatever_the_names_are() {
        for path in [&b"/a\x00\x1b[31m\n\"\\\xff\xfe"[..], b"", "/ä\u{2028}".as_bytes()] {
            let mut line = Vec::new();
            let version = Version::Two { flags: 1, links: 2, user: 1000, time_ns: -5 };
            event(&mut line, &sample(path, version), Some((7, 10)), Some("/run/a b"));
            let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
            assert_eq!(value["Event"]["Path"], String::from_utf8_lossy(path).as_ref());
            assert_eq!(
                (&value["Msn"], &value["MetaId"], &value["Server"]),
                (&9.into(), &7.into(), &"/run/a b".into())
            );
            assert_eq!(value["Event"]["PathBytes"].is_string(), std::str::from_utf8(path).is_err());
            assert_eq!(value["Event"]["Timestamp"], -5);
            assert!(!line[..line.len() - 1].iter().any(|byte| byte.is_ascii_control()));
        }
        let mut line = Vec::new();
        loss(&mut line, Loss { kind: LossKind::Dropped, count: Some(5) }, None, None);
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(value["EventsLost"]["Count"], 5);
    }
}
