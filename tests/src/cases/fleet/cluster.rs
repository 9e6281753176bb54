//! Three servers, each in a network of its own on one bridge. One is killed, one is cut off, all are started anew, the forwarder
//! and the hub are killed, while revisions come. In the end each is in the stream once, and the hub has each.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use peripety::event::{Event, EventType};
use serde_json::Value;

use super::{NATS, stored, written};
use crate::{
    cmd,
    journald::Journald,
    machine::{Machine, Need},
    notify::servers::{Server, free_port},
};

/// Where journald takes entries.
const JOURNAL: &str = "/run/systemd/journal/socket";
const NETWORK: &str = "10.78.77";
/// Names in the network of the machine.
const BRIDGE: &str = "pfleet";
const SERVERS: usize = 3;
/// What happens, by chance.
const FAULTS: [&str; 5] = ["forwarder", "hub", "server", "cut off", "all servers"];

/// Namespaces, and a link to this one; gone with their names.
struct Network;

impl Network {
    fn make() -> Result<Self> {
        let this = Self;
        cmd::sh(&format!("ip netns add {BRIDGE}"))?;
        let within = |words: &str| cmd::sh(&format!("ip -n {BRIDGE} {words}"));
        within("link add name switch type bridge")?;
        within("link set dev switch up")?;
        let join = |link: &str| within(&format!("link set dev {link} master switch up"));
        cmd::sh(&format!("ip link add name {BRIDGE} type veth peer name here netns {BRIDGE}"))?;
        cmd::sh(&format!("ip addr add {NETWORK}.254/24 dev {BRIDGE}"))?;
        cmd::sh(&format!("ip link set dev {BRIDGE} up"))?;
        join("here")?;
        for number in 1..=SERVERS {
            let name = format!("{BRIDGE}{number}");
            cmd::sh(&format!("ip netns add {name}"))?;
            within(&format!("link add name s{number} type veth peer name eth netns {name}"))?;
            join(&format!("s{number}"))?;
            cmd::sh(&format!("ip -n {name} addr add {NETWORK}.{number}/24 dev eth"))?;
            cmd::sh(&format!("ip -n {name} link set dev eth up"))?;
            cmd::sh(&format!("ip -n {name} link set dev lo up"))?;
        }
        Ok(this)
    }

    /// Cuts a server off, or joins it again.
    fn set(number: usize, state: &str) -> Result<()> {
        cmd::sh(&format!("ip -n {BRIDGE} link set dev s{number} {state}")).map(drop)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _not_made = cmd::sh(&format!("ip link del {BRIDGE}"));
        for number in 1..=SERVERS {
            let _not_made = cmd::sh(&format!("ip netns del {BRIDGE}{number}"));
        }
        let _not_made = cmd::sh(&format!("ip netns del {BRIDGE}"));
    }
}

/// What runs, and how each of it is started.
struct Programs {
    dir: PathBuf,
    nats: PathBuf,
    forwarder: PathBuf,
    hub: PathBuf,
    page: u16,
}

impl Programs {
    fn urls() -> Vec<String> {
        (1..=SERVERS).map(|number| format!("nats://{NETWORK}.{number}:4222")).collect()
    }

    fn new(machine: &Machine) -> Result<Self> {
        let this = Self {
            dir: machine.dir("cluster")?,
            nats: machine.receivers().join(NATS),
            forwarder: machine.program("peripety-forward"),
            hub: machine.program("peripety-hub"),
            page: free_port()?,
        };
        let urls = format!("{:?}", Self::urls());
        let routes: Vec<String> =
            (1..=SERVERS).map(|number| format!("\"nats://{NETWORK}.{number}:6222\"")).collect();
        for number in 1..=SERVERS {
            let store = this.dir.join(format!("store{number}"));
            let text = format!(
                "server_name: n{number}\nlisten: \"{NETWORK}.{number}:4222\"\nping_interval: \"2s\"\n\
                 jetstream {{ store_dir: \"{}\" }}\ncluster {{ name: c, listen: \"{NETWORK}.{number}:6222\", routes: [{}] }}\n",
                store.display(),
                routes.join(",")
            );
            fs::write(this.dir.join(format!("n{number}.conf")), text).context("configuring a server")?;
        }
        let forward = format!("site = \"north\"\nhost = \"one.two\"\n[servers]\nurls = {urls}\n");
        fs::write(this.dir.join("forward.conf"), forward).context("configuring the forwarder")?;
        let page = this.page;
        let hub = format!(
            "replicas = 3\nstream_gib = 1\n[servers]\nurls = {urls}\n[web]\nlisten = \"127.0.0.1:{page}\"\n"
        );
        fs::write(this.dir.join("hub.conf"), hub).context("configuring the hub")?;
        Ok(this)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.log"))
    }

    fn server(&self, number: usize) -> Result<Server> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{BRIDGE}{number}")]).arg(&self.nats);
        command.arg("-c").arg(self.dir.join(format!("n{number}.conf")));
        Server::spawn(&mut command, &self.log(&format!("n{number}")))
    }

    fn forward(&self, more: &[&str]) -> Result<Command> {
        let mut command = Command::new(&self.forwarder);
        command
            .arg("--config")
            .arg(self.dir.join("forward.conf"))
            .arg("--state-dir")
            .arg(self.dir.join("state"));
        // Who writes into the journal here is this program.
        command.args(more).env("PERIPETY_DAEMON", std::env::current_exe().context("this program")?);
        Ok(command)
    }

    fn forwarder(&self) -> Result<Server> {
        Server::spawn(&mut self.forward(&[])?, &self.log("forward"))
    }

    fn hub(&self) -> Result<Server> {
        let mut command = Command::new(&self.hub);
        command.arg("--config").arg(self.dir.join("hub.conf")).arg("--state-dir").arg(self.dir.join("hub"));
        Server::spawn(&mut command, &self.log("hub"))
    }

    fn ask(&self, path: &str) -> Result<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.page)).context("the hub")?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").context("asking the hub")?;
        let mut text = String::new();
        stream.read_to_string(&mut text).context("asking the hub")?;
        let (_, body) = text.split_once("\r\n\r\n").context("no answer")?;
        serde_json::from_str(body).with_context(|| body.to_owned())
    }

    fn logs(&self) -> String {
        let names = ["forward", "hub", "n1", "n2", "n3"];
        let tail = |name: &str| {
            let text = fs::read_to_string(self.log(name)).unwrap_or_default();
            let from = text.lines().count().saturating_sub(8);
            format!("{name}: {}", text.lines().skip(from).collect::<Vec<_>>().join(" | "))
        };
        names.map(tail).join("\n")
    }
}

/// Writes revisions as the daemon does, so many a second.
struct Writer {
    socket: UnixDatagram,
    next: u128,
}

impl Writer {
    fn new() -> Result<Self> {
        let socket = UnixDatagram::unbound().context("a socket")?;
        socket.connect(JOURNAL).context("journald")?;
        Ok(Self { socket, next: 1 })
    }

    fn write(&mut self, until: Instant) -> Result<()> {
        while Instant::now() < until {
            let id = peripety::event::EventId::from_u128(self.next);
            let event = Event {
                hostname: "one.two".to_owned(),
                msg: format!("number {}", self.next),
                ..Event::new(id, EventType::BLK_IO_ERROR, Timestamp::now())
            };
            let json = serde_json::to_string(&event).context("an event")?;
            let entry = format!("MESSAGE=x\nPRIORITY=6\nIS_PERIPETY=TRUE\nJSON={json}\n");
            self.socket.send(entry.as_bytes()).context("writing to journald")?;
            self.next += 1;
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

/// Chance that comes again: the same faults in each run.
struct Chance(u64);

impl Chance {
    fn of(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % most as u64).unwrap_or(0)
    }
}

pub(super) fn run(machine: &Machine) -> Result<()> {
    // Ten minutes where there are minutes, else one.
    let rounds = if machine.lacks(Need::Minutes).is_none() { 100 } else { 5 };
    let _journald = Journald::start()?;
    let _network = Network::make()?;
    let programs = Programs::new(machine)?;
    let mut servers: Vec<Server> =
        (1..=SERVERS).map(|number| programs.server(number)).collect::<Result<_>>()?;
    cmd::wait_for("the stream of three copies", Duration::from_secs(60), || {
        cmd::run(&mut programs.forward(&["--create", "--replicas", "3", "--gib", "1"])?)
            .with_context(|| programs.logs())
    })?;
    let (mut forwarder, mut hub) = (programs.forwarder()?, programs.hub()?);
    let (mut writer, mut chance) = (Writer::new()?, Chance(9));
    let mut done: BTreeMap<&str, u32> = BTreeMap::new();
    for _ in 0..rounds {
        let number = chance.of(SERVERS);
        let second = Duration::from_secs(1);
        writer.write(Instant::now() + second)?;
        let what = *FAULTS.get(chance.of(FAULTS.len())).context("a fault")?;
        *done.entry(what).or_default() += 1;
        match what {
            "forwarder" => {
                forwarder.kill()?;
                writer.write(Instant::now() + second)?;
                forwarder = programs.forwarder()?;
            }
            "hub" => {
                hub.kill()?;
                hub = programs.hub()?;
            }
            "server" => {
                let server = servers.get_mut(number).context("a server")?;
                server.kill()?;
                writer.write(Instant::now() + 3 * second)?;
                *server = programs.server(number + 1)?;
            }
            "cut off" => {
                Network::set(number + 1, "down")?;
                writer.write(Instant::now() + 4 * second)?;
                Network::set(number + 1, "up")?;
            }
            _ => {
                for server in &mut servers {
                    server.kill()?;
                }
                writer.write(Instant::now() + second)?;
                servers = (1..=SERVERS).map(|number| programs.server(number)).collect::<Result<_>>()?;
            }
        }
        writer.write(Instant::now() + 2 * second)?;
    }
    check(&programs, &writer, &done)
}

fn check(programs: &Programs, writer: &Writer, done: &BTreeMap<&str, u32>) -> Result<()> {
    let expected = usize::try_from(writer.next - 1).context("a count")?;
    let found = cmd::wait_for("all of the journal in the stream", Duration::from_secs(120), || {
        let (found, _) = stored(&Programs::urls()).with_context(|| programs.logs())?;
        ensure!(found.len() >= expected, "{} of {expected}: {}", found.len(), programs.logs());
        Ok(found)
    })?;
    let written = written()?;
    let ids: BTreeSet<&str> = found.iter().map(|(id, _)| id.as_str()).collect();
    ensure!(written.len() == expected, "the journal has {} of {expected}", written.len());
    ensure!(ids.len() == found.len(), "{} are there twice", found.len() - ids.len());
    ensure!(written.iter().all(|id| ids.contains(id.as_str())), "some are missing");
    cmd::wait_for("all of it in the hub", Duration::from_secs(60), || {
        let status = programs.ask("/api/v1/status").with_context(|| programs.logs())?;
        let conditions = programs.ask("/api/v1/hosts")?;
        ensure!(
            conditions.pointer("/hosts/north.one=2Etwo").is_some(),
            "the host is not known: {conditions}"
        );
        ensure!(status.get("trouble").is_some_and(Value::is_null), "{status}: {}", programs.logs());
        Ok(())
    })?;
    eprintln!("{expected} revisions once each, over {done:?}");
    ensure!(Path::new(&programs.dir.join("hub/history.redb")).exists(), "the hub has no store");
    Ok(())
}
