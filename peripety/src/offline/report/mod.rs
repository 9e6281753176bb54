//! Support reports: a directory or an archive with logs, and with what was asked of the machine when it was made.
//!
//! The layout is sosreport's. What supportconfig puts into sections of a few files is first laid out the same way
//! ([`supportconfig`]); of an archive only the members that are of use are unpacked ([`archive`]).

mod archive;
mod facts;
mod parts;
mod supportconfig;
mod tables;
mod udev;

use std::{
    io,
    path::{Path, PathBuf},
};

pub use archive::{is_tar, unpack_tar};
use jiff::tz::TimeZone;
pub use parts::LogKind;
use tempfile::TempDir;

use super::{Given, known::Known};

/// A report on disk.
#[derive(Debug)]
pub struct Report {
    /// Its logs in the order in which they are to be read: the most complete kind first, in each the oldest first.
    pub logs: Vec<(LogKind, PathBuf)>,
    /// What its other files tell.
    pub given: Given,
    /// Zone of the host.
    pub zone: Option<TimeZone>,
    /// Holds what was unpacked until the report is read.
    unpacked: Option<TempDir>,
}

impl Report {
    /// A log's name for people: where it lies, or in an archive what it is called there.
    pub fn name_of(&self, log: &Path, archive: &Path) -> String {
        match self.unpacked.as_ref().and_then(|dir| log.strip_prefix(dir.path()).ok()) {
            Some(inside) => format!("{}: {}", archive.display(), inside.display()),
            None => log.display().to_string(),
        }
    }

    /// Looks through a directory.
    ///
    /// # Errors
    ///
    /// It cannot be read, or there is no room to lay out the sections of a supportconfig.
    pub fn open(dir: &Path) -> io::Result<Self> {
        if let Some(laid_out) = supportconfig::lay_out(dir)? {
            return Self::read(laid_out.path().to_owned(), Some(laid_out));
        }
        Self::read(dir.to_owned(), None)
    }

    /// Takes over what was unpacked of an archive.
    ///
    /// # Errors
    ///
    /// As with [`Self::open`].
    pub fn of_unpacked(unpacked: TempDir) -> io::Result<Self> {
        match supportconfig::lay_out(unpacked.path())? {
            Some(laid_out) => Self::read(laid_out.path().to_owned(), Some(laid_out)),
            None => Self::read(unpacked.path().to_owned(), Some(unpacked)),
        }
    }

    fn read(dir: PathBuf, unpacked: Option<TempDir>) -> io::Result<Self> {
        let files = parts::files(&dir)?;
        let mut logs: Vec<(LogKind, PathBuf)> =
            files.iter().filter_map(|file| Some((LogKind::of(&dir, file)?, file.clone()))).collect();
        logs.sort_by_cached_key(|(kind, file)| (*kind, parts::age(file)));
        let found = facts::read(&dir, &files);
        Ok(Self { logs, given: found.given, zone: found.zone, unpacked })
    }
}

/// Reads a text as each of the tables that a report may have: of what it is none, it tells nothing.
pub fn read_tables(text: &str, devices: &mut Known) {
    tables::lsblk(text, devices);
    tables::multipath(text, devices);
    tables::mounts(text, devices);
    udev::export_db(text, devices);
}

#[cfg(test)]
mod tests;
