//! `prpt stats`: what came in, what went out, and what was lost where.

use std::io::{self, Write};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;

use super::{Format, NOTHING, OK, Output};
use crate::{
    collector::ebpf::status::Status, notifier::Counters, query::socket::Client, roots::Roots, text::printable,
};

/// Options.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    output: Output,
}

/// A row of the ledger.
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

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let mut stats = Client::connect(roots)?.answer("stats")?;
    let probes = Client::connect(roots)?.answer("probes")?;
    if let Value::Object(all) = &mut stats {
        all.insert("probes".to_owned(), probes.get("probes").cloned().unwrap_or_default());
    }
    let versions = "prpt and the running peripetyd are of different versions";
    let status: Status = serde_json::from_value(probes).context(versions)?;
    let part = |key: &str| stats.get(key).cloned().unwrap_or_default();
    let mut losses: Vec<Loss> = serde_json::from_value(part("ledger")).context(versions)?;
    let notifiers: std::collections::BTreeMap<String, Notifier> =
        serde_json::from_value(part("notifiers")).context(versions)?;
    losses.extend(misses(&status));
    losses.extend(unseen(&status));

    let mut out = anstream::stdout().lock();
    match args.output.format() {
        Format::Plain => plain(&mut out, &losses, &notifiers, &status)?,
        Format::Json => writeln!(out, "{stats}")?,
        Format::JsonPretty => writeln!(out, "{stats:#}")?,
    }
    Ok(if losses.iter().all(|loss| loss.counted_by.is_some()) { OK } else { NOTHING })
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

fn plain(
    out: &mut impl Write,
    losses: &[Loss],
    notifiers: &std::collections::BTreeMap<String, Notifier>,
    status: &Status,
) -> io::Result<()> {
    if losses.is_empty() {
        writeln!(out, "Nothing was lost since peripetyd started.")?;
    } else {
        writeln!(out, "{:>12}  LOST AT", "COUNT")?;
    }
    for loss in losses {
        writeln!(out, "{:>12}  {}: {}", loss.count, printable(&loss.source), printable(&loss.reason))?;
        if let Some(probe) = &loss.counted_by {
            writeln!(out, "{:>14}no failure is lost by it: {} counts them", "", printable(probe))?;
        }
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
