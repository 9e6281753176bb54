//! What the machine can do, and where the programs under test are.

use std::{
    cell::Cell,
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{cmd, journald};

const SYSTEMD: &str = "/lib/systemd/systemd";

/// What a test cannot do without.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// The right and the ability to load eBPF programs.
    Bpf,
    /// systemd-journald and journalctl.
    Journald,
    /// systemd, to be process 1 of namespaces.
    Systemd,
    /// Loop devices.
    Loop,
    /// A filesystem of the kernel, and its mkfs.
    Filesystem(&'static str),
    /// Filesystems in user space.
    Fuse,
    /// A program.
    Program(&'static str),
    /// A server of others for notifications: a program that the set-up unpacks.
    Receiver(&'static str),
    /// A file below the directory that cargo builds in, and the command of `cargo xtask` that makes it.
    Made(&'static str, &'static str),
    /// Minutes in which nothing else on the machine fails: `PERIPETY_SLOW=1` says that there are.
    Minutes,
}

/// The machine.
pub struct Machine {
    bin: PathBuf,
    serial: std::sync::Mutex<Cell<u32>>,
}

impl Machine {
    pub fn look() -> Result<Self> {
        let bin = match env::var_os("PERIPETY_BIN_DIR") {
            Some(dir) => PathBuf::from(dir),
            // target/debug/deps/e2e-…
            None => {
                let program = env::current_exe().context("finding this program")?;
                program.ancestors().nth(2).context("this program is in no target directory")?.to_owned()
            }
        };
        for name in [
            "peripetyd",
            "prpt",
            "peripety-notify",
            "peripety-watch",
            "peripety-gluster",
            "peripety-scan",
            "peripety-forward",
            "peripety-hub",
        ] {
            fs::metadata(bin.join(name))
                .with_context(|| format!("{name} is not built in {}", bin.display()))?;
        }
        Ok(Self { bin, serial: std::sync::Mutex::new(Cell::new(0)) })
    }

    /// The path of a program under test.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Where the set-up unpacks servers of others.
    pub fn receivers(&self) -> PathBuf {
        self.made("receivers")
    }

    /// A file below the directory that cargo builds in.
    pub fn made(&self, name: &str) -> PathBuf {
        self.bin.parent().unwrap_or(&self.bin).join(name)
    }

    /// A new directory.
    pub fn dir(&self, name: &str) -> Result<PathBuf> {
        let number = {
            let serial = self.serial.lock().map_err(|_poisoned| anyhow::anyhow!("a test panicked"))?;
            serial.set(serial.get() + 1);
            serial.get()
        };
        let dir = Path::new(crate::sandbox::DIR).join(format!("{number}-{name}"));
        fs::create_dir(&dir).with_context(|| format!("creating {}", dir.display()))?;
        Ok(dir)
    }

    /// What is missing for `need`, if anything is.
    pub fn lacks(&self, need: Need) -> Option<String> {
        match need {
            Need::Bpf => lacks_bpf(),
            Need::Journald => {
                let daemon = Path::new(journald::PROGRAM);
                (!daemon.exists() || !cmd::exists("journalctl"))
                    .then(|| format!("there is no {}", daemon.display()))
            }
            Need::Systemd => {
                let has = Path::new(SYSTEMD).exists() && cmd::exists("systemd-analyze");
                (!has).then(|| format!("there is no {SYSTEMD}"))
            }
            Need::Loop => {
                (!Path::new("/dev/loop-control").exists()).then(|| "there are no loop devices".to_owned())
            }
            Need::Filesystem(name) => lacks_filesystem(name),
            Need::Fuse => (!Path::new("/dev/fuse").exists()).then(|| "the kernel has no FUSE".to_owned()),
            Need::Minutes => env::var_os("PERIPETY_SLOW")
                .is_none()
                .then(|| "it takes minutes and a quiet machine; PERIPETY_SLOW=1 runs it".to_owned()),
            Need::Receiver(name) => {
                let program = self.receivers().join(name);
                (!program.exists()).then(|| format!("there is no {name} in target: cargo xtask setup --test"))
            }
            Need::Made(name, command) => {
                let file = self.made(name);
                (!file.exists()).then(|| format!("there is no {name} in target: cargo xtask {command}"))
            }
            Need::Program(name) => (!cmd::exists(name)).then(|| format!("there is no {name}")),
        }
    }
}

fn lacks_bpf() -> Option<String> {
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    const CAP_PERFMON_AND_BPF: u64 = (1 << 38) | (1 << 39);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or("0");
    let caps = u64::from_str_radix(effective.trim(), 16).unwrap_or(0);
    let lockdown = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    if caps & CAP_SYS_ADMIN == 0 && caps & CAP_PERFMON_AND_BPF != CAP_PERFMON_AND_BPF {
        Some("no right to load eBPF (neither CAP_SYS_ADMIN nor CAP_BPF and CAP_PERFMON)".to_owned())
    } else if lockdown.contains("[confidentiality]") {
        Some("the kernel is locked down (confidentiality)".to_owned())
    } else if !Path::new("/proc/sys/kernel/unprivileged_bpf_disabled").exists() {
        Some("the kernel has no bpf()".to_owned())
    } else {
        None
    }
}

fn lacks_filesystem(name: &str) -> Option<String> {
    let listed = || {
        let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        known.lines().any(|line| line.split_whitespace().last() == Some(name))
    };
    if !listed() {
        let _may_be_built_in = cmd::sh(&format!("modprobe {name}"));
    }
    let mkfs = format!("mkfs.{name}");
    if !listed() {
        Some(format!("the kernel has no {name}"))
    } else {
        (!cmd::exists(&mkfs)).then(|| format!("there is no {mkfs}"))
    }
}
