//! Files of journald, read by a process that may die of them (see [`crate::journal`]).

use std::{
    io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Item,
    entry::{Taker, give},
    format::fields,
};
use crate::journal::{
    Answer, Direction, Entry, From, Message, Orders, Patience, Place, Process, Request, Unread, Worker,
};

/// What a journal file begins with.
const MAGIC: &[u8] = b"LPKSHHRH";
/// Bytes of a field that are read.
const MAX_FIELD: usize = 64 << 10;
/// How long a disk may take.
const PATIENCE: Patience = Patience { silence: Duration::from_secs(30), total: Duration::from_secs(60) };

/// Whether a file that starts so is journald's.
pub(crate) fn is_journal(start: &[u8]) -> bool {
    start.starts_with(MAGIC)
}

/// Reads all entries of journal files, oldest first, with `program` (see [`crate::roots::Roots::journal_reader`]). Gives what
/// could not be read.
///
/// # Errors
///
/// Nothing reads them.
pub(crate) fn read_journal(
    files: &[&Path],
    program: Option<&Path>,
    taker: &mut dyn Taker,
) -> io::Result<Vec<Unread>> {
    let orders = Orders {
        place: Place::Files(files.iter().map(|file| absolute(file)).collect()),
        matches: Vec::new(),
        avoid: Vec::new(),
        field_max: MAX_FIELD,
        parent: std::process::id(),
    };
    let mut unread = Vec::new();
    match program {
        Some(program) => {
            let mut process = Process::new(program.to_owned(), orders, PATIENCE);
            let read = pass_all(taker, &mut |request| process.ask(request).map_err(io::Error::other));
            unread.extend(process.take_unread());
            read?;
        }
        None => {
            let mut worker = Worker::new(orders);
            pass_all(taker, &mut |request| {
                let mut answer = Err(io::Error::other("no answer"));
                worker.answer(request, &mut |message| {
                    match message {
                        Message::Answer(given) => answer = Ok(given),
                        Message::Unread(file) => unread.push(file),
                        Message::Touch(_) => {}
                    }
                    Ok(())
                })?;
                answer
            })?;
        }
    }
    Ok(unread)
}

/// Another process may be elsewhere.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn pass_all(taker: &mut dyn Taker, ask: &mut dyn FnMut(&Request) -> io::Result<Answer>) -> io::Result<()> {
    let mut from = From::Head;
    let fields: Vec<String> = fields::WANTED.iter().map(|name| (*name).to_owned()).collect();
    loop {
        let request = Request::Entries { from, direction: Direction::Forward, fields: fields.clone() };
        let Answer::Entries { entries, end, .. } = ask(&request)? else { return Ok(()) };
        let Some(last) = entries.last().map(|entry| entry.cursor.clone()) else { return Ok(()) };
        for entry in entries {
            let Some(item) = item(entry) else { continue };
            if let ControlFlow::Break(()) = give(taker, item) {
                return Ok(());
            }
        }
        if end {
            return Ok(());
        }
        from = From::Beyond(last);
    }
}

/// The entry as a record; none if it is none.
fn item(entry: Entry) -> Option<Item> {
    let mut found: fields::Fields = entry.fields.into_iter().collect();
    found.insert("__REALTIME_TIMESTAMP".to_owned(), entry.realtime_us.to_string());
    if let Some((us, boot)) = entry.monotonic_us {
        found.insert("__MONOTONIC_TIMESTAMP".to_owned(), us.to_string());
        found.insert("_BOOT_ID".to_owned(), boot);
    }
    fields::entry(found)
}
