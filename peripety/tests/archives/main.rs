//! `prpt parse` of archives and directories that were made to do harm.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "this is a test; clippy knows that of functions marked so only"
)]

mod corpus;
mod writer;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use peripety::internal::offline::{
    self,
    bounds::Limits,
    report::{Report, Spool},
};
use rustix::fs::{CWD, FileType, Mode, mknodat};

/// Room on disk that the program is given.
const ROOM: u64 = 1 << 20;
/// Kilobytes of memory that the program can have at all: what it may use, and its code and rules.
const MEMORY: u64 = 800 << 10;
/// Kilobytes of memory for data, in each of its processes: the bound that the manual names.
const DATA: u64 = 256 << 10;
/// A run that takes longer hangs.
const HANGS: Duration = Duration::from_secs(900);

/// What lies in a directory: kind, content or target, by name.
fn contents(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let what = match () {
                () if kind.is_dir() => {
                    open.push(path.clone());
                    "directory".to_owned()
                }
                () if kind.is_file() => format!("{:?}", fs::read(&path).unwrap()),
                () => format!("{kind:?} {:?}", fs::read_link(&path)),
            };
            found.insert(path, what);
        }
    }
    found
}

/// Directories around a run: nothing but the archives is in them, and nothing else may ever be.
struct Place {
    dir: tempfile::TempDir,
    before: BTreeMap<PathBuf, String>,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["outside", "tmp", "cwd"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("outside/canary"), "alive").unwrap();
        let mut place = Self { dir, before: BTreeMap::new() };
        place.before = contents(place.path());
        place
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn untouched(&self, what: &str) {
        assert_eq!(contents(self.path()), self.before, "{what}");
    }

    /// Runs `prpt parse`, in little memory, with files of no more than its room and half of that.
    fn parse(&self, args: &[&str]) -> Output {
        let blocks = (ROOM + ROOM / 2) / 512;
        let script =
            format!("ulimit -v {MEMORY}; ulimit -d {DATA}; ulimit -c 0; ulimit -f {blocks}; exec \"$@\"");
        let child = Command::new("sh")
            .args(["-c", &script, "sh", env!("CARGO_BIN_EXE_prpt"), "parse", "--max-disk", "1M"])
            .args(args)
            .env("TMPDIR", self.path().join("tmp"))
            .current_dir(self.path().join("cwd"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        let guard = std::thread::spawn(move || {
            if is_done.recv_timeout(HANGS) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            }
        });
        let output = child.wait_with_output().unwrap();
        drop(done);
        guard.join().unwrap();
        output
    }
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn no_archive_writes_outside_or_takes_more_than_its_bounds() {
    let archives = tempfile::tempdir().unwrap();
    let place = Place::new();
    let outside = place.path().join("outside");
    let all = corpus::all(outside.to_str().unwrap());
    assert!(all.len() >= 300, "{}", all.len());
    println!("{} archives", all.len());
    let mut files = Vec::new();
    for (n, hostile) in all.iter().enumerate() {
        let file = archives.path().join(format!("{n}.tar"));
        fs::write(&file, &hostile.bytes).unwrap();
        files.push(file.to_str().unwrap().to_owned());
    }
    for (batch, of_batch) in files.chunks(40).zip(all.chunks(40)) {
        let args: Vec<&str> = batch.iter().map(String::as_str).collect();
        let output = place.parse(&args);
        let range = format!("{} … {}", of_batch[0].what, of_batch.last().unwrap().what);
        assert!(output.status.code().is_some(), "{range}: {:?}\n{}", output.status, words(&output));
        assert!(!words(&output).contains("no memory"), "{range}: {}", words(&output));
        place.untouched(&range);
    }
}

#[test]
fn what_is_kept_of_any_archive_is_bounded_and_the_good_part_of_it_is_read() {
    let limits = Limits { disk: ROOM, ..Limits::default() };
    let mut with_log = 0;
    for hostile in corpus::all("/nowhere/outside") {
        let mut spool = Spool::new(&limits);
        let Ok(from) = offline::unpack(hostile.bytes.as_slice()) else { continue };
        let report = Report::of_archive(from, &limits, &mut spool);
        assert!(spool.used() <= ROOM, "{}: {} bytes", hostile.what, spool.used());
        assert!(report.logs.len() <= offline::bounds::FILES_MAX, "{}", hostile.what);
        let dmesg = report.logs.iter().any(|(_, log)| log.ends_with("sos_commands/kernel/dmesg"));
        with_log += usize::from(dmesg);
        // Links, names, clashes, devices: none of them takes the others with it.
        let kind = hostile.what.split([' ', ':']).next().unwrap_or_default();
        if ["links", "name", "clash", "kind"].contains(&kind) {
            assert!(dmesg, "{}: {:?}", hostile.what, report.left_out);
        }
    }
    assert!(with_log > 250, "{with_log}");
}

#[test]
fn a_directory_is_read_without_what_its_links_devices_and_fifos_lead_to() {
    let place = Place::new();
    let report = tempfile::tempdir().unwrap();
    let at = |name: &str| report.path().join(name);
    let secret = "Nov 21 13:00:00 h kernel: I/O error, dev sdsecret, sector 8 op 0x0:(READ) flags 0x0\n";
    let good = secret.replace("sdsecret", "sdgood");
    for dir in ["var/log", "sys/class/block", "sys/devices/block/sdx", "run/udev/data", "scc"] {
        fs::create_dir_all(at(dir)).unwrap();
    }
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("messages"), secret).unwrap();
    fs::write(elsewhere.path().join("dev"), "8:0\n").unwrap();
    fs::write(at("var/log/messages"), &good).unwrap();
    symlink(elsewhere.path().join("messages"), at("var/log/syslog")).unwrap();
    symlink("/dev/zero", at("var/log/messages.1")).unwrap();
    symlink(elsewhere.path(), at("var/log/away")).unwrap();
    symlink(elsewhere.path(), at("sys/class/block/sdsecret")).unwrap();
    symlink("/dev/zero", at("sys/devices/block/sdx/dev")).unwrap();
    symlink("../../devices/block/sdx", at("sys/class/block/sdx")).unwrap();
    symlink("..", at("sys/devices/block/loop")).unwrap();
    symlink("/dev/zero", at("hostname")).unwrap();
    for fifo in
        ["var/log/kern.log", "basic-environment.txt", "lsblk", "run/udev/data/b8:0", "var/log/x.journal"]
    {
        mknodat(CWD, at(fifo), FileType::Fifo, Mode::RWXU, 0).unwrap();
    }
    let output = place.parse(&["--format", "Json", report.path().to_str().unwrap()]);
    let (found, said) = (String::from_utf8_lossy(&output.stdout), words(&output));
    assert!(found.contains("sdgood") && !found.contains("sdsecret"), "{found}\n{said}");
    assert!(said.contains("left out: they are devices, FIFOs"), "{said}");
    assert_eq!(output.status.code(), Some(1), "{said}");
    place.untouched("directory");
}

#[test]
fn what_is_no_log_is_refused_and_bounds_are_named() {
    let place = Place::new();
    let archives = tempfile::tempdir().unwrap();
    let zero = archives.path().join("zero");
    symlink("/dev/zero", &zero).unwrap();
    let output = place.parse(&[zero.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(words(&output).contains("is a device and no log"), "{}", words(&output));

    // 3 MiB of events where there is room for one: what fits is used, and the bound is named.
    let line =
        "[    1.000000] I/O error, dev sda, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2\n";
    let mut tar = writer::Writer::default();
    tar.file("sos/var/log/messages", line.repeat((3 << 20) / line.len()).as_bytes());
    let file = archives.path().join("large.tar");
    fs::write(&file, tar.done()).unwrap();
    let output = place.parse(&[file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    assert!(words(&output).contains("more than 1 MiB of logs: --max-disk"), "{}", words(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("sda"));
    place.untouched("large");
}

/// libsystemd may abort on a journal; here the process that reads is ended from outside.
#[test]
fn what_ends_the_process_that_reads_is_said() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_prpt"))
        .args(["parse", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let started = std::time::Instant::now();
    let reader = loop {
        let pid = fs::read_to_string(&children).unwrap_or_default().trim().parse::<i32>().ok();
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            break pid;
        }
        assert!(started.elapsed() < HANGS);
        std::thread::sleep(Duration::from_millis(10));
    };
    rustix::process::kill_process(reader, rustix::process::Signal::ABORT).unwrap();
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    assert!(words(&output).contains("was ended by signal 6"), "{}", words(&output));
}

#[test]
fn a_log_that_unpacks_to_many_times_its_size_ends_at_its_time() {
    use std::io::Write as _;
    let place = Place::new();
    let logs = tempfile::tempdir().unwrap();
    let file = logs.path().join("messages.gz");
    let mut encoder =
        flate2::write::GzEncoder::new(fs::File::create(&file).unwrap(), flate2::Compression::fast());
    encoder.write_all(&b"a\n".repeat(2 << 20)).unwrap();
    encoder.finish().unwrap();
    let output = place.parse(&["--max-time", "0", file.to_str().unwrap()]);
    assert!(words(&output).contains("more than 0 s of CPU time: --max-time"), "{}", words(&output));
    assert_eq!(output.status.code(), Some(1));
}
