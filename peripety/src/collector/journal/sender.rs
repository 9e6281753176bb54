//! Who speaks, by fields that only journald can set.

use std::path::Path;

/// The units of daemons that are not called as the daemon is.
const UNITS: &[(&str, &[&str])] = &[
    ("dmeventd", &["dm-event.service"]),
    ("mdadm", &["mdmonitor.service", "mdmonitor-oneshot.service", "mdadm.service"]),
    ("smartd", &["smartd.service", "smartmontools.service"]),
    ("iscsid", &["iscsid.service", "open-iscsi.service"]),
    // The manager of the system itself.
    ("systemd", &["init.scope"]),
];

/// Executables under which a line of a unit may still be known: a service is such a one until it starts its own.
const STARTERS: [&str; 2] = ["systemd", "systemd-executor"];

/// Characters of a process's name that the kernel keeps.
const COMM_MAX: usize = 15;

/// A program whose lines are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Speaker {
    /// Its name, which is that of its executable.
    pub name: String,
    /// Its name as the kernel keeps it.
    pub comm: String,
    /// The units that it runs as.
    pub units: Vec<String>,
}

/// What journald says of the sender of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    /// `_UID`.
    pub uid: Option<String>,
    /// `_TRANSPORT`.
    pub transport: Option<String>,
    /// `_EXE`.
    pub exe: Option<String>,
    /// `_SYSTEMD_UNIT`.
    pub unit: Option<String>,
}

impl Speaker {
    /// A program by its name.
    pub(crate) fn new(name: &str) -> Self {
        let known = UNITS.iter().find(|row| row.0 == name).map_or(&[][..], |row| row.1);
        let mut units = vec![format!("{name}.service")];
        units.extend(
            known.iter().map(|unit| (*unit).to_owned()).filter(|unit| *unit != format!("{name}.service")),
        );
        Self { name: name.to_owned(), comm: name.chars().take(COMM_MAX).collect(), units }
    }

    /// Whether an entry is this program's: root's, and of an executable of this name; of one of its units, where journald
    /// came too late to see the executable.
    pub(crate) fn said(&self, fields: &Fields) -> bool {
        let transport = matches!(fields.transport.as_deref(), Some("syslog" | "journal" | "stdout"));
        if fields.uid.as_deref() != Some("0") || !transport {
            return false;
        }
        let exe = fields.exe.as_deref().filter(|exe| !exe.is_empty());
        let exe = exe.map(|exe| exe.strip_suffix(" (deleted)").unwrap_or(exe));
        let program = exe.map(|exe| Path::new(exe).file_name().unwrap_or_default());
        match program {
            Some(program) if STARTERS.iter().all(|starter| program != *starter) => {
                program == self.name.as_str()
            }
            _ => fields.unit.as_ref().is_some_and(|unit| self.units.contains(unit)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(uid: &str, transport: &str, exe: &str, unit: &str) -> Fields {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Fields { uid: given(uid), transport: given(transport), exe: given(exe), unit: given(unit) }
    }

    #[test]
    fn a_daemon_is_known_by_what_journald_says() {
        let multipathd = Speaker::new("multipathd");
        for (uid, transport, exe, unit) in [
            ("0", "stdout", "/usr/sbin/multipathd", "multipathd.service"),
            ("0", "syslog", "/sbin/multipathd", ""),
            ("0", "syslog", "/sbin/multipathd (deleted)", "multipathd.service"),
            ("0", "stdout", "", "multipathd.service"),
            ("0", "stdout", "/usr/lib/systemd/systemd-executor", "multipathd.service"),
        ] {
            assert!(multipathd.said(&fields(uid, transport, exe, unit)), "{uid} {transport} {exe} {unit}");
        }
        for (uid, transport, exe, unit) in [
            ("1000", "syslog", "/home/eve/multipathd", "user@1000.service"),
            ("1000", "syslog", "/usr/sbin/multipathd", "multipathd.service"),
            ("", "syslog", "/usr/sbin/multipathd", "multipathd.service"),
            ("0", "syslog", "/usr/bin/logger", "session-3.scope"),
            ("0", "syslog", "/usr/bin/logger", "multipathd.service"),
            ("0", "syslog", "", ""),
            ("0", "syslog", "/usr/sbin/multipathd/logger", ""),
            ("0", "syslog", "/usr/lib/systemd/systemd", "session-3.scope"),
            ("0", "kernel", "/usr/sbin/multipathd", "multipathd.service"),
            ("0", "", "/usr/sbin/multipathd", "multipathd.service"),
            ("0", "driver", "/usr/sbin/multipathd", "multipathd.service"),
        ] {
            assert!(!multipathd.said(&fields(uid, transport, exe, unit)), "{uid} {transport} {exe} {unit}");
        }
        assert!(Speaker::new("dmeventd").said(&fields("0", "stdout", "", "dm-event.service")));
        assert_eq!(Speaker::new("a-daemon-with-a-long-name").comm, "a-daemon-with-a");
    }
}
