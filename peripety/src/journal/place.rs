//! Which files are the journal.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::wire::{Unread, Why};
use crate::roots::Roots;

/// Files of one journal; journald itself keeps some hundred at most.
const FILES_MAX: usize = 4096;

/// Where the files are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// In directories such as journald's, and in those below them that are named after a machine.
    Directories {
        /// The directories.
        paths: Vec<PathBuf>,
        /// Only this machine's.
        machine: Option<String>,
        /// Only those of the system; those of users hold nothing that a service wrote.
        system: bool,
    },
    /// These.
    Files(Vec<PathBuf>),
}

/// A file, whatever it is called: journald renames files when it rotates them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileId {
    /// Its filesystem.
    pub dev: u64,
    /// Its inode.
    pub ino: u64,
}

/// A journal file that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Found {
    /// Its path.
    pub path: PathBuf,
    /// What it is.
    pub id: FileId,
}

/// The files of a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// In the order of their paths.
    pub files: Vec<Found>,
    /// Directories for them that may not be read.
    pub denied: Option<PathBuf>,
    /// Whether there is a directory for them.
    pub exists: bool,
    /// What the disk does not give: nothing is known of it.
    pub unread: Vec<Unread>,
}

impl Place {
    /// The system's journal, or the directory of journal files that `roots` names.
    pub(crate) fn of(roots: &Roots) -> Self {
        let given = |path: PathBuf| Self::Directories { paths: vec![path], machine: None, system: false };
        if let Some(directory) = &roots.journal {
            return given(directory.clone());
        }
        let (lasting, volatile) = (roots.log.join("journal"), roots.run.join("log/journal"));
        if roots.run == Path::new("/run") {
            return Self::Directories {
                paths: vec![lasting, volatile],
                machine: machine_id(roots),
                system: true,
            };
        }
        given(if lasting.is_dir() { lasting } else { volatile })
    }

    /// What stands for it in a message.
    pub(crate) fn path(&self) -> PathBuf {
        let paths = match self {
            Self::Directories { paths, .. } | Self::Files(paths) => paths,
        };
        paths.first().cloned().unwrap_or_default()
    }
}

/// This machine's id, 32 hexadecimal digits.
pub(crate) fn machine_id(roots: &Roots) -> Option<String> {
    let id = fs::read_to_string(roots.etc.join("machine-id")).ok()?;
    let id = id.trim();
    is_id(id).then(|| id.to_ascii_lowercase())
}

fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Looks which files are there. `touch` is called before each directory.
///
/// # Errors
/// Those of `touch`.
pub(crate) fn list(place: &Place, touch: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<Listing> {
    let mut listing = Listing::default();
    match place {
        Place::Files(paths) => {
            listing.exists = true;
            for path in paths {
                touch(path)?;
                listing.add(path.clone());
            }
        }
        Place::Directories { paths, machine, system } => {
            for path in paths {
                touch(path)?;
                listing.exists |= path.is_dir();
                for entry in listing.read(path) {
                    let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    let of_machine = name.get(..32).filter(|id| is_id(id) && name.len() == 32);
                    if is_journal(&name, *system) && (machine.is_none() || !system) {
                        listing.add(entry);
                    } else if of_machine.is_some_and(|id| machine.as_ref().is_none_or(|own| own == id)) {
                        touch(&entry)?;
                        for file in listing.read(&entry) {
                            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                            if is_journal(&name, *system) {
                                listing.add(file);
                            }
                        }
                    }
                }
            }
        }
    }
    listing.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listing)
}

/// Whether any file of a place, or of the directories below it, may be read by this user; where not, which may not.
///
/// # Errors
/// Those of `touch`.
pub(super) fn may_read(
    place: &Place,
    touch: &mut dyn FnMut(&Path) -> io::Result<()>,
) -> io::Result<(bool, Option<PathBuf>)> {
    let Place::Directories { paths, system, .. } = place else { return Ok((true, None)) };
    let mut listing = Listing::default();
    let mut denied = None;
    for path in paths {
        touch(path)?;
        let below = listing.read(path).into_iter().filter(|entry| entry.is_dir());
        for directory in below.collect::<Vec<_>>().into_iter().chain([path.clone()]) {
            touch(&directory)?;
            for file in listing.read(&directory) {
                let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if !is_journal(&name, *system) || !file.is_file() {
                    continue;
                }
                match fs::File::open(&file) {
                    Ok(_) => return Ok((true, None)),
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => denied = Some(file),
                    Err(_) => {}
                }
            }
        }
    }
    Ok((false, listing.denied.or(denied)))
}

impl Listing {
    fn read(&mut self, directory: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).and_then(|entries| {
            entries.take(FILES_MAX).map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()
        });
        entries.unwrap_or_else(|error| {
            match error.kind() {
                io::ErrorKind::PermissionDenied => self.denied = Some(directory.to_owned()),
                io::ErrorKind::NotFound => {}
                _ => self.give_up(directory, &error),
            }
            Vec::new()
        })
    }

    fn add(&mut self, path: PathBuf) {
        // A link is followed, as libsystemd does.
        let meta = match fs::metadata(&path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.give_up(&path, &error),
        };
        let id = FileId { dev: meta.dev(), ino: meta.ino() };
        let known = self.files.iter().any(|found| found.id == id);
        if meta.is_file() && !known && self.files.len() < FILES_MAX {
            self.files.push(Found { path, id });
        }
    }

    fn give_up(&mut self, path: &Path, error: &io::Error) {
        let (read_until_us, entries, last_us) = (None, 0, 0);
        let (path, id, why) = (path.to_owned(), None, Why::of(error));
        self.unread.push(Unread { path, id, why, read_until_us, entries, last_us });
    }
}

/// Whether it is called like a journal file; of the system, and not of a user, where it is asked so.
fn is_journal(name: &str, of_system: bool) -> bool {
    (name.starts_with("system") || !of_system) && (name.ends_with(".journal") || name.ends_with(".journal~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "00112233445566778899aabbccddeeff";
    const OTHER: &str = "ffeeddccbbaa99887766554433221100";

    #[test]
    fn the_system_s_own_files_are_the_journal() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        for file in [
            &format!("{OWN}/system.journal"),
            &format!("{OWN}/system@1-2.journal~"),
            &format!("{OWN}/user-1000.journal"),
            &format!("{OWN}.namespace/system.journal"),
            &format!("{OTHER}/system.journal"),
            "remote/remote-web1.journal",
            "system.journal",
        ] {
            fs::create_dir_all(at(file).parent().unwrap()).unwrap();
            fs::write(at(file), "").unwrap();
        }
        let names = |machine: Option<&str>, system| {
            let place = Place::Directories {
                paths: vec![directory.path().to_owned(), at("not there")],
                machine: machine.map(str::to_owned),
                system,
            };
            let found = list(&place, &mut |_| Ok(())).unwrap();
            assert!(found.exists);
            found
                .files
                .iter()
                .map(|f| f.path.strip_prefix(directory.path()).unwrap().display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            names(Some(OWN), true),
            [format!("{OWN}/system.journal"), format!("{OWN}/system@1-2.journal~")]
        );
        assert_eq!(names(None, false).len(), 5, "{:?}", names(None, false));
        fs::hard_link(at("system.journal"), at("again.journal")).unwrap();
        assert_eq!(names(None, false).len(), 5, "one file under two names");
        let nothing = Place::Directories { paths: vec![at("not there")], machine: None, system: true };
        assert_eq!(list(&nothing, &mut |_| Ok(())).unwrap(), Listing::default());
    }
}
