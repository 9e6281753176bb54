//! An incident for people: one line, or a screen with the tree from cause to consequence.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    event::{
        EventId, Severity,
        incident::{Incident, Member, Progress, Relation, State},
    },
    names,
    notifier::plain::wrap,
    text::printable,
};

/// Levels of a tree.
const DEPTH_MAX: usize = 12;
/// Characters of an event's words.
const WORDS_MAX: usize = 100;

/// Local time to the second.
pub(super) fn time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The time of day, with the day where that is not the one of `since`.
fn clock(at: Timestamp, since: Timestamp, zone: &TimeZone) -> String {
    let (at, since) = (at.to_zoned(zone.clone()), since.to_zoned(zone.clone()));
    let format = if at.date() == since.date() { "%H:%M:%S" } else { "%m-%d %H:%M:%S" };
    at.strftime(format).to_string()
}

/// One line: since when, how bad, what, how often.
pub(super) fn line(incident: &Incident, zone: &TimeZone, host: bool, width: usize) -> String {
    let state = if incident.state == State::Open && incident.needs_acknowledgement {
        "to ack"
    } else {
        incident.state.as_str()
    };
    let times = if incident.failures > 1 { format!(" (x{})", incident.failures) } else { String::new() };
    let at = if host && !incident.hostname.is_empty() {
        format!("{} ", printable(&incident.hostname))
    } else {
        String::new()
    };
    let head = format!("{} {:<8} {:<10} {at}", time(incident.opened, zone), incident.severity, state);
    let times = format!("{}{times}", recovery(incident));
    let room = width.max(60).saturating_sub(head.chars().count() + times.chars().count());
    format!("{head}{}{times}\n", fit(&printable(&incident.title), room))
}

/// The same, whole.
pub(super) fn full_line(incident: &Incident, zone: &TimeZone) -> String {
    let state = if incident.needs_acknowledgement { "to ack" } else { incident.state.as_str() };
    let times = if incident.failures > 1 { format!(" (x{})", incident.failures) } else { String::new() };
    let (since, severity) = (time(incident.opened, zone), incident.severity);
    format!("{since} {severity} {state} {}{}{times}", printable(&incident.title), recovery(incident))
}

/// How far a rebuild is, as it stands in a line.
fn recovery(incident: &Incident) -> String {
    incident.progress.as_ref().map(|p| format!(", {} {:.0} %", p.action, p.percent)).unwrap_or_default()
}

/// The same in full.
fn recovery_in_words(progress: &Progress) -> String {
    let mut words = format!("{} of {}: {:.1} %", progress.action, progress.device, progress.percent);
    if let Some(speed) = progress.kib_per_s {
        words.push_str(&format!(", {speed} KiB/s"));
    }
    if let Some(seconds) = progress.seconds_left {
        let left = if seconds < 120 { format!("{seconds} s") } else { format!("{} min", seconds / 60) };
        words.push_str(&format!(", {left} left"));
    }
    words
}

/// A title in so much room: where it is mounted stays, and what stands before that is shortened.
pub(super) fn fit(title: &str, room: usize) -> String {
    let tail = title.rfind(" on ").and_then(|at| title.get(at..)).unwrap_or_default();
    let (all, kept) = (title.chars().count(), tail.chars().count());
    if all <= room || kept == 0 || kept > room * 2 / 3 {
        return cut(title, room);
    }
    let head: String = title.chars().take(room - kept - 1).collect();
    format!("{}…{tail}", head.trim_end_matches([' ', ';', ',']))
}

fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

/// One screen: cause, tree, what is hurt, what to do.
pub(super) fn screen(incident: &Incident, zone: &TimeZone, width: usize) -> String {
    let mut out = String::new();
    let mut say = |text: &str, indent: usize| {
        let room = width.saturating_sub(indent + 2).max(20);
        for (n, part) in wrap(text, room).iter().enumerate() {
            out.push_str(&format!("{}{part}\n", " ".repeat(if n == 0 { indent } else { indent + 2 })));
        }
    };
    say(&printable(&incident.title), 0);
    let mut state = format!("{}, {}", incident.severity, incident.state.as_str());
    if let Some(by) = &incident.resolved_by {
        let at = incident.resolved.unwrap_or(incident.updated);
        state.push_str(&format!(", over since {} ({})", time(at, zone), printable(by)));
    }
    if incident.needs_acknowledgement {
        state.push_str(", waits for acknowledgement");
    }
    if incident.episodes > 1 {
        state.push_str(&format!(", {} episodes", incident.episodes));
    }
    say(&format!("{state}; since {}, last {}", time(incident.opened, zone), time(incident.updated, zone)), 2);
    if let Some(progress) = &incident.progress {
        say(&printable(&recovery_in_words(progress)), 2);
    }
    if let Some(ack) = &incident.acknowledged {
        let words = format!("acknowledged by {} at {}: {}", ack.by, time(ack.at, zone), ack.reason);
        say(&printable(&words), 2);
    }
    let cause = &incident.cause;
    let rules =
        if cause.rules.is_empty() { String::new() } else { format!(" (by {})", cause.rules.join(", ")) };
    let words = format!("cause: {}, {}, {}{rules}", cause.name, cause.kind.words(), cause.certainty.as_str());
    say(&printable(&words), 2);
    if let Some(device) = &cause.device {
        let facts: Vec<&str> = [&device.path, &device.model, &device.serial, &device.wwid, &device.place]
            .into_iter()
            .map(String::as_str)
            .filter(|fact| !fact.is_empty())
            .collect();
        if !facts.is_empty() {
            say(&printable(&facts.join(", ")), 9);
        }
    }
    let impact = &incident.impact;
    let kinds: Vec<&str> = impact.kinds.iter().map(|kind| kind.words()).collect();
    let mut hurt = format!("hurt: {}", kinds.join(", "));
    for (what, names) in [("", &impact.filesystems), ("mounted on ", &impact.mount_points)] {
        if !names.is_empty() {
            hurt.push_str(&format!("; {what}{}", names.join(", ")));
        }
    }
    say(&printable(&hurt), 2);
    if !incident.conditions.is_empty() {
        let words: Vec<&str> = incident
            .conditions
            .iter()
            .map(|name| crate::state::rows::row(name).map_or(name.as_str(), |row| row.words))
            .collect();
        say(&printable(&format!("wrong still: {}", words.join(", "))), 2);
    }
    for sign in &incident.early_signs {
        let until = format!("since {}, last {}", time(sign.since, zone), time(sign.last, zone));
        say(&printable(&format!("early sign: {}, {until}. {}", sign.words, sign.meaning)), 2);
    }
    for shot in incident.events.iter().filter(|member| member.relation == Relation::Snapshot) {
        say(&printable(&format!("state of {} at {}: {}", shot.device, time(shot.first, zone), shot.msg)), 2);
    }
    out.push('\n');
    out.push_str(&tree(incident, zone, width));
    let left = incident.event_count.saturating_sub(incident.events.len() as u64);
    if left > 0 {
        out.push_str(&format!("  and {left} more events\n"));
    }
    if !incident.actions.is_empty() {
        out.push('\n');
        for (n, action) in incident.actions.iter().enumerate() {
            let head = if n == 0 { "do: " } else { "    " };
            for (n, part) in wrap(&printable(action), width.saturating_sub(6).max(20)).iter().enumerate() {
                out.push_str(&format!("  {}{part}\n", if n == 0 { head } else { "    " }));
            }
        }
    }
    out.push_str(&format!("  incident {}\n", incident.incident_id));
    out
}

/// The events below what led to them.
fn tree(incident: &Incident, zone: &TimeZone, width: usize) -> String {
    let known = |id: &EventId| incident.events.iter().any(|member| member.event_id == *id);
    let mut below: BTreeMap<Option<EventId>, Vec<&Member>> = BTreeMap::new();
    for member in incident.events.iter().filter(|member| member.relation.is_failure()) {
        let because = member.because.filter(|id| *id != member.event_id && known(id));
        below.entry(because).or_default().push(member);
    }
    let mut out = String::new();
    for root in below.get(&None).into_iter().flatten() {
        branch(root, &below, "  ", "", &mut out, 0, incident.opened, zone, width);
    }
    for member in incident.events.iter().filter(|member| member.relation == Relation::Recovery) {
        out.push_str(&entry(member, "  ✓ ", incident.opened, zone, width));
    }
    out
}

#[expect(clippy::too_many_arguments, reason = "a walk over a tree, with where it is and what it has made")]
fn branch(
    member: &Member,
    below: &BTreeMap<Option<EventId>, Vec<&Member>>,
    indent: &str,
    mark: &str,
    out: &mut String,
    depth: usize,
    since: Timestamp,
    zone: &TimeZone,
    width: usize,
) {
    out.push_str(&entry(member, &format!("{indent}{mark}"), since, zone, width));
    if depth >= DEPTH_MAX {
        return;
    }
    let children = below.get(&Some(member.event_id)).map(Vec::as_slice).unwrap_or_default();
    let inner = match mark {
        "" => indent.to_owned(),
        "└ " => format!("{indent}  "),
        _ => format!("{indent}│ "),
    };
    for (n, child) in children.iter().enumerate() {
        let mark = if n + 1 == children.len() { "└ " } else { "├ " };
        branch(child, below, &inner, mark, out, depth + 1, since, zone, width);
    }
}

fn entry(member: &Member, lead: &str, since: Timestamp, zone: &TimeZone, width: usize) -> String {
    let times = if member.count > 1 { format!(" x{}", member.count) } else { String::new() };
    let until = if member.last.duration_since(member.first).as_secs() >= 1 {
        format!("–{}", clock(member.last, member.first, zone))
    } else {
        String::new()
    };
    let device = if member.device.is_empty() { String::new() } else { format!(" {}", member.device) };
    let words: String = cut(&names::without(&member.msg, &member.device), WORDS_MAX);
    let head =
        format!("{lead}{}{until}{device} {}{times}", clock(member.first, since, zone), member.event_type);
    let text = format!("{head}: {words}");
    let text = printable(&text);
    cut(&text, width.max(40)) + "\n"
}

/// Worst first, then the oldest.
pub(super) fn worst_first(incidents: &mut [Incident]) {
    let rank = |severity: Severity| severity.number();
    incidents.sort_by(|a, b| {
        (rank(a.severity), a.opened, a.incident_id).cmp(&(rank(b.severity), b.opened, b.incident_id))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_that_is_too_long_keeps_where_it_is_mounted() {
        let title = "loop3: filesystem stopped; written data lost, unavailable on /mnt/data";
        assert_eq!(fit(title, 80), title);
        assert_eq!(fit(title, 40), "loop3: filesystem stopped… on /mnt/data");
        assert_eq!(fit("sda: medium errors; data at risk", 20), "sda: medium errors;…");
        let long = "sda: medium errors on /mnt/a/very/long/path/that/nobody/reads";
        assert_eq!(fit(long, 30).chars().count(), 30);
    }
}
