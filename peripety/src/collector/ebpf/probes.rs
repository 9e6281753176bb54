//! The probes: one row for each hook in the kernel.

use peripety_common::Kind;

use super::{bio_disks, kernel::KernelVersion};
use crate::roots::Roots;

/// How much is lost without a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Every kernel it is for has it; without it failures go unseen.
    Required,
    /// It belongs to a driver or filesystem that a machine may not have.
    Driver,
    /// It adds detail.
    Optional,
}

/// One hook in the kernel.
#[derive(Debug)]
pub struct Probe {
    /// What its records are.
    pub kind: Kind,
    /// Directory of the tracepoint below tracefs' `events`.
    pub category: &'static str,
    /// Name of the raw tracepoint program.
    pub raw: &'static str,
    /// Name of the raw tracepoint program whose arguments have types, where good requests are to cost less than by `raw`.
    pub typed: Option<&'static str>,
    /// Name of the classic tracepoint program; empty where the tracepoint's record does not say what is wanted.
    pub classic: &'static str,
    /// Whether a machine must have it.
    pub need: Need,
    /// Module that has the tracepoint where it is not built in.
    pub module: Option<&'static str>,
    /// What goes unseen without it.
    pub lost_without: &'static str,
    /// A reason to leave it off on a kernel that has it.
    pub off: fn(&Situation) -> Option<String>,
    /// A reason to load it and not to attach it yet, where it has a price for good requests.
    pub waits: fn(&Roots) -> Option<String>,
    /// Struct offsets that the raw way needs, by the name of the program's global.
    pub btf: &'static [&'static str],
    /// Record offsets that the classic way needs: global, field, bytes.
    pub format: &'static [(&'static str, &'static str, u16)],
    /// Record offsets that the classic way uses where the kernel has them.
    pub format_optional: &'static [(&'static str, &'static str, u16)],
}

impl Probe {
    /// The tracepoint's name.
    pub const fn event(&self) -> &'static str {
        match self.kind {
            Kind::BlockRqSlow => Kind::BlockRqComplete.name(),
            kind => kind.name(),
        }
    }
}

/// What the decision to leave a probe off may go by.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// The running kernel.
    pub kernel: KernelVersion,
    /// Whether it has `block_rq_error`.
    pub has_rq_error: bool,
}

const fn never(_: &Situation) -> Option<String> {
    None
}

const fn at_once(_: &Roots) -> Option<String> {
    None
}

const RQ_FORMAT: &[(&str, &str, u16)] = &[
    ("TP_RQ_DEV", "dev", 4),
    ("TP_RQ_SECTOR", "sector", 8),
    ("TP_RQ_NR_SECTOR", "nr_sector", 4),
    ("TP_RQ_ERROR", "error", 4),
    ("TP_RQ_RWBS", "rwbs", 8),
];
const SCSI_FORMAT: &[(&str, &str, u16)] = &[
    ("TP_SCSI_HOST", "host_no", 4),
    ("TP_SCSI_CHANNEL", "channel", 4),
    ("TP_SCSI_ID", "id", 4),
    ("TP_SCSI_LUN", "lun", 4),
    ("TP_SCSI_RESULT", "result", 4),
    ("TP_SCSI_CMND", "cmnd", 4),
];
const SCSI_FORMAT_OPTIONAL: &[(&str, &str, u16)] = &[
    ("TP_SCSI_TAG", "driver_tag", 4),
    ("TP_SCSI_SENSE_KEY", "sense_key", 1),
    ("TP_SCSI_ASC", "asc", 1),
    ("TP_SCSI_ASCQ", "ascq", 1),
];
const RQ_BTF: &[&str] = &["RQ_SECTOR", "RQ_CMD_FLAGS", "RQ_Q", "DISK_MAJOR", "DISK_MINOR"];
const SCSI_BTF: &[&str] = &[
    "CMD_RESULT",
    "CMD_DEVICE",
    "CMD_CMND",
    "CMD_LEN",
    "CMD_SENSE",
    "SDEV_HOST",
    "SDEV_CHANNEL",
    "SDEV_ID",
    "SDEV_LUN",
    "HOST_NO",
    "RQ_SIZE",
    "RQ_SECTOR",
];

/// Every probe, in the order in which `prpt probes` shows them.
pub static PROBES: &[Probe] = &[
    Probe {
        kind: Kind::BlockRqError,
        category: "block",
        raw: "prpt_rq_error",
        typed: None,
        classic: "prpt_rq_error_c",
        need: Need::Required,
        module: None,
        lost_without: "exact counts of failed requests",
        off: never,
        waits: at_once,
        btf: RQ_BTF,
        format: RQ_FORMAT,
        format_optional: &[],
    },
    Probe {
        kind: Kind::BlockRqComplete,
        category: "block",
        raw: "prpt_rq_compl",
        typed: None,
        classic: "prpt_rq_compl_c",
        need: Need::Optional,
        module: None,
        lost_without: "exact counts of failed requests on kernels before 5.18",
        off: |s| {
            s.has_rq_error.then(|| "block_rq_error reports the same at no price for good requests".to_owned())
        },
        waits: at_once,
        btf: RQ_BTF,
        format: RQ_FORMAT,
        format_optional: &[],
    },
    Probe {
        kind: Kind::BlockBioComplete,
        category: "block",
        raw: "prpt_bio_err",
        typed: Some("prpt_bio_err_b"),
        classic: "prpt_bio_err_c",
        need: Need::Required,
        module: None,
        lost_without: "failures of device-mapper, md, zram and other bio-based devices that no text reports",
        off: never,
        waits: bio_disks::waits,
        btf: &["BIO_STATUS", "BIO_SECTOR", "BIO_SIZE", "BIO_OPF"],
        format: &[
            ("TP_BIO_DEV", "dev", 4),
            ("TP_BIO_SECTOR", "sector", 8),
            ("TP_BIO_NR_SECTOR", "nr_sector", 4),
            ("TP_BIO_ERROR", "error", 4),
            ("TP_BIO_RWBS", "rwbs", 8),
        ],
        format_optional: &[],
    },
    Probe {
        kind: Kind::ScsiDone,
        category: "scsi",
        raw: "prpt_scsi_done",
        typed: None,
        classic: "prpt_scsi_dn_c",
        need: Need::Driver,
        module: Some("scsi_mod"),
        lost_without: "SCSI retries, recovered errors, and sense data that the rate limit of text swallows",
        off: never,
        waits: at_once,
        btf: SCSI_BTF,
        format: SCSI_FORMAT,
        format_optional: SCSI_FORMAT_OPTIONAL,
    },
    Probe {
        kind: Kind::ScsiTimeout,
        category: "scsi",
        raw: "prpt_scsi_tmo",
        typed: None,
        classic: "prpt_scsi_tmo_c",
        need: Need::Driver,
        module: Some("scsi_mod"),
        lost_without: "SCSI timeouts that a retry heals",
        off: never,
        waits: at_once,
        btf: SCSI_BTF,
        format: SCSI_FORMAT,
        format_optional: SCSI_FORMAT_OPTIONAL,
    },
    Probe {
        kind: Kind::ScsiEhWakeup,
        category: "scsi",
        raw: "prpt_scsi_eh",
        typed: None,
        classic: "prpt_scsi_eh_c",
        need: Need::Driver,
        module: Some("scsi_mod"),
        lost_without: "the start of SCSI error handling",
        off: never,
        waits: at_once,
        btf: &["HOST_NO", "HOST_FAILED"],
        format: &[("TP_EH_HOST", "host_no", 4)],
        format_optional: &[],
    },
    Probe {
        kind: Kind::NvmeCompleteRq,
        category: "nvme",
        raw: "prpt_nvme_rq",
        typed: None,
        classic: "prpt_nvme_rq_c",
        need: Need::Driver,
        module: Some("nvme_core"),
        lost_without: "NVMe status codes, retries, and path failures that native multipath hides",
        off: never,
        waits: at_once,
        btf: &["NREQ_STATUS", "NREQ_CTRL", "CTRL_INSTANCE", "RQ_SIZE"],
        format: &[
            ("TP_NVME_DISK", "disk", 32),
            ("TP_NVME_CTRL", "ctrl_id", 4),
            ("TP_NVME_QID", "qid", 4),
            ("TP_NVME_STATUS", "status", 2),
        ],
        format_optional: &[
            ("TP_NVME_CID", "cid", 4),
            ("TP_NVME_RESULT", "result", 8),
            ("TP_NVME_RETRIES", "retries", 1),
            ("TP_NVME_FLAGS", "flags", 1),
        ],
    },
    Probe {
        kind: Kind::NvmeAsyncEvent,
        category: "nvme",
        raw: "prpt_nvme_aen",
        typed: None,
        classic: "prpt_nvme_aen_c",
        need: Need::Driver,
        module: Some("nvme_core"),
        lost_without: "what an NVMe controller reports by itself",
        off: never,
        waits: at_once,
        btf: &["CTRL_INSTANCE"],
        format: &[("TP_AEN_CTRL", "ctrl_id", 4), ("TP_AEN_RESULT", "result", 4)],
        format_optional: &[],
    },
    Probe {
        kind: Kind::Console,
        category: "printk",
        raw: "prpt_console",
        typed: None,
        classic: "prpt_console_c",
        need: Need::Optional,
        module: None,
        lost_without: "the exact time of kernel text",
        // trace_console_rcuidle: the first printk in NMI context warns, which is a panic under panic_on_warn.
        off: |s| {
            (s.kernel >= KernelVersion::new(5, 19) && s.kernel < KernelVersion::new(6, 3)).then(|| {
                format!(
                    "on {} (5.19 to 6.2) a printk in NMI context warns or panics when it is attached",
                    s.kernel
                )
            })
        },
        waits: at_once,
        btf: &[],
        format: &[("TP_CONSOLE_MSG", "msg", 4)],
        format_optional: &[],
    },
    Probe {
        kind: Kind::Ext4Error,
        category: "ext4",
        raw: "prpt_ext4_err",
        typed: None,
        classic: "prpt_ext4_err_c",
        need: Need::Driver,
        module: Some("ext4"),
        lost_without: "ext4 errors beyond the ten in five seconds that text reports",
        off: never,
        waits: at_once,
        btf: &["SB_DEV"],
        format: &[
            ("TP_EXT4E_DEV", "dev", 4),
            ("TP_EXT4E_FUNCTION", "function", 8),
            ("TP_EXT4E_LINE", "line", 4),
        ],
        format_optional: &[],
    },
    Probe {
        kind: Kind::Ext4Shutdown,
        category: "ext4",
        raw: "prpt_ext4_off",
        typed: None,
        classic: "prpt_ext4_off_c",
        need: Need::Driver,
        module: Some("ext4"),
        lost_without: "shutdowns of ext4",
        off: never,
        waits: at_once,
        btf: &["SB_DEV"],
        format: &[("TP_EXT4S_DEV", "dev", 4), ("TP_EXT4S_FLAGS", "flags", 4)],
        format_optional: &[],
    },
    Probe {
        kind: Kind::XfsForceShutdown,
        category: "xfs",
        raw: "prpt_xfs_off",
        typed: None,
        classic: "prpt_xfs_off_c",
        need: Need::Driver,
        module: Some("xfs"),
        lost_without: "the reason of an xfs shutdown",
        off: never,
        waits: at_once,
        btf: &["MP_SUPER", "SB_DEV"],
        format: &[
            ("TP_XFS_DEV", "dev", 4),
            ("TP_XFS_PTAG", "ptag", 4),
            ("TP_XFS_FLAGS", "flags", 4),
            ("TP_XFS_FNAME", "fname", 4),
            ("TP_XFS_LINE", "line_num", 4),
        ],
        format_optional: &[],
    },
    Probe {
        kind: Kind::FilemapSetWbErr,
        category: "filemap",
        raw: "prpt_wb_err",
        typed: None,
        classic: "prpt_wb_err_c",
        need: Need::Required,
        module: None,
        lost_without: "which inode lost written data",
        off: never,
        waits: at_once,
        btf: &["MAPPING_HOST", "MAPPING_WB_ERR", "INODE_INO", "INODE_SB", "SB_DEV"],
        format: &[("TP_WB_INO", "i_ino", 8), ("TP_WB_DEV", "s_dev", 4), ("TP_WB_ERRSEQ", "errseq", 4)],
        format_optional: &[],
    },
    Probe {
        kind: Kind::BlockRqSlow,
        category: "block",
        raw: "prpt_rq_slow",
        typed: Some("prpt_rq_slow_b"),
        classic: "",
        need: Need::Optional,
        module: None,
        lost_without: "requests that take long and succeed",
        off: never,
        waits: at_once,
        btf: &["RQ_START", "RQ_SECTOR", "RQ_CMD_FLAGS", "RQ_Q", "DISK_MAJOR", "DISK_MINOR"],
        format: &[],
        format_optional: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_row_and_names_fit_the_kernel() {
        for kind in Kind::ALL {
            assert_eq!(PROBES.iter().filter(|p| p.kind == *kind).count(), 1, "{}", kind.name());
        }
        for probe in PROBES {
            let classic = Some(probe.classic).filter(|name| !name.is_empty());
            for name in [probe.raw].into_iter().chain(classic).chain(probe.typed) {
                assert!(name.len() <= 15 && name.starts_with("prpt_"), "{name}: BPF_OBJ_NAME_LEN is 16");
            }
        }
    }

    #[test]
    fn console_stays_off_where_it_could_panic() {
        let console = PROBES.iter().find(|p| p.kind == Kind::Console).unwrap();
        for (kernel, off) in
            [((5, 18), false), ((5, 19), true), ((6, 1), true), ((6, 2), true), ((6, 3), false)]
        {
            let situation = Situation { kernel: KernelVersion::new(kernel.0, kernel.1), has_rq_error: true };
            assert_eq!((console.off)(&situation).is_some(), off, "{kernel:?}");
        }
    }
}
