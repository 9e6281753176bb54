//! Running other programs, and waiting for things to happen.

use std::{
    env,
    path::PathBuf,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};

/// Whether a program is there: in PATH, or where only root looks.
pub fn exists(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut dirs = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    dirs.any(|dir| dir.join(program).is_file())
}

/// Runs a command to its end and gives what it printed on stdout.
///
/// # Errors
/// With what it printed on stderr, when it fails.
pub fn run(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } = output(command)?;
    if !status.success() {
        bail!("{command:?}: {status}: {}", String::from_utf8_lossy(&stderr).trim());
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

/// Runs a command to its end, however it ends.
pub fn output(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))
}

/// A command line without anything to quote.
pub fn sh(words: &str) -> Result<String> {
    let mut words = words.split_whitespace();
    run(Command::new(words.next().context("an empty command")?).args(words))
}

/// Asks again and again until there is an answer.
///
/// # Errors
/// With what was waited for and the last "not yet", after `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(not_yet) if start.elapsed() > limit => {
                return Err(anyhow!("waited {} s for {what}: {not_yet:#}", limit.as_secs()));
            }
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}
