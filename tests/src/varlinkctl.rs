//! varlinkctl of systemd, as `cargo xtask setup --test` unpacked it: the usual program to speak Varlink.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{
    cmd,
    machine::{Machine, Need},
};

const PROGRAM: &str = "../varlinkctl/usr/bin/varlinkctl";
pub const NEED: Need = Need::Receiver(PROGRAM);

/// It is of a newer release than the machine, and runs with that release's libraries.
pub fn command(machine: &Machine, args: &[&str]) -> Command {
    let program = machine.receivers().join(PROGRAM);
    let root = program.ancestors().nth(3).unwrap_or(Path::new("/")).to_owned();
    let libraries = root.join("usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH));
    let mut loader = Command::new(libraries.join("ld-linux-x86-64.so.2"));
    let path = format!("{0}:{0}/systemd", libraries.display());
    loader.args(["--library-path", &path]).arg(program).args(args);
    loader
}

/// Calls a method on a socket: what it answers, or the error.
pub fn call(machine: &Machine, socket: &str, method: &str, parameters: &Value) -> Result<Value> {
    let parameters = parameters.to_string();
    let text = cmd::run(&mut command(machine, &["--json=short", "call", socket, method, &parameters]))?;
    serde_json::from_str(&text).with_context(|| format!("varlinkctl printed {text}"))
}
