//! Reading sysfs attributes: small, bounded, and never an error, for a device may go while it is read.

use std::{path::Path, str::FromStr};

use crate::files::Files;

/// Attributes are at most a page; VPD pages and udev's entries may be larger.
pub const ATTRIBUTE_MAX: u64 = 64 * 1024;

/// The names of all attributes that are read: of the sysfs in a report no others are kept.
pub const ATTRIBUTES: &[&str] = &[
    "address",
    "array_state",
    "backing_dev_uuid",
    "backing_file",
    "bay_identifier",
    "chunk_size",
    "cid",
    "component_size",
    "ctrl_loss_tmo",
    "degraded",
    "dev",
    "dev_loss_tmo",
    "diskseq",
    "enclosure_identifier",
    "errors",
    "eui",
    "ifacename",
    "io_timeout",
    "layout",
    "level",
    "mismatch_cnt",
    "model",
    "name",
    "negotiated_linkrate",
    "new_offset",
    "nguid",
    "nsid",
    "offset",
    "partition",
    "persistent_address",
    "persistent_port",
    "phy_identifier",
    "port",
    "port_name",
    "port_state",
    "raid_disks",
    "recovery_tmo",
    "reshape_direction",
    "reshape_position",
    "sas_address",
    "sata_spd",
    "serial",
    "size",
    "slot",
    "speed",
    "start",
    "state",
    "subsysnqn",
    "suspended",
    "sync_action",
    "sync_completed",
    "sync_min",
    "sync_speed",
    "targetname",
    "timeout",
    "tpgt",
    "transport",
    "type",
    "uid",
    "uuid",
    "vendor",
    "vpd_pg80",
    "vpd_pg83",
    "wwid",
];

/// Content of a file, up to a bound; none when it is not there or cannot be read.
pub(super) fn bytes(files: &Files, path: &Path) -> Option<Vec<u8>> {
    files.read(path, ATTRIBUTE_MAX)
}

/// Text of an attribute without the blanks and zero bytes around it; none when it is empty or missing.
pub(super) fn text(files: &Files, path: &Path) -> Option<String> {
    trimmed(&bytes(files, path)?)
}

/// `raw` as text without the blanks and zero bytes around it; none when nothing is left.
pub(super) fn trimmed(raw: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(raw);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// A number, a device number or anything else that can be read from text.
pub(super) fn parsed<T: FromStr>(files: &Files, path: &Path) -> Option<T> {
    text(files, path)?.parse().ok()
}

/// Names in a directory, in order.
pub(super) fn names(files: &Files, dir: &Path) -> Vec<String> {
    let names = files.names(dir).unwrap_or_default();
    let mut names: Vec<String> = names.into_iter().filter_map(|name| name.into_string().ok()).collect();
    names.sort_unstable();
    names
}

/// Last part of what a symlink points at: sysfs names subsystems and parents so.
pub(super) fn link_name(files: &Files, path: &Path) -> Option<String> {
    let target = files.link(path)?;
    target.file_name()?.to_str().map(str::to_owned)
}
