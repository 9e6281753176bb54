//! The command line against a daemon's socket, in a tree of its own.

#![expect(clippy::unwrap_used, reason = "this is a test; clippy knows that of functions marked so only")]

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use peripety::internal::{
    Roots,
    event::{Event, Severity},
    notifier::{
        memory::Memory,
        socket::{Answers, Server},
    },
};

struct NoAnswers;

impl Answers for NoAnswers {
    fn answer(&self, _request: &str) -> Option<serde_json::Value> {
        None
    }
}

struct Daemon {
    memory: Memory,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Daemon {
    fn start(root: &Path) -> Self {
        let memory = Memory::default();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let (roots, its_memory) = (Roots::under(root), memory.clone());
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::bind(&roots).unwrap();
                ready.send(()).unwrap();
                tokio::select! { () = server.run(its_memory, Arc::new(NoAnswers)) => {}, _ = stopped => {} }
            });
        });
        is_ready.recv().unwrap();
        Self { memory, stop: Some(stop), thread: Some(thread) }
    }

    fn store(&self, id: u128, revision: u32, count: u64, severity: Severity) {
        let now = jiff::Timestamp::now();
        let event: Event = serde_json::from_value(serde_json::json!({
            "schema": 1, "event_id": uuid::Uuid::from_u128(id), "timestamp": now, "first_timestamp": now,
            "last_timestamp": now, "boot_id": "b", "hostname": "test", "severity": severity, "sub_system": "ext4",
            "event_type": "FS_ERROR", "msg": format!("event {id} \u{1b}[2J"), "kdev": "sda1", "count": count,
            "revision": revision,
        }))
        .unwrap();
        self.memory.store(Arc::new(event)).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

fn prpt(root: &Path, args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prpt"));
    command.arg("--root").arg(root).args(args.split_whitespace()).env("NO_COLOR", "1").env("TZ", "UTC");
    command
}

fn run(root: &Path, args: &str) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = prpt(root, args).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

struct Monitor {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Monitor {
    /// Starts `prpt monitor` and waits until it follows.
    fn start(root: &Path, daemon: &Daemon, args: &str) -> Self {
        // One pipe for both: in which order it writes to two, nobody can see.
        let (written, pipe) = std::io::pipe().unwrap();
        let child = prpt(root, &format!("monitor {args}"))
            .stdout(pipe.try_clone().unwrap())
            .stderr(pipe)
            .spawn()
            .unwrap();
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(written).lines() {
                if send.send(line.unwrap()).is_err() {
                    break;
                }
            }
        });
        let monitor = Self { child, lines };
        let deadline = Instant::now() + Duration::from_secs(10);
        for n in 0.. {
            assert!(Instant::now() < deadline, "prpt monitor does not follow");
            daemon.store(1000 + n, 0, 1, Severity::Critical);
            if monitor.lines.recv_timeout(Duration::from_millis(100)).is_ok() {
                break;
            }
        }
        monitor
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(10)).unwrap()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

#[test]
fn a_query_reads_the_daemons_memory_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let daemon = Daemon::start(root);
    let (code, out, err) = run(root, "query");
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("memory") && err.contains("no event found"), "{err}");

    daemon.store(1, 0, 1, Severity::Error);
    daemon.store(2, 0, 1, Severity::Info);
    daemon.store(1, 1, 5, Severity::Error);
    let (code, out, _) = run(root, "query");
    assert_eq!((code, out.lines().count()), (Some(0), 2), "{out}");
    assert!(out.contains("FS_ERROR sda1: event 1 \\u{1b}[2J (x5 so far)"), "{out}");
    let (_, out, _) = run(root, "query --severity warning --format Json");
    let event: Event = serde_json::from_str(&out).unwrap();
    assert_eq!((event.event_id.as_u128(), event.revision), (1, 1));
    let (_, out, _) = run(root, "query -J -n 1 --since -1h");
    assert!(out.starts_with("{\n  \"schema\": 1,"), "{out}");
    let (_, out, _) = run(root, "query --reverse --blk /dev/sda1 --sub-system EXT4 --format json");
    let ids: Vec<_> =
        out.lines().map(|l| serde_json::from_str::<Event>(l).unwrap().event_id.as_u128()).collect();
    assert_eq!(ids, [1, 2]);
    assert_eq!(run(root, "query --until -1h").0, Some(1));
}

#[test]
fn bad_input_is_one_line_and_exit_2() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let no_daemon = run(root, "query");
    let _daemon = Daemon::start(root);
    for (what, says) in [
        (no_daemon, "no peripetyd listens at"),
        (run(root, "query --severity ctritical"), "did you mean critical"),
        (run(root, "query --event-type FS_EROR"), "did you mean FS_ERROR"),
        (run(root, "query --sub-system multipth"), "did you mean multipath"),
        (run(root, "query --since soon"), "'soon' is no time"),
        (run(root, "query --until -5"), "'-5' is no time"),
        (run(root, "query --since -1h --until -2h"), "later than --until"),
        (run(root, "query --boot last"), "'last' is no boot"),
        (run(root, "query --boot -1"), "can only be found with the journal"),
        (run(root, "query --event-id 1"), "no event id"),
        (run(root, "query --source journal"), "no journal at"),
    ] {
        let (code, out, err) = what;
        assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
        assert!(err.contains(says) && err.lines().count() == 1 && err.starts_with("prpt: "), "{err}");
    }
}

#[test]
fn a_monitor_follows_through_a_restart_of_the_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let daemon = Daemon::start(root);
    let monitor = Monitor::start(root, &daemon, "--severity error");
    daemon.store(1, 0, 1, Severity::Info);
    daemon.store(2, 0, 1, Severity::Error);
    daemon.store(2, 1, 1, Severity::Error);
    daemon.store(2, 2, 512, Severity::Error);
    assert!(monitor.line().ends_with("FS_ERROR sda1: event 2 \\u{1b}[2J"));
    assert!(monitor.line().ends_with("FS_ERROR sda1 x512 so far"));
    drop(daemon);
    assert!(monitor.line().contains("went away"));
    let daemon = Daemon::start(root);
    daemon.store(3, 0, 1, Severity::Error);
    assert!(monitor.line().contains("is back"));
    assert!(monitor.line().contains("event 3"), "what happened before it was back is reported");
    daemon.store(4, 0, 1, Severity::Error);
    assert!(monitor.line().contains("event 4"));
}

#[test]
fn a_monitor_ends_well_at_an_interrupt_and_when_nobody_reads() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let daemon = Daemon::start(root);
    let mut monitor = Monitor::start(root, &daemon, "--format Json");
    let pid = rustix::process::Pid::from_child(&monitor.child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(monitor.child.wait().unwrap().code(), Some(0));

    let mut child = prpt(root, "monitor").stdout(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_millis(300));
    drop(child.stdout.take());
    let deadline = Instant::now() + Duration::from_secs(10);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "it waits for events that nobody will see");
        thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(0));

    for n in 0..1000 {
        daemon.store(n, 0, 1, Severity::Error);
    }
    let script = format!("{} --root {} query | head -n 1", env!("CARGO_BIN_EXE_prpt"), root.display());
    let out = Command::new("bash").args(["-c", &format!("set -o pipefail; {script}")]).output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn a_watched_status_says_what_changes_and_ends_when_nobody_reads_or_at_an_interrupt() {
    let directory = tempfile::tempdir().unwrap();
    let start = || prpt(directory.path(), "status --watch").stdout(Stdio::piped()).spawn().unwrap();
    let mut child = start();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut line = || lines.next().unwrap().unwrap();
    assert!(line().starts_with("20"), "when it looked");
    assert!(line().contains("cannot be known"));
    drop(lines);
    assert_eq!(child.wait().unwrap().code(), Some(0), "nobody reads any more");

    let mut child = start();
    let mut first = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
