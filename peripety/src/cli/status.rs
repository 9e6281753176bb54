//! `prpt status`: what is wrong now.

use std::{
    io::{self, IsTerminal as _, Write},
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;

use super::{
    FAILED, Format, NOTHING, OK, Output,
    incident_text::{self, time},
    known,
    monitor::{end_at_interrupt, stdout_closed_before},
    render::{json, note, width},
};
use crate::{
    event::{Incident, IncidentId, incident::ImpactKind},
    notifier::plain::wrap,
    roots::Roots,
    state::{Condition, Known, Problem, look::Look, problems, rows::row},
    terminal::error_chain,
    text::printable,
};

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The conditions that are open, with the latest words about each
    #[arg(short, long)]
    verbose: bool,
    /// Again and again, until Ctrl-C: a terminal is written anew every two seconds, a file or pipe gets what changes
    #[arg(short, long, conflicts_with_all = ["format", "json_pretty"])]
    watch: bool,
    #[command(flatten)]
    output: Output,
}

impl Args {
    pub(super) const fn is_watching(&self) -> bool {
        self.watch
    }
}

/// How often '--watch' looks.
const WATCH: Duration = Duration::from_secs(2);

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    if !args.watch {
        return once(&args, roots);
    }
    end_at_interrupt()?;
    let mut before = Vec::new();
    loop {
        let mut text = Vec::new();
        // Who reads the daemon and the journal says why not; it may be there again at the next look.
        match look(roots) {
            Ok(seen) => {
                seen.plain(&mut text, args.verbose)?;
                for limit in &seen.known.limits {
                    writeln!(text, "{}", printable(&limit.why))?;
                }
            }
            Err(error) => writeln!(text, "{}", printable(&error_chain(error.as_ref())))?,
        }
        let mut out = anstream::stdout().lock();
        if io::stdout().is_terminal() {
            let now = time(Timestamp::now(), &TimeZone::system());
            // Home, and each line to its end: what is written again in its place does not flicker.
            let lines = String::from_utf8_lossy(&text).replace('\n', "\u{1b}[K\n");
            write!(out, "\u{1b}[H{now}\u{1b}[K\n\u{1b}[K\n{lines}\u{1b}[J")?;
        } else if text != before {
            writeln!(out, "{}", time(Timestamp::now(), &TimeZone::system()))?;
            out.write_all(&text)?;
            writeln!(out)?;
        }
        out.flush()?;
        drop(out);
        before = text;
        if stdout_closed_before(None, Some(WATCH)) {
            return Ok(OK);
        }
    }
}

/// What is wrong at one moment.
struct Seen {
    incidents: Vec<Incident>,
    problems: Vec<Problem>,
    known: Known,
    dropped: u64,
}

fn look(roots: &Roots) -> anyhow::Result<Seen> {
    let (mut table, known) = known::state(roots)?;
    Look::new(roots).at(&mut table, Timestamp::now());
    let problems = problems(table.conditions());
    let mut incidents = known::incidents(roots);
    incident_text::worst_first(&mut incidents);
    incidents.retain(|incident| is_so_still(incident, &problems));
    Ok(Seen { incidents, problems, known, dropped: table.dropped() })
}

impl Seen {
    /// For a human: a line for each incident, and what is of none.
    fn plain(&self, out: &mut impl Write, verbose: bool) -> io::Result<()> {
        let Self { incidents, problems, known, .. } = self;
        let zone = TimeZone::system();
        for incident in incidents {
            incident_line(out, incident, &zone)?;
        }
        let is_of_none = |problem: &&Problem| !incidents.iter().any(|i| has(i, problem));
        let rest: Vec<Problem> =
            if verbose { problems.clone() } else { problems.iter().filter(is_of_none).cloned().collect() };
        if !rest.is_empty() || incidents.is_empty() || !known.limits.is_empty() {
            plain(out, &rest, known, width().unwrap_or(80), &zone, !incidents.is_empty())?;
        }
        Ok(())
    }
}

/// An incident, as a human reads it in the list.
pub(super) fn incident_line(out: &mut impl Write, incident: &Incident, zone: &TimeZone) -> io::Result<()> {
    hanging(out, &incident_text::full_line(incident, zone), width().unwrap_or(80))
}

/// A text in lines of at most this width, all but the first of them indented.
fn hanging(out: &mut impl Write, text: &str, width: usize) -> io::Result<()> {
    for (n, line) in wrap(text, width.saturating_sub(2)).iter().enumerate() {
        writeln!(out, "{}{line}", if n == 0 { "" } else { "  " })?;
    }
    Ok(())
}

fn once(args: &Args, roots: &Roots) -> anyhow::Result<u8> {
    let seen = look(roots)?;
    let Seen { incidents, problems, known, dropped } = &seen;
    for limit in &known.limits {
        note(&limit.why);
    }
    if *dropped > 0 {
        note(&format!("{dropped} older conditions are left out: there were too many"));
    }
    match args.output.format() {
        Format::Plain => {
            let mut out = anstream::stdout().lock();
            seen.plain(&mut out, args.verbose)?;
            out.flush()?;
        }
        format => {
            for problem in problems {
                let of: Vec<IncidentId> =
                    incidents.iter().filter(|i| has(i, problem)).map(|i| i.incident_id).collect();
                json(&WithIncidents { problem, incident_ids: of }, format)?;
            }
            for incident in incidents.iter().filter(|i| !problems.iter().any(|problem| has(i, problem))) {
                json(&json!({ "incident": incident }), format)?;
            }
            if !known.limits.is_empty() {
                json(&json!({ "known": known }), format)?;
            } else if problems.is_empty() && incidents.is_empty() && format == Format::JsonPretty {
                json(&json!([]), format)?;
            }
        }
    }
    Ok(match (problems.is_empty() && incidents.is_empty(), known.is_nothing()) {
        (true, true) => FAILED,
        (true, false) if known.limits.is_empty() => OK,
        _ => NOTHING,
    })
}

/// A problem and the incidents that it is of.
#[derive(serde::Serialize)]
struct WithIncidents<'p> {
    #[serde(flatten)]
    problem: &'p Problem,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    incident_ids: Vec<IncidentId>,
}

/// Whether a problem is of an incident: one of its events opened it, or was the last about it.
fn has(incident: &Incident, problem: &Problem) -> bool {
    problem.conditions().any(|condition| {
        let ids = [condition.event_id, condition.last_event_id];
        ids.into_iter().flatten().any(|id| incident.events.iter().any(|member| member.event_id == id))
            || condition.events.iter().any(|id| incident.events.iter().any(|member| member.event_id == *id))
    })
}

/// Whether what opened it is still so, as far as the table of conditions reports.
fn is_so_still(incident: &Incident, problems: &[Problem]) -> bool {
    let lost = incident.impact.kinds.contains(&ImpactKind::DataLost) && incident.acknowledged.is_none();
    lost || incident.needs_acknowledgement
        || incident.conditions.is_empty()
        || problems.iter().any(|problem| has(incident, problem))
}

fn plain(
    out: &mut impl Write,
    problems: &[Problem],
    known: &Known,
    width: usize,
    zone: &TimeZone,
    more: bool,
) -> io::Result<()> {
    let time = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
    for problem in problems {
        let mut points: Vec<&String> = problem.conditions().flat_map(|c| &c.device.mount_points).collect();
        points.sort();
        points.dedup();
        let since = problem.conditions().filter_map(|c| c.since).min();
        let mut head = format!("{}: {}", printable(&problem.name), words(&problem.worst));
        let mut named = vec![words(&problem.worst)];
        for other in problem.also.iter().filter(|c| c.device.shown() == problem.name) {
            if !named.contains(&words(other)) {
                named.push(words(other));
                head.push_str(&format!(", {}", words(other)));
            }
        }
        head.push_str(
            &since
                .map_or_else(|| ", since when is not known".to_owned(), |at| format!(", since {}", time(at))),
        );
        if !points.is_empty() {
            let points: Vec<&str> = points.into_iter().map(String::as_str).collect();
            head.push_str(&format!(", mounted on {}", printable(&points.join(", "))));
        }
        hanging(out, &head, width)?;
        for condition in problem.conditions() {
            details(out, problem, condition, width, &time)?;
        }
    }
    let unseen: Vec<&str> = known.limits.iter().map(|limit| limit.what.as_str()).collect();
    let said = match (problems.is_empty() && !more, unseen.is_empty()) {
        (true, true) => "Nothing is wrong.".to_owned(),
        (true, false) if known.is_nothing() => {
            format!("What is wrong cannot be known: nothing can be learned from {}.", unseen.join(", "))
        }
        (true, false) => {
            format!("Nothing is known to be wrong, but not all is known: {}.", unseen.join(", "))
        }
        (false, true) => return Ok(()),
        (false, false) => format!("Not all is known: {}.", unseen.join(", ")),
    };
    wrap(&said, width).iter().try_for_each(|line| writeln!(out, "{line}"))?;
    let span = match (known.since, known.until) {
        (Some(since), Some(until)) => {
            format!("Known is what happened from {} to {}.", time(since), time(until))
        }
        (Some(since), None) if problems.is_empty() => format!("Known since {}.", time(since)),
        _ => return Ok(()),
    };
    writeln!(out, "{span}")
}

fn words(condition: &Condition) -> &str {
    row(&condition.condition).map_or(condition.condition.as_str(), |row| row.words)
}

fn details(
    out: &mut impl Write,
    problem: &Problem,
    condition: &Condition,
    width: usize,
    time: &dyn Fn(Timestamp) -> String,
) -> io::Result<()> {
    let device = condition.device.shown();
    let other = if device == problem.name || device.is_empty() {
        String::new()
    } else {
        format!("{}: {}: ", printable(&device), words(condition))
    };
    let msg = printable(&condition.msg);
    for (n, line) in wrap(&format!("{other}{msg}"), width.saturating_sub(6)).iter().enumerate() {
        writeln!(out, "    {}{line}", if n == 0 { "" } else { "  " })?;
    }
    let mut said = Vec::new();
    if condition.count > 1 {
        said.push(format!("{} times", condition.count));
    }
    if let Some(last) = condition.last.filter(|last| Some(*last) != condition.since) {
        said.push(format!("last {}", time(last)));
    }
    if let Some(at) = condition.expires {
        said.push(format!("transient: leaves this list at {} if it does not happen again", time(at)));
    }
    if let Some(id) = condition.event_id {
        said.push(format!("event {id}"));
    }
    if said.is_empty() {
        return Ok(());
    }
    for line in wrap(&said.join(", "), width.saturating_sub(6)) {
        writeln!(out, "      {line}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::EventType, notifier::fixture::sample, state::Table};

    #[test]
    fn it_is_a_screenful_for_humans() {
        let mut table = Table::default();
        let mut event = sample();
        table.apply(&event);
        (event.event_type, event.msg) =
            (EventType::FS_SHUTDOWN, "a\u{1b}[31m ".to_owned() + &"long ".repeat(40));
        table.apply(&event);
        let mut out = Vec::new();
        plain(&mut out, &problems(table.conditions()), &Known::default(), 80, &TimeZone::UTC, false).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.lines().all(|line| line.chars().count() <= 80) && !out.contains('\u{1b}'), "{out}");
        insta::assert_snapshot!(out);
    }
}
