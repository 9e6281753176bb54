//! `cargo xtask fuzz`

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{
    setup::{self, Purpose},
    sh,
};

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Only this target
    target: Option<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

pub fn run(args: Args) -> Result<()> {
    setup::ensure(Purpose::Fuzz)?;
    let all = targets()?;
    let chosen = match args.target {
        Some(target) if all.contains(&target) => vec![target],
        Some(target) => bail!("no fuzz target '{target}'; there are: {}", all.join(", ")),
        None => all,
    };
    for target in &chosen {
        eprintln!("== {target}: {} s", args.seconds);
        let limit = format!("-max_total_time={}", args.seconds);
        // A target may change its working directory.
        let seeds = sh::root().join("fuzz/seeds").join(target).display().to_string();
        let corpus = sh::root().join("fuzz/corpus").join(target).display().to_string();
        std::fs::create_dir_all(&corpus).with_context(|| format!("creating {corpus}"))?;
        // What is found goes to the first directory; the seeds are only read.
        sh::run(&mut fuzz(&[
            "run",
            target,
            &corpus,
            &seeds,
            "--",
            &limit,
            "-print_final_stats=1",
            "-max_len=65536",
        ]))?;
    }
    eprintln!("no target crashed: {}", chosen.join(", "));
    Ok(())
}

fn targets() -> Result<Vec<String>> {
    let listed = sh::output(&mut fuzz(&["list"])).context("cargo fuzz list failed")?;
    Ok(listed.lines().map(str::to_owned).collect())
}

/// The sanitizer is a nightly feature.
fn fuzz(args: &[&str]) -> Command {
    let mut command = sh::cargo(["fuzz"]);
    command.args(args).env("RUSTC_BOOTSTRAP", "1");
    command
}
