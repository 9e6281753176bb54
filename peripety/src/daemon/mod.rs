//! The daemon: wiring, configuration, reload, health.

pub mod config;

use std::process::ExitCode;

/// Runs `peripetyd` with the arguments of the process.
pub fn main() -> ExitCode {
    ExitCode::from(2)
}
