//! A real glusterd, with a disk that fails below one of its bricks.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use peripety::event::Event;

use super::Case;
use crate::{
    cmd,
    disk::{Loop, Tmpfs},
    fs::Mount,
    machine::{Machine, Need},
    prpt,
    scene::Scene,
};

/// Of a network namespace of its own: glusterd takes no loopback address.
const ADDRESS: &str = "10.77.9.1";
const VOLUME: &str = "rep";

pub const CASES: &[Case] = &[Case {
    name: "a_brick_on_a_disk_that_fails_is_part_of_its_incident",
    needs: &[
        Need::Bpf,
        Need::Journald,
        Need::Program("glusterd"),
        Need::Program("systemd-cat"),
        Need::Program("xfs_io"),
    ],
    run: brick,
}];

/// A process that ends with its scope.
struct Process(Child);

impl Process {
    fn start(command: &mut Command) -> Result<Self> {
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Ok(Self(process.with_context(|| format!("starting {command:?}"))?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _already_gone = self.0.kill();
        let _already_gone = self.0.wait();
    }
}

/// A cluster of one node, in a network of its own.
struct Cluster {
    network: Process,
    _glusterd: Process,
}

impl Cluster {
    fn start(machine: &Machine) -> Result<Self> {
        for place in ["/var/lib/glusterd", "/var/log/glusterfs"] {
            let own = machine.dir("gluster")?.join(place.rsplit('/').next().unwrap_or_default());
            fs::create_dir_all(&own).with_context(|| format!("creating {}", own.display()))?;
            fs::create_dir_all(place).with_context(|| format!("creating {place}"))?;
            cmd::run(Command::new("mount").arg("--bind").arg(&own).arg(place))?;
        }
        let network = Process::start(Command::new("unshare").args(["--net", "sleep", "600"]))?;
        let own = format!("/proc/{}/ns/net", network.0.id());
        cmd::wait_for("a network of its own", Duration::from_secs(5), || {
            ensure!(fs::read_link(&own)? != fs::read_link("/proc/self/ns/net")?, "it is the machine's");
            Ok(())
        })?;
        let inside = |words: &[&str]| within(&network, words);
        cmd::run(&mut inside(&["ip", "link", "set", "lo", "up"]))?;
        cmd::run(&mut inside(&["ip", "address", "add", &format!("{ADDRESS}/24"), "dev", "lo"]))?;
        let glusterd = Process::start(&mut inside(&["glusterd", "-N"]))?;
        let cluster = Self { network, _glusterd: glusterd };
        cmd::wait_for("glusterd", Duration::from_secs(60), || cluster.gluster(&["peer", "status"]))?;
        Ok(cluster)
    }

    fn gluster(&self, words: &[&str]) -> Result<String> {
        cmd::run(within(&self.network, &["gluster", "--mode=script"]).args(words))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Bricks and the self-heal daemon outlive glusterd.
        let _none = cmd::run(&mut within(
            &self.network,
            &["pkill", "-9", "-f", &format!("volfile-id (shd/)?{VOLUME}")],
        ));
        for place in ["/var/lib/glusterd", "/var/log/glusterfs"] {
            crate::disk::unmount(Path::new(place));
        }
    }
}

fn within(network: &Process, words: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--net", "--target", &network.0.id().to_string()]).args(words);
    command
}

fn brick(machine: &Machine) -> Result<()> {
    let scene = Scene::start(machine, "")?;
    let tmpfs = Tmpfs::new(machine, "600m")?;
    let disk = Loop::attach(&tmpfs.file("disk", 400 << 20)?)?;
    crate::fs::make("xfs", &disk)?;
    let mounted = Mount::new(machine, &disk, "")?;
    let cluster = Cluster::start(machine)?;
    let bricks: Vec<String> = [mounted.dir.join("b"), tmpfs.dir.join("two"), tmpfs.dir.join("three")]
        .iter()
        .map(|path: &PathBuf| format!("{ADDRESS}:{}", path.display()))
        .collect();
    let state = machine.dir("gluster-state")?.join("state.json");
    let program = machine.program("peripety-gluster");
    let mut reporter = within(&cluster.network, &["systemd-cat", "--identifier=peripety-gluster"]);
    reporter.arg(&program).arg("--state").arg(&state);
    let _reporter = Process::start(&mut reporter)?;
    cmd::wait_for("the first look", Duration::from_secs(60), || {
        ensure!(state.exists(), "there is no {}", state.display());
        Ok(())
    })?;

    let mut create = vec!["volume", "create", VOLUME, "replica", "3"];
    create.extend(bricks.iter().map(String::as_str));
    create.push("force");
    cluster.gluster(&create)?;
    cluster.gluster(&["volume", "start", VOLUME])?;
    expect(&scene, "GLUSTER_VOLUME_STARTED", |_| true)?;

    cmd::run(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(&mounted.dir))?;
    let down = expect(&scene, "GLUSTER_BRICK_DOWN", |_| true)?;
    ensure!(
        down.block.as_ref().is_some_and(|block| block.id.blk_path == disk.path.display().to_string()),
        "{down:?}"
    );
    let facts = down.facts.gluster.clone().context("facts of GlusterFS")?;
    ensure!((facts.bricks_up, facts.bricks, facts.bricks_needed) == (Some(2), Some(3), Some(2)), "{facts:?}");
    ensure!(facts.message.is_some_and(|why| why.starts_with("health check failed")), "{}", down.msg);
    cmd::wait_for("one incident", Duration::from_secs(20), || {
        let incidents = prpt::json(machine, &["incidents", "--format", "Json", "--state", "open"])?;
        let all: Vec<String> = incidents.iter().map(ToString::to_string).collect();
        let with = |name: &str| all.iter().filter(|incident| incident.contains(name)).count();
        ensure!(with("FS_SHUTDOWN") == 1, "{all:#?}");
        let both = all.iter().any(|i| i.contains("FS_SHUTDOWN") && i.contains("GLUSTER_BRICK_DOWN"));
        ensure!(both, "the brick is in no incident of the disk: {all:#?}");
        Ok(())
    })
}

fn expect(scene: &Scene, event_type: &str, is_it: impl Fn(&Event) -> bool) -> Result<Event> {
    cmd::wait_for(event_type, Duration::from_secs(90), || {
        let events = scene.all()?;
        let found = events.iter().rev().find(|event| event.event_type.as_str() == event_type && is_it(event));
        found.cloned().with_context(|| crate::events::reported(&events))
    })
}
