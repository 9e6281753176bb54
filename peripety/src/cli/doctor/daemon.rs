//! The daemon.

use peripety_watch::message::Watching;

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

/// What the running daemon may not do: not to be seen from its unit alone.
pub(super) fn sandbox(machine: &Machine) -> Row {
    const CHECK: &str = "sandbox";
    let Daemon::Running { sandbox: Some(sandbox), .. } = &machine.daemon else {
        return Row::ok(CHECK, "peripetyd says when it runs what it may do");
    };
    let word = |key: &str| sandbox.get(key).and_then(serde_json::Value::as_str);
    if let Some(off) = word("off") {
        let lost = "a fault in it may do more harm";
        return Row::degraded(CHECK, format!("none ({off})"), lost, "start it without that");
    }
    let missing = sandbox.get("missing").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
    let missing: Vec<_> = missing.iter().filter_map(serde_json::Value::as_str).collect();
    let mut found = format!("capabilities: {}", word("capabilities").unwrap_or("?"));
    for (what, key) in [("writes only below", "files"), ("refused system calls:", "calls")] {
        if let Some(is) = word(key).filter(|is| !is.is_empty()) {
            found.push_str(&format!("; {what} {is}"));
        }
    }
    if missing.is_empty() {
        return Row::ok(CHECK, found);
    }
    found.push_str(&format!("; not had: {}", missing.join(", ")));
    // What the kernel does not have is no fault of this machine's set-up.
    Row::ok(CHECK, found)
}

/// The program that gets to know what takes CAP_SYS_ADMIN.
pub(super) fn watch(machine: &Machine) -> Row {
    const CHECK: &str = "watch";
    let Daemon::Running { watch: Some(watch), .. } = &machine.daemon else {
        return Row::ok(CHECK, "peripetyd says when it runs whether peripety-watch does");
    };
    let Some(watching) = serde_json::from_value::<Option<Watching>>(watch.clone()).ok().flatten() else {
        return Row::degraded(
            CHECK,
            "peripety-watch does not run",
            "which file failed is known only where the kernel's text or a probe names it",
            "systemctl enable --now peripety-watch",
        );
    };
    let Watching { pid, fanotify, health, maps, arrays, refused } = watching;
    let mut found = format!("pid {pid}; filesystems that report errors: {fanotify}");
    if health > 0 {
        found.push_str(&format!(", with a health monitor: {health}"));
    }
    if maps + arrays > 0 {
        found.push_str(&format!("; maps with a status: {maps}, arrays: {arrays}"));
    }
    if let Some(first) = refused.first() {
        let others =
            if refused.len() > 1 { format!(", and {} more", refused.len() - 1) } else { String::new() };
        found.push_str(&format!("; not {} ({}){others}", first.mount_point, first.why));
    }
    // What a kernel or a filesystem does not have is no fault of this machine's set-up.
    Row::ok(CHECK, found)
}
