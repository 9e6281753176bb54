//! The journal, read on a thread of its own: reading it blocks, and its disk may be the one that fails.

use std::{io, thread};

use peripety_client::{Content, Cursor, Error, Next, Options, Source, Start, Stream};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{Args, config::Begin};

/// Entries that are read ahead.
const AHEAD: usize = 64;

/// What the journal gives.
#[derive(Debug)]
pub(super) enum Taken {
    /// A revision of an event or incident, as it was written, and the place after it.
    Revision(Box<Content>, String, Option<String>),
    /// All that was written is through; what comes now happens now.
    Live,
    /// So many entries so far cannot be read, and why.
    Gap(u64, String),
    /// The journal cannot be read.
    Failed(Error),
}

/// Begins to read after a place, or where the configuration says.
///
/// # Errors
/// There is no thread.
pub(super) fn start(args: &Args, after: Option<Cursor>, begin: Begin) -> io::Result<Receiver<Taken>> {
    let start = match (after, begin) {
        (Some(cursor), _) => Start::After(cursor),
        (None, Begin::Stored) => Start::Stored,
        (None, Begin::Now) => Start::Now,
    };
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join("peripetyd")));
    let options = Options {
        incidents: true,
        source: Source::Journal,
        start,
        journal: args.journal_dir.clone(),
        daemons: beside.into_iter().chain(args.daemon.clone()).collect(),
        ..Options::default()
    };
    let (sender, receiver) = channel(AHEAD);
    let work = move || {
        if let Err(error) = read(options, &sender) {
            let _ended = sender.blocking_send(Taken::Failed(error));
        }
    };
    thread::Builder::new().name("journal".to_owned()).spawn(work)?;
    Ok(receiver)
}

fn read(options: Options, sender: &Sender<Taken>) -> Result<(), Error> {
    let mut stream = Stream::open(options)?;
    loop {
        let item = match stream.wait(None)? {
            Next::Item(item) => item,
            Next::Nothing => continue,
            Next::Over => return Ok(()),
        };
        let missed = item.missed();
        let (json, cursor) = (item.json().to_owned(), item.cursor().map(ToString::to_string));
        let taken = match item.into_content() {
            content @ (Content::Event(_) | Content::Incident(_)) => {
                Taken::Revision(Box::new(content), json, cursor)
            }
            Content::Live => Taken::Live,
            Content::Gap(why) => Taken::Gap(missed, why),
            Content::Disconnected => continue,
        };
        if sender.blocking_send(taken).is_err() {
            return Ok(());
        }
    }
}
