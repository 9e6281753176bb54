//! `--dev`: a nats-server of its own, which ends with the hub.

use std::{
    net::{TcpListener, TcpStream},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use super::config::Config;

/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where NATS listens by custom; another port if that is taken.
const PORT: u16 = 4222;

/// The server; killed at the end.
#[derive(Debug)]
pub(super) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _already_gone = self.0.kill();
        let _already_gone = self.0.wait();
    }
}

/// Starts it on the loopback address, and gives its address to the configuration.
pub(super) fn start(program: &Path, dir: &Path, config: &mut Config) -> anyhow::Result<Server> {
    let port =
        [PORT, 0].into_iter().find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()?.local_addr().ok());
    let port = port.context("no port is free on 127.0.0.1")?.port();
    let log = dir.join("nats-server.log");
    let child = Command::new(program)
        .args(["--jetstream", "--addr", "127.0.0.1", "--port", &port.to_string(), "--store_dir"])
        .arg(dir.join("nats"))
        .arg("--log")
        .arg(&log)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A signal of the terminal is the hub's alone.
        .process_group(0)
        .spawn()
        .with_context(|| {
            format!(
                "cannot start {}: install nats-server 2.10 or later, or name it with --nats-server",
                program.display()
            )
        })?;
    let mut server = Server(child);
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if let Some(status) = server.0.try_wait()? {
            bail!("nats-server ended with {status}; its log is {}", log.display());
        }
        if Instant::now() > until {
            bail!("nats-server does not listen on port {port}; its log is {}", log.display());
        }
        thread::sleep(Duration::from_millis(50));
    }
    let url = format!("nats://127.0.0.1:{port}");
    tracing::info!("nats-server listens at {url}: hosts have urls = [\"{url}\"]");
    config.servers.urls = vec![url];
    Ok(server)
}
