//! What other programs use: Varlink, and the C library, beside `prpt monitor`.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::Case;
use crate::{
    cmd,
    daemon::Daemon,
    disk::{Loop, Tmpfs},
    fs::{self as filesystem, Mount},
    journald::Journald,
    machine::{Machine, Need},
    scene::Scene,
};

const VARLINKCTL: &str = "../varlinkctl/usr/bin/varlinkctl";
const WATCH: &str = "../debug/libperipety/tests/watch";
/// What `cargo xtask python` makes: with the package installed from its wheel.
const PYTHON: &str = "../python/test-0/bin/python";
const SOCKET: &str = "/run/peripety/io.peripety";
const INTERFACES: [&str; 4] = ["Block", "Daemon", "Events", "Incidents"];

pub const CASES: &[Case] = &[
    Case {
        name: "one_event_is_seen_by_varlinkctl_and_by_a_client_in_python",
        needs: &[Need::Loop, Need::Filesystem("ext4"), Need::Program("python3"), Need::Receiver(VARLINKCTL)],
        run: varlink,
    },
    Case {
        name: "a_c_program_goes_on_after_the_daemon_was_killed_and_sees_nothing_twice",
        needs: &[Need::Loop, Need::Filesystem("ext4"), Need::Journald, Need::Receiver(WATCH)],
        run: c_program,
    },
    Case {
        name: "a_python_program_gets_events_by_asyncio_and_what_is_stored_after",
        needs: &[Need::Loop, Need::Filesystem("ext4"), Need::Receiver(PYTHON)],
        run: python,
    },
];

/// A program whose lines go into a file; it ends with its scope.
struct Watcher {
    process: Child,
    lines: PathBuf,
}

impl Watcher {
    fn start(machine: &Machine, command: &mut Command) -> Result<Self> {
        let lines = machine.dir("watcher")?.join("stdout");
        let out = File::create(&lines).context("creating a file")?;
        let errors = out.try_clone().context("a second descriptor")?;
        let process = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        Ok(Self { process, lines })
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.lines).unwrap_or_default()
    }

    fn wait_for(&self, words: &[&str]) -> Result<()> {
        cmd::wait_for(&format!("{words:?}"), Duration::from_secs(20), || {
            let text = self.text();
            let found = text.split(['\n', '\u{1e}']).any(|line| words.iter().all(|word| line.contains(word)));
            ensure!(found, "there is: {text}");
            Ok(())
        })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _already_gone = self.process.kill();
        let _already_gone = self.process.wait();
    }
}

/// varlinkctl of a newer release, with that release's libraries.
fn varlinkctl(machine: &Machine, args: &[&str]) -> Command {
    let program = machine.receivers().join(VARLINKCTL);
    let root = program.ancestors().nth(3).unwrap_or(Path::new("/")).to_owned();
    let libraries = root.join("usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH));
    let mut loader = Command::new(libraries.join("ld-linux-x86-64.so.2"));
    let path = format!("{0}:{0}/systemd", libraries.display());
    loader.args(["--library-path", &path]).arg(program).args(args);
    loader
}

fn call(machine: &Machine, method: &str, parameters: &Value) -> Result<Value> {
    let parameters = parameters.to_string();
    let text = cmd::run(&mut varlinkctl(machine, &["--json=short", "call", SOCKET, method, &parameters]))?;
    serde_json::from_str(&text).with_context(|| format!("varlinkctl printed {text}"))
}

/// Mounts a new filesystem, which is an event; it lasts for as long as what is given.
fn mounted(machine: &Machine) -> Result<(Tmpfs, Loop, Mount)> {
    let files = Tmpfs::new(machine, "64m")?;
    let disk = Loop::attach(&files.file("disk", 32 << 20)?)?;
    filesystem::make("ext4", &disk)?;
    let mount = Mount::new(machine, &disk, "")?;
    Ok((files, disk, mount))
}

fn varlink(machine: &Machine) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    let info = cmd::run(&mut varlinkctl(machine, &["info", SOCKET]))?;
    ensure!(info.contains("peripetyd"), "{info}");
    for name in INTERFACES {
        let name = format!("io.peripety.{name}");
        ensure!(info.contains(&name), "{info}");
        // varlinkctl reads the description before it shows it.
        let text = cmd::run(&mut varlinkctl(machine, &["introspect", SOCKET, &name]))?;
        ensure!(text.contains("method "), "{text}");
    }
    let method = "io.peripety.Events.Subscribe";
    let ctl = Watcher::start(
        machine,
        &mut varlinkctl(
            machine,
            &["--json=short", "--more", "--timeout=infinity", "call", SOCKET, method, "{}"],
        ),
    )?;
    let script = machine.dir("client")?.join("client.py");
    fs::write(&script, include_str!("varlink_client.py")).context("writing the client")?;
    let python = Watcher::start(machine, Command::new("python3").arg(&script).arg(SOCKET))?;
    ctl.wait_for(&["\"live\":true"])?;
    python.wait_for(&["live"])?;
    let (_files, disk, _mount) = mounted(machine)?;
    let event = scene.expect("the mount", &disk.name, |e| e.event_type.as_str() == "FS_MOUNTED")?;
    let id = event.event_id.to_string();
    ctl.wait_for(&[&id, "\"dropped\":0"])?;
    python.wait_for(&["FS_MOUNTED", &id])?;
    let found = call(machine, "io.peripety.Events.Get", &json!({ "event_id": id }))?;
    ensure!(found.pointer("/event/event_id") == Some(&json!(id)), "{found}");
    let device = call(machine, "io.peripety.Block.Resolve", &json!({ "name": disk.name }))?;
    ensure!(device.pointer("/device/blk_path") == Some(&json!(disk.path)), "{device}");
    let refused = call(machine, "io.peripety.Block.Resolve", &json!({ "name": "no-such-disk" }));
    let refused = format!("{:#}", refused.err().context("a disk that is not there was found")?);
    ensure!(refused.contains("io.peripety.Block.UnknownDevice"), "{refused}");
    for (name, of) in [("Status", "status"), ("Stats", "stats"), ("Probes", "probes")] {
        let answer = call(machine, &format!("io.peripety.Daemon.{name}"), &json!({}))?;
        ensure!(answer.get(of).is_some_and(Value::is_object), "{answer}");
    }
    Ok(())
}

fn python(machine: &Machine) -> Result<()> {
    let _daemon = Daemon::start(machine, "")?;
    let script = machine.dir("python")?.join("follow_daemon.py");
    fs::write(&script, include_str!("../../../peripety-python/tests/follow_daemon.py"))
        .context("writing the program")?;
    let mut command = Command::new(machine.receivers().join(PYTHON));
    let program = Watcher::start(machine, command.arg(&script).arg("/run/peripety/peripety.sock"))?;
    program.wait_for(&["following"])?;
    let (_files, disk, _mount) = mounted(machine)?;
    program.wait_for(&["FS_MOUNTED", &format!("/dev/{} 0", disk.name)])?;
    program.wait_for(&["stored"])
}

fn c_program(machine: &Machine) -> Result<()> {
    let _journald = Journald::start()?;
    let mut daemon = Daemon::start(machine, "")?;
    let watch = machine.receivers().join(WATCH);
    let library = watch.ancestors().nth(2).context("the library's directory")?.join("lib");
    let believed = format!("daemon={}", machine.program("peripetyd").display());
    let mut command = Command::new(&watch);
    command.arg(believed).args(["type=FS_MOUNTED", "incidents=no"]).env("LD_LIBRARY_PATH", library);
    let watcher = Watcher::start(machine, &mut command)?;
    watcher.wait_for(&["live"])?;
    let first = mounted(machine)?;
    watcher.wait_for(&["FS_MOUNTED", &first.1.name])?;
    daemon.signal(Signal::KILL)?;
    daemon.wait(Duration::from_secs(5))?;
    watcher.wait_for(&["peripetyd ended"])?;
    let _next = Daemon::start(machine, "")?;
    cmd::wait_for("the stream to go on", Duration::from_secs(20), || {
        let live = watcher.text().lines().filter(|line| *line == "live").count();
        ensure!(live == 2, "live {live} times: {}", watcher.text());
        Ok(())
    })?;
    let second = mounted(machine)?;
    ensure!(second.1.name != first.1.name, "the same loop device");
    watcher.wait_for(&["FS_MOUNTED", &second.1.name, "dropped 0, missed 0"])?;
    let text = watcher.text();
    let revisions: Vec<_> = text.lines().filter_map(|line| line.split(", dropped").next()).collect();
    let events: Vec<_> = revisions.iter().filter(|line| line.starts_with("FS_MOUNTED")).collect();
    let different: BTreeSet<_> = events.iter().collect();
    ensure!(different.len() == events.len(), "something came twice: {text}");
    Ok(())
}
