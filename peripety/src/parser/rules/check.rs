//! What a user's regular expression must be: right, small, about something, and with a device in it.

use std::ops::Range;

use regex_syntax::hir::Look;

use super::{
    pattern::{Alphabet, COMPILED_MAX, Compiled},
    toml_doc::Doc,
};

/// The literal parts of a rule.
pub(super) struct Beginnings<'a> {
    pub(super) starts_with: Option<&'a [String]>,
    pub(super) contains: Option<&'a str>,
}

/// Lines of a healthy boot that have nothing in common: an expression that takes them all takes everything.
const UNRELATED: [&str; 6] = [
    "Linux version 6.12.0 (gcc 14.2.0) #1 SMP PREEMPT_DYNAMIC",
    "random: crng init done",
    "ACPI: PM-Timer IO Port: 0x608",
    "pci 0000:00:1f.2: BAR 4 [io  0xc040-0xc05f]",
    "usb 1-1: new high-speed USB device number 2 using xhci_hcd",
    "x",
];

/// Says what is wrong with an expression; nothing if it cannot be used.
pub(super) fn pattern(
    doc: &mut Doc<'_>,
    key: &str,
    source: &str,
    span: Range<usize>,
    beginnings: &Beginnings<'_>,
) -> Option<()> {
    let hir = match regex_syntax::parse(source) {
        Ok(hir) => hir,
        Err(error) => {
            let (what, place) = syntax_error(&error);
            let written = doc.text.get(span.clone()).and_then(|t| t.find(source));
            let at = written.map_or(span.start, |start| span.start + start + place.min(source.len()));
            let near: String = source.get(place..).unwrap_or_default().chars().take(20).collect();
            let whence = if near.is_empty() { "at its end".to_owned() } else { format!("at '{near}'") };
            doc.problem(
                at,
                key,
                format!("the expression does not compile, {whence}: {what}"),
                "mend it there; a '\\' before a sign takes it literally, and (?x) ignores spaces that have none",
            );
            return None;
        }
    };
    let at = span.start;
    let anchored = hir.properties().look_set_prefix().contains(Look::Start);
    let empty_start = beginnings.starts_with.is_some_and(|s| s.iter().any(String::is_empty));
    let regex = match Compiled::new(source, Alphabet::Unicode) {
        Ok(regex) => regex,
        Err(_) => {
            let what = format!("the expression compiles to more than {} KiB", COMPILED_MAX / 1024);
            doc.problem(at, key, what, "use smaller repetitions {m,n} and [a-z] for \\w");
            return None;
        }
    };
    let has_kdev = regex.group_names().any(|name| name == "kdev");
    let free =
        beginnings.contains.is_none() && beginnings.starts_with.is_none_or(|s| s.is_empty() || empty_start);
    let problem = if !has_kdev {
        Some((
            "the expression has no group 'kdev'",
            "write (?P<kdev>…) around the part that names the device",
        ))
    } else if hir.properties().minimum_len().unwrap_or(0) == 0 {
        Some((
            "the expression matches the empty line",
            "make a part of it mandatory: + for *, and no ? at the end",
        ))
    } else if free && UNRELATED.iter().all(|line| regex.is_match(line)) {
        Some(("the expression matches every line", "begin it with ^ and the literal words of the message"))
    } else if empty_start && !anchored {
        Some((
            "starts_with is empty and the expression has no ^, so that it is sought anywhere in any line",
            "begin the expression with ^, or give starts_with the first words of the message",
        ))
    } else {
        None
    };
    match problem {
        Some((what, fix)) => {
            doc.problem(at, key, what, fix);
            None
        }
        None => Some(()),
    }
}

fn syntax_error(error: &regex_syntax::Error) -> (String, usize) {
    match error {
        regex_syntax::Error::Parse(e) => (e.kind().to_string(), e.span().start.offset),
        regex_syntax::Error::Translate(e) => (e.kind().to_string(), e.span().start.offset),
        other => (other.to_string().replace('\n', " "), 0),
    }
}
