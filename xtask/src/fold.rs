//! Commands that print pages of progress: on a terminal one line that changes, elsewhere a line now and then.

use std::{
    collections::VecDeque,
    io::{self, BufRead as _, BufReader, IsTerminal as _, Write as _},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::sh;

/// How often something is printed where there is no terminal.
const EVERY: Duration = Duration::from_secs(30);
/// Lines that are shown when the command fails.
const LAST: usize = 40;
/// Columns of the line on a terminal.
const WIDTH: usize = 78;
/// How lines begin that are progress and nothing else, of cargo.
const PROGRESS: &[&str] = &[
    "Adding",
    "Blocking",
    "Building",
    "Checking",
    "Compiling",
    "Downloaded",
    "Downloading",
    "Finished",
    "Fresh",
    "Installed",
    "Installing",
    "Locking",
    "Replaced",
    "Replacing",
    "Updating",
    "Ignored",
];

/// Runs a command; what it prints is shown when it fails, and of cargo what is no progress.
///
/// # Errors
/// When it fails, with the end of what it printed.
pub fn run(command: &mut Command, what: &str) -> Result<()> {
    let is_cargo = command.get_program().to_string_lossy().ends_with("cargo");
    let (reader, writer) = io::pipe().context("making a pipe")?;
    command.stdin(Stdio::null()).stdout(writer.try_clone().context("sharing a pipe")?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("cannot run {}", sh::shown(command)))?;
    // The pipe ends when nobody can write to it any more.
    command.stdout(Stdio::null()).stderr(Stdio::null());

    let on_terminal = io::stderr().is_terminal();
    let (start, mut printed_at, mut steps) = (Instant::now(), Instant::now(), 0);
    let mut last = VecDeque::new();
    let mut kept = Vec::new();
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line.context("reading from a pipe")?).trim_end().to_owned();
        let first = line.split_whitespace().next().unwrap_or_default();
        if PROGRESS.contains(&first) || !is_cargo {
            steps += u32::from(first == "Compiling" || !is_cargo);
            if on_terminal {
                show(&format!("{what}: {}", line.trim()));
            } else if printed_at.elapsed() >= EVERY {
                eprintln!("{what}: {steps} steps in {} s, {}", start.elapsed().as_secs(), line.trim());
                printed_at = Instant::now();
            }
        } else {
            kept.push(line.clone());
        }
        if last.len() == LAST {
            last.pop_front();
        }
        last.push_back(line);
    }
    let status = child.wait().with_context(|| format!("waiting for {}", sh::shown(command)))?;
    if on_terminal {
        show("");
    }
    let lines: Vec<&str> = if kept.is_empty() {
        last.iter().map(String::as_str).collect()
    } else {
        kept.iter().map(String::as_str).collect()
    };
    if !status.success() {
        bail!("{} failed: {status}\n{}", sh::shown(command), lines.join("\n"));
    }
    for line in kept {
        eprintln!("{line}");
    }
    Ok(())
}

/// Writes a line in the place of the one before.
fn show(line: &str) {
    let line: String = line.chars().take(WIDTH).collect();
    let mut stderr = io::stderr().lock();
    let _nobody_reads = write!(stderr, "\r\u{1b}[K{line}").and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_what_a_command_printed_is_in_its_error() {
        let mut fails = Command::new("sh");
        fails.args(["-c", "for n in $(seq 100); do echo out $n; echo err $n >&2; done; exit 3"]);
        let error = run(&mut fails, "x").unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.ends_with("out 100\nerr 100"), "{error}");
        assert!(!error.contains("out 50\n"), "{error}");
        run(&mut Command::new("true"), "x").unwrap();
    }
}
