//! A journal that is damaged, or lies on a disk that fails or is slow: nobody dies of it, and what is not known is said.

use std::{
    collections::BTreeSet,
    env, fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use peripety::event::{Event, EventId};
use rustix::process::Signal;
use serde_json::Value;

use super::Case;
use crate::{
    cmd,
    daemon::Daemon,
    disk::{Loop, Tmpfs},
    events::{self, SOON},
    fault::FailingDisk,
    fs::{self as filesystems, Mount},
    journald::Journald,
    machine::{Machine, Need},
    mutate::mutate,
    prpt,
    slow::SlowFiles,
};

pub const CASES: &[Case] = &[
    Case {
        name: "a_damaged_journal_ends_neither_prpt_nor_the_daemon",
        needs: &[Need::Loop, Need::Journald, Need::Filesystem("ext4")],
        run: damaged,
    },
    Case {
        name: "the_daemon_lives_when_the_disk_of_its_journal_fails",
        needs: &[Need::Bpf, Need::Loop, Need::Journald, Need::Filesystem("xfs"), Need::Filesystem("ext4")],
        run: disk_gone,
    },
    Case {
        name: "the_daemon_works_on_while_the_journal_is_read_at_a_crawl",
        needs: &[
            Need::Bpf,
            Need::Loop,
            Need::Journald,
            Need::Filesystem("xfs"),
            Need::Filesystem("ext4"),
            Need::Fuse,
        ],
        run: crawl,
    },
    Case {
        name: "a_daemon_that_is_killed_again_and_again_is_soon_back",
        needs: &[Need::Bpf, Need::Journald],
        run: killed,
    },
];

/// How many damaged journals, and from which on: `PERIPETY_MUTATIONS=1000` tries all that were ever tried.
fn mutations() -> std::ops::Range<u64> {
    let number = |name: &str, default| env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let first = number("PERIPETY_MUTATION", 0);
    first..first + number("PERIPETY_MUTATIONS", 60)
}

/// Each so many damaged journals are shown to a daemon as well.
fn every() -> u64 {
    env::var("PERIPETY_MUTATIONS_DAEMON").ok().and_then(|n| n.parse().ok()).unwrap_or(6)
}

/// Where journald keeps what outlives a boot: in the sandbox, nothing of the machine's own.
struct Lasting {
    dir: PathBuf,
}

impl Lasting {
    fn new() -> Result<Self> {
        cmd::sh("mount -t tmpfs -o mode=0755 tmpfs /var/log")?;
        let machine = fs::read_to_string("/etc/machine-id").context("the machine's id")?;
        let dir = Path::new("/var/log/journal").join(machine.trim());
        fs::create_dir_all(&dir)?;
        Ok(Self { dir })
    }
}

impl Drop for Lasting {
    fn drop(&mut self) {
        crate::disk::unmount(Path::new("/var/log"));
    }
}

/// The files of the running journald.
fn volatile_files() -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for machine in fs::read_dir("/run/log/journal")?.flatten() {
        files.extend(fs::read_dir(machine.path())?.flatten().map(|entry| entry.path()));
    }
    Ok(files)
}

/// Journal files with events: one more for each round of a mount and its end. The last one is the live one.
fn record(machine: &Machine, rounds: usize) -> Result<(PathBuf, Vec<Vec<Event>>)> {
    let journald = Journald::start()?;
    let daemon = Daemon::start(machine, "")?;
    let files = Tmpfs::new(machine, "256m")?;
    let mut disks = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let disk = Loop::attach(&files.file(name, 32 << 20)?)?;
        filesystems::make("ext4", &disk)?;
        disks.push(disk);
    }
    // The first file has what the kernel said before this test.
    let written = || Ok::<_, anyhow::Error>(crate::journald::entries(&["IS_PERIPETY=TRUE"])?.len());
    for _round in 0..=rounds {
        let before = written()?;
        // What comes again soon is reported once a while.
        for _try in 0..10 {
            for disk in &disks {
                drop(Mount::new(machine, disk, "")?);
            }
            std::thread::sleep(Duration::from_millis(1500));
            if written()? >= before + 5 {
                break;
            }
        }
        ensure!(written()? >= before + 5, "{} entries, {before} before", written()?);
        let count = volatile_files()?.len();
        journald.signal(Signal::USR2)?;
        cmd::wait_for("journald to rotate", SOON, || {
            ensure!(volatile_files()?.len() > count, "{:?}", volatile_files()?);
            Ok(())
        })?;
    }
    drop(daemon);
    // What was written until now, and nothing more.
    let dir = machine.dir("recorded")?;
    let mut archived: Vec<PathBuf> =
        volatile_files()?.into_iter().filter(|path| path.to_string_lossy().contains('@')).collect();
    archived.sort();
    ensure!(archived.len() == rounds + 1, "{archived:?}");
    archived.remove(0);
    let mut all = Vec::new();
    for path in archived {
        let name = path.file_name().context("a name")?;
        fs::copy(&path, dir.join(name))?;
        let alone = machine.dir("alone")?;
        fs::copy(&path, alone.join(name))?;
        let alone = alone.display().to_string();
        all.push(prpt::events(machine, &["--journal-dir", &alone, "query", "-J", "--all-revisions"])?);
    }
    ensure!(all.iter().all(|events| events.len() > 2), "{:?}", all.iter().map(Vec::len).collect::<Vec<_>>());
    Ok((dir, all))
}

fn files_of(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    Ok(files)
}

fn keys(events: &[Event]) -> BTreeSet<(EventId, u32)> {
    events.iter().map(|event| (event.event_id, event.revision)).collect()
}

fn damaged(machine: &Machine) -> Result<()> {
    let (dir, recorded) = record(machine, 3)?;
    let files = files_of(&dir)?;
    let [first, victim, last] = files.as_slice() else { return Err(anyhow!("{files:?}")) };
    let [before, between, after] = recorded.as_slice() else { return Err(anyhow!("three rounds")) };
    let sound: BTreeSet<_> = keys(before).union(&keys(after)).copied().collect();
    let whole: BTreeSet<_> = sound.union(&keys(between)).copied().collect();
    let bytes = fs::read(victim)?;

    let lasting = Lasting::new()?;
    for file in [first, last] {
        fs::copy(file, lasting.dir.join(file.file_name().context("a name")?))?;
    }
    let target = lasting.dir.join(victim.file_name().context("a name")?);
    let (mut tried, mut started, mut said, mut short, mut unsaid) = (0, 0, 0, 0, Vec::new());
    let mut slowest = Duration::ZERO;
    for seed in mutations() {
        let mut mutated = bytes.clone();
        let how = mutate(&mut mutated, seed);
        fs::write(&target, &mutated)?;
        let begin = Instant::now();
        let dir = lasting.dir.display().to_string();
        let ran =
            prpt::run(machine, &["--journal-dir", &dir, "query", "--all-revisions", "--format", "Json"])?;
        let took = begin.elapsed();
        slowest = slowest.max(took);
        if took > Duration::from_secs(5)
            && let Some(keep) = env::var_os("PERIPETY_KEEP_LOGS")
        {
            let keep = Path::new(&keep).join(seed.to_string());
            fs::create_dir_all(&keep)?;
            for file in files_of(&lasting.dir)? {
                fs::copy(&file, keep.join(file.file_name().context("a name")?))?;
            }
        }
        let reported = || format!("mutation {seed} ({how}): exit {:?}, {}", ran.code, ran.stderr);
        ensure!(matches!(ran.code, Some(0 | 1)), "{}", reported());
        let found: Vec<Event> =
            ran.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>().with_context(reported)?;
        let found_keys = keys(&found);
        ensure!(found.len() == found_keys.len(), "{}: events come twice", reported());
        let missing = sound.difference(&found_keys).count();
        ensure!(missing == 0, "{}: {missing} events of sound files are missing", reported());
        let fewer = whole.difference(&found_keys).count();
        ensure!(took < Duration::from_secs(60), "{}: took {took:?}", reported());
        tried += 1;
        said += usize::from(ran.stderr.contains("cannot read"));
        short += usize::from(fewer > 0);
        if ran.stderr.contains("cannot read") {
            ensure!(ran.stderr.contains(&*target.to_string_lossy()) && ran.code == Some(1), "{}", reported());
        } else if fewer > 0 && !ran.stderr.contains("passed over") {
            unsaid.push(format!("{seed}: {how}, {fewer} events"));
        }
        if seed % every() == 0 {
            start_on_it(machine).with_context(reported)?;
            started += 1;
        }
    }
    eprintln!(
        "{tried} damaged journals, the slowest query took {slowest:?}; {short} of them lack events, {said} are named; \
         {started} daemons started; unsaid: {unsaid:#?}"
    );
    Ok(())
}

/// A daemon starts, and knows of the journal what can be known.
fn start_on_it(machine: &Machine) -> Result<()> {
    let mut daemon = Daemon::start_with(machine, "", &["--no-ebpf"])?;
    let state = journal_state(machine)?;
    ensure!(state.get("tries").and_then(Value::as_u64) >= Some(1), "{state}");
    ensure!(daemon.is_alive(), "{}", daemon.log());
    Ok(())
}

/// What the daemon reports how the journal was read at its start, once it was.
fn journal_state(machine: &Machine) -> Result<Value> {
    cmd::wait_for("the journal to be read", Duration::from_secs(70), || {
        let stats = prpt::json(machine, &["stats", "--format", "Json"])?;
        let state = stats.first().and_then(|stats| stats.get("journal_at_start")).cloned();
        let state = state.context("no word of the journal")?;
        ensure!(state.get("tries").and_then(Value::as_u64) > Some(0), "{state}");
        Ok(state)
    })
}

/// Bytes of a file that are in memory before its disk fails: all but these are not.
fn warm(path: &Path, bytes: usize) -> Result<()> {
    let mut buffer = vec![0; bytes];
    fs::File::open(path)?.read_exact_at(&mut buffer, 0).context("reading the start of a journal file")?;
    rustix::fs::fadvise(fs::File::open(path)?, 0, None, rustix::fs::Advice::Random)?;
    Ok(())
}

fn disk_gone(machine: &Machine) -> Result<()> {
    let (dir, recorded) = record(machine, 1)?;
    let file = files_of(&dir)?.pop().context("a journal file")?;
    let name = file.file_name().context("a name")?.to_owned();
    let long = fs::read(&file)?;
    for warm_bytes in [0, 4096] {
        let _journald = Journald::start()?;
        let lasting = Lasting::new()?;
        let failing = FailingDisk::new(machine, 64)?;
        filesystems::make("ext4", &failing.disk)?;
        let target = lasting.dir.join(&name);
        let mount = || {
            cmd::run(Command::new("mount").arg(&failing.disk.path).arg(&lasting.dir))
                .map(|_| Unmount(lasting.dir.clone()))
        };
        let mounted = mount()?;
        fs::write(&target, &long)?;
        drop(mounted);
        let _mounted = mount()?;
        cmd::run(Command::new("blockdev").args(["--setra", "0"]).arg(&failing.disk.path))?;
        fs::metadata(&target)?;
        if warm_bytes > 0 {
            warm(&target, warm_bytes)?;
        }
        failing.fail()?;

        // `PERIPETY_DISK_RUNS=50`: a hundred of them.
        let runs = env::var("PERIPETY_DISK_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
        let mut slowest = Duration::ZERO;
        for run in 1..runs {
            let begin = Instant::now();
            let mut daemon = Daemon::start(machine, "")?;
            slowest = slowest.max(begin.elapsed());
            ensure!(attached(machine)? > 0, "no probe is attached");
            let state = journal_state(machine)?;
            ensure!(state.to_string().contains("cannot read"), "run {run}: {state}");
            ensure!(daemon.is_alive(), "run {run}: {}", daemon.log());
        }
        let begin = Instant::now();
        let mut daemon = Daemon::start(machine, "")?;
        let ready = begin.elapsed();
        let attached = attached(machine)?;
        ensure!(attached > 0, "no probe is attached");
        ensure!(ready < Duration::from_secs(5), "it took {ready:?} to be ready");
        eprintln!(
            "{runs} starts with a journal on a failing disk, the slowest took {:?}",
            slowest.max(ready)
        );
        let state = journal_state(machine)?;
        ensure!(state.to_string().contains("cannot read"), "{state}");
        ensure!(daemon.log().contains("cannot read"), "{}", daemon.log());
        let stats = prpt::run(machine, &["stats"])?;
        ensure!(stats.code == Some(1) && stats.stdout.contains("Not known: "), "{stats:?}");
        // It takes what happens now, and gives it to journald and to its memory.
        let seen = works(machine)?;
        ensure!(daemon.is_alive(), "{}", daemon.log());
        let found = prpt::run(machine, &["query", "--format", "Json"])?;
        ensure!(found.code == Some(1), "{found:?}");
        ensure!(found.stderr.contains(&*lasting.dir.to_string_lossy()), "{found:?}");
        ensure!(found.stdout.contains(&seen), "what is in the sound file is not found: {found:?}");
        let doctor = prpt::run(machine, &["doctor"])?;
        ensure!(doctor.code == Some(1) && doctor.stdout.contains("cannot read"), "{doctor:?}");
    }
    ensure!(!recorded.is_empty(), "nothing was recorded");
    Ok(())
}

/// Unmounts at the end of its scope.
struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        crate::disk::unmount(&self.0);
    }
}

fn attached(machine: &Machine) -> Result<usize> {
    let probes = prpt::json(machine, &["probes", "--format", "Json"])?;
    Ok(probes.iter().filter(|probe| probe.to_string().contains("attached")).count())
}

/// Mounts a filesystem; gives its UUID once there is an event about it.
fn works(machine: &Machine) -> Result<String> {
    let mounted = Mounted::new(machine)?;
    let uuid = &mounted.uuid;
    cmd::wait_for("the mount in the journal", SOON, || {
        let found =
            crate::journald::entries(&["IS_PERIPETY=TRUE", "EVENT_TYPE=FS_MOUNTED"]).unwrap_or_default();
        // journalctl may die of the same journal.
        let direct = prpt::run(machine, &["query", "--format", "Json"])?;
        let has = |text: &str| text.contains(uuid);
        ensure!(has(&direct.stdout) || found.iter().any(|e| has(&e.to_string())), "{direct:?}");
        Ok(())
    })?;
    Ok(mounted.uuid)
}

/// A filesystem that is mounted, and of which there is an event in the daemon's memory.
struct Mounted {
    uuid: String,
    // Dropped in this order: each stands on the next.
    _mount: Mount,
    _disk: Loop,
    _files: Tmpfs,
}

impl Mounted {
    /// An xfs: of all mounts of ext4 the kernel prints five in half a minute, and journals were recorded just before.
    fn new(machine: &Machine) -> Result<Self> {
        let files = Tmpfs::new(machine, "1g")?;
        let disk = Loop::attach(&files.file("disk", 512 << 20)?)?;
        let uuid = filesystems::make("xfs", &disk)?;
        let mount = Mount::new(machine, &disk, "")?;
        let is_it = |event: &Event| {
            event.event_type.as_str() == "FS_MOUNTED"
                && event.block.as_ref().is_some_and(|block| block.id.uuid == uuid)
        };
        events::expect("the mount", || prpt::events(machine, &["query", "-J", "--source", "memory"]), is_it)?;
        Ok(Self { uuid, _mount: mount, _disk: disk, _files: files })
    }
}

fn crawl(machine: &Machine) -> Result<()> {
    let (dir, recorded) = record(machine, 1)?;
    let _journald = Journald::start()?;
    let lasting = Lasting::new()?;
    let slow = SlowFiles::mount(&lasting.dir, &files_of(&dir)?, 4096)?;
    let begin = Instant::now();
    let mut daemon = Daemon::start(machine, "")?;
    ensure!(begin.elapsed() < Duration::from_secs(5), "it took {:?} to be ready", begin.elapsed());
    ensure!(attached(machine)? > 0, "no probe is attached");
    cmd::wait_for("a read that waits", SOON, || {
        ensure!(slow.waiting() > 0, "no read waits");
        Ok(())
    })?;
    let uuid = Mounted::new(machine)?.uuid;
    let state = journal_state(machine)?;
    ensure!(state.to_string().contains("does not answer"), "{state}");
    let found = prpt::run(machine, &["query", "--format", "Json"])?;
    ensure!(found.code == Some(1) && found.stderr.contains("does not answer"), "{found:?}");
    ensure!(found.stdout.contains(&uuid), "{found:?}");
    // The disk comes back: what was not known is known.
    slow.recover();
    cmd::wait_for("the state to be complete", Duration::from_secs(60), || {
        let state = journal_state(machine)?;
        ensure!(state.get("read").and_then(Value::as_bool) == Some(true), "{state}");
        Ok(())
    })?;
    let all = keys(&prpt::events(machine, &["query", "-J", "--all-revisions"])?);
    ensure!(recorded.iter().all(|events| keys(events).is_subset(&all)), "events are missing");
    ensure!(daemon.is_alive(), "{}", daemon.log());
    Ok(())
}

fn killed(machine: &Machine) -> Result<()> {
    let _journald = Journald::start()?;
    let kills = env::var("PERIPETY_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
    let mut slowest = Duration::ZERO;
    for kill in 0..kills {
        let begin = Instant::now();
        let mut daemon = Daemon::start(machine, "")?;
        let ready = begin.elapsed();
        slowest = slowest.max(ready);
        ensure!(ready < Duration::from_secs(5), "after {kill} kills it took {ready:?} to be ready");
        daemon.signal(Signal::KILL)?;
        daemon.wait(Duration::from_secs(5))?;
    }
    eprintln!("{kills} kills, the slowest start took {slowest:?}");
    let last = Daemon::start(machine, "")?;
    // What those before had not handed to journald waits in the spool.
    cmd::wait_for("an event for each start", Duration::from_secs(20), || {
        let events = prpt::events(machine, &["query", "-J", "--all-revisions"])?;
        let starts = events.iter().filter(|e| e.event_type.as_str() == "PERIPETY_STARTED").count();
        let entries = crate::journald::entries(&["IS_PERIPETY=TRUE", "EVENT_TYPE=PERIPETY_STARTED"])?;
        let nameless = entries.iter().filter(|entry| entry.get("_EXE").is_none()).count();
        ensure!(
            starts == kills + 1,
            "{starts} starts for {} daemons; {} entries, {nameless} of which nobody knows who wrote them",
            kills + 1,
            entries.len()
        );
        Ok(())
    })?;
    drop(last);
    Ok(())
}
