//! The summary on the terminal.

use jiff::{Timestamp, tz::TimeZone};

use super::super::{Format, Output, render};
use crate::{offline::SummaryRow as Row, text::printable};

/// Prints a row for each device and type.
pub(super) fn print(rows: &[&Row], output: Output) -> anyhow::Result<()> {
    match output.format() {
        Format::Plain if rows.is_empty() => Ok(()),
        Format::Plain => render::print(&plain(rows)),
        format => rows.iter().try_for_each(|row| render::json(row, format)),
    }
}

fn plain(rows: &[&Row]) -> String {
    let zone = TimeZone::system();
    let time = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let several = rows.iter().any(|row| rows.first().is_some_and(|first| first.hostname != row.hostname));
    let mut table: Vec<Vec<String>> =
        vec![["DEVICE", "SEVERITY", "TYPE", "EVENTS", "FAILURES", "FIRST", "LAST"].map(str::to_owned).into()];
    for row in rows {
        let device = if row.device.is_empty() { "-" } else { &row.device };
        table.push(vec![
            printable(device).into_owned(),
            row.severity.to_string(),
            printable(row.event_type.as_str()).into_owned(),
            row.events.to_string(),
            row.count.to_string(),
            time(row.first_timestamp),
            time(row.last_timestamp),
        ]);
    }
    if several {
        let hosts = std::iter::once("HOST").chain(rows.iter().map(|row| row.hostname.as_str()));
        for (line, host) in table.iter_mut().zip(hosts) {
            line.insert(0, printable(host).into_owned());
        }
    }
    render::columns(&table)
}
