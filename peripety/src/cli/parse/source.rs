//! What a name on the command line leads to: a log, a journal file, a report.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, IsTerminal as _, Read, Write as _},
    ops::ControlFlow,
    path::Path,
};

use anyhow::{Context as _, bail};
use jiff::{Timestamp, tz::TimeZone};

use super::Run;
use crate::offline::{
    self, Calendar, Given, Input, Item,
    report::{LogKind, Report, is_tar, unpack_tar},
};

/// What became of one file.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) name: String,
    pub(super) format: String,
    pub(super) entries: u64,
    pub(super) unknown: u64,
    pub(super) cut: u64,
    pub(super) is_empty: bool,
    /// Why it was left out, or a part of it.
    pub(super) passed_over: Option<String>,
    /// Why it could not be read to its end.
    pub(super) broken: Option<String>,
}

/// A name that is to be read.
pub(super) struct Reading<'a> {
    pub(super) file: &'a Path,
    pub(super) zone: Option<&'a TimeZone>,
    pub(super) given: &'a Given,
}

impl Reading<'_> {
    /// Reads all that the name leads to.
    pub(super) fn run(&self, run: &mut Run<'_>) -> anyhow::Result<Vec<Told>> {
        if self.file == Path::new("-") {
            let stdin = io::stdin();
            if stdin.is_terminal() {
                bail!("give a file, or send a log into standard input: dmesg | prpt parse");
            }
            return self.stream(run, "standard input", stdin.lock(), None, Timestamp::now());
        }
        let name = self.file.display().to_string();
        let meta = std::fs::metadata(self.file).with_context(|| format!("cannot open {name}"))?;
        if meta.is_dir() {
            let report = Report::open(self.file).with_context(|| format!("cannot read {name}"))?;
            return self.report(run, &report);
        }
        let written = meta.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        let written = written.unwrap_or_else(Timestamp::now);
        let file = File::open(self.file).with_context(|| format!("cannot open {name}"))?;
        let size = meta.is_file().then_some(meta.len());
        self.stream(run, &name, file, size, written)
    }

    fn stream(
        &self,
        run: &mut Run<'_>,
        name: &str,
        from: impl Read,
        size: Option<u64>,
        written: Timestamp,
    ) -> anyhow::Result<Vec<Told>> {
        let counted = run.progress.file(name, size, from);
        let reader = offline::unpack(counted).with_context(|| format!("cannot read {name}"))?;
        let mut reader = BufReader::with_capacity(4096, reader);
        let start = reader.fill_buf();
        if start.as_ref().is_ok_and(|start| start.is_empty()) {
            return Ok(vec![Told { name: name.to_owned(), is_empty: true, ..Told::default() }]);
        }
        let (is_tar, is_journal) = start.map_or((false, false), |s| (is_tar(s), offline::is_journal(s)));
        if is_tar {
            let (unpacked, broken) = unpack_tar(reader).with_context(|| no_room(name))?;
            let report = Report::of_unpacked(unpacked).with_context(|| format!("cannot read {name}"))?;
            let mut told = self.report(run, &report)?;
            if let Some(error) = broken {
                told.push(Told { name: name.to_owned(), broken: Some(error.to_string()), ..Told::default() });
            }
            return Ok(told);
        }
        if is_journal {
            // libsystemd reads files, and not compressed ones.
            let mut copy = tempfile::Builder::new().prefix("prpt-parse").suffix(".journal").tempfile()?;
            io::copy(&mut reader, &mut copy).with_context(|| no_room(name))?;
            copy.flush()?;
            return Ok(vec![journal(run, name, &[copy.path()], &mut Sieve::default())?]);
        }
        let zone = self.zone.cloned().unwrap_or_else(TimeZone::system);
        Ok(vec![text(run, name, reader, Calendar::new(zone, written), &mut Sieve::default())])
    }

    fn report(&self, run: &mut Run<'_>, report: &Report) -> anyhow::Result<Vec<Told>> {
        if report.logs.is_empty() {
            bail!(
                "{} holds no log that is known: no journal, messages, syslog, kern.log or dmesg",
                self.file.display()
            );
        }
        let mut given = report.given.clone();
        given.started_us = self.given.started_us.or(given.started_us);
        let mut sieve = Sieve { started_us: given.started_us, ..Sieve::default() };
        run.set_given(given);
        let mut told = Vec::new();
        let journals: Vec<&Path> = of_kind(report, LogKind::Journal).collect();
        if !journals.is_empty() {
            let name = format!("{} journal files", journals.len());
            match journal(run, &name, &journals, &mut sieve) {
                Ok(one) => told.push(one),
                Err(error) => told.push(Told { name, broken: Some(error.to_string()), ..Told::default() }),
            }
        }
        for kind in
            [LogKind::JournalText, LogKind::JournalBoot, LogKind::Syslog, LogKind::KernLog, LogKind::Dmesg]
        {
            sieve.next_kind();
            for path in of_kind(report, kind) {
                told.push(self.log_of_report(run, report, path, &mut sieve));
            }
        }
        run.set_given(self.given.clone());
        Ok(told)
    }

    fn log_of_report(&self, run: &mut Run<'_>, report: &Report, path: &Path, sieve: &mut Sieve) -> Told {
        let name = report.name_of(path, self.file);
        let open = || {
            let file = File::open(path)?;
            let meta = file.metadata()?;
            Ok((file, meta))
        };
        let (file, meta) = match open() {
            Ok(opened) => opened,
            Err(error) => {
                let error: io::Error = error;
                return Told { name, broken: Some(error.to_string()), ..Told::default() };
            }
        };
        let written = meta.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        let zone = self.zone.or(report.zone.as_ref()).cloned().unwrap_or_else(TimeZone::system);
        let calendar = Calendar::new(zone, written.unwrap_or_else(Timestamp::now));
        let counted = run.progress.file(&name, Some(meta.len()), file);
        match offline::unpack(counted) {
            Ok(reader) => text(run, &name, reader, calendar, sieve),
            Err(error) => Told { name, broken: Some(error.to_string()), ..Told::default() },
        }
    }
}

/// The place for what an archive holds may be a small one.
fn no_room(name: &str) -> String {
    let dir = std::env::temp_dir();
    format!("cannot unpack {name} into {} (TMPDIR may name another directory)", dir.display())
}

fn of_kind(report: &Report, kind: LogKind) -> impl Iterator<Item = &Path> {
    report.logs.iter().filter(move |(k, _)| *k == kind).map(|(_, path)| path.as_path())
}

fn text(run: &mut Run<'_>, name: &str, from: impl Read, calendar: Calendar, sieve: &mut Sieve) -> Told {
    let mut input = Input::new(from);
    let mut entries = 0;
    sieve.next_file();
    let told = offline::read(&mut input, calendar, &mut |item| sieve.pass(item, &mut entries, run));
    run.end_of_file();
    Told {
        name: name.to_owned(),
        format: told.name.to_owned(),
        entries,
        unknown: told.unknown,
        cut: input.cut(),
        is_empty: false,
        passed_over: sieve.told(),
        broken: input.failed().map(ToString::to_string),
    }
}

fn journal(run: &mut Run<'_>, name: &str, files: &[&Path], sieve: &mut Sieve) -> anyhow::Result<Told> {
    let mut entries = 0;
    sieve.next_file();
    offline::read_journal(files, &mut |item| sieve.pass(item, &mut entries, run))
        .with_context(|| format!("cannot read {name}"))?;
    run.end_of_file();
    Ok(Told { name: name.to_owned(), format: "journal".to_owned(), entries, ..Told::default() })
}

/// A report has the same lines several times: what one kind of log told is passed over in those of the next kinds.
#[derive(Debug, Default)]
struct Sieve {
    /// Times, by the wall clock, that the kinds before have told of.
    covered: Vec<(i64, i64)>,
    current: Option<(i64, i64)>,
    started_us: Option<i64>,
    /// The last entry was passed over.
    dropping: bool,
    undated: u64,
}

impl Sieve {
    fn next_kind(&mut self) {
        self.covered.extend(self.current.take());
    }

    fn next_file(&mut self) {
        (self.dropping, self.undated) = (false, 0);
    }

    fn pass(&mut self, item: Item, entries: &mut u64, run: &mut Run<'_>) -> ControlFlow<()> {
        match &item {
            Item::Entry(entry) => {
                *entries += 1;
                let started = || Some(self.started_us?.saturating_add_unsigned(entry.uptime_us?));
                let wall = entry.wall_us.or_else(started);
                self.dropping = match wall {
                    Some(wall) => self.covered.iter().any(|(first, last)| (*first..=*last).contains(&wall)),
                    None => !self.covered.is_empty(),
                };
                self.undated += u64::from(self.dropping && wall.is_none());
                if let (Some(wall), true) = (wall, entry.is_kernel()) {
                    let (first, last) = self.current.unwrap_or((wall, wall));
                    self.current = Some((first.min(wall), last.max(wall)));
                }
            }
            Item::More(_) | Item::Repeated(_) => {}
            Item::Boot(_) | Item::Nothing => self.dropping = false,
        }
        if self.dropping { ControlFlow::Continue(()) } else { run.item(item) }
    }

    fn told(&self) -> Option<String> {
        (self.undated > 0).then(|| {
            format!(
                "{} records are passed over: when they were written is not known, and the other logs may have them",
                self.undated
            )
        })
    }
}
