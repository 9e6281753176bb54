//! `prpt match`: which rule takes a line of the kernel, and what it makes of it.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{
    Format, Output,
    render::{self, note, print},
};
use crate::{
    config::Config,
    event::Io,
    parser::{
        RawEvent,
        rules::{Rule, RuleSet, quoting_place},
    },
    record::{LogRecord, Stamp},
    roots::Roots,
    text::printable,
};

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A line of the kernel or a program, as dmesg or the journal show it; \n stands for a new line in it
    line: String,
    /// What the kernel says of the device beside the text: b8:16, +scsi:4:0:0:1
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Program that says the line, for rules about programs [default: the kernel]
    #[arg(long, value_name = "PROGRAM")]
    identifier: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// What a rule captured, by name.
type Groups<'a> = Vec<(&'a str, &'a str)>;

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let user = match Config::load(roots) {
        Ok(config) => config.rules(),
        Err(_) => {
            note(
                "the configuration has errors, only built-in rules are tried; 'prpt check-config' says what is wrong",
            );
            Vec::new()
        }
    };
    let set = RuleSet::with_user_rules(user);
    let records = spellings(&args.line).into_iter().map(|text| LogRecord {
        text,
        device: args.device.clone(),
        identifier: args.identifier.clone(),
        ..LogRecord::default()
    });
    for record in records {
        let Some((rule, groups)) = set.find(&record) else {
            if let (None, Some(place)) = (&record.identifier, quoting_place(&record.text)) {
                note(&format!(
                    "no rule takes this line: the kernel prints a user's text in lines of the form '{place}'"
                ));
                return Ok(super::NOTHING);
            }
            continue;
        };
        let Some(event) = set.parse(&record, Stamp { monotonic_ns: None, realtime_us: 0 }) else { continue };
        match args.output.format() {
            Format::Plain => print(&plain(rule, &groups, &event))?,
            format => render::json(&as_json(rule, &groups, &event), format)?,
        }
        return Ok(super::OK);
    }
    note("no rule takes this line");
    Ok(super::NOTHING)
}

/// The line as given, then without what dmesg, /dev/kmsg, syslog and journalctl put before the kernel's text.
fn spellings(line: &str) -> Vec<String> {
    let whole = line.replace("\\n", "\n");
    let mut found = vec![whole.clone()];
    let unlevelled = whole
        .strip_prefix('<')
        .and_then(|rest| rest.split_once('>'))
        .filter(|(level, _)| level.bytes().all(|b| b.is_ascii_digit()))
        .map_or(whole.as_str(), |(_, text)| text);
    let beginnings = [
        unlevelled.strip_prefix('[').and_then(|rest| rest.split_once("] ")),
        whole.split_once(" kernel: "),
        whole.split_once(';').filter(|(head, _)| head.starts_with(|c: char| c.is_ascii_digit())),
    ];
    for (_, text) in beginnings.into_iter().flatten() {
        found.push(text.to_owned());
        // The journal keeps the kernel's own time where it was printed.
        found.extend(text.strip_prefix('[').and_then(|t| t.split_once("] ")).map(|(_, t)| t.to_owned()));
    }
    found.push(unlevelled.to_owned());
    found
}

fn plain(rule: &Rule, groups: &Groups<'_>, event: &RawEvent) -> String {
    let mut out = String::new();
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            // Writing to a string does not fail.
            let _written = writeln!(out, "{name:<12} {}", printable(value));
        }
    };
    row("rule", &format!("{} ({})", rule.name, rule.origin));
    row("event_type", event.event_type.as_str());
    row("sub_system", event.sub_system.as_str());
    row("severity", event.severity.as_str());
    row("kdev", &event.kdev.to_text());
    row("io", &event.io.as_ref().map(io_text).unwrap_or_default());
    for (name, text) in groups {
        row("captured", &format!("{name} = {text}"));
    }
    for (path, value) in event.facts.rows() {
        row("fact", &format!("{path} = {value}"));
    }
    for (name, value) in &event.extension {
        row("extension", &format!("{name} = {value}"));
    }
    out
}

fn io_text(io: &Io) -> String {
    serde_json::to_string(io).unwrap_or_default()
}

fn as_json(rule: &Rule, groups: &Groups<'_>, event: &RawEvent) -> Value {
    let captures: Map<String, Value> =
        groups.iter().map(|(name, text)| ((*name).to_owned(), Value::from(*text))).collect();
    json!({
        "rule": rule.name,
        "origin": rule.origin,
        "captures": captures,
        "event": {
            "event_type": event.event_type,
            "sub_system": event.sub_system,
            "severity": event.severity,
            "kdev": event.kdev.to_text(),
            "io": event.io,
            "raw_msg": event.raw_msg,
            "facts": event.facts,
            "extension": event.extension,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(line: &str) -> Option<Value> {
        let set = RuleSet::built_in();
        spellings(line).into_iter().find_map(|text| {
            let record = LogRecord { text, ..LogRecord::default() };
            let (rule, groups) = set.find(&record)?;
            let event = set.parse(&record, Stamp { monotonic_ns: None, realtime_us: 0 })?;
            assert!(plain(rule, &groups, &event).contains(&rule.name));
            Some(as_json(rule, &groups, &event))
        })
    }

    #[test]
    fn a_line_is_known_as_any_tool_shows_it() {
        let line = "nvme nvme0: I/O 23 QID 4 timeout, aborting";
        for before in [
            "",
            "[ 1234.567890] ",
            "[Sat Nov 21 13:16:50 2026] ",
            "<4>[ 1234.567890] ",
            "Nov 21 13:16:50 db1 kernel: ",
            "Nov 21 13:16:50 db1 kernel: [ 1234.567890] ",
            "4,1234,5678901,-;",
        ] {
            let reported = matched(&format!("{before}{line}")).unwrap_or_else(|| panic!("{before}"));
            assert_eq!(reported["rule"], "nvme-timeout", "{before}");
            assert_eq!(reported["captures"]["nvme.qid"], "4");
            assert_eq!(reported["event"]["facts"]["nvme"]["qid"], 4);
            assert_eq!(reported["event"]["kdev"], "nvme0");
        }
        assert_eq!(matched("Nov 21 13:16:50 db1 sshd[1]: I/O error, dev sda, sector 1"), None);
    }

    #[test]
    fn a_line_of_two_lines_can_be_typed() {
        let typed = r"attempt to access beyond end of device\nloop0: rw=4096, want=1048840, limit=1048576";
        assert_eq!(
            matched(typed).map(|reported| reported["rule"].clone()),
            Some("block-beyond-end-5.10".into())
        );
    }
}
