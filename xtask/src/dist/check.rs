//! What packages have to pass: the distributions' own checks, the same bytes twice, and a root that is as before when they went.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Args, make, table::Table};
use crate::{setup::packages, sh, vm};

/// Runs all checks, and fails if one of them does.
pub fn all(args: &Args, bins: &Path, made: &[PathBuf]) -> Result<()> {
    let missing: Vec<_> =
        ["lintian", "rpmlint", "mmdebstrap"].into_iter().filter(|p| sh::find(p).is_none()).collect();
    if !missing.is_empty() {
        packages::install(&missing)?;
    }
    let mut failed = Vec::new();
    let mut check = |name: &str, result: Result<()>| match result {
        Ok(()) => eprintln!("check: {name}: ok"),
        Err(error) => {
            eprintln!("check: {name}: {error:#}");
            failed.push(name.to_owned());
        }
    };
    check("lintian", lintian(made));
    check("rpmlint", rpmlint(made));
    check("the same bytes twice", same_twice(args, bins, made));
    if args.arch.is_this_machine() {
        check("rpm in a root", rpm_in_a_root(args, bins, made));
    }
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    eprintln!(
        "check: 'cargo xtask vm package-' installs, upgrades, removes and purges the .deb under systemd"
    );
    Ok(())
}

fn with_extension<'a>(made: &'a [PathBuf], extension: &str) -> Vec<&'a PathBuf> {
    made.iter().filter(|file| file.extension().is_some_and(|e| e == extension)).collect()
}

fn lintian(made: &[PathBuf]) -> Result<()> {
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--fail-on", "error,warning"]);
    sh::run(lintian.args(with_extension(made, "deb")))
}

fn rpmlint(made: &[PathBuf]) -> Result<()> {
    let config = sh::root().join("dist/package/rpmlint.toml");
    let mut rpmlint = Command::new("rpmlint");
    rpmlint.arg("--strict").arg("--config").arg(config);
    sh::run(rpmlint.args(with_extension(made, "rpm")))
}

fn same_twice(args: &Args, bins: &Path, made: &[PathBuf]) -> Result<()> {
    let again = sh::target_dir().join("packages-again");
    let second = make(args, bins, &again)?;
    for (first, second) in made.iter().zip(&second) {
        let read = |file: &Path| fs::read(file).with_context(|| format!("cannot read {}", file.display()));
        ensure!(read(first)? == read(second)?, "{} differs from {}", first.display(), second.display());
    }
    fs::remove_dir_all(&again).context("removing the second packages")
}

/// Installs, upgrades and erases with rpm in a root of its own: nothing is left, but what a user changed.
fn rpm_in_a_root(args: &Args, bins: &Path, made: &[PathBuf]) -> Result<()> {
    if !sh::is_root() {
        bail!("a root file system takes root's rights");
    }
    let dir = sh::target_dir().join("rpm-root");
    let _it_may_not_be_there = fs::remove_dir_all(&dir);
    let mut bootstrap = Command::new("mmdebstrap");
    bootstrap.args([
        "--quiet",
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
        "--include=systemd",
    ]);
    sh::run(bootstrap.arg("bookworm").arg(&dir).arg(vm::archive()?))?;
    let rpm = |args: &[&str], packages: &[&PathBuf]| {
        let mut rpm = Command::new("rpm");
        // The libraries are there, of Debian's packages, which rpm does not know.
        rpm.arg("--root").arg(&dir).args(args).args(packages);
        let output = rpm.output().context("rpm does not run")?;
        let said = String::from_utf8_lossy(&output.stderr);
        // Debian's rpm points at Debian's packages.
        let said: Vec<_> = said.lines().filter(|line| !line.starts_with("rpm: ")).collect();
        ensure!(output.status.success() && said.is_empty(), "{}: {}", sh::shown(&rpm), said.join("; "));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    rpm(&["--initdb"], &[])?;
    // Directories that distributions with rpm have from the start.
    for of_others in [
        "share/fish/vendor_completions.d",
        "share/zsh/site-functions",
        "share/licenses",
        "share/dbus-1/interfaces",
        "lib/dracut/modules.d",
    ] {
        let of_others = dir.join("usr").join(of_others);
        fs::create_dir_all(&of_others).with_context(|| format!("cannot make {}", of_others.display()))?;
    }
    let before = listing(&dir)?;
    let table = Table::read()?;
    let names: Vec<&str> = table.packages.iter().map(|package| package.name.as_str()).collect();
    let first = with_extension(made, "rpm");
    rpm(&["--install", "--nodeps"], &first)?;
    let verified = rpm(&[&["--verify", "--nodeps"][..], names.as_slice()].concat(), &[])?;
    ensure!(verified.is_empty(), "rpm --verify: {verified}");
    let run =
        |program: &str, args: &[&str]| sh::output(Command::new("chroot").arg(&dir).arg(program).args(args));
    for (program, argument) in
        [("prpt", "--version"), ("peripetyd", "--version"), ("peripety-notify", "--version")]
    {
        run(program, &[argument]).with_context(|| format!("{program} does not run"))?;
    }
    let enabled = || run("systemctl", &["is-enabled", "peripetyd.service"]).is_some();
    ensure!(enabled(), "the service is not enabled by the preset");
    let config = dir.join("etc/peripetyd.conf");
    let changed = fs::read_to_string(&config).context("the configuration is not there")? + "# changed\n";
    fs::write(&config, &changed).context("changing the configuration")?;
    fs::create_dir_all(dir.join("var/lib/peripety/incidents")).context("making state")?;

    let next = Args { arch: args.arch, revision: args.revision + 1, bin_dir: None, check: false };
    let later = sh::target_dir().join("packages-later");
    let second = make(&next, bins, &later)?;
    rpm(&["--upgrade", "--nodeps"], &with_extension(&second, "rpm"))?;
    ensure!(
        fs::read_to_string(&config).is_ok_and(|text| text == changed),
        "the upgrade changed a configuration"
    );
    ensure!(enabled(), "after an upgrade the service is no longer enabled");

    fs::write(&config, changed.trim_end_matches("# changed\n")).context("changing the configuration back")?;
    rpm(&[&["--erase"][..], names.as_slice()].concat(), &[])?;
    let after = listing(&dir)?;
    let left: Vec<_> = after.difference(&before).collect();
    let gone: Vec<_> = before.difference(&after).collect();
    ensure!(left.is_empty() && gone.is_empty(), "left behind: {left:?}; gone: {gone:?}");
    for dir in [&dir, &later] {
        fs::remove_dir_all(dir).with_context(|| format!("removing {}", dir.display()))?;
    }
    Ok(())
}

/// All files of a root but rpm's own database and what systemd's catalogue is made into.
fn listing(root: &Path) -> Result<BTreeSet<PathBuf>> {
    const OF_OTHERS: &[&str] =
        &["var/lib/rpm", "root/.rpmdb", "var/lib/systemd/catalog", "proc", "sys", "dev"];
    let mut found = BTreeSet::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))? {
            let entry = entry.context("a directory entry")?;
            let below =
                entry.path().strip_prefix(root).map(Path::to_path_buf).context("a path of the root")?;
            if OF_OTHERS.iter().any(|other| below.starts_with(other)) {
                continue;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
            found.insert(below);
        }
    }
    Ok(found)
}
