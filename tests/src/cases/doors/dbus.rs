//! D-Bus: objects, signals and rights, seen by busctl, gdbus and a client in Python.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::bus::{Bus, busctl, call};
use crate::{
    cases::Case,
    cmd,
    daemon::Daemon,
    fault::FailingDisk,
    journald::Journald,
    machine::{Machine, Need},
    notify::{
        notifier::Notifier,
        servers::{Server, root},
    },
    watcher::Watcher,
};

const JEEPNEY: &str = "usr/lib/python3/dist-packages/jeepney/__init__.py";
const POLKITD: &str = "/usr/lib/polkit-1/polkitd";
const MANAGER: (&str, &str) = ("/org/peripety1/Manager", "org.peripety1.Manager");
const INCIDENT: &str = "org.peripety1.Incident";
/// A user without rights.
const NOBODY: u32 = 65534;

pub const SEEN: Case = Case {
    name: "dbus_one_incident_is_seen_by_busctl_gdbus_and_python_and_nobody_gets_its_details",
    needs: &[
        Need::Bpf,
        Need::Loop,
        Need::Journald,
        Need::Filesystem("xfs"),
        Need::Program("dbus-daemon"),
        Need::Program("busctl"),
        Need::Program("gdbus"),
        Need::Receiver(JEEPNEY),
    ],
    run: seen,
};

pub const POLKIT: Case = Case {
    name: "dbus_polkit_says_who_may_acknowledge",
    needs: &[
        Need::Bpf,
        Need::Loop,
        Need::Filesystem("xfs"),
        Need::Program("dbus-daemon"),
        Need::Program("busctl"),
        Need::Program(POLKITD),
    ],
    run: polkit,
};

const CONFIG: &str = "[[notify]]\nname = 'out'\n[notify.stdout]\n";

fn property(path: &str, interface: &str, name: &str) -> Result<String> {
    busctl(&["get-property", "org.peripety1", path, interface, name])
}

fn wait_for_property(path: &str, interface: &str, name: &str, value: &str) -> Result<()> {
    cmd::wait_for(name, Duration::from_secs(20), || {
        let is = property(path, interface, name)?;
        ensure!(is.trim() == value, "{name} is {is}");
        Ok(())
    })
}

fn read(disk: &FailingDisk) {
    let mut dd = Command::new("dd");
    dd.arg(format!("if={}", disk.disk.path.display()));
    let _it_fails = cmd::output(dd.args(["of=/dev/null", "bs=4k", "count=1", "iflag=direct"]));
}

/// The object of the open incident of a disk.
fn incident(disk: &FailingDisk) -> Result<String> {
    let quoted = format!("\"{}\"", disk.disk.name);
    cmd::wait_for("an incident's object", Duration::from_secs(20), || {
        let tree = busctl(&["tree", "--list", "org.peripety1"])?;
        let mut all = tree.lines().filter(|line| line.starts_with("/org/peripety1/incidents/"));
        let is_it = |path: &&str| {
            ["Cause", "Devices"]
                .iter()
                .any(|name| property(path, INCIDENT, name).is_ok_and(|is| is.contains(&quoted)))
        };
        all.find(is_it).map(str::to_owned).with_context(|| tree.clone())
    })
}

fn seen(machine: &Machine) -> Result<()> {
    let none = machine.dir("none")?;
    let _journald = Journald::start()?;
    let _bus = Bus::start(machine, &none)?;
    let mut daemon = Daemon::start(machine, "")?;
    let disk = FailingDisk::new(machine, 16)?;
    let notifier = Notifier::start(machine, CONFIG)?;
    wait_for_property(MANAGER.0, MANAGER.1, "DaemonRunning", "b true")
        .with_context(|| format!("it says: {}", notifier.log()))?;

    let script = machine.dir("client")?.join("client.py");
    fs::write(&script, include_str!("dbus_client.py")).context("writing the client")?;
    let python = Watcher::start(
        machine,
        Command::new("/usr/bin/python3")
            .arg(&script)
            .env("PYTHONPATH", root(machine).join("usr/lib/python3/dist-packages")),
    )?;
    python.wait_for(&["objects", MANAGER.0])?;
    let gdbus = Watcher::start(
        machine,
        Command::new("gdbus").args(["monitor", "--system", "--dest", "org.peripety1"]),
    )?;
    let monitor = Watcher::start(
        machine,
        Command::new("busctl").args(["--system", "--json=short", "monitor", "org.peripety1"]),
    )?;
    gdbus.wait_for(&["owned by"])?;
    monitor.wait_for(&["Monitoring bus message stream"])?;

    disk.fail()?;
    read(&disk);
    let name = &disk.disk.name;
    let block = format!("/org/peripety1/block_devices/{name}");
    python.wait_for(&[
        "EventOccurred",
        "BLK_",
        &block,
        "\"dropped\": 0",
        "\"missed\": 0",
        "\"sequence\": ",
    ])?;
    monitor.wait_for(&["EventOccurred", "BLK_", &block])?;
    gdbus.wait_for(&["org.peripety1.Manager.EventOccurred", "BLK_", &block])?;
    for (who, words) in
        [(&python, "IncidentOpened"), (&gdbus, "Manager.IncidentOpened"), (&monitor, "IncidentOpened")]
    {
        who.wait_for(&[words, name])?;
    }
    python.wait_for(&["InterfacesAdded", &block])?;
    // What the kernel printed reaches who may read the journal, not every user.
    let text = python.text() + &gdbus.text() + &monitor.text();
    ensure!(!text.contains("I/O error, dev") && !text.contains("raw_msgs"), "text of the kernel: {text}");

    ensure!(
        property(&block, "org.peripety1.Block", "Device")?.contains(&format!("/dev/{name}")),
        "no device"
    );
    let incident = incident(&disk)?;
    ensure!(
        property(&block, "org.peripety1.Block", "Incidents")?.contains(&incident),
        "the device names it not"
    );
    ensure!(
        property(&incident, INCIDENT, "Block")?.contains("/org/peripety1/block_devices/loop"),
        "{}",
        property(&incident, INCIDENT, "Block")?
    );
    ensure!(property(MANAGER.0, MANAGER.1, "OpenIncidents")?.trim() != "u 0", "none is open");
    let introspected = cmd::run(Command::new("gdbus").args([
        "introspect",
        "--system",
        "--dest",
        "org.peripety1",
        "--object-path",
        &incident,
    ]))?;
    ensure!(introspected.contains("GetDetails(out s incident)"), "{introspected}");
    ensure!(busctl(&["list", "--activatable"])?.contains("org.peripety1"), "the activation file is not read");

    // Everybody reads properties; details are for who may read the journal.
    let get = ["ss", INCIDENT, "Severity"];
    call(NOBODY, &incident, "org.freedesktop.DBus.Properties", "Get", &get)?;
    for (method, path, interface) in
        [("GetDetails", &*incident, INCIDENT), ("GetStatus", MANAGER.0, MANAGER.1)]
    {
        let refused = call(NOBODY, path, interface, method, &[]);
        let refused = format!("{:#}", refused.err().with_context(|| format!("nobody got {method}"))?);
        ensure!(refused.contains("may not read the journal"), "{refused}");
        let details = call(0, path, interface, method, &[])?;
        ensure!(details.contains("incident_id"), "{details}");
    }
    let events = call(0, &block, "org.peripety1.Block", "GetEvents", &[])?;
    ensure!(events.contains("event_id"), "{events}");
    let reason = ["s", "ordered a new one"];
    let refused = call(NOBODY, &incident, INCIDENT, "Acknowledge", &reason);
    ensure!(
        format!("{:#}", refused.err().context("nobody acknowledged")?).contains("acknowledge"),
        "refused otherwise"
    );
    // Without polkit root may.
    call(0, &incident, INCIDENT, "Acknowledge", &reason)?;
    wait_for_property(&incident, INCIDENT, "Acknowledged", "b true")?;

    // The name stays while the daemon is away; what happens after is seen, and what was lost is said.
    daemon.signal(Signal::KILL)?;
    daemon.wait(Duration::from_secs(5))?;
    wait_for_property(MANAGER.0, MANAGER.1, "DaemonRunning", "b false")?;
    let _next = Daemon::start(machine, "")?;
    wait_for_property(MANAGER.0, MANAGER.1, "DaemonRunning", "b true")?;
    let other = FailingDisk::new(machine, 16)?;
    other.fail()?;
    read(&other);
    python.wait_for(&["EventOccurred", &format!("block_devices/{}\"", other.disk.name)])?;
    call(0, &incident, INCIDENT, "Resolve", &["s", "a new disk"])?;
    python.wait_for(&["IncidentResolved", &incident])?;
    python.wait_for(&["InterfacesRemoved", &incident])?;
    Ok(())
}

/// polkitd with one rule: user nobody may acknowledge, and nothing else.
fn polkit(machine: &Machine) -> Result<()> {
    let policies = machine.dir("policies")?;
    fs::copy(
        "/usr/share/dbus-1/system.d/org.freedesktop.PolicyKit1.conf",
        policies.join("org.freedesktop.PolicyKit1.conf"),
    )
    .context("polkit's policy")?;
    let actions = machine.dir("actions")?;
    fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist/dbus/org.peripety1.policy"),
        actions.join("org.peripety1.policy"),
    )
    .context("the actions")?;
    let rules = machine.dir("rules")?;
    let rule = "polkit.addRule(function(action, subject) {\n  if (action.id == 'org.peripety1.acknowledge' && subject.user == 'nobody')\n    return polkit.Result.YES;\n});\n";
    fs::write(rules.join("10-test.rules"), rule).context("a rule")?;
    for (from, to) in [(&actions, "/usr/share/polkit-1/actions"), (&rules, "/usr/share/polkit-1/rules.d")] {
        rustix::mount::mount_bind(from, to).with_context(|| format!("mounting over {to}"))?;
    }
    let result = with_polkit(machine, &policies);
    for to in ["/usr/share/polkit-1/actions", "/usr/share/polkit-1/rules.d"] {
        rustix::mount::unmount(to, rustix::mount::UnmountFlags::DETACH).context("unmounting")?;
    }
    result
}

fn with_polkit(machine: &Machine, policies: &Path) -> Result<()> {
    let _bus = Bus::start(machine, policies)?;
    let log = machine.dir("polkit")?.join("log");
    let _polkitd = Server::spawn(Command::new(POLKITD).arg("--no-debug"), &log)?;
    cmd::wait_for("polkitd", Duration::from_secs(10), || {
        let names = busctl(&["list", "--acquired"])?;
        let log = fs::read_to_string(&log).unwrap_or_default();
        ensure!(names.contains("org.freedesktop.PolicyKit1"), "{names}; it says: {log}");
        Ok(())
    })?;
    let _daemon = Daemon::start(machine, "")?;
    let disk = FailingDisk::new(machine, 16)?;
    let _notifier = Notifier::start(machine, CONFIG)?;
    disk.fail()?;
    read(&disk);
    let incident = incident(&disk)?;
    let refused = call(NOBODY, &incident, INCIDENT, "Resolve", &["s", "x"]);
    let refused = format!("{:#}", refused.err().context("nobody resolved an incident")?);
    ensure!(refused.contains("org.peripety1.resolve") && refused.contains("polkit"), "{refused}");
    call(NOBODY, &incident, INCIDENT, "Acknowledge", &["s", "seen"])?;
    wait_for_property(&incident, INCIDENT, "Acknowledged", "b true")?;
    let details = call(0, &incident, INCIDENT, "GetDetails", &[])?;
    ensure!(details.contains(&format!("user {NOBODY} over D-Bus: seen")), "{details}");
    Ok(())
}
