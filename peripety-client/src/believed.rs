//! Who wrote an entry of the journal: this machine's daemon, another machine's, or somebody else (promise 7).
//!
//! Only fields that journald itself adds count, those with an underscore: no client can set them.

use std::path::{Path, PathBuf};

/// The fields of an entry of the journal.
pub trait Fields {
    /// The value of a field, where it is there and is text.
    fn get(&self, name: &str) -> Option<&str>;

    /// The host that the file is named after, where systemd-journal-remote wrote it.
    fn remote(&self) -> Option<&str> {
        None
    }
}

/// The fields that [`Judge::of`] looks at. A reader gives all of them: without one it may believe somebody else.
pub const PROOF: [&str; 8] = [
    "_UID",
    "_TRANSPORT",
    "_EXE",
    "_SYSTEMD_UNIT",
    "_SYSTEMD_SLICE",
    "_SYSTEMD_CGROUP",
    "_MACHINE_ID",
    "_HOSTNAME",
];

/// The unit that the daemon runs as.
const UNIT: &str = "peripetyd.service";
/// The daemon's name.
const DAEMON: &str = "peripetyd";
/// What the control groups of containers are called by what runs them: root in there may be anybody.
const CONTAINERS: [&str; 9] =
    ["machine.slice", "machine-", "nspawn", "docker", "libpod", "crio", "containerd", "kubepods", "lxc"];

/// A machine that is not this one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Foreign {
    /// Its name, as its journald says.
    hostname: String,
    /// Its id.
    machine: String,
}

impl Foreign {
    /// Its name; its id where it has none.
    pub fn host(&self) -> &str {
        if self.hostname.is_empty() { &self.machine } else { &self.hostname }
    }
}

impl std::fmt::Display for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.hostname.as_str(), self.machine.as_str()) {
            (host, "") => write!(f, "{host}"),
            ("", machine) => write!(f, "machine id {machine}"),
            (host, machine) => write!(f, "{host}, machine id {machine}"),
        }
    }
}

/// What an entry is taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Believed {
    /// This machine's daemon wrote it.
    Own,
    /// Another machine's daemon wrote it.
    Foreign(Foreign),
    /// Somebody else did.
    No,
    /// journald's own fields are not there: the entry is damaged.
    Unknown,
}

/// Knows this machine.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    machine: Option<String>,
    daemons: Vec<PathBuf>,
    /// This process is in a container itself, and so is the journald that it reads the files of.
    contained: bool,
}

impl Judge {
    /// One that knows this machine's id, where peripetyd is installed, and the control group of this process (the content of
    /// `/proc/self/cgroup`).
    pub fn new(machine: Option<String>, daemons: Vec<PathBuf>, control_group: &str) -> Self {
        Self { machine, daemons, contained: is_of_container(control_group) }
    }

    /// Who wrote an entry.
    pub fn of(&self, entry: &dyn Fields) -> Believed {
        let (Some(uid), Some(transport)) = (entry.get("_UID"), entry.get("_TRANSPORT")) else {
            return Believed::Unknown;
        };
        if uid != "0" || transport != "journal" {
            return Believed::No;
        }
        let foreign = self.foreign(entry);
        if !self.is_daemon(entry, foreign.is_some()) {
            return Believed::No;
        }
        foreign.map_or(Believed::Own, Believed::Foreign)
    }

    fn foreign(&self, entry: &dyn Fields) -> Option<Foreign> {
        let id = entry.get("_MACHINE_ID").unwrap_or_default();
        let other = self.machine.as_ref().is_some_and(|own| !id.is_empty() && !own.eq_ignore_ascii_case(id));
        let name = entry.get("_HOSTNAME");
        // The other host may write into its journal what it likes; the name of the file is this one's.
        match entry.remote() {
            Some(remote) => Some(Foreign { hostname: remote.to_owned(), machine: id.to_owned() }),
            None if other => {
                Some(Foreign { hostname: name.unwrap_or_default().to_owned(), machine: id.to_owned() })
            }
            None => None,
        }
    }

    /// By its unit; by where it is installed, if it was started by hand.
    fn is_daemon(&self, entry: &dyn Fields, foreign: bool) -> bool {
        let unit = entry.get("_SYSTEMD_UNIT").unwrap_or_default();
        let exe = entry.get("_EXE").unwrap_or_default();
        let exe = Path::new(exe.strip_suffix(" (deleted)").unwrap_or(exe));
        if unit == UNIT {
            // A helper of the unit that is no peripetyd, such as ExecStartPre, says nothing.
            return exe.file_name().is_some_and(|name| name == DAEMON);
        }
        let groups = ["_SYSTEMD_UNIT", "_SYSTEMD_SLICE", "_SYSTEMD_CGROUP"];
        let contained = groups.iter().any(|name| entry.get(name).is_some_and(is_of_container));
        self.daemons.iter().any(|daemon| exe == daemon) && (!contained || self.contained || foreign)
    }
}

fn is_of_container(group: &str) -> bool {
    CONTAINERS.iter().any(|words| group.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "00112233445566778899aabbccddeeff";
    const OTHER: &str = "ffeeddccbbaa99887766554433221100";

    fn judge() -> Judge {
        Judge {
            machine: Some(OWN.to_owned()),
            daemons: vec!["/usr/sbin/peripetyd".into(), "/home/dev/target/debug/peripetyd".into()],
            contained: false,
        }
    }

    #[derive(Default)]
    struct Entry {
        fields: std::collections::BTreeMap<String, String>,
        remote: Option<String>,
    }

    impl Fields for Entry {
        fn get(&self, name: &str) -> Option<&str> {
            self.fields.get(name).map(String::as_str)
        }

        fn remote(&self) -> Option<&str> {
            self.remote.as_deref()
        }
    }

    fn entry(fields: &[(&str, &str)]) -> Entry {
        let mut entry = Entry::default();
        for (name, value) in
            [("_UID", "0"), ("_TRANSPORT", "journal"), ("_MACHINE_ID", OWN), ("_HOSTNAME", "here")]
                .iter()
                .chain(fields)
        {
            if value.is_empty() {
                entry.fields.remove(*name);
            } else {
                entry.fields.insert((*name).to_owned(), (*value).to_owned());
            }
        }
        entry
    }

    #[test]
    fn only_the_daemon_is_believed() {
        let exe = ("_EXE", "/usr/sbin/peripetyd");
        let unit = ("_SYSTEMD_UNIT", UNIT);
        for fields in [
            &[exe][..],
            &[exe, unit],
            &[("_EXE", "/usr/sbin/peripetyd (deleted)"), unit],
            &[("_EXE", "/opt/peripety/peripetyd"), unit],
            &[("_EXE", "/home/dev/target/debug/peripetyd"), ("_SYSTEMD_UNIT", "session-3.scope")],
            &[exe, ("_SYSTEMD_UNIT", "user@0.service"), ("_SYSTEMD_SLICE", "user-0.slice")],
        ] {
            assert_eq!(judge().of(&entry(fields)), Believed::Own, "{fields:?}");
        }
        for fields in [
            &[("_UID", "1000"), exe][..],
            &[("_UID", "00"), exe],
            &[("_UID", "1000"), exe, unit],
            // Root, and a program of that name that is not installed.
            &[("_EXE", "/tmp/peripetyd")],
            &[("_EXE", "/tmp/peripetyd"), ("_SYSTEMD_UNIT", "session-3.scope")],
            &[("_EXE", "/usr/sbin/../../tmp/peripetyd")],
            &[("_EXE", "/usr/bin/logger"), unit],
            &[("_EXE", "/usr/sbin/peripetyd/logger")],
            &[("_EXE", "/usr/sbin/notperipetyd")],
            &[],
            &[("_EXE", "/usr/sbin/peripetyd"), ("_TRANSPORT", "syslog")],
            &[("_EXE", "/usr/sbin/peripetyd"), ("_TRANSPORT", "stdout"), unit],
            // Root of a container that writes to this machine's journald.
            &[exe, ("_SYSTEMD_UNIT", "docker-0123.scope"), ("_SYSTEMD_SLICE", "system.slice")],
            &[exe, ("_SYSTEMD_UNIT", "systemd-nspawn@web.service"), ("_SYSTEMD_SLICE", "machine.slice")],
            &[exe, ("_SYSTEMD_CGROUP", "/kubepods/besteffort/pod1/2")],
            &[exe, ("_SYSTEMD_UNIT", "peripetyd.service.scope"), ("_SYSTEMD_SLICE", "machine.slice")],
        ] {
            assert_eq!(judge().of(&entry(fields)), Believed::No, "{fields:?}");
        }
        for missing in ["_UID", "_TRANSPORT"] {
            assert_eq!(judge().of(&entry(&[exe, unit, (missing, "")])), Believed::Unknown, "{missing}");
        }
    }

    #[test]
    fn another_machine_is_named() {
        let fields = [("_EXE", "/usr/sbin/peripetyd"), ("_MACHINE_ID", OTHER), ("_HOSTNAME", "web1")];
        let Believed::Foreign(web) = judge().of(&entry(&fields)) else { panic!("not foreign") };
        assert_eq!((web.host(), web.to_string()), ("web1", format!("web1, machine id {OTHER}")));
        // A container's own journald, on the same kernel.
        let container = entry(&[&fields[..], &[("_SYSTEMD_UNIT", UNIT)]].concat());
        assert!(matches!(judge().of(&container), Believed::Foreign(_)));
        let forged = entry(&[&fields[..], &[("_EXE", "/tmp/peripetyd")]].concat());
        assert_eq!(judge().of(&forged), Believed::No);
        // What came over the network may call itself what it likes.
        let mut remote = entry(&[("_EXE", "/usr/sbin/peripetyd")]);
        remote.remote = Some("10.0.0.7".to_owned());
        let Believed::Foreign(remote) = judge().of(&remote) else { panic!("not foreign") };
        assert_eq!(remote.host(), "10.0.0.7");
    }
}
