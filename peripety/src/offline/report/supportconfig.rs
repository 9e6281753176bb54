//! supportconfig: text files of sections, each the output of a command or a part of a log. They are laid out as sosreport
//! would have them.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::offline::unpack;

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
    ("/proc/self/mountinfo", "proc/self/mountinfo"),
    ("/proc/stat", "proc/stat"),
    ("udevadm info", "sos_commands/devices/udevadm_info_--export-db"),
    ("/etc/hostname", "etc/hostname"),
    ("/bin/hostname", "hostname"),
    ("timedatectl", "sos_commands/systemd/timedatectl"),
];

/// Whether the file is one of those that supportconfig writes.
pub fn is_part(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = [".gz", ".xz"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    FILES.contains(&name) || name == "supportconfig.txt"
}

/// Lays out the sections, if the directory, or the only one in it, is a supportconfig's.
pub fn lay_out(dir: &Path) -> io::Result<Option<TempDir>> {
    let home =
        |dir: &Path| dir.join("basic-environment.txt").is_file() || dir.join("supportconfig.txt").is_file();
    let mut dirs = vec![dir.to_owned()];
    dirs.extend(fs::read_dir(dir)?.flatten().map(|e| e.path()).filter(|p| p.is_dir()).take(64));
    let Some(dir) = dirs.into_iter().find(|dir| home(dir)) else { return Ok(None) };
    let laid_out = tempfile::Builder::new().prefix("prpt-parse").tempdir()?;
    for name in FILES {
        let candidates = ["", ".gz", ".xz"].map(|ending| dir.join(format!("{name}{ending}")));
        let Some(file) = candidates.iter().find_map(|path| File::open(path).ok()) else { continue };
        // What cannot be read of one file is no reason to leave out the others.
        if let Ok(reader) = unpack(BufReader::new(file)) {
            sections(reader, laid_out.path())?;
        }
    }
    Ok(Some(laid_out))
}

fn sections(mut reader: impl io::BufRead, to: &Path) -> io::Result<()> {
    let mut line = Vec::new();
    let (mut heading, mut section): (bool, Option<File>) = (false, None);
    loop {
        line.clear();
        // A line of any length goes through in pieces.
        let read = match reader.take_line(&mut line) {
            Ok(read) => read,
            Err(_) => return Ok(()),
        };
        if read == 0 {
            return Ok(());
        }
        if line.starts_with(b"#==[") {
            (heading, section) = (true, None);
            continue;
        }
        if heading {
            heading = false;
            section =
                target(&String::from_utf8_lossy(&line)).map(|target| open(&to.join(target))).transpose()?;
            continue;
        }
        if let Some(file) = &mut section {
            file.write_all(&line)?;
        }
    }
}

fn target(heading: &str) -> Option<PathBuf> {
    let words = heading.strip_prefix('#')?.trim();
    let (_, target) = SECTIONS.iter().find(|(word, _)| words.contains(word))?;
    (!target.is_empty()).then(|| PathBuf::from(target))
}

/// The first section of a kind is the one that counts: later ones repeat it with other options.
fn open(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    if path.exists() { File::options().write(true).open("/dev/null") } else { File::create(path) }
}

trait TakeLine {
    /// Reads to the end of a line, or a piece of it.
    fn take_line(&mut self, to: &mut Vec<u8>) -> io::Result<usize>;
}

impl<R: io::BufRead> TakeLine for R {
    fn take_line(&mut self, to: &mut Vec<u8>) -> io::Result<usize> {
        io::Read::take(self, 1 << 20).read_until(b'\n', to)
    }
}
