//! Where the system's interfaces are: every one of them can be moved, for tests, for a sosreport, for a container.

use std::path::{Path, PathBuf};

use crate::{block, files::Files};

/// Name of the daemon's socket in its directory.
pub(crate) const SOCKET: &str = "peripety.sock";
/// Name of its socket for Varlink.
pub(crate) const VARLINK: &str = "io.peripety";

/// The places peripety reads from and writes to.
#[derive(Clone, Debug)]
pub struct Roots {
    /// sysfs: `/sys`.
    pub sysfs: PathBuf,
    /// procfs: `/proc`.
    pub procfs: PathBuf,
    /// Device nodes: `/dev`.
    pub dev: PathBuf,
    /// Volatile state of other programs: `/run` (udev's database is `/run/udev/data`).
    pub run: PathBuf,
    /// Our own volatile directory with the daemon's socket: `/run/peripety`.
    pub runtime: PathBuf,
    /// Our own lasting directory: `/var/lib/peripety`.
    pub state: PathBuf,
    /// Configuration: `/etc/peripetyd.conf`; `peripetyd.conf.d` lies beside it.
    pub config: PathBuf,
    /// Configuration of the system: `/etc`.
    pub etc: PathBuf,
    /// What the distribution ships: `/usr`.
    pub usr: PathBuf,
    /// Logs that outlive a boot: `/var/log`.
    pub log: PathBuf,
    /// Directory of journal files to read instead of the system's own.
    pub journal: Option<PathBuf>,
    /// Program that reads the journal in a process of its own (`--read-journal`). Without one this process reads it itself,
    /// and dies with it.
    pub journal_reader: Option<PathBuf>,
    /// Where peripetyd is installed: what these executables write into the journal is believed.
    pub daemons: Vec<PathBuf>,
    /// Where sysfs, procfs and udev's database are read.
    pub files: Files,
}

/// Directories where peripetyd may be installed.
const SYSTEM_DIRS: [&str; 6] =
    ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/sbin", "/bin"];
/// The daemon's name.
const DAEMON: &str = "peripetyd";

impl Roots {
    /// The running system.
    pub fn system() -> Self {
        Self::under(Path::new("/"))
    }

    /// A tree that looks like `/` below `root`.
    pub fn under(root: &Path) -> Self {
        let block::Roots { sysfs, procfs, dev, run, files } = block::Roots::under(root);
        Self {
            sysfs,
            procfs,
            dev,
            run,
            runtime: root.join("run/peripety"),
            state: root.join("var/lib/peripety"),
            config: root.join("etc/peripetyd.conf"),
            etc: root.join("etc"),
            usr: root.join("usr"),
            log: root.join("var/log"),
            journal: None,
            journal_reader: None,
            daemons: SYSTEM_DIRS.iter().map(|dir| Path::new(dir).join(DAEMON)).collect(),
            files,
        }
    }

    /// The same, for a program of peripety: it has a process read the journal, and believes the daemon that lies beside it,
    /// and the one that its administrator names.
    pub fn for_program(mut self, daemon: Option<&Path>) -> Self {
        self.journal_reader = Some(PathBuf::from("/proc/self/exe"));
        let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join(DAEMON)));
        self.daemons.extend(beside);
        self.daemons.extend(daemon.map(Path::to_owned));
        self
    }

    /// Those that are about block devices.
    pub fn block(&self) -> block::Roots {
        let Self { sysfs, procfs, dev, run, files, .. } = self.clone();
        block::Roots { sysfs, procfs, dev, run, files }
    }

    /// tracefs: its own mount point, or the one below debugfs on old kernels.
    pub fn tracefs(&self) -> PathBuf {
        let own = self.sysfs.join("kernel/tracing");
        let below_debugfs = self.sysfs.join("kernel/debug/tracing");
        if !own.join("events").exists() && below_debugfs.join("events").exists() {
            below_debugfs
        } else {
            own
        }
    }

    /// The kernel's log.
    pub fn kmsg(&self) -> PathBuf {
        self.dev.join("kmsg")
    }

    /// The daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.runtime.join(SOCKET)
    }

    /// The daemon's socket for Varlink.
    pub fn varlink(&self) -> PathBuf {
        self.runtime.join(VARLINK)
    }
}
