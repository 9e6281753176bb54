//! prpt as a user has it: its output, its exit status, its words.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use anyhow::{Context as _, Result, anyhow, bail};
use peripety::event::Event;
use serde_json::Value;

use crate::{cmd, machine::Machine};

/// How a run of prpt went.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs prpt to its end.
pub fn run(machine: &Machine, args: &[&str]) -> Result<Ran> {
    ran(command(machine).args(args))
}

/// Runs another program to its end.
pub fn ran(command: &mut Command) -> Result<Ran> {
    let output = cmd::output(command)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
}

/// The JSON that a run of prpt prints, one object after the other.
///
/// # Errors
/// When it fails (exit 2), or prints something else.
pub fn json(machine: &Machine, args: &[&str]) -> Result<Vec<Value>> {
    let ran = run(machine, args)?;
    if ran.code.is_none_or(|code| code > 1) {
        bail!("prpt {}: exit {:?}: {}", args.join(" "), ran.code, ran.stderr.trim());
    }
    let values = serde_json::Deserializer::from_str(&ran.stdout).into_iter();
    values
        .collect::<Result<_, _>>()
        .with_context(|| format!("prpt {} printed {}", args.join(" "), ran.stdout))
}

/// The events that a run of prpt prints.
pub fn events(machine: &Machine, args: &[&str]) -> Result<Vec<Event>> {
    json(machine, args)?
        .into_iter()
        .map(|value| serde_json::from_value(value).context("reading an event"))
        .collect()
}

/// `prpt monitor` in the background; ends with its scope.
pub struct Monitor {
    process: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Monitor {
    pub fn start(machine: &Machine) -> Result<Self> {
        let mut process = command(machine)
            .args(["monitor", "--format", "Json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting prpt monitor")?;
        let stdout = process.stdout.take().context("stdout of prpt monitor")?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Ok(mut lines) = sink.lock() {
                    lines.push(line);
                }
            }
        });
        // It says nothing until something happens.
        thread::sleep(std::time::Duration::from_millis(500));
        Ok(Self { process, lines })
    }

    /// What it printed so far.
    pub fn events(&self) -> Result<Vec<Event>> {
        let lines = self.lines.lock().map_err(|_poisoned| anyhow!("the reader panicked"))?;
        lines
            .iter()
            .map(|l| serde_json::from_str(l).with_context(|| format!("prpt monitor printed {l}")))
            .collect()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _already_gone = self.process.kill();
        let _already_gone = self.process.wait();
    }
}

pub fn command(machine: &Machine) -> Command {
    let mut command = Command::new(machine.program("prpt"));
    command.env_remove("RUST_BACKTRACE").env("NO_COLOR", "1");
    command
}
