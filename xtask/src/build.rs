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

/// The packages that they are in.
const PACKAGES: [&str; 8] = [
    "peripety",
    "peripety-notify",
    "peripety-watch",
    "peripety-policy",
    "peripety-scan",
    "peripety-gluster",
    "peripety-forward",
    "peripety-hub",
];

/// cargo, to build the programs that are installed; the caller adds the profile.
pub fn cargo() -> Command {
    of_packages("build", &["--bins"])
}

fn of_packages(command: &str, arguments: &[&str]) -> Command {
    let mut cargo = sh::cargo([command]);
    cargo.args(arguments);
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    cargo
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The features of our crates in what a command of `cargo tree` shows.
    fn features(tree: &mut Command) -> BTreeMap<String, Vec<String>> {
        let tree = tree.args(["--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}|{f}"]);
        let shown = sh::output(tree).unwrap();
        let ours = shown.lines().filter(|line| line.starts_with("peripety")).filter_map(|line| {
            let (package, features) = line.split_once('|')?;
            let features = features.trim_end_matches(" (*)").split(',').map(str::to_owned);
            Some((package.split_whitespace().next()?.to_owned(), features.collect()))
        });
        ours.collect()
    }

    /// Tests run what is built with the whole workspace, where a crate has what any of its users asks for.
    #[test]
    fn what_is_installed_has_the_features_that_the_tests_have_seen() {
        let installed = features(&mut of_packages("tree", &[]));
        let tested = features(&mut sh::cargo(["tree", "--workspace", "--exclude", "peripety-ebpf"]));
        assert!(installed.len() > PACKAGES.len(), "{installed:?}");
        for (package, features) in installed {
            let seen = tested.get(&package).into_iter().flatten();
            let missing: Vec<_> = seen.filter(|f| *f != "default" && !features.contains(f)).collect();
            assert!(missing.is_empty(), "{package} is installed without {missing:?}");
        }
    }
}
