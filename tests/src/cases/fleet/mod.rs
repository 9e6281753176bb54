//! A real nats-server, which the forwarder gives what the journal has.

mod cluster;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream;
use peripety_forward::{
    host::Host,
    name::Sender,
    stream::{HOSTS, STREAM},
};
use serde_json::Value;

use super::Case;
use crate::{
    cmd,
    disk::{Loop, Tmpfs},
    fault::FullDisk,
    fs::{self as filesystem, Mount},
    journald::entries,
    machine::{Machine, Need},
    notify::servers::{Server, free_port, wait_for_port},
    scene::Scene,
};

const NATS: &str = "../nats/usr/sbin/nats-server";

pub const CASES: &[Case] = &[
    Case {
        name: "the_stream_has_what_the_journal_has_whoever_is_killed",
        needs: &[Need::Loop, Need::Journald, Need::Filesystem("ext4"), Need::Receiver(NATS)],
        run: killed,
    },
    Case {
        name: "three_servers_of_which_any_is_killed_or_cut_off_have_each_revision_once",
        needs: &[Need::Journald, Need::Program("ip"), Need::Receiver(NATS)],
        run: cluster::run,
    },
];

/// A server and what is configured for it.
struct Fleet {
    dir: PathBuf,
    port: u16,
    nats: PathBuf,
    forwarder: PathBuf,
    daemon: PathBuf,
}

impl Fleet {
    fn new(machine: &Machine) -> Result<Self> {
        let this = Self {
            dir: machine.dir("fleet")?,
            port: free_port()?,
            nats: machine.receivers().join(NATS),
            forwarder: machine.program("peripety-forward"),
            daemon: machine.program("peripetyd"),
        };
        let config = format!(
            "site = \"north\"\nhost = \"one.two\"\nheartbeat = \"1s\"\n[servers]\nurls = [\"nats://127.0.0.1:{}\"]\n",
            this.port
        );
        fs::write(this.dir.join("conf"), config).context("writing the configuration")?;
        Ok(this)
    }

    fn server(&self) -> Result<Server> {
        let log = self.dir.join("nats.log");
        let mut command = Command::new(&self.nats);
        command.args(["--jetstream", "-a", "127.0.0.1", "-p", &self.port.to_string(), "--store_dir"]);
        let server = Server::spawn(command.arg(self.dir.join("store")), &log)?;
        wait_for_port(self.port, &log)?;
        Ok(server)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.forwarder);
        command.arg("--config").arg(self.dir.join("conf")).arg("--state-dir").arg(self.dir.join("state"));
        command.env("PERIPETY_DAEMON", &self.daemon);
        command
    }

    fn forward(&self) -> Result<Server> {
        Server::spawn(&mut self.command(), &self.log())
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    fn stored(&self) -> Result<Stored> {
        stored(&[format!("nats://127.0.0.1:{}", self.port)])
    }
}

/// What the stream has, in its order: `(id and revision, subject)`; and what the host says of itself.
type Stored = (Vec<(String, String)>, Option<Host>);

fn stored(servers: &[String]) -> Result<Stored> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let context = jetstream::new(async_nats::connect(servers).await?);
        let mut stream = context.get_stream(STREAM).await?;
        let last = stream.info().await?.state.last_sequence;
        let mut found = Vec::new();
        for sequence in 1..=last {
            let message = stream.get_raw_message(sequence).await?;
            let id = message.headers.get("Nats-Msg-Id").context("a message without an id")?;
            found.push((id.to_string(), message.subject.to_string()));
        }
        let key = Sender::new("north", "one.two").key();
        let entry = context.get_key_value(HOSTS).await?.get(key).await?;
        Ok((found, entry.and_then(|entry| Host::read(&entry))))
    })
}

/// Ids and revisions of all that the daemon wrote, in its order.
fn written() -> Result<Vec<String>> {
    let entries = entries(&["IS_PERIPETY=TRUE", "+", "IS_PERIPETY_INCIDENT=TRUE"])?;
    let id = |entry: &Value| {
        let json: Value = serde_json::from_str(entry.get("JSON")?.as_str()?).ok()?;
        let id = json.get("event_id").or_else(|| json.get("incident_id"))?.as_str()?.to_owned();
        Some(format!("{id}.{}", json.get("revision")?))
    };
    let ids: Vec<String> = entries.iter().filter_map(id).collect();
    ensure!(ids.len() == entries.len(), "an entry without an id");
    Ok(ids)
}

fn mounted(machine: &Machine) -> Result<()> {
    let files = Tmpfs::new(machine, "64m")?;
    let disk = Loop::attach(&files.file("disk", 32 << 20)?)?;
    filesystem::make("ext4", &disk)?;
    Mount::new(machine, &disk, "").map(drop)
}

fn full(machine: &Machine) -> Result<()> {
    let full = FullDisk::new(machine)?;
    let mut dd = Command::new("dd");
    dd.args(["if=/dev/zero", "bs=64k", "oflag=direct"]).arg(format!("of={}", full.disk.path.display()));
    ensure!(!cmd::output(&mut dd)?.status.success(), "8 MiB were written to 1 MiB");
    Ok(())
}

fn killed(machine: &Machine) -> Result<()> {
    let _scene = Scene::start(machine, "")?;
    let fleet = Fleet::new(machine)?;
    let mut server = fleet.server()?;
    cmd::run(fleet.command().args(["--create", "--gib", "1"]))?;
    let mut forwarder = fleet.forward()?;
    for round in 0..3 {
        mounted(machine)?;
        full(machine)?;
        forwarder.kill()?;
        mounted(machine)?;
        if round == 1 {
            server.kill()?;
        }
        forwarder = fleet.forward()?;
        full(machine)?;
        if round == 1 {
            std::thread::sleep(Duration::from_secs(2));
            server = fleet.server()?;
        }
    }
    let log = || fs::read_to_string(fleet.log()).unwrap_or_default();
    let mut before = 0;
    let (stored, host) = cmd::wait_for("all of the journal in the stream", Duration::from_secs(60), || {
        let (written, (stored, host)) = (written()?, fleet.stored()?);
        let quiet = std::mem::replace(&mut before, written.len()) == written.len();
        ensure!(quiet && written.len() == stored.len(), "{} of {}: {}", stored.len(), written.len(), log());
        let ids: Vec<&String> = stored.iter().map(|(id, _)| id).collect();
        ensure!(ids == written.iter().collect::<Vec<_>>(), "another order: {stored:?} of {written:?}");
        // Its next word comes up to a second later.
        let host = host.context("the host says nothing of itself")?;
        ensure!(host.sent.live, "{host:?}");
        Ok((stored, host))
    })?;
    let with = |what: &str| stored.iter().filter(|(_, subject)| subject.contains(what)).count();
    ensure!(with("peripety.north.one=2Etwo.") == stored.len(), "{stored:?}");
    ensure!(with(".incident.open") > 0 && with(".FS_MOUNTED") > 5, "{stored:?}");
    ensure!(host.host == "one.two" && host.daemon.answers, "{host:?}");
    refused(&fleet, &log())
}

/// What cannot be used is said, with what to do about it.
fn refused(fleet: &Fleet, log: &str) -> Result<()> {
    ensure!(!log.contains("panicked"), "{log}");
    let missing = cmd::output(Command::new(&fleet.forwarder).args(["--config", "/nonexistent"]))?;
    let words = String::from_utf8_lossy(&missing.stderr).into_owned();
    ensure!(missing.status.code() == Some(2) && words.contains("/nonexistent"), "{words}");
    let check = cmd::run(fleet.command().arg("--check"))?;
    ensure!(check.contains("ok, 1 server") && !check.contains("servers"), "{check}");
    ensure!(Path::new(&fleet.dir.join("state/place")).exists(), "it wrote no place");
    Ok(())
}
