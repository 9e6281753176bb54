//! Programs that print what they see.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use crate::{cmd, machine::Machine};

/// A program whose lines go into a file; it ends with its scope.
pub struct Watcher {
    process: Child,
    lines: PathBuf,
}

impl Watcher {
    /// Starts it.
    pub fn start(machine: &Machine, command: &mut Command) -> Result<Self> {
        let lines = machine.dir("watcher")?.join("stdout");
        let out = File::create(&lines).context("creating a file")?;
        let errors = out.try_clone().context("a second descriptor")?;
        let process = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        Ok(Self { process, lines })
    }

    /// What it printed.
    pub fn text(&self) -> String {
        fs::read_to_string(&self.lines).unwrap_or_default()
    }

    /// Waits until one of its lines has all of these words.
    pub fn wait_for(&self, words: &[&str]) -> Result<()> {
        cmd::wait_for(&format!("{words:?}"), Duration::from_secs(20), || {
            let text = self.text();
            let found = text.split(['\n', '\u{1e}']).any(|line| words.iter().all(|word| line.contains(word)));
            ensure!(found, "there is: {text}");
            Ok(())
        })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _already_gone = self.process.kill();
        let _already_gone = self.process.wait();
    }
}
