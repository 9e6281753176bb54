//! The files of what waits, written anew: in another place, after what another daemon left, or without what went out.

use std::io;

use super::{CHUNK, Entry, Line, Place, Spool, Waiting, files::Files, lines::Found};
use crate::event::Severity;

/// Bytes of events that need no more waiting and may lie in the file, besides as many as do wait.
pub(super) const DEAD_BYTES: u64 = 1 << 20;

impl Spool {
    /// New files, or others than before: everything that waits moves there.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        let mut files = Files::open(&self.dir)?;
        if let Some(old) = self.files.as_ref().filter(|old| old.same_file(&files)) {
            (files.end, files.place) = (old.end, old.place);
            files.cut()?;
            self.files = Some(files);
            return Ok(());
        }
        // What another daemon left there, which could not be read when this one began.
        if self.files.is_none() && !std::mem::replace(&mut self.adopted, true) {
            let (found, _) = files.read_back(self.before);
            self.adopt(&files, &found);
        }
        self.files = Some(self.rewrite(&files)?);
        Ok(())
    }

    /// Takes over events of an earlier daemon, behind those that wait already.
    fn adopt(&mut self, from: &Files, found: &Found) {
        self.lost += found.lost;
        for Waiting { number, id, offset, len } in found.waiting.iter().copied() {
            let json = (self.refuses(Severity::Critical).is_none()).then(|| from.read(number, offset, len));
            let Some(json) = json.flatten() else {
                self.lost += 1;
                continue;
            };
            let (number, len) = (self.next, json.len());
            self.next = self.next.saturating_add(1);
            self.bytes += len as u64;
            self.memory += len as u64;
            let place = Place::Memory(json.into());
            self.waiting.push_back(Entry { number, id, place, len, event: None, superseded: false });
        }
        self.committed = self.last();
    }

    /// Where most of a long file is of no more use, writes the rest anew. It can wait if there is no room for that.
    pub(super) fn compact(&mut self) {
        let live = self.bytes - self.memory;
        let Some(files) = &self.files else { return };
        if files.end <= self.long.max(2 * live + DEAD_BYTES) {
            return;
        }
        // Not again before as much was added, whether it succeeds or not.
        self.long = files.end + DEAD_BYTES + live;
        let files = self.files.take();
        if let Some(old) = &files {
            match self.rewrite_from(old, Some(old)) {
                Ok(new) => {
                    self.long = 0;
                    self.files = Some(new);
                    return;
                }
                Err(error) => tracing::debug!("the spool is not written anew: {error}"),
            }
        }
        self.files = files;
    }

    fn rewrite(&mut self, beside: &Files) -> io::Result<Files> {
        let old = self.files.take();
        let new = self.rewrite_from(beside, old.as_ref());
        self.files = old;
        new
    }

    /// Writes all that waits into a new file in the place of `beside`; what is in a file is in `old`.
    fn rewrite_from(&mut self, beside: &Files, old: Option<&Files>) -> io::Result<Files> {
        let mut new = beside.begin_anew()?;
        match self.fill(&mut new, old).and_then(|moved| new.put_in_place(beside).map(|()| moved)) {
            Ok(moved) => {
                self.waiting.retain(|entry| !entry.superseded);
                self.superseded = 0;
                (self.bytes, self.memory, self.written) = (0, 0, self.last());
                let mut moved = moved.into_iter().peekable();
                // What could not be read was in neither file: it stays, and is counted when its turn comes.
                for entry in &mut self.waiting {
                    if let Some((_, offset, len)) = moved.next_if(|(number, ..)| *number == entry.number) {
                        (entry.place, entry.len) = (Place::File { offset }, len);
                    }
                    self.bytes += entry.len as u64;
                }
                Ok(new)
            }
            Err(error) => {
                new.discard();
                Err(error)
            }
        }
    }

    /// The lines of all that waits, with number, offset and length of each.
    fn fill(&self, new: &mut Files, old: Option<&Files>) -> io::Result<Vec<(u64, u64, usize)>> {
        let (mut moved, mut text, mut count) = (Vec::with_capacity(self.waiting.len()), Vec::new(), 0);
        for entry in self.waiting.iter().filter(|entry| !entry.superseded) {
            let read;
            let json = match &entry.place {
                Place::Memory(json) => json,
                Place::File { offset } => {
                    match old.and_then(|old| old.read(entry.number, *offset, entry.len)) {
                        Some(json) => {
                            read = json.into_boxed_slice();
                            &read
                        }
                        None => continue,
                    }
                }
            };
            let start = text.len();
            Line { number: entry.number, place: new.place + count, json }.write(&mut text);
            moved.push((entry.number, new.end + start as u64, text.len() - start));
            count += 1;
            if text.len() >= CHUNK {
                new.append(&text, count)?;
                text.clear();
                count = 0;
            }
        }
        new.append(&text, count)?;
        Ok(moved)
    }
}
