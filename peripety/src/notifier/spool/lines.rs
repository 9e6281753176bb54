//! The format of the spool: one event a line, with its number and its place among the lines of the file.
//!
//! Numbers never come again; places count from zero in each new file. Where lines are missing, the two say how many.

use std::io::BufRead;

use serde::Deserialize;

use crate::{
    checked::{Lines, Piece, seal, unseal},
    event::EventId,
};

/// What is written down of an event besides its JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Number of the event.
    pub number: u64,
    /// Place in the file.
    pub place: u64,
    /// The event.
    pub json: &'a [u8],
}

impl<'a> Line<'a> {
    /// Adds it to what is to be written.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut text = format!("{} {} ", self.number, self.place).into_bytes();
        text.extend_from_slice(self.json);
        seal(out, &text);
    }

    /// From the text of a line.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let mut parts = text.splitn(3, |byte| *byte == b' ');
        let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse().ok();
        let (number, place) = (number()?, number()?);
        Some(Self { number, place, json: parts.next()? })
    }
}

/// How far the events of the file are: what `spool.sent` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Number of the last event that went out.
    pub sent: u64,
    /// Number of the last event that is known to be meant, where the logbook could not say so.
    pub committed: u64,
}

impl Mark {
    /// The file's text: of one length, so that a new one takes the place of an old one without needing room.
    pub fn write(&self) -> Vec<u8> {
        let mut text = Vec::new();
        seal(&mut text, format!("{:020} {:020}", self.sent, self.committed).as_bytes());
        text
    }

    /// From the file; none if it is damaged.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(unseal(text.strip_suffix(b"\n")?)?).ok()?;
        let (sent, committed) = text.split_once(' ')?;
        Some(Self { sent: sent.parse().ok()?, committed: committed.parse().ok()? })
    }
}

/// An event that waits in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its number.
    pub number: u64,
    /// Whose it is.
    pub id: EventId,
    /// Where its line begins.
    pub offset: u64,
    /// Length of the line.
    pub len: usize,
}

/// What was found in a file.
#[derive(Debug, Default)]
pub struct Found {
    /// Events that wait, in order.
    pub waiting: Vec<Waiting>,
    /// Events that had been written down and are no more to be found.
    pub lost: u64,
    /// Number of the last event that was found.
    pub last: u64,
    /// End of its line: what comes after was never committed, or cannot be read.
    pub end: u64,
    /// Place for the next line.
    pub place: u64,
}

#[derive(Deserialize)]
struct Head {
    event_id: EventId,
}

impl Found {
    /// Reads a spool. Events after number `committed` were never meant to go out; where it is not known, all are.
    pub fn read(input: impl BufRead, mark: Option<Mark>, committed: Option<u64>) -> Self {
        let sent = mark.map(|mark| mark.sent);
        let committed = committed.map(|number| number.max(mark.unwrap_or_default().committed));
        let mut found = Self { last: sent.unwrap_or(0), ..Self::default() };
        let mut lines = Lines::new(input);
        let mut bad = 0;
        let whole = loop {
            let (piece, range) = match lines.next_piece() {
                Ok(Some(next)) => next,
                Ok(None) => break true,
                Err(error) => {
                    tracing::warn!("the spool cannot be read to its end: {error}");
                    break false;
                }
            };
            let line = (piece == Piece::Line).then(|| Line::parse(lines.text())).flatten();
            // Neither may ever go back.
            let line = line.filter(|line| line.place >= found.place && line.number < u64::MAX);
            let head = line.and_then(|line| Some((line, serde_json::from_slice::<Head>(line.json).ok()?)));
            let Some((line, Head { event_id: id })) = head else {
                bad += 1;
                continue;
            };
            if committed.is_some_and(|committed| line.number > committed) {
                break true;
            }
            if line.number > found.last {
                let missing = (line.place - found.place).min(line.number - found.last - 1);
                found.lost = found.lost.saturating_add(missing);
                found.last = line.number;
                let len = usize::try_from(range.end - range.start).unwrap_or_default();
                found.waiting.push(Waiting { number: line.number, id, offset: range.start, len });
            }
            found.place = line.place + 1;
            found.end = range.end;
            bad = 0;
        };
        // What is missing at the end: known exactly where it is known what was written and what went out.
        let missing = match (committed, sent) {
            (Some(committed), Some(_)) => committed.saturating_sub(found.last),
            _ => bad + u64::from(!whole),
        };
        found.lost = found.lost.saturating_add(missing);
        found
    }
}
