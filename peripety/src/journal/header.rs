//! What a journal file's header says (systemd.io/JOURNAL_FILE_FORMAT), read without libsystemd and without mapping it.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// What a journal file begins with.
pub(super) const MAGIC: &[u8] = b"LPKSHHRH";
/// Bytes of the oldest form of the header.
const BYTES: usize = 208;

/// journald makes a file and then writes its header: how long that may take where there is much to do.
const WRITING: Duration = Duration::from_secs(1);
/// A file that is no older than this may be such a one.
const NEW: Duration = Duration::from_secs(10);

/// Of a journal file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The machine that wrote it, 32 hexadecimal digits.
    pub machine: String,
    /// Which numbering of entries.
    pub numbering: u128,
    /// How many entries it has.
    pub entries: u64,
    /// Number of its first entry; 0 if it has none.
    pub first: u64,
    /// Number of its last entry.
    pub last: u64,
    /// When its first entry was written, microseconds since 1970.
    pub first_us: u64,
    /// When its last entry was written, microseconds since 1970.
    pub last_us: u64,
}

impl Header {
    /// Reads it. A FIFO is not waited for.
    ///
    /// # Errors
    /// The file cannot be opened or read, or is no journal file.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
        let file: File = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let mut bytes = [0; BYTES];
        let begin = Instant::now();
        while let Err(error) = file.read_exact_at(&mut bytes, 0) {
            if error.kind() != io::ErrorKind::UnexpectedEof {
                return Err(error);
            }
            if begin.elapsed() > WRITING || !is_new(&file) {
                return Err(io::Error::other("too short for a journal file"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Self::parse(&bytes).ok_or_else(|| io::Error::other("not a journal file"))
    }

    /// Of the first bytes of a file; none if it is no journal file.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        bytes.starts_with(MAGIC).then_some(())?;
        let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let id = |at: usize| Some(u128::from_be_bytes(bytes.get(at..at + 16)?.try_into().ok()?));
        Some(Self {
            machine: format!("{:032x}", id(40)?),
            numbering: id(72)?,
            entries: number(152)?,
            last: number(160)?,
            first: number(168)?,
            first_us: number(184)?,
            last_us: number(192)?,
        })
    }
}

fn is_new(file: &File) -> bool {
    let written = file.metadata().and_then(|meta| meta.modified()).ok();
    written.and_then(|at| at.elapsed().ok()).is_some_and(|age| age < NEW)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_header_is_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _none = Header::parse(&bytes);
            bytes.splice(0..0, MAGIC.iter().copied());
            prop_assert_eq!(Header::parse(&bytes).is_some(), bytes.len() >= 200);
        }
    }

    #[test]
    fn a_file_that_is_just_made_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("system.journal");
        let file = File::create(&path).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                let mut bytes = MAGIC.to_vec();
                bytes.resize(BYTES, 0);
                file.write_all_at(&bytes, 0).unwrap();
            });
            assert_eq!(Header::read(&path).unwrap().entries, 0);
        });
    }

    #[test]
    fn what_is_no_journal_file_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("system.journal");
        for (text, says) in [(vec![0xa5; 70_000], "not a journal"), (MAGIC.to_vec(), "too short")] {
            std::fs::write(&file, text).unwrap();
            assert!(Header::read(&file).unwrap_err().to_string().contains(says));
        }
        assert!(Header::read(directory.path()).is_err());
    }
}
