//! `cargo xtask deny`: licences, sources and versions of what peripety depends on, by `deny.toml`.
//!
//! `cargo xtask ci` leaves it out where cargo-deny is not installed: building that takes 3.5 minutes of processor time, on a
//! fresh machine more than all else that `ci` does. Known vulnerabilities need the database of RustSec from the network, and are asked for by `--advisories`.

use std::process::Command;

use anyhow::Result;

use crate::{
    setup::{self, Purpose},
    sh,
};

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Also look for known vulnerabilities, in the database that cargo-deny fetches
    #[arg(long)]
    advisories: bool,
    /// The database as it was fetched before
    #[arg(long, requires = "advisories")]
    offline: bool,
}

pub fn run(args: &Args) -> Result<()> {
    setup::ensure(Purpose::Deny)?;
    let mut checks = vec!["bans", "licenses", "sources"];
    if args.advisories {
        checks.push("advisories");
    }
    check(&checks, args.offline)
}

/// For `cargo xtask ci`: where it is installed.
pub fn if_installed() -> Result<()> {
    if sh::find("cargo-deny").is_none() {
        eprintln!("skipped: licences and sources: no cargo-deny; run: cargo xtask deny");
        return Ok(());
    }
    check(&["bans", "licenses", "sources"], false)
}

fn check(checks: &[&str], offline: bool) -> Result<()> {
    let mut command = Command::new("cargo");
    command.args(["deny", "--workspace"]).current_dir(sh::root());
    if offline {
        command.arg("--offline");
    }
    sh::run(command.arg("check").args(checks))
}
