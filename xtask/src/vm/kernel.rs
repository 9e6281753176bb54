//! Debian's kernels, each with an initial file system that has the modules of the scenarios.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::{
    announced,
    apt::Suite,
    cache::{self, Cache},
    cpio,
};
use crate::sh;

/// A kernel by the name that users give it, and the suite whose newest kernel it is.
pub struct Kind {
    name: &'static str,
    suite: &'static str,
    /// It has no type information of modules: the unit's drop-in for classic tracepoints is installed.
    classic: bool,
}

const KINDS: &[Kind] = &[
    Kind { name: "5.10", suite: "bullseye", classic: true },
    Kind { name: "6.1", suite: "bookworm", classic: false },
    Kind { name: "6.12", suite: "bookworm-backports", classic: false },
    Kind { name: "7.2", suite: "sid", classic: false },
];

impl Kind {
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// The kernels by name, and the suite whose newest sources each stands for.
pub fn sources() -> Vec<(&'static str, &'static str)> {
    KINDS.iter().map(|kind| (kind.name, kind.suite)).collect()
}

/// Modules that may be loaded in a machine, with all they need. Names a kernel does not know are left out there.
const MODULES: &[&str] = &[
    "ahci",
    "ata_piix",
    "btrfs",
    "configfs",
    "crc32c_generic",
    "crc32c_intel",
    "dm_cache",
    "dm_crypt",
    "dm_delay",
    "dm_flakey",
    "dm_integrity",
    "dm_log_userspace",
    "dm_log_writes",
    "dm_mirror",
    "dm_multipath",
    "dm_queue_length",
    "dm_raid",
    "dm_round_robin",
    "dm_service_time",
    "dm_snapshot",
    "dm_thin_pool",
    "dm_verity",
    "ext4",
    "faulty",
    "iscsi_target_mod",
    "iscsi_tcp",
    "loop",
    "nbd",
    "null_blk",
    "nvme",
    "nvme_tcp",
    "nvmet",
    "nvmet_tcp",
    "nvme_loop",
    "raid0",
    "raid1",
    "raid10",
    "raid456",
    "scsi_debug",
    "scsi_dh_alua",
    "scsi_transport_fc",
    "sd_mod",
    "sg",
    "target_core_file",
    "target_core_iblock",
    "target_core_mod",
    "tcm_loop",
    "uas",
    "ublk_drv",
    "usb_storage",
    "virtio_blk",
    "virtio_console",
    "virtio_pci",
    "virtio_scsi",
    "xfs",
    "xhci_pci",
    "zram",
    "autofs4",
    "sha256_generic",
    "xxhash_generic",
    "nls_ascii",
    "efi_pstore",
    "kvm",
];

/// What the kernel starts.
const INIT: &str = include_str!("guest/init.sh");

/// A kernel that is ready to boot.
pub struct Kernel {
    pub name: &'static str,
    pub image: PathBuf,
    pub initrd: PathBuf,
    /// The daemon needs classic tracepoints for drivers.
    pub classic: bool,
}

/// All by name.
#[cfg(test)]
pub fn names() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name)
}

/// The kinds that the command line names.
pub fn chosen(names: &[String]) -> Result<Vec<&'static Kind>> {
    if names.iter().any(|name| name == "all") {
        return Ok(KINDS.iter().collect());
    }
    let find = |name: &String| {
        let known = || KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
        let kind = KINDS.iter().find(|kind| kind.name == name);
        kind.with_context(|| format!("kernel {name} is not known; there are {} and all", known()))
    };
    names.iter().map(find).collect()
}

impl Kernel {
    /// Brings the kernel where it is not there yet.
    pub fn ensure(kind: &'static Kind, cache: &Cache) -> Result<Self> {
        let dir = cache.path(&format!("kernel-{}", kind.name));
        let kernel = Self {
            name: kind.name,
            image: dir.join("vmlinuz"),
            initrd: dir.join("initrd.cpio"),
            classic: kind.classic,
        };
        let recipe = format!("{} {}\n{INIT}", kind.suite, MODULES.join(" "));
        if cache::is_fresh(&dir, &recipe) {
            return Ok(kernel);
        }
        eprintln!("vm: bringing kernel {} of Debian {} to {} (once)", kind.name, kind.suite, dir.display());
        let _it_may_not_be_there = fs::remove_dir_all(&dir);
        let tree = dir.join("tree");
        fs::create_dir_all(&tree).with_context(|| format!("cannot make {}", tree.display()))?;
        let suite = Suite::open(kind.suite, "amd64", dir.join("apt"))?;
        let packages = suite.kernel_packages()?;
        suite.unpack(&packages, &tree)?;
        kernel.make(kind, &tree, &dir.join("initrd"))?;
        for part in ["tree", "apt", "initrd"] {
            fs::remove_dir_all(dir.join(part)).context("removing what is no longer needed")?;
        }
        cache::seal(&dir, &recipe)?;
        Ok(kernel)
    }

    /// The image and the initial file system, from packages that are unpacked in `tree`.
    fn make(&self, kind: &Kind, tree: &Path, initrd: &Path) -> Result<()> {
        // Where /lib is a link, the packages name the directory it leads to.
        let lib = tree.join("lib");
        if !lib.exists() {
            symlink("usr/lib", &lib).context("linking lib")?;
        }
        let modules = lib.join("modules");
        let version = one_name_in(&modules)?;
        if !version.starts_with(kind.name) {
            eprintln!("vm: Debian {} has moved on: kernel {version} is taken for {}", kind.suite, kind.name);
        }
        let image = [tree.join(format!("boot/vmlinuz-{version}")), modules.join(&version).join("vmlinuz")];
        let image = image.iter().find(|file| file.is_file()).context("the packages hold no vmlinuz")?;
        fs::copy(image, &self.image).context("copying the kernel")?;

        let depmod = |base: &Path| announced(Command::new(tool("depmod")).arg("-b").arg(base).arg(&version));
        depmod(tree)?;
        let to = initrd.join("lib/modules").join(&version);
        copy_modules(tree, &version, &to)?;
        depmod(initrd)?;
        fs::create_dir_all(initrd.join("bin")).context("making bin")?;
        fs::copy(sh::find("busybox").context("busybox is not here")?, initrd.join("bin/busybox"))
            .context("copying busybox")?;
        let init = initrd.join("init");
        fs::write(&init, INIT).context("writing init")?;
        sh::run(Command::new("chmod").arg("755").arg(&init))?;
        cpio::write(initrd, &self.initrd)
    }
}

fn tool(name: &str) -> PathBuf {
    sh::find(name).unwrap_or_else(|| name.into())
}

fn one_name_in(dir: &Path) -> Result<String> {
    let mut names = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let Some(Ok(entry)) = names.next() else { bail!("{} is empty", dir.display()) };
    Ok(entry.file_name().to_string_lossy().into_owned())
}

/// Copies the wanted modules and what they need, uncompressed: that is quicker in an emulated machine.
fn copy_modules(tree: &Path, version: &str, to: &Path) -> Result<()> {
    let from = tree.join("lib/modules").join(version);
    for name in MODULES {
        let mut show = Command::new(tool("modprobe"));
        show.arg("-d").arg(tree).args(["-S", version, "--show-depends", name]);
        let Some(shown) = sh::output(&mut show) else { continue };
        for file in shown.lines().filter_map(|line| line.strip_prefix("insmod ")) {
            let file = Path::new(file.split_whitespace().next().unwrap_or(file));
            let Some(below) = file.to_str().and_then(|f| f.split_once(&format!("modules/{version}/"))) else {
                bail!("{} is not a module of {version}", file.display());
            };
            let copy = to.join(below.1);
            if copy.exists() || copy.with_extension("").exists() {
                continue;
            }
            fs::create_dir_all(copy.parent().unwrap_or(to)).context("making a directory of modules")?;
            fs::copy(file, &copy).with_context(|| format!("cannot copy {}", file.display()))?;
            match copy.extension().and_then(|e| e.to_str()) {
                Some("xz") => sh::run(Command::new("xz").arg("-d").arg(&copy))?,
                Some("zst") => sh::run(Command::new("zstd").args(["-q", "-d", "--rm"]).arg(&copy))?,
                _ => {}
            }
        }
    }
    for list in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
        let _some_kernels_lack_some = fs::copy(from.join(list), to.join(list));
    }
    Ok(())
}
