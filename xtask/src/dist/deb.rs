//! One .deb.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{
    Release, elf,
    table::{Format, Package, Table, filled},
    tree::{self, From, Placed},
};
use crate::sh;

/// Makes the package in `out`.
pub fn make(
    release: &Release,
    table: &Table,
    package: &Package,
    from: &From,
    work: &Path,
    out: &Path,
) -> Result<PathBuf> {
    let root = work.join("deb").join(&package.name);
    let mut placed = tree::lay_out(package, Format::Deb, from, &root)?;
    placed.extend(documents(release, table, package, &root)?);
    control(release, table, package, &placed, &root)?;

    let file = out.join(format!(
        "{}_{}-{}_{}.deb",
        package.name,
        release.version,
        release.revision,
        release.arch.deb()
    ));
    let mut dpkg = Command::new("dpkg-deb");
    // xz: what every version of dpkg reads.
    dpkg.args(["--root-owner-group", "-Zxz", "--build"]).arg(&root).arg(&file);
    dpkg.env("SOURCE_DATE_EPOCH", release.epoch.to_string()).stdout(std::process::Stdio::null());
    sh::run(&mut dpkg)?;
    Ok(file)
}

/// What Debian wants in every package.
fn documents(release: &Release, table: &Table, package: &Package, root: &Path) -> Result<Vec<Placed>> {
    let doc = format!("usr/share/doc/{}", package.name);
    let copyright = filled("deb.copyright", &[("HOMEPAGE", &table.homepage)])?;
    tree::write(&root.join(&doc).join("copyright"), &copyright, 0o644)?;
    let changes = fs::read_to_string(sh::root().join("CHANGELOG.md")).context("cannot read CHANGELOG.md")?;
    let upstream = root.join(&doc).join("changelog");
    tree::write(&upstream, &changes, 0o644)?;
    tree::gzip(&upstream)?;
    let (version, revision, name) = (&release.version, release.revision, &package.name);
    let date = date(release.epoch, "+%a, %d %b %Y %H:%M:%S +0000")?;
    let debian = root.join(&doc).join("changelog.Debian");
    let text = format!(
        "{name} ({version}-{revision}) unstable; urgency=medium\n\n  * Version {version}; changelog.gz says what is in it.\n\n -- {}  {date}\n",
        table.maintainer
    );
    tree::write(&debian, &text, 0o644)?;
    tree::gzip(&debian)?;
    let overrides = format!("usr/share/lintian/overrides/{name}");
    tree::write(&root.join(&overrides), &filled("deb.lintian-overrides", &[])?, 0o644)?;
    let in_doc = ["changelog.Debian.gz", "changelog.gz", "copyright"].map(|file| format!("/{doc}/{file}"));
    let paths = in_doc.into_iter().chain([format!("/{overrides}")]);
    Ok(paths.map(|path| Placed { path, is_dir: false, config: false, mode: 0o644 }).collect())
}

fn control(
    release: &Release,
    table: &Table,
    package: &Package,
    placed: &[Placed],
    root: &Path,
) -> Result<()> {
    let debian = root.join("DEBIAN");
    let at = |path: &str| root.join(path.trim_start_matches('/'));
    let programs: Vec<_> = package.programs.iter().map(|path| at(path)).collect();
    let mut depends = elf::depends(&programs)?;
    let full = format!("{}-{}", release.version, release.revision);
    depends.extend(package.needs_same.iter().map(|name| format!("{name} (= {full})")));
    let (mut bytes, mut sums) = (0, String::new());
    for file in placed.iter().filter(|file| !file.is_dir) {
        let meta = fs::metadata(at(&file.path)).with_context(|| format!("{} is not there", file.path))?;
        bytes += meta.len().next_multiple_of(1024);
        if !file.config {
            let mut md5sum = Command::new("md5sum");
            let sum = sh::output(md5sum.arg(at(&file.path))).context("md5sum does not run")?;
            let sum = sum.split_whitespace().next().unwrap_or_default();
            let _cannot_fail = writeln!(sums, "{sum}  {}", file.path.trim_start_matches('/'));
        }
    }
    let mut text = format!(
        "Package: {}\nVersion: {full}\nArchitecture: {}\nMaintainer: {}\nInstalled-Size: {}\nDepends: {}\n",
        package.name,
        release.arch.deb(),
        table.maintainer,
        bytes / 1024,
        depends.join(", ")
    );
    if let Some(recommends) = &package.deb_recommends {
        let _cannot_fail = writeln!(text, "Recommends: {recommends}");
    }
    let _cannot_fail = write!(
        text,
        "Section: admin\nPriority: optional\nHomepage: {}\nDescription: {}\n",
        table.homepage, package.summary
    );
    for line in package.description.trim().lines() {
        let _cannot_fail = writeln!(text, " {line}");
    }
    tree::write(&debian.join("control"), &text, 0o644)?;
    tree::write(&debian.join("md5sums"), &sums, 0o644)?;
    let conffiles: String = placed.iter().filter(|f| f.config).map(|f| format!("{}\n", f.path)).collect();
    if !conffiles.is_empty() {
        tree::write(&debian.join("conffiles"), &conffiles, 0o644)?;
    }
    for script in ["postinst", "prerm", "postrm"] {
        let before = package.before_removal.as_deref();
        let before = before.map(|run| format!("    {run} || true")).unwrap_or_default();
        let text = filled(
            &format!("deb.{script}"),
            &[
                ("SERVICE", &package.service),
                ("SOCKET", &package.socket_word()),
                ("STATE", &package.state.join(" ")),
                ("BEFORE_REMOVAL", &before),
            ],
        )?;
        tree::write(&debian.join(script), &text.replace("\n\nfi", "\nfi"), 0o755)?;
    }
    Ok(())
}

/// A time in UTC and in English.
pub fn date(epoch: u64, format: &str) -> Result<String> {
    let mut date = Command::new("date");
    date.args(["--utc", &format!("--date=@{epoch}"), format]).env("LC_ALL", "C");
    let shown = sh::output(&mut date).context("date does not run")?;
    Ok(shown.trim().to_owned())
}
