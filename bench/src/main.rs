//! Measures parts of peripety within one process, each beside what it is compared with.
//!
//! `peripety-bench PART…` prints one line of JSON for each figure; `cargo xtask bench` makes a table of them.

#![expect(clippy::print_stdout, reason = "figures go to stdout")]

mod engine;
mod journald;
mod paired;
mod rules;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    for part in std::env::args().skip(1) {
        let figures = match part.as_str() {
            "engine" => engine::run()?,
            "rules" => rules::run()?,
            "journald" => journald::run()?,
            other => bail!("there is no part '{other}': engine, rules, journald"),
        };
        for figure in figures {
            println!("{figure}");
        }
    }
    Ok(())
}
