//! peripety-scan on disks that fail in part, hang, or are used by others.

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use peripety::event::{Errno, Event, Sector};
use serde_json::Value;

use super::Case;
use crate::{
    cmd,
    disk::{Loop, Tmpfs},
    fs::Mount,
    machine::{Machine, Need},
    prpt,
    scene::Scene,
    slow::SlowFiles,
};

/// A scan of these disks takes some seconds.
const PATIENCE: Duration = Duration::from_secs(60);

pub const CASES: &[Case] = &[
    Case {
        name: "a_bad_block_that_nobody_read_is_found_by_the_scan_and_is_one_incident_with_its_file",
        needs: &[
            Need::Bpf,
            Need::Journald,
            Need::Loop,
            Need::Fuse,
            Need::Filesystem("ext4"),
            Need::Program("debugfs"),
            Need::Program("systemd-cat"),
        ],
        run: bad_block,
    },
    Case {
        name: "a_scan_that_is_killed_goes_on_where_it_was_and_a_damaged_state_begins_anew",
        needs: &[Need::Loop],
        run: killed,
    },
    Case {
        name: "a_scan_waits_while_others_use_the_disk",
        needs: &[Need::Loop, Need::Program("dd")],
        run: busy,
    },
    Case {
        name: "a_disk_that_hangs_stops_the_scan_of_it_and_both_ends_are_events",
        needs: &[Need::Bpf, Need::Journald, Need::Loop, Need::Fuse, Need::Program("systemd-cat")],
        run: hangs,
    },
    Case {
        name: "a_scrub_finds_a_damaged_leg_of_btrfs_and_mends_it",
        needs: &[
            Need::Bpf,
            Need::Journald,
            Need::Loop,
            Need::Filesystem("btrfs"),
            Need::Program("systemd-cat"),
        ],
        run: scrubs,
    },
];

/// A peripety-scan with a directory of its own; it is killed at the end of its scope.
struct Scanner {
    process: Child,
    dir: PathBuf,
}

impl Scanner {
    /// Starts one, whose lines are in the journal.
    fn start(machine: &Machine, config: &str) -> Result<Self> {
        let dir = machine.dir("scan")?;
        fs::write(dir.join("conf"), config).context("writing a configuration")?;
        let mut command = Command::new("systemd-cat");
        command.arg("--identifier=peripety-scan").arg(machine.program("peripety-scan"));
        Self::spawn(command, dir)
    }

    /// Starts one without a journal.
    fn start_alone(machine: &Machine, dir: &Path) -> Result<Self> {
        let mut command = Command::new(machine.program("peripety-scan"));
        let errors = fs::File::options().append(true).create(true).open(dir.join("stderr"))?;
        command.stdout(Stdio::null()).stderr(errors);
        Self::spawn(command, dir.to_owned())
    }

    fn spawn(mut command: Command, dir: PathBuf) -> Result<Self> {
        command.arg("--config").arg(dir.join("conf")).stdin(Stdio::null());
        command.env("STATE_DIRECTORY", &dir).env("RUNTIME_DIRECTORY", &dir);
        Ok(Self { process: command.spawn().context("starting peripety-scan")?, dir })
    }

    /// What `prpt scan status` says of its one device.
    fn status(&self, machine: &Machine) -> Result<Value> {
        let dir = self.dir.display().to_string();
        let all = prpt::json(machine, &["scan", "status", "--scan-dir", &dir, "--format", "Json"])?;
        all.into_iter().next().context("nothing is scanned")
    }

    /// Waits until its status `is_it`.
    fn expect(&self, machine: &Machine, what: &str, is_it: impl Fn(&Value) -> bool) -> Result<Value> {
        cmd::wait_for(what, PATIENCE, || {
            let status = self.status(machine)?;
            ensure!(is_it(&status), "{status}");
            Ok(status)
        })
    }

    /// It is left alone where its disk hangs: that ends only after it.
    fn kill(&mut self) {
        let _already_gone = self.process.kill();
        for _ in 0..50 {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Scanner {
    fn drop(&mut self) {
        self.kill();
    }
}

fn number(status: &Value, pointer: &str) -> u64 {
    status.pointer(pointer).and_then(Value::as_u64).unwrap_or(u64::MAX)
}

fn config(disk: &Loop, more: &str) -> String {
    format!("[[scan]]\ndevices = [\"{}\"]\n{more}\n", disk.name)
}

fn is(event_type: &'static str) -> impl Fn(&Event) -> bool {
    move |event| event.event_type.as_str() == event_type
}

fn bad_block(machine: &Machine) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    let files = Tmpfs::new(machine, "128m")?;
    let image = files.file("image", 32 << 20)?;
    let block = {
        let disk = Loop::attach(&image)?;
        crate::fs::make("ext4", &disk)?;
        {
            let mount = Mount::new(machine, &disk, "")?;
            fs::write(mount.dir.join("file"), vec![7; 4 << 20])?;
        }
        let mut debugfs = Command::new("debugfs");
        let block = cmd::run(debugfs.args(["-R", "bmap /file 100"]).arg(&disk.path))?;
        block.trim().parse::<u64>().context("the block of the file")?
    };
    let dumped = cmd::run(Command::new("dumpe2fs").arg("-h").arg(&image))?;
    let size = dumped.lines().find_map(|line| line.strip_prefix("Block size:")).context("a block size")?;
    let at = block * size.trim().parse::<u64>()? / 4096 * 4096;
    let slow = SlowFiles::mount(&machine.dir("fuse")?, &[image], u64::MAX)?;
    slow.spoil(at..at + 4096);
    let disk = Loop::attach_with(&slow.file("image"), &["--read-only"])?;
    let mount = Mount::new(machine, &disk, "ro,noload")?;

    let scanner = Scanner::start(machine, &config(&disk, "rate = \"100 MB/s\""))?;
    let bad = scene.expect("the bad block", &disk.name, is("SCAN_FOUND_BAD"))?;
    let io = bad.io.as_ref().context("sectors")?;
    ensure!(
        (io.sector, io.nr_sectors, io.errno) == (Some(Sector(at / 512)), Some(8), Some(Errno::EIO)),
        "{io:?}, wanted {}",
        at / 512
    );
    ensure!(bad.sources == ["journal:peripety-scan"], "{:?}", bad.sources);
    let failed = scene.expect("the request", &disk.name, is("BLK_IO_ERROR"))?;
    ensure!(
        bad.root_cause_event_id == Some(failed.event_id),
        "{:?} is not {}",
        bad.root_cause_event_id,
        failed.event_id
    );
    let ended = scene.expect("the end of the pass", &disk.name, is("SCAN_ENDED_WITH_ERRORS"))?;
    let facts = ended.facts.scan.clone().context("facts")?;
    ensure!((facts.errors, facts.bytes) == (Some(1), Some((32 << 20) - 4096)), "{facts:?}");
    let status = scanner.expect(machine, "the status", |status| number(status, "/last/errors") == 1)?;
    ensure!(status.get("state").and_then(Value::as_str) == Some("done"), "{status}");

    // One incident, whose cause is the disk, and which names the file.
    let incident = cmd::wait_for("one incident", Duration::from_secs(20), || {
        let incidents = prpt::json(machine, &["incidents", "--format", "Json", "--state", "open"])?;
        let of_disk: Vec<_> =
            incidents.into_iter().filter(|one| one.to_string().contains(&disk.name)).collect();
        let [one] = of_disk.as_slice() else { anyhow::bail!("{of_disk:#?}") };
        let text = one.to_string();
        for name in ["BLK_IO_ERROR", "SCAN_FOUND_BAD", "SCAN_ENDED_WITH_ERRORS"] {
            ensure!(text.contains(name), "{name} is not in {text}");
        }
        let cause = one.pointer("/cause/event_id").and_then(Value::as_str);
        ensure!(cause == Some(failed.event_id.to_string().as_str()), "{one:#}");
        Ok(one.clone())
    })?;
    let id = incident.get("incident_id").and_then(Value::as_str).context("an id")?;
    let explained = prpt::run(machine, &["explain", id, "--files"])?;
    let file = mount.dir.join("file").display().to_string();
    ensure!(explained.stdout.contains(&file), "{file} is not in {explained:?}");
    Ok(())
}

fn killed(machine: &Machine) -> Result<()> {
    let files = Tmpfs::new(machine, "64m")?;
    let disk = Loop::attach(&files.file("disk", 256 << 20)?)?;
    let dir = machine.dir("scan")?;
    let rate = 4_000_000;
    fs::write(dir.join("conf"), config(&disk, "rate = \"4 MB/s\"\nbusy = \"1 GB/s\""))?;
    let saved = || -> Result<u64> {
        let text = fs::read_to_string(dir.join("state")).context("reading the state")?;
        let (_, json) = text.split_once(' ').context("a checksum")?;
        let state: Value = serde_json::from_str(json)?;
        let all = state.get("devices").and_then(Value::as_object).context("devices")?;
        Ok(all.values().map(|kept| number(kept, "/pass/place")).next().unwrap_or(0))
    };
    let mut scanner = Scanner::start_alone(machine, &dir)?;
    let place = cmd::wait_for("the state", PATIENCE, || {
        let place = saved()?;
        ensure!(place >= 8 << 20, "{place}");
        Ok(place)
    })?;
    let status = scanner.status(machine)?;
    ensure!(number(&status, "/rate") <= 2 * rate, "it reads faster than it may: {status}");
    // One directory is of one process.
    let second = prpt::ran(
        Command::new(machine.program("peripety-scan"))
            .arg("--config")
            .arg(dir.join("conf"))
            .env("STATE_DIRECTORY", &dir),
    )?;
    ensure!(second.stderr.contains("another peripety-scan runs"), "{second:?}");
    scanner.kill();
    fs::remove_file(dir.join("status.json"))?;
    let mut scanner = Scanner::start_alone(machine, &dir)?;
    let went_on = scanner.expect(machine, "it to go on", |status| number(status, "/place") != u64::MAX)?;
    ensure!(number(&went_on, "/place") >= place, "it does not go on at {place}: {went_on}");
    scanner.kill();
    // Whatever is in the file: it begins anew and says so.
    let mut bytes = fs::read(dir.join("state"))?;
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    fs::write(dir.join("state"), bytes)?;
    fs::remove_file(dir.join("status.json"))?;
    let scanner = Scanner::start_alone(machine, &dir)?;
    let anew = scanner.expect(machine, "it to begin", |status| number(status, "/place") != u64::MAX)?;
    ensure!(number(&anew, "/place") < place, "it does not begin anew: {anew}");
    let words = fs::read_to_string(dir.join("stderr"))?;
    ensure!(words.contains("it is damaged; every device is scanned from its beginning"), "{words}");
    Ok(())
}

fn busy(machine: &Machine) -> Result<()> {
    let files = Tmpfs::new(machine, "64m")?;
    let disk = Loop::attach(&files.file("disk", 32 << 20)?)?;
    let reads = format!(
        "while dd if={} of=/dev/null bs=1M iflag=direct 2>/dev/null; do :; done",
        disk.path.display()
    );
    let mut others =
        Command::new("sh").args(["-c", &reads]).stdin(Stdio::null()).spawn().context("starting dd")?;
    let dir = machine.dir("scan")?;
    fs::write(dir.join("conf"), config(&disk, "rate = \"20 MB/s\""))?;
    let scanner = Scanner::start_alone(machine, &dir);
    let waits = scanner.as_ref().ok().map(|scanner| {
        scanner.expect(machine, "it to wait", |status| {
            status.get("why").and_then(Value::as_str) == Some("others use it")
        })
    });
    let ended = others.kill().and_then(|()| others.wait());
    let scanner = scanner?;
    waits.context("no scanner")??;
    ended.context("ending dd")?;
    let done = scanner.expect(machine, "it to go on", |status| number(status, "/last/bytes") == 32 << 20)?;
    ensure!(number(&done, "/last/errors") == 0, "{done}");
    Ok(())
}

fn hangs(machine: &Machine) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    let files = Tmpfs::new(machine, "64m")?;
    let slow = SlowFiles::mount(&machine.dir("fuse")?, &[files.file("image", 16 << 20)?], 4 << 20)?;
    let disk = Loop::attach_with(&slow.file("image"), &["--read-only"])?;
    let scanner = Scanner::start(machine, &config(&disk, "rate = \"100 MB/s\"\ntimeout = \"2s\""))?;
    let stopped = scene.expect("the scan to stop", &disk.name, is("SCAN_STOPPED"))?;
    let reason = stopped.facts.scan.as_ref().and_then(|scan| scan.reason.clone());
    ensure!(reason.as_deref() == Some("a step has not come back for 2 s"), "{stopped:?}");
    // It is published a moment after it is said.
    scanner.expect(machine, "it to be shown", |status| {
        status.get("state").and_then(Value::as_str) == Some("stopped")
    })?;
    slow.recover();
    scene.expect("the scan to go on", &disk.name, is("SCAN_RESUMED"))?;
    let finished = scene.expect("the end of the pass", &disk.name, is("SCAN_FINISHED"))?;
    let facts = finished.facts.scan.clone().context("facts")?;
    ensure!((facts.errors, facts.bytes) == (Some(0), Some(16 << 20)), "{facts:?}");
    Ok(())
}

fn scrubs(machine: &Machine) -> Result<()> {
    const TEXT: &[u8] = b"what both legs of the mirror have ";
    let scene = Scene::start(machine, "")?;
    let files = Tmpfs::new(machine, "512m")?;
    let one = Loop::attach(&files.file("one", 256 << 20)?)?;
    let two = Loop::attach(&files.file("two", 256 << 20)?)?;
    let mut mkfs = Command::new("mkfs.btrfs");
    cmd::run(mkfs.args(["-f", "-q", "-d", "raid1", "-m", "raid1"]).args([&one.path, &two.path]))?;
    let content: Vec<u8> = TEXT.iter().copied().cycle().take(1 << 20).collect();
    let written = {
        let mount = Mount::new(machine, &one, "")?;
        fs::write(mount.dir.join("file"), &content)?;
        cmd::run(&mut Command::new("sync"))?;
        content
    };
    // A block of the second leg is overwritten below the filesystem.
    let leg = fs::read(&two.file)?;
    let at = leg.windows(TEXT.len()).position(|bytes| bytes == TEXT).context("the file on the second leg")?;
    let at = (at as u64).next_multiple_of(4096);
    fs::File::options().write(true).open(&two.file)?.write_all_at(&[0xa5; 4096], at)?;
    let mount = Mount::new(machine, &one, "")?;

    let _scanner = Scanner::start(
        machine,
        &format!("[[scan]]\ndevices = [\"{}\", \"{}\"]\nrate = \"200 MB/s\"\n", one.name, two.name),
    )?;
    // The filesystem is named by the first of its devices.
    let first = if one.name < two.name { &one.name } else { &two.name };
    let finished = scene.expect("the end of the scrub", first, is("SCAN_FINISHED"))?;
    let facts = finished.facts.scan.clone().context("facts")?;
    ensure!(
        facts.method.as_deref() == Some("scrubbed") && facts.errors.is_some_and(|errors| errors > 0),
        "{facts:?}"
    );
    ensure!(finished.msg.contains("all corrected"), "{}", finished.msg);
    let mended = scene
        .all()?
        .into_iter()
        .any(|event| ["FS_READ_ERROR_CORRECTED", "FS_CHECKSUM_ERROR"].contains(&event.event_type.as_str()));
    ensure!(mended, "the kernel's own words are no event");
    drop(mount);
    let leg = fs::read(&two.file)?;
    let from = usize::try_from(at)?;
    let block = leg.get(from..from + 4096).context("the block")?;
    ensure!(written.windows(4096).any(|bytes| bytes == block), "the block of the second leg is not mended");
    Ok(())
}
