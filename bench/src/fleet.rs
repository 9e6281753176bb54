//! Simulated hosts that send a real recorded stream through a real nats-server to a real hub.
//!
//! Each host sends the events of a recorded incident under its own name with ids of its own, as the forwarder does: so many a
//! second for a while, then a burst of all hosts at once, as when a fabric fails. What the hub takes is counted, and what it
//! costs is read in /proc.

use std::{
    collections::VecDeque,
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use async_nats::jetstream::{self, context::PublishAckFuture, message::PublishMessage};
use peripety_forward::{
    name::Sender,
    stream::{Limits, create},
};
use peripety_model::{Event, EventId, event_id};
use serde_json::{Value, json};

/// How it is done, each by a variable of the environment: `FLEET_HOSTS=10000`.
struct Plan {
    hosts: usize,
    /// Messages a second.
    rate: usize,
    seconds: usize,
    burst: usize,
}

impl Plan {
    fn of_environment() -> Result<Self> {
        let number = |name: &str, default: usize| -> Result<usize> {
            match std::env::var(name) {
                Ok(text) => text.parse().with_context(|| format!("{name}={text} is no number")),
                Err(_) => Ok(default),
            }
        };
        Ok(Self {
            hosts: number("FLEET_HOSTS", 10_000)?.max(1),
            rate: number("FLEET_RATE", 5000)?.max(1),
            seconds: number("FLEET_SECONDS", 60)?,
            burst: number("FLEET_BURST", 1_000_000)?,
        })
    }
}

/// Messages that are on their way at a time.
const WINDOW: usize = 4000;
/// Pieces of a second in which the rate is kept.
const SLICES: usize = 20;

/// A process that ends with its scope.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _already_gone = self.0.kill();
        let _already_gone = self.0.wait();
    }
}

impl Process {
    fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let log = fs::File::create(log).context("a log")?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        Ok(Self(child.with_context(|| format!("starting {command:?}"))?))
    }

    /// Seconds of processor time, and MiB of memory at its peak.
    fn cost(&self) -> Result<(f64, u64)> {
        let dir = PathBuf::from(format!("/proc/{}", self.0.id()));
        let stat = fs::read_to_string(dir.join("stat")).context("its stat")?;
        let times = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').skip(11).take(2);
        let ticks: u64 = times.filter_map(|time| time.parse::<u64>().ok()).sum();
        let status = fs::read_to_string(dir.join("status")).context("its status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next());
        let peak = peak.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024;
        #[expect(clippy::cast_precision_loss, reason = "ticks of a hundredth of a second")]
        Ok((ticks as f64 / 100.0, peak))
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn wait_for(port: u16) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > until {
            bail!("nothing listens on port {port}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// The programs beside this one, and the server that the set-up unpacks.
fn programs() -> Result<(PathBuf, PathBuf)> {
    let here = std::env::current_exe().context("finding this program")?;
    let hub = here.with_file_name("peripety-hub");
    let nats = here.ancestors().nth(2).context("no target directory")?.join("nats/usr/sbin/nats-server");
    for program in [&hub, &nats] {
        if !program.exists() {
            bail!("there is no {}", program.display());
        }
    }
    Ok((hub, nats))
}

/// Events of a recorded incident.
fn recorded() -> Result<Vec<Event>> {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/recordings/ext4-on-failing-loop.events.jsonl");
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    text.lines().map(|line| serde_json::from_str(line).context("a recorded event")).collect()
}

/// The next messages: each host in turn sends its next event.
struct Hosts {
    events: Vec<Event>,
    hosts: usize,
    next: usize,
}

impl Hosts {
    fn next(&mut self) -> Result<(String, PublishMessage)> {
        let (number, host) = (self.next / self.hosts, self.next % self.hosts);
        self.next += 1;
        let event = self.events.get(number % self.events.len()).context("no events")?;
        let name = format!("host{host}");
        let again = number / self.events.len();
        let own = |id: EventId| event_id(&name, "bench", &format!("{id} {again}"));
        let event = Event {
            event_id: own(event.event_id),
            incident_id: event.incident_id.map(own),
            root_cause_event_id: event.root_cause_event_id.map(own),
            hostname: name.clone(),
            ..event.clone()
        };
        let id = format!("{}.{}", event.event_id, event.revision);
        let payload = serde_json::to_vec(&event).context("an event")?;
        let message = PublishMessage::build().message_id(id.as_str()).payload(payload.into());
        Ok((Sender::new("bench", &name).of_event(&event), message))
    }
}

/// What the hub says of itself.
fn status(port: u16) -> Result<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("the hub")?;
    write!(stream, "GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").context("asking the hub")?;
    let mut text = String::new();
    stream.read_to_string(&mut text).context("asking the hub")?;
    let (_, body) = text.split_once("\r\n\r\n").context("no answer")?;
    serde_json::from_str(body).with_context(|| body.to_owned())
}

struct Sending {
    context: jetstream::Context,
    waiting: VecDeque<PublishAckFuture>,
}

impl Sending {
    async fn send(&mut self, hosts: &mut Hosts) -> Result<()> {
        let (subject, message) = hosts.next()?;
        self.waiting.push_back(self.context.send_publish(subject, message).await?);
        if self.waiting.len() >= WINDOW {
            self.first().await?;
        }
        Ok(())
    }

    async fn first(&mut self) -> Result<()> {
        if let Some(ack) = self.waiting.pop_front()
            && ack.await?.sequence == 0
        {
            bail!("a message was not stored");
        }
        Ok(())
    }

    async fn all(&mut self) -> Result<()> {
        while !self.waiting.is_empty() {
            self.first().await?;
        }
        Ok(())
    }
}

/// Waits until the hub has so many messages.
fn taken(port: u16, count: usize) -> Result<()> {
    let mut before = (Value::Null, Instant::now());
    loop {
        let status = status(port)?;
        let taken = status.get("taken").and_then(Value::as_u64).unwrap_or(0);
        if taken >= count as u64 {
            return Ok(());
        }
        if status != before.0 {
            before = (status, Instant::now());
        } else if before.1.elapsed() > Duration::from_secs(60) {
            bail!("the hub has {taken} of {count} and takes no more: {}", before.0);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub fn run() -> Result<Vec<Value>> {
    let plan = Plan::of_environment()?;
    let (hub, nats) = programs()?;
    let dir = std::env::temp_dir().join(format!("peripety-bench-fleet-{}", std::process::id()));
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let result = measure(&plan, &hub, &nats, &dir);
    let _best_effort = fs::remove_dir_all(&dir);
    result
}

#[expect(clippy::cast_precision_loss, reason = "counts of messages")]
fn measure(plan: &Plan, hub: &Path, nats: &Path, dir: &Path) -> Result<Vec<Value>> {
    let (port, page) = (free_port()?, free_port()?);
    let mut command = Command::new(nats);
    command
        .args(["--jetstream", "-a", "127.0.0.1", "-p", &port.to_string(), "--store_dir"])
        .arg(dir.join("nats"));
    let nats = Process::start(&mut command, &dir.join("nats.log"))?;
    wait_for(port)?;
    let config =
        format!("[servers]\nurls = [\"nats://127.0.0.1:{port}\"]\n[web]\nlisten = \"127.0.0.1:{page}\"\n");
    fs::write(dir.join("conf"), config).context("a configuration")?;
    let mut command = Command::new(hub);
    command.arg("--config").arg(dir.join("conf")).arg("--state-dir").arg(dir.join("hub"));
    let hub = Process::start(&mut command, &dir.join("hub.log"))?;
    wait_for(page)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut hosts = Hosts { events: recorded()?, hosts: plan.hosts, next: 0 };
    let mut figures = Vec::new();
    let mut figure = |what: &str, count: usize, took: Duration, before: [(f64, u64); 2]| -> Result<()> {
        let (hub, nats) = (hub.cost()?, nats.cost()?);
        let per_s = count as f64 / took.as_secs_f64();
        let core = |now: f64, before: f64| count as f64 / (now - before).max(0.01);
        let detail = format!(
            "{count} messages of {} hosts in {:.1} s; of one core the hub takes {:.0}/s, nats-server {:.0}/s; \
             peaks {} and {} MiB",
            plan.hosts,
            took.as_secs_f64(),
            core(hub.0, before[0].0),
            core(nats.0, before[1].0),
            hub.1,
            nats.1
        );
        let wanted = if what == "sustained" { plan.rate as f64 } else { per_s };
        figures.push(json!({ "part": "fleet", "what": what, "ratio": per_s / wanted, "of": format!("{wanted:.0}/s"), "detail": detail }));
        Ok(())
    };
    runtime.block_on(async {
        let context = jetstream::new(async_nats::connect(format!("nats://127.0.0.1:{port}")).await?);
        create(&context, Limits::default()).await?;
        let mut sending = Sending { context, waiting: VecDeque::new() };
        let before = [hub.cost()?, nats.cost()?];
        let begin = Instant::now();
        for slice in 0..plan.seconds * SLICES {
            for _ in 0..plan.rate / SLICES {
                sending.send(&mut hosts).await?;
            }
            let due = begin + Duration::from_secs(1) / 20 * u32::try_from(slice + 1)?;
            tokio::time::sleep_until(due.into()).await;
        }
        sending.all().await?;
        taken(page, hosts.next)?;
        figure("sustained", hosts.next, begin.elapsed(), before)?;
        let (before, begin, first) = ([hub.cost()?, nats.cost()?], Instant::now(), hosts.next);
        for _ in 0..plan.burst {
            sending.send(&mut hosts).await?;
        }
        sending.all().await?;
        taken(page, hosts.next)?;
        figure("a burst", hosts.next - first, begin.elapsed(), before)
    })?;
    let status = status(page)?;
    if status.get("refused").and_then(Value::as_object).is_none_or(|all| all.values().any(|n| *n != 0)) {
        bail!("the hub refused some: {status}");
    }
    Ok(figures)
}
