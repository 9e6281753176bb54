//! varlinkctl, the usual program to speak Varlink: systemd has it from 255 on, so it comes from a suite that is new enough.

use std::{fs, process::Command};

use anyhow::{Context as _, Result};

use crate::{sh, vm::archive};

/// The first release of Debian that has it.
const SUITE: &str = "trixie";
/// Where it is below the directory that cargo builds into.
const PROGRAM: &str = "varlinkctl/usr/bin/varlinkctl";

/// Unpacks it, if it is not there yet. Without it the tests that need it are skipped.
pub fn ensure() {
    if sh::find("mmdebstrap").is_none() || sh::target_dir().join(PROGRAM).exists() {
        return;
    }
    eprintln!("setup: unpacking varlinkctl (50 MB)");
    if let Err(error) = unpack() {
        eprintln!("setup: {error:#}; the tests that need varlinkctl are skipped");
    }
}

fn unpack() -> Result<()> {
    let root = sh::target_dir().join("varlinkctl");
    let _old = fs::remove_dir_all(&root);
    let mut strap = Command::new("mmdebstrap");
    strap
        .args(["--quiet", "--variant=extract", "--include=systemd,libc-bin", SUITE])
        .arg(&root)
        .arg(archive()?);
    sh::run(&mut strap).context("unpacking varlinkctl")
}
