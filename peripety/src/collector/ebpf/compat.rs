//! What differs from kernel to kernel, as data: for `prpt doctor`, and for `doc/kernels.md`, which a test holds to it.

#[cfg(test)]
use peripety_common::Kind;

use super::kernel::KernelVersion;
#[cfg(test)]
use super::probes::{Probe, Situation};

#[cfg(test)]
/// A kernel of the table in `doc/kernels.md`.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// Its version.
    pub version: KernelVersion,
    /// Who ships it.
    pub of: &'static str,
    /// Probes that its distributor brought from later kernels.
    pub backported: &'static [Kind],
}

#[cfg(test)]
/// The kernels of the table.
pub(crate) static KERNELS: &[Kernel] = &[
    Kernel { version: KernelVersion::new(4, 18), of: "RHEL 8", backported: &[] },
    Kernel { version: KernelVersion::new(5, 10), of: "Debian 11", backported: &[] },
    Kernel { version: KernelVersion::new(5, 14), of: "RHEL 9.1+", backported: &[Kind::BlockRqError] },
    Kernel { version: KernelVersion::new(6, 1), of: "Debian 12", backported: &[] },
    Kernel { version: KernelVersion::new(6, 12), of: "Debian 13, RHEL 10", backported: &[] },
    Kernel { version: KernelVersion::new(6, 18), of: "mainline", backported: &[] },
    Kernel { version: KernelVersion::new(7, 2), of: "Debian sid", backported: &[] },
];

#[cfg(test)]
/// Tracepoints that came to mainline after 4.18.
const SINCE: &[(Kind, KernelVersion)] = &[
    (Kind::BlockRqError, KernelVersion::new(5, 18)),
    (Kind::NvmeAsyncEvent, KernelVersion::new(5, 0)),
    (Kind::Ext4Error, KernelVersion::new(5, 7)),
    (Kind::XfsForceShutdown, KernelVersion::new(5, 15)),
];

#[cfg(test)]
/// From here on the kernel reports the types of itself, and from here on those of its modules.
const BTF: KernelVersion = KernelVersion::new(5, 2);
#[cfg(test)]
const MODULE_BTF: KernelVersion = KernelVersion::new(5, 11);

#[cfg(test)]
impl Kernel {
    /// Whether it has a probe's tracepoint.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        let since = SINCE.iter().find(|row| row.0 == kind).map(|row| row.1);
        since.is_none_or(|since| self.version >= since) || self.backported.contains(&kind)
    }

    /// How a probe is attached where the driver is a module, as the table says it.
    pub(crate) fn way(&self, probe: &Probe) -> &'static str {
        let situation = Situation { kernel: self.version, has_rq_error: self.has(Kind::BlockRqError) };
        let has_types = self.version >= if probe.module.is_some() { MODULE_BTF } else { BTF };
        if !self.has(probe.kind) || (probe.classic.is_empty() && !has_types) {
            "absent"
        } else if (probe.off)(&situation).is_some() {
            "off"
        } else if !has_types && !probe.btf.is_empty() {
            "classic"
        } else {
            "raw"
        }
    }
}

/// What some kernels cannot give.
#[derive(Debug)]
pub(crate) struct Limit {
    /// The first kernel that it is true of; none for all before `until`.
    pub from: Option<KernelVersion>,
    /// The first one that it is no longer true of; none while it lasts.
    pub until: Option<KernelVersion>,
    /// The tracepoint whose absence it is: where a distributor brought that, there is no limit.
    pub without: Option<(&'static str, &'static str)>,
    /// A few words, for `prpt doctor`.
    pub short: &'static str,
    /// What it means.
    #[cfg_attr(not(test), expect(dead_code, reason = "for doc/kernels.md"))]
    pub means: &'static str,
}

const fn until(major: u16, minor: u16, short: &'static str, means: &'static str) -> Limit {
    Limit { from: None, until: Some(KernelVersion::new(major, minor)), without: None, short, means }
}

/// The limits, in the order in which they are reported.
pub(crate) static LIMITS: &[Limit] = &[
    until(
        5,
        8,
        "ring buffers for eBPF",
        "No probe loads: kernel text and uevents alone, of which a storm loses most. A distributor may have brought them.",
    ),
    Limit {
        without: Some(("block", "block_rq_error")),
        ..until(
            5,
            18,
            "block_rq_error",
            "block_rq_complete stands in: exact as well, at a small price for each request, which is looked at and let go.",
        )
    },
    until(
        5,
        11,
        "types of modules",
        "Probes of drivers and filesystems that are modules are classic tracepoints: the kernel skips them, and counts nothing, \
         while another eBPF program runs on the same processor. On Debian they take CAP_SYS_ADMIN \
         (dist/classic-tracepoints.conf). Their SCSI records have no sense data and no sectors of their own: text adds them.",
    ),
    Limit {
        without: Some(("xfs", "xfs_force_shutdown")),
        ..until(
            5,
            15,
            "xfs_force_shutdown",
            "Shutdowns of xfs are known from text, without the place in the source.",
        )
    },
    until(
        5,
        15,
        "disk sequence numbers",
        "A disk that takes the name of another within moments is distinguished from it by WWID, serial number and place alone.",
    ),
    until(
        5,
        19,
        "NVMe status in text",
        "What the status of a failed NVMe command was is known from the probe alone; without eBPF it is BLK_IO_ERROR.",
    ),
    Limit {
        from: Some(KernelVersion::new(5, 19)),
        ..until(
            6,
            3,
            "the time of kernel text to the microsecond",
            "printk:console stays off, for the first printk in NMI context would warn, and panic under panic_on_warn. Text is \
             some ten milliseconds off the probes' clock.",
        )
    },
    until(
        6,
        12,
        "ENOSPC of loop devices",
        "A loop device whose backing filesystem is full fails with EIO: BLK_IO_ERROR, not BLK_NO_SPACE.",
    ),
    Limit {
        from: None,
        until: None,
        without: None,
        short: "tracepoints of md, device-mapper and jbd2 failures",
        means: "No kernel has any: failed members, paths, pools and aborted journals are known from text, uevents and, where \
                they run, mdadm, multipathd and dmeventd.",
    },
];

impl Limit {
    /// Whether it is true of a kernel; `has` says whether that has a tracepoint.
    pub(crate) fn holds(&self, version: KernelVersion, has: impl Fn(&str, &str) -> bool) -> bool {
        self.from.is_none_or(|from| version >= from)
            && self.until.is_none_or(|until| version < until)
            && !self.without.is_some_and(|(category, name)| has(category, name))
    }
}

/// What a kernel cannot give that others can, in a few words each.
pub(crate) fn cannot_give(version: KernelVersion, has: impl Fn(&str, &str) -> bool) -> Vec<&'static str> {
    let reported = LIMITS.iter().filter(|limit| limit.until.is_some() && limit.holds(version, &has));
    reported.map(|limit| limit.short).collect()
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, fs, path::Path};

    use super::*;
    use crate::collector::ebpf::probes::{Need, PROBES};

    fn repository(path: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
    }

    /// What was recorded on the real kernels.
    #[test]
    fn tracepoints_came_when_the_table_says() {
        let mut seen = 0;
        for entry in fs::read_dir(repository("peripety/tests/tracefs")).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            let Ok(version) = name.parse::<KernelVersion>() else { continue };
            seen += 1;
            let kernel = Kernel { version, of: "", backported: &[] };
            for probe in PROBES {
                let events = entry.path().join("sys/kernel/tracing/events");
                let exists = events.join(probe.category).join(probe.event()).exists();
                // The development machine's own kernel has no SCSI and no NVMe.
                let loaded = events.join(probe.category).exists();
                assert!(!loaded || kernel.has(probe.kind) == exists, "{name}: {}", probe.event());
            }
        }
        assert_eq!(seen, 5);
    }

    fn probes() -> String {
        let mut out = String::from("| probe | needed |");
        for kernel in KERNELS {
            let _ = write!(out, " {} ({}) |", kernel.version, kernel.of);
        }
        out.push_str("\n|---|---|");
        out.push_str(&"---|".repeat(KERNELS.len()));
        out.push('\n');
        for probe in PROBES {
            let need = match probe.need {
                Need::Required => "always",
                Need::Driver => "with its driver",
                Need::Optional => "no",
            };
            let _ = write!(out, "| `{}:{}` | {need} |", probe.category, probe.kind.name());
            for kernel in KERNELS {
                let _ = write!(out, " {} |", kernel.way(probe));
            }
            out.push('\n');
        }
        out
    }

    fn lost() -> String {
        let line = |probe: &Probe| {
            format!("| `{}:{}` | {} |\n", probe.category, probe.kind.name(), probe.lost_without)
        };
        format!("| without | goes unseen |\n|---|---|\n{}", PROBES.iter().map(line).collect::<String>())
    }

    fn limits() -> String {
        let mut out = String::from("| kernels | have no | which means |\n|---|---|---|\n");
        for limit in LIMITS {
            let range = match (limit.from, limit.until) {
                (Some(from), Some(until)) => format!("{from} and later, before {until}"),
                (None, Some(until)) => format!("before {until}"),
                (Some(from), None) => format!("{from} and later"),
                (None, None) => "all".to_owned(),
            };
            let _ = writeln!(out, "| {range} | {} | {} |", limit.short, limit.means);
        }
        out
    }

    /// `PERIPETY_BLESS=1` writes the tables into the document.
    #[test]
    fn the_document_says_what_the_code_does() {
        let path = repository("doc/kernels.md");
        let mut text = fs::read_to_string(&path).unwrap();
        for (name, table) in [("probes", probes()), ("lost", lost()), ("limits", limits())] {
            let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
            let from = text.find(&begin).unwrap_or_else(|| panic!("no {begin}")) + begin.len();
            let to = text.find(&end).unwrap_or_else(|| panic!("no {end}"));
            if std::env::var_os("PERIPETY_BLESS").is_some() {
                text.replace_range(from..to, &table);
                fs::write(&path, &text).unwrap();
            } else {
                assert_eq!(
                    text[from..to].trim_end(),
                    table.trim_end(),
                    "PERIPETY_BLESS=1 mends {}",
                    path.display()
                );
            }
        }
    }

    #[test]
    fn a_backport_lifts_its_limit() {
        let rhel9 = KernelVersion::new(5, 14);
        let with = |has: bool| cannot_give(rhel9, move |_, name| has && name == "block_rq_error");
        assert!(with(false).contains(&"block_rq_error") && !with(true).contains(&"block_rq_error"));
        assert_eq!(cannot_give(KernelVersion::new(6, 12), |_, _| true), [""; 0]);
        assert_eq!(cannot_give(KernelVersion::new(7, 2), |_, _| false), [""; 0]);
    }
}
