//! `cargo xtask bench`: what peripety costs and what it reaches, as ratios measured in the same run.
//!
//! Each part is a file. A ratio is the median of pairs of runs, one with and one without, taken in turn; a time alone says
//! nothing about another machine.

mod bio_price;
mod daemon;
mod disks;
mod idle;
mod latency;
mod parse;
mod price;
mod process;
mod rasdaemon;
mod storm;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    build::Profile,
    setup::{self, Purpose},
    sh,
};

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Only these parts: price, storm, rasdaemon, latency, idle, fleet, doors, engine, incidents, rules, parse, journald
    parts: Vec<String>,
    /// Build in seconds, run slower
    #[arg(long)]
    quick_build: bool,
    /// Failing requests of the storm
    #[arg(long, default_value_t = 1_000_000)]
    requests: u64,
    /// The figures as JSON Lines, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One line of the table.
pub struct Figure {
    pub part: &'static str,
    pub what: String,
    /// What was measured, as a ratio or a count.
    pub value: String,
    /// What it is a ratio of.
    pub of: String,
    pub detail: String,
}

/// What the parts need.
pub struct Bench {
    /// Directory of peripetyd and prpt.
    pub bin: PathBuf,
    pub profile: &'static str,
    pub requests: u64,
    /// Scratch directory, on the disk of the build.
    pub dir: PathBuf,
}

type Part = (&'static str, fn(&Bench) -> Result<Vec<Figure>>);

const PARTS: &[Part] = &[
    ("price", price::run),
    ("storm", storm::run),
    ("rasdaemon", rasdaemon::run),
    ("latency", latency::run),
    ("idle", idle::run),
    ("fleet", |bench| process::run(bench, "fleet")),
    ("doors", |bench| process::run(bench, "doors")),
    ("engine", |bench| process::run(bench, "engine")),
    ("incidents", |bench| process::run(bench, "incidents")),
    ("rules", |bench| process::run(bench, "rules")),
    ("parse", parse::run),
    ("journald", |bench| process::run(bench, "journald")),
];

pub fn run(args: Args) -> Result<()> {
    if let Some(unknown) = args.parts.iter().find(|part| PARTS.iter().all(|(name, _)| name != part)) {
        let names: Vec<_> = PARTS.iter().map(|(name, _)| *name).collect();
        bail!("there is no part '{unknown}'; there are: {}", names.join(", "));
    }
    if !sh::is_root() {
        bail!("run it as root: it loads probes and makes disks that fail");
    }
    setup::ensure(Purpose::Test)?;
    let profile = if args.quick_build { Profile::Quick } else { Profile::Release };
    let bin = crate::build::binaries(profile)?;
    let dir = sh::target_dir().join("bench");
    std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let profile = if args.quick_build { "quick" } else { "release" };
    let bench = Bench { bin, profile, requests: args.requests, dir };
    let (mut figures, mut failed) = (Vec::new(), Vec::new());
    for (name, part) in PARTS {
        if !args.parts.is_empty() && args.parts.iter().all(|wanted| wanted != name) {
            continue;
        }
        eprintln!("== {name}");
        match part(&bench) {
            Ok(found) => {
                table(&found);
                figures.extend(found);
            }
            Err(error) => failed.push(format!("{name}: {error:#}")),
        }
    }
    if let Some(file) = &args.json {
        let lines: String = figures.iter().map(|figure| format!("{}\n", json(figure))).collect();
        std::fs::write(file, lines).with_context(|| format!("writing {}", file.display()))?;
    }
    if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join("; ")) }
}

fn json(figure: &Figure) -> Value {
    let Figure { part, what, value, of, detail } = figure;
    serde_json::json!({ "part": part, "what": what, "value": value, "of": of, "detail": detail })
}

#[expect(clippy::print_stdout, reason = "the table is what was asked for")]
fn table(figures: &[Figure]) {
    let wide = |text: fn(&Figure) -> &str| figures.iter().map(|f| text(f).chars().count()).max().unwrap_or(0);
    let (what, value, of) = (wide(|f| &f.what), wide(|f| &f.value), wide(|f| &f.of));
    let mut part = "";
    for figure in figures {
        if figure.part != part {
            part = figure.part;
            println!("\n{part}");
        }
        println!("  {:<what$}  {:>value$}  {:<of$}  {}", figure.what, figure.value, figure.of, figure.detail);
    }
}

/// The middle one.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
