//! How the programs beside the daemon begin.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Command;
use clap_complete::Shell;
use tracing_subscriber::EnvFilter;

/// Writes the completions of a shell to standard output.
///
/// # Errors
/// It cannot be written to.
pub(crate) fn completions(shell: Shell, mut command: Command, name: &str) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    io::stdout().lock().write_all(&script)
}

/// The same as a whole program: 2 where it cannot be written.
pub fn only_completions(shell: Shell, command: Command, name: &str) -> ExitCode {
    if completions(shell, command, name).is_ok() { ExitCode::SUCCESS } else { ExitCode::from(2) }
}

/// Logs to standard error, which is the journal under systemd: that adds time and program. RUST_LOG says otherwise than `default`.
pub fn log_to_stderr(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_not_set| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_target(false)
        .without_time()
        .with_ansi(false)
        .init();
}
