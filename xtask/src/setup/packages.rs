//! Packages of the distribution.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::Purpose;
use crate::sh;

/// Something that a package of the distribution brings.
struct Item {
    purpose: Purpose,
    sign: Sign,
    apt: &'static str,
    dnf: &'static str,
}

/// How to see that it is there.
enum Sign {
    Program(&'static str),
    Library(&'static str),
    File(&'static str),
}

const ITEMS: &[Item] = {
    use Purpose::{Build, Dist, Fuzz, Machine, Test};
    use Sign::{File, Library, Program};
    const fn item(purpose: Purpose, sign: Sign, apt: &'static str, dnf: &'static str) -> Item {
        Item { purpose, sign, apt, dnf }
    }
    &[
        item(Build, Program("pkg-config"), "pkg-config", "pkgconf-pkg-config"),
        item(Build, Library("libsystemd"), "libsystemd-dev", "systemd-devel"),
        item(Test, Program("fio"), "fio", "fio"),
        item(Test, Program("mkfs.xfs"), "xfsprogs", "xfsprogs"),
        item(Test, Program("mkfs.btrfs"), "btrfs-progs", "btrfs-progs"),
        item(Test, Program("mkfs.ext4"), "e2fsprogs", "e2fsprogs"),
        item(Test, Program("bpftool"), "bpftool", "bpftool"),
        item(Test, Program("losetup"), "mount", "util-linux"),
        item(Test, Program("unshare"), "util-linux", "util-linux-core"),
        item(Test, Program("openssl"), "openssl", "openssl"),
        item(Test, Program("python3"), "python3", "python3"),
        item(Test, Program("valgrind"), "valgrind", "valgrind"),
        item(Test, Program("abidiff"), "abigail-tools", "libabigail"),
        item(Test, Program("mmdebstrap"), "mmdebstrap", "mmdebstrap"),
        item(Test, Program("chromium"), "chromium", "chromium"),
        item(Test, Program("chromedriver"), "chromium-driver", "chromedriver"),
        item(Test, Program("logger"), "bsdutils", "util-linux"),
        item(Test, Program("dbus-daemon"), "dbus-daemon", "dbus-daemon"),
        item(Test, Program("gdbus"), "libglib2.0-bin", "glib2"),
        item(Test, File("/usr/lib/polkit-1/polkitd"), "polkitd", "polkit"),
        item(Test, File("/lib/systemd/systemd-journald"), "systemd", "systemd"),
        item(Dist, Program("dpkg-deb"), "dpkg", "dpkg"),
        item(Dist, Program("rpmbuild"), "rpm", "rpm-build"),
        item(Dist, Program("readelf"), "binutils", "binutils"),
        item(Fuzz, Program("c++"), "g++", "gcc-c++"),
        item(Machine, Program("qemu-system-x86_64"), "qemu-system-x86", "qemu-system-x86-core"),
        item(Machine, Program("busybox"), "busybox-static", "busybox"),
        item(Machine, Program("mmdebstrap"), "mmdebstrap", "mmdebstrap"),
        item(Machine, Program("mke2fs"), "e2fsprogs", "e2fsprogs"),
        item(Machine, Program("cpio"), "cpio", "cpio"),
        item(Machine, Program("depmod"), "kmod", "kmod"),
        item(Machine, Program("xz"), "xz-utils", "xz"),
        item(
            Machine,
            File("/usr/share/keyrings/debian-archive-keyring.gpg"),
            "debian-archive-keyring",
            "debian-keyring",
        ),
    ]
};

impl Sign {
    fn is_there(&self) -> bool {
        match self {
            Self::Program(name) => sh::find(name).is_some(),
            Self::Library(name) => sh::succeeds(Command::new("pkg-config").args(["--exists", name])),
            Self::File(path) => Path::new(path).exists(),
        }
    }
}

/// Installs the packages that are missing. Without those of the tests, the tests that need them are skipped.
pub fn ensure(purpose: Purpose) -> Result<()> {
    let wanted = |of: Purpose| of == Purpose::Build || of == purpose;
    let missing: Vec<_> = ITEMS.iter().filter(|i| wanted(i.purpose) && !i.sign.is_there()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = match Manager::of_this_machine() {
        Some(Manager::Dnf) => missing.iter().map(|item| item.dnf).collect(),
        Some(Manager::Apt) | None => missing.iter().map(|item| item.apt).collect(),
    };
    match install(&names) {
        Err(error) if missing.iter().all(|item| item.purpose == Purpose::Test) => {
            eprintln!("setup: {error:#}; the tests that need them are skipped");
            Ok(())
        }
        result => result,
    }
}

/// Whether Debian's toolchain for web browsers is to be had: it is recent, and has sources.
pub fn has_debian_toolchain() -> bool {
    Manager::of_this_machine() == Some(Manager::Apt)
        && (Path::new("/usr/lib/rustlib/src/rust/library").exists() || sh::can_be_root())
}

/// Installs packages of the distribution.
///
/// # Errors
/// Where the package manager is not known, root's rights cannot be had, or it fails: with what to install by hand.
pub fn install(names: &[&str]) -> Result<()> {
    let by_hand =
        || format!("install these packages (Debian's names, or your distribution's): {}", names.join(" "));
    let Some(manager) = Manager::of_this_machine() else {
        bail!("neither apt-get nor dnf is here; {}", by_hand());
    };
    if !sh::can_be_root() {
        bail!("packages are missing, and this is neither root nor is there sudo; {}", by_hand());
    }
    eprintln!("setup: installing packages: {}", names.join(" "));
    manager.install(names).with_context(by_hand)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Manager {
    Apt,
    Dnf,
}

impl Manager {
    fn of_this_machine() -> Option<Self> {
        let manager = |program, this| sh::find(program).map(|_path| this);
        manager("apt-get", Self::Apt).or_else(|| manager("dnf", Self::Dnf))
    }

    fn install(self, names: &[&str]) -> Result<()> {
        match self {
            Self::Dnf => announced(sh::as_root("dnf").args(["install", "--assumeyes"]).args(names)),
            Self::Apt => {
                let get = |args: &[&str], names: &[&str]| {
                    let quiet =
                        ["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"];
                    announced(sh::as_root("env").args(quiet).args(args).args(names))
                };
                let install = ["install", "--yes", "--no-install-recommends"];
                // On a fresh machine apt knows no packages, on an old one it knows files that are gone.
                let known = sh::succeeds(Command::new("apt-cache").arg("show").args(names));
                if known && get(&install, names).is_ok() {
                    return Ok(());
                }
                get(&["update"], &[])?;
                get(&install, names)
            }
        }
    }
}

fn announced(command: &mut Command) -> Result<()> {
    eprintln!("setup: running {}", sh::shown(command));
    // Packages report a lot on stdout that no one asked for; errors are on stderr.
    sh::run(command.stdin(Stdio::inherit()).stdout(Stdio::null()))
}
