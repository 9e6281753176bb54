//! A Rust toolchain that can build the eBPF programs: with the sources of `core` and the LLVM that bpf-linker loads.
//!
//! Ways, in order: rust-src for the active toolchain; a toolchain of rustup with that LLVM; one of Debian, linked into
//! rustup, for a machine that reaches no server of rustup.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, Result, bail};

use super::packages;
use crate::sh;

#[path = "../../../peripety/build/toolchain.rs"]
#[expect(dead_code, reason = "the build script, which it belongs to, uses more of it")]
mod choice;

pub use choice::{BPF_LINKER, Toolchain, pick};
use choice::{LINKED, PINNED, Unfit};

/// The sources are 3 MB; a server that cannot be reached shall not keep anyone waiting.
const LIMIT_SOURCES: Duration = Duration::from_secs(60);
/// A toolchain is about 150 MB.
const LIMIT_TOOLCHAIN: Duration = Duration::from_secs(600);

pub fn ensure() -> Result<()> {
    let Err(reasons) = pick() else { return Ok(()) };
    let listed: Vec<_> = reasons.iter().map(|(name, unfit)| format!("{name} {unfit}")).collect();
    eprintln!("setup: no toolchain can build the eBPF programs yet: {}", listed.join("; "));

    let mut tried = Vec::new();
    // A toolchain that lacks only the sources is the cheapest to complete; the server is the same for all of them.
    let way = match reasons.iter().find(|(name, unfit)| *unfit == Unfit::NoSources && name != LINKED) {
        Some((name, _)) => {
            (["component", "add", "rust-src", "--toolchain", name].map(str::to_owned).to_vec(), LIMIT_SOURCES)
        }
        None => {
            let args = ["toolchain", "install", PINNED, "--component", "rust-src", "--profile", "minimal"];
            (args.map(str::to_owned).to_vec(), LIMIT_TOOLCHAIN)
        }
    };
    let (args, limit) = way;
    let mut rustup = Command::new("rustup");
    rustup.args(args).env("RUSTUP_MAX_RETRIES", "0");
    eprintln!("setup: running {}", sh::shown(&rustup));
    match sh::quietly(&mut rustup, limit) {
        Ok(()) => match pick() {
            Ok(_) => return Ok(()),
            Err(_) => tried.push(format!("{} was not enough", sh::shown(&rustup))),
        },
        Err(error) => tried.push(format!("{error:#}")),
    }
    if packages::has_debian_toolchain() {
        eprintln!("setup: that did not do ({}); taking Debian's toolchain", tried.join("; "));
        link_debian()?;
        if pick().is_ok() {
            return Ok(());
        }
        tried.push("Debian's toolchain has another LLVM".to_owned());
    }
    bail!(
        "no toolchain can build the eBPF programs: {}. By hand: rustup toolchain install {PINNED} --component rust-src",
        tried.join("; ")
    )
}

fn link_debian() -> Result<()> {
    packages::install(&["rustc-web", "cargo-web", "rust-web-src"])?;
    let mut link = Command::new("rustup");
    link.args(["toolchain", "link", LINKED, "/usr"]);
    eprintln!("setup: running {}", sh::shown(&link));
    sh::run(&mut link).context("linking Debian's toolchain into rustup")
}
