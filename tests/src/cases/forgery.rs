//! Only the kernel speaks for the kernel, and only the daemon for peripety.

use std::{
    fs::OpenOptions, io::Write as _, os::unix::net::UnixDatagram, path::PathBuf, process::Command, thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use peripety::event::{Event, Severity};

use super::Case;
use crate::{
    cmd,
    daemon::Daemon,
    events::{self, about},
    fault::FailingDisk,
    journald,
    kmsg::Kmsg,
    machine::{Machine, Need},
    prpt,
    scene::Scene,
};

/// A device that is not there.
const DEVICE: &str = "sdzz";
const LINE: &str =
    "EXT4-fs error (device sdzz): ext4_find_entry:1455: inode #2: comm ls: reading directory lblock 0";

pub const CASES: &[Case] = &[
    Case { name: "text_in_kmsg_from_user_space_is_no_event", needs: &[], run: kmsg },
    Case {
        name: "text_in_the_journal_that_says_kernel_is_no_event",
        needs: &[Need::Journald, Need::Program("logger")],
        run: logger,
    },
    Case {
        name: "options_of_mounts_that_a_user_makes_the_kernel_print_are_no_event",
        needs: &[Need::Program("python3"), Need::Program("setpriv")],
        run: mounts,
    },
    Case {
        name: "names_of_processes_and_interfaces_that_the_kernel_prints_are_no_event",
        needs: &[Need::Program("python3"), Need::Program("setpriv")],
        run: names,
    },
    Case { name: "a_forged_entry_in_the_journal_is_not_believed", needs: &[Need::Journald], run: entry },
    Case {
        name: "a_line_that_no_probe_bears_out_is_not_confirmed_and_a_real_failure_is",
        needs: &[Need::Bpf, Need::Loop, Need::Filesystem("xfs"), Need::Minutes],
        run: doubted,
    },
    Case {
        name: "root_s_program_of_the_daemon_s_name_is_not_the_daemon",
        needs: &[Need::Journald],
        run: namesake,
    },
];

fn kmsg(machine: &Machine) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    // Facility user (1) as the kernel sets it, with a priority of the kernel's facility, and a facility of its own.
    for prefix in ["", "<3>", "<11>", "<27>"] {
        let mut kmsg = OpenOptions::new().write(true).open("/dev/kmsg").context("opening /dev/kmsg")?;
        kmsg.write_all(format!("{prefix}{LINE}\n").as_bytes()).context("writing to /dev/kmsg")?;
    }
    nothing_told(&scene)
}

/// Options of mounts in a user namespace: the kernel quotes them, line breaks and all, and cuts the line where it is full.
const MOUNTS: &str = r#"
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mount.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_ulong, ctypes.c_char_p]
if libc.unshare(0x10000000 | 0x20000 | 0x40000000 | 0x8000000) != 0:
    sys.exit("unshare: " + str(ctypes.get_errno()))
line = sys.argv[1]
beyond = "A\\: attempt to access beyond end of device\nsdzz\\: rw=0\\, sector=12345\\, nr_sectors = 8 limit=" + "0" * 1500
texts = [line, "A\n" + line, line.replace(":", "\\:").replace(",", "\\,"), beyond, "0" * 960 + "\n" + line]
for fs, form in [("overlay", "lowerdir=%s"), ("overlay", "%s=1"), ("overlay", "upperdir=%s,workdir=%s,lowerdir=%s"),
                 ("tmpfs", "mpol=%s"), ("tmpfs", "%s"), ("proc", "hidepid=%s"), ("cgroup2", "%s"), ("fuse", "%s=1"),
                 ("devpts", "mode=%s"), ("mqueue", "%s"), ("ramfs", "mode=%s"), ("binfmt_misc", "%s")]:
    for text in texts:
        libc.mount(b"none", b"/tmp", fs.encode(), 0, form.replace("%s", text).encode())
"#;

/// A process with a name of its own that crashes, so that its name begins a line; an interface that is renamed.
const NAMES: &str = r#"
import ctypes, os, signal, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
NAMES = ["F2FS-fs (sdz):", "F2FS-fs (sdz): ", "XFS (sdz): Bad ", "bcache: error s", "drbd r0: conn( ", "md: sdz", "sdz", "nvme0n1: Read(",
         "ata1: disabled", "sd 0:0:0:0: ", "a\nsdzz: lost", "\nXFS (sdz): I/O", "lpfc 00:1: 0:04", "ufs sdzz: pa_er", "aacraid: x"]
for name in NAMES:
    pid = os.fork()
    if pid == 0:
        libc.prctl(15, name.encode()[:15], 0, 0, 0)
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        ctypes.string_at(1)
        os._exit(0)
    os.waitpid(pid, 0)
if libc.unshare(0x10000000 | 0x40000000) == 0:
    for name in ["sdzz", "md0", "nvme0n1", "loop0", "ata1"]:
        subprocess.run(["ip", "link", "add", name, "type", "dummy"], stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "link", "set", name, "name", name + "x"], stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "link", "set", name + "x", "promisc", "on"], stderr=subprocess.DEVNULL)
"#;

/// Runs a script as an ordinary user; returns how many lines the kernel printed meanwhile.
fn as_user(script: &str) -> Result<usize> {
    // The kernel's log is full, so that the number of its lines says nothing.
    let mark = format!("e2e: a user begins, {}", jiff::Timestamp::now());
    std::fs::write("/dev/kmsg", &mark).context("writing to /dev/kmsg")?;
    cmd::run(
        Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "python3", "-c", script, LINE])
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    )?;
    let log = cmd::run(&mut Command::new("dmesg"))?;
    Ok(log.rsplit_once(&mark).map_or(0, |(_, after)| after.lines().skip(1).count()))
}

fn mounts(machine: &Machine) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    let printed = as_user(MOUNTS)?;
    ensure!(printed > 5, "the kernel printed {printed} lines: nothing was forged");
    nothing_at_all(&scene)
}

fn names(machine: &Machine) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    let printed = as_user(NAMES)?;
    ensure!(printed > 5, "the kernel printed {printed} lines: nothing was forged");
    nothing_at_all(&scene)
}

/// No event of what the kernel was made to print. Others may use disks of the machine meanwhile.
fn nothing_at_all(scene: &Scene<'_>) -> Result<()> {
    const MARKS: [&str; 8] =
        ["sdz", "segfault", "renamed", "promisc", "attempt to access", "arameter", "overlay", "mpol"];
    nothing_told(scene)?;
    let is_forged = |event: &Event| {
        let texts = [&event.msg, &event.kdev].into_iter().chain(&event.raw_msgs);
        texts.into_iter().any(|text| MARKS.iter().any(|mark| text.contains(mark)))
    };
    let forged: Vec<_> = scene.all()?.into_iter().filter(is_forged).collect();
    ensure!(forged.is_empty(), "{}", events::reported(&forged));
    Ok(())
}

/// For so long after the probes were attached their silence says nothing.
const UNSURE: Duration = Duration::from_secs(61);

/// Lines in the kernel's log that the kernel did not print because of a failure, and lines that it did.
fn doubted(machine: &Machine) -> Result<()> {
    let kmsg = Kmsg::new(machine)?;
    let failing = FailingDisk::new(machine, 64)?;
    let below = failing.below_disk().to_owned();
    let name = failing.disk.name.clone();
    let _daemon = Daemon::start(machine, "")?;
    thread::sleep(UNSURE);
    let claim = |event_type: &str, time: u64| {
        kmsg.forge(&match event_type {
            "BLK_IO_ERROR" => format!(
                "I/O error, dev {name}, sector {} op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 2",
                time * 8
            ),
            _ => format!(
                "XFS ({below}): Metadata I/O Error (0x1) detected at xfs_trans_read_buf_map+0x1c1/0x330 \
                 (fs/xfs/xfs_trans_buf.c:311).  Shutting down filesystem."
            ),
        })
    };
    let all = |words: &[&str]| {
        let words: Vec<_> =
            ["query", "-J", "--source", "memory", "--all-revisions"].iter().chain(words).copied().collect();
        prpt::events(machine, &words)
    };
    let claimed = [("BLK_IO_ERROR", &name), ("FS_SHUTDOWN", &below)];
    for (event_type, device) in claimed {
        let claims = |event: &Event| event.event_type.as_str() == event_type && about(event, device);
        // Failures of others' disks, and losses, make it believed for a while.
        let mut time = 0;
        let event = cmd::wait_for("the claim not to be confirmed", 2 * UNSURE, || {
            time += 1;
            claim(event_type, time)?;
            thread::sleep(Duration::from_secs(7));
            let doubted = all(&["--confirmed", "no"])?;
            doubted.iter().rfind(|event| claims(event)).cloned().with_context(|| {
                let seen = all(&[]).unwrap_or_default();
                format!("there are {}", events::reported(&seen))
            })
        })?;
        ensure!(!event.confirmed && event.severity == Severity::Warning, "{event:#?}");
        let believed = all(&["--confirmed", "yes"])?;
        ensure!(believed.iter().all(|other| other.event_id != event.event_id), "it counts as confirmed");
    }
    let plain = prpt::run(machine, &["query", "--source", "memory", "--confirmed", "no"])?;
    ensure!(plain.stdout.lines().filter(|line| line.contains("not confirmed")).count() >= 2, "{plain:?}");

    failing.fail()?;
    let _fails = std::fs::read(&failing.disk.path);
    for (event_type, device) in claimed {
        let is_real = |event: &Event| {
            event.event_type.as_str() == event_type
                && about(event, device)
                && event.confirmed
                && event.severity.at_least(Severity::Error)
        };
        events::expect("the real failure", || all(&[]), is_real)?;
    }
    // Nothing that happened then is doubted.
    thread::sleep(Duration::from_secs(7));
    let doubted = events::latest(all(&[])?).into_iter().filter(|event| !event.confirmed).collect::<Vec<_>>();
    ensure!(doubted.iter().all(|event| event.sources == ["kmsg"]), "{}", events::reported(&doubted));
    Ok(())
}

fn logger(machine: &Machine) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    let as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let fields = format!(
        "PRIORITY=3\nSYSLOG_IDENTIFIER=kernel\nSYSLOG_FACILITY=0\n_TRANSPORT=kernel\nMESSAGE={LINE}\n"
    );
    for runner in [&as_nobody[..], &["env"]] {
        let [program, args @ ..] = runner else { continue };
        let command = || {
            let mut command = Command::new(program);
            command.args(args);
            command
        };
        let socket =
            ["logger", "--socket", "/run/systemd/journal/dev-log", "-t", "kernel", "-p", "kern.err", LINE];
        cmd::run(command().args(socket))?;
        let shell = format!("printf '{}' | logger --journald", fields.replace('\n', "\\n"));
        cmd::run(command().args(["sh", "-c", &shell]))?;
    }
    cmd::wait_for("the forged text in the journal", Duration::from_secs(5), || {
        let entries = journald::entries(&["SYSLOG_IDENTIFIER=kernel"])?;
        ensure!(
            entries.iter().filter(|e| e.to_string().contains(LINE)).count() >= 4,
            "{} entries",
            entries.len()
        );
        Ok(())
    })?;
    nothing_told(&scene)
}

fn nothing_told(scene: &Scene<'_>) -> Result<()> {
    thread::sleep(Duration::from_secs(3));
    for events in [scene.seen(DEVICE)?, scene.found(DEVICE)?] {
        ensure!(events.is_empty(), "{}", events::reported(&events));
    }
    Ok(())
}

/// Everything that an ordinary user can write into the journal, in the shape of an event that the daemon wrote.
fn entry(machine: &Machine) -> Result<()> {
    let _scene = Scene::start(machine, "")?;
    let id = "11111111-2222-5333-8444-555555555555";
    let file = forged(machine, id)?;
    let sender = "setpriv --reuid=65534 --regid=65534 --clear-groups logger --journald=";
    cmd::sh(&format!("{sender}{}", file.display()))?;
    // And as root, but not the daemon.
    let socket = UnixDatagram::unbound()?;
    socket.send_to(&std::fs::read(&file)?, "/run/systemd/journal/socket")?;
    cmd::wait_for("the forged entries in the journal", Duration::from_secs(5), || {
        let entries = journald::entries(&[&format!("EVENT_ID={id}")])?;
        ensure!(entries.len() == 2, "{} entries", entries.len());
        Ok(())
    })?;
    let found = prpt::json(machine, &["query", "-J"])?;
    ensure!(!found.is_empty(), "prpt query finds nothing at all");
    ensure!(found.iter().all(|event| !event.to_string().contains(id)), "prpt query believes a forged entry");
    Ok(())
}

/// A file with an entry as the daemon would write it, with this id.
fn forged(machine: &Machine, id: &str) -> Result<PathBuf> {
    let genuine = journald::entries(&["IS_PERIPETY=TRUE"])?;
    let mut event: serde_json::Value = serde_json::from_str(
        genuine
            .first()
            .and_then(|e| e.get("JSON"))
            .and_then(|j| j.as_str())
            .context("the daemon wrote no event")?,
    )?;
    for (key, value) in [("event_id", id), ("kdev", DEVICE), ("msg", LINE)] {
        event.as_object_mut().context("an event that is no object")?.insert(key.to_owned(), value.into());
    }
    let fields = format!(
        "IS_PERIPETY=TRUE\nEVENT_ID={id}\nREVISION=0\nEVENT_TYPE=FS_ERROR\nSUB_SYSTEM=ext4\nPRIORITY=3\n\
         SYSLOG_IDENTIFIER=peripetyd\n_UID=0\n_COMM=peripetyd\n_EXE=/usr/bin/peripetyd\n\
         _SYSTEMD_UNIT=peripetyd.service\nDEV_PATH=/dev/{DEVICE}\nMESSAGE={LINE}\nJSON={event}\n"
    );
    let file = machine.dir("forged")?.join("entry");
    std::fs::write(&file, fields)?;
    Ok(file)
}

/// What journald says of it is right in all but the place of the executable.
fn namesake(machine: &Machine) -> Result<()> {
    let _scene = Scene::start(machine, "")?;
    let id = "22222222-2222-5333-8444-555555555555";
    let file = forged(machine, id)?;
    let program = machine.dir("namesake")?.join("peripetyd");
    std::fs::copy(std::env::current_exe()?, &program)?;
    cmd::run(Command::new(&program).env(crate::SEND, &file))?;
    cmd::wait_for("the forged entries in the journal", Duration::from_secs(5), || {
        let entries = journald::entries(&[&format!("EVENT_ID={id}")])?;
        let named = entries.iter().filter(|e| {
            e.get("_EXE").and_then(|exe| exe.as_str()) == Some(&*program.to_string_lossy())
                && e.get("_UID").and_then(|uid| uid.as_str()) == Some("0")
        });
        ensure!(named.count() > 0, "{} entries: {entries:?}", entries.len());
        Ok(())
    })?;
    let found = prpt::json(machine, &["query", "-J"])?;
    ensure!(!found.is_empty(), "prpt query finds nothing at all");
    ensure!(found.iter().all(|event| !event.to_string().contains(id)), "prpt query believes a namesake");
    Ok(())
}
