//! Events in the system's journal, one entry for each revision.

use std::{
    fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send,
        socket_with,
    },
};
use serde_json::Value;
use uuid::Uuid;

use super::{Notifier, NotifyError, carrier};
use crate::{
    event::{
        Event,
        incident::{Incident, State},
        message_id,
    },
    roots::Roots,
    text::printable,
};

/// Name of this notifier.
pub(crate) const NAME: &str = "journald";
/// Longest name of a field that journald takes.
const MAX_NAME: usize = 64;
/// Facts, and keys of the extension, that get a field of their own; JSON has all of them.
const MAX_EXTENSIONS: usize = 64;
/// Bytes of a value of the extension in its own field; JSON has all of them.
const MAX_VALUE: usize = 4096;
/// Owners that get a field of their own: journald takes 1024 fields in an entry.
const MAX_OWNERS: usize = 256;

/// What is wrong with the machine or with journald, not with the event: it may go out a moment later. libsystemd makes a
/// socket for the first event, and a file in memory for a long one.
const PASSES: &[Errno] = &[
    Errno::CONNREFUSED,
    Errno::CONNRESET,
    Errno::NOENT,
    Errno::NOTCONN,
    Errno::PIPE,
    Errno::MFILE,
    Errno::NFILE,
    Errno::NOMEM,
    Errno::NOBUFS,
    Errno::NOSPC,
    Errno::DQUOT,
    Errno::ROFS,
    Errno::IO,
    Errno::AGAIN,
    Errno::INTR,
    Errno::TIMEDOUT,
    Errno::ACCESS,
];

/// The field by which entries of peripety are found, with its value.
pub(crate) const MARK: (&str, &str) = ("IS_PERIPETY", "TRUE");

/// The same for revisions of incidents, which are no events.
pub(crate) const INCIDENT_MARK: (&str, &str) = ("IS_PERIPETY_INCIDENT", "TRUE");

/// Where journald listens.
pub(crate) fn socket(roots: &Roots) -> PathBuf {
    roots.run.join("systemd/journal/socket")
}

/// Whether a journald is there to take events.
pub fn present(roots: &Roots) -> bool {
    socket(roots).exists()
}

/// Sends events to journald.
#[derive(Debug)]
pub struct Journald {
    socket: PathBuf,
    known: Acquaintance,
}

impl Journald {
    /// Looks for journald below `roots.run`; libsystemd itself knows one place only, /run.
    pub fn new(roots: &Roots) -> Self {
        Self { socket: socket(roots), known: Acquaintance::make(roots.run.join("systemd/journal/stdout")) }
    }
}

/// A stream to journald with a single line on it.
///
/// journald reads in /proc who sent an event, when it takes it: of a daemon that was killed just before it finds nothing, and
/// nobody believes the entry. What it has read of a process that wrote a line on a stream it keeps for as long as the stream
/// is open.
#[derive(Debug)]
struct Acquaintance {
    path: PathBuf,
    /// The service manager has made one already, which is the daemon's log.
    given: bool,
    stream: Option<OwnedFd>,
}

impl Acquaintance {
    /// Without a journald that takes streams there is none: a help only.
    fn make(path: PathBuf) -> Self {
        let given = std::env::var_os("JOURNAL_STREAM").is_some();
        let mut this = Self { path, given, stream: None };
        this.renew();
        this
    }

    /// Makes it again where journald was started anew.
    fn renew(&mut self) {
        let is_open = |stream: &OwnedFd| {
            let read = recv(stream, &mut [0_u8; 1], RecvFlags::DONTWAIT);
            read == Err(Errno::AGAIN)
        };
        if !self.given && !self.stream.as_ref().is_some_and(is_open) {
            self.stream = Self::connect(&self.path).ok();
        }
    }

    fn connect(path: &Path) -> Result<OwnedFd, Errno> {
        // Identifier, unit, priority, whether lines begin with one, and whether they go to syslog, kernel log and console.
        const HEADER: &[u8] = b"peripetyd\n\n7\n0\n0\n0\n0\nwrites its events from here on\n";
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let stream = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&stream, &SocketAddrUnix::new(path)?)?;
        send(&stream, HEADER, SendFlags::NOSIGNAL)?;
        Ok(stream)
    }
}

impl Notifier for Journald {
    fn name(&self) -> &'static str {
        NAME
    }

    fn notify(&mut self, event: &Event) -> Result<(), NotifyError> {
        let lines = match carrier::carried(event) {
            Some(incident) => incident_lines(&incident),
            None => lines(event),
        };
        let lines = lines.map_err(|source| NotifyError::Json { event_id: event.event_id, source })?;
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        // sd_journal_sendv says that all is well when nobody listens.
        let absent =
            |source| NotifyError::Absent { what: format!("journald at {}", self.socket.display()), source };
        fs::metadata(&self.socket).map_err(absent)?;
        self.known.renew();
        systemd::journal::send(&lines).map_err(|error| {
            let source = error.into_io_error();
            match Errno::from_io_error(&source) {
                Some(errno) if PASSES.contains(&errno) => absent(source),
                _ => NotifyError::Write { event_id: event.event_id, what: "journald".into(), source },
            }
        })
    }
}

/// The fields of an event's entry, as `NAME=value`. A name may come more than once: journald keeps all values.
///
/// # Errors
///
/// The event has no JSON.
pub fn lines(event: &Event) -> Result<Vec<String>, serde_json::Error> {
    let mut lines = Vec::with_capacity(32);
    let mut add = |name: &str, value: &str| {
        let mut line = String::with_capacity(name.len() + 1 + value.len());
        line.push_str(name);
        line.push('=');
        line.push_str(value);
        lines.push(line);
    };
    // journalctl shows a message with control characters as "blob data".
    let message = if event.msg.is_empty() { event.event_type.as_str() } else { &event.msg };
    let times = if event.count > 1 { format!(" ({} times)", event.count) } else { String::new() };
    add("MESSAGE", &format!("{}{times}", printable(message)));
    add("PRIORITY", &event.severity.number().to_string());
    add(
        "MESSAGE_ID",
        message_id(event.event_type.as_str()).simple().encode_lower(&mut Uuid::encode_buffer()),
    );
    add("SYSLOG_IDENTIFIER", "peripetyd");
    add(MARK.0, MARK.1);
    add("EVENT_ID", event.event_id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    add("EVENT_TYPE", event.event_type.as_str());
    add("SUB_SYSTEM", event.sub_system.as_str());
    add("REVISION", &event.revision.to_string());
    add("FINAL", if event.is_final { "TRUE" } else { "FALSE" });
    add("COUNT", &event.count.to_string());
    if !event.confirmed {
        add("CONFIRMED", "FALSE");
    }
    if let Some(block) = &event.block {
        add("DEV_WWID", &block.id.wwid);
        add("DEV_PATH", &block.id.blk_path);
        for owner in block.owners.iter().take(MAX_OWNERS) {
            add("OWNERS_WWIDS", &owner.wwid);
            add("OWNERS_PATHS", &owner.blk_path);
        }
    }
    for (path, mut value) in event.facts.rows().into_iter().take(MAX_EXTENSIONS) {
        value.truncate(value.floor_char_boundary(MAX_VALUE));
        add(&extension_name(&path), &value);
    }
    for (key, value) in event.extension.iter().take(MAX_EXTENSIONS) {
        add(&extension_name(key), &extension_value(value));
    }
    let mut json = Vec::with_capacity(4096);
    json.extend_from_slice(b"JSON=");
    serde_json::to_writer(&mut json, event)?;
    // serde_json writes UTF-8.
    lines.push(String::from_utf8(json).unwrap_or_default());
    Ok(lines)
}

/// The fields of an incident's entry.
///
/// # Errors
///
/// The incident has no JSON.
pub(crate) fn incident_lines(incident: &Incident) -> Result<Vec<String>, serde_json::Error> {
    let mut lines = Vec::with_capacity(32);
    let mut add = |name: &str, value: &str| lines.push(format!("{name}={value}"));
    let state = incident.state.as_str();
    add("MESSAGE", &format!("incident {state}: {}", printable(&incident.title)));
    add("PRIORITY", &incident.severity.number().to_string());
    add("MESSAGE_ID", incident_message_id(incident.state).simple().encode_lower(&mut Uuid::encode_buffer()));
    add("SYSLOG_IDENTIFIER", "peripetyd");
    add(INCIDENT_MARK.0, INCIDENT_MARK.1);
    add("INCIDENT_ID", incident.incident_id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    add("INCIDENT_STATE", state);
    add("REVISION", &incident.revision.to_string());
    add("INCIDENT_CAUSE", &printable(&incident.cause.name));
    add("INCIDENT_CAUSE_KIND", &name_of(&incident.cause.kind));
    add("INCIDENT_CERTAINTY", incident.cause.certainty.as_str());
    for kind in &incident.impact.kinds {
        add("INCIDENT_IMPACT", &name_of(kind));
    }
    for point in &incident.impact.mount_points {
        add("MOUNT_POINT", &printable(point));
    }
    if let Some(device) = &incident.cause.device {
        add("DEV_WWID", &printable(&device.wwid));
        add("DEV_PATH", &printable(&device.path));
    }
    let mut json = String::from("JSON=");
    json.push_str(&serde_json::to_string(incident)?);
    lines.push(json);
    Ok(lines)
}

/// The `MESSAGE_ID` of an incident in a state.
pub(crate) fn incident_message_id(state: State) -> Uuid {
    message_id(&format!("INCIDENT_{}", state.as_str().to_uppercase()))
}

fn name_of(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// `EXT_` and the key, or the path of a fact, in the letters that journald takes: `EXT_SCSI_TAG`.
fn extension_name(key: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    "EXT_".chars().chain(key.chars().map(letter)).take(MAX_NAME).collect()
}

fn extension_value(value: &Value) -> String {
    let mut text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.truncate(text.floor_char_boundary(MAX_VALUE));
    text
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;

    use super::*;
    use crate::notifier::fixture::sample;

    #[test]
    fn the_fields_of_an_entry() {
        assert_snapshot!(lines(&sample()).unwrap().join("\n"));
    }

    #[test]
    fn what_no_probe_saw_is_marked() {
        let marked = |event: &Event| lines(event).unwrap().contains(&"CONFIRMED=FALSE".to_owned());
        assert!(!marked(&sample()));
        assert!(marked(&Event { confirmed: false, ..sample() }));
    }

    #[test]
    fn an_incident_has_its_own_mark_and_comes_back_from_its_json() {
        let (mut stage, mut out) = (crate::incident::Incidents::default(), Vec::new());
        stage.push(&mut sample(), &mut out);
        let event = carrier::carry(&out[0]).unwrap();
        assert_eq!(carrier::carried(&event).as_ref(), Some(&out[0]));
        let lines = incident_lines(&out[0]).unwrap();
        assert!(!lines.iter().any(|line| line.starts_with("IS_PERIPETY=")), "no event is read from it");
        assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn names_and_values_are_what_journald_takes() {
        let mut event = sample();
        event.msg = "a\u{1b}[2J\nb".into();
        event.extension.clear();
        event.facts = crate::event::Facts::default();
        for n in 0..100 {
            event.extension.insert(format!("ключ {n} = \0 {}", "x".repeat(200)), json!("é".repeat(5000)));
        }
        let lines = lines(&event).unwrap();
        let fields: Vec<_> = lines.iter().map(|line| line.split_once('=').unwrap()).collect();
        for (name, value) in &fields {
            let letters = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
            assert!(letters && name.len() <= MAX_NAME && !name.starts_with('_'), "{name}");
            assert!(*name == "JSON" || value.len() <= MAX_VALUE, "{name}");
        }
        assert_eq!(fields.iter().filter(|(name, _)| name.starts_with("EXT_")).count(), MAX_EXTENSIONS);
        assert_eq!(fields[0].1, "a\\u{1b}[2J\\nb (3 times)");
        assert!(
            fields
                .iter()
                .any(|(name, json)| *name == "JSON" && serde_json::from_str::<Event>(json).unwrap() == event)
        );
    }

    #[test]
    fn no_journald_is_an_error_and_is_worth_another_try() {
        let directory = tempfile::tempdir().unwrap();
        let roots = Roots::under(directory.path());
        assert!(!present(&roots));
        let error = Journald::new(&roots).notify(&sample()).unwrap_err();
        assert!(error.is_temporary(), "{error}");
        assert!(error.to_string().contains("run/systemd/journal/socket"), "{error}");
    }
}
