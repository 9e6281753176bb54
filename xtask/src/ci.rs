//! `cargo xtask ci`: what is not a test, warnings denied.

use std::{env, process::Command};

use anyhow::Result;

use crate::{
    deny, manual,
    setup::toolchain::{Toolchain, pick},
    sh,
};

/// Everything that runs on this machine: all but the eBPF programs.
const HOST: [&str; 3] = ["--workspace", "--exclude", "peripety-ebpf"];

pub fn run() -> Result<()> {
    eprintln!("== formatting");
    sh::run(&mut sh::cargo(["fmt", "--all", "--check"]))?;
    eprintln!("== lints");
    sh::run(sh::cargo(["clippy", "--quiet"]).args(HOST).args(["--all-targets", "--", "--deny", "warnings"]))?;
    // Others take these by themselves, with what they need and nothing else.
    for package in ["peripety-model", "peripety-block"] {
        sh::run(&mut sh::cargo(["check", "--quiet", "--package", package, "--no-default-features"]))?;
    }
    eprintln!("== examples");
    examples()?;
    eprintln!("== manual");
    manual::in_ci()?;
    lint_ebpf()?;
    eprintln!("== dependencies");
    deny::if_installed()?;
    eprintln!("== documentation");
    let docs = &mut sh::cargo(["doc", "--quiet", "--no-deps", "--document-private-items"]);
    // These pages are for developers, who get the private items too: links to them hold.
    let flags = "--deny warnings --allow rustdoc::private-intra-doc-links";
    sh::run(docs.args(HOST).env("RUSTDOCFLAGS", flags))
}

/// Each example does what it says, on this machine.
fn examples() -> Result<()> {
    for (package, example, args) in [
        ("peripety-model", "worst", &[][..]),
        ("peripety-model", "vocabulary", &["scsi"]),
        ("peripety-model", "filter", &["{\"severity\":\"error\"}"]),
        ("peripety-block", "whatis", &[]),
        ("peripety-block", "stacks", &[]),
        ("peripety-block", "mounts", &[]),
    ] {
        let cargo = &mut sh::cargo(["run", "--quiet", "--package", package, "--example", example, "--"]);
        sh::run(cargo.args(args).stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()))?;
    }
    Ok(())
}

/// The eBPF programs are linted for the machine they are for.
fn lint_ebpf() -> Result<()> {
    let Ok(Toolchain { name, .. }) = pick() else {
        eprintln!("skipped: lints of peripety-ebpf: no toolchain; run: cargo xtask setup");
        return Ok(());
    };
    let cargo = |args: &[&str]| {
        let mut command = Command::new("rustup");
        command.args(["run", &name, "cargo"]).args(args).current_dir(sh::root()).env("RUSTC_BOOTSTRAP", "1");
        command
    };
    if !sh::succeeds(&mut cargo(&["clippy", "--version"])) {
        eprintln!("skipped: lints of peripety-ebpf: toolchain {name} has no clippy");
        return Ok(());
    }
    let target = if cfg!(target_endian = "big") { "bpfeb-unknown-none" } else { "bpfel-unknown-none" };
    let clippy = &mut cargo(&["clippy", "--quiet", "--package", "peripety-ebpf", "--target", target]);
    clippy.args(["-Z", "build-std=core", "--", "--deny", "warnings"]);
    sh::run(clippy.env("RUSTFLAGS", format!("--cfg=bpf_target_arch=\"{}\"", env::consts::ARCH)))
}
