//! `prpt monitor`: events as they happen, over the daemon's socket, or from the journal where there is none.

use std::{
    os::fd::{AsFd as _, BorrowedFd},
    thread,
    time::Duration,
};

use jiff::Timestamp;
use peripety_client::Seen;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{
    OK, Output,
    filter::FilterArgs,
    incident_out, known,
    query::{tell_foreign, tell_skipped, tell_unread},
    render::{Printer, note},
};
use crate::{
    daemon::Host,
    event::Event,
    query::{
        Filter, incidents,
        journald::{Access, Direction, Position, Reader},
        socket::{Client, ClientError, Events, Message, Wanted},
    },
    roots::Roots,
};

/// How often it is tried whether the daemon is back.
const RETRY: Duration = Duration::from_millis(500);
/// How long to wait for the journal before it is looked at whether stdout is still there.
const JOURNAL_WAIT: Duration = Duration::from_secs(1);
/// Events whose revision is remembered, so that none is shown twice after the daemon came back.
const REMEMBERED: usize = 4096;

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    filter: FilterArgs,
    /// Incidents as they begin, change and end, in place of events; from the journal
    #[arg(long)]
    incidents: bool,
    /// All that is known about each event
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    if args.incidents {
        end_at_interrupt()?;
        let (picture, verbose) = (args.output.format().into(), args.verbose);
        incidents::follow(roots, &mut |incident| incident_out::show(&[incident], picture, verbose))?;
        return Ok(OK);
    }
    let built = args.filter.build(roots)?;
    if let Some(unknown) = built.unknown_device {
        // Nothing would ever be shown.
        return Err(unknown.context("--blk"));
    }
    end_at_interrupt()?;
    let mut printer = Printer::new(args.output, args.verbose);
    printer.name_others(Host::read(roots).hostname);
    let mut monitor = Monitor { printer, filter: built.filter, shown: Seen::new(REMEMBERED) };
    match Client::connect(roots) {
        Ok(client) => {
            known::note_limits(roots);
            monitor.follow_daemon(client, roots)?;
        }
        Err(error) => {
            let journal = Reader::open(roots).ok().filter(Reader::has_files);
            let Some(reader) = journal.filter(|reader| reader.access() == Access::Readable) else {
                return Err(error.into());
            };
            let why = if matches!(error, ClientError::Permission { .. }) {
                "no permission for"
            } else {
                "no answer at"
            };
            note(&format!(
                "{why} {}: following the journal, which gets events only while peripetyd runs",
                roots.socket().display()
            ));
            monitor.follow_journal(reader)?;
        }
    }
    Ok(OK)
}

/// Ctrl-C is the way to end this command: it is no failure.
pub(super) fn end_at_interrupt() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut interrupt = {
        let _entered = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?
    };
    thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(interrupt.recv());
        // Every event is one write: none is cut.
        std::process::exit(i32::from(OK));
    })?;
    Ok(())
}

struct Monitor {
    printer: Printer,
    filter: Filter,
    shown: Seen,
}

/// Why following ended.
enum End {
    /// The daemon went away.
    Daemon,
    /// Nobody reads stdout any more.
    Reader,
}

impl Monitor {
    fn follow_daemon(&mut self, client: Client, roots: &Roots) -> anyhow::Result<()> {
        let mut events = client.events(Wanted { follow: true, since: self.filter.since, backlog: None })?;
        // What is stored was there before: it is not shown, but known, so that its growing is.
        let mut show_stored = self.filter.since.is_some();
        loop {
            match self.follow(&mut events, show_stored)? {
                End::Reader => return Ok(()),
                End::Daemon => note("peripetyd went away; waiting for it to come back"),
            }
            show_stored = true;
            let gone = Timestamp::now();
            let Some(client) = wait_for_daemon(roots) else { return Ok(()) };
            note("peripetyd is back");
            // What happened meanwhile is in its memory.
            events = client.events(Wanted { follow: true, since: Some(gone), backlog: None })?;
        }
    }

    fn follow(&mut self, events: &mut Events, mut show: bool) -> anyhow::Result<End> {
        loop {
            if !events.has_line() && stdout_closed_before(Some(events.as_fd()), None) {
                return Ok(End::Reader);
            }
            match events.message() {
                Ok(Some(Message::Event(event))) if show => self.show(&event)?,
                Ok(Some(Message::Event(event))) => {
                    self.shown.is_new(event.event_id, event.revision);
                    self.printer.known(&event);
                }
                Ok(Some(Message::Live)) => show = true,
                Ok(Some(Message::Incident)) => {}
                Ok(Some(Message::Lost(lost))) => {
                    note(&format!(
                        "{lost} updates are lost: this terminal was too slow; 'prpt query' has the events"
                    ));
                }
                Ok(Some(Message::Unreadable(why))) => note(&format!("an event is not readable: {why}")),
                Ok(Some(Message::End) | None) | Err(ClientError::System { .. }) => return Ok(End::Daemon),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn follow_journal(&mut self, mut reader: Reader) -> anyhow::Result<()> {
        match self.filter.since {
            Some(since) => reader.seek(&Position::Time(since))?,
            None => reader.seek_end()?,
        }
        loop {
            while reader.step(Direction::Forward)?.is_some() {
                if let Some(event) = reader.event() {
                    self.show(&event)?;
                }
            }
            tell_skipped(reader.take_skipped());
            tell_foreign(&mut reader);
            tell_unread(&reader.take_unread());
            if stdout_closed_before(None, Some(Duration::ZERO)) {
                return Ok(());
            }
            reader.wait(JOURNAL_WAIT)?;
        }
    }

    fn show(&mut self, event: &Event) -> anyhow::Result<()> {
        if self.filter.matches(event) && self.shown.is_new(event.event_id, event.revision) {
            self.printer.revision(event)
        } else {
            Ok(())
        }
    }
}

/// Tries until the daemon is back; none when nobody reads stdout any more.
fn wait_for_daemon(roots: &Roots) -> Option<Client> {
    loop {
        if stdout_closed_before(None, Some(RETRY)) {
            return None;
        }
        if let Ok(client) = Client::connect(roots) {
            return Some(client);
        }
    }
}

/// Waits for something to read, or for `patience`; true when the reader of stdout has gone.
pub(super) fn stdout_closed_before(input: Option<BorrowedFd<'_>>, patience: Option<Duration>) -> bool {
    let stdout = std::io::stdout();
    let closed = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
    let mut fds = vec![PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::empty())];
    fds.extend(input.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
    let timeout = patience.and_then(|p| Timespec::try_from(p).ok());
    // An interrupted wait is a short one.
    let _interrupted = poll(&mut fds, timeout.as_ref());
    fds.first().is_some_and(|fd| fd.revents().intersects(closed))
}
