//! One .rpm.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use super::{
    Release, deb,
    table::{Format, Package, Table, filled},
    tree::{self, From, Placed},
};
use crate::sh;

/// What the package has to have the same on every machine that builds it, and nothing that rpm would do to files.
const DEFINES: &[&str] = &[
    "_build_id_links none",
    "__os_install_post %{nil}",
    "debug_package %{nil}",
    "_buildhost peripety",
    "use_source_date_epoch_as_buildtime 1",
    "clamp_mtime_to_source_date_epoch 1",
    "source_date_epoch_from_changelog 0",
    // Every version of rpm reads it.
    "_binary_payload w9.gzdio",
    "_source_filedigest_algorithm 8",
    "_binary_filedigest_algorithm 8",
];

/// Makes the package in `out`.
pub fn make(
    release: &Release,
    table: &Table,
    package: &Package,
    from: &From,
    work: &Path,
    out: &Path,
) -> Result<PathBuf> {
    let top = work.join("rpm").join(&package.name);
    let root = top.join("root");
    let placed = tree::lay_out(package, Format::Rpm, from, &root)?;
    let spec = top.join(format!("{}.spec", package.name));
    fs::write(&spec, text(release, table, package, &placed)?)
        .with_context(|| format!("cannot write {}", spec.display()))?;

    let mut rpmbuild = Command::new("rpmbuild");
    rpmbuild.args(["--quiet", "-bb", "--target", &format!("{}-linux", release.arch.rpm())]);
    rpmbuild.arg("--buildroot").arg(&root);
    for define in DEFINES {
        rpmbuild.args(["--define", define]);
    }
    rpmbuild.args(["--define", &format!("_topdir {}", top.join("build").display())]);
    rpmbuild.args(["--define", &format!("_rpmdir {}", top.display())]);
    rpmbuild.arg(&spec).env("SOURCE_DATE_EPOCH", release.epoch.to_string()).stdout(Stdio::null());
    sh::run(&mut rpmbuild)?;
    let name =
        format!("{}-{}-{}.{}.rpm", package.name, release.version, release.revision, release.arch.rpm());
    let (made, file) = (top.join(release.arch.rpm()).join(&name), out.join(&name));
    fs::copy(&made, &file)
        .with_context(|| format!("cannot copy {} to {}", made.display(), file.display()))?;
    Ok(file)
}

fn text(release: &Release, table: &Table, package: &Package, placed: &[Placed]) -> Result<String> {
    let mut files = String::new();
    for file in placed {
        let kind = if file.is_dir {
            "%dir "
        } else if file.config {
            "%config(noreplace) "
        } else if file.path.starts_with("/usr/share/licenses/") {
            "%license "
        } else if file.path.starts_with("/usr/share/doc/") || file.path.starts_with("/usr/share/man/") {
            "%doc "
        } else {
            ""
        };
        let _cannot_fail = writeln!(files, "%attr({:04o}, root, root) {kind}{}", file.mode, file.path);
    }
    // Directories that no other package has: rpm removes only those that are listed.
    let own = ["peripety", "95peripety", package.name.as_str()];
    let is_own = |dir: &&Path| dir.iter().any(|part| own.iter().any(|own| part == *own));
    let above = placed.iter().flat_map(|file| Path::new(&file.path).ancestors().skip(1));
    let dirs: BTreeSet<&Path> = above.filter(is_own).collect();
    for dir in dirs {
        let _cannot_fail = writeln!(files, "%dir %attr(0755, root, root) {}", dir.display());
    }
    let full = format!("{}-{}", release.version, release.revision);
    let mut requires: String =
        package.needs_same.iter().map(|name| format!("Requires: {name} = {full}\n")).collect();
    if let Some(recommends) = &package.rpm_recommends {
        let _cannot_fail = writeln!(requires, "Recommends: {recommends}");
    }
    let before = package.before_removal.as_deref();
    let before = before.map(|run| format!("    {run} >/dev/null 2>&1 || :")).unwrap_or_default();
    filled(
        "rpm.spec",
        &[
            ("NAME", &package.name),
            ("VERSION", &release.version),
            ("REVISION", &release.revision.to_string()),
            ("SUMMARY", &capitalised(&package.summary)),
            ("LICENSE", &package.license),
            ("HOMEPAGE", &table.homepage),
            ("MAINTAINER", &table.maintainer),
            ("REQUIRES", requires.trim_end()),
            ("DESCRIPTION", package.description.trim()),
            ("SERVICE", &package.service),
            ("SOCKET", &package.socket_word()),
            ("STATE", &package.state.join(" ")),
            ("BEFORE_REMOVAL", &before),
            ("FILES", files.trim_end()),
            ("DATE", &deb::date(release.epoch, "+%a %b %d %Y")?),
        ],
    )
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
