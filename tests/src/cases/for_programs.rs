//! What other programs use: Varlink, and the C library, beside `prpt monitor`.

use std::{collections::BTreeSet, fs, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::Case;
use crate::{
    cmd,
    daemon::Daemon,
    disk::{Loop, Tmpfs},
    fs::{self as filesystem, Mount},
    journald::{Journald, entries},
    machine::{Machine, Need},
    scene::Scene,
    varlinkctl,
    watcher::Watcher,
};

const WATCH: &str = "debug/libperipety/tests/watch";
/// What `cargo xtask python` makes: with the package installed from its wheel.
const PYTHON: &str = "python/test-0/bin/python";
/// Examples of peripety-client, as `cargo test --workspace` builds them.
const FOLLOW: &str = "debug/examples/follow";
const SOCKET: &str = "/run/peripety/io.peripety";
const INTERFACES: [&str; 4] = ["Block", "Daemon", "Events", "Incidents"];

pub const CASES: &[Case] = &[
    Case {
        name: "one_event_is_seen_by_varlinkctl_and_by_a_client_in_python",
        needs: &[Need::Loop, Need::Filesystem("ext4"), Need::Program("python3"), varlinkctl::NEED],
        run: varlink,
    },
    Case {
        name: "a_c_program_goes_on_after_the_daemon_was_killed_and_sees_nothing_twice",
        needs: &[
            Need::Loop,
            Need::Filesystem("ext4"),
            Need::Journald,
            Need::Made(WATCH, "capi --test --debug"),
        ],
        run: c_program,
    },
    Case {
        name: "who_waits_at_an_empty_journal_gets_its_first_entry",
        needs: &[
            Need::Loop,
            Need::Filesystem("ext4"),
            Need::Journald,
            Need::Made(WATCH, "capi --test --debug"),
        ],
        run: first_entry,
    },
    Case {
        name: "the_examples_of_the_client_for_rust_do_what_they_say",
        needs: &[Need::Loop, Need::Filesystem("ext4"), Need::Made(FOLLOW, "test")],
        run: examples,
    },
    Case {
        name: "a_python_program_gets_events_by_asyncio_and_what_is_stored_after",
        needs: &[Need::Loop, Need::Filesystem("ext4"), Need::Made(PYTHON, "python")],
        run: python,
    },
];

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
    let info = cmd::run(&mut varlinkctl::command(machine, &["info", SOCKET]))?;
    ensure!(info.contains("peripetyd"), "{info}");
    for name in INTERFACES {
        let name = format!("io.peripety.{name}");
        ensure!(info.contains(&name), "{info}");
        // varlinkctl reads the description before it shows it.
        let text = cmd::run(&mut varlinkctl::command(machine, &["introspect", SOCKET, &name]))?;
        ensure!(text.contains("method "), "{text}");
    }
    let method = "io.peripety.Events.Subscribe";
    let ctl = Watcher::start(
        machine,
        &mut varlinkctl::command(
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
    let found = varlinkctl::call(machine, SOCKET, "io.peripety.Events.Get", &json!({ "event_id": id }))?;
    ensure!(found.pointer("/event/event_id") == Some(&json!(id)), "{found}");
    let device =
        varlinkctl::call(machine, SOCKET, "io.peripety.Block.Resolve", &json!({ "name": disk.name }))?;
    ensure!(device.pointer("/device/blk_path") == Some(&json!(disk.path)), "{device}");
    let refused =
        varlinkctl::call(machine, SOCKET, "io.peripety.Block.Resolve", &json!({ "name": "no-such-disk" }));
    let refused = format!("{:#}", refused.err().context("a disk that is not there was found")?);
    ensure!(refused.contains("io.peripety.Block.UnknownDevice"), "{refused}");
    for (name, of) in [("Status", "status"), ("Stats", "stats"), ("Probes", "probes")] {
        let answer = varlinkctl::call(machine, SOCKET, &format!("io.peripety.Daemon.{name}"), &json!({}))?;
        ensure!(answer.get(of).is_some_and(Value::is_object), "{answer}");
    }
    Ok(())
}

fn python(machine: &Machine) -> Result<()> {
    let _daemon = Daemon::start(machine, "")?;
    let script = machine.dir("python")?.join("follow_daemon.py");
    fs::write(&script, include_str!("../../../peripety-python/tests/follow_daemon.py"))
        .context("writing the program")?;
    let mut command = Command::new(machine.made(PYTHON));
    let program = Watcher::start(machine, command.arg(&script).arg("/run/peripety/peripety.sock"))?;
    program.wait_for(&["following"])?;
    let (_files, disk, _mount) = mounted(machine)?;
    program.wait_for(&["FS_MOUNTED", &format!("/dev/{} 0", disk.name)])?;
    program.wait_for(&["stored"])
}

fn examples(machine: &Machine) -> Result<()> {
    let _daemon = Daemon::start(machine, "")?;
    let follow = machine.made(FOLLOW);
    let example = |name: &str| Command::new(follow.with_file_name(name));
    let following = Watcher::start(machine, &mut Command::new(&follow))?;
    following.wait_for(&["following"])?;
    let place = machine.dir("place")?.join("cursor");
    let before = cmd::run(example("since").arg(&place))?;
    ensure!(before.contains(" 0 that are no longer to be had"), "{before}");
    let (_files, disk, _mount) = mounted(machine)?;
    following.wait_for(&["FS_MOUNTED", &disk.name])?;
    let after = cmd::run(example("since").arg(&place))?;
    ensure!(after.contains("FS_MOUNTED") && after.contains(&disk.name), "{after}");
    let again = cmd::run(example("since").arg(&place))?;
    ensure!(!again.contains(&disk.name), "it came twice: {again}");
    let open = cmd::run(&mut example("open"))?;
    ensure!(open.ends_with(" open\n"), "{open}");
    Ok(())
}

/// The C example, which believes the daemon under test.
fn watch(machine: &Machine, options: &[&str]) -> Result<Watcher> {
    let watch = machine.made(WATCH);
    let library = watch.ancestors().nth(2).context("the library's directory")?.join("lib");
    let believed = format!("daemon={}", machine.program("peripetyd").display());
    let mut command = Command::new(&watch);
    Watcher::start(machine, command.arg(believed).args(options).env("LD_LIBRARY_PATH", library))
}

/// libsystemd stays where it is when it is to go back before the first entry, and then passes over that one.
fn first_entry(machine: &Machine) -> Result<()> {
    let _journald = Journald::start()?;
    let watcher = watch(machine, &["source=journal", "incidents=no"])?;
    watcher.wait_for(&["live"])?;
    let _daemon = Daemon::start(machine, "")?;
    let (_files, disk, _mount) = mounted(machine)?;
    watcher.wait_for(&["FS_MOUNTED", &disk.name])?;
    let entries = entries(&["IS_PERIPETY=TRUE"])?;
    let first = entries.first().and_then(|entry| entry.get("EVENT_ID")?.as_str()).context("no entry")?;
    ensure!(watcher.text().contains(first), "the first entry {first} did not come: {}", watcher.text());
    Ok(())
}

fn c_program(machine: &Machine) -> Result<()> {
    let _journald = Journald::start()?;
    let mut daemon = Daemon::start(machine, "")?;
    let watcher = watch(machine, &["type=FS_MOUNTED", "incidents=no"])?;
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
