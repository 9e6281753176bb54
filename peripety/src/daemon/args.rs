//! The daemon's command line.

use std::path::PathBuf;

use clap::Parser;

use crate::roots::Roots;

/// Rules beyond the kernel, for the man page.
const PROGRAMS: &str = "\
Text rules ([[collector_regexs]] in the configuration) are about lines of the kernel. A rule with the key 'identifier' is about \
what a program says in the journal instead: identifier = \"multipathd\", or a list of names. Neither ever takes what the other \
says. A program is believed only where journald itself proves that it ran as root, and as an executable of that name or, \
where the executable was not seen, as NAME.service; what a sender says of itself, such as a syslog tag, counts for nothing. \
There are built-in rules for multipathd, iscsid, dmeventd, mdadm and smartd. What they say is joined to the kernel's event \
about the same failure. Without a journal they are not read.";

/// Turns storage failures of the Linux kernel into structured events.
#[derive(Clone, Debug, Parser)]
#[command(name = "peripetyd", version, max_term_width = 100, after_long_help = PROGRAMS)]
pub struct Args {
    /// Configuration file [default: /etc/peripetyd.conf]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print events on standard output, whatever the configuration says
    #[arg(long)]
    pub stdout: bool,
    /// Load no eBPF programs: work from kernel text alone
    #[arg(long)]
    pub no_ebpf: bool,
    /// Record what the events are made of in this file, for 'prpt replay'; gzipped if its name ends in .gz
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Remove the probes that an earlier daemon left attached for its successor, and end
    #[arg(long)]
    pub detach: bool,
    /// Keep all rights that the daemon was started with, to find out what its sandbox is in the way of
    #[arg(long)]
    pub no_sandbox: bool,
    /// Log what happens inside, the eBPF programs' own log among it
    #[arg(short, long)]
    pub verbose: bool,
    /// Keep events in /run/peripety for a journal that comes later, though there is no sign of one: in an initramfs
    #[arg(long)]
    pub journal_later: bool,
    /// Use classic tracepoints even where raw ones work
    #[arg(long, hide = true)]
    pub only_classic: bool,
    /// Read the journal for the daemon that started this process
    #[arg(long, value_name = "ORDERS", hide = true)]
    pub read_journal: Option<String>,
    /// Directory of the socket and of the volatile state
    #[arg(long, value_name = "DIR", env = "PERIPETY_RUNTIME_DIR", hide = true)]
    pub runtime_dir: Option<PathBuf>,
}

impl Args {
    /// Where the system's interfaces are.
    pub fn roots(&self) -> Roots {
        let mut roots = Roots::system();
        if let Some(config) = &self.config {
            roots.config = config.clone();
        }
        if let Some(directory) = &self.runtime_dir {
            roots.runtime = directory.clone();
        }
        roots.for_program(None)
    }
}
