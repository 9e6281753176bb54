//! supportconfig: text files of sections, each the output of a command or a part of a log. They are laid out as sosreport
//! would have them.

use std::{
    io::{self, BufRead, BufReader, Read as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{
    catalog::Catalog,
    spool::{Spool, StoreError},
};
use crate::offline::{
    bounds::{Bounded, Limits},
    unpack,
};

/// What a section begins with; the next line is its heading.
const HEAD: &[u8] = b"#==[";

/// The files that are looked into.
const FILES: &[&str] = &[
    "basic-environment.txt",
    "block.txt",
    "boot.txt",
    "fs-diskio.txt",
    "hardware.txt",
    "lvm.txt",
    "messages.txt",
    "mpio.txt",
    "proc.txt",
    "systemd.txt",
    "udev.txt",
];

/// What a section's heading has in it, and the file that it becomes.
const SECTIONS: &[(&str, &str)] = &[
    ("dmesg", "sos_commands/kernel/dmesg"),
    ("journalctl", "sos_commands/logs/journalctl_--no-pager_--boot"),
    ("/var/log/messages", "var/log/messages"),
    ("/var/log/warn", ""),
    ("lsblk", "sos_commands/block/lsblk"),
    ("multipath -ll", "sos_commands/multipath/multipath_-ll"),
    ("/proc/mounts", "proc/mounts"),
    ("/proc/stat", "proc/stat"),
    ("udevadm info", "sos_commands/devices/udevadm_info_--export-db"),
    ("/etc/hostname", "etc/hostname"),
    ("/bin/hostname", "hostname"),
    ("timedatectl", "sos_commands/systemd/timedatectl"),
];

/// Whether the file is one of those that supportconfig writes.
pub(super) fn is_part(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = [".gz", ".xz"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    FILES.contains(&name) || name == "supportconfig.txt"
}

/// Adds the sections as files of the report, if the directory at the top, or one in it, is a supportconfig's.
pub(super) fn lay_out(report: &mut Catalog, limits: &Limits, spool: &mut Spool) {
    let is_home = |path: &&Path| {
        let name = path.file_name().unwrap_or_default();
        (name == "basic-environment.txt" || name == "supportconfig.txt") && path.components().count() <= 2
    };
    let found = report.names().find(is_home).and_then(Path::parent).map(Path::to_owned);
    let Some(home) = found else { return };
    for name in FILES {
        let candidates = ["", ".gz", ".xz"].map(|ending| home.join(format!("{name}{ending}")));
        // What cannot be read of one file is no reason to leave out the others.
        let Some(part) = candidates.iter().find_map(|path| report.open(path).ok()) else { continue };
        let written = part.written;
        if let Ok(reader) = unpack(part.from) {
            let reader = BufReader::new(Bounded::log(reader, limits));
            if let Err(error) = sections(reader, &home, report, written, spool) {
                report.left_out.not_stored(&format!("{name}: {error}"));
            }
        }
    }
}

fn sections(
    mut reader: impl BufRead,
    home: &Path,
    to: &mut Catalog,
    written: Option<Timestamp>,
    spool: &mut Spool,
) -> Result<(), StoreError> {
    let mut line = Vec::new();
    let mut is_head = false;
    while take_line(&mut reader, &mut line).map_err(StoreError::Read)? {
        if line.starts_with(HEAD) {
            is_head = true;
            continue;
        }
        let target = std::mem::take(&mut is_head).then(|| target(&String::from_utf8_lossy(&line))).flatten();
        // The first section of a kind is the one that counts: later ones repeat it with other options.
        let target = target.map(|target| home.join(target));
        let Some(target) = target.filter(|target| !to.has(target)) else { continue };
        let mut writer = spool.begin()?;
        let mut error = None;
        loop {
            match take_line(&mut reader, &mut line) {
                Ok(true) if line.starts_with(HEAD) => {
                    is_head = true;
                    break;
                }
                Ok(true) => {
                    if let Err(full) = writer.write(&line) {
                        error = Some(full);
                        break;
                    }
                }
                Ok(false) => break,
                Err(unreadable) => {
                    error = Some(StoreError::Read(unreadable));
                    break;
                }
            }
        }
        let (extent, late) = writer.finish();
        to.add_stored(target, extent, written);
        if let Some(error) = error.or(late) {
            return Err(error);
        }
    }
    Ok(())
}

fn target(heading: &str) -> Option<PathBuf> {
    let words = heading.strip_prefix('#')?.trim();
    let (_, target) = SECTIONS.iter().find(|(word, _)| words.contains(word))?;
    (!target.is_empty()).then(|| PathBuf::from(target))
}

/// Reads to the end of a line, or a piece of one that is very long; false at the end.
fn take_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    Ok(reader.take(1 << 20).read_until(b'\n', line)? > 0)
}
