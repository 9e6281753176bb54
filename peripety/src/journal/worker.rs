//! The process that reads: answers what it is asked, one request after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufRead, Read as _, Write},
    path::Path,
    time::{Duration, Instant},
};

use systemd::journal::{Journal, OpenFilesOptions};

use super::{
    files::{Files, Start, Touched},
    place::{Listing, list, may_read},
    watch::{Change, Watch},
    wire::{Answer, Direction, From, Message, Orders, Request},
};

/// An answer ends after so many entries, bytes, or time: it is a sign of life as well.
const ENTRIES_MAX: usize = 512;
const BYTES_MAX: usize = 1 << 20;
const TIME_MAX: Duration = Duration::from_millis(500);
/// Bytes of a request.
const REQUEST_MAX: u64 = 64 << 10;

/// Takes what is said.
pub(super) type Say<'a> = dyn FnMut(Message) -> io::Result<()> + 'a;

/// What answers.
#[derive(Debug)]
pub(crate) struct Worker {
    orders: Orders,
    listing: Listing,
    files: Option<Files>,
    watch: Option<Watch>,
    /// Where the files stand: at the entry with this cursor, on the way to there.
    stands: Option<(String, Direction)>,
}

/// Answers requests until there are no more.
///
/// # Errors
/// A pipe is closed, or a request is not understood.
pub(crate) fn serve(orders: Orders, requests: impl BufRead, mut out: impl Write) -> io::Result<()> {
    let mut worker = Worker::new(orders);
    let mut requests = requests;
    loop {
        let mut line = Vec::new();
        if requests.by_ref().take(REQUEST_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let request: Request = serde_json::from_slice(&line)?;
        worker.answer(&request, &mut |message| {
            let mut line = serde_json::to_vec(&message)?;
            line.push(b'\n');
            out.write_all(&line)?;
            out.flush()
        })?;
    }
}

impl Worker {
    /// Reads nothing yet.
    pub(crate) fn new(orders: Orders) -> Self {
        Self { orders, listing: Listing::default(), files: None, watch: None, stands: None }
    }

    /// Answers one request. What cannot be read is no error, but said.
    ///
    /// # Errors
    /// Those of `say`.
    pub(crate) fn answer(&mut self, request: &Request, say: &mut Say<'_>) -> io::Result<()> {
        let answer = match request {
            Request::List => {
                self.open(say)?;
                let files = self.files.as_ref();
                Answer::Files {
                    readable: files.map_or(0, Files::count),
                    denied: self.listing.denied.clone().or_else(|| files?.denied().map(Path::to_owned)),
                    exists: self.listing.exists,
                }
            }
            Request::MayRead => {
                let (readable, denied) = may_read(&self.orders.place, &mut |path| {
                    say(touch(&Touched { path, id: None, header: None }))
                })?;
                Answer::MayRead { readable, denied }
            }
            Request::Entries { from, direction, fields } => self.entries(from, *direction, fields, say)?,
            Request::Wait(ms) => self.wait(Duration::from_millis(*ms), say)?,
            Request::Boots => Answer::Boots(self.boots(say)?),
        };
        self.say_unread(say)?;
        say(Message::Answer(answer))
    }

    fn say_unread(&mut self, say: &mut Say<'_>) -> io::Result<()> {
        for unread in self.files.as_mut().map(Files::take_unread).unwrap_or_default() {
            say(Message::Unread(unread))?;
        }
        Ok(())
    }

    fn open(&mut self, say: &mut Say<'_>) -> io::Result<()> {
        if self.files.is_some() {
            return Ok(());
        }
        self.list(say)?;
        let (matches, field_max) = (self.orders.matches.clone(), self.orders.field_max);
        let select = |journal: &mut Journal| {
            journal.set_data_threshold(field_max)?;
            for (name, value) in &matches {
                journal.match_add(name, value.as_str())?;
            }
            Ok(())
        };
        self.files = Some(Files::open(&self.listing.files, &select, &mut |touched| say(touch(&touched)))?);
        self.stands = None;
        self.say_unread(say)
    }

    fn list(&mut self, say: &mut Say<'_>) -> io::Result<()> {
        self.listing =
            list(&self.orders.place, &mut |path| say(touch(&Touched { path, id: None, header: None })))?;
        for unread in std::mem::take(&mut self.listing.unread) {
            say(Message::Unread(unread))?;
        }
        let avoid = &self.orders.avoid;
        self.listing.files.retain(|found| !avoid.contains(&found.id));
        Ok(())
    }

    fn entries(
        &mut self,
        from: &From,
        direction: Direction,
        fields: &[String],
        say: &mut Say<'_>,
    ) -> io::Result<Answer> {
        self.open(say)?;
        let Some(files) = &mut self.files else { return Err(io::Error::other("no files")) };
        let mut say_touch = |touched: Touched<'_>| say(touch(&touched));
        let start = match from {
            From::Head | From::Tail => Start::Outermost,
            From::Time(us) => Start::Time(*us),
            From::Beyond(cursor) => Start::Beyond(cursor.clone()),
            From::End => {
                let stands = files.last(&mut say_touch)?;
                self.stands = None;
                return Ok(Answer::Entries { entries: Vec::new(), end: true, stands });
            }
        };
        let goes_on = matches!((&self.stands, from), (Some((at, way)), From::Beyond(cursor))
            if at == cursor && *way == direction);
        if goes_on {
            files.again();
        } else {
            files.seek(&start, direction, &BTreeMap::new(), &mut say_touch)?;
        }
        let (begin, mut bytes, mut entries, mut end) = (Instant::now(), 0, Vec::new(), false);
        while entries.len() < ENTRIES_MAX && bytes < BYTES_MAX && begin.elapsed() < TIME_MAX {
            if !files.step(&mut say_touch)? {
                end = true;
                break;
            }
            let entry = files.entry(fields, &mut say_touch)?;
            bytes += entry.fields.values().map(String::len).sum::<usize>();
            self.stands = Some((entry.cursor.clone(), direction));
            entries.push(entry);
        }
        Ok(Answer::Entries { entries, end, stands: None })
    }

    fn wait(&mut self, patience: Duration, say: &mut Say<'_>) -> io::Result<Answer> {
        // The first call begins to watch and waits for nothing, so that nothing is missed.
        let change = match &self.watch {
            Some(watch) => watch.wait(Some(patience))?,
            None => {
                self.watch = Some(Watch::new(&self.orders.place)?);
                Change::Files
            }
        };
        if change == Change::Files {
            let before = self.listing.files.iter().map(|found| found.id).collect::<BTreeSet<_>>();
            self.list(say)?;
            if before != self.listing.files.iter().map(|found| found.id).collect() {
                self.files = None;
            }
        }
        Ok(Answer::Waited)
    }

    /// Ids of the boots, oldest first.
    fn boots(&mut self, say: &mut Say<'_>) -> io::Result<Vec<String>> {
        self.open(say)?;
        let mut first: BTreeMap<String, u64> = BTreeMap::new();
        for found in &self.listing.files {
            say(touch(&Touched { path: &found.path, id: Some(found.id), header: None }))?;
            // What cannot be read was said when it was opened.
            for (id, time) in boots_of(&found.path).unwrap_or_default() {
                let known = first.entry(id).or_insert(time);
                *known = time.min(*known);
            }
        }
        let mut boots: Vec<_> = first.into_iter().map(|(id, time)| (time, id)).collect();
        boots.sort_unstable();
        Ok(boots.into_iter().map(|(_, id)| id).collect())
    }
}

fn boots_of(path: &Path) -> systemd::Result<Vec<(String, u64)>> {
    let mut journal = OpenFilesOptions::default().open_files([path.to_string_lossy().as_ref()])?;
    journal.query_unique("_BOOT_ID")?;
    let mut ids = Vec::new();
    while let Ok(Some(field)) = journal.enumerate_unique() {
        ids.extend(field.value().and_then(|value| std::str::from_utf8(value).ok()).map(str::to_owned));
    }
    let mut boots = Vec::with_capacity(ids.len());
    for id in ids {
        journal.match_flush()?.match_add("_BOOT_ID", id.as_str())?.seek_head()?;
        if journal.next()? > 0 {
            boots.push((id, journal.timestamp_usec()?));
        }
    }
    Ok(boots)
}

fn touch(touched: &Touched<'_>) -> Message {
    Message::Touch(touched.to_wire())
}
