//! Room on disk for the logs of an archive: files without a name, which are gone with the process however it ends.
//!
//! The files are made before the process gives up its rights ([`Spool::prepare`]); what is unpacked later needs no path.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
    sync::Arc,
};

use super::members::Sparse;
use crate::offline::bounds::{JOURNALS_MAX, Limits, Reached};

/// A part of a file that is log or table.
#[derive(Clone, Debug)]
pub struct Extent {
    file: Arc<File>,
    at: u64,
    length: u64,
}

impl Extent {
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The file, which for a journal has nothing else in it.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Reads it from its begin.
    pub fn reader(&self) -> impl Read + use<> {
        ExtentReader { extent: self.clone(), read: 0 }
    }
}

struct ExtentReader {
    extent: Extent,
    read: u64,
}

impl Read for ExtentReader {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let left = self.extent.length - self.read;
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(to.len());
        let to = to.get_mut(..most).unwrap_or_default();
        let length = self.extent.file.read_at(to, self.extent.at.saturating_add(self.read))?;
        self.read += length as u64;
        Ok(length)
    }
}

/// The room on disk.
#[derive(Debug)]
pub struct Spool {
    /// Logs and tables, one after the other.
    texts: Option<Arc<File>>,
    /// Files for journals, which libsystemd has to have for itself.
    spare: Vec<Arc<File>>,
    lent: Vec<Arc<File>>,
    /// No file can be made any more.
    prepared: bool,
    used: u64,
    most: u64,
}

/// Why something could not be stored whole.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What it is read from.
    #[error(transparent)]
    Read(io::Error),
    /// The place where it is stored.
    #[error("cannot write to {}: {source} (TMPDIR may name another directory)", std::env::temp_dir().display())]
    Write {
        /// Why not.
        source: io::Error,
    },
    /// A bound.
    #[error(transparent)]
    Reached(#[from] Reached),
}

impl Spool {
    /// Room that is not there yet: the first file is made when it is needed.
    pub fn new(limits: &Limits) -> Self {
        Self { texts: None, spare: Vec::new(), lent: Vec::new(), prepared: false, used: 0, most: limits.disk }
    }

    /// Makes the files beforehand, as many as there may be journals.
    ///
    /// # Errors
    ///
    /// No file can be made in the directory for temporary files.
    pub fn prepare(&mut self, journals: usize) -> io::Result<()> {
        self.texts = Some(Arc::new(tempfile::tempfile()?));
        self.prepared = true;
        for _ in 0..journals.min(JOURNALS_MAX) {
            match tempfile::tempfile() {
                Ok(file) => self.spare.push(Arc::new(file)),
                // A process may have no more files open.
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// What is stored is needed no more: its room is for the next archive.
    pub fn clear(&mut self) {
        self.used = 0;
        self.spare.append(&mut self.lent);
        for file in self.texts.iter().chain(&self.spare) {
            let _the_room_stays_taken = file.set_len(0);
        }
    }

    /// Bytes on disk.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Stores a text to its end. What could be stored is given also where not all could be; holes are left out, for there is
    /// no text in them.
    pub fn text(&mut self, mut from: impl Read) -> (Option<Extent>, Option<StoreError>) {
        let mut writer = match self.begin() {
            Ok(writer) => writer,
            Err(error) => return (None, Some(error)),
        };
        let mut buffer = vec![0; 64 << 10];
        let error = loop {
            match from.read(&mut buffer) {
                Ok(0) => break None,
                Ok(length) => {
                    if let Err(error) = writer.write(buffer.get(..length).unwrap_or_default()) {
                        break Some(error);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Some(StoreError::Read(error)),
            }
        };
        let (extent, late) = writer.finish();
        (Some(extent), error.or(late))
    }

    /// Begins a text that is written piece by piece.
    pub fn begin(&mut self) -> Result<Writer<'_>, StoreError> {
        let file = match &self.texts {
            Some(file) => Arc::clone(file),
            None => {
                let made = Arc::new(tempfile::tempfile().map_err(|source| StoreError::Write { source })?);
                self.texts = Some(Arc::clone(&made));
                made
            }
        };
        let at = file.metadata().map_err(|source| StoreError::Write { source })?.len();
        Ok(Writer { extent: Extent { file, at, length: 0 }, spool: self, waiting: Vec::new() })
    }

    /// Stores a journal file, with its holes. One that is not whole is left out.
    pub fn journal(&mut self, mut from: impl Read, sparse: Option<&Sparse>) -> Result<Extent, StoreError> {
        let write = |source| StoreError::Write { source };
        let spare = self.spare.pop();
        if spare.is_none() && (self.prepared || self.lent.len() >= JOURNALS_MAX) {
            return Err(Reached::Journals(JOURNALS_MAX).into());
        }
        let file = match spare {
            Some(file) => file,
            None => Arc::new(tempfile::tempfile().map_err(write)?),
        };
        let room = self.most - self.used;
        // A hole takes no room, but what reads it gets bytes.
        if sparse.is_some_and(|sparse| sparse.size > room) {
            self.spare.push(file);
            return Err(Reached::Disk(self.most).into());
        }
        let mut stored = 0;
        let whole = (|| {
            let mut buffer = vec![0; 64 << 10];
            let mut copy = |from: &mut dyn Read, mut at: u64| loop {
                match from.read(&mut buffer) {
                    Ok(0) => return Ok(at),
                    Ok(length) => {
                        if stored + length as u64 > room {
                            return Err(Reached::Disk(self.most).into());
                        }
                        file.write_all_at(buffer.get(..length).unwrap_or_default(), at).map_err(write)?;
                        (at, stored) = (at + length as u64, stored + length as u64);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(StoreError::Read(error)),
                }
            };
            match sparse {
                None => copy(&mut from, 0),
                Some(sparse) => {
                    for (offset, length) in &sparse.parts {
                        copy(&mut (&mut from).take(*length), *offset)?;
                    }
                    file.set_len(sparse.size).map_err(write)?;
                    Ok(sparse.size)
                }
            }
        })();
        match whole {
            Ok(length) => {
                self.used += length.max(stored);
                self.lent.push(Arc::clone(&file));
                Ok(Extent { file, at: 0, length })
            }
            Err(error) => {
                // Its room is for others.
                file.set_len(0).map_err(write)?;
                self.spare.push(file);
                Err(error)
            }
        }
    }
}

/// A text that is being stored.
pub struct Writer<'s> {
    spool: &'s mut Spool,
    extent: Extent,
    waiting: Vec<u8>,
}

impl Writer<'_> {
    /// Adds to the text as much as there is room for.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let room = usize::try_from(self.spool.most - self.spool.used).unwrap_or(usize::MAX);
        let fits = bytes.get(..room).unwrap_or(bytes);
        self.waiting.extend_from_slice(fits);
        self.spool.used += fits.len() as u64;
        if self.waiting.len() >= 64 << 10 {
            self.flush()?;
        }
        if fits.len() < bytes.len() { Err(Reached::Disk(self.spool.most).into()) } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let at = self.extent.at.saturating_add(self.extent.length);
        self.extent.file.write_all_at(&self.waiting, at).map_err(|source| StoreError::Write { source })?;
        self.extent.length += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    /// The text, and why it is not whole.
    pub fn finish(mut self) -> (Extent, Option<StoreError>) {
        let error = self.flush().err();
        (self.extent, error)
    }
}
