//! Builds the eBPF programs; the loader embeds `$OUT_DIR/peripety-ebpf`.
//!
//! `-Z build-std=core` wants RUSTC_BOOTSTRAP=1 on a stable toolchain, and bpf-linker wants LD_LIBRARY_PATH. Neither may be
//! set for the rest of the build, nor safely within a running process: the script runs itself a second time with them.

#![expect(clippy::print_stderr, reason = "cargo shows stderr of a build script that fails")]

#[path = "build/strip.rs"]
mod strip;
#[path = "build/toolchain.rs"]
mod toolchain;

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// Set in the second run, to the name of the toolchain.
const INNER: &str = "PERIPETY_EBPF_TOOLCHAIN";
/// For lints and docs: leave out the eBPF programs.
const SKIP: &str = "AYA_BUILD_SKIP";
const OBJECT: &str = "peripety-ebpf";

fn main() -> ExitCode {
    // The reason alone: anyhow's own report has a backtrace where RUST_BACKTRACE is set.
    run().map_or_else(
        |error| {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn run() -> Result<()> {
    if let Ok(toolchain) = env::var(INNER) {
        let package = aya_build::Package { name: OBJECT, root_dir: "../peripety-ebpf", ..Default::default() };
        return aya_build::build_ebpf([package], aya_build::Toolchain::Custom(&toolchain));
    }

    for input in
        ["build.rs", "build", "../peripety-ebpf/src", "../peripety-ebpf/Cargo.toml", "../peripety-common/src"]
    {
        println!("cargo:rerun-if-changed={input}");
    }
    println!("cargo:rerun-if-env-changed={SKIP}");

    let out_dir =
        PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is not set: only cargo can run this")?);
    let skip = env::var(SKIP).is_ok_and(|skip| skip == "1" || skip.eq_ignore_ascii_case("true"));
    if skip || env::var_os("CARGO_FEATURE_EBPF").is_none() {
        // The crate still compiles; the loader takes an empty object for a build without eBPF.
        return fs::write(out_dir.join(OBJECT), []).context("writing an empty eBPF object");
    }

    build(&out_dir)?;
    let object = out_dir.join(OBJECT);
    let linked = fs::read(&object).with_context(|| format!("reading {}", object.display()))?;
    let stripped = strip::without_dwarf(&linked).context("taking DWARF out of the eBPF object")?;
    fs::write(&object, stripped).with_context(|| format!("writing {}", object.display()))
}

fn build(out_dir: &Path) -> Result<()> {
    let toolchain = toolchain::pick().map_err(|reasons| {
        let reasons: Vec<_> = reasons.iter().map(|(name, unfit)| format!("{name} {unfit}")).collect();
        anyhow::anyhow!(
            "no toolchain can build the eBPF programs ({}). Run: cargo xtask setup",
            reasons.join("; ")
        )
    })?;
    if !in_path("bpf-linker") {
        bail!("bpf-linker, which links the eBPF programs, is not in PATH. Run: cargo xtask setup");
    }

    // bpf-linker loads the first libLLVM* of a directory, and a distribution's holds several versions.
    let llvm_dir = out_dir.join("llvm");
    let _none_yet = fs::remove_dir_all(&llvm_dir);
    fs::create_dir_all(&llvm_dir).with_context(|| format!("creating {}", llvm_dir.display()))?;
    let name = toolchain.llvm.file_name().context("LLVM has no file name")?;
    symlink(&toolchain.llvm, llvm_dir.join(name))
        .with_context(|| format!("linking {}", toolchain.llvm.display()))?;
    let mut library_path = vec![llvm_dir];
    library_path.extend(env::split_paths(&env::var_os("LD_LIBRARY_PATH").unwrap_or_default()));

    let mut inner = Command::new(env::current_exe().context("finding the build script")?)
        .env(INNER, &toolchain.name)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("LD_LIBRARY_PATH", env::join_paths(library_path).context("LD_LIBRARY_PATH")?)
        .stdout(Stdio::piped())
        .spawn()
        .context("running the build script a second time")?;
    let stdout = inner.stdout.take().context("stdout of the second run")?;
    let mut said = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let line = line.context("reading from the second run")?;
        // aya-build's inputs are a directory with more in it than we depend on; ours stand above.
        if let Some(warning) = line.strip_prefix("cargo:warning=") {
            said.push(warning.to_owned());
        }
    }
    let ok = inner.wait().context("waiting for the second run")?.success();
    // cargo's progress is no warning.
    said.retain(|line| !is_progress(line));
    if ok {
        said.iter().for_each(|line| println!("cargo:warning={line}"));
    } else {
        said.iter().for_each(|line| eprintln!("{line}"));
        bail!(
            "building peripety-ebpf with toolchain {} failed; what cargo said stands above",
            toolchain.name
        );
    }
    Ok(())
}

fn in_path(program: &str) -> bool {
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join(program).is_file())
}

fn is_progress(line: &str) -> bool {
    const VERBS: &[&str] = &[
        "Compiling",
        "Finished",
        "Downloading",
        "Downloaded",
        "Updating",
        "Locking",
        "Blocking",
        "Adding",
        "Fresh",
    ];
    line.trim().is_empty() || VERBS.iter().any(|verb| line.trim_start().starts_with(verb))
}
