//! Programs that cargo installs.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::toolchain::BPF_LINKER;
use crate::{fold, sh};

/// bpf-linker of our version or a later one, which brings an LLVM of its own.
pub fn ensure_bpf_linker() -> Result<()> {
    let installed = sh::output(Command::new("bpf-linker").arg("--version"));
    let version = installed.as_deref().and_then(|text| text.split_whitespace().nth(1));
    if version.and_then(numbers) >= numbers(BPF_LINKER) {
        return Ok(());
    }
    let why = version.map_or("is missing".to_owned(), |v| format!("is version {v}, too old"));
    eprintln!("setup: bpf-linker, which links the eBPF programs, {why}");
    install("bpf-linker", BPF_LINKER)
}

pub fn ensure_cargo_fuzz() -> Result<()> {
    if sh::find("cargo-fuzz").is_some() {
        return Ok(());
    }
    eprintln!("setup: cargo-fuzz is missing");
    install("cargo-fuzz", "0.13.1")
}

pub fn ensure_cargo_deny() -> Result<()> {
    if sh::find("cargo-deny").is_some() {
        return Ok(());
    }
    eprintln!("setup: cargo-deny is missing");
    install("cargo-deny", "0.20.2")
}

pub fn ensure_cargo_semver_checks() -> Result<()> {
    if sh::find("cargo-semver-checks").is_some() {
        return Ok(());
    }
    eprintln!("setup: cargo-semver-checks is missing");
    install("cargo-semver-checks", "0.51.0")
}

pub fn ensure_mdbook() -> Result<()> {
    if sh::find("mdbook").is_some() {
        return Ok(());
    }
    eprintln!("setup: mdbook, which makes the pages of the manual, is missing");
    install("mdbook", "0.5.4")
}

fn install(name: &str, version: &str) -> Result<()> {
    let mut command = sh::cargo(["install", name, "--version", version, "--locked"]);
    eprintln!("setup: running {} (a minute or two)", sh::shown(&command));
    fold::run(&mut command, "setup").with_context(|| format!("installing {name}"))
}

/// `0.10.3` as numbers that compare.
fn numbers(version: &str) -> Option<Vec<u32>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_compare_by_number() {
        assert!(numbers("0.10.3") > numbers("0.9.15"));
        assert!(numbers("0.11.0") > numbers("0.10.3"));
        assert!(None < numbers("0.10.3"));
        assert_eq!(numbers("unknown"), None);
    }
}
