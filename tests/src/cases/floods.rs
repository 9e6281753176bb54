//! More of something than can be taken at once: the daemon stays alive, small and ready to answer.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{
        fs::FileExt as _,
        net::{UnixDatagram, UnixStream},
    },
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use peripety::event::Event;
use rustix::{mount::UnmountFlags, process::Signal};

use super::Case;
use crate::{
    cmd,
    daemon::Daemon,
    disk::{Loop, Tmpfs},
    events,
    fault::FailingDisk,
    fs::{self, Mount},
    journald, kmsg,
    machine::{Machine, Need},
    prpt,
    scene::Scene,
};

pub const CASES: &[Case] = &[
    Case { name: "a_flood_of_uevents_holds_nobody_up", needs: &[Need::Loop], run: uevents },
    Case { name: "a_flood_of_disks_that_come_and_go_holds_nobody_up", needs: &[Need::Loop], run: disks },
    Case { name: "a_flood_of_mounts_holds_nobody_up", needs: &[], run: mounts },
    Case { name: "a_flood_of_lines_of_processes_holds_nobody_up", needs: &[Need::Bpf], run: lines },
    Case { name: "a_flood_of_clients_keeps_nobody_out", needs: &[Need::Program("python3")], run: clients },
    Case {
        name: "files_that_a_failing_xfs_lost_do_not_flood_the_journal",
        needs: &[Need::Bpf, Need::Loop, Need::Journald, Need::Filesystem("xfs")],
        run: |machine| shut_down(machine, "xfs", "FS_SHUTDOWN"),
    },
    Case {
        name: "files_that_a_failing_ext4_lost_do_not_flood_the_journal",
        needs: &[Need::Bpf, Need::Loop, Need::Journald, Need::Filesystem("xfs"), Need::Filesystem("ext4")],
        run: |machine| shut_down(machine, "ext4", "FS_JOURNAL_ABORTED"),
    },
];

/// What systemd allows between two signs of life.
const WATCHDOG: Duration = Duration::from_secs(2);
/// What there may be between two, in any flood.
const GAP: Duration = Duration::from_millis(1200);
/// An answer takes a tenth of a second at most; on a machine that is busy with the flood itself, a debug build more.
const ANSWER: Duration = Duration::from_millis(500);
/// Of 64 MiB, those that are not the program itself, which is larger where it is built for debugging.
const PEAK_MIB: u64 = 48;
const END: Duration = Duration::from_secs(3);

const SOCKET: &str = "/run/peripety/peripety.sock";

/// How the daemon was during a flood.
#[derive(Debug)]
struct Measured {
    gap: Duration,
    answer: Duration,
}

/// Watches the daemon during a flood, and ends it in its midst.
fn under(machine: &Machine, mut flood: impl FnMut() -> Result<()>) -> Result<Daemon> {
    let (mut daemon, notify) = Daemon::start_watched(machine, "", &[], Some(WATCHDOG))?;
    let over = AtomicBool::new(false);
    let measured = thread::scope(|scope| -> Result<Measured> {
        let pings = scope.spawn(|| longest_gap(&notify, &over));
        let answers = scope.spawn(|| longest_answer(&over));
        let flooded = flood();
        // What was sent is not yet taken.
        thread::sleep(Duration::from_secs(1));
        over.store(true, Ordering::Relaxed);
        let gap = pings.join().map_err(|_| anyhow!("the watchdog panicked"))?;
        let answer = answers.join().map_err(|_| anyhow!("the client panicked"))??;
        flooded?;
        Ok(Measured { gap, answer })
    })?;
    let peak = daemon.peak_mib()?;
    eprintln!("{measured:?}, {peak} MiB at its peak");
    ensure!(
        measured.gap < GAP && measured.answer < ANSWER && peak <= PEAK_MIB,
        "{measured:?}, {peak} MiB at its peak"
    );
    let start = Instant::now();
    daemon.signal(Signal::TERM)?;
    daemon.wait(END)?;
    ensure!(start.elapsed() < END, "it took {:?} to end", start.elapsed());
    Ok(daemon)
}

fn longest_gap(notify: &UnixDatagram, over: &AtomicBool) -> Duration {
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    while !over.load(Ordering::Relaxed) {
        let mut said = [0; 4096];
        let said = notify.recv(&mut said).map(|len| said.get(..len).unwrap_or_default().to_vec());
        if said.is_ok_and(|said| said.split(|b| *b == b'\n').any(|line| line == b"WATCHDOG=1")) {
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        thread::sleep(Duration::from_millis(5));
    }
    longest.max(last.elapsed())
}

fn longest_answer(over: &AtomicBool) -> Result<Duration> {
    let mut longest = Duration::ZERO;
    while !over.load(Ordering::Relaxed) {
        let start = Instant::now();
        let mut socket = UnixStream::connect(SOCKET).context("connecting")?;
        socket.write_all(b"{\"version\":1,\"request\":\"stats\"}\n").context("asking")?;
        let mut line = String::new();
        BufReader::new(socket).read_line(&mut line).context("reading the answer")?;
        ensure!(line.starts_with("{\"answer\""), "the answer is {line}");
        longest = longest.max(start.elapsed());
        thread::sleep(Duration::from_millis(20));
    }
    Ok(longest)
}

/// `PERIPETY_UEVENTS=1900000` are as many as were ever tried.
fn uevents(machine: &Machine) -> Result<()> {
    let half = number("PERIPETY_UEVENTS", 60_000) / 2;
    let tmpfs = Tmpfs::new(machine, "16m")?;
    let disk = Loop::attach(&tmpfs.file("disk", 1 << 20)?)?;
    let trigger = File::options().write(true).open(format!("/sys/block/{}/uevent", disk.name))?;
    let daemon = under(machine, || {
        for _ in 0..half {
            trigger.write_at(b"change", 0).context("asking for a uevent")?;
        }
        // Devices come and go meanwhile, and that is reported.
        let other = Loop::attach(&tmpfs.file("other", 1 << 20)?)?;
        for _ in 0..half {
            trigger.write_at(b"change", 0).context("asking for a uevent")?;
        }
        other.remove()
    })?;
    ensure!(!daemon.log().contains("ERROR"), "{}", daemon.log());
    Ok(())
}

fn disks(machine: &Machine) -> Result<()> {
    let tmpfs = Tmpfs::new(machine, "16m")?;
    let file = tmpfs.file("disk", 1 << 20)?;
    let daemon = under(machine, || {
        for _ in 0..number("PERIPETY_LOOPS", 200) {
            Loop::attach(&file)?.remove()?;
        }
        Ok(())
    })?;
    ensure!(!daemon.log().contains("ERROR"), "{}", daemon.log());
    Ok(())
}

fn mounts(machine: &Machine) -> Result<()> {
    const MOUNTS: usize = 10_000;
    let tmpfs = Tmpfs::new(machine, "1m")?;
    let dir = tmpfs.dir.join("dir");
    std::fs::create_dir(&dir)?;
    let bind = |dir: &Path| rustix::mount::mount_bind(dir, dir).context("mounting");
    for _ in 0..MOUNTS {
        bind(&dir)?;
    }
    let flooded = under(machine, || {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(3) {
            bind(&dir)?;
            rustix::mount::unmount(&dir, UnmountFlags::DETACH).context("unmounting")?;
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    });
    for _ in 0..MOUNTS {
        rustix::mount::unmount(&dir, UnmountFlags::DETACH).context("unmounting")?;
    }
    flooded.map(drop)
}

/// Lines that processes write to /dev/kmsg are printed as the kernel's own are, and `printk:console` sees them.
fn lines(machine: &Machine) -> Result<()> {
    let lines = number("PERIPETY_LINES", 100_000);
    let _unlimited = kmsg::Unlimited::new()?;
    let mut log = File::options().write(true).open("/dev/kmsg").context("opening /dev/kmsg")?;
    under(machine, || {
        for number in 0..lines {
            log.write_all(format!("<14>line {number} of a process that writes lines").as_bytes())?;
        }
        let stats = prpt::json(machine, &["probes", "-J"])?;
        let sent = stats.iter().find_map(|all| {
            let console =
                all.get("probes")?.as_array()?.iter().find(|p| p["tracepoint"] == "printk:console")?;
            console.pointer("/counts/sent")?.as_u64()
        });
        ensure!(sent.is_none_or(|sent| sent < lines / 10), "{sent:?} records of {lines} lines in the ring");
        Ok(())
    })
    .map(drop)
}

fn clients(machine: &Machine) -> Result<()> {
    under(machine, || {
        // A process of its own: none gets all of the room.
        let program = "import socket,sys,time,resource\n\
            n=int(sys.argv[2])\n\
            resource.setrlimit(resource.RLIMIT_NOFILE,(n+64,n+64))\n\
            all=[]\n\
            for i in range(n):\n\
            \ts=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.settimeout(5); all.append(s)\n\
            \ttry: s.sendall([b'',b'{\"version\":1,',b'{\"version\":1,\"request\":\"events\",\"follow\":true}\\n'][i%3])\n\
            \texcept OSError: pass\n\
            time.sleep(1)\n";
        let clients = number("PERIPETY_CLIENTS", 1500).to_string();
        cmd::run(Command::new("python3").args(["-c", program, SOCKET, &clients])).map(drop)
    })
    .map(drop)
}

/// A number from the environment, where it asks for another one than is usual.
fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(usual)
}

/// Lost writes for which the kernel called its hook.
fn seen_lost_writes(machine: &Machine) -> Result<u64> {
    let probes = prpt::json(machine, &["probes", "-J"])?;
    let all = probes.first().and_then(|all| all.get("probes")?.as_array()).context("no probes")?;
    let of_hook = all.iter().find(|probe| probe["tracepoint"] == "filemap:filemap_set_wb_err");
    of_hook.and_then(|probe| probe.pointer("/counts/seen")?.as_u64()).context("no such probe")
}

/// The disk fails below a filesystem with thousands of files that are not yet on disk, which shuts itself down.
fn shut_down(machine: &Machine, kind: &str, end: &str) -> Result<()> {
    let number_of_files = number("PERIPETY_LOST_FILES", 3_000);
    let scene = Scene::start(machine, "")?;
    let since = jiff::Timestamp::now();
    let failing = FailingDisk::new(machine, 512)?;
    let disk = &failing.disk;
    fs::make(kind, disk)?;
    let mount = Mount::new(machine, disk, "")?;
    for file in 0..number_of_files {
        std::fs::write(mount.dir.join(format!("{file}")), [7; 4096]).context("writing a file")?;
    }
    failing.fail()?;
    let _fails = cmd::sh(&format!("sync --file-system {}", mount.dir.display()));
    let is = |event: &Event, name: &str| event.event_type.as_str() == name;
    // The kernel gives up on the rest of the files without a word: what its hook was called for is all that can be known.
    let reported = cmd::wait_for("one event for the rest of the files", events::SOON, || {
        let seen = seen_lost_writes(machine)?;
        let mut lost = events::latest(scene.all()?);
        lost.retain(|event| is(event, "BLK_LOST_WRITE") && event.first_timestamp >= since);
        let pages = |event: &Event| event.io.as_ref().and_then(|io| io.lost_pages).unwrap_or(0);
        let counted: u64 = lost.iter().map(|event| event.count.max(pages(event))).sum();
        ensure!(seen > number_of_files / 3, "{seen} lost writes of {number_of_files} files");
        ensure!(
            counted == seen,
            "{seen} lost writes were seen, {counted} are reported: {}",
            events::reported(&lost)
        );
        let files = |event: &Event| event.facts.group.as_ref().and_then(|group| group.files_total);
        lost.retain(|event| events::about(event, &disk.name));
        let rest = lost.iter().find(|event| files(event).is_some()).context("no event for the rest")?;
        let all = files(rest).unwrap_or_default();
        ensure!((number_of_files / 4..=seen).contains(&all), "{seen}, {}", events::reported(&lost));
        Ok(rest.clone())
    })?;
    let files = reported.facts.group.as_ref().and_then(|group| group.files.as_ref()).context("no files")?;
    ensure!(files.iter().all(|file| file.inode.is_some()), "{files:?}");
    scene.settled(&disk.name)?;
    cmd::wait_for("the journal", events::SOON, || {
        let mut all = Vec::new();
        for entry in journald::entries(&["IS_PERIPETY=TRUE"])? {
            let json = entry.get("JSON").and_then(|json| json.as_str()).context("an entry without JSON")?;
            all.push(serde_json::from_str::<Event>(json)?);
        }
        all.retain(|event| events::about(event, &disk.name) && event.first_timestamp >= since);
        ensure!(all.iter().any(|event| is(event, end)), "no {end} in {}", events::reported(&all));
        ensure!(
            all.iter().any(|event| event.event_id == reported.event_id && event.is_final),
            "it is not over"
        );
        let entries = all.len();
        ensure!(entries < 200, "{entries} entries of one cause: {}", events::reported(&events::latest(all)));
        Ok(())
    })
}
