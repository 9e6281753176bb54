//! peripety-watch under test.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{cmd, machine::Machine, prpt};

/// A running peripety-watch; killed at the end of its scope.
pub struct Watch {
    process: Child,
}

impl Watch {
    /// Starts it, and waits until the daemon knows of it.
    pub fn start(machine: &Machine) -> Result<Self> {
        let process = Command::new(machine.program("peripety-watch"))
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null())
            .spawn()
            .context("starting peripety-watch")?;
        let this = Self { process };
        cmd::wait_for("peripetyd to know of peripety-watch", Duration::from_secs(20), || {
            let watching = watching(machine)?;
            let pid = watching.get("pid").and_then(Value::as_u64);
            ensure!(pid == Some(this.process.id().into()), "it knows {watching}");
            Ok(())
        })?;
        Ok(this)
    }
}

/// What the daemon knows of it.
pub fn watching(machine: &Machine) -> Result<Value> {
    let probes = prpt::json(machine, &["probes", "--format", "Json"])?;
    Ok(probes.first().and_then(|all| all.get("watch")).cloned().unwrap_or_default())
}

/// How many filesystems report.
pub fn filesystems(machine: &Machine) -> Result<u64> {
    watching(machine)?.get("fanotify").and_then(Value::as_u64).context("nothing is watched")
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _already_gone = self.process.kill();
        let _already_gone = self.process.wait();
    }
}
