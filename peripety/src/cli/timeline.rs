//! `prpt timeline`: a day on the terminal.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::{
    NOTHING, OK,
    incident_text::fit,
    incidents::known,
    render::{note, print, width},
};
use crate::{
    event::{Incident, incident::State},
    query::time,
    roots::Roots,
    text::printable,
};

/// Columns of the day.
const COLUMNS: i64 = 48;

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The end of the 24 hours that are shown; now where it is not given
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let now = time::now();
    let end = match &args.until {
        Some(text) => time::parse(text, &now)?,
        None => now.timestamp(),
    };
    let start = end.checked_sub(SignedDuration::from_hours(24))?;
    let mut all = known(roots, Some(start))?;
    all.retain(|incident| {
        incident.state != State::Superseded
            && incident.opened <= end
            && over_at(incident).is_none_or(|at| at >= start)
    });
    if all.is_empty() {
        note("no incident in these 24 hours");
        return Ok(NOTHING);
    }
    print(&draw(&all, start, end, &TimeZone::system(), width().unwrap_or(120)))?;
    Ok(OK)
}

fn over_at(incident: &Incident) -> Option<Timestamp> {
    incident.resolved
}

fn draw(all: &[Incident], start: Timestamp, end: Timestamp, zone: &TimeZone, width: usize) -> String {
    let bar = usize::try_from(COLUMNS).unwrap_or(0);
    let title_room = width.saturating_sub(bar + 1).max(30);
    let span = end.duration_since(start).as_secs().max(1);
    let column = |at: Timestamp| (at.duration_since(start).as_secs() * COLUMNS / span).clamp(0, COLUMNS - 1);
    let mut head = String::new();
    for eighth in 0..8 {
        let at = start.checked_add(SignedDuration::from_secs(span * eighth / 8)).unwrap_or(start);
        head.push_str(&format!("{:<6}", at.to_zoned(zone.clone()).strftime("%H:%M").to_string()));
    }
    let mut out = format!("{head}\n");
    for incident in all {
        let (from, to) = (column(incident.opened.max(start)), column(over_at(incident).unwrap_or(end)));
        let faults: Vec<i64> = incident
            .events
            .iter()
            .filter(|m| m.first >= start && m.first <= end)
            .map(|m| column(m.first))
            .collect();
        let bar: String = (0..COLUMNS)
            .map(|n| match n {
                n if faults.contains(&n) => '#',
                n if n >= from && n <= to => '-',
                _ => ' ',
            })
            .collect();
        let title = fit(&printable(&incident.title), title_room);
        out.push_str(&format!("{bar} {title}\n"));
    }
    out
}
