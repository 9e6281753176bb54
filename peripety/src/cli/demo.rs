//! `prpt demo`: a real failure on a disk that is made for it, as the daemon reports it.
//!
//! The disk is a loop device on a file in memory that holds less than the disk promises. Its owner is this process: from the
//! moment it is made, the kernel takes it and the memory back when the process ends, however it ends.

mod disk;
mod interrupt;
mod leftovers;

use std::{
    io::{BufRead as _, IsTerminal as _, Write as _},
    thread,
    time::{Duration, Instant},
};

use anyhow::bail;
use jiff::tz::TimeZone;

use self::{disk::FailingDisk, interrupt::Interrupt};
use super::{
    NOTHING, OK, incident_out, known,
    render::{note, print, width},
    status::incident_line,
};
use crate::{
    event::Incident,
    incident::pick::is_meant,
    notifier::{plain::wrap, socket::Request},
    query::socket::Client,
    roots::Roots,
};

/// How long the daemon has for the incident.
const LIMIT: Duration = Duration::from_secs(20);
/// After the first sight of it, for what the kernel's text adds.
const MORE_TO_COME: Duration = Duration::from_millis(1500);

const WHAT: &str = "\
This makes a disk that fails, and shows what peripetyd reports of it: a loop device of 16 MiB on a file in memory that has room for \
one. 2 MiB are written to it, what does not fit fails, and the disk and its memory are taken away again. No other disk is \
touched. The failure stays in the journal, as a failure of that loop device.";

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Do it without asking
    #[arg(short, long)]
    yes: bool,
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    if !rustix::process::geteuid().is_root() {
        bail!("making a disk that fails takes root: sudo prpt demo");
    }
    // Whoever does not run cannot report anything: that is said before anything is made.
    Client::connect(roots)?;
    if !args.yes && !asked()? {
        note("nothing was done");
        return Ok(NOTHING);
    }
    let interrupt = Interrupt::catch()?;
    let before = known::incidents(roots);
    let disk = FailingDisk::make()?;
    note(&format!("made {}; writing 2 MiB to it", disk.name()));
    let failure = disk.fail()?;
    note(&format!("the kernel says: {failure}"));

    let shown = wait(roots, disk.name(), &before, &interrupt);
    let (code, words) = match &shown {
        Some(incident) => {
            show(incident)?;
            let name = disk.name();
            (OK, format!("'prpt explain {name}' shows it again, 'prpt query --blk {name}' its events"))
        }
        None if interrupt.came() => (NOTHING, "interrupted".to_owned()),
        None => (
            NOTHING,
            format!(
                "peripetyd reported no incident within {} s: 'prpt doctor' says what it can see here",
                LIMIT.as_secs()
            ),
        ),
    };
    if shown.is_some() {
        resolve(roots, disk.name());
    }
    let name = disk.name().to_owned();
    disk.remove()?;
    note(&format!("{name} and its memory are gone; {words}"));
    Ok(code)
}

/// Whether root wants it.
fn asked() -> anyhow::Result<bool> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        bail!("nobody is here to be asked: say 'prpt demo --yes'");
    }
    for line in wrap(WHAT, width().unwrap_or(80)) {
        note(&line);
    }
    let mut err = anstream::stderr().lock();
    write!(err, "prpt: go on? [y/N] ")?;
    err.flush()?;
    drop(err);
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// The incident of the disk that was not there before, when no more is added to it.
fn wait(roots: &Roots, name: &str, before: &[Incident], interrupt: &Interrupt) -> Option<Incident> {
    let start = Instant::now();
    let mut seen: Option<Instant> = None;
    loop {
        let is_new = |incident: &Incident| {
            let same = before.iter().find(|known| known.incident_id == incident.incident_id);
            same.is_none_or(|known| known.updated < incident.updated)
        };
        let found = known::incidents(roots).into_iter().rfind(|i| is_meant(i, name) && is_new(i));
        if found.is_some() {
            let first = *seen.get_or_insert_with(Instant::now);
            if first.elapsed() > MORE_TO_COME || interrupt.came() {
                return found;
            }
        }
        if interrupt.came() || start.elapsed() > LIMIT {
            return found;
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// As 'prpt status' and 'prpt explain' show it.
fn show(incident: &Incident) -> anyhow::Result<()> {
    let mut text = b"\n$ prpt status\n".to_vec();
    incident_line(&mut text, incident, &TimeZone::system())?;
    writeln!(text, "\n$ prpt explain {}", incident.cause.name)?;
    print(&String::from_utf8_lossy(&text))?;
    incident_out::show(std::slice::from_ref(incident), incident_out::Picture::Plain, true)
}

/// The fault is over when its disk goes: nobody has to clear it away from 'prpt status'.
fn resolve(roots: &Roots, name: &str) {
    let request = Request::of_person("resolve", name.to_owned(), "prpt demo is over".to_owned());
    let answer = Client::connect(roots).and_then(|client| client.request(request));
    if let Err(error) = answer {
        note(&format!("the incident stays open in 'prpt status': {error}"));
    }
}
