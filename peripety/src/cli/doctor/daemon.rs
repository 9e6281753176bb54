//! The daemon.

use super::{
    Row,
    machine::{Daemon, Machine},
};

pub(super) fn running(machine: &Machine) -> Row {
    const CHECK: &str = "peripetyd";
    let socket = machine.roots.socket();
    match &machine.daemon {
        Daemon::Running { files, .. } if !files.is_empty() => {
            let found: Vec<_> = files.iter().map(|(file, why)| format!("{file}: {why}")).collect();
            Row::degraded(
                CHECK,
                format!("works without files in {} ({})", machine.roots.runtime.display(), found.join("; ")),
                "events that wait are lost if it is killed now",
                "make room there, or mount it writable; it is then used by itself",
            )
        }
        Daemon::Running { pid: Some(pid), .. } => Row::ok(CHECK, format!("runs, pid {pid}")),
        Daemon::Running { pid: None, .. } => Row::ok(CHECK, "runs"),
        Daemon::Absent => Row::missing(
            CHECK,
            "does not run",
            "nothing is watched",
            "systemctl start peripetyd, or: sudo peripetyd",
        ),
        Daemon::Forbidden => Row::degraded(
            CHECK,
            format!("{} may not be read by this user", socket.display()),
            "no prpt monitor",
            "use sudo, or join group systemd-journal",
        ),
        Daemon::Mute(why) => {
            Row::degraded(CHECK, "does not answer as it should", why, "systemctl restart peripetyd")
        }
    }
}
