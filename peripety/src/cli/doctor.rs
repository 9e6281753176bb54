//! `prpt doctor`: what this machine can and cannot see, in a screenful, and what to do about it.
//!
//! A check is one function and one line in [`CHECKS`].

mod daemon;
mod journal;
mod kernel;
mod machine;
mod rights;
#[cfg(test)]
mod tests;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use self::machine::Machine;
use super::{
    Format, NOTHING, OK, Output,
    render::{json, print, width},
};
use crate::{roots::Roots, text::printable};

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    output: Output,
}

/// How well something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// As it should.
    Ok,
    /// In part.
    Degraded,
    /// Not at all.
    Missing,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Missing => "missing",
        }
    }

    const fn style(self) -> Style {
        match self {
            Self::Ok => AnsiColor::Green.on_default(),
            Self::Degraded => AnsiColor::Yellow.on_default(),
            Self::Missing => AnsiColor::Red.on_default(),
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, Serialize)]
struct Row {
    check: &'static str,
    verdict: Verdict,
    found: String,
    /// What cannot be seen or done because of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    lost: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    todo: String,
}

impl Row {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, found: found.into(), lost: String::new(), todo: String::new() }
    }

    fn degraded(check: &'static str, found: impl Into<String>, lost: &str, todo: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Degraded,
            lost: lost.to_owned(),
            todo: todo.into(),
            ..Self::ok(check, found)
        }
    }

    fn missing(check: &'static str, found: impl Into<String>, lost: &str, todo: impl Into<String>) -> Self {
        Self { verdict: Verdict::Missing, ..Self::degraded(check, found, lost, todo) }
    }
}

/// The checks, in the order in which they are shown: from the kernel outwards.
const CHECKS: &[fn(&Machine) -> Row] = &[
    kernel::version,
    kernel::btf,
    kernel::probes,
    rights::capabilities,
    kernel::lockdown,
    rights::settings,
    rights::kmsg,
    daemon::running,
    daemon::sandbox,
    daemon::watch,
    journal::journald,
    journal::rate_limit,
    journal::readable,
];

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let rows = examine(&Machine::look(roots));
    match args.output.format() {
        Format::Plain => print(&plain(&rows, width().unwrap_or(80)))?,
        Format::Json => rows.iter().try_for_each(|row| json(row, Format::Json))?,
        Format::JsonPretty => json(&rows, Format::JsonPretty)?,
    }
    Ok(if rows.iter().all(|row| row.verdict == Verdict::Ok) { OK } else { NOTHING })
}

fn examine(machine: &Machine) -> Vec<Row> {
    CHECKS.iter().map(|check| check(machine)).collect()
}

/// Columns before what was found.
const INDENT: usize = 20;

fn plain(rows: &[Row], width: usize) -> String {
    let mut out = String::new();
    let room = width.saturating_sub(INDENT).max(20);
    for row in rows {
        let style = row.verdict.style();
        out.push_str(&format!("{style}{:<8}{style:#} {:<10} ", row.verdict.word(), row.check));
        let said =
            if row.lost.is_empty() { row.found.clone() } else { format!("{}: {}", row.found, row.lost) };
        let mut lines = crate::notifier::plain::wrap(&printable(&said), room);
        if !row.todo.is_empty() {
            lines.extend(crate::notifier::plain::wrap(&format!("do: {}", printable(&row.todo)), room));
        }
        out.push_str(&lines.join(&format!("\n{:INDENT$}", "")));
        out.push('\n');
    }
    let wrong = rows.iter().filter(|row| row.verdict != Verdict::Ok).count();
    out.push_str(&if wrong == 0 {
        "All is well.\n".to_owned()
    } else {
        format!("{wrong} of {} checks are not well.\n", rows.len())
    });
    out
}
