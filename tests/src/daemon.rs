//! The daemon under test.

use std::{
    env, fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::process::{Pid, Signal};

use crate::{cmd, machine::Machine};

/// A running peripetyd; killed at the end of its scope.
pub struct Daemon {
    process: Child,
    dir: PathBuf,
}

impl Daemon {
    /// Starts the daemon with this configuration, and waits until it says that it is ready.
    pub fn start(machine: &Machine, config: &str) -> Result<Self> {
        Self::start_with(machine, config, &[])
    }

    pub fn start_with(machine: &Machine, config: &str, args: &[&str]) -> Result<Self> {
        Ok(Self::start_watched(machine, config, args, None)?.0)
    }

    /// The same under a watchdog that wants a ping so often. With what it says to systemd from then on.
    pub fn start_watched(
        machine: &Machine,
        config: &str,
        args: &[&str],
        watchdog: Option<Duration>,
    ) -> Result<(Self, UnixDatagram)> {
        let dir = machine.dir("daemon")?;
        fs::write(dir.join("peripetyd.conf"), config).context("writing the configuration")?;
        let notify = UnixDatagram::bind(dir.join("notify")).context("binding the readiness socket")?;
        notify.set_nonblocking(true).context("readiness socket")?;
        let file = |name| fs::File::create(dir.join(name)).with_context(|| format!("creating {name}"));
        let process = Command::new(machine.program("peripetyd"))
            .arg("--config")
            .arg(dir.join("peripetyd.conf"))
            .arg("--stdout")
            .args(args)
            .env("NOTIFY_SOCKET", dir.join("notify"))
            .envs(watchdog.map(|allowed| ("WATCHDOG_USEC", allowed.as_micros().to_string())))
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null())
            .stdout(file("stdout")?)
            .stderr(file("log")?)
            .spawn()
            .context("starting peripetyd")?;
        let mut daemon = Self { process, dir };
        let ended = cmd::wait_for("peripetyd to be ready", Duration::from_secs(30), || {
            let mut said = [0; 4096];
            let said = notify
                .recv(&mut said)
                .map(|len| said.get(..len).unwrap_or_default().to_vec())
                .unwrap_or_default();
            let ready = said.split(|byte| *byte == b'\n').any(|line| line == b"READY=1");
            match daemon.process.try_wait()? {
                None if !ready => Err(anyhow!("not yet. {}", daemon.log_tail())),
                ended => Ok(ended),
            }
        })?;
        match ended {
            Some(status) => bail!("peripetyd ended with {status}. {}", daemon.log_tail()),
            None => Ok((daemon, notify)),
        }
    }

    /// What it logged.
    pub fn log(&self) -> String {
        read(&self.dir.join("log"))
    }

    /// What it printed: the events.
    pub fn stdout(&self) -> String {
        read(&self.dir.join("stdout"))
    }

    /// Writes a new configuration; SIGHUP makes the daemon read it.
    pub fn configure(&self, config: &str) -> Result<()> {
        fs::write(self.config(), config).context("writing the configuration")
    }

    pub fn config(&self) -> PathBuf {
        self.dir.join("peripetyd.conf")
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).context("a process id")?;
        rustix::process::kill_process(pid, signal).with_context(|| format!("sending {signal:?} to peripetyd"))
    }

    /// The most memory that it ever had, in MiB, without the files that it maps: the program itself.
    pub fn peak_mib(&self) -> Result<u64> {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.process.id())).context("its status")?;
        let kib = |name: &str| -> Result<u64> {
            let value = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
            Ok(value.with_context(|| format!("no {name}"))?.parse::<u64>()?)
        };
        Ok(kib("VmHWM:")?.saturating_sub(kib("RssFile:")?) / 1024)
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it has ended.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        cmd::wait_for("peripetyd to end", limit, || self.process.try_wait()?.context("it still runs"))
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        format!(
            "its log ends: {}",
            lines.get(lines.len().saturating_sub(8)..).unwrap_or_default().join(" | ")
        )
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // An interrupt: nothing is left for the daemon of the next test.
        let _already_gone = self.signal(Signal::INT);
        if self.wait(Duration::from_secs(5)).is_err() {
            let _already_gone = self.process.kill();
            let _already_gone = self.process.wait();
        }
        if let Some(keep) = env::var_os("PERIPETY_KEEP_LOGS") {
            let name = self.dir.file_name().map_or_else(|| "daemon".into(), ToOwned::to_owned);
            let dir = Path::new(&keep).join(name);
            let _best_effort = fs::create_dir_all(&dir);
            for file in ["log", "stdout"] {
                let _best_effort = fs::copy(self.dir.join(file), dir.join(file));
            }
        }
    }
}

fn read(file: &Path) -> String {
    fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
