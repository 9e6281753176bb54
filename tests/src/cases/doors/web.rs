//! The websocket: a client in Python, tokens, TLS, and a client that comes back after the daemon was killed.

#![expect(clippy::indexing_slicing, reason = "a value that is not in JSON is null, and fails the check")]

use std::{collections::BTreeSet, fs, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    cases::Case,
    cmd,
    daemon::Daemon,
    fault::FailingDisk,
    journald::Journald,
    machine::{Machine, Need},
    notify::{
        fake::{FakeDaemon, incident},
        notifier::Notifier,
        servers::{free_port, root},
    },
    prpt,
    watcher::Watcher,
};

const WEBSOCKETS: &str = "usr/lib/python3/dist-packages/websockets/__init__.py";

pub const BACK: Case = Case {
    name: "web_who_comes_back_gets_what_it_missed_while_the_daemon_was_killed",
    needs: &[
        Need::Bpf,
        Need::Loop,
        Need::Journald,
        Need::Filesystem("xfs"),
        Need::Program("openssl"),
        Need::Receiver(WEBSOCKETS),
    ],
    run: back,
};

pub const SLOW: Case = Case {
    name: "web_a_client_that_stops_reading_knows_how_much_it_did_not_get_and_the_others_get_all",
    needs: &[Need::Receiver(WEBSOCKETS)],
    run: slow,
};

/// A client in Python.
fn client(machine: &Machine, url: &str, subscription: &Value, pause: &str) -> Result<Watcher> {
    let script = machine.dir("client")?.join("client.py");
    fs::write(&script, include_str!("web_client.py")).context("writing the client")?;
    let mut python = Command::new("/usr/bin/python3");
    python.arg(&script).arg(url).arg(subscription.to_string()).arg(pause);
    let packages = root(machine).join("usr/lib/python3/dist-packages");
    Watcher::start(machine, python.env("PYTHONPATH", packages).env("SSL_CERT_FILE", "/run/web.pem"))
}

fn read(disk: &FailingDisk) {
    let mut dd = Command::new("dd");
    dd.arg(format!("if={}", disk.disk.path.display()));
    let _it_fails = cmd::output(dd.args(["of=/dev/null", "bs=4k", "count=1", "iflag=direct"]));
}

/// Each message that is JSON.
fn messages(client: &Watcher) -> Vec<Value> {
    client.text().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Revisions of events about a device, by id and number.
fn revisions(messages: &[Value], device: &str) -> Vec<(String, u64)> {
    let of = messages.iter().filter(|message| message["event"]["kdev"] == device);
    of.map(|m| (m["event"]["event_id"].to_string(), m["event"]["revision"].as_u64().unwrap_or(0))).collect()
}

fn back(machine: &Machine) -> Result<()> {
    let _journald = Journald::start()?;
    let mut daemon = Daemon::start(machine, "")?;
    let (one, two) = (FailingDisk::new(machine, 16)?, FailingDisk::new(machine, 16)?);
    let port = free_port()?;
    cmd::sh(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout /run/web.key -out /run/web.pem",
    )?;
    fs::write("/run/web.token", "secret-of-the-page\n").context("a token")?;
    let config = format!(
        "[web]\nlisten = '127.0.0.1:{port}'\ntokens = ['/run/web.token']\ncertificate = '/run/web.pem'\nkey = '/run/web.key'\n"
    );
    let notifier = Notifier::start(machine, &config)?;
    let url = format!("wss://localhost:{port}/stream");

    let refused = client(machine, &url, &json!({ "version": 1 }), "")?;
    refused.wait_for(&["error", "a token is wanted"])?;
    let all = json!({ "version": 1, "token": "secret-of-the-page" });
    let first = client(machine, &url, &all, "")?;
    first
        .wait_for(&["\"live\":true", "\"dropped\":0", "\"missed\":0", "\"cursor\":\"daemon:"])
        .with_context(|| format!("it says: {}", notifier.log()))?;
    one.fail()?;
    read(&one);
    let name = one.disk.name.clone();
    first.wait_for(&["\"event\":", &format!("\"kdev\":\"{name}\""), "\"dropped\":0,\"missed\":0"])?;
    first.wait_for(&["\"incident\":", &name])?;
    let wide = json!({ "version": 1, "token": "secret-of-the-page", "incidents": true,
        "filter": { "severity": "warning", "devices": [name] } });
    let page = client(machine, &url, &wide, "")?;
    page.wait_for(&["\"open\":true", "\"incident\":", &name])?;

    // The client goes, things happen, and the daemon with all that it held goes too.
    let seen = messages(&first);
    let cursor =
        seen.iter().rev().find_map(|m| m["cursor"].as_str().map(str::to_owned)).context("no cursor")?;
    drop(first);
    two.fail()?;
    read(&two);
    let of_two = cmd::wait_for("the events in the journal", Duration::from_secs(20), || {
        let mut events = prpt::events(machine, &["query", "-J"])?;
        events.retain(|event| event.kdev == two.disk.name);
        ensure!(events.iter().any(|event| event.is_final), "{} events", events.len());
        Ok(events)
    })?;
    daemon.signal(Signal::KILL)?;
    daemon.wait(Duration::from_secs(5))?;
    page.wait_for(&["\"disconnected\":true"])?;
    let _next = Daemon::start(machine, "")?;
    cmd::wait_for("the page to go on", Duration::from_secs(20), || {
        let live = messages(&page).iter().filter(|message| message["live"] == true).count();
        ensure!(live == 2, "live {live} times: {}", page.text());
        Ok(())
    })?;
    let again =
        client(machine, &url, &json!({ "version": 1, "token": "secret-of-the-page", "after": cursor }), "")?;
    again.wait_for(&["\"live\":true"])?;
    let got = messages(&again);
    for event in &of_two {
        let id = json!(event.event_id.to_string()).to_string();
        let found = revisions(&got, &two.disk.name).iter().any(|(is, _)| *is == id);
        ensure!(found, "{id} {} did not come: {}", event.event_type, again.text());
    }
    let revisions = revisions(&got, &two.disk.name);
    let different: BTreeSet<_> = revisions.iter().collect();
    ensure!(different.len() == revisions.len(), "something came twice: {revisions:?}");
    ensure!(got.iter().all(|message| message.get("gap").is_none()), "a gap: {}", again.text());
    let last = got.last().context("nothing came")?;
    ensure!(last["dropped"] == 0 && last["missed"] == 0, "{last}");
    Ok(())
}

fn slow(machine: &Machine) -> Result<()> {
    const INCIDENTS: u64 = 1500;
    let daemon = FakeDaemon::holding(1_000_000, 4 << 20)?;
    let port = free_port()?;
    let notifier = Notifier::start(machine, &format!("[web]\nlisten = '127.0.0.1:{port}'\n"))?;
    let url = format!("ws://127.0.0.1:{port}/stream");
    let all = json!({ "version": 1, "incidents": true });
    let sleeper = client(machine, &url, &all, "/run/web.go-on")?;
    let reader = client(machine, &url, &all, "")?;
    for one in [&sleeper, &reader] {
        one.wait_for(&["\"live\":true"]).with_context(|| format!("it says: {}", notifier.log()))?;
    }
    let mut title = incident(1, 0)?;
    for number in 0..INCIDENTS {
        title = incident(1000 + u128::from(number), 0)?;
        // More than sockets hold for who does not read.
        title.title = "x".repeat(20_000);
        daemon.say(&title)?;
        if number % 50 == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    reader.wait_for(&[&title.incident_id.to_string()])?;
    fs::write("/run/web.go-on", "").context("a file")?;
    for one in [&reader, &sleeper] {
        one.wait_for(&[&title.incident_id.to_string()])?;
    }
    let count = |client: &Watcher| {
        let all = messages(client);
        let came = all.iter().filter(|message| message["incident"].is_object()).count() as u64;
        let last = all.last().cloned().unwrap_or_default();
        (came, last["dropped"].as_u64().unwrap_or(0), last["missed"].as_u64().unwrap_or(0))
    };
    let (came, dropped, missed) = count(&sleeper);
    ensure!(dropped > 0, "it was not too slow: {came} came");
    ensure!(came + dropped == INCIDENTS && missed == 0, "{came} came, {dropped} dropped, {missed} missed");
    let (came, dropped, missed) = count(&reader);
    ensure!(came + dropped == INCIDENTS && missed == 0, "{came} came, {dropped} dropped, {missed} missed");
    Ok(())
}
