//! Which Rust toolchain can build the eBPF programs: one with the sources of `core`, and with the LLVM that bpf-linker
//! loads. The build script picks one; `cargo xtask setup` includes this file to see whether there is one to pick.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Version of bpf-linker: the last one that uses the LLVM that comes with rustc.
pub const BPF_LINKER: &str = "0.10.3";
/// The LLVM that this bpf-linker is made for. Another major version has another interface.
pub const LLVM_MAJOR: u32 = 22;
/// A toolchain of rustup that has this LLVM, for a machine whose own toolchain has another.
pub const PINNED: &str = "1.95.0";
/// Name under which set-up links a toolchain of the distribution.
pub const LINKED: &str = "peripety-ebpf";

/// A toolchain that can build the eBPF programs.
#[derive(Debug)]
pub struct Toolchain {
    /// Its name for `rustup run`.
    pub name: String,
    /// Its LLVM, for bpf-linker to load.
    pub llvm: PathBuf,
}

/// Why a toolchain cannot.
#[derive(Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It does not run: not installed.
    Missing,
    /// The sources of `core` are not there.
    NoSources,
    /// LLVM of another version.
    Llvm(String),
    /// No shared library of LLVM.
    NoLibLlvm,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is not installed"),
            Self::NoSources => f.write_str("has no rust-src"),
            Self::Llvm(version) => {
                write!(f, "has LLVM {version}, and bpf-linker {BPF_LINKER} needs LLVM {LLVM_MAJOR}")
            }
            Self::NoLibLlvm => f.write_str("has no shared library of LLVM"),
        }
    }
}

/// The toolchains that may do, the preferred one first.
pub fn candidates() -> Vec<String> {
    let mut names: Vec<String> = active().into_iter().collect();
    names.extend([PINNED, LINKED].map(str::to_owned));
    names
}

/// The toolchain that runs cargo; none without rustup, and then there is only one.
pub fn active() -> Option<String> {
    if let Ok(name) = env::var("RUSTUP_TOOLCHAIN") {
        return Some(name);
    }
    let shown = output(Command::new("rustup").args(["show", "active-toolchain"]))?;
    shown.split_whitespace().next().map(str::to_owned)
}

/// The first candidate that can build the eBPF programs, or why none of them can.
pub fn pick() -> Result<Toolchain, Vec<(String, Unfit)>> {
    let mut reasons = Vec::new();
    for name in candidates() {
        match examine(&name) {
            Ok(toolchain) => return Ok(toolchain),
            Err(unfit) => reasons.push((name, unfit)),
        }
    }
    Err(reasons)
}

/// Whether the toolchain `name` can build the eBPF programs.
pub fn examine(name: &str) -> Result<Toolchain, Unfit> {
    let rustc = |args: &[&str]| {
        // rustup would download a toolchain that is missing: that is for set-up to do, and to say.
        output(Command::new("rustup").args(["run", name, "rustc"]).args(args).env("RUSTUP_AUTO_INSTALL", "0"))
            .ok_or(Unfit::Missing)
    };
    let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?.trim());
    if !sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs").exists() {
        return Err(Unfit::NoSources);
    }
    let version = rustc(&["-vV"])?;
    let llvm = version.lines().find_map(|l| l.strip_prefix("LLVM version: ")).unwrap_or("of unknown version");
    if llvm.split('.').next().and_then(|major| major.parse().ok()) != Some(LLVM_MAJOR) {
        return Err(Unfit::Llvm(llvm.to_owned()));
    }
    let llvm = find_llvm(&sysroot).ok_or(Unfit::NoLibLlvm)?;
    Ok(Toolchain { name: name.to_owned(), llvm })
}

/// rustup keeps LLVM in `lib`, distributions among all other libraries, beside other versions of it.
fn find_llvm(sysroot: &Path) -> Option<PathBuf> {
    let multiarch = format!("lib/{}-linux-gnu", env::consts::ARCH);
    ["lib", "lib64", &multiarch].iter().find_map(|dir| {
        let mut found: Vec<PathBuf> =
            sysroot.join(dir).read_dir().ok()?.flatten().map(|e| e.path()).collect();
        found.retain(|path| path.file_name().and_then(|n| n.to_str()).is_some_and(is_llvm));
        found.sort();
        found.into_iter().next()
    })
}

/// `libLLVM-22-rust-1.95.0-stable.so`, `libLLVM.so.22.1-rust-1.95.0-stable`, `libLLVM.so.22.1`, `libLLVM-22.so`.
fn is_llvm(file: &str) -> bool {
    let Some(rest) = file.strip_prefix("libLLVM").map(|r| r.trim_start_matches(".so")) else { return false };
    let digits: String = rest.chars().skip(1).take_while(char::is_ascii_digit).collect();
    rest.starts_with(['-', '.']) && digits == LLVM_MAJOR.to_string()
}

/// What a command prints, if it ends well.
fn output(command: &mut Command) -> Option<String> {
    let output =
        command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok().filter(|o| o.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
