//! Measures parts of peripety within one process, each beside what it is compared with.
//!
//! `peripety-bench PART…` prints one line of JSON for each figure; `cargo xtask bench` makes a table of them.
//! `peripety-bench log KIND MEGABYTES` writes a log to standard output, for measuring what reads it.

#![expect(clippy::print_stdout, reason = "figures go to stdout")]

mod doors;
mod engine;
mod fleet;
mod incidents;
mod journald;
mod logs;
mod paired;
mod rules;

use std::io::BufWriter;

use anyhow::{Context as _, Result, bail};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, kind, size] = args.as_slice()
        && first == "log"
    {
        return log(kind, size);
    }
    for part in args {
        let figures = match part.as_str() {
            "doors" => doors::run()?,
            "engine" => engine::run()?,
            "fleet" => fleet::run()?,
            "incidents" => incidents::run()?,
            "rules" => rules::run()?,
            "journald" => journald::run()?,
            other => bail!("there is no part '{other}': doors, engine, fleet, incidents, rules, journald"),
        };
        for figure in figures {
            println!("{figure}");
        }
    }
    Ok(())
}

fn log(kind: &str, size: &str) -> Result<()> {
    let names = logs::Kind::ALL.map(|(name, _)| name).join(", ");
    let kind = logs::Kind::named(kind).with_context(|| format!("'{kind}' is no kind of log: {names}"))?;
    let megabytes: u64 = size.parse().context("megabytes")?;
    Ok(logs::write(kind, megabytes * 1_000_000, &mut BufWriter::new(std::io::stdout().lock()))?)
}
