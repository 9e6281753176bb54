//! The machines' root file system: Debian with systemd and what handles storage.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use super::{
    announced, apt,
    cache::{self, Cache},
};
use crate::sh;

/// The suite of machines whose scenario names no other.
pub const USUAL: &str = "bookworm";
/// What a scenario about nothing but peripety itself needs, in any suite.
const FEW_PACKAGES: &[&str] = &[
    "dbus",
    "dmsetup",
    "e2fsprogs",
    "jq",
    "kmod",
    "procps",
    "systemd",
    "systemd-sysv",
    "udev",
    "util-linux",
];
/// The binaries are built on this machine, whose C library may be no older than the root's.
const PACKAGES: &[&str] = &[
    "bpftool",
    "btrfs-progs",
    "dbus",
    "dmeventd",
    "dmsetup",
    "e2fsprogs",
    "fio",
    "iproute2",
    "jq",
    "kmod",
    "kpartx",
    "lvm2",
    "mdadm",
    "multipath-tools",
    "nvme-cli",
    "open-iscsi",
    "parted",
    "procps",
    "sg3-utils",
    "smartmontools",
    "systemd",
    "systemd-sysv",
    "targetcli-fb",
    "thin-provisioning-tools",
    "udev",
    "util-linux",
    "xfsprogs",
];
/// Sparse: what is not used takes no space.
const SIZE: &str = "2500M";

/// A root of a suite. The image is never written to: each machine has its own copy on write.
pub struct Root {
    pub suite: String,
    pub image: PathBuf,
}

impl Root {
    /// Makes the image where it is not there yet.
    pub fn ensure(cache: &Cache, suite: &str) -> Result<Self> {
        let (dir, packages) = if suite == USUAL {
            ("root".to_owned(), PACKAGES)
        } else {
            (format!("root-{suite}"), FEW_PACKAGES)
        };
        let dir = cache.path(&dir);
        let image = dir.join("root.img");
        let recipe = format!("{suite} {SIZE} {}", packages.join(" "));
        if cache::is_fresh(&dir, &recipe) {
            return Ok(Self { suite: suite.to_owned(), image });
        }
        eprintln!("vm: making the machines' root file system in {} (a minute, once)", dir.display());
        sh::run(sh::as_root("rm").arg("-rf").arg(&dir))?;
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let tree = dir.join("tree");
        let mut bootstrap = sh::as_root("mmdebstrap");
        bootstrap
            .args(["--quiet", "--mode=root", "--variant=minbase", "--format=directory", "--skip=output/dev"])
            .arg(format!("--include={}", packages.join(",")))
            .arg(suite)
            .arg(&tree)
            .arg(apt::archive()?);
        announced(&mut bootstrap)?;
        let mut mke2fs = sh::as_root(sh::find("mke2fs").context("mke2fs is not here")?);
        announced(
            mke2fs
                .args(["-q", "-F", "-t", "ext4", "-L", "machine-root", "-d"])
                .arg(&tree)
                .arg(&image)
                .arg(SIZE),
        )?;
        announced(sh::as_root("chmod").arg("a+r").arg(&image))?;
        announced(sh::as_root("rm").arg("-rf").arg(&tree))?;
        cache::seal(&dir, &recipe)?;
        Ok(Self { suite: suite.to_owned(), image })
    }
}
