//! The two files of the spool.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader},
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::lines::{Found, Line, Mark};
use crate::checked::unseal;

/// The events that wait.
pub(crate) const SPOOL: &str = "spool";
/// How far they are.
pub(crate) const MARK: &str = "spool.sent";

/// Opened files.
#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    file: File,
    mark: Option<File>,
    /// Whether they can be written; a read-only /run still shows what waits.
    pub(super) writable: bool,
    /// Length that is in use.
    pub(super) end: u64,
    /// Place of the next line.
    pub(super) place: u64,
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn is_same(own: &File, other: fs::Metadata) -> bool {
    own.metadata().is_ok_and(|own| (own.dev(), own.ino()) == (other.dev(), other.ino()) && own.nlink() > 0)
}

impl Files {
    /// Opens, and creates where needed.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(SPOOL);
        let (file, mark) = (open(&path)?, open(&dir.join(MARK))?);
        Ok(Self { path, file, mark: Some(mark), writable: true, end: 0, place: 0 })
    }

    /// Opens what is there, to read it only.
    pub(super) fn open_to_read(dir: &Path) -> io::Result<Self> {
        let path = dir.join(SPOOL);
        let (file, mark) = (File::open(&path)?, File::open(dir.join(MARK)).ok());
        Ok(Self { path, file, mark, writable: false, end: 0, place: 0 })
    }

    /// What an earlier daemon left in them.
    pub(super) fn read_back(&mut self, committed: Option<u64>) -> (Found, Option<Mark>) {
        let mut text = [0; 64];
        let mark = self.mark.as_ref().and_then(|mark| {
            let len = mark.read_at(&mut text, 0).ok()?;
            Mark::parse(text.get(..len)?)
        });
        let found = Found::read(BufReader::new(&self.file), mark, committed);
        (self.end, self.place) = (found.end, found.place);
        (found, mark)
    }

    /// Whether their path still leads to them: a directory that was removed or mounted over takes writes that nobody finds.
    pub(super) fn are_in_place(&self) -> bool {
        self.in_place_or_why_not().is_ok()
    }

    /// The same, with the reason.
    pub(super) fn in_place_or_why_not(&self) -> io::Result<()> {
        let mark = self.path.with_file_name(MARK);
        let is_marked = match &self.mark {
            Some(own) => is_same(own, fs::metadata(mark)?),
            None => true,
        };
        let in_place = is_marked && is_same(&self.file, fs::metadata(&self.path)?);
        if in_place { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Whether the other one is the same file.
    pub(super) fn same_file(&self, other: &Self) -> bool {
        other.file.metadata().is_ok_and(|other| is_same(&self.file, other))
    }

    /// Adds lines; where they begin. Nothing is added when it fails.
    pub(super) fn append(&mut self, lines: &[u8], count: u64) -> io::Result<u64> {
        if let Err(error) = self.file.write_all_at(lines, self.end) {
            let _best_effort = self.file.set_len(self.end);
            return Err(error);
        }
        let start = self.end;
        self.end += lines.len() as u64;
        self.place += count;
        Ok(start)
    }

    /// The JSON of the line with this number.
    pub(super) fn read(&self, number: u64, offset: u64, len: usize) -> Option<Vec<u8>> {
        let mut line = vec![0; len];
        self.file.read_exact_at(&mut line, offset).ok()?;
        let line = Line::parse(unseal(line.strip_suffix(b"\n")?)?)?;
        (line.number == number).then(|| line.json.to_vec())
    }

    /// Cuts off what is not in use.
    pub(super) fn cut(&self) -> io::Result<()> {
        self.file.set_len(self.end)
    }

    /// Nothing waits: gives the room back.
    pub(super) fn empty(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        (self.end, self.place) = (0, 0);
        Ok(())
    }

    /// Writes down how far the events are.
    pub(super) fn write_mark(&self, mark: Mark) -> io::Result<()> {
        let Some(file) = self.mark.as_ref().filter(|_| self.writable) else {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        };
        file.write_all_at(&mark.write(), 0)
    }

    /// Begins a new file beside the one in use, which it replaces with [`Files::put_in_place`].
    pub(super) fn begin_anew(&self) -> io::Result<Self> {
        let new = self.path.with_extension("new");
        let file = open(&new)?;
        file.set_len(0)?;
        let mark = self.mark.as_ref().map(File::try_clone).transpose()?;
        Ok(Self { path: new, file, mark, writable: true, end: 0, place: 0 })
    }

    /// Lets it take the place of the other one.
    pub(super) fn put_in_place(&mut self, other: &Self) -> io::Result<()> {
        fs::rename(&self.path, &other.path)?;
        self.path.clone_from(&other.path);
        Ok(())
    }

    /// Removes a new file that is not to take any place.
    pub(super) fn discard(self) {
        let _best_effort = self.file.set_len(0);
        let _best_effort = fs::remove_file(&self.path);
    }
}
