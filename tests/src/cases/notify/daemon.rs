//! With the real daemon: failures of the kernel, the journal, and what becomes of a receiver that takes nothing.

#![expect(clippy::indexing_slicing, reason = "a value that is not in JSON is null, and fails the check")]

use std::{process::Command, time::Duration};

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::{
    cases::Case,
    cmd,
    daemon::Daemon,
    fault::FailingDisk,
    journald::Journald,
    machine::{Machine, Need},
    notify::{
        notifier::Notifier,
        servers::{Http, free_port},
    },
    prpt,
};

pub const FAILED: Case = Case {
    name: "notify_a_receiver_that_takes_nothing_becomes_an_event_that_the_others_and_prpt_status_tell",
    needs: &[Need::Bpf, Need::Loop, Need::Filesystem("xfs"), Need::Program("python3")],
    run: failed,
};

pub const GAP: Case = Case {
    name: "notify_what_the_daemon_no_longer_has_comes_from_the_journal",
    needs: &[Need::Bpf, Need::Loop, Need::Journald, Need::Filesystem("xfs")],
    run: gap,
};

fn read(disk: &FailingDisk) {
    let mut dd = Command::new("dd");
    dd.arg(format!("if={}", disk.disk.path.display())).args([
        "of=/dev/null",
        "bs=4k",
        "count=1",
        "iflag=direct",
    ]);
    let _it_fails = cmd::output(&mut dd);
}

/// Kind, subject and title of what was printed.
fn told(notifier: &Notifier) -> Vec<(String, String, String)> {
    let lines = notifier.stdout();
    let messages = lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    messages.map(|m| (text(&m["kind"]), text(&m["subject"]), text(&m["incident"]["title"]))).collect()
}

fn wait_for(notifier: &Notifier, kind: &str, title: &str) -> Result<()> {
    cmd::wait_for("a message", Duration::from_secs(30), || {
        let all = told(notifier);
        let found = all.iter().any(|(k, _, t)| k == kind && t.contains(title));
        ensure!(found, "no {kind} of {title}: {all:?}; it says: {}", notifier.log());
        Ok(())
    })
}

fn failed(machine: &Machine) -> Result<()> {
    let _daemon = Daemon::start(machine, "")?;
    let disk = FailingDisk::new(machine, 16)?;
    let port = free_port()?;
    let config = format!(
        "[[notify]]\nname = 'down'\nretry_max = '1s'\nfailed_after = '300ms'\ntimeout = '2s'\n[notify.webhook]\nurl = 'http://127.0.0.1:{port}/x'\n[[notify]]\nname = 'out'\n[notify.stdout]\njson = true\n"
    );
    let notifier = Notifier::start(machine, &config)?;
    disk.fail()?;
    read(&disk);
    wait_for(&notifier, "opened", &disk.disk.name)?;
    wait_for(&notifier, "opened", "notify:down: notifications do not arrive")?;
    let status = prpt::run(machine, &["status"])?.stdout;
    ensure!(status.contains("notify:down: ") && status.contains("notifications do not arrive"), "{status}");
    let _server = Http::start_at(machine, port)?;
    wait_for(&notifier, "resolved", "notify:down")?;
    let status = prpt::run(machine, &["status"])?.stdout;
    ensure!(!status.contains("notifications do not arrive"), "{status}");
    Ok(())
}

fn gap(machine: &Machine) -> Result<()> {
    let _journald = Journald::start()?;
    let mut daemon = Daemon::start(machine, "")?;
    let (one, two) = (FailingDisk::new(machine, 16)?, FailingDisk::new(machine, 16)?);
    let mut notifier = Notifier::start(machine, "[[notify]]\nname = 'out'\n[notify.stdout]\njson = true\n")?;
    one.fail()?;
    read(&one);
    wait_for(&notifier, "opened", &one.disk.name)?;
    notifier.kill()?;
    two.fail()?;
    read(&two);
    cmd::wait_for("the incident in the journal", Duration::from_secs(20), || {
        let incidents = prpt::run(machine, &["incidents", "--verbose"])?.stdout;
        ensure!(incidents.contains(&two.disk.name), "{incidents}");
        Ok(())
    })?;
    // The memory of the daemon goes with it.
    daemon.signal(Signal::KILL)?;
    daemon.wait(Duration::from_secs(5))?;
    let _successor = Daemon::start(machine, "")?;
    notifier.start_again()?;
    wait_for(&notifier, "opened", &two.disk.name)?;
    let all = told(&notifier);
    for (n, (kind, subject, title)) in all.iter().enumerate() {
        let again = all.iter().skip(n + 1).any(|(k, s, _)| k == kind && s == subject && k == "opened");
        ensure!(!again, "{title} was sent twice: {all:?}");
    }
    Ok(())
}
