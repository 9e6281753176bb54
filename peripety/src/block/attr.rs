//! Reading sysfs attributes: small, bounded, and never an error, for a device may go while it is read.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Attributes are at most a page; VPD pages and udev's entries may be larger.
const LIMIT: u64 = 64 * 1024;

/// Content of a file, up to a bound; none when it is not there or cannot be read.
pub(super) fn bytes(path: &Path) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path).ok()?.take(LIMIT).read_to_end(&mut content).ok()?;
    Some(content)
}

/// Text of an attribute without the blanks and zero bytes around it; none when it is empty or missing.
pub(super) fn text(path: &Path) -> Option<String> {
    trimmed(&bytes(path)?)
}

/// `raw` as text without the blanks and zero bytes around it; none when nothing is left.
pub(super) fn trimmed(raw: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(raw);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// A number, a device number or anything else that can be read from text.
pub(super) fn parsed<T: FromStr>(path: &Path) -> Option<T> {
    text(path)?.parse().ok()
}

/// Names in a directory, in order.
pub(super) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    names
}

/// Last part of what a symlink points at: sysfs names subsystems and parents so.
pub(super) fn link_name(path: &Path) -> Option<String> {
    let target: PathBuf = std::fs::read_link(path).ok()?;
    target.file_name()?.to_str().map(str::to_owned)
}
