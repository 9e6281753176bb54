//! The kinds of early signs: one table.

use super::Limit;

/// What a kind of sign says of its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foretells {
    /// That what is stored gets unreadable.
    Medium,
    /// That the device stops to answer, or the way to it is lost.
    Silence,
    /// Either.
    Any,
}

/// One kind of early sign.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Its name in the configuration and in JSON.
    pub name: &'static str,
    /// What is counted, for a sentence that begins with a number.
    pub words: &'static str,
    /// What it says, for people.
    pub meaning: &'static str,
    /// Event types that are such a sign. Each is counted by itself: two of them may be about the same.
    pub types: &'static [&'static str],
    /// What it may be the sign of.
    pub foretells: Foretells,
    /// From how many in which time on it counts, where nobody says otherwise.
    pub limit: Limit,
}

const HOUR: u32 = 3600;
const DAY: u32 = 24 * HOUR;

/// Every kind.
pub(crate) static KINDS: &[Kind] = &[
    Kind {
        name: "recovered_errors",
        words: "recovered errors",
        meaning: "The disk gets at its data only by its own retries and corrections: a surface or a head that goes bad.",
        types: &["SCSI_RECOVERED_ERROR"],
        foretells: Foretells::Any,
        limit: Limit { count: 10, within_s: HOUR, quiet_s: DAY },
    },
    Kind {
        name: "retries",
        words: "commands aborted or tried again",
        meaning: "Commands succeed only when they are tried again: the device or the way to it is not sound.",
        types: &["SCSI_ABORTED_COMMAND", "SCSI_ERROR_RECOVERY", "NVME_CONTROLLER_RESET"],
        foretells: Foretells::Any,
        limit: Limit { count: 5, within_s: HOUR, quiet_s: DAY },
    },
    Kind {
        name: "link_resets",
        words: "link errors or resets",
        meaning: "The link to the disk fails and comes back: a cable, a backplane, a power supply or the port.",
        types: &["ATA_LINK_ERROR", "ATA_LINK_RESET", "ATA_SPEED_LIMITED"],
        foretells: Foretells::Silence,
        limit: Limit { count: 5, within_s: HOUR, quiet_s: DAY },
    },
    Kind {
        name: "corrected_reads",
        words: "failed reads that were corrected",
        meaning: "Sectors could not be read, and were from a copy or later: what has no copy may be lost next.",
        types: &[
            "BLK_READ_BACK",
            "DM_MIRROR_READ_FAILED",
            "FS_READ_ERROR_CORRECTED",
            "MD_READ_ERROR_CORRECTED",
            "MD_READ_REDIRECTED",
        ],
        foretells: Foretells::Medium,
        limit: Limit { count: 10, within_s: DAY, quiet_s: DAY },
    },
    Kind {
        name: "path_flaps",
        words: "path failures",
        meaning: "The path fails and comes back: a cable, an optical module, a switch port or an overloaded target.",
        // By what ends each: one outage is many failed commands and many tries to connect.
        types: &[
            "DM_MPATH_PATH_REINSTATED",
            "ISCSI_SESSION_RECOVERED",
            "MULTIPATHD_PATH_UP",
            "NVME_PATH_RECOVERED",
        ],
        foretells: Foretells::Silence,
        limit: Limit { count: 5, within_s: HOUR, quiet_s: DAY },
    },
    Kind {
        name: "pcie_corrected",
        words: "corrected PCIe errors",
        meaning: "The PCIe link repeats what arrives damaged: a slot, a riser, a cable, or a device that overheats.",
        types: &["PCIE_CORRECTED_ERROR"],
        foretells: Foretells::Silence,
        limit: Limit { count: 10, within_s: HOUR, quiet_s: DAY },
    },
    Kind {
        name: "smart_attributes",
        words: "warnings of the disk about itself",
        meaning: "The disk itself counts what comes before failure: sectors that cannot be read, errors, heat or wear.",
        types: &["NVME_ASYNC_EVENT", "SMART_ATTRIBUTE_WARNING"],
        foretells: Foretells::Any,
        limit: Limit { count: 1, within_s: DAY, quiet_s: DAY },
    },
    Kind {
        name: "slow_requests",
        words: "slow requests",
        meaning: "Requests succeed and take far too long: a disk that retries inside, or one that has too much to do.",
        types: &["BLK_SLOW_IO"],
        foretells: Foretells::Any,
        limit: Limit { count: 20, within_s: HOUR, quiet_s: DAY },
    },
];

/// The kind that events of a type are a sign of.
pub(crate) fn of_type(event_type: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.types.contains(&event_type))
}

/// The kind with a name.
pub(crate) fn by_name(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}
