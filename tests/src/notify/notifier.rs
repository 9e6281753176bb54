//! The program under test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;

use crate::{cmd, machine::Machine};

/// A running `peripety-notify`; killed at the end of its scope.
pub struct Notifier {
    program: PathBuf,
    dir: PathBuf,
    process: Child,
}

impl Notifier {
    /// Starts it with this configuration, and waits until it answers.
    pub fn start(machine: &Machine, config: &str) -> Result<Self> {
        let dir = machine.dir("notify")?;
        fs::write(dir.join("conf"), config).context("writing the configuration")?;
        let program = machine.program("peripety-notify");
        let process = spawn(&program, &dir)?;
        let this = Self { program, dir, process };
        this.wait_until_it_answers()?;
        Ok(this)
    }

    fn wait_until_it_answers(&self) -> Result<()> {
        let socket = self.dir.join("run/notify.sock");
        cmd::wait_for("peripety-notify to listen", Duration::from_secs(20), || {
            std::os::unix::net::UnixStream::connect(&socket)
                .map(drop)
                .map_err(|error| anyhow!("{error}; it says: {}", self.log()))
        })
    }

    /// Kills it as it is, and starts it anew.
    pub fn kill_and_start(&mut self) -> Result<()> {
        self.kill()?;
        self.start_again()
    }

    /// Kills it as it is.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill().context("killing peripety-notify")?;
        self.process.wait().context("killing peripety-notify")?;
        Ok(())
    }

    /// Starts it anew.
    pub fn start_again(&mut self) -> Result<()> {
        self.process = spawn(&self.program, &self.dir)?;
        self.wait_until_it_answers()
    }

    /// Gives it another configuration, to be read by SIGHUP.
    pub fn reload(&self, config: &str) -> Result<()> {
        fs::write(self.dir.join("conf"), config).context("writing the configuration")?;
        cmd::run(Command::new("kill").args(["-HUP", &self.pid().to_string()])).map(drop)
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// What it printed.
    pub fn stdout(&self) -> String {
        fs::read_to_string(self.dir.join("stdout")).unwrap_or_default()
    }

    /// Its Varlink socket.
    pub fn varlink(&self) -> String {
        self.dir.join("run/io.peripety.Notify").display().to_string()
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Runs `prpt notify` against it: how it ended, and what it printed.
    pub fn prpt(&self, machine: &Machine, args: &[&str]) -> Result<(i32, String)> {
        let mut prpt = Command::new(machine.program("prpt"));
        let output =
            cmd::output(prpt.arg("notify").args(args).env("PERIPETY_NOTIFY_DIR", self.dir.join("run")))?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok((output.status.code().unwrap_or(-1), text))
    }

    /// How one receiver is.
    pub fn health(&self, machine: &Machine, name: &str) -> Result<Value> {
        let (_, text) = self.prpt(machine, &["list", name, "-J"])?;
        let all: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
        all.get(0).cloned().context("no such receiver")
    }

    /// Waits until nothing waits for a receiver any more, and gives how it is.
    pub fn wait_until_sent(
        &self,
        machine: &Machine,
        name: &str,
        count: u64,
        limit: Duration,
    ) -> Result<Value> {
        cmd::wait_for("messages to go out", limit, || {
            let health = self.health(machine, name)?;
            let number = |key: &str| health.get(key).and_then(Value::as_u64).unwrap_or(0);
            if number("waiting") > 0 || number("delivered") < count {
                bail!("{health}; it says: {}", self.log());
            }
            Ok(health)
        })
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        let _already_gone = self.kill();
    }
}

fn spawn(program: &Path, dir: &Path) -> Result<Child> {
    let file = |name: &str| {
        fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(dir.join(name))
            .with_context(|| format!("opening {name}"))
    };
    Command::new(program)
        .arg("--config")
        .arg(dir.join("conf"))
        .arg("--own-runtime-dir")
        .arg(dir.join("run"))
        .arg("--state-dir")
        .arg(dir.join("state"))
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .stdout(file("stdout")?)
        .stderr(file("log")?)
        .spawn()
        .context("starting peripety-notify")
}
