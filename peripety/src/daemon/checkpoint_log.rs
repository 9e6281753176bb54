//! What a daemon leaves to its successor within one boot, at whatever moment it is killed (promise 1): how far its sources
//! are read, what the engine has open, how far the spool is filled.
//!
//! It lies in /run, in memory, never on a disk that may be the failing one (promise 6). The file grows by one write per
//! visit to the sources, notes first and their commit last, and is written anew when it is long. Only whole commits count:
//! what a killed daemon had noted without one is read from the sources again. A damaged line costs what it said, and no line
//! after it.
//!
//! The file stays open: where no new one can be made (/run is full, no descriptor is left), all is written in the place of
//! the old one. Where that fails too, nothing is written until [`CheckpointLog::try_again`].

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader},
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{sources::SavedLosses, tally::SavedTally};
use crate::{
    checked::{Lines, Piece, seal},
    collector::ebpf::RingState,
    correlate::Saved,
};

/// Name of the file.
pub(crate) const LOGBOOK: &str = "logbook";
/// Of the format; a file of another version is not taken.
const VERSION: u32 = 2;
/// From this length on it is written anew.
const LONG: u64 = 4 << 20;

/// How far things are, at a commit. What did not change is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Last record of /dev/kmsg that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kmsg_seq: Option<u64>,
    /// How far the rings are read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rings: Vec<RingState>,
    /// Last event in journald's spool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spooled: Option<u64>,
    /// Since when the probes see (CLOCK_MONOTONIC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_since_ns: Option<u64>,
    /// Last entry of the journal that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_cursor: Option<String>,
    /// Losses that were reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub losses: Option<SavedLosses>,
    /// What metrics count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tally: Option<SavedTally>,
}

impl Commit {
    fn take(&mut self, later: Self) {
        self.kmsg_seq = later.kmsg_seq.or(self.kmsg_seq);
        self.spooled = later.spooled.or(self.spooled);
        self.live_since_ns = later.live_since_ns.or(self.live_since_ns);
        if later.journal_cursor.is_some() {
            self.journal_cursor = later.journal_cursor;
        }
        for ring in later.rings {
            ring.replace_in(&mut self.rings);
        }
        match (&mut self.losses, later.losses) {
            (Some(losses), Some(later)) => losses.take(later),
            (losses @ None, later) => *losses = later,
            (Some(_), None) => {}
        }
        if let Some(later) = later.tally {
            self.tally.get_or_insert_default().take(later);
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Title {
    logbook: u32,
    boot_id: String,
    version: String,
}

/// What an earlier daemon left.
#[derive(Default)]
pub struct Left {
    /// How far it was.
    pub commit: Commit,
    /// What it had open.
    pub open: Saved,
    /// Lines that could not be read.
    pub bad_lines: u64,
}

/// The logbook.
#[derive(Debug)]
pub struct CheckpointLog {
    path: PathBuf,
    /// The lines that a file begins with.
    title: Vec<u8>,
    file: Option<File>,
    len: u64,
    buffer: Vec<u8>,
    trouble: Option<String>,
}

impl CheckpointLog {
    /// Reads what an earlier daemon of this boot left; nothing if there was none, or its notes cannot be understood.
    pub fn open(runtime: &Path, boot_id: &str) -> (Self, Option<Left>) {
        let path = runtime.join(LOGBOOK);
        let title = Title {
            logbook: VERSION,
            boot_id: boot_id.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let title = serde_json::to_string(&title).unwrap_or_default();
        let mut lines = Vec::new();
        // Twice: without it the rest says nothing.
        seal(&mut lines, title.as_bytes());
        seal(&mut lines, title.as_bytes());
        let left = match read(&path, boot_id) {
            Ok(left) => left,
            Err(error) => {
                tracing::warn!(
                    "what an earlier daemon noted in {} is not understood: {error}; events that it had open \
                     begin anew",
                    path.display()
                );
                None
            }
        };
        (Self { path, title: lines, file: None, len: 0, buffer: Vec::new(), trouble: None }, left)
    }

    /// Takes a note of the engine, to be written with the next commit.
    pub fn note(&mut self, note: &str) {
        seal(&mut self.buffer, format!("N{note}").as_bytes());
    }

    /// Whether everything is to be noted for the next commit, because the file is new or long.
    pub const fn wants_all(&self) -> bool {
        self.file.is_none() || self.len > LONG
    }

    /// Why it cannot be written; nothing is, until [`CheckpointLog::try_again`]. A successor would know less.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Lets the next commit be written, whatever there was.
    pub fn try_again(&mut self) {
        self.trouble = None;
        if self.in_place_or_why_not().is_err() {
            self.file = None;
        }
    }

    /// Leaves the file alone until [`CheckpointLog::try_again`].
    pub fn leave_alone(&mut self, why: &str) {
        self.trouble = Some(why.to_owned());
    }

    /// Writes notes and commit.
    pub fn commit(&mut self, commit: &Commit) {
        let notes = std::mem::take(&mut self.buffer);
        if self.trouble.is_some() {
            return;
        }
        let Ok(json) = serde_json::to_string(commit) else { return };
        let mut last = Vec::new();
        seal(&mut last, format!("C{json}").as_bytes());
        let written = if self.wants_all() {
            self.begin(&notes, &last).or_else(|error| self.in_place(&notes, &last).map_err(|_also| error))
        } else {
            // An empty line, so that half a note of an interrupted write does not stand before the next one.
            self.append(&[b"\n", notes.as_slice(), &last].concat())
        };
        if let Err(error) = written {
            self.trouble = Some(error.to_string());
        }
    }

    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        self.in_place_or_why_not()?;
        let Some(file) = &self.file else { return Ok(()) };
        if let Err(error) = file.write_all_at(text, self.len) {
            let _best_effort = file.set_len(self.len);
            // What the notes said is to be said again.
            self.len = self.len.max(LONG + 1);
            return Err(error);
        }
        self.len += text.len() as u64;
        Ok(())
    }

    /// Whether the path still leads to the file: a directory that was removed takes writes that nobody finds.
    fn in_place_or_why_not(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Err(io::ErrorKind::NotFound.into()) };
        let (own, there) = (file.metadata()?, fs::metadata(&self.path)?);
        let is_same = (own.dev(), own.ino()) == (there.dev(), there.ino());
        if is_same { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// A new file, which takes the place of the old one when it is whole.
    fn begin(&mut self, notes: &[u8], commit: &[u8]) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        let text = [&self.title, notes, commit].concat();
        if let Err(error) = file.write_all_at(&text, 0).and_then(|()| fs::rename(&new, &self.path)) {
            // It gives back its room.
            let _best_effort = file.set_len(0);
            let _best_effort = fs::remove_file(&new);
            return Err(error);
        }
        self.len = text.len() as u64;
        self.file = Some(file);
        Ok(())
    }

    /// All in the place of the old file, whose room there is; the commit alone where that is not enough. The title is
    /// written last: without it nothing of the file counts.
    fn in_place(&mut self, notes: &[u8], commit: &[u8]) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new().write(true).open(&self.path)?,
        };
        let begin = self.title.len() as u64;
        let write = |text: &[u8]| {
            file.write_all_at(&vec![0; self.title.len()], 0)?;
            file.write_all_at(text, begin)?;
            file.set_len(begin + text.len() as u64)?;
            file.write_all_at(&self.title, 0)?;
            Ok(begin + text.len() as u64)
        };
        let whole = write(&[notes, commit].concat());
        self.len = match whole {
            Ok(len) => len,
            Err(error) => {
                let _commit_alone = write(commit);
                self.file = Some(file);
                self.len = LONG + 1;
                return Err(error);
            }
        };
        self.file = Some(file);
        Ok(())
    }
}

/// Why nothing of a checkpoint log can be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// Another version of peripetyd wrote it.
    #[error("it is of version {0} of the format, not {VERSION}")]
    Version(u32),
    /// It is something else.
    #[error("it does not begin as a logbook does")]
    Foreign,
}

fn read(path: &Path, boot_id: &str) -> Result<Option<Left>, CheckpointError> {
    match File::open(path) {
        Ok(file) => decode(BufReader::new(file), boot_id),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What stands in a logbook; nothing if it is of another boot.
///
/// # Errors
/// Nothing of it can be used.
pub fn decode(input: impl BufRead, boot_id: &str) -> Result<Option<Left>, CheckpointError> {
    let mut lines = Lines::new(input);
    let (mut left, mut notes, mut titles) = (Left::default(), Vec::new(), 0);
    while let Some((piece, _)) = lines.next_piece()? {
        let text = match piece {
            Piece::Line => std::str::from_utf8(lines.text()).unwrap_or_default(),
            Piece::Bad => {
                left.bad_lines += 1;
                continue;
            }
            // The daemon was killed while it wrote: it had not committed that.
            Piece::Torn => break,
        };
        if let Some(note) = text.strip_prefix('N').filter(|_| titles > 0) {
            notes.push(note.to_owned());
        } else if let Some(commit) = text.strip_prefix('C').filter(|_| titles > 0) {
            let Ok(commit) = serde_json::from_str(commit) else {
                left.bad_lines += 1;
                continue;
            };
            for note in notes.drain(..) {
                left.bad_lines += u64::from(left.open.take(&note).is_err());
            }
            left.commit.take(commit);
        } else {
            let Ok(title) = serde_json::from_str::<Title>(text) else {
                left.bad_lines += 1;
                continue;
            };
            if title.boot_id != boot_id {
                return Ok(None);
            }
            if title.logbook != VERSION {
                return Err(CheckpointError::Version(title.logbook));
            }
            titles += 1;
        }
    }
    match (titles, left.bad_lines) {
        (0, 0) => Ok(None),
        (0, _) => Err(CheckpointError::Foreign),
        _ => Ok(Some(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(kmsg_seq: u64) -> Commit {
        Commit { kmsg_seq: Some(kmsg_seq), ..Commit::default() }
    }

    fn left(dir: &Path, boot: &str) -> Option<Commit> {
        CheckpointLog::open(dir, boot).1.map(|left| left.commit)
    }

    #[test]
    fn whole_commits_of_this_boot_count() {
        let dir = tempfile::tempdir().unwrap();
        let (mut book, none) = CheckpointLog::open(dir.path(), "boot");
        assert!(none.is_none());
        book.commit(&commit(1));
        book.commit(&Commit { spooled: Some(7), ..Commit::default() });
        book.note("{\"lost_before\":3}");
        let path = dir.path().join("logbook");
        assert_eq!(left(dir.path(), "boot").unwrap(), Commit { spooled: Some(7), ..commit(1) });
        assert!(left(dir.path(), "next boot").is_none());

        // Killed while it wrote.
        let whole = fs::read(&path).unwrap();
        let mut next = Vec::new();
        seal(&mut next, b"N{\"lost_before\":3}");
        seal(&mut next, b"C{\"kmsg_seq\":2}");
        for len in 0..next.len() {
            fs::write(&path, [&whole, b"\n".as_slice(), &next[..len]].concat()).unwrap();
            assert_eq!(left(dir.path(), "boot").unwrap().kmsg_seq, Some(1), "{len}");
        }
        for strange in ["", "{}", "{\"logbook\":2,\"boot_id\":\"boot\",\"version\":\"9\"}\n", "\u{0}\n"] {
            fs::write(&path, strange).unwrap();
            assert!(left(dir.path(), "boot").is_none(), "{strange}");
        }
    }

    #[test]
    fn damage_costs_the_lines_that_it_hits() {
        let dir = tempfile::tempdir().unwrap();
        let (mut book, _) = CheckpointLog::open(dir.path(), "boot");
        for seq in 1..=5 {
            book.note(&format!("{{\"lost_before\":{seq}}}"));
            book.commit(&commit(seq));
        }
        let path = dir.path().join("logbook");
        let whole = fs::read(&path).unwrap();
        let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
        for (at, with) in
            (0..whole.len()).step_by(3).flat_map(|at| [(at, 0), (at, b'\n'), (at, b'x'), (at, 0xff)])
        {
            let mut bytes = whole.clone();
            let end = (at + 40).min(bytes.len());
            if bytes[at..end].iter().all(|byte| *byte == with) {
                continue;
            }
            bytes[at..end].fill(with);
            fs::write(&path, &bytes).unwrap();
            let last_commit_is_hit = end > ends[ends.len() - 2];
            let found = CheckpointLog::open(dir.path(), "boot").1;
            if at < ends[1] && end > ends[0] {
                continue; // Both titles.
            }
            let found = found.unwrap_or_else(|| panic!("{at} {with}"));
            let read = found.commit.kmsg_seq.unwrap();
            assert!(
                if last_commit_is_hit { (3..=4).contains(&read) } else { read == 5 },
                "{at} {with}: {read}"
            );
            assert!(found.bad_lines > 0 || last_commit_is_hit || with == b'\n', "{at} {with}");
        }
    }

    #[test]
    fn where_no_new_file_can_be_made_it_is_written_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let (mut book, _) = CheckpointLog::open(dir.path(), "boot");
        book.commit(&commit(1));
        // A directory stands where the new file would be made.
        fs::create_dir(dir.path().join("logbook.new")).unwrap();
        let note = format!("{{\"lost_before\":{}}}", "1".repeat(15));
        for seq in 2..40 {
            for _ in 0..5000 {
                book.note(&note);
            }
            book.commit(&commit(seq));
            assert_eq!(book.trouble(), None);
            assert_eq!(left(dir.path(), "boot").unwrap().kmsg_seq, Some(seq));
        }
        assert!(fs::metadata(dir.path().join("logbook")).unwrap().len() < 2 * LONG);
        let (mut book, _) = CheckpointLog::open(dir.path(), "boot");
        book.commit(&commit(50));
        assert_eq!(left(dir.path(), "boot").unwrap().kmsg_seq, Some(50), "also a successor's first");
    }

    #[test]
    fn a_long_one_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (mut book, _) = CheckpointLog::open(dir.path(), "boot");
        let note = format!("{{\"lost_before\":{}}}", "1".repeat(15));
        let mut anew = 0;
        for seq in 0..100 {
            anew += u32::from(book.wants_all());
            for _ in 0..3000 {
                book.note(&note);
            }
            book.commit(&commit(seq));
        }
        assert!((2..6).contains(&anew), "{anew}");
        assert!(fs::metadata(dir.path().join("logbook")).unwrap().len() < 2 * LONG);
        assert_eq!(left(dir.path(), "boot").unwrap().kmsg_seq, Some(99));
    }

    #[test]
    fn without_room_it_begins_anew_later() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = dir.path().join("not yet");
        let (mut book, _) = CheckpointLog::open(&runtime, "boot");
        book.commit(&commit(1));
        assert!(book.wants_all() && book.trouble().is_some());
        fs::create_dir(&runtime).unwrap();
        book.commit(&commit(2));
        assert!(book.trouble().is_some(), "it is left alone");
        book.try_again();
        book.commit(&commit(2));
        assert!(!book.wants_all());
        assert_eq!(left(&runtime, "boot"), Some(commit(2)));

        fs::remove_dir_all(&runtime).unwrap();
        book.commit(&commit(3));
        assert!(book.trouble().is_some(), "nobody would find it");
        fs::create_dir(&runtime).unwrap();
        book.try_again();
        assert!(book.wants_all());
        book.commit(&commit(4));
        assert_eq!(left(&runtime, "boot"), Some(commit(4)));
    }
}
