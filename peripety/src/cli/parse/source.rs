//! What a name on the command line leads to: a log, a journal file, a report.

use std::{
    fs::{File, Metadata},
    io::{self, BufRead as _, BufReader, IsTerminal as _, Read},
    ops::ControlFlow,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use jiff::{Timestamp, tz::TimeZone};

use super::Run;
use crate::offline::{
    self, Calendar, Given, Input, Item, Line, Silent, Taker,
    bounds::{Bounded, Limits},
    report::{LogKind, Report, is_tar, open_directory},
};

/// What became of one file.
#[derive(Debug, Default)]
pub(super) struct Notice {
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

/// What a name on the command line leads to. All are opened before any is read: while files are read the process has no
/// rights to open more.
#[derive(Debug)]
pub(super) enum Source {
    Standard,
    Directory(OwnedFd),
    File(File, Metadata),
}

impl Source {
    /// Opens it.
    pub(super) fn open(file: &Path) -> anyhow::Result<Self> {
        let name = file.display();
        if file == Path::new("-") {
            if io::stdin().is_terminal() {
                bail!("give a file, or send a log into standard input: dmesg | prpt parse");
            }
            return Ok(Self::Standard);
        }
        let meta = std::fs::metadata(file).with_context(|| format!("cannot open {name}"))?;
        if meta.is_dir() {
            return Ok(Self::Directory(open_directory(file).with_context(|| format!("cannot open {name}"))?));
        }
        let kind = meta.file_type();
        // /dev/zero and the like never end; the open of a disk may do harm.
        if kind.is_block_device() || (kind.is_char_device() && !is_log_device(meta.rdev())) {
            bail!("{name} is a device and no log");
        }
        let opened = File::open(file).with_context(|| format!("cannot open {name}"))?;
        Ok(Self::File(opened, meta))
    }

    /// Whether journal files may have to be unpacked: it is compressed, an archive, or a stream that cannot be looked into.
    pub(super) fn may_hold_journals(&self) -> bool {
        match self {
            Self::Standard => true,
            Self::Directory(_) => false,
            Self::File(file, meta) if meta.is_file() => {
                let mut start = [0; 512];
                file.read_at(&mut start, 0).is_ok()
                    && (offline::packing(&start) != offline::Packing::Plain || is_tar(&start))
            }
            Self::File(..) => true,
        }
    }

    /// The descriptor below which files are opened later.
    pub(super) fn directory(&self) -> Option<BorrowedFd<'_>> {
        if let Self::Directory(directory) = self { Some(directory.as_fd()) } else { None }
    }

    /// The descriptor of a file that was named itself.
    pub(super) fn file(&self) -> Option<BorrowedFd<'_>> {
        if let Self::File(file, _) = self { Some(file.as_fd()) } else { None }
    }
}

/// /dev/null, /dev/kmsg, terminals (Documentation/admin-guide/devices.txt).
fn is_log_device(rdev: u64) -> bool {
    let (major, minor) = (rustix::fs::major(rdev), rustix::fs::minor(rdev));
    matches!((major, minor), (1, 3 | 11) | (4 | 5 | 136..=143, _))
}

/// A name that is to be read.
pub(super) struct Reading<'a> {
    pub(super) file: &'a Path,
    pub(super) zone: Option<&'a TimeZone>,
    pub(super) given: &'a Given,
    pub(super) limits: &'a Limits,
}

impl Reading<'_> {
    /// Reads all that the name leads to.
    pub(super) fn run(&self, run: &mut Run<'_>, source: Source) -> anyhow::Result<Vec<Notice>> {
        let name = self.file.display().to_string();
        match source {
            Source::Standard => {
                self.stream(run, "standard input", io::stdin().lock(), None, Timestamp::now(), None)
            }
            Source::Directory(directory) => {
                let report = Report::of_directory(directory, self.limits, &mut run.spool);
                self.report(run, &report.with_context(|| format!("cannot read {name}"))?, "")
            }
            Source::File(file, meta) => {
                let written = meta.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
                let written = written.unwrap_or_else(Timestamp::now);
                let size = meta.is_file().then_some(meta.len());
                let path =
                    meta.is_file().then(|| PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())));
                self.stream(run, &name, &file, size, written, path.as_deref())
            }
        }
    }

    /// Reads a file; `path` leads to it where it is one of a disk.
    fn stream(
        &self,
        run: &mut Run<'_>,
        name: &str,
        from: impl Read,
        size: Option<u64>,
        written: Timestamp,
        path: Option<&Path>,
    ) -> anyhow::Result<Vec<Notice>> {
        let counted = run.progress.file(name, size, from);
        let packed = counted.count();
        let mut reader = BufReader::with_capacity(64 << 10, counted);
        let is_packed = offline::packing(reader.fill_buf().unwrap_or_default()) != offline::Packing::Plain;
        let reader = offline::unpack(reader).with_context(|| format!("cannot read {name}"))?;
        let mut reader = BufReader::with_capacity(4096, reader);
        let start = reader.fill_buf();
        if start.as_ref().is_ok_and(|start| start.is_empty()) {
            return Ok(vec![Notice { name: name.to_owned(), is_empty: true, ..Notice::default() }]);
        }
        let (is_tar, is_journal) = start.map_or((false, false), |s| (is_tar(s), offline::is_journal(s)));
        if is_tar {
            let report = Report::of_archive(reader, self.limits, &mut run.spool);
            return self.report(run, &report, &format!("{name}: "));
        }
        if is_journal {
            return Ok(vec![self.journal(run, name, reader, path.filter(|_| !is_packed))?]);
        }
        let zone = self.zone.cloned().unwrap_or_else(TimeZone::system);
        let calendar = Calendar::new(zone, written);
        let mut sieve = Sieve::default();
        // What is not packed is as long as it is.
        Ok(vec![if is_packed {
            text(run, name, Bounded::named(reader, self.limits, packed), calendar, &mut sieve, false)
        } else {
            text(run, name, reader, calendar, &mut sieve, size.is_some())
        }])
    }

    /// libsystemd reads files, and not compressed ones.
    fn journal(
        &self,
        run: &mut Run<'_>,
        name: &str,
        reader: impl Read,
        path: Option<&Path>,
    ) -> anyhow::Result<Notice> {
        let mut sieve = Sieve::default();
        if let Some(path) = path {
            return journal(run, name, &[path], &mut sieve);
        }
        let stored = run.spool.journal(Bounded::archive(reader, self.limits), None);
        let stored = stored.with_context(|| format!("cannot unpack {name}"))?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", stored.file().as_raw_fd()));
        let reported = journal(run, name, &[&path], &mut sieve);
        run.spool.clear();
        reported
    }

    /// Reads a report, of which logs are called by `prefix` and their names in it.
    fn report(&self, run: &mut Run<'_>, report: &Report, prefix: &str) -> anyhow::Result<Vec<Notice>> {
        let name = self.file.display().to_string();
        let mut reported: Vec<Notice> = Vec::new();
        for sentence in &report.left_out {
            reported.push(Notice { name: name.clone(), broken: Some(sentence.clone()), ..Notice::default() });
        }
        if report.logs.is_empty() {
            run.print_notices(&reported, false);
            run.spool.clear();
            bail!("{name} holds no log that is known: no journal, messages, syslog, kern.log or dmesg");
        }
        let mut given = report.given.clone();
        given.started_us = self.given.started_us.or(given.started_us);
        let mut sieve = Sieve { started_us: given.started_us, ..Sieve::default() };
        run.set_given(given);
        reported.extend(journals(run, report, &mut sieve));
        for kind in
            [LogKind::JournalText, LogKind::JournalBoot, LogKind::Syslog, LogKind::KernLog, LogKind::Dmesg]
        {
            sieve.next_kind();
            for path in of_kind(report, kind) {
                let name = if prefix.is_empty() {
                    self.file.join(path).display().to_string()
                } else {
                    format!("{prefix}{}", path.display())
                };
                reported.push(self.log_of_report(run, report, path, name, &mut sieve));
            }
        }
        run.set_given(self.given.clone());
        run.spool.clear();
        Ok(reported)
    }

    fn log_of_report(
        &self,
        run: &mut Run<'_>,
        report: &Report,
        path: &Path,
        name: String,
        sieve: &mut Sieve,
    ) -> Notice {
        let opened = match report.open(path) {
            Ok(opened) => opened,
            Err(error) => return Notice { name, broken: Some(error.to_string()), ..Notice::default() },
        };
        let zone = self.zone.or(report.zone.as_ref()).cloned().unwrap_or_else(TimeZone::system);
        let calendar = Calendar::new(zone, opened.written.unwrap_or_else(Timestamp::now));
        let counted = run.progress.file(&name, Some(opened.size), opened.from);
        match offline::unpack(counted) {
            Ok(reader) => text(run, &name, Bounded::log(reader, self.limits), calendar, sieve, false),
            Err(error) => Notice { name, broken: Some(error.to_string()), ..Notice::default() },
        }
    }
}

/// Reads the journal files of a report, all together.
fn journals(run: &mut Run<'_>, report: &Report, sieve: &mut Sieve) -> Vec<Notice> {
    let mut reported = Vec::new();
    let mut open = Vec::new();
    for path in of_kind(report, LogKind::Journal) {
        match report.open_journal(path) {
            Ok(file) => open.push(file),
            Err(error) => {
                let name = path.display().to_string();
                reported.push(Notice { name, broken: Some(error.to_string()), ..Notice::default() });
            }
        }
    }
    if !open.is_empty() {
        let paths: Vec<&Path> = open.iter().map(|file| file.path.as_path()).collect();
        let name = format!("{} journal files", paths.len());
        reported.push(journal(run, &name, &paths, sieve).unwrap_or_else(|error| Notice {
            name,
            broken: Some(error.to_string()),
            ..Notice::default()
        }));
    }
    reported
}

fn of_kind(report: &Report, kind: LogKind) -> impl Iterator<Item = &Path> {
    report.logs.iter().filter(move |(k, _)| *k == kind).map(|(_, path)| path.as_path())
}

/// Reads a log. What has a bound of time is read by one thread, whose time is counted, and so is what comes as it is written.
fn text(
    run: &mut Run<'_>,
    name: &str,
    from: impl Read,
    calendar: Calendar,
    sieve: &mut Sieve,
    is_alone: bool,
) -> Notice {
    let mut input = Input::new(from);
    let mut entries = 0;
    sieve.next_file();
    let mut sieved = Sieved::new(sieve, run, &mut entries);
    let beside = if is_alone && offline::is_parallel() {
        let silent = Arc::clone(&sieved.silent);
        offline::read_beside(&mut input, calendar.clone(), &silent, &mut sieved)
    } else {
        None
    };
    let reported = beside.unwrap_or_else(|| offline::read_into(&mut input, calendar, &mut sieved));
    run.end_of_file();
    Notice {
        name: name.to_owned(),
        format: reported.name.to_owned(),
        entries,
        unknown: reported.unknown,
        cut: input.cut(),
        is_empty: false,
        passed_over: sieve.reported(),
        broken: input.failed().map(ToString::to_string),
    }
}

fn journal(run: &mut Run<'_>, name: &str, files: &[&Path], sieve: &mut Sieve) -> anyhow::Result<Notice> {
    let mut entries = 0;
    sieve.next_file();
    // This process is one of its own, without rights, and may die of a damaged file.
    let unread = offline::read_journal(files, None, &mut Sieved::new(sieve, run, &mut entries))
        .with_context(|| format!("cannot read {name}"))?;
    run.end_of_file();
    if let [unread] = unread.as_slice()
        && entries == 0
        && files.len() == 1
    {
        anyhow::bail!("{}: {}", name, unread.why);
    }
    let broken =
        (!unread.is_empty()).then(|| unread.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
    Ok(Notice { name: name.to_owned(), format: "journal".to_owned(), entries, broken, ..Notice::default() })
}

/// A report has the same lines several times: what one kind of log reported is passed over in those of the next kinds.
#[derive(Debug, Default)]
struct Sieve {
    /// Times, by the wall clock, that the kinds before have reported.
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

    /// When a record was written, and whether the kinds before have it.
    fn look(&self, wall_us: Option<i64>, uptime_us: Option<u64>) -> (Option<i64>, bool) {
        let started = || Some(self.started_us?.saturating_add_unsigned(uptime_us?));
        let wall = wall_us.or_else(started);
        let is_covered = match wall {
            Some(wall) => self.covered.iter().any(|(first, last)| (*first..=*last).contains(&wall)),
            None => !self.covered.is_empty(),
        };
        (wall, is_covered)
    }

    fn note(&mut self, (wall, is_covered): (Option<i64>, bool), is_kernel: bool) {
        self.dropping = is_covered;
        self.undated += u64::from(is_covered && wall.is_none());
        if let (Some(wall), true) = (wall, is_kernel) {
            let (first, last) = self.current.unwrap_or((wall, wall));
            self.current = Some((first.min(wall), last.max(wall)));
        }
    }

    fn reported(&self) -> Option<String> {
        (self.undated > 0).then(|| {
            format!(
                "{} records are passed over: when they were written is not known, and the other logs may have them",
                self.undated
            )
        })
    }
}

/// What a file has, on its way through the sieve.
struct Sieved<'a, 'r, 'o> {
    sieve: &'a mut Sieve,
    run: &'r mut Run<'o>,
    entries: &'a mut u64,
    silent: Arc<Silent>,
}

impl<'a, 'r, 'o> Sieved<'a, 'r, 'o> {
    fn new(sieve: &'a mut Sieve, run: &'r mut Run<'o>, entries: &'a mut u64) -> Self {
        let silent = run.logs.silent();
        Self { sieve, run, entries, silent }
    }
}

impl Taker for Sieved<'_, '_, '_> {
    fn take(&mut self, item: Item) -> ControlFlow<()> {
        match &item {
            Item::Entry(entry) => {
                *self.entries += 1;
                let found = self.sieve.look(entry.wall_us, entry.uptime_us);
                self.sieve.note(found, entry.is_kernel());
            }
            Item::Whole(_) | Item::More(_) | Item::Repeated(_) => {}
            Item::Boot(_) | Item::Nothing => self.sieve.dropping = false,
        }
        if self.sieve.dropping { ControlFlow::Continue(()) } else { self.run.item(item) }
    }

    fn passes(&mut self, line: &Line<'_>, _whole: &str) -> bool {
        self.silent.is(line) && self.lets_pass(line)
    }

    fn lets_pass(&mut self, line: &Line<'_>) -> bool {
        let found @ (_, is_covered) = self.sieve.look(line.wall_us, line.uptime_us);
        if !is_covered && !self.run.lets_pass(line) {
            return false;
        }
        *self.entries += 1;
        self.sieve.note(found, line.is_kernel());
        true
    }
}
