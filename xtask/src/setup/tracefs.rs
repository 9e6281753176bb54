//! Tracepoints are described in tracefs, which a container or a minimal system may not have mounted.

use std::path::Path;

use crate::sh;

/// Mounts tracefs where nobody did. Peripety can do with less, so a failure is only printed.
pub fn ensure() {
    const DIR: &str = "/sys/kernel/tracing";
    let mounted = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let has_tracefs = mounted.lines().any(|line| line.split(' ').nth(2) == Some("tracefs"));
    if has_tracefs || !Path::new(DIR).exists() || !sh::can_be_root() {
        return;
    }
    let mut mount = sh::as_root("mount");
    mount.args(["-t", "tracefs", "tracefs", DIR]);
    eprintln!("setup: tracefs is not mounted; running {}", sh::shown(&mount));
    if let Err(error) = sh::run(&mut mount) {
        eprintln!("setup: {error:#}; going on without");
    }
}
