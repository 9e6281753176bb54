//! `prpt status`: what is wrong now.

use std::io::{self, Write};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;

use super::{
    FAILED, Format, NOTHING, OK, Output, incident_text, known,
    render::{json, note, width},
};
use crate::{
    event::{EventId, Incident, incident::ImpactKind},
    notifier::plain::wrap,
    roots::Roots,
    state::{Condition, Known, look::Look, rows::row},
    text::printable,
};

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The conditions that are open, with the latest words about each
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let (mut table, known) = known::state(roots)?;
    Look::new(roots).at(&mut table, Timestamp::now());
    let (wrong, lone) = sorted(known::incidents(roots), table.conditions());
    for limit in &known.limits {
        note(&limit.why);
    }
    if table.dropped() > 0 {
        note(&format!("{} older conditions are left out: there were too many", table.dropped()));
    }
    match args.output.format() {
        Format::Plain => {
            let mut out = anstream::stdout().lock();
            let zone = TimeZone::system();
            let page = Page { width: width().unwrap_or(80), zone: &zone, verbose: args.verbose };
            page.write(&mut out, &wrong, &lone, &known)?;
            out.flush()?;
        }
        format => {
            wrong.iter().try_for_each(|wrong| json(wrong, format))?;
            lone.iter().try_for_each(|condition| json(&json!({ "conditions": [condition] }), format))?;
            if !known.limits.is_empty() {
                json(&json!({ "known": known }), format)?;
            } else if wrong.is_empty() && lone.is_empty() && format == Format::JsonPretty {
                json(&json!([]), format)?;
            }
        }
    }
    Ok(match (wrong.is_empty() && lone.is_empty(), known.is_nothing()) {
        (true, true) => FAILED,
        (true, false) if known.limits.is_empty() => OK,
        _ => NOTHING,
    })
}

/// An incident that is open, with what of it is so still.
#[derive(Debug, serde::Serialize)]
struct Wrong {
    incident: Incident,
    conditions: Vec<Condition>,
}

/// What is wrong, the worst first: incidents that are open, each with its conditions, and the conditions of which only sysfs
/// tells. An incident of which a look shows nothing any more is over, also where no daemon runs that could say so.
fn sorted(mut incidents: Vec<Incident>, conditions: Vec<Condition>) -> (Vec<Wrong>, Vec<Condition>) {
    incident_text::worst_first(&mut incidents);
    let mut lone = conditions;
    let mut wrong = Vec::new();
    for incident in incidents {
        let (mine, others): (Vec<_>, Vec<_>) = lone.into_iter().partition(|c| has(&incident, c));
        lone = others;
        let lost = incident.impact.kinds.contains(&ImpactKind::DataLost) && incident.acknowledged.is_none();
        if lost || incident.needs_acknowledgement || incident.conditions.is_empty() || !mine.is_empty() {
            wrong.push(Wrong { incident, conditions: mine });
        }
    }
    (wrong, lone)
}

/// Whether a condition is of an incident: one of its events is of it, or it is known to have it on this device.
fn has(incident: &Incident, condition: &Condition) -> bool {
    let is_member = |id: &EventId| incident.events.iter().any(|member| member.event_id == *id);
    let ids = [condition.event_id, condition.last_event_id];
    // Of many events an incident keeps some in full.
    let device = condition.device.shown();
    let by_name = || {
        condition.event_id.is_some()
            && incident.conditions.contains(&condition.condition)
            && (incident.cause.name == device || incident.impact.devices.contains(&device))
    };
    ids.iter().flatten().chain(&condition.events).any(is_member) || by_name()
}

/// How the state is written for people.
struct Page<'z> {
    width: usize,
    zone: &'z TimeZone,
    verbose: bool,
}

impl Page<'_> {
    fn time(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    fn write(
        &self,
        out: &mut impl Write,
        wrong: &[Wrong],
        lone: &[Condition],
        known: &Known,
    ) -> io::Result<()> {
        for Wrong { incident, conditions } in wrong {
            self.line(out, &incident_text::full_line(incident, self.zone))?;
            if self.verbose {
                conditions
                    .iter()
                    .try_for_each(|condition| self.details(out, condition, &incident.cause.name))?;
            }
        }
        for condition in lone {
            self.line(out, &self.head(condition))?;
            self.details(out, condition, &condition.device.shown())?;
        }
        self.end(out, wrong.is_empty() && lone.is_empty(), known)
    }

    fn line(&self, out: &mut impl Write, text: &str) -> io::Result<()> {
        for (n, part) in wrap(text, self.width.saturating_sub(2)).iter().enumerate() {
            writeln!(out, "{}{part}", if n == 0 { "" } else { "  " })?;
        }
        Ok(())
    }

    /// One line of a condition that no event told of.
    fn head(&self, condition: &Condition) -> String {
        let name = match condition.device.shown() {
            name if name.is_empty() => "a device that could not be told".to_owned(),
            name => name,
        };
        let since = condition
            .since
            .map_or_else(|| "since when is not known".to_owned(), |at| format!("since {}", self.time(at)));
        let mut head = format!("{}: {}, {since}", printable(&name), words(condition));
        let points = condition.device.mount_points.join(", ");
        if !points.is_empty() {
            head.push_str(&format!(", mounted on {}", printable(&points)));
        }
        head
    }

    fn end(&self, out: &mut impl Write, is_well: bool, known: &Known) -> io::Result<()> {
        let unseen: Vec<&str> = known.limits.iter().map(|limit| limit.what.as_str()).collect();
        let said = match (is_well, unseen.is_empty()) {
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
        wrap(&said, self.width).iter().try_for_each(|line| writeln!(out, "{line}"))?;
        let span = match (known.since, known.until) {
            (Some(since), Some(until)) => {
                format!("Known is what happened from {} to {}.", self.time(since), self.time(until))
            }
            (Some(since), None) if is_well => format!("Known since {}.", self.time(since)),
            _ => return Ok(()),
        };
        writeln!(out, "{span}")
    }

    fn details(&self, out: &mut impl Write, condition: &Condition, above: &str) -> io::Result<()> {
        let device = condition.device.shown();
        let device = if device == above || device.is_empty() {
            String::new()
        } else {
            format!("{}: ", printable(&device))
        };
        let text = format!("{device}{}: {}", words(condition), printable(&condition.msg));
        for (n, line) in wrap(&text, self.width.saturating_sub(6)).iter().enumerate() {
            writeln!(out, "    {}{line}", if n == 0 { "" } else { "  " })?;
        }
        let mut said = Vec::new();
        if condition.count > 1 {
            said.push(format!("{} times", condition.count));
        }
        if let Some(last) = condition.last.filter(|last| Some(*last) != condition.since) {
            said.push(format!("last {}", self.time(last)));
        }
        if let Some(at) = condition.expires {
            said.push(format!(
                "transient: leaves this list at {} if it does not happen again",
                self.time(at)
            ));
        }
        if let Some(id) = condition.event_id {
            said.push(format!("event {id}"));
        }
        if said.is_empty() {
            return Ok(());
        }
        wrap(&said.join(", "), self.width.saturating_sub(6))
            .iter()
            .try_for_each(|line| writeln!(out, "      {line}"))
    }
}

fn words(condition: &Condition) -> &str {
    row(&condition.condition).map_or(condition.condition.as_str(), |row| row.words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::EventType, incident::Incidents, notifier::fixture::sample, state::Table};

    /// Incidents and conditions of these events.
    fn of(events: Vec<crate::event::Event>) -> (Vec<Incident>, Vec<Condition>) {
        let (mut table, mut stage, mut written) = (Table::default(), Incidents::default(), Vec::new());
        for mut event in events {
            table.apply(&event);
            stage.push(&mut event, &mut written);
        }
        (stage.all().cloned().collect(), table.conditions())
    }

    fn page(verbose: bool, wrong: &[Wrong], lone: &[Condition]) -> String {
        let mut out = Vec::new();
        let page = Page { width: 80, zone: &TimeZone::UTC, verbose };
        page.write(&mut out, wrong, lone, &Known::default()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn it_is_a_screenful_for_humans() {
        let first = sample();
        let mut event = sample();
        event.event_id = uuid::Uuid::from_u128(7);
        (event.event_type, event.msg) =
            (EventType::FS_SHUTDOWN, "a\u{1b}[31m ".to_owned() + &"long ".repeat(40));
        let (incidents, conditions) = of(vec![first, event]);
        let (wrong, lone) = sorted(incidents, conditions);
        assert!(wrong.len() == 1 && lone.is_empty(), "one fault is one line: {wrong:#?} {lone:#?}");
        assert_eq!(wrong[0].conditions.len(), 2);
        let out = page(true, &wrong, &lone);
        assert!(out.lines().all(|line| line.chars().count() <= 80) && !out.contains('\u{1b}'), "{out}");
        insta::assert_snapshot!(out);
    }

    #[test]
    fn what_only_sysfs_tells_is_listed_and_what_it_shows_to_be_over_is_not() {
        let (incidents, conditions) = of(vec![sample()]);
        let found = Condition {
            event_id: None,
            last_event_id: None,
            events: Vec::new(),
            since: None,
            ..conditions[0].clone()
        };
        let (wrong, lone) = sorted(incidents, vec![found]);
        assert!(wrong.is_empty(), "no condition of it is left: {wrong:#?}");
        assert!(page(false, &wrong, &lone).contains("since when is not known"));
    }
}
