//! `prpt parse`: the events of a log file, of this machine or another one.

mod confine;
mod paper;
mod progress;
mod source;
mod table;
mod worker;

use std::{collections::BTreeSet, ops::ControlFlow, path::PathBuf, time::Duration};

use anyhow::Context as _;
use jiff::{Timestamp, tz::TimeZone};

use self::{
    paper::Paper,
    progress::Progress,
    source::{Notice, Reading, Source},
};
use super::{
    FAILED, NOTHING, OK, Output,
    filter::{FilterArgs, set_until},
    incident_out,
    render::{Printer, note},
    report::Target,
};
use crate::{
    config::Config,
    event::{Event, Incident, incident::IncidentId},
    offline::{self, ByHost, Given, Item, Line, Logs, Summary, bounds::Limits, report::Spool},
    parser::rules::RuleSet,
    query::{Filter, time},
    roots::Roots,
    terminal::error_chain,
};

/// Files without the form of a log that are named.
const SHAPELESS_MAX: usize = 8;

/// Options.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 if there are events and each file was read whole; 1 if there is no event, or a file could be read only in part; 2 if a file could not be read at all, or the command line is wrong. What could be read is used in each case.\n\nThe source of an event, in sources, is kmsg where dmesg, /dev/kmsg or _TRANSPORT=kernel of a journal proves that the kernel wrote it, and syslog:unproven where it is of a syslog file: any program can write such a line (logger -t kernel). In the same way journal:multipathd is of a journal that names the process, and syslog:multipathd:unproven is not.\n\nWhat is read is not trusted. No name and no link of an archive reaches the disk, no link below a directory is followed, and the process gives up its rights before it reads: it becomes user 65534 where it was root, and can write to no file. An archive takes at most 1 GiB on disk (--max-disk) and unpacks to at most 16 times that; a log of a report has at most 60 s of CPU time (--max-time) and unpacks to at most 4 times the room on disk; a report has at most 1,000,000 members, 50,000 logs and tables, 512 journal files in an archive, and names of at most 64 parts. All together take at most 256 MiB of memory. Where a bound is reached it is named, and what came before it is used."
)]
pub(super) struct Args {
    /// Log files, directories and archives of reports; - for standard input. Any of them may be compressed
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Only events not newer than this
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// What failed on each device, when first, when last, how often
    #[arg(long, conflicts_with = "all_revisions")]
    summary: bool,
    /// What failed, why, and what is hurt: one line for all events of one fault; with -v the tree of its events
    #[arg(long, conflicts_with_all = ["all_revisions", "summary"])]
    incidents: bool,
    /// Write one page with all that the incidents are about: one file, no script, nothing loaded from elsewhere
    #[arg(long, value_name = "FILE", conflicts_with_all = ["all_revisions", "summary", "incidents"])]
    report: Option<PathBuf>,
    /// Every revision of events that grew, not only the last
    #[arg(long)]
    all_revisions: bool,
    /// All that is known about each event, and what each file was taken for
    #[arg(short, long)]
    verbose: bool,
    /// When the machine was booted, for logs that report only the time since then
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    boot_time: Option<String>,
    /// Zone of times that name none: Europe/Berlin, +01:00; this machine's where it is not given
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    timezone: Option<String>,
    /// Room on disk for the logs of an archive: 500M, 4G
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = size)]
    max_disk: u64,
    /// Seconds of CPU time for each log of a report, for unpacking one, and for a log that unpacks to many times its size
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    max_time: u64,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    if let Some(code) = worker::run() {
        return Ok(code);
    }
    let mut filter = args.filter.build_for_any_machine(roots)?;
    set_until(&mut filter, args.until.as_deref())?;
    let moment = |text: &str| time::parse(text, &time::now());
    let started: Option<Timestamp> =
        args.boot_time.as_deref().map(moment).transpose().context("--boot-time")?;
    let zone = args.timezone.as_deref().map(zone).transpose()?;
    let files = if args.files.is_empty() { vec![PathBuf::from("-")] } else { args.files.clone() };

    let given = Given { started_us: started.map(Timestamp::as_microsecond), ..Given::default() };
    let logs = Logs::new(RuleSet::with_user_rules(user_rules(roots)), given.clone(), args.all_revisions);
    let printer = Printer::new(args.output, args.verbose);
    // While logs are read there is no right to open a file.
    let target = args.report.as_deref().map(|path| Target::of(Some(path))).transpose()?;
    let shows_incidents = args.incidents || args.summary || target.is_some();
    let mut out = Out {
        filter,
        summary: args.summary.then(Summary::default),
        incidents: if shows_incidents { ByHost::default() } else { ByHost::only_events() },
        only_incidents: args.incidents,
        paper: target.is_some().then(Paper::default),
        printer,
        found: false,
        wanted: BTreeSet::new(),
        error: None,
    };
    let limits = Limits { disk: args.max_disk, time: Duration::from_secs(args.max_time) };
    let sources: Vec<anyhow::Result<Source>> = files.iter().map(|file| Source::open(file)).collect();
    let mut spool = Spool::new(&limits);
    confine::confine(&sources, &mut spool);
    worker::end_with_parent();
    let progress = Progress::new();
    let mut run = Run { logs, events: Vec::new(), out: &mut out, progress, shapeless: Vec::new(), spool };
    let mut code = OK;
    for (file, source) in files.iter().zip(sources) {
        let reading = Reading { file, zone: zone.as_ref(), given: &given, limits: &limits };
        match source.and_then(|source| reading.run(&mut run, source)) {
            Ok(reported) => code = code.max(run.print_notices(&reported, args.verbose)),
            Err(error) => {
                run.progress.clear();
                note(&error_chain(error.as_ref()));
                code = FAILED;
            }
        }
        if run.out.error.is_some() {
            break;
        }
    }
    run.finish();
    let shapeless = std::mem::take(&mut run.shapeless);
    let undated = run.logs.totals().undated;
    if let Some(error) = out.error.take() {
        return Err(error);
    }
    if undated > 0 && out.found {
        note(
            "the log reports no date: times are counted from 1970 as if the boot had been then; --boot-time says when it was",
        );
    }
    if args.incidents || args.summary {
        show_incidents(&mut out, &args)?;
    }
    if let (Some(target), Some(paper)) = (target, out.paper.take()) {
        let incidents = take_incidents(&mut out);
        target.write(&paper.page(incidents, undated))?;
    }
    if let Some(summary) = &out.summary {
        table::print(&summary.rows(), args.output)?;
    }
    if !out.found {
        for name in shapeless.iter().take(SHAPELESS_MAX) {
            note(&format!(
                "{name}: its lines have no form of a log that is known (dmesg, /dev/kmsg, journalctl, syslog) and were taken for kernel text without times"
            ));
        }
        note("no event found");
        code = code.max(NOTHING);
    }
    Ok(code)
}

/// The incidents of the events that were asked for; in a summary for a human, above what failed where.
fn show_incidents(out: &mut Out, args: &Args) -> anyhow::Result<()> {
    let is_plain = args.output.format() == super::Format::Plain;
    if args.summary && !is_plain {
        return Ok(());
    }
    let all = take_incidents(out);
    incident_out::show(&all, args.output.format().into(), args.verbose && args.incidents)?;
    if args.summary && !all.is_empty() { super::render::print("\n") } else { Ok(()) }
}

fn take_incidents(out: &mut Out) -> Vec<Incident> {
    let incidents = std::mem::take(&mut out.incidents);
    if incidents.dropped() > 0 {
        note(&format!("{} incidents are left out: there were too many", incidents.dropped()));
    }
    let wanted = &out.wanted;
    let mut all = incidents.finish();
    all.retain(|incident| {
        wanted.contains(&incident.incident_id) || incident.supersedes.iter().any(|id| wanted.contains(id))
    });
    all
}

fn user_rules(roots: &Roots) -> Vec<crate::parser::rules::Rule> {
    match Config::load(roots) {
        Ok(config) => config.rules(),
        Err(_) => {
            note(
                "the configuration has errors, only built-in rules are tried; 'prpt check-config' says what is wrong",
            );
            Vec::new()
        }
    }
}

/// A zone by its name, or by its distance from UTC.
fn zone(text: &str) -> anyhow::Result<TimeZone> {
    let text = text.trim();
    if text.starts_with(['+', '-']) {
        let written = format!("2000-01-01T00:00:00{text}");
        let offset = jiff::fmt::temporal::Pieces::parse(&written).ok().and_then(|p| p.to_numeric_offset());
        return offset
            .map(TimeZone::fixed)
            .with_context(|| format!("--timezone: '{text}' is no distance from UTC; write +01:00"));
    }
    TimeZone::get(text)
        .with_context(|| format!("--timezone: '{text}' is no time zone; write Europe/Berlin or +01:00"))
}

/// `500M`, `4G`, `1048576`.
fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.trim().split_at_checked(text.trim().len().saturating_sub(1)) {
        Some((number, "K" | "k")) => (number, 10),
        Some((number, "M" | "m")) => (number, 20),
        Some((number, "G" | "g")) => (number, 30),
        Some((number, "T" | "t")) => (number, 40),
        _ => (text.trim(), 0),
    };
    let number: u64 = number.parse().map_err(|_| "write a number with K, M, G or T: 500M".to_owned())?;
    number.checked_mul(1 << unit).ok_or_else(|| "that is too much".to_owned())
}

/// Where events go.
struct Out {
    filter: Filter,
    summary: Option<Summary>,
    incidents: ByHost,
    /// Nothing but incidents is shown.
    only_incidents: bool,
    /// What a page is made of, where one is wanted.
    paper: Option<Paper>,
    printer: Printer,
    found: bool,
    /// Incidents of events that were asked for.
    wanted: BTreeSet<IncidentId>,
    error: Option<anyhow::Error>,
}

impl Out {
    fn event(&mut self, event: &mut Event) {
        self.incidents.push(event);
        if self.error.is_some() || !self.filter.matches(event) {
            return;
        }
        self.found = true;
        if let Some(id) = event.incident_id
            && (self.only_incidents || self.summary.is_some() || self.paper.is_some())
        {
            self.wanted.insert(id);
        }
        if let Some(paper) = &mut self.paper {
            paper.event(event);
            return;
        }
        match &mut self.summary {
            _ if self.only_incidents => {}
            Some(summary) => summary.add(event),
            None => self.error = self.printer.event(event).err(),
        }
    }
}

/// What a run has at hand while it reads.
struct Run<'o> {
    logs: Logs,
    events: Vec<Event>,
    out: &'o mut Out,
    progress: Progress,
    /// Files whose lines have no form of a log.
    shapeless: Vec<String>,
    /// Room on disk for what archives hold.
    spool: Spool,
}

impl Run<'_> {
    /// Takes what a file has next.
    fn item(&mut self, item: Item) -> ControlFlow<()> {
        self.logs.push(item, &mut self.events);
        self.progress.step(self.logs.totals());
        self.print()
    }

    /// Takes note of a record that says nothing of storage, if nothing but its time counts.
    fn lets_pass(&mut self, line: &Line<'_>) -> bool {
        // That nobody reads the output any more is to be noticed.
        if self.out.error.is_some() || !self.logs.lets_pass(line, &mut self.events) {
            return false;
        }
        if !self.events.is_empty() {
            let _broken_pipe_shows_later = self.print();
        }
        self.progress.step(self.logs.totals());
        true
    }

    fn print(&mut self) -> ControlFlow<()> {
        if !self.events.is_empty() {
            if self.out.summary.is_none() {
                self.progress.clear();
            }
            for mut event in self.events.drain(..) {
                self.out.event(&mut event);
            }
        }
        if self.out.error.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn end_of_file(&mut self) {
        self.logs.end_of_file(&mut self.events);
        let _broken_pipe_shows_later = self.print();
    }

    fn set_given(&mut self, given: Given) {
        self.logs.set_given(given, &mut self.events);
        let _broken_pipe_shows_later = self.print();
    }

    fn finish(&mut self) {
        self.logs.finish(&mut self.events);
        self.progress.clear();
        let _broken_pipe_shows_later = self.print();
    }

    /// Says what became of files; the exit status that follows from it.
    fn print_notices(&mut self, reported: &[Notice], verbose: bool) -> u8 {
        self.progress.clear();
        let mut code = OK;
        if let Some(paper) = &mut self.out.paper {
            reported.iter().for_each(|one| paper.file(one));
        }
        for one in reported {
            let name = &one.name;
            if verbose && !one.is_empty {
                let Notice { format, entries, unknown, cut, .. } = one;
                let more = |count: &u64, words: &str| {
                    if *count == 0 { String::new() } else { format!(", {count} {words}") }
                };
                note(&format!(
                    "{name}: {format}, {entries} records{}{}",
                    more(unknown, "lines of no known form"),
                    more(cut, "lines cut for their length")
                ));
            }
            if one.is_empty {
                note(&format!("{name}: it is empty"));
            } else if offline::is_shapeless(&one.format) {
                self.shapeless.push(name.clone());
            } else if !verbose && one.unknown > one.entries {
                note(&format!(
                    "{name}: {} of its lines have no form that is known, {} records are read as {}",
                    one.unknown, one.entries, one.format
                ));
            }
            if !verbose && one.cut > 0 {
                note(&format!("{name}: {} of its lines are longer than 64 KiB and were cut", one.cut));
            }
            if let Some(passed_over) = &one.passed_over {
                note(&format!("{name}: {passed_over}"));
            }
            if let Some(broken) = &one.broken {
                note(&format!("{name}: read only in part: {broken}"));
                code = NOTHING;
            }
        }
        code
    }
}
