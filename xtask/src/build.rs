//! `cargo xtask build`

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    setup::{self, Purpose},
    sh,
};

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// Optimised; takes some minutes the first time
    #[arg(long)]
    release: bool,
}

pub fn run(args: Args) -> Result<()> {
    setup::ensure(Purpose::Build)?;
    let dir = binaries(args.release)?;
    eprintln!("built {} and {}", dir.join("peripetyd").display(), dir.join("prpt").display());
    Ok(())
}

/// Builds the daemon and prpt; gives the directory they are in.
pub fn binaries(release: bool) -> Result<PathBuf> {
    let mut cargo = sh::cargo(["build", "--package", "peripety", "--bins"]);
    if release {
        cargo.arg("--release");
    }
    sh::run(&mut cargo)?;
    Ok(sh::target_dir().join(if release { "release" } else { "debug" }))
}
