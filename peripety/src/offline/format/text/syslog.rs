//! Lines of syslog files and of journalctl: `Nov 21 13:16:50 host kernel: text`.
//!
//! Such a file has the lines of all programs. Only the tag `kernel:` is the kernel's: a program may give itself that tag,
//! but then its syslog daemon adds nothing that would distinguish the two. So no such line proves who said it.

use std::net::{IpAddr, SocketAddr};

use super::{super::super::Line, Piece, Reader, dmesg, stamp, usual};

/// What journalctl prints between entries, or before all.
pub(super) fn heading(line: &str) -> Option<Piece<'_>> {
    let words = line.strip_prefix("-- ")?;
    if let Some(id) = words.strip_prefix("Boot ") {
        let id = id.trim_end_matches([' ', '-']);
        let is_id = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        return Some(Piece::Boot(is_id.then_some(id)));
    }
    if words.starts_with("Reboot --") {
        return Some(Piece::Boot(None));
    }
    ["Journal begins", "Logs begin", "No entries"]
        .iter()
        .any(|w| words.starts_with(w))
        .then_some(Piece::Nothing)
}

/// Reads a line.
pub(super) fn line<'t>(line: &'t str, reader: &mut Reader) -> Option<Piece<'t>> {
    if let Some(piece) = usual::line(line, reader) {
        return Some(piece);
    }
    let (priority, rest) = match dmesg::priority(line) {
        Some((level, of_kernel, rest)) if line.starts_with('<') => (Some((level, of_kernel)), rest),
        _ => (None, line),
    };
    // RFC 5424 puts its version before the time.
    let (rfc5424, rest) = match rest.strip_prefix("1 ") {
        Some(rest) if priority.is_some() => (true, rest),
        _ => (false, rest),
    };
    let calendar = &mut reader.calendar;
    let unix = || stamp::seconds(rest).filter(|(us, _)| *us > 100_000_000_000_000);
    let (wall, rest) = stamp::traditional(rest, calendar)
        .or_else(|| stamp::ctime(rest, calendar))
        .or_else(|| stamp::iso(rest, calendar))
        .or_else(|| stamp::full(rest, calendar))
        .or_else(|| stamp::slashed(rest, calendar))
        .or_else(|| unix().and_then(|(us, rest)| Some((i64::try_from(us).ok()?, rest))))?;
    let rest = rest.strip_prefix(' ')?;
    let mut entry = Line { wall_us: Some(wall), unproven: true, ..Line::default() };
    if let Some((host, text)) = untagged(rest).filter(|_| !rfc5424) {
        let is_others = priority.is_some_and(|(_, of_kernel)| !of_kernel);
        let level = priority.map_or(4, |(level, _)| level);
        return Some(of_netconsole(text, Line { hostname: host, level, ..entry }, is_others));
    }
    let (tag, text) = if rfc5424 { structured(rest, &mut entry)? } else { tagged(rest, &mut entry)? };
    if let (None, false, Some(host)) = (priority, rfc5424, entry.hostname)
        && let Some(after) = rest.strip_prefix(host).and_then(|rest| rest.strip_prefix(' '))
    {
        let reached = reader.calendar.reached();
        reader.usual.keep(line, host, after, wall, reached);
    }
    Some(of_tag(tag, text, priority, entry))
}

/// What a line is of which the tag is known; level, and whether it is the kernel's, where the line reports that.
pub(super) fn of_tag<'t>(
    tag: &'t str,
    text: &'t str,
    priority: Option<(u8, bool)>,
    mut entry: Line<'t>,
) -> Piece<'t> {
    let level = priority.map_or(4, |(level, _)| level);
    if tag != "kernel" || priority.is_some_and(|(_, of_kernel)| !of_kernel) {
        let end = memchr::memchr2(b'[', b'(', tag.as_bytes()).unwrap_or(tag.len());
        let name = tag.get(..end).unwrap_or(tag);
        // What a program says of the kernel's name is still a program's.
        return Piece::Record(Line { level, identifier: Some(name), text, ..entry });
    }
    if let Some(times) = repeated(text) {
        return times;
    }
    let text = kernel_stamp(text, &mut entry);
    Piece::Record(Line { level, text, ..entry })
}

/// Lines of which the times were cut off: `kernel: text`, `db1 kernel: [   12.345678] text`.
pub(super) fn undated<'t>(line: &'t str, _reader: &mut Reader) -> Option<Piece<'t>> {
    let (host, text) = match line.strip_prefix("kernel: ") {
        Some(text) => (None, text),
        None => {
            if let Some((Some(host), text)) = untagged(line) {
                let entry = Line { hostname: Some(host), level: 4, unproven: true, ..Line::default() };
                return Some(of_netconsole(text, entry, false));
            }
            let (host, rest) = line.split_once(' ')?;
            let is_host = !host.is_empty() && host.len() <= 64 && !host.contains([':', '[', '(', '<', '"']);
            (Some(host), rest.strip_prefix("kernel: ").filter(|_| is_host)?)
        }
    };
    let mut entry = Line { hostname: host, unproven: true, ..Line::default() };
    let text = kernel_stamp(text, &mut entry);
    Some(Piece::Record(Line { level: 4, text, ..entry }))
}

/// What netconsole sent: the kernel's line with its own time and no tag, after the sender where who received it has added
/// that (`10.0.0.5 [   12.345678] text`).
fn untagged(rest: &str) -> Option<(Option<&str>, &str)> {
    if is_stamped(rest) {
        return Some((None, rest));
    }
    let (host, text) = rest.split_once(' ')?;
    is_stamped(text).then_some(())?;
    Some((Some(sender(host)?), text))
}

/// The name or address of a sender. What is in brackets, or has a colon behind it, may be the name of a program; no program
/// is called like an address.
pub(in super::super) fn sender(word: &str) -> Option<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-' || c == '_' || c == ':';
    let inner = word.strip_suffix(':').unwrap_or(word);
    let inner = inner.strip_prefix('[').and_then(|word| word.strip_suffix(']')).unwrap_or(inner);
    if let Ok(address) = inner.parse::<SocketAddr>() {
        // Without the port, of which each host may have another one for each line.
        return Some(if address.is_ipv4() { inner.split(':').next()? } else { inner });
    }
    if inner.parse::<IpAddr>().is_ok() {
        return Some(inner);
    }
    let is_host = !word.is_empty() && word.len() <= 64 && !word.ends_with(':') && word.chars().all(is_name);
    is_host.then_some(word)
}

/// Whether a line begins with the kernel's own time, with its six decimals.
fn is_stamped(text: &str) -> bool {
    let found = || {
        let (inner, rest) = text.strip_prefix('[')?.split_once(']')?;
        let (seconds, micros) = inner.trim_start_matches(' ').split_once('.')?;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        Some(is_number(seconds) && micros.len() == 6 && is_number(micros) && rest.starts_with([' ', '[']))
    };
    found().unwrap_or_default()
}

/// A line of netconsole. A process may have written it into /dev/kmsg: its form is no proof of the kernel.
fn of_netconsole<'t>(text: &'t str, mut entry: Line<'t>, is_others: bool) -> Piece<'t> {
    let text = kernel_stamp(text, &mut entry);
    let identifier = dmesg::process(text).or(is_others.then_some(""));
    Piece::Record(Line { text, identifier, ..entry })
}

/// `kern.warning` as some daemons write it before the sender; with what follows.
fn facility(rest: &str) -> Option<(bool, &str)> {
    let (word, rest) = rest.split_once(' ')?;
    is_facility_and_level(word).then_some((word.starts_with("kern."), rest))
}

/// Whether a word is `kern.warning` and the like.
pub(super) fn is_facility_and_level(word: &str) -> bool {
    let parts = word.split_once('.');
    parts.is_some_and(|(facility, level)| dmesg::level_named(level).is_some() && dmesg::is_facility(facility))
}

/// `HOST TAG: text` or `TAG: text`; journalctl --no-hostname leaves out the first.
fn tagged<'t>(rest: &'t str, entry: &mut Line<'t>) -> Option<(&'t str, &'t str)> {
    // OpenWrt has no host, BusyBox has it before.
    if let Some((of_kernel, rest)) = facility(rest) {
        return tag_and_text(rest, of_kernel);
    }
    // Facility and level as numbers, as a template of rsyslog may have them before the host.
    let numbers = || {
        let (facility, rest) = stamp::number(rest, 1, 2)?;
        let (level, rest) = stamp::number(rest.strip_prefix(' ')?, 1, 1)?;
        (level < 8 && facility < 24).then_some((facility == 0, rest.strip_prefix(' ')?))
    };
    if let Some((of_kernel, rest)) = numbers()
        && let Some((host, rest)) = rest.split_once(' ')
    {
        entry.hostname = Some(host);
        return tag_and_text(rest, of_kernel);
    }
    let (first, after) = rest.split_once(' ')?;
    // metalog, and those that name the facility and the level only.
    if let Some(tag) = first.strip_prefix('[').and_then(|tag| tag.strip_suffix(']')) {
        let of_kernel = tag.strip_prefix("kern.").is_some_and(|level| dmesg::level_named(level).is_some());
        return is_tag(tag).then_some((if of_kernel { "kernel" } else { tag }, after));
    }
    if let Some((of_kernel, rest)) = facility(after) {
        entry.hostname = Some(first);
        return tag_and_text(rest, of_kernel);
    }
    if let Some(tag) = first.strip_suffix(':') {
        return is_tag(tag).then_some((tag, after));
    }
    entry.hostname = Some(first);
    tag_and_text(without_level(after), true)
}

/// What follows the level that some write before the tag: `CRIT kernel: text` (SONiC), `  !WARNING | kernel: text` (the test
/// machines of Scylla).
fn without_level(rest: &str) -> &str {
    let (word, after) = rest.trim_start_matches(' ').split_once(' ').unwrap_or_default();
    let (word, after) = match word.strip_prefix('!') {
        Some(word) => (word, after.trim_start_matches(' ').strip_prefix("| ")),
        None => (word, rest.starts_with(word).then_some(after)),
    };
    let is_level = !word.is_empty()
        && word.bytes().all(|b| b.is_ascii_uppercase())
        && dmesg::level_named(&word.to_ascii_lowercase()).is_some();
    after.filter(|_| is_level).unwrap_or(rest)
}

/// Where the tag would have a space in it, there is none: the line is nobody's. The same holds for the kernel's of a facility
/// that is not the kernel's.
fn tag_and_text(rest: &str, may_be_kernel: bool) -> Option<(&str, &str)> {
    let (tag, text) = rest.split_once(':')?;
    let is_known = is_tag(tag) && (may_be_kernel || tag != "kernel");
    Some((if is_known { tag } else { "" }, text.strip_prefix(' ').unwrap_or(text)))
}

fn is_tag(tag: &str) -> bool {
    !tag.is_empty() && tag.len() <= 128 && !tag.contains([' ', '\t'])
}

/// `HOST APP PROCID MSGID STRUCTURED-DATA text` of RFC 5424.
fn structured<'t>(rest: &'t str, entry: &mut Line<'t>) -> Option<(&'t str, &'t str)> {
    let mut words = rest.splitn(5, ' ');
    let (host, app, procid, _msgid, rest) =
        (words.next()?, words.next()?, words.next()?, words.next()?, words.next().unwrap_or_default());
    entry.hostname = (host != "-").then_some(host);
    let text = match rest.strip_prefix('-') {
        Some(text) => text,
        None => {
            // Elements in brackets, in which `\]` is no end.
            let mut escaped = false;
            let end = rest.char_indices().find(|(at, c)| {
                let is_end = *c == ']' && !escaped && !rest.get(at + 1..).is_some_and(|r| r.starts_with('['));
                escaped = *c == '\\' && !escaped;
                is_end
            });
            end.and_then(|(at, _)| rest.get(at + 1..)).unwrap_or(rest)
        }
    };
    let text = text.trim_start_matches(' ').trim_start_matches('\u{feff}');
    // The kernel has no process.
    Some((if app == "kernel" && procid != "-" { "kernel[]" } else { app }, text))
}

/// Takes the kernel's own time off, which some syslog daemons keep.
fn kernel_stamp<'t>(text: &'t str, entry: &mut Line<'t>) -> &'t str {
    let found = || {
        let (uptime, rest) = stamp::seconds(text.strip_prefix('[')?.trim_start_matches(' '))?;
        Some((uptime, rest.strip_prefix(']')?))
    };
    let rest = match found() {
        Some((uptime, rest)) => {
            entry.uptime_us = Some(uptime);
            rest
        }
        None => text,
    };
    let stamped = rest.len() < text.len();
    let after = dmesg::caller(rest, entry);
    if stamped || after.len() < rest.len() { after.strip_prefix(' ').unwrap_or(after) } else { text }
}

/// `message repeated 3 times: [ text]` of rsyslog and syslogd.
fn repeated(text: &str) -> Option<Piece<'_>> {
    let words =
        text.strip_prefix("last message repeated ").or_else(|| text.strip_prefix("message repeated "))?;
    let (times, rest) = stamp::number(words, 1, 9)?;
    rest.starts_with(" times").then_some(Piece::Repeated(u32::try_from(times).unwrap_or(u32::MAX)))
}
