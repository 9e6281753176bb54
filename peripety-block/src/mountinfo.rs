//! The format of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
//!
//! The `procfs` crate gives up on the whole file at the first line it does not like and at any byte that is not UTF-8; a
//! mount point may have both. This parser takes every line it can.
//!
//! ```
//! use peripety_block::mountinfo;
//!
//! let text = br"36 35 98:0 / /mnt/my\040disk rw shared:1 - ext4 /dev/sda1 rw,errors=continue";
//! let line = mountinfo::lines(text).next().unwrap();
//! assert_eq!(line.dev.to_string(), "98:0");
//! assert_eq!(line.point(), std::path::Path::new("/mnt/my disk"));
//! assert!(line.options.split(|b| *b == b',').any(|option| option == b"errors=continue"));
//! ```

use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf};

use peripety_model::Dev;

/// One line, its texts still with mountinfo's escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Unique among all mounts of the machine while it lasts.
    pub id: u64,
    /// The mount that it is mounted on.
    pub parent: u64,
    /// `st_dev` of the superblock; anonymous for btrfs and everything without one device.
    pub dev: Dev,
    /// Where it is mounted.
    pub point: &'a [u8],
    /// Type of the filesystem.
    pub fs_type: &'a [u8],
    /// What was mounted: a path for the filesystems that have one, else anything at all. mount(2) takes an empty text.
    pub source: &'a [u8],
    /// Options of the filesystem itself, separated by commas.
    pub options: &'a [u8],
}

impl<'a> Line<'a> {
    /// Reads one line; none when it is not of the documented form.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.split(|b| *b == b' ');
        let mut next = || fields.next();
        let id = std::str::from_utf8(next()?).ok()?.parse().ok()?;
        let parent = std::str::from_utf8(next()?).ok()?.parse().ok()?;
        let dev = std::str::from_utf8(next()?).ok()?.parse().ok()?;
        let _root = next()?;
        let point = next()?;
        let _options = next()?;
        // Any number of optional fields ends with a dash.
        while next()? != b"-" {}
        let fs_type = next()?;
        let source = next().unwrap_or_default();
        let options = next().unwrap_or_default();
        Some(Self { id, parent, dev, point, fs_type, source, options })
    }

    /// Where it is mounted, escapes undone.
    pub fn point(&self) -> PathBuf {
        PathBuf::from(OsString::from_vec(unescape(self.point)))
    }

    /// What was mounted, escapes undone.
    pub fn source(&self) -> String {
        text(self.source)
    }

    /// Type of the filesystem, escapes undone.
    pub fn fs_type(&self) -> String {
        text(self.fs_type)
    }
}

/// All lines that can be read.
pub fn lines(raw: &[u8]) -> impl Iterator<Item = Line<'_>> {
    raw.split(|b| *b == b'\n').filter_map(Line::parse)
}

fn text(raw: &[u8]) -> String {
    String::from_utf8_lossy(&unescape(raw)).into_owned()
}

/// Undoes the octal escapes of mountinfo: `\040` for a blank. What is no whole escape stays.
pub fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = |b: u8| (b'0'..=b'7').contains(&b).then(|| b - b'0');
        let code = match (first, tail) {
            (b'\\', [a, b, c, ..]) => octal(*a).zip(octal(*b)).zip(octal(*c)).and_then(|((a, b), c)| {
                u8::try_from(u16::from(a) * 64 + u16::from(b) * 8 + u16::from(c)).ok()
            }),
            _ => None,
        };
        out.push(code.unwrap_or(first));
        rest = if code.is_some() { tail.get(3..).unwrap_or_default() } else { tail };
    }
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_line_has_optional_fields_and_escapes() {
        let line = Line::parse(
            br"36 35 8:1 /root /mnt/my\040disk\011\134x rw,noatime shared:1 master:2 propagate_from:3 - ext4 /dev/sda1 rw,errors=continue",
        )
        .unwrap();
        assert_eq!(line.dev, Dev::new(8, 1));
        assert_eq!(line.point(), Path::new("/mnt/my disk\t\\x"));
        assert_eq!((line.fs_type(), line.source()), ("ext4".to_owned(), "/dev/sda1".to_owned()));
        assert_eq!(line.options, b"rw,errors=continue");
    }

    #[test]
    fn an_empty_source_is_a_source() {
        let line = Line::parse(b"36 35 0:40 / /x rw - tmpfs  rw,size=1g").unwrap();
        assert_eq!((line.fs_type, line.source, line.options), (&b"tmpfs"[..], &b""[..], &b"rw,size=1g"[..]));
    }
}
