//! The binaries that packages carry.

use std::{env, path::PathBuf};

use anyhow::{Context as _, Result};

use super::Arch;
use crate::{build, fold, setup, sh};

/// Builds them, and gives the directory they are in.
pub fn binaries(arch: Arch) -> Result<PathBuf> {
    eprintln!("dist: building optimised for {} (some minutes the first time)", arch.rpm());
    let target = arch.target();
    let mut cargo = build::cargo();
    cargo.args(["--profile", "dist", "--target", target]).env("CARGO_INCREMENTAL", "0");
    let mut flags = flags()?;
    if !arch.is_this_machine() {
        cargo.envs(setup::cross::ensure(target)?);
        flags = format!("{flags} {}", setup::cross::FLAGS);
    }
    cargo.env("RUSTFLAGS", flags);
    fold::run(&mut cargo, "dist")?;
    Ok(sh::target_dir().join(target).join("dist"))
}

/// The binaries name no directory of the machine that built them.
fn flags() -> Result<String> {
    let home = env::var_os("HOME").map(PathBuf::from).context("HOME is not set")?;
    let cargo_home = env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let mut flags = env::var("RUSTFLAGS").map(|flags| flags + " ").unwrap_or_default();
    flags += &format!(
        "--remap-path-prefix={}=/usr/src/peripety --remap-path-prefix={}=/usr/src/cargo",
        sh::root().display(),
        cargo_home.display()
    );
    Ok(flags)
}
