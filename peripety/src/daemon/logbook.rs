//! What a daemon leaves to its successor within one boot, at whatever moment it is killed (promise 1): how far its sources
//! are read, what the engine has open, how far the spool is filled.
//!
//! It lies in /run, in memory, never on a disk that may be the failing one (promise 6). The file grows by one write per
//! visit to the sources, notes first and their commit last, and is written anew when it is long. Only whole commits count:
//! what a killed daemon had noted without one is read from the sources again.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::run::Told;
use crate::{collector::ebpf::RingState, correlate::Saved};

/// Of the format; a file of another version is not taken.
const VERSION: u32 = 1;
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
    /// Losses that were told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub losses: Option<Told>,
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
        if later.losses.is_some() {
            self.losses = later.losses;
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
}

/// The logbook.
#[derive(Debug)]
pub struct Logbook {
    path: PathBuf,
    title: String,
    file: Option<File>,
    len: u64,
    buffer: String,
    told: bool,
}

impl Logbook {
    /// Reads what an earlier daemon of this boot left; nothing if there was none, or its notes cannot be understood.
    pub fn open(runtime: &Path, boot_id: &str) -> (Self, Option<Left>) {
        let path = runtime.join("logbook");
        let title = Title {
            logbook: VERSION,
            boot_id: boot_id.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let title = serde_json::to_string(&title).unwrap_or_default();
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
        (Self { path, title, file: None, len: 0, buffer: String::new(), told: false }, left)
    }

    /// Takes a note of the engine, to be written with the next commit.
    pub fn note(&mut self, note: &str) {
        self.buffer.push('N');
        self.buffer.push_str(note);
        self.buffer.push('\n');
    }

    /// Whether everything is to be noted for the next commit, because the file is new or long.
    pub const fn wants_all(&self) -> bool {
        self.file.is_none() || self.len > LONG
    }

    /// Writes notes and commit. Without room in /run the daemon goes on, and a successor would know less.
    pub fn commit(&mut self, commit: &Commit) {
        let all = self.wants_all();
        let Ok(json) = serde_json::to_string(commit) else { return };
        self.buffer.push('C');
        self.buffer.push_str(&json);
        self.buffer.push('\n');
        let written = if all { self.begin() } else { self.append() };
        self.buffer.clear();
        match written {
            Ok(()) if self.told => {
                tracing::info!("{} can be written again", self.path.display());
                self.told = false;
            }
            Ok(()) => {}
            Err(error) => {
                // Half a note must not stand before the next one.
                self.file = None;
                if !self.told {
                    tracing::warn!(
                        "cannot write to {}: {error}; were this daemon killed now, its open events would begin anew",
                        self.path.display()
                    );
                }
                self.told = true;
            }
        }
    }

    fn append(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(self.buffer.as_bytes())?;
        self.len += self.buffer.len() as u64;
        Ok(())
    }

    /// A new file, which takes the place of the old one when it is whole.
    fn begin(&mut self) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        let text = format!("{}\n{}", self.title, self.buffer);
        file.write_all(text.as_bytes())?;
        fs::rename(&new, &self.path)?;
        self.len = text.len() as u64;
        self.file = Some(file);
        Ok(())
    }
}

fn read(path: &Path, boot_id: &str) -> Result<Option<Left>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut lines = BufReader::new(file).split(b'\n');
    let Some(Ok(title)) = lines.next() else { return Ok(None) };
    let title: Title = serde_json::from_slice(&title).map_err(|e| e.to_string())?;
    if title.boot_id != boot_id {
        return Ok(None);
    }
    if title.logbook != VERSION {
        return Err(format!("it is of version {} of the format, not {VERSION}", title.logbook));
    }
    let mut left = Left::default();
    let mut notes = Vec::new();
    // The last line has no end if the daemon was killed while it wrote: it is no commit, or cannot be read as one.
    for line in lines {
        let line = line.map_err(|e| e.to_string())?;
        let line = std::str::from_utf8(&line).map_err(|e| e.to_string())?;
        if let Some(note) = line.strip_prefix('N') {
            notes.push(note.to_owned());
        } else if let Some(commit) = line.strip_prefix('C') {
            let Ok(commit) = serde_json::from_str(commit) else { break };
            for note in notes.drain(..) {
                left.open.take(&note).map_err(|e| e.to_string())?;
            }
            left.commit.take(commit);
        }
    }
    Ok(Some(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(kmsg_seq: u64) -> Commit {
        Commit { kmsg_seq: Some(kmsg_seq), ..Commit::default() }
    }

    fn left(dir: &Path, boot: &str) -> Option<Commit> {
        Logbook::open(dir, boot).1.map(|left| left.commit)
    }

    #[test]
    fn whole_commits_of_this_boot_count() {
        let dir = tempfile::tempdir().unwrap();
        let (mut book, none) = Logbook::open(dir.path(), "boot");
        assert!(none.is_none());
        book.commit(&commit(1));
        book.commit(&Commit { spooled: Some(7), ..Commit::default() });
        book.note("{\"lost_before\":3}");
        let path = dir.path().join("logbook");
        assert_eq!(left(dir.path(), "boot").unwrap(), Commit { spooled: Some(7), ..commit(1) });
        assert!(left(dir.path(), "next boot").is_none());

        // Killed while it wrote.
        let whole = fs::read(&path).unwrap();
        for torn in ["N{\"slot\":[1,{\"fo", "C{\"kmsg_s", "C", "N{\"lost_before\":3}\nC{\"kmsg_seq\":2"] {
            fs::write(&path, [&whole, torn.as_bytes()].concat()).unwrap();
            assert_eq!(left(dir.path(), "boot").unwrap().kmsg_seq, Some(1), "{torn}");
        }
        for strange in ["", "{}", "{\"logbook\":99,\"boot_id\":\"boot\",\"version\":\"9\"}\n", "\u{0}\n"] {
            fs::write(&path, strange).unwrap();
            assert!(left(dir.path(), "boot").is_none(), "{strange}");
        }
    }

    #[test]
    fn a_long_one_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (mut book, _) = Logbook::open(dir.path(), "boot");
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
        let (mut book, _) = Logbook::open(&runtime, "boot");
        book.commit(&commit(1));
        assert!(book.wants_all());
        fs::create_dir(&runtime).unwrap();
        book.commit(&commit(2));
        assert!(!book.wants_all());
        assert_eq!(left(&runtime, "boot"), Some(commit(2)));
    }
}
