//! `cargo xtask semver`: whether the crates that others build on have changed only as their version allows.
//!
//! Before the first release there is no version to compare with: the state at a commit takes its place, and what breaks since
//! then is shown, with the rule that says so. Breaking what nobody has yet is allowed; doing so without seeing it is not.

use anyhow::{Context as _, Result};

use crate::{
    setup::{self, Purpose},
    sh,
};

/// The crates that `doc/stability.md` names.
const PACKAGES: [&str; 3] = ["peripety-model", "peripety-block", "peripety-client"];

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// The commit or tag to compare with
    #[arg(long, value_name = "COMMIT")]
    since: String,
}

pub fn run(args: &Args) -> Result<()> {
    setup::ensure(Purpose::Semver)?;
    let mut command = sh::cargo(["semver-checks", "check-release", "--baseline-rev", &args.since]);
    for package in PACKAGES {
        command.args(["--package", package]);
    }
    // Its own builds, beside those of the workspace.
    command.env("CARGO_TARGET_DIR", sh::target_dir().join("semver"));
    sh::run(&mut command).with_context(|| format!("{} changed since {}", PACKAGES.join(", "), args.since))?;
    eprintln!("{}: nothing that others build on broke since {}", PACKAGES.join(", "), args.since);
    Ok(())
}
