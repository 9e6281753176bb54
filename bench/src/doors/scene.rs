//! The daemon's memory and sockets in this process, a bus, and peripety-notify.

use std::{
    cell::Cell,
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use peripety::internal::{
    Roots,
    event::{Event, EventId, EventType},
    notifier::{
        memory::{Limits, Memory, Numbers},
        socket::{Answers, Listening, Protocol, Server, Serving},
    },
};
use serde_json::{Value, json};

use super::clients;

const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=SOCKET</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
    <allow send_type="method_return"/><allow send_type="error"/><allow receive_type="signal"/>
    <allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/>
  </policy>
</busconfig>
"#;

struct Nothing;

impl Answers for Nothing {
    fn answer(&self, request: &str) -> Option<Value> {
        (request == "status").then(|| json!({ "incidents": [] }))
    }
}

/// A process that ends with its scope.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

pub struct Scene {
    pub roots: Roots,
    pub web: SocketAddr,
    pub bus: String,
    memory: Memory,
    number: Cell<u128>,
    notify: PathBuf,
    // Dropped in this order.
    _both: Process,
    _daemon: Process,
    _serving: Serving,
    dir: PathBuf,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.dir);
    }
}

impl Scene {
    pub fn start() -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("peripety-bench-doors-{}", std::process::id()));
        fs::create_dir_all(dir.join("run/peripety")).context("a directory")?;
        let roots = Roots::under(&dir);
        let limits = Limits { events: 100_000, bytes: 256 << 20, backlog: 1 << 16, ..Limits::default() };
        let numbers = Numbers { boot_id: "0123456789abcdef0123456789abcdef".to_owned(), first: 1_000_000 };
        let memory = Memory::numbered(limits, numbers);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (server, varlink) = runtime.block_on(async {
            Ok::<_, anyhow::Error>((Server::bind(&roots)?, Listening::bind(&roots, Protocol::Varlink)?))
        })?;
        let listen_on = server.listen_on();
        let serving = server.start(memory.clone(), Arc::new(Nothing))?;
        let _full = listen_on.send(varlink);

        let (daemon, bus) = start_bus(&dir.join("bus"))?;
        let program = std::env::current_exe().context("finding this program")?;
        let notify = program.with_file_name("peripety-notify");
        let web = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).context("a port")?;
        let text = format!("[web]\nlisten = '{web}'\n[dbus]\naddress = '{bus}'\n");
        let both = notifier(&notify, &roots, &dir.join("both"), &text)?;
        wait_for(|| TcpStream::connect(web).is_ok(), "the websocket")?;
        Ok(Self {
            roots,
            web,
            bus,
            memory,
            number: Cell::new(1),
            notify,
            _both: both,
            _daemon: daemon,
            _serving: serving,
            dir,
        })
    }

    /// One more event.
    pub fn event(&self) -> Result<()> {
        let number = self.number.get();
        self.number.set(number + 1);
        let at = jiff::Timestamp::from_second(1_790_000_000)?;
        let event = Event {
            kdev: "sda".to_owned(),
            msg: "sda: reading 8 sectors at 2048 failed: EIO".to_owned(),
            ..Event::new(EventId::from_u128(number), EventType::BLK_IO_ERROR, at)
        };
        self.memory.store(Arc::new(event)).context("storing an event")
    }

    /// What a notifier costs that has nothing to do: with nothing open, and with each.
    pub fn idle(&self) -> Result<Vec<Value>> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).context("a port")?;
        // The name on the first bus is the other notifier's.
        let (_daemon, bus) = start_bus(&self.dir.join("idle-bus"))?;
        let dbus = format!("[dbus]\naddress = '{bus}'\n");
        let web = format!("[web]\nlisten = '{port}'\n[dbus]\nenabled = false\n");
        let none = self.measure("none", "[dbus]\nenabled = false\n", None)?;
        let mut figures = Vec::new();
        for (name, text, subscriber) in [("D-Bus", &dbus, None), ("page, one subscriber", &web, Some(port))] {
            let (kib, wakeups) = self.measure("one", text, subscriber)?;
            figures.push(json!({
                "what": format!("{name}: memory of its own while idle"), "ratio": kib as f64 / none.0.max(1) as f64,
                "of": "a notifier with neither",
                "detail": format!("{kib} KiB and {} KiB without; {wakeups} wakeups in 5 s", none.0),
            }));
        }
        Ok(figures)
    }

    fn measure(&self, name: &str, config: &str, subscriber: Option<SocketAddr>) -> Result<(u64, u64)> {
        let process = notifier(&self.notify, &self.roots, &self.dir.join(name), config)?;
        let pid = process.0.id();
        let client = match subscriber {
            None => None,
            Some(port) => {
                wait_for(|| TcpStream::connect(port).is_ok(), "the websocket")?;
                Some(clients::websocket_at(port)?)
            }
        };
        thread::sleep(Duration::from_secs(12));
        let before = sum(pid, "ctxt_switches")?;
        thread::sleep(Duration::from_secs(5));
        let wakeups = sum(pid, "ctxt_switches")? - before;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).context("its status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
        let kib = line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
        drop(client);
        Ok((kib, wakeups))
    }
}

/// A bus that lets everybody do everything, and its address.
fn start_bus(dir: &Path) -> Result<(Process, String)> {
    fs::create_dir_all(dir).context("a directory")?;
    let (config, socket) = (dir.join("conf"), dir.join("socket"));
    fs::write(&config, BUS.replace("SOCKET", &socket.display().to_string())).context("the bus")?;
    let mut command = Command::new("dbus-daemon");
    command.arg("--config-file").arg(&config).args(["--nofork", "--nopidfile", "--nosyslog"]);
    let daemon = spawn(&mut command, &dir.join("log")).context("this wants dbus-daemon")?;
    wait_for(|| socket.exists(), "dbus-daemon")?;
    Ok((daemon, format!("unix:path={}", socket.display())))
}

/// The sum over all threads of the lines of their status with this name.
fn sum(pid: u32, name: &str) -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("its threads")? {
        let status = fs::read_to_string(task?.path().join("status")).unwrap_or_default();
        let lines = status.lines().filter(|line| line.contains(name));
        sum += lines.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok()).sum::<u64>();
    }
    Ok(sum)
}

fn spawn(command: &mut Command, log: &Path) -> Result<Process> {
    let log = fs::File::create(log).context("a log")?;
    let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
    Ok(Process(process.with_context(|| format!("starting {command:?}"))?))
}

fn notifier(program: &Path, roots: &Roots, dir: &Path, config: &str) -> Result<Process> {
    fs::create_dir_all(dir).context("a directory")?;
    let file = dir.join("conf");
    fs::write(&file, config).context("a configuration")?;
    let mut command = Command::new(program);
    command.arg("--config").arg(&file).arg("--runtime-dir").arg(&roots.runtime);
    command.arg("--own-runtime-dir").arg(dir.join("run")).arg("--state-dir").arg(dir.join("state"));
    let process = spawn(&mut command, &dir.join("log"))?;
    wait_for(
        || std::os::unix::net::UnixStream::connect(dir.join("run/notify.sock")).is_ok(),
        "peripety-notify",
    )?;
    Ok(process)
}

fn wait_for(is: impl Fn() -> bool, what: &str) -> Result<()> {
    let start = Instant::now();
    while !is() {
        if start.elapsed() > Duration::from_secs(20) {
            bail!("{what} does not answer");
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
