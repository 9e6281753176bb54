//! Servers of others that the tests send notifications to: unpacked below `target/receivers` and not installed, so that none of
//! them starts on this machine.

use std::{fs, process::Command};

use anyhow::{Context as _, Result};

use crate::sh;

/// Packages of Debian, with what they need beyond a small system; clients in Python among them.
const PACKAGES: &[&str] = &[
    "libestr0",
    "libfastjson4",
    "libident",
    "liblognorm5",
    "ngircd",
    "prometheus",
    "prometheus-alertmanager",
    "python3-aiosmtpd",
    "python3-attr",
    "python3-jeepney",
    "python3-public",
    "python3-websockets",
    "rsyslog",
    "rsyslog-openssl",
];

/// Unpacks them, if they are not there yet. Without them the tests that need them are skipped.
pub fn ensure() {
    let done = sh::target_dir().join("receivers/packages");
    let wanted = PACKAGES.join("\n");
    if sh::find("apt-get").is_none() || fs::read_to_string(&done).is_ok_and(|there| there == wanted) {
        return;
    }
    eprintln!("setup: unpacking servers for the tests of notifications (30 MB)");
    if let Err(error) = unpack().and_then(|()| fs::write(&done, &wanted).context("noting it")) {
        eprintln!("setup: {error:#}; the tests of notifications that need a server are skipped");
    }
}

fn unpack() -> Result<()> {
    let root = sh::target_dir().join("receivers");
    let packages = root.join("deb");
    let _old = fs::remove_dir_all(&root);
    fs::create_dir_all(&packages).with_context(|| format!("cannot make {}", packages.display()))?;
    let download = || {
        let mut apt = Command::new("apt-get");
        sh::run(apt.args(["-qq", "download"]).args(PACKAGES).current_dir(&packages))
    };
    // On a fresh machine apt knows no packages.
    if download().is_err() {
        sh::run(sh::as_root("apt-get").args(["-qq", "update"]))?;
        download()?;
    }
    for entry in fs::read_dir(&packages).context("listing packages")? {
        let package = entry.context("listing packages")?.path();
        sh::run(Command::new("dpkg-deb").arg("-x").arg(package).arg(&root))?;
    }
    fs::remove_dir_all(&packages).context("removing packages")
}
