//! `cargo xtask dist`: packages of what is in this tree, .deb and .rpm, from one table (`dist/package/packages.toml`).
//!
//! dpkg-deb and rpmbuild write them, which are a few seconds to install and know their formats best.

mod build;
mod check;
mod completions;
mod deb;
mod elf;
mod rpm;
mod table;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use self::table::Table;
use crate::{
    build::Profile,
    manual,
    setup::{self, Purpose},
    sh,
};

/// Options.
#[derive(clap::Args)]
pub struct Args {
    /// For which machines: x86_64 or aarch64
    #[arg(long, default_value = "x86_64")]
    arch: Arch,
    /// Revision of the packages, for several of the same version
    #[arg(long, default_value_t = 1)]
    revision: u32,
    /// Take the binaries that are in this directory, and build nothing
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Check the packages too: lintian, rpmlint, the same bytes twice, and the .rpm installed, upgraded and erased in a root
    #[arg(long)]
    check: bool,
}

/// Machines that packages are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Arch {
    #[value(name = "x86_64", alias = "amd64")]
    X86_64,
    #[value(name = "aarch64", alias = "arm64")]
    Aarch64,
}

impl Arch {
    const fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
        }
    }

    const fn deb(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    const fn rpm(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    const fn is_this_machine(self) -> bool {
        match self {
            Self::X86_64 => cfg!(target_arch = "x86_64"),
            Self::Aarch64 => cfg!(target_arch = "aarch64"),
        }
    }
}

/// What is the same for all packages of one call.
pub struct Release {
    pub version: String,
    pub revision: u32,
    pub arch: Arch,
    /// The time of the commit: all times in packages are this one, so that the same tree gives the same bytes.
    pub epoch: u64,
}

pub fn run(args: Args) -> Result<()> {
    setup::ensure(Purpose::Dist)?;
    let bins = match &args.bin_dir {
        Some(dir) => dir.clone(),
        None => {
            setup::ensure(Purpose::Build)?;
            build::binaries(args.arch)?
        }
    };
    let out = out_dir();
    let packages = make(&args, &bins, &out)?;
    for package in &packages {
        let size = fs::metadata(package).map_or(0, |meta| meta.len());
        eprintln!("made {} ({} KiB)", package.display(), size.div_ceil(1024));
    }
    if args.check {
        check::all(&args, &bins, &packages)?;
    }
    Ok(())
}

/// Where packages come to lie.
fn out_dir() -> PathBuf {
    sh::target_dir().join("packages")
}

/// Where the packages of a revision lie that a machine upgrades from and to.
pub fn dir_of(revision: u32) -> PathBuf {
    sh::target_dir().join(format!("packages-of-machines/{revision}"))
}

/// Makes the packages that machines install, and those that they upgrade to.
pub fn for_machines(bins: &Path) -> Result<()> {
    setup::ensure(Purpose::Dist)?;
    for revision in [1, 2] {
        let dir = dir_of(revision);
        let _it_may_not_be_there = fs::remove_dir_all(&dir);
        make(&Args { arch: Arch::X86_64, revision, bin_dir: None, check: false }, bins, &dir)?;
    }
    Ok(())
}

/// Makes all packages in `out`, and says which.
fn make(args: &Args, bins: &Path, out: &Path) -> Result<Vec<PathBuf>> {
    let release = Release {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: args.revision,
        arch: args.arch,
        epoch: epoch()?,
    };
    let table = Table::read()?;
    let work = sh::target_dir().join("dist");
    let _it_may_not_be_there = fs::remove_dir_all(&work);
    let made = work.join("made");
    for dir in [&made, &out.to_path_buf()] {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let here = runnable(args.arch, bins)?;
    completions::make(&here, &made)?;
    manual(&here, &made)?;
    tree::source_of_programs(&release, &made.join("peripety-ebpf.tar.gz"))?;
    let from = tree::From { bins: bins.to_path_buf(), made };
    let mut packages = Vec::new();
    for package in &table.packages {
        packages.push(deb::make(&release, &table, package, &from, &work, out)?);
        packages.push(rpm::make(&release, &table, package, &from, &work, out)?);
    }
    Ok(packages)
}

/// Programs that run on this machine: those for others do not.
fn runnable(arch: Arch, bins: &Path) -> Result<PathBuf> {
    if arch.is_this_machine() { Ok(bins.to_path_buf()) } else { crate::build::binaries(Profile::Debug) }
}

/// The manual's pages, and the logs that its examples read.
fn manual(bins: &Path, made: &Path) -> Result<()> {
    let html = manual::make(bins)?;
    let to = made.join("manual");
    fs::rename(&html, &to).with_context(|| format!("cannot move {} to {}", html.display(), to.display()))?;
    manual::logs(&made.join("logs"))
}

/// The time of the last commit, or what the caller sets; outside of a repository that of the changelog.
fn epoch() -> Result<u64> {
    if let Ok(set) = std::env::var("SOURCE_DATE_EPOCH") {
        return set.parse().with_context(|| format!("SOURCE_DATE_EPOCH is {set}, and no number"));
    }
    let shown = sh::output(Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(sh::root()));
    if let Some(time) = shown.and_then(|time| time.trim().parse().ok()) {
        return Ok(time);
    }
    let changed = fs::metadata(sh::root().join("CHANGELOG.md")).and_then(|meta| meta.modified());
    let changed = changed.context("CHANGELOG.md is not here")?;
    Ok(changed.duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs()))
}
