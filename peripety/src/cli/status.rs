//! `prpt status`: what is wrong now.

use std::io::{self, Write};

use anyhow::{Context as _, bail};
use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use serde_json::json;

use super::{
    Format, NOTHING, OK, Output,
    query::tell_unread,
    render::{json, note, width},
};
use crate::{
    notifier::plain::wrap,
    query::{
        journald,
        socket::{Client, ClientError},
    },
    roots::Roots,
    state::{Condition, Table, journal, look::Look, rows::row},
    text::printable,
};

/// Options.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    output: Output,
}

/// The daemon's answer.
#[derive(Deserialize)]
struct Answer {
    #[serde(flatten)]
    table: Table,
    journal_read: bool,
    journal_error: Option<String>,
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let (mut table, sure) = known(roots)?;
    Look::new(roots).at(&mut table, Timestamp::now());
    let conditions = table.conditions();
    if !sure && conditions.is_empty() {
        bail!(
            "nothing is known of what went wrong in this boot: neither peripetyd nor the journal can be asked"
        );
    }
    match args.output.format() {
        Format::Plain => {
            let mut out = anstream::stdout().lock();
            plain(&mut out, &conditions, width().unwrap_or(80), &TimeZone::system())?;
            out.flush()?;
        }
        format => {
            for condition in &conditions {
                json(condition, format)?;
            }
            if conditions.is_empty() && format == Format::JsonPretty {
                json(&json!([]), format)?;
            }
        }
    }
    if table.dropped() > 0 {
        note(&format!("{} older conditions are left out: there were too many", table.dropped()));
    }
    Ok(if conditions.is_empty() { OK } else { NOTHING })
}

/// What the daemon knows, or what the journal has; and whether either could be asked.
fn known(roots: &Roots) -> anyhow::Result<(Table, bool)> {
    let refused = match Client::connect(roots) {
        Ok(client) => {
            let answer = client.answer("status")?;
            let answer: Answer = serde_json::from_value(answer)
                .context("prpt and the running peripetyd are of different versions")?;
            match answer.journal_error {
                Some(error) => note(&format!("only what happened since peripetyd's start is known: {error}")),
                None if !answer.journal_read => {
                    note("peripetyd still reads the journal: what is older than its start may be missing");
                }
                None => {}
            }
            return Ok((answer.table, true));
        }
        Err(refused @ (ClientError::NoDaemon { .. } | ClientError::Permission { .. })) => refused,
        Err(error) => return Err(error.into()),
    };
    let why = match refused {
        ClientError::NoDaemon { .. } => "peripetyd does not run",
        _ => "peripetyd may not be asked",
    };
    if matches!(journald::access(roots), journald::Access::Denied(_)) {
        note(&format!("{why}, and the journal may not be read: this is what sysfs tells"));
        return Ok((Table::default(), false));
    }
    match journal::table(roots, journald::PATIENCE) {
        Ok(known) => {
            note(&format!("{why}: this is what the journal of this boot and sysfs tell"));
            tell_unread(&known.unread);
            Ok((known.table, known.unread.is_empty()))
        }
        Err(error @ journald::ReadError::None { .. }) => {
            note(&format!("{why}, and there is no journal ({error}): this is what sysfs tells"));
            Ok((Table::default(), false))
        }
        Err(error) => {
            note(&format!("{why}, and the journal cannot be read ({error}): this is what sysfs tells"));
            Ok((Table::default(), false))
        }
    }
}

fn plain(out: &mut impl Write, conditions: &[Condition], width: usize, zone: &TimeZone) -> io::Result<()> {
    if conditions.is_empty() {
        return writeln!(out, "Nothing is wrong.");
    }
    let time = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
    for condition in conditions {
        let words = row(&condition.condition).map_or(condition.condition.as_str(), |row| row.words);
        let device = printable(&condition.device.shown()).into_owned();
        let since = condition.since.map_or_else(|| "a time not known".to_owned(), time);
        let mut told =
            format!("{}: {words} since {since}", if device.is_empty() { "peripety" } else { &device });
        if !condition.device.mount_points.is_empty() {
            told.push_str(&format!(", mounted on {}", printable(&condition.device.mount_points.join(", "))));
        }
        for (n, line) in wrap(&told, width.saturating_sub(2)).iter().enumerate() {
            writeln!(out, "{}{line}", if n == 0 { "" } else { "  " })?;
        }
        for line in wrap(&printable(&condition.msg), width.saturating_sub(4)) {
            writeln!(out, "    {line}")?;
        }
        if let Some(id) = condition.event_id {
            let latest = condition.last.filter(|last| Some(*last) != condition.since);
            writeln!(out, "    event {id}")?;
            if latest.is_some() || condition.count > 1 {
                let last = latest.map_or_else(String::new, |last| format!("last {}, ", time(last)));
                writeln!(out, "    {last}{} times", condition.count)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::EventType, notifier::fixture::sample};

    #[test]
    fn it_is_a_screenful_for_humans() {
        let mut table = Table::default();
        let mut event = sample();
        table.apply(&event);
        (event.event_type, event.msg) =
            (EventType::FS_SHUTDOWN, "a\u{1b}[31m ".to_owned() + &"long ".repeat(40));
        table.apply(&event);
        let mut out = Vec::new();
        plain(&mut out, &table.conditions(), 80, &TimeZone::UTC).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.lines().all(|line| line.chars().count() <= 80) && !out.contains('\u{1b}'), "{out}");
        insta::assert_snapshot!(out);
    }
}
