//! Sets the machine up: installs what is missing, and says so first.
//!
//! All checks are cheap, because `run` and `test` make them on every call.

mod crates;
pub mod cross;
mod nats;
pub mod packages;
mod receivers;
pub mod toolchain;
mod tracefs;
mod varlinkctl;

use anyhow::Result;

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Also what the tests need
    #[arg(long)]
    test: bool,
}

/// What the machine shall be fit for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    Build,
    Test,
    Fuzz,
    Deny,
    Semver,
    Dist,
    Manual,
    Machine,
}

pub fn run(args: Args) -> Result<()> {
    ensure(if args.test { Purpose::Test } else { Purpose::Build })?;
    eprintln!("setup: all there");
    Ok(())
}

/// Installs what is missing.
pub fn ensure(purpose: Purpose) -> Result<()> {
    match purpose {
        Purpose::Deny => return crates::ensure_cargo_deny(),
        Purpose::Semver => return crates::ensure_cargo_semver_checks(),
        Purpose::Manual => return crates::ensure_mdbook(),
        _ => {}
    }
    packages::ensure(purpose)?;
    match purpose {
        Purpose::Fuzz => return crates::ensure_cargo_fuzz(),
        Purpose::Deny | Purpose::Semver | Purpose::Dist | Purpose::Manual | Purpose::Machine => return Ok(()),
        Purpose::Build | Purpose::Test => {}
    }
    toolchain::ensure()?;
    crates::ensure_bpf_linker()?;
    tracefs::ensure();
    if purpose == Purpose::Test {
        receivers::ensure();
        nats::ensure();
        varlinkctl::ensure();
    }
    Ok(())
}
