//! What dmesg prints: `[  123.456789] text`, and all that its options make of that.

use super::{super::super::Line, Piece, Reader, stamp, syslog::sender};

/// Facilities and levels as `dmesg -x` names them.
const FACILITIES: [&str; 12] =
    ["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"];
const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];

/// Level that the kernel gives a line that has none.
const USUAL_LEVEL: u8 = 4;

/// Level and facility, with what follows: `<6>`, `kern  :err   : `.
pub(super) fn priority(line: &str) -> Option<(u8, bool, &str)> {
    if let Some((number, rest)) = line.strip_prefix('<').and_then(|rest| stamp::number(rest, 1, 4)) {
        let rest = rest.strip_prefix('>')?;
        return Some((level(number), number >> 3 == 0, rest));
    }
    let (facility, rest) = line.split_once(':').filter(|(name, _)| name.len() <= 8)?;
    let (name, rest) = rest.split_once(": ").filter(|(name, _)| name.len() <= 8)?;
    let facility = facility.trim();
    let level = level_named(name.trim())?;
    FACILITIES.contains(&facility).then_some((level, facility == "kern", rest))
}

/// Whether syslog has a facility of this name.
pub(super) fn is_facility(name: &str) -> bool {
    FACILITIES.contains(&name) || name.strip_prefix("local").is_some_and(|n| n.len() == 1)
}

/// The level in a syslog priority.
pub(super) fn level(priority: u64) -> u8 {
    u8::try_from(priority & 7).unwrap_or(USUAL_LEVEL)
}

/// The name of a level as dmesg and others write it.
pub(in super::super) fn level_named(name: &str) -> Option<u8> {
    let name = match name {
        "warning" => "warn",
        "error" => "err",
        "critical" => "crit",
        "emergency" => "emerg",
        name => name,
    };
    LEVELS.iter().position(|level| *level == name).and_then(|at| u8::try_from(at).ok())
}

/// Reads a line.
pub(super) fn line<'t>(line: &'t str, reader: &mut Reader) -> Option<Piece<'t>> {
    let (node, line) = node(line);
    let (level, of_kernel, rest) = match priority(line) {
        Some((level, of_kernel, rest)) => (level, Some(of_kernel), rest),
        None => (USUAL_LEVEL, None, line),
    };
    let mut entry = Line { hostname: node, ..Line::default() };
    let rest = match rest.strip_prefix('[') {
        Some(stamped) => bracketed(stamped, &mut entry, reader)?,
        // --time-format iso, which writes a comma.
        None if of_kernel.is_some() && rest.starts_with(".(") => rest.strip_prefix('.')?,
        None => {
            let (wall, after) = stamp::iso(rest, &mut reader.calendar)?;
            rest.split(' ').next().is_some_and(|stamp| stamp.contains(',')).then_some(())?;
            entry.wall_us = Some(wall);
            after
        }
    };
    let rest = vendor_task(caller(more_stamps(after_processor(rest), &mut entry, reader), &mut entry));
    // Talos: `kern: warning: [2024-10-22T11:09:52.481295612Z]: text`.
    let rest = rest.strip_prefix(": ").filter(|_| entry.wall_us.is_some()).unwrap_or(rest);
    let text = rest.strip_prefix(' ').unwrap_or(rest);
    let (text, from_journal) = without_host(text, &mut entry);
    let identifier = match of_kernel {
        Some(true) => None,
        // The facility is all that dmesg reports who it was.
        Some(false) => Some(process(text).unwrap_or_default()),
        None if from_journal => None,
        // Without the facility there is only the form of the line.
        None => process(text),
    };
    // A daemon's rules are about what it says after its name.
    let said = identifier.filter(|name| !name.is_empty()).and_then(|_| text.split_once("]: "));
    let (text, is_others) = said.map_or((text, false), |(_, said)| (said, true));
    let unproven = is_others || entry.unproven;
    Some(Piece::Record(Line { level, identifier, text, unproven, ..entry }))
}

/// The node that talosctl names before each line of its machine: `10.5.0.2: kern: warning: […]: text`.
fn node(line: &str) -> (Option<&str>, &str) {
    // In this order: few lines have a level after their first colon.
    let named = line.split_once(": ").filter(|(name, rest)| {
        priority(rest).is_some_and(|(_, _, stamped)| stamped.starts_with('['))
            && !is_facility(name.trim())
            && sender(name).is_some()
    });
    named.map_or((None, line), |(name, rest)| (Some(name), rest))
}

/// What stands between brackets, with what follows them.
fn bracketed<'t>(stamped: &'t str, entry: &mut Line<'t>, reader: &mut Reader) -> Option<&'t str> {
    let (inner, rest) = stamped.split_once(']')?;
    let inner = inner.trim_matches(' ');
    if is_caller(inner) {
        // A kernel that prints no times.
        entry.caller = Some(inner);
        return Some(rest);
    }
    if let Some(delta) = inner.strip_prefix('+') {
        // dmesg -H: since the line before.
        let (micros, end) = stamp::local_seconds(delta.trim_start_matches(' '))?;
        end.is_empty().then_some(())?;
        reader.relative_us = reader.relative_us.saturating_add(i64::try_from(micros).ok()?);
        entry.wall_us = reader.relative_since.map(|since| since.saturating_add(reader.relative_us));
        entry.uptime_us = None;
        return Some(rest);
    }
    let (inner, delta) = inner.split_once(" <").unwrap_or((inner, ""));
    (delta.is_empty() || delta.ends_with('>')).then_some(())?;
    if let Some((uptime, end)) = stamp::seconds(inner) {
        // Vendors' kernels print the processor too: `[  431.007220@0]`, and then a space more.
        let processor =
            end.strip_prefix(['@', '-']).filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        (end.is_empty() || processor.is_some()).then_some(())?;
        entry.uptime_us = Some(uptime);
        if processor.is_some() {
            return Some(rest.trim_start_matches(' '));
        }
    } else if let Some((wall, end)) = stamp::ctime(inner, &mut reader.calendar) {
        end.is_empty().then_some(())?;
        entry.wall_us = Some(wall);
    } else if let Some((wall, end)) =
        stamp::iso(inner, &mut reader.calendar).or_else(|| stamp::slashed(inner, &mut reader.calendar))
    {
        entry.unproven = is_hand_on(end) && rest.starts_with(" [");
        (end.is_empty() || entry.unproven).then_some(())?;
        entry.wall_us = Some(wall);
    } else {
        let wall = stamp::reltime(inner, &mut reader.calendar)?;
        (reader.relative_since, reader.relative_us) = (Some(wall), 0);
        entry.wall_us = Some(wall);
    }
    Some(rest)
}

/// What stands behind the time where a program hands on the console of a machine: ` ERROR console_of_vm3`.
fn is_hand_on(end: &str) -> bool {
    const LEVELS: [&str; 5] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"];
    let words = end.strip_prefix(' ').and_then(|end| end.trim_start_matches(' ').split_once(' '));
    words.is_some_and(|(level, who)| LEVELS.contains(&level) && !who.is_empty() && !who.contains(['[', ' ']))
}

/// The number of the processor that some kernels print between stamp and caller: `[    1.9][ 0] [  T267]`.
fn after_processor(text: &str) -> &str {
    let found = || {
        let (inner, rest) = text.strip_prefix('[')?.split_once(']')?;
        let number = inner.trim_matches(' ');
        (number.len() <= 3 && is_number(number) && rest.starts_with(" [")).then_some(rest)
    };
    found().unwrap_or(text)
}

/// Takes further times off: dmesg prints one for each option that asks for one, the most precise last.
fn more_stamps<'t>(mut rest: &'t str, entry: &mut Line<'t>, reader: &mut Reader) -> &'t str {
    for _ in 0..2 {
        let after = rest.strip_prefix(" [").and_then(|stamped| bracketed(stamped, entry, reader));
        let Some(after) = after else { break };
        rest = after;
    }
    rest
}

/// Takes `[  T123]` or `[C1]` off.
pub(super) fn caller<'t>(text: &'t str, entry: &mut Line<'t>) -> &'t str {
    let found = || {
        let (inner, rest) = text.trim_start_matches(' ').strip_prefix('[')?.split_once(']')?;
        let inner = inner.trim_matches(' ');
        is_caller(inner).then_some((inner, rest))
    };
    match found() {
        Some((inner, rest)) => {
            entry.caller = Some(inner);
            rest
        }
        None => text,
    }
}

/// Takes off what kernels of phones print of the task and the processor: `[3:  kworker/3:1:  45] `, `(2)[123:kworker/2:0]`.
fn vendor_task(text: &str) -> &str {
    let found = || {
        let rest = text.trim_start_matches(' ');
        let after = rest.strip_prefix('-').unwrap_or(rest);
        let processor = after.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        if let Some((number, rest)) = processor {
            let (task, rest) = rest.strip_prefix('[')?.split_once(']')?;
            let (pid, _) = task.split_once(':')?;
            return (is_number(number) && is_number(pid)).then_some(rest);
        }
        let (inner, rest) = rest.strip_prefix('[')?.split_once("] ")?;
        let (number, task) = inner.split_once(':')?;
        let (name, pid) = task.rsplit_once(':')?;
        (is_number(number) && !name.trim().is_empty() && is_number(pid.trim())).then_some(rest)
    };
    // What begins otherwise, most lines do, has none.
    if text.trim_start_matches(' ').starts_with(['[', '(', '-']) { found().unwrap_or(text) } else { text }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_caller(text: &str) -> bool {
    let digits = text.strip_prefix(['T', 'C']).unwrap_or_default();
    !digits.is_empty() && digits.len() <= 10 && digits.bytes().all(|b| b.is_ascii_digit())
}

/// journalctl's short-monotonic looks like dmesg, but for `HOST kernel:` after the time.
fn without_host<'t>(text: &'t str, entry: &mut Line<'t>) -> (&'t str, bool) {
    let (head, rest) = text.split_once(' ').unwrap_or((text, ""));
    match rest.strip_prefix("kernel: ") {
        Some(said) if !head.is_empty() && !head.ends_with(':') => {
            entry.hostname = Some(head);
            (said, true)
        }
        _ => match text.strip_prefix("kernel: ") {
            // --no-hostname.
            Some(said) => (said, true),
            None => (text, false),
        },
    }
}

/// `systemd[1]: ` at the start of a text that a process wrote into /dev/kmsg: no line of a storage driver begins so.
pub(in super::super) fn process(text: &str) -> Option<&str> {
    let (name, rest) = text.split_once('[')?;
    let (pid, rest) = rest.split_once(']')?;
    let name = name.rsplit_once(' ').map_or(name, |(_, name)| name);
    let is_process = !name.is_empty()
        && name.len() <= 64
        && !pid.is_empty()
        && pid.bytes().all(|b| b.is_ascii_digit())
        && (rest.starts_with(": ") || rest == ":");
    is_process.then_some(name)
}
