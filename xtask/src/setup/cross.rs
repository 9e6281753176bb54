//! What a build for 64-bit Arm takes on an x86-64 machine: Rust's library, a linker, and libsystemd unpacked beside.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::packages;
use crate::{sh, vm::Suite};

/// Of Debian's own library, so that the packages fit it and what is later.
const SUITE: &str = "bookworm";
const LIBRARIES: [&str; 2] = ["libsystemd-dev", "libsystemd0"];

/// Brings what is missing, and gives the environment for cargo.
pub fn ensure(target: &str) -> Result<Vec<(String, String)>> {
    ensure!(target == "aarch64-unknown-linux-gnu", "only aarch64 is known to be built on another machine");
    ensure!(sh::find("apt-get").is_some(), "building for another machine is known for Debian only");
    if sh::find("aarch64-linux-gnu-gcc").is_none() {
        packages::install(&["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"])?;
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", target]).env("RUSTUP_MAX_RETRIES", "0");
    eprintln!("setup: running {}", sh::shown(&rustup));
    sh::run(rustup.stderr(std::process::Stdio::null()))?;
    let root = libraries()?;
    let lib = root.join("usr/lib/aarch64-linux-gnu");
    let variable = |name: &str| format!("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_{name}");
    Ok(vec![
        (variable("LINKER"), "aarch64-linux-gnu-gcc".to_owned()),
        ("PKG_CONFIG_ALLOW_CROSS".to_owned(), "1".to_owned()),
        ("PKG_CONFIG_LIBDIR".to_owned(), lib.join("pkgconfig").display().to_string()),
        ("PKG_CONFIG_SYSROOT_DIR".to_owned(), root.display().to_string()),
    ])
}

/// What libsystemd itself needs is looked for where it is installed, and not here.
pub const FLAGS: &str = "-Clink-arg=-Wl,--allow-shlib-undefined";

fn libraries() -> Result<PathBuf> {
    let dir = sh::target_dir().join("cross/aarch64");
    let root = dir.join("root");
    if root.join("usr/lib/aarch64-linux-gnu/pkgconfig/libsystemd.pc").exists() {
        return Ok(root);
    }
    eprintln!("setup: unpacking libsystemd of Debian's arm64 (a minute, once)");
    fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
    let suite = Suite::open(SUITE, "arm64", dir.join("apt"))?;
    suite.unpack(&LIBRARIES.map(str::to_owned), &root)?;
    Ok(root)
}
