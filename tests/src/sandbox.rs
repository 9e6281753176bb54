//! A room of its own for the tests: private mounts, with an empty /run, and private process ids.
//!
//! The test program runs itself again under unshare(1). All that it starts dies with it, also when it is interrupted or
//! killed, and with the processes go their mounts, eBPF programs and loop devices (see [`crate::disk`]).

use std::{
    env, fs,
    os::fd::AsRawFd as _,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};
use rustix::{
    fs::{Mode, OFlags},
    mount::{MountFlags, MountPropagationFlags},
};

use crate::cmd;

const INSIDE: &str = "PERIPETY_E2E_INSIDE";
/// Where the tests put their files: on a tmpfs, so that no disk of the machine sees any of it.
pub const DIR: &str = "/run/e2e";

pub fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Why there can be no such room.
pub fn why_not() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("they need root".to_owned());
    }
    ["unshare", "setpriv", "mount", "losetup"]
        .iter()
        .find(|p| !cmd::exists(p))
        .map(|p| format!("there is no {p}"))
        .or_else(|| {
            let mut probe = Command::new("unshare");
            probe.args(["--mount", "--pid", "--fork", "true"]);
            cmd::run(&mut probe).err().map(|error| format!("no private mounts and process ids: {error:#}"))
        })
}

/// Runs this program again, inside.
pub fn enter() -> Result<ExitCode> {
    let program = env::current_exe().context("finding this program")?;
    let mut command = Command::new("setpriv");
    // If this process is interrupted, unshare is killed, and with it the first process inside, and so all of them.
    command.args([
        "--pdeathsig",
        "KILL",
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child=KILL",
        "--mount-proc",
    ]);
    command.arg(program).args(env::args_os().skip(1)).env(INSIDE, "1");
    let status = command.status().context("running unshare")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Makes the room fit for the tests.
pub fn furnish() -> Result<()> {
    let program = env::current_exe().context("finding this program")?;
    if program.starts_with("/run") {
        bail!("the tests hide /run, and {} is in there; build somewhere else", program.display());
    }
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .context("making mounts private")?;

    // udev's database stays visible.
    let udev =
        rustix::fs::open("/run/udev", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    tmpfs("/run")?;
    if let Ok(udev) = udev {
        fs::create_dir("/run/udev").context("creating /run/udev")?;
        let link = format!("/proc/self/fd/{}", udev.as_raw_fd());
        rustix::mount::mount_bind(&link, "/run/udev").context("keeping /run/udev")?;
    }
    // What an installed peripety or journald keeps on disk is not ours to touch.
    for dir in ["/var/lib/peripety", "/var/log/journal"] {
        if Path::new(dir).exists() {
            tmpfs(dir)?;
        }
    }
    fs::create_dir(DIR).with_context(|| format!("creating {DIR}"))?;

    if !Path::new("/sys/kernel/tracing/events").exists() && Path::new("/sys/kernel/tracing").exists() {
        mount("tracefs", "/sys/kernel/tracing")?;
    }
    // Its own: what the tests' daemons pin is none of the machine's.
    if Path::new("/sys/fs/bpf").exists() {
        mount("bpf", "/sys/fs/bpf")?;
    }
    Ok(())
}

fn tmpfs(dir: &str) -> Result<()> {
    mount("tmpfs", dir)
}

fn mount(fs_type: &str, dir: &str) -> Result<()> {
    rustix::mount::mount(fs_type, dir, fs_type, MountFlags::NOSUID | MountFlags::NODEV, c"mode=0755")
        .with_context(|| format!("mounting {fs_type} on {dir}"))
}
