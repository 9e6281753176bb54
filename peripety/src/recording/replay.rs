//! A recording, run through the engine.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;
use jiff::Timestamp;

use super::{
    Answers, Entry, Start,
    entry::{BYTE_ORDER, FORMAT},
    rules,
};
use crate::{
    correlate::Saved,
    engine::{Engine, Settings},
    event::{Event, incident::Incident},
    incident::Incidents,
    parser::rules::RuleSet,
};

/// Longest line that is taken: more than the largest device tree makes.
const LINE_MAX: u64 = 16 << 20;

/// A recording cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be read.
    #[error("cannot read it: {0}")]
    Read(#[from] io::Error),
    /// It does not begin as a recording does.
    #[error(
        "it is no recording of peripetyd: line 1 does not begin one; make one with 'peripetyd --record FILE'"
    )]
    NoRecording,
    /// It was made by a later version.
    #[error(
        "it was recorded by peripetyd {version} in format {format}, and this prpt knows formats up to {FORMAT}: use prpt {version} or later"
    )]
    Newer {
        /// Version of the daemon.
        version: String,
        /// Its format.
        format: u32,
    },
    /// Kernel records are in the order of the machine.
    #[error("it was recorded on a {0}-endian machine: replay it on one")]
    ByteOrder(String),
    /// A line is broken.
    #[error("line {line} is broken: {what}; what stands before it was replayed")]
    Broken {
        /// Number of the line, from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
}

/// What is to be known about a replay beside its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Daemons that the recording is of.
    pub sessions: u64,
    /// Entries that were not recorded.
    pub missing: u64,
    /// Lines that a daemon, killed or with a full disk, left half written.
    pub torn: u64,
    /// Version of a daemon with other rules than these.
    pub other_rules: Option<String>,
    /// Fewer compressed bytes than the file should have.
    pub cut: bool,
}

/// Gives the events of a recording, line by line.
pub struct Replay<R> {
    from: R,
    line: u64,
    engine: Option<Engine>,
    incidents: Incidents,
    revisions: Vec<Incident>,
    answers: Answers,
    notes: Notes,
    ended: bool,
    /// The line after a broken one.
    next: VecDeque<Vec<u8>>,
}

impl Replay<Box<dyn BufRead>> {
    /// Opens a recording; `-` is standard input.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: &Path) -> Result<Self, ReplayError> {
        let raw: Box<dyn Read> =
            if path.as_os_str() == "-" { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
        let mut raw = BufReader::with_capacity(1 << 16, raw);
        let gzip = raw.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        Ok(Self::new(if gzip { Box::new(BufReader::new(MultiGzDecoder::new(raw))) } else { Box::new(raw) }))
    }
}

impl<R: BufRead> Replay<R> {
    /// Replays what `from` gives, uncompressed.
    pub fn new(from: R) -> Self {
        let (engine, answers, notes) = (None, Answers::default(), Notes::default());
        Self {
            from,
            line: 0,
            engine,
            incidents: Incidents::default(),
            revisions: Vec::new(),
            answers,
            notes,
            ended: false,
            next: VecDeque::new(),
        }
    }

    /// Replays one line; adds its events to `out`. False when there are no more lines.
    ///
    /// # Errors
    /// Why it cannot go on.
    pub fn step(&mut self, out: &mut Vec<Event>) -> Result<bool, ReplayError> {
        let Some(line) = self.read()? else {
            return if self.engine.is_some() { Ok(false) } else { Err(ReplayError::NoRecording) };
        };
        self.line += 1;
        let entry = match serde_json::from_slice(&line) {
            Ok(entry) => entry,
            Err(_) if self.line == 1 => return Err(begins_wrong(&line)),
            Err(error) => return self.torn(&line, &error).map(|()| true),
        };
        self.take(entry, out)?;
        Ok(true)
    }

    /// What is to be said beside the events.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Revisions of incidents since the last call.
    pub fn take_incidents(&mut self) -> Vec<Incident> {
        std::mem::take(&mut self.revisions)
    }

    fn take(&mut self, entry: Entry, out: &mut Vec<Event>) -> Result<(), ReplayError> {
        let before = out.len();
        let ns = if let Entry::Tick { ns, .. } = &entry { Some(*ns) } else { None };
        let ends = matches!(entry, Entry::Finish { .. });
        self.engine_takes(entry, out)?;
        if let Some(new) = out.get_mut(before..) {
            self.incidents.push_all(new, &mut self.revisions);
        }
        if let Some(ns) = ns {
            self.incidents.tick(ns, &mut self.revisions);
        }
        if ends {
            self.incidents.finish(&mut self.revisions);
        }
        Ok(())
    }

    fn engine_takes(&mut self, entry: Entry, out: &mut Vec<Event>) -> Result<(), ReplayError> {
        let line = self.line;
        let broken = |what: String| ReplayError::Broken { line, what };
        let Some(engine) = &mut self.engine else {
            return match entry {
                Entry::Start(start) => self.start(start),
                _ => Err(ReplayError::NoRecording),
            };
        };
        match entry {
            Entry::Start(start) => return self.start(start),
            Entry::Rules(text) => engine.set_rules(rules::read(&text).map_err(|problems| {
                let first = problems.first().map(ToString::to_string).unwrap_or_default();
                broken(format!("its rules are none: {first}"))
            })?),
            Entry::Limits(limits) => self.incidents.set_limits(limits),
            Entry::Live(live) => engine.set_live_sources(live),
            Entry::Open(_) if engine.open_events() + engine.waiting() > 0 => {
                return Err(broken("what was open stands after the first record".to_owned()));
            }
            Entry::Open(open) => {
                let mut saved = Saved::default();
                for note in open {
                    saved.take(&note).map_err(|error| broken(format!("what was open: {error}")))?;
                }
                self.incidents.restore(super::recorded_engine::cases_of(saved.take_incidents()));
                engine.restore(saved);
            }
            Entry::Push { us, ns, body, facts } => {
                let record = body.into_record(us, ns).map_err(|error| broken(error.to_string()))?;
                self.answers.next(facts);
                engine.push(&record, &self.answers, out);
            }
            Entry::Tick { ns, facts } => {
                self.answers.next(facts);
                engine.tick(ns, &self.answers, out);
            }
            Entry::Finish { facts } => {
                self.answers.next(facts);
                engine.finish(&self.answers, out);
            }
            Entry::Looked { us, over } => {
                if let Ok(at) = Timestamp::from_microsecond(us) {
                    self.incidents.looked(&over, at, &mut self.revisions);
                }
            }
            Entry::Forget => self.answers.forget(),
            Entry::Said(event) => out.push(*event),
            Entry::Missing(count) => self.notes.missing = self.notes.missing.saturating_add(count),
        }
        Ok(())
    }

    fn start(&mut self, start: Start) -> Result<(), ReplayError> {
        if start.peripety_recording > FORMAT {
            return Err(ReplayError::Newer { version: start.version, format: start.peripety_recording });
        }
        if start.byte_order != BYTE_ORDER {
            return Err(ReplayError::ByteOrder(start.byte_order));
        }
        self.notes.sessions += 1;
        if start.own_rules != rules::own() {
            self.notes.other_rules = Some(start.version);
        }
        let settings = Settings { boot_id: start.boot_id, hostname: start.hostname, ..Settings::default() };
        self.engine = Some(Engine::new(settings, RuleSet::built_in()));
        self.incidents = Incidents::default();
        self.answers.forget();
        Ok(())
    }

    /// A line that is no entry may be the last one of a daemon that was killed: nothing or a new start follows it.
    fn torn(&mut self, line: &[u8], error: &serde_json::Error) -> Result<(), ReplayError> {
        let next = self.read()?;
        let starts = |line: &Vec<u8>| matches!(serde_json::from_slice(line), Ok(Entry::Start(_)));
        let may_be_cut = error.is_eof() || line.is_empty();
        if may_be_cut && next.as_ref().is_none_or(starts) {
            self.notes.torn += 1;
            self.next.extend(next);
            return Ok(());
        }
        Err(ReplayError::Broken { line: self.line, what: error.to_string() })
    }

    /// The next line without its end.
    fn read(&mut self) -> Result<Option<Vec<u8>>, ReplayError> {
        if let Some(line) = self.next.pop_front() {
            return Ok(Some(line));
        }
        if self.ended {
            return Ok(None);
        }
        let mut line = Vec::new();
        match self.from.by_ref().take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(_) => {}
            // A gzipped recording whose daemon was killed.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.ended = true;
                self.notes.cut = true;
            }
            Err(error) => return Err(error.into()),
        }
        if line.is_empty() {
            return Ok(None);
        }
        if line.pop_if(|last| *last == b'\n').is_none() && line.len() as u64 == LINE_MAX {
            let what = format!("it is longer than {LINE_MAX} bytes");
            return Err(ReplayError::Broken { line: self.line + 1, what });
        }
        Ok(Some(line))
    }
}

/// Why the first line is no start: one of a later version may have keys of other types.
fn begins_wrong(line: &[u8]) -> ReplayError {
    let json: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
    let start = json.get("start").unwrap_or(&json);
    let format = start.get("peripety_recording").and_then(serde_json::Value::as_u64);
    match format.and_then(|format| u32::try_from(format).ok()).filter(|format| *format > FORMAT) {
        Some(format) => {
            let version =
                start.get("version").and_then(serde_json::Value::as_str).unwrap_or("of a later version");
            ReplayError::Newer { version: version.to_owned(), format }
        }
        None => ReplayError::NoRecording,
    }
}

#[cfg(test)]
mod tests;
