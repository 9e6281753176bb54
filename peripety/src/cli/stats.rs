//! `prpt stats`: what came in, what went out, and what was lost where.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use anyhow::Context as _;
use peripety_page::Unseen;
use serde::Deserialize;
use serde_json::Value;

use super::{Format, NOTHING, OK, Output};
use crate::{
    collector::ebpf::status::Status, notifier::Counters, query::socket::Client, roots::Roots, text::printable,
};

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    output: Output,
}

/// A row of the loss totals.
#[derive(Debug, Deserialize)]
struct Loss {
    source: String,
    reason: String,
    count: u64,
    #[serde(default)]
    counted_by: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Notifier {
    counters: Counters,
    trouble: Option<String>,
}

/// How the journal is read.
#[derive(Debug, Default, Deserialize)]
struct Journal {
    /// What could not be.
    #[serde(default)]
    unread: Vec<String>,
    #[serde(default)]
    error: Option<String>,
}

/// The directory in /run and what is wrong with its files.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Runtime {
    directory: String,
    trouble: BTreeMap<String, String>,
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let mut stats = Client::connect(roots)?.answer("stats")?;
    let probes = Client::connect(roots)?.answer("probes")?;
    if let Value::Object(all) = &mut stats {
        all.insert("probes".to_owned(), probes.get("probes").cloned().unwrap_or_default());
    }
    let versions = "prpt and the running peripetyd are of different versions";
    let status: Status = serde_json::from_value(probes).context(versions)?;
    let part = |key: &str| stats.get(key).cloned().unwrap_or_default();
    let mut losses: Vec<Loss> = serde_json::from_value(part("loss_totals")).context(versions)?;
    let runtime: Runtime = serde_json::from_value(part("runtime")).unwrap_or_default();
    let notifiers: BTreeMap<String, Notifier> =
        serde_json::from_value(part("notifiers")).context(versions)?;
    let journal: Journal = serde_json::from_value(part("journal")).context(versions)?;
    let at_start: Journal = serde_json::from_value(part("journal_at_start")).unwrap_or_default();
    let unchecked = stats.get("sent_again_unchecked").and_then(Value::as_u64).unwrap_or(0);
    let mut unknown = unknown(&journal, &at_start, unchecked);
    unknown.extend(unchecked_by_perf(&status));
    losses.extend(misses(&status));
    losses.extend(unseen(&status));

    let mut out = anstream::stdout().lock();
    match args.output.format() {
        Format::Plain => plain(&mut out, &losses, &unknown, &notifiers, &runtime, &status)?,
        Format::Json => writeln!(out, "{stats}")?,
        Format::JsonPretty => writeln!(out, "{stats:#}")?,
    }
    let sound = unknown.is_empty() && losses.iter().all(|loss| loss.counted_by.is_some());
    Ok(if sound { OK } else { NOTHING })
}

/// What the running daemon says was lost, for a report.
pub(super) fn lost(roots: &Roots) -> anyhow::Result<Vec<Unseen>> {
    let stats = Client::connect(roots)?.answer("stats")?;
    let status: Status = serde_json::from_value(Client::connect(roots)?.answer("probes")?)?;
    let part = |key: &str| stats.get(key).cloned().unwrap_or_default();
    let mut losses: Vec<Loss> = serde_json::from_value(part("loss_totals"))?;
    losses.extend(misses(&status));
    losses.extend(unseen(&status));
    let mut all: Vec<Unseen> = losses
        .into_iter()
        .filter(|loss| loss.count > 0)
        .map(|loss| Unseen {
            what: loss.source,
            why: format!("lost: {}", loss.reason),
            count: Some(loss.count),
        })
        .collect();
    let journal: Journal = serde_json::from_value(part("journal"))?;
    let words = unknown(&journal, &Journal::default(), 0);
    all.extend(words.into_iter().map(|why| Unseen { what: "journal".to_owned(), why, count: None }));
    Ok(all)
}

/// What is not known because the journal cannot be read.
fn unknown(journal: &Journal, at_start: &Journal, unchecked: u64) -> Vec<String> {
    let mut unknown: Vec<String> = journal
        .unread
        .iter()
        .map(|unread| format!("what daemons such as multipathd said: {unread}"))
        .chain(
            at_start
                .error
                .iter()
                .filter(|error| !at_start.unread.contains(error))
                .chain(&at_start.unread)
                .map(|why| format!("what was wrong before peripetyd started: {why}")),
        )
        .collect();
    if unchecked > 0 {
        unknown.push(format!(
            "whether the journal had {unchecked} events already, which were sent once more: it did not answer in time"
        ));
    }
    unknown
}

/// Runs that the kernel skipped because the program was running on that CPU.
fn misses(status: &Status) -> impl Iterator<Item = Loss> {
    status.probes.iter().filter_map(|probe| {
        let count = probe.program.as_ref().map(|program| program.misses).filter(|misses| *misses > 0)?;
        let reason = "skipped by the kernel, which was running it".to_owned();
        Some(Loss { source: format!("ebpf:{}", probe.tracepoint), reason, count, counted_by: None })
    })
}

/// Failures for which the kernel did not run a program. They are counted, without details.
fn unseen(status: &Status) -> impl Iterator<Item = Loss> {
    status.probes.iter().filter(|probe| probe.counts.unseen > 0).map(|probe| Loss {
        source: format!("ebpf:{}", probe.tracepoint),
        reason: "the kernel ran no program for it".to_owned(),
        count: probe.counts.unseen,
        counted_by: Some("perf".to_owned()),
    })
}

/// What is not known of probes whose programs ran while nothing counted beside them.
fn unchecked_by_perf(status: &Status) -> impl Iterator<Item = String> {
    status.probes.iter().filter(|probe| probe.counts.unchecked > 0).map(|probe| {
        format!(
            "whether the kernel ran the program of {} for each failure while perf did not count beside it (no daemon ran, \
             or another program held the tracepoint); it ran for {} meanwhile",
            probe.tracepoint, probe.counts.unchecked
        )
    })
}

fn plain(
    out: &mut impl Write,
    losses: &[Loss],
    unknown: &[String],
    notifiers: &BTreeMap<String, Notifier>,
    runtime: &Runtime,
    status: &Status,
) -> io::Result<()> {
    if losses.is_empty() {
        let known = if unknown.is_empty() { "Nothing" } else { "Nothing that is known of" };
        writeln!(out, "{known} was lost since peripetyd started.")?;
    } else {
        writeln!(out, "{:>12}  LOST AT", "COUNT")?;
    }
    for loss in losses {
        writeln!(out, "{:>12}  {}: {}", loss.count, printable(&loss.source), printable(&loss.reason))?;
        if let Some(probe) = &loss.counted_by {
            writeln!(out, "{:>14}no failure is lost by it: {} counts them", "", printable(probe))?;
        }
    }
    for what in unknown {
        writeln!(out, "Not known: {}.", printable(what))?;
    }
    writeln!(
        out,
        "\n{:<10} {:>10} {:>10} {:>10} {:>8} {:>8}",
        "NOTIFIER", "OFFERED", "OUT", "SUPERSEDED", "LOST", "WAITING"
    )?;
    for (name, notifier) in notifiers {
        let Counters { offered, notified, superseded, shed, failed, waiting } = notifier.counters;
        let lost = shed + failed;
        writeln!(out, "{name:<10} {offered:>10} {notified:>10} {superseded:>10} {lost:>8} {waiting:>8}")?;
        if let Some(trouble) = &notifier.trouble {
            writeln!(out, "    {}", printable(trouble))?;
        }
    }
    if !runtime.trouble.is_empty() {
        writeln!(out, "\n{} cannot be used, events go out from memory:", printable(&runtime.directory))?;
    }
    for (file, trouble) in &runtime.trouble {
        writeln!(out, "    {}: {}", printable(file), printable(trouble))?;
    }
    let attached = status.probes.iter().filter(|probe| probe.verdict.is_attached());
    writeln!(out, "\n{:<34} {:>10} {:>10} {:>8} {:>8}", "PROBE", "SEEN", "SENT", "DROPPED", "FOLDED")?;
    for probe in attached {
        let counts = probe.counts;
        writeln!(
            out,
            "{:<34} {:>10} {:>10} {:>8} {:>8}",
            probe.tracepoint, counts.seen, counts.sent, counts.dropped, counts.folded
        )?;
    }
    Ok(())
}
