//! Metrics: exact counts of a storm, a real Prometheus that scrapes them, alerts that fire, and a dashboard that shows data.

#![expect(clippy::indexing_slicing, reason = "a value that is not in JSON is null, and fails the check")]

use std::{
    fs,
    net::TcpStream,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    cases::Case,
    cmd,
    daemon::Daemon,
    fault::FailingDisk,
    fio,
    machine::{Machine, Need},
    notify::{
        notifier::Notifier,
        servers::{Server, command, free_port, mount_share, wait_for_port},
    },
};

const REQUESTS: u64 = 20_000;

pub const STORM: Case = Case {
    name: "notify_metrics_of_a_storm_are_exact_fire_alerts_fill_the_dashboard_and_never_fall",
    needs: &[
        Need::Bpf,
        Need::Loop,
        Need::Filesystem("xfs"),
        Need::Program("fio"),
        Need::Receiver("usr/bin/prometheus"),
    ],
    run: storm,
};

/// What is shipped.
fn dist(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist").join(name)
}

fn get(mut stream: impl std::io::Read + std::io::Write, path: &str, accept: &str) -> Result<String> {
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no answer")?;
    ensure!(head.contains(" 200 "), "{head} {body}");
    Ok(body.to_owned())
}

fn prometheus(port: u16, path: &str) -> Result<Value> {
    let body = get(TcpStream::connect(("127.0.0.1", port))?, path, "*/*")?;
    Ok(serde_json::from_str(&body)?)
}

/// What an expression gives now.
fn query(port: u16, expression: &str) -> Result<Vec<Value>> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric();
    let encoded: String = expression
        .bytes()
        .map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect();
    let answer =
        prometheus(port, &format!("/api/v1/query?query={encoded}")).with_context(|| expression.to_owned())?;
    Ok(answer["data"]["result"].as_array().cloned().unwrap_or_default())
}

/// The value of a sample of the disk.
fn count(text: &str, disk: &str) -> Result<u64> {
    // Another disk of that name may have failed before: the one that is there has the row of information.
    let info = format!("peripety_disk_info{{device=\"{disk}\",wwid=\"");
    let known = text.lines().find_map(|line| line.strip_prefix(&info)?.split('"').next());
    let wwid = known.with_context(|| format!("no {info}"))?;
    let start = format!("peripety_disk_failures_total{{device=\"{disk}\",wwid=\"{wwid}\"");
    let line = text.lines().find(|line| line.starts_with(&start)).with_context(|| format!("no {start}"))?;
    Ok(line.rsplit(' ').next().context("a value")?.parse()?)
}

fn storm(machine: &Machine) -> Result<()> {
    let dir = machine.dir("metrics")?;
    let mut daemon = Daemon::start(machine, "")?;
    let failing = FailingDisk::new(machine, 256)?;
    let disk = failing.disk.name.as_str();
    let (port, scrape) = (free_port()?, free_port()?);
    let (socket, textfile) = (dir.join("metrics.sock"), dir.join("peripety.prom"));
    let config = |listen: &str| {
        format!(
            "[metrics]\nlisten = '{listen}'\ntextfile = '{}'\ninterval = '1s'\n[[notify]]\nname = 'out'\n[notify.stdout]\n",
            textfile.display()
        )
    };
    let _notifier = Notifier::start(machine, &config(&format!("127.0.0.1:{scrape}")))?;
    let _other = Notifier::start(machine, &config(&socket.display().to_string()))?;
    let open = || get(TcpStream::connect(("127.0.0.1", scrape))?, "/metrics", "application/openmetrics-text");
    let text = open()?;
    ensure!(count(&text, disk)? == 0 && text.ends_with("# EOF\n"), "{text}");
    ensure!(text.contains(&format!("peripety_disk_info{{device=\"{disk}\",")), "{text}");

    fs::copy(dist("prometheus/peripety.rules.yml"), dir.join("peripety.rules.yml"))?;
    let yml = format!(
        "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files: [peripety.rules.yml]\nscrape_configs:\n- job_name: peripety\n  static_configs:\n  - targets: ['127.0.0.1:{scrape}']\n"
    );
    fs::write(dir.join("prometheus.yml"), yml)?;
    for args in [["check", "rules", "peripety.rules.yml"], ["check", "config", "prometheus.yml"]] {
        cmd::run(command(machine, "usr/bin/promtool").args(args).current_dir(&dir))?;
    }
    let mut tests = command(machine, "usr/bin/promtool");
    let verdict =
        cmd::run(tests.args(["test", "rules", "peripety.rules.test.yml"]).current_dir(dist("prometheus")))?;
    ensure!(verdict.contains("SUCCESS"), "{verdict}");
    mount_share(machine)?;
    let mut program = command(machine, "usr/bin/prometheus");
    program.arg(format!("--config.file={}", dir.join("prometheus.yml").display()));
    program.arg(format!("--storage.tsdb.path={}", dir.join("data").display()));
    program.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let log = dir.join("log");
    let _server = Server::spawn(&mut program, &log)?;
    wait_for_port(port, &log)?;
    cmd::wait_for("a scrape", Duration::from_secs(20), || {
        ensure!(
            !query(port, &format!("peripety_disk_failures_total{{device=\"{disk}\"}}"))?.is_empty(),
            "none"
        );
        Ok(())
    })?;

    failing.fail()?;
    let failed = fio::failed_requests(&failing.disk, "randread", REQUESTS)?;
    let text = cmd::wait_for("the count of the storm", Duration::from_secs(30), || {
        let text = open()?;
        let counted = count(&text, disk)?;
        // udev and others may have read it, too.
        ensure!((failed..failed + 16).contains(&counted), "{failed} requests failed, {counted} are counted");
        Ok(text)
    })?;
    let counted = count(&text, disk)?;
    let rows = text.lines().filter(|l| l.starts_with(&format!("peripety_failures_total{{device=\"{disk}\"")));
    eprintln!("{failed} requests failed, {counted} are counted; {}", rows.collect::<Vec<_>>().join(" "));
    let alerts = cmd::wait_for("alerts to fire", Duration::from_secs(30), || {
        let answer = prometheus(port, "/api/v1/alerts")?;
        let all = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
        let firing = all.iter().filter(|alert| alert["state"] == "firing");
        let names: Vec<String> =
            firing.map(|a| format!("{} {}", a["labels"]["alertname"], a["labels"]["device"])).collect();
        for wanted in ["StorageDiskFails", "StorageDiskFailsOften"] {
            let name = format!("\"{wanted}\" \"{disk}\"");
            ensure!(names.contains(&name), "no {name}: {names:?}");
        }
        Ok(names)
    })?;
    eprintln!("firing: {}", alerts.join(", "));

    // Each expression of the dashboard has data.
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(dist("grafana/peripety.json"))?)?;
    let panels = dashboard["panels"].as_array().context("panels")?;
    let mut expressions = 0;
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten()) {
        let expression = target["expr"].as_str().context("an expression")?;
        let expression = expression.replace("$instance", ".*").replace("$__rate_interval", "1m");
        ensure!(!expression.contains('$'), "{expression}");
        let data = query(port, &expression)?;
        ensure!(!data.is_empty(), "no data: {expression}");
        expressions += 1;
    }
    eprintln!("{expressions} expressions of the dashboard have data");

    // It never falls, and nothing is counted again.
    daemon.signal(Signal::KILL)?;
    daemon.wait(Duration::from_secs(5))?;
    ensure!(open()?.contains("peripety_up 0\n"), "the daemon is dead");
    let _successor = Daemon::start(machine, "")?;
    let after = cmd::wait_for("the successor's count", Duration::from_secs(20), || count(&open()?, disk))?;
    // A daemon looks at superblocks when it starts; reads of these fail, too.
    ensure!((counted..counted + 16).contains(&after), "{counted} before, {after} after a kill");
    let classic = get(UnixStream::connect(&socket)?, "/metrics", "text/plain")?;
    ensure!(count(&classic, disk)? >= after, "over the Unix socket");
    cmd::wait_for("the file for node_exporter", Duration::from_secs(10), || {
        let counted_there = count(&fs::read_to_string(&textfile)?, disk)?;
        if counted_there >= after { Ok(()) } else { bail!("{counted_there}") }
    })?;
    let mut promtool = command(machine, "usr/bin/promtool");
    promtool.args(["check", "metrics"]).stdin(fs::File::open(&textfile)?);
    let checked = promtool.output().context("promtool")?;
    ensure!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    Ok(())
}
