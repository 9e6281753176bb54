//! The files of a package, laid out as they are installed.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::{
    Release,
    table::{Entry, Format, Package},
};
use crate::sh;

/// Where `{bin}` and `{made}` are.
pub struct From {
    pub bins: PathBuf,
    pub made: PathBuf,
}

/// A file or directory of a package, by the path it is installed at.
pub struct Placed {
    pub path: String,
    pub is_dir: bool,
    pub config: bool,
    pub mode: u32,
}

/// Lays out the files of a package below `root`, and says which.
pub fn lay_out(package: &Package, format: Format, from: &From, root: &Path) -> Result<Vec<Placed>> {
    fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
    let mut placed = Vec::new();
    for entry in package.files.iter().filter(|entry| entry.only.is_none_or(|only| only == format)) {
        let sources = sources(entry, from)?;
        ensure!(!sources.is_empty(), "{}: no file is called so", entry.from);
        for (source, name) in sources {
            placed.push(place(entry, &source, &name, root)?);
        }
    }
    for dir in &package.directories {
        make_dir(&root.join(dir.trim_start_matches('/')))?;
        placed.push(Placed { path: dir.clone(), is_dir: true, config: false, mode: 0o755 });
    }
    Ok(placed)
}

/// The files that an entry means, each with its name below where it comes to lie.
fn sources(entry: &Entry, from: &From) -> Result<Vec<(PathBuf, String)>> {
    let path = if let Some(name) = entry.from.strip_prefix("{bin}/") {
        from.bins.join(name)
    } else if let Some(name) = entry.from.strip_prefix("{made}/") {
        from.made.join(name)
    } else {
        sh::root().join(&entry.from)
    };
    if entry.from.ends_with('/') {
        let named = |file: PathBuf| {
            let name = file.strip_prefix(&path).unwrap_or(&file).to_string_lossy().into_owned();
            (file, name)
        };
        return Ok(sh::files(&path)?.into_iter().map(named).collect());
    }
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let Some((start, end)) = name.split_once('*') else { return Ok(vec![(path, name)]) };
    let dir = path.parent().unwrap_or(sh::root());
    let listed = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let named =
        listed.flatten().map(|entry| (entry.path(), entry.file_name().to_string_lossy().into_owned()));
    let mut found: Vec<_> =
        named.filter(|(_, name)| name.starts_with(start) && name.ends_with(end)).collect();
    found.sort();
    Ok(found)
}

fn place(entry: &Entry, source: &Path, name: &str, root: &Path) -> Result<Placed> {
    let mut path = entry.to.clone();
    if path.ends_with('/') {
        path += name;
    }
    let mut to = root.join(path.trim_start_matches('/'));
    make_dir(to.parent().unwrap_or(root))?;
    fs::copy(source, &to).with_context(|| format!("cannot copy {} to {}", source.display(), to.display()))?;
    if entry.gzip {
        gzip(&to)?;
        path += ".gz";
        to = root.join(path.trim_start_matches('/'));
    }
    if entry.from.starts_with("{bin}/") {
        strip(&to)?;
    }
    set_mode(&to, entry.mode)?;
    Ok(Placed { path, is_dir: false, config: entry.config, mode: entry.mode })
}

/// Takes out of a program what it does not need to run.
fn strip(program: &Path) -> Result<()> {
    let strip = |name: &str| {
        let mut strip = Command::new(name);
        sh::succeeds(
            strip
                .args(["--strip-all", "--remove-section=.comment", "--enable-deterministic-archives"])
                .arg(program),
        )
    };
    // Of another machine's programs only the binutils of that machine know anything.
    ensure!(strip("strip") || strip("aarch64-linux-gnu-strip"), "strip cannot strip {}", program.display());
    Ok(())
}

/// Makes directories that everybody may read, whatever this process' umask is.
pub fn make_dir(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_dir(parent)?;
    }
    fs::create_dir(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    set_mode(dir, 0o755)
}

pub fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the mode of {}", path.display()))
}

/// Writes a file of a package.
pub fn write(file: &Path, text: &str, mode: u32) -> Result<()> {
    make_dir(file.parent().unwrap_or(file))?;
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    set_mode(file, mode)
}

/// Compresses a file in its place, without its time and name.
pub fn gzip(file: &Path) -> Result<()> {
    sh::run(Command::new("gzip").args(["--force", "--best", "--no-name"]).arg(file))
}

/// The source of the eBPF programs: the kernel runs them, and they are under the GPL.
pub fn source_of_programs(release: &Release, file: &Path) -> Result<()> {
    let tar = file.with_extension("");
    let mut command = Command::new("tar");
    command.args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"]);
    command.arg("--mode=u=rwX,go=rX").arg(format!("--mtime=@{}", release.epoch)).arg("--file").arg(&tar);
    command.arg("--directory").arg(sh::root());
    sh::run(command.args([
        "--exclude=target",
        "peripety-ebpf",
        "peripety-common",
        "LICENSE-GPL-2.0",
        "LICENSE-MIT",
    ]))?;
    gzip(&tar)
}
