//! Reads the journal, in a process of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};
use systemd::journal::Journal;

use super::{Fields, Item, Speaker, stall::Stall};
use crate::{
    journal::{
        Change, Direction, Entry, FileId, Files, Found, Header, Key, Place, Start, Touched, Watch, list,
    },
    roots::Roots,
};

/// Bytes of a line that are read.
const TEXT_MAX: usize = 8192;
/// Said by journald when it drops what a service sends too fast.
const SUPPRESSED: &str = "a596d6fe7bfa4994828e72309e95d61e";
/// Fields that are read of an entry.
const FIELDS: [&str; 8] =
    ["_UID", "_TRANSPORT", "_EXE", "_SYSTEMD_UNIT", "PRIORITY", "MESSAGE", "MESSAGE_ID", "N_DROPPED"];

/// What the reader is asked to read, as it stands on its command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Orders {
    /// The programs that are read.
    pub programs: Vec<String>,
    /// Boot whose entries are wanted, 32 hexadecimal digits.
    pub boot_id: String,
    /// Where to go on: after the entry with this cursor. Without one, at the start of the boot.
    pub after: Option<String>,
    /// The daemon's process id: the reader ends with it.
    pub parent: u32,
    /// Files that are not to be touched.
    #[serde(default)]
    pub avoid: Vec<FileId>,
    /// Files that could not be read for a while, with the entry after which each goes on.
    #[serde(default)]
    pub behind: Vec<(FileId, Option<String>)>,
}

/// The reader ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The system failed.
    #[error("cannot {what} the journal: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// Nobody listens any more.
    #[error("cannot hand over what was read: {0}")]
    Pipe(#[from] io::Error),
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> ReadError {
    move |source| ReadError::System { what, source }
}

/// Reads until nobody listens: writes [`Item`]s to `out` as the journal gets entries, and sleeps in between (promise 5).
///
/// # Errors
/// The kernel does not say when files change, or `out` is closed.
pub(crate) fn read(orders: &Orders, out: &mut impl Write) -> Result<(), ReadError> {
    let place = Place::of(&Roots::system());
    // What changes from now on is seen.
    let watch = Watch::new(&place).map_err(system("watch"))?;
    let mut reader = Reader::new(orders, place, out)?;
    if reader.found.is_empty() {
        reader.send(&Item::NoJournal)?;
        while reader.found.is_empty() {
            watch.wait(None).map_err(system("wait for"))?;
            reader.list()?;
        }
        reader.send(&Item::Journal)?;
    }
    reader.open()?;
    reader.lost_since_orders()?;
    loop {
        reader.take()?;
        if watch.wait(None).map_err(system("wait for"))? == Change::Files && reader.list()? {
            reader.open()?;
            reader.lost_since_look()?;
        }
    }
}

struct Reader<'a, W: Write> {
    orders: &'a Orders,
    out: &'a mut W,
    place: Place,
    speakers: Vec<Speaker>,
    found: Vec<Found>,
    files: Option<Files>,
    /// The last entry that was looked at.
    after: Option<String>,
    /// What the headers said when all that was there had been looked at.
    looked: Vec<Header>,
    stall: Stall,
    /// All that was there at the start was read.
    is_through: bool,
}

impl<'a, W: Write> Reader<'a, W> {
    fn new(orders: &'a Orders, place: Place, out: &'a mut W) -> Result<Self, ReadError> {
        let speakers = orders.programs.iter().map(|name| Speaker::new(name)).collect();
        let after = orders.after.clone().filter(|cursor| Key::parse(cursor).is_some());
        let mut this = Self {
            orders,
            out,
            place,
            speakers,
            found: Vec::new(),
            files: None,
            after,
            looked: Vec::new(),
            stall: Stall::start().map_err(system("watch"))?,
            is_through: false,
        };
        this.list()?;
        Ok(this)
    }

    /// Looks which files there are. Whether those are others than before.
    fn list(&mut self) -> Result<bool, ReadError> {
        let Self { place, out, stall, is_through, .. } = self;
        let mut listing = list(place, &mut |path| {
            announce(&Touched { path, id: None, header: None }, stall, !*is_through, out)
        })?;
        self.stall.pause();
        for unread in std::mem::take(&mut listing.unread) {
            self.send(&Item::Unread(unread))?;
        }
        listing.files.retain(|found| !self.orders.avoid.contains(&found.id));
        let ids = |files: &[Found]| files.iter().map(|found| found.id).collect::<BTreeSet<_>>();
        let changed = ids(&self.found) != ids(&listing.files);
        self.found = listing.files;
        Ok(changed)
    }

    /// Opens the files and goes after the last entry that was looked at; to the start if there is none.
    fn open(&mut self) -> Result<(), ReadError> {
        let Self { orders, speakers, out, stall, is_through, .. } = self;
        let mut touch = |touched: Touched<'_>| announce(&touched, stall, !*is_through, out);
        let mut files = Files::open(&self.found, &|journal| select(journal, orders, speakers), &mut touch)?;
        let start = |after: &Option<String>| after.clone().map_or(Start::Outermost, Start::Beyond);
        let behind: BTreeMap<FileId, Start> = if *is_through {
            BTreeMap::new()
        } else {
            orders.behind.iter().map(|(id, after)| (*id, start(after))).collect()
        };
        files.seek(&start(&self.after), Direction::Forward, &behind, &mut touch)?;
        self.stall.pause();
        self.files = Some(files);
        self.send_unread()
    }

    fn send_unread(&mut self) -> Result<(), ReadError> {
        for unread in self.files.as_mut().map(Files::take_unread).unwrap_or_default() {
            self.send(&Item::Unread(unread))?;
        }
        Ok(())
    }

    /// Hands over all that is there.
    fn take(&mut self) -> Result<(), ReadError> {
        let Self { files: Some(files), out, stall, is_through, .. } = self else { return Ok(()) };
        let names = FIELDS.map(str::to_owned);
        files.again();
        loop {
            stall.goes_on();
            let mut touch = |touched: Touched<'_>| announce(&touched, stall, !*is_through, out);
            if !files.step(&mut touch)? {
                break;
            }
            let entry = files.entry(&names, &mut touch)?;
            stall.pause();
            if let Some(item) = item(&entry, &self.speakers) {
                out.write_all(item.to_line().as_bytes())?;
            }
            self.after = Some(entry.cursor);
        }
        let mut touch = |touched: Touched<'_>| announce(&touched, stall, !*is_through, out);
        self.looked = files.headers(&mut touch)?;
        stall.pause();
        out.flush()?;
        self.send_unread()?;
        if !self.is_through {
            self.is_through = true;
            self.send(&Item::Read)?;
        }
        Ok(())
    }

    /// Entries that went since the last reader ended.
    fn lost_since_orders(&mut self) -> Result<(), ReadError> {
        let Some(last) = self.orders.after.as_deref().and_then(Key::parse) else { return Ok(()) };
        let headers = self.headers()?;
        self.lost(&headers, last.numbering, last.number)
    }

    /// Files went away: were there entries in them that nobody has looked at?
    fn lost_since_look(&mut self) -> Result<(), ReadError> {
        let now = self.headers()?;
        let looked = std::mem::take(&mut self.looked);
        for (numbering, (_, last)) in numbers(&looked) {
            self.lost(&now, numbering, last)?;
        }
        Ok(())
    }

    fn headers(&mut self) -> Result<Vec<Header>, ReadError> {
        let Self { files: Some(files), out, stall, is_through, .. } = self else { return Ok(Vec::new()) };
        let headers = files.headers(&mut |touched| announce(&touched, stall, !*is_through, out))?;
        self.stall.pause();
        Ok(headers)
    }

    /// Reports entries of a numbering that went before they were looked at: those between the last one that was, and the
    /// first one that is there.
    fn lost(&mut self, now: &[Header], numbering: u128, last: u64) -> Result<(), ReadError> {
        let Some((first, _)) = numbers(now).get(&numbering).copied() else { return Ok(()) };
        let count = first.saturating_sub(last.saturating_add(1));
        if count > 0 {
            let reason = "rotated away before it was read, entries of all programs".to_owned();
            self.send(&Item::Lost { count, reason, sequence: format!("{numbering:032x}/{first}") })?;
        }
        Ok(())
    }

    fn send(&mut self, item: &Item) -> Result<(), ReadError> {
        self.out.write_all(item.to_line().as_bytes())?;
        Ok(self.out.flush()?)
    }
}

/// Says what is touched: to the daemon until all was read once, so that it knows what is to blame if this process ends; and
/// always to who watches that it does not take for ever.
fn announce(touched: &Touched<'_>, stall: &Stall, first: bool, out: &mut impl Write) -> io::Result<()> {
    let touch = touched.to_wire();
    if first {
        stall.pause();
        out.write_all(Item::Touch(touch.clone()).to_line().as_bytes())?;
        out.flush()?;
    }
    stall.at(touch);
    Ok(())
}

/// Root's entries of this boot by the programs, and journald's own about what it dropped.
fn select(journal: &mut Journal, orders: &Orders, speakers: &[Speaker]) -> systemd::Result<()> {
    journal.match_add("_BOOT_ID", orders.boot_id.as_str())?.match_add("_UID", "0")?.match_and()?;
    for speaker in speakers {
        journal.match_add("_COMM", speaker.comm.as_str())?;
    }
    journal.match_or()?;
    for unit in speakers.iter().flat_map(|speaker| &speaker.units) {
        journal.match_add("_SYSTEMD_UNIT", unit.as_str())?;
    }
    journal.match_or()?.match_add("MESSAGE_ID", SUPPRESSED)?;
    journal.set_data_threshold(TEXT_MAX)
}

/// The first and the last number of each numbering.
fn numbers(headers: &[Header]) -> BTreeMap<u128, (u64, u64)> {
    let mut numbers = BTreeMap::new();
    for header in headers.iter().filter(|header| header.entries > 0) {
        let (first, last) = numbers.entry(header.numbering).or_insert((header.first, header.last));
        (*first, *last) = ((*first).min(header.first), (*last).max(header.last));
    }
    numbers
}

/// The entry as an item; none if no program that is read said it.
fn item(entry: &Entry, speakers: &[Speaker]) -> Option<Item> {
    let field = |name: &str| entry.get(name).map(str::to_owned);
    let fields = Fields {
        uid: field("_UID"),
        transport: field("_TRANSPORT"),
        exe: field("_EXE"),
        unit: field("_SYSTEMD_UNIT"),
    };
    let key = Key::parse(&entry.cursor)?;
    if fields.transport.as_deref() == Some("driver") {
        return suppressed(entry, &fields, &key, speakers);
    }
    let program = speakers.iter().find(|speaker| speaker.said(&fields))?.name.clone();
    Some(Item::Line {
        program,
        priority: entry.get("PRIORITY").and_then(|p| p.parse().ok()).filter(|p| *p < 8).unwrap_or(6),
        text: field("MESSAGE")?,
        seq: key.number,
        monotonic_us: entry.monotonic_us.as_ref()?.0,
        realtime_us: i64::try_from(entry.realtime_us).ok()?,
        cursor: entry.cursor.clone(),
    })
}

/// journald dropped what one of the programs sent: `Suppressed 7 messages from multipathd.service`.
fn suppressed(entry: &Entry, fields: &Fields, key: &Key, speakers: &[Speaker]) -> Option<Item> {
    let by_journald = fields.exe.as_deref().is_some_and(|exe| exe.ends_with("/systemd-journald"));
    if !by_journald || entry.get("MESSAGE_ID") != Some(SUPPRESSED) {
        return None;
    }
    let message = entry.get("MESSAGE")?;
    let (_, unit) = message.rsplit_once(" from ")?;
    let unit = Path::new(unit).file_name()?.to_str()?;
    let is_wanted = speakers.iter().any(|speaker| speaker.units.iter().any(|of| of == unit));
    let dropped = entry.get("N_DROPPED").or_else(|| message.split(' ').nth(1));
    is_wanted.then(|| Item::Lost {
        count: dropped.and_then(|n| n.parse().ok()).unwrap_or(1),
        reason: format!("journald's rate limit for {unit}"),
        sequence: format!("{:032x}/{}", key.numbering, key.number),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_what_lies_between() {
        let header =
            |numbering, first, last| Header { numbering, first, last, entries: 1, ..Header::default() };
        let lost = |headers: &[Header], last: u64| {
            let orders = Orders {
                programs: Vec::new(),
                boot_id: String::new(),
                after: None,
                parent: 0,
                avoid: Vec::new(),
                behind: Vec::new(),
            };
            let mut out = Vec::new();
            let place = Place::Files(Vec::new());
            Reader::new(&orders, place, &mut out).unwrap().lost(headers, 1, last).unwrap();
            match Item::take(&mut out).pop() {
                Some(Ok(Item::Lost { count, .. })) => count,
                None => 0,
                other => panic!("{other:?}"),
            }
        };
        let there = [header(1, 20, 29), header(1, 10, 19), header(2, 500, 600)];
        for (last, count) in [(9, 0), (5, 4), (15, 0), (29, 0), (100, 0), (0, 9), (u64::MAX, 0)] {
            assert_eq!(lost(&there, last), count, "after {last}");
        }
        assert_eq!(lost(&there[2..], 5), 0, "another numbering");
    }
}
