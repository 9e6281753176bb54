//! Recordings of real machines: what `prpt parse` makes of their logs is what the daemon said live, in every format that
//! a log can have.
//!
//! `NAME.kmsg.gz` is /dev/kmsg of a machine of the virtual test bench at the end of a scenario, `NAME.live` has type and
//! device of each event that the daemon there, with all its probes, made of text or with its help.

#![expect(clippy::unwrap_used, reason = "this is a test; clippy knows that of functions marked so only")]

mod forms;

use std::{collections::BTreeSet, fmt::Write as _, io::Read as _, ops::ControlFlow};

use jiff::{Timestamp, tz::TimeZone};
use peripety::internal::{
    collector::kmsg::{KmsgRecord, parse_record},
    event::Event,
    offline::{Calendar, Given, Input, Logs, read, unpack},
    parser::rules::RuleSet,
};

/// Wall clock at the start of the boot, in seconds since 1970: 2026-11-21 13:00:00 UTC.
const STARTED: i64 = 1_795_266_000;

struct Recording {
    name: &'static str,
    kmsg: &'static [u8],
    live: &'static str,
}

macro_rules! recordings {
    ($($name:literal,)*) => {
        &[$(Recording {
            name: $name,
            kmsg: include_bytes!(concat!($name, ".kmsg.gz")),
            live: include_str!(concat!($name, ".live")),
        },)*]
    };
}

const RECORDINGS: &[Recording] =
    recordings!["6.1-scsi-medium-error", "6.1-lvm-on-multipath", "5.10-md-raid1",];

impl Recording {
    fn kmsg(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        unpack(self.kmsg).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn live(&self) -> BTreeSet<(String, String)> {
        let row = |line: &str| line.split_once('\t').map(|(a, b)| (a.to_owned(), b.to_owned()));
        self.live.lines().map(|line| row(line).unwrap()).collect()
    }

    fn records(&self) -> Vec<KmsgRecord> {
        let text = String::from_utf8(self.kmsg()).unwrap();
        let mut records: Vec<String> = Vec::new();
        for line in text.lines() {
            match records.last_mut().filter(|_| line.starts_with(' ')) {
                Some(record) => write!(record, "\n{line}").unwrap(),
                None => records.push(line.to_owned()),
            }
        }
        records.iter().map(|record| parse_record(record.as_bytes()).unwrap()).collect()
    }
}

fn events(file: &[u8]) -> Vec<Event> {
    let given = Given { started_us: Some(STARTED * 1_000_000), ..Given::default() };
    let mut logs = Logs::new(RuleSet::built_in(), given, false);
    let newest = Timestamp::from_second(STARTED + 86_400).unwrap();
    let mut events = Vec::new();
    read(&mut Input::new(file), Calendar::new(TimeZone::UTC, newest), &mut |item| {
        logs.push(item, &mut events);
        ControlFlow::Continue(())
    });
    logs.finish(&mut events);
    events
}

fn device(event: &Event) -> String {
    event.block.as_ref().map_or_else(|| event.kdev.clone(), |block| block.id.blk_path.clone())
}

/// Type and device of each event.
fn said(events: &[Event]) -> BTreeSet<(String, String)> {
    events.iter().map(|event| (event.event_type.as_str().to_owned(), device(event))).collect()
}

#[test]
fn a_log_says_what_the_daemon_said_live() {
    for recording in RECORDINGS {
        let found = events(&recording.kmsg());
        // A line that names no device may be a part of another event by now. Live, the first lines about a disk came when only its address was known; the log names it later.
        let names = |event: &Event| [device(event), event.kdev.clone()];
        let is = |event: &Event, row: &(String, String)| {
            event.event_type.as_str() == row.0 && (row.1.is_empty() || names(event).contains(&row.1))
        };
        let live = recording.live();
        for row in &live {
            assert!(found.iter().any(|event| is(event, row)), "{}: {row:?} is missing", recording.name);
        }
        for event in &found {
            assert!(live.iter().any(|row| is(event, row)), "{}: nothing live: {event:#?}", recording.name);
        }
    }
}

/// A way to write a record down.
type Written = fn(&KmsgRecord) -> String;

fn wall(record: &KmsgRecord, format: &str) -> String {
    let at = Timestamp::from_microsecond(STARTED * 1_000_000 + i64::try_from(record.usec).unwrap()).unwrap();
    at.to_zoned(TimeZone::UTC).strftime(format).to_string()
}

fn uptime(record: &KmsgRecord) -> String {
    format!("{:5}.{:06}", record.usec / 1_000_000, record.usec % 1_000_000)
}

/// Each line of the text by itself, as the kernel's own log does it.
fn lines(record: &KmsgRecord, before: &str) -> String {
    record.log.text.split('\n').fold(String::new(), |out, line| out + before + line + "\n")
}

/// The text with more lines indented below the first.
fn indented(record: &KmsgRecord, before: &str) -> String {
    let indent = " ".repeat(before.len());
    format!("{before}{}\n", record.log.text.replace('\n', &format!("\n{indent}")))
}

/// A process wrote it: syslog daemons and journald give it the process's name.
fn tag(record: &KmsgRecord) -> &'static str {
    if record.facility == 0 { "kernel" } else { "systemd[1]" }
}

const FORMATS: &[(&str, Written)] = &[
    ("dmesg", |r| indented(r, &format!("[{}] ", uptime(r)))),
    ("dmesg with callers", |r| lines(r, &format!("[{}][    T1] ", uptime(r)))),
    ("dmesg -T", |r| lines(r, &format!("[{}] ", wall(r, "%a %b %e %H:%M:%S %Y")))),
    ("dmesg -x", |r| {
        let facility = if r.facility == 0 { "kern" } else { "user" };
        lines(r, &format!("{facility:<6}:{:<6}: [{}] ", "err", uptime(r)))
    }),
    ("dmesg -r", |r| lines(r, &format!("<{}>[{}] ", r.facility << 3 | 3, uptime(r)))),
    ("dmesg, coloured and from a Windows machine", |r| {
        indented(r, &format!("\x1b[32m[{}] \x1b[0m\x1b[31m", uptime(r))).replace('\n', "\x1b[0m\r\n")
    }),
    ("dmesg --json", |r| {
        let text = serde_json::to_string(&r.log.text).unwrap();
        let facility = if r.facility == 0 { "kern" } else { "user" };
        format!(
            "{{\n\"fac\": \"{facility}\",\n\"pri\": \"err\",\n\"time\": {},\n\"msg\": {text}\n}},",
            uptime(r)
        )
    }),
    ("syslog", |r| lines(r, &format!("{} db1 {}: ", wall(r, "%b %e %H:%M:%S"), tag(r)))),
    ("syslog with the kernel's time", |r| {
        let stamp = if r.facility == 0 { format!("[{}] ", uptime(r)) } else { String::new() };
        lines(r, &format!("{} db1 {}: {stamp}", wall(r, "%b %e %H:%M:%S"), tag(r)))
    }),
    ("syslog of RFC 5424", |r| {
        lines(r, &format!("<3>1 {} db1 {} - - - ", wall(r, "%Y-%m-%dT%H:%M:%S.%6fZ"), tag(r)))
    }),
    ("journalctl", |r| indented(r, &format!("{} db1 {}: ", wall(r, "%b %d %H:%M:%S"), tag(r)))),
    ("journalctl -o short-iso", |r| {
        indented(r, &format!("{} db1 {}: ", wall(r, "%Y-%m-%dT%H:%M:%S%z"), tag(r)))
    }),
    ("journalctl -o short-precise", |r| {
        indented(r, &format!("{} db1 {}: ", wall(r, "%b %d %H:%M:%S.%6f"), tag(r)))
    }),
    ("journalctl -o json", |r| {
        let entry = serde_json::json!({
            "__REALTIME_TIMESTAMP": wall(r, "%s").parse::<u64>().unwrap().to_string() + "000000",
            "_SOURCE_MONOTONIC_TIMESTAMP": r.usec.to_string(),
            "_BOOT_ID": "0123456789abcdef0123456789abcdef",
            "_TRANSPORT": "kernel",
            "SYSLOG_FACILITY": r.facility.to_string(),
            "_KERNEL_DEVICE": r.log.device,
            "MESSAGE": r.log.text,
        });
        format!("{entry}\n")
    }),
    ("journalctl -o export", |r| {
        let length = u64::try_from(r.log.text.len()).unwrap().to_le_bytes().map(char::from);
        let length: String = length.into_iter().collect();
        let device = r.log.device.as_ref().map(|d| format!("_KERNEL_DEVICE={d}\n")).unwrap_or_default();
        format!(
            "__CURSOR=s\n__REALTIME_TIMESTAMP={}000000\n_SOURCE_MONOTONIC_TIMESTAMP={}\n_TRANSPORT=kernel\nSYSLOG_FACILITY={}\n{device}MESSAGE\n{length}{}\n\n",
            wall(r, "%s"),
            r.usec,
            r.facility,
            r.log.text
        )
    }),
];

#[test]
fn every_format_says_the_same() {
    for recording in RECORDINGS {
        let records = recording.records();
        let all = said(&events(&recording.kmsg()));
        for (name, written) in FORMATS.iter().chain(forms::FORMS) {
            // The eight bytes of a length in the export format are no UTF-8.
            let file: String = records.iter().map(written).collect();
            let file: Vec<u8> = if name.ends_with("export") {
                file.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
            } else {
                file.into_bytes()
            };
            assert_eq!(said(&events(&file)), all, "{} as {name}", recording.name);
        }
    }
}

#[test]
fn the_same_log_gives_the_same_bytes() {
    for recording in RECORDINGS {
        let json = || serde_json::to_string(&events(&recording.kmsg())).unwrap();
        assert_eq!(json(), json(), "{}", recording.name);
    }
}

#[test]
fn two_boots_in_one_file_are_two() {
    let boot = RECORDINGS[0].kmsg();
    let once = events(&boot);
    let both = events(&[boot.as_slice(), &boot].concat());
    assert_eq!(both.len(), 2 * once.len(), "nothing is joined across boots");
}

#[test]
fn a_log_that_is_cut_or_broken_gives_what_it_has() {
    let whole = RECORDINGS[1].kmsg();
    let all = said(&events(&whole));
    for cut in [0, 1, whole.len() / 3, whole.len() / 2, whole.len() - 7] {
        let types =
            |set: BTreeSet<(String, String)>| set.into_iter().map(|(t, _)| t).collect::<BTreeSet<_>>();
        assert!(types(said(&events(&whole[..cut]))).is_subset(&types(all.clone())), "{cut}");
    }
    // Noise between the records does no harm.
    let noisy: Vec<u8> = whole
        .split(|b| *b == b'\n')
        .flat_map(|line| {
            if line.starts_with(b" ") {
                [line, b"\n"].concat()
            } else {
                [line, b"\n\xff\xfe\0noise\n"].concat()
            }
        })
        .collect();
    assert_eq!(said(&events(&noisy)).len(), all.len());
}

/// What an event is, in one line: how bad, what, where, how often, of which request.
fn brief(event: &Event) -> String {
    let mut line = format!(
        "{} {} {} x{}",
        event.severity.as_str(),
        event.event_type,
        if event.kdev.is_empty() { "-" } else { &event.kdev },
        event.count
    );
    if let Some(io) = &event.io {
        write!(line, " {}", io.op.as_str()).unwrap();
        if let Some(sector) = io.sector {
            write!(line, " at {sector}").unwrap();
        }
        if let Some(errno) = &io.errno_name {
            write!(line, " {errno}").unwrap();
        }
    }
    line
}

/// Excerpts of logs as people report them, from many kernels and machines, shortened, with names and addresses changed.
/// `NAME.told` has what is made of `NAME.log`; `PERIPETY_BLESS=1 cargo test --test offline` writes it anew.
#[test]
fn reported_logs_say_what_they_said() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/offline/excerpts");
    let mut logs: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    logs.retain(|path| path.extension().is_some_and(|ext| ext == "log"));
    logs.sort();
    assert!(logs.len() >= 20, "{}", logs.len());
    for log in logs {
        let events = events(&std::fs::read(&log).unwrap());
        let found: String = events.iter().map(|event| brief(event) + "\n").collect();
        let golden = log.with_extension("told");
        if std::env::var_os("PERIPETY_BLESS").is_some() {
            std::fs::write(&golden, &found).unwrap();
        }
        let told = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(found, told, "{}", log.display());
    }
}
