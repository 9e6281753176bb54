//! `cargo xtask build`

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{
    fold,
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

/// Profiles of Cargo.toml.
#[derive(Clone, Copy)]
pub enum Profile {
    Debug,
    Quick,
    Release,
}

impl Profile {
    /// The directory of what it builds.
    pub const fn dir(self) -> &'static str {
        self.names().1
    }

    /// Its name, and the directory of what it builds.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Debug => ("dev", "debug"),
            Self::Quick => ("quick", "quick"),
            Self::Release => ("release", "release"),
        }
    }
}

/// The programs that are installed.
pub const PROGRAMS: [&str; 10] = [
    "peripetyd",
    "prpt",
    "peripety-notify",
    "peripety-watch",
    "peripety-policy",
    "peripety-scan",
    "peripety-gluster",
    "peripety-gluster-hook",
    "peripety-forward",
    "peripety-hub",
];

pub fn run(args: Args) -> Result<()> {
    setup::ensure(Purpose::Build)?;
    let dir = binaries(if args.release { Profile::Release } else { Profile::Debug })?;
    eprintln!("built {} in {}", PROGRAMS.join(", "), dir.display());
    Ok(())
}

/// Builds all programs that are installed; gives the directory they are in.
pub fn binaries(profile: Profile) -> Result<PathBuf> {
    let (name, dir) = profile.names();
    fold::run(cargo().args(["--profile", name]), "build")?;
    Ok(sh::target_dir().join(dir))
}

/// cargo, to build the programs that are installed; the caller adds the profile.
pub fn cargo() -> Command {
    let packages = [
        "peripety",
        "peripety-notify",
        "peripety-watch",
        "peripety-policy",
        "peripety-scan",
        "peripety-gluster",
        "peripety-forward",
        "peripety-hub",
    ];
    let mut cargo = sh::cargo(["build", "--bins"]);
    for package in packages {
        cargo.args(["--package", package]);
    }
    cargo
}
