//! Support reports: a directory or an archive with logs, and with what was asked of the machine when it was made.
//!
//! The layout is sosreport's. What supportconfig puts into sections of a few files is first laid out the same way
//! ([`supportconfig`]). Whoever made the report is not trusted: of an archive nothing is laid out on disk ([`archive`]), in a
//! directory no link is followed ([`walk`]), and all has bounds ([`super::bounds`]).

mod archive;
mod catalog;
mod facts;
mod members;
mod name;
mod parts;
mod spool;
mod supportconfig;
mod tables;

mod udev;
mod walk;

use std::{
    io::{self, Read},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

pub(crate) use archive::is_tar;
pub(crate) use catalog::{JournalFile, Opened};
use jiff::tz::TimeZone;
pub(crate) use parts::LogKind;
pub use spool::Spool;
pub(crate) use walk::open_directory;

use self::catalog::Catalog;
use super::{Given, bounds::Limits, devices::Known};

/// A report.
#[derive(Debug)]
pub struct Report {
    /// Its logs in the order in which they are to be read: the most complete kind first, in each the oldest first.
    pub logs: Vec<(LogKind, PathBuf)>,
    /// What its other files report.
    pub given: Given,
    /// Zone of the host.
    pub zone: Option<TimeZone>,
    catalog: Catalog,
    /// What was not read of it, a sentence for each thing.
    pub left_out: Vec<String>,
}

impl Report {
    /// Looks through a directory.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn of_directory(directory: OwnedFd, limits: &Limits, spool: &mut Spool) -> io::Result<Self> {
        Ok(Self::read(walk::catalog(directory)?, limits, spool))
    }

    /// Takes what is of use out of an archive, which is not compressed. Where it ends early or a bound is reached, what came
    /// before is there.
    pub fn of_archive(from: impl Read, limits: &Limits, spool: &mut Spool) -> Self {
        Self::read(archive::catalog(from, limits, spool), limits, spool)
    }

    fn read(mut catalog: Catalog, limits: &Limits, spool: &mut Spool) -> Self {
        supportconfig::lay_out(&mut catalog, limits, spool);
        let left_out = catalog.left_out.sentences();
        let mut logs: Vec<(LogKind, PathBuf)> =
            catalog.names().filter_map(|file| Some((LogKind::of(file)?, file.to_owned()))).collect();
        logs.sort_by_cached_key(|(kind, file)| (*kind, parts::age(file)));
        let found = facts::read(&mut catalog);
        Self { logs, given: found.given, zone: found.zone, catalog, left_out }
    }

    /// Opens a log.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn open(&self, log: &Path) -> io::Result<Opened> {
        self.catalog.open(log)
    }

    /// Opens a journal file for libsystemd.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn open_journal(&self, log: &Path) -> io::Result<JournalFile> {
        self.catalog.open_journal(log)
    }
}

/// Reads a text as each of the tables that a report may have: of what it is none, it reports nothing.
pub fn read_tables(text: &str, devices: &mut Known) {
    tables::lsblk(text, devices);
    tables::multipath(text, devices);
    tables::mounts(text, devices);
    udev::export_db(text, devices);
}

#[cfg(test)]
mod tests;
