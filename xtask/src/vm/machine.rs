//! One machine: boots, plays a scenario, gives what the agent inside sends, and is gone.

use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{
    cpio,
    events::{self, Given},
    kernel::Kernel,
    root::Root,
    scenario::Scenario,
    vmlinux,
};
use crate::{dist, sh};

const AGENT: &str = include_str!("guest/agent.sh");
const SERVICE: &str = include_str!("guest/peripety-machine.service");
/// Services of the root that are nothing to most scenarios, or take disks for themselves; a scenario starts what it needs.
const MASKED: &[&str] = &[
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "mdcheck_start.timer",
    "mdmonitor-oneshot.timer",
    "serial-getty@ttyS0.service",
    "systemd-timesyncd.service",
];
/// How much longer a machine may take on a busy host.
const BUSY_TIMES: u64 = 8;
/// There, and not started by themselves.
const NOT_ENABLED: &[&str] = &[
    "multi-user.target.wants/open-iscsi.service",
    "multi-user.target.wants/rtslib-fb-targetctl.service",
    "multi-user.target.wants/smartmontools.service",
    "remote-fs.target.wants/open-iscsi.service",
    "sysinit.target.wants/iscsid.service",
    "sysinit.target.wants/open-iscsi.service",
    "sysinit.target.wants/multipathd.service",
    "sockets.target.wants/iscsid.socket",
    "sockets.target.wants/multipathd.socket",
];

/// What a machine is made of.
#[derive(Clone, Copy)]
pub struct Machine<'m> {
    pub kernel: &'m Kernel,
    pub scenario: &'m Scenario,
    pub root: &'m Root,
    /// The host has much else to do.
    pub busy: bool,
}

/// Boots a machine in `dir` and waits for its end.
///
/// # Errors
/// When it does not come up, or takes longer than the scenario allows.
pub fn run(machine: &Machine<'_>, binaries: &Path, dir: &Path) -> Result<Given> {
    let Machine { kernel, scenario, .. } = *machine;
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let payload = dir.join("payload");
    lay_out(&payload.join("payload"), kernel, scenario, binaries)?;
    let extra = dir.join("payload.cpio");
    cpio::write(&payload, &extra)?;
    fs::remove_dir_all(&payload).context("removing what is packed")?;
    let initrd = dir.join("initrd.cpio");
    concatenate(&[&kernel.initrd, &extra], &initrd)?;
    fs::remove_file(&extra).context("removing what is packed")?;
    for disk in &scenario.disks {
        let file = dir.join(&disk.name);
        let made = File::create(&file).and_then(|file| file.set_len(disk.mib * 1024 * 1024));
        made.with_context(|| format!("cannot make {}", file.display()))?;
    }

    let limit = Duration::from_secs(scenario.limit_s * if machine.busy { BUSY_TIMES } else { 1 });
    let ended = wait(&mut start(machine, dir)?, limit);
    for large_and_known in [initrd, dir.join("vmlinux")] {
        let _it_may_not_be_there = fs::remove_file(large_and_known);
    }
    for disk in &scenario.disks {
        let _scratch = fs::remove_file(dir.join(&disk.name));
    }
    ended.with_context(|| format!("see {}", dir.join("console.log").display()))?;
    let tar = dir.join("out.tar");
    let given = dir.join("given");
    fs::create_dir_all(&given).context("making a directory")?;
    sh::run(Command::new("tar").arg("-xf").arg(&tar).arg("-C").arg(&given)).with_context(|| {
        format!("the machine ended before its agent did; see {}", dir.join("console.log").display())
    })?;
    let _unpacked = fs::remove_file(&tar);
    events::read(&given)
}

/// What comes on top of the root: peripety as a package would install it, and the scenario.
/// Every incident of a machine is recorded, and replayed at its end.
const RECORD: &str =
    "[Service]\nExecStart=\nExecStart=/usr/sbin/peripetyd --record /run/peripety/recording.jsonl\n";

fn lay_out(root: &Path, kernel: &Kernel, scenario: &Scenario, binaries: &Path) -> Result<()> {
    let write = |path: &str, text: &str, mode: u32| -> Result<()> {
        let file = root.join(path);
        fs::create_dir_all(file.parent().unwrap_or(root)).context("making a directory")?;
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).context("setting permissions")
    };
    let in_dist = |name: &str| {
        let file = sh::root().join("dist").join(name);
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
    };
    write("usr/lib/peripety-machine/agent.sh", AGENT, 0o755)?;
    write("usr/lib/peripety-machine/scenario.sh", &scenario.run, 0o644)?;
    write("etc/systemd/system/peripety-machine.service", SERVICE, 0o644)?;
    write("etc/systemd/system/peripetyd.service.d/record.conf", RECORD, 0o644)?;
    if kernel.classic {
        let name = "classic-tracepoints.conf";
        write(&format!("etc/systemd/system/peripetyd.service.d/{name}"), &in_dist(name)?, 0o644)?;
    }
    write("etc/hostname", "machine\n", 0o644)?;
    for file in &scenario.files {
        write(file.path.trim_start_matches('/'), &file.text, 0o644)?;
    }
    link(
        &root.join("etc/systemd/system/multi-user.target.wants"),
        "peripety-machine.service",
        "/etc/systemd/system",
    )?;
    for name in MASKED {
        symlink("/dev/null", root.join("etc/systemd/system").join(name)).context("masking a service")?;
    }
    for name in NOT_ENABLED {
        let link = root.join("etc/systemd/system").join(name);
        fs::create_dir_all(link.parent().unwrap_or(root)).context("making a directory")?;
        symlink("/dev/null", link).context("not enabling a service")?;
    }
    if scenario.packages {
        for revision in [1, 2] {
            let (from, to) = (dist::dir_of(revision), root.join(format!("root/packages/{revision}")));
            fs::create_dir_all(&to).context("making a directory")?;
            let listed = fs::read_dir(&from).with_context(|| format!("cannot read {}", from.display()))?;
            for package in listed.flatten().filter(|p| p.path().extension().is_some_and(|e| e == "deb")) {
                fs::copy(package.path(), to.join(package.file_name())).context("copying a package")?;
            }
        }
        return Ok(());
    }
    write("usr/lib/systemd/system/peripetyd.service", &in_dist("peripetyd.service")?, 0o644)?;
    write("usr/lib/systemd/system/peripety-watch.service", &in_dist("peripety-watch.service")?, 0o644)?;
    write("usr/lib/systemd/system/peripetyd.socket", &in_dist("peripetyd.socket")?, 0o644)?;
    write("usr/lib/systemd/catalog/peripety.catalog", &in_dist("peripety.catalog")?, 0o644)?;
    write("etc/peripetyd.conf", &in_dist("peripetyd.conf")?, 0o644)?;
    let mut services = vec!["peripetyd.service"];
    let mut programs = vec![("peripetyd", "usr/sbin"), ("prpt", "usr/bin")];
    if scenario.watch {
        services.push("peripety-watch.service");
        programs.extend([
            ("peripety-watch", "usr/sbin"),
            ("peripety-policy", "usr/sbin"),
            ("peripety-scan", "usr/sbin"),
        ]);
        for unit in ["peripety-policy.service", "peripety-scan.service"] {
            write(&format!("usr/lib/systemd/system/{unit}"), &in_dist(unit)?, 0o644)?;
        }
    }
    for service in services {
        link(&root.join("etc/systemd/system/sysinit.target.wants"), service, "/usr/lib/systemd/system")?;
    }
    for (name, to) in programs {
        let (from, to) = (binaries.join(name), root.join(to));
        fs::create_dir_all(&to).context("making a directory")?;
        // Debug information is most of their size, and has to pass through the machine's memory.
        if !sh::succeeds(Command::new("strip").arg("-g").arg(&from).arg("-o").arg(to.join(name))) {
            fs::copy(&from, to.join(name)).with_context(|| format!("cannot copy {}", from.display()))?;
        }
    }
    Ok(())
}

fn link(dir: &Path, name: &str, target: &str) -> Result<()> {
    fs::create_dir_all(dir).context("making a directory")?;
    symlink(Path::new(target).join(name), dir.join(name)).with_context(|| format!("enabling {name}"))
}

fn concatenate(parts: &[&Path], to: &Path) -> Result<()> {
    let mut out = File::create(to).with_context(|| format!("cannot write {}", to.display()))?;
    for part in parts {
        let mut file = File::open(part).with_context(|| format!("cannot read {}", part.display()))?;
        std::io::copy(&mut file, &mut out).with_context(|| format!("cannot copy {}", part.display()))?;
    }
    Ok(())
}

fn start(machine: &Machine<'_>, dir: &Path) -> Result<Child> {
    let Machine { kernel, scenario, root, busy } = *machine;
    let show = |path: &Path| path.display().to_string();
    let append = format!(
        "console=ttyS0 panic=-1 quiet systemd.show_status=0 systemd.journald.max_level_console=emerg {}",
        scenario.append
    );
    let mut qemu = Command::new("qemu-system-x86_64");
    // Kernels of distributions do not boot on every machine's KVM; emulation is slow and always there.
    // A machine that gets little of the host's time sees its own timeouts fire; by instructions counted it does not. Two
    // processors that take turns wait for each other for ever.
    let clock: &[&str] = if busy {
        &["-accel", "tcg,thread=single", "-icount", "shift=2,sleep=on,align=off", "-smp", "1"]
    } else {
        &["-accel", "tcg,thread=multi", "-smp", "2"]
    };
    let image = if busy { unpacked(kernel, dir)? } else { kernel.image.clone() };
    qemu.args(clock)
        .args(["-cpu", "max", "-m", "1536"])
        .args(["-nodefaults", "-display", "none", "-nic", "none"])
        .args(["-serial", &format!("file:{}", show(&dir.join("console.log")))])
        .args(["-kernel", &show(&image), "-initrd", &show(&dir.join("initrd.cpio")), "-append", &append])
        // The first slot of the bus, so that the root is vda whatever other disks there are.
        .args(["-drive", &format!("file={},format=raw,snapshot=on,if=none,id=root", show(&root.image))])
        .args(["-device", "virtio-blk-pci,drive=root,addr=2"])
        .args(["-device", "virtio-serial-pci"])
        .args(["-chardev", &format!("file,id=out,path={}", show(&dir.join("out.tar")))])
        .args(["-device", "virtserialport,chardev=out,name=org.peripety.out"])
        .args(scenario.qemu.iter().map(|arg| arg.replace("{dir}", &show(dir))));
    if !scenario.reboots {
        qemu.arg("-no-reboot");
    }
    let log = File::create(dir.join("qemu.log")).context("making qemu's log")?;
    qemu.stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot run {}", sh::shown(&qemu)))
}

/// The kernel without its compression, where it can be booted so.
fn unpacked(kernel: &Kernel, dir: &Path) -> Result<PathBuf> {
    let to = dir.join("vmlinux");
    Ok(if vmlinux::unpack(&kernel.image, &to)? { to } else { kernel.image.clone() })
}

fn wait(qemu: &mut Child, limit: Duration) -> Result<()> {
    let start = Instant::now();
    loop {
        if let Some(status) = qemu.try_wait().context("waiting for qemu")? {
            if !status.success() {
                bail!("qemu failed: {status}");
            }
            return Ok(());
        }
        if start.elapsed() > limit {
            qemu.kill().context("ending a machine that takes too long")?;
            qemu.wait().context("waiting for qemu")?;
            bail!("not done after {} s", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(100));
    }
}
