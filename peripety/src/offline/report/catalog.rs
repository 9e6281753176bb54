//! What a report has that is of use, by its names in the report.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read},
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;

use super::{spool::Extent, walk};
use crate::{
    files::Tree,
    offline::bounds::{FILES_MAX, Reached, TREE_MAX},
};

/// Where a file of the report is.
#[derive(Clone, Debug)]
enum Place {
    /// It was unpacked.
    Stored { extent: Extent, written: Option<Timestamp> },
    /// It lies in the directory of the report.
    OnDisk,
}

/// A file that can be read.
pub struct Opened {
    pub from: Box<dyn Read>,
    pub size: u64,
    pub written: Option<Timestamp>,
}

/// A journal file that libsystemd opens by this path, as long as this value lives.
#[derive(Debug)]
pub struct JournalFile {
    pub path: PathBuf,
    _held: Held,
}

#[derive(Debug)]
#[expect(dead_code, reason = "they keep the file open that the path leads to")]
enum Held {
    Stored(Extent),
    Open(std::fs::File),
}

/// Logs, files that show devices, and sysfs.
#[derive(Debug)]
pub(super) struct Catalog {
    files: BTreeMap<PathBuf, Place>,
    /// sysfs, udev's database and mountinfo.
    pub tree: Tree,
    /// The directory of the report.
    directory: Option<Arc<OwnedFd>>,
    pub left_out: LeftOut,
}

impl Catalog {
    /// Nothing yet.
    pub(super) fn new(directory: Option<OwnedFd>) -> Self {
        Self {
            files: BTreeMap::new(),
            tree: Tree::new(TREE_MAX),
            directory: directory.map(Arc::new),
            left_out: LeftOut::default(),
        }
    }

    /// Names in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    pub(super) fn has(&self, name: &Path) -> bool {
        self.files.contains_key(name)
    }

    /// Adds a file that lies in the directory.
    pub(super) fn add_on_disk(&mut self, name: PathBuf) {
        self.add(name, Place::OnDisk);
    }

    /// Adds what was unpacked in place of an earlier file of the name.
    pub(super) fn add_stored(&mut self, name: PathBuf, extent: Extent, written: Option<Timestamp>) {
        self.add(name, Place::Stored { extent, written });
    }

    /// Whether there is room for another file.
    pub(super) fn is_full(&self) -> bool {
        self.files.len() >= FILES_MAX
    }

    fn add(&mut self, name: PathBuf, place: Place) {
        if self.is_full() && !self.files.contains_key(&name) {
            self.left_out.reached(Reached::Files(FILES_MAX));
        } else {
            self.files.insert(name, place);
        }
    }

    /// Gives a file a second name; false if there is none of the first.
    pub(super) fn add_hard_link(&mut self, name: PathBuf, of: &Path) -> bool {
        let Some(place) = self.files.get(of).cloned() else { return false };
        self.add(name, place);
        true
    }

    /// Opens a file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is another thing by now.
    pub(super) fn open(&self, name: &Path) -> io::Result<Opened> {
        match (self.files.get(name), &self.directory) {
            (Some(Place::Stored { extent, written }), _) => {
                Ok(Opened { from: Box::new(extent.reader()), size: extent.length(), written: *written })
            }
            (Some(Place::OnDisk), Some(directory)) => {
                let file = walk::open_file(directory, name)?;
                let meta = file.metadata()?;
                let written = meta.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
                Ok(Opened { size: meta.len(), from: Box::new(file), written })
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Opens a journal file.
    ///
    /// # Errors
    ///
    /// As with [`Self::open`].
    pub(super) fn open_journal(&self, name: &Path) -> io::Result<JournalFile> {
        let path = |fd: i32| PathBuf::from(format!("/proc/self/fd/{fd}"));
        match (self.files.get(name), &self.directory) {
            (Some(Place::Stored { extent, .. }), _) => {
                Ok(JournalFile { path: path(extent.file().as_raw_fd()), _held: Held::Stored(extent.clone()) })
            }
            (Some(Place::OnDisk), Some(directory)) => {
                let file = walk::open_file(directory, name)?;
                Ok(JournalFile { path: path(file.as_raw_fd()), _held: Held::Open(file) })
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// What of a report was not read.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// Members whose name leads upwards, or is too long, too deep or empty.
    pub bad_names: u64,
    /// Members that have the name of something else.
    pub clashes: u64,
    /// Links that lead out of the report or nowhere.
    pub bad_links: u64,
    /// Devices, FIFOs and sockets in place of files.
    pub special: u64,
    /// Files that could not be stored, with the first reason.
    pub not_stored: Option<(u64, String)>,
    /// Bounds that were reached, each once.
    reached: Vec<Reached>,
    /// Why it could not be read to its end.
    pub broken: Option<String>,
}

impl LeftOut {
    pub(super) fn reached(&mut self, reached: Reached) {
        if !self.reached.contains(&reached) {
            self.reached.push(reached);
        }
    }

    pub(super) fn not_stored(&mut self, why: &dyn fmt::Display) {
        self.not_stored.get_or_insert_with(|| (0, why.to_string())).0 += 1;
    }

    /// One sentence for each thing.
    pub(super) fn sentences(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut add = |count: u64, what: &str| {
            if count > 0 {
                all.push(format!("{count} {what}"));
            }
        };
        add(self.bad_names, "members left out: their names lead upwards, are empty, too long or too deep");
        add(self.clashes, "members left out: something else has their name");
        add(self.bad_links, "hard links left out: they lead nowhere");
        add(self.special, "left out: they are devices, FIFOs, sockets or links in place of files");
        if let Some((count, why)) = &self.not_stored {
            add(*count, &format!("files could not be unpacked whole: {why}"));
        }
        all.extend(self.reached.iter().map(ToString::to_string));
        all.extend(self.broken.clone());
        all
    }
}
