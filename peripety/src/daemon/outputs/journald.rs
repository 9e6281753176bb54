//! Events in the journal, which wait in files while journald does not take them.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{Context, Output};
use crate::{
    event::Event,
    journal::Patience,
    notifier::{
        self, Queue, Spool, WentOut,
        journald::{self, Journald, NAME},
    },
    query::journald::{Direction, Position, ReadError, Reader},
    roots::Roots,
};

/// How long the journal may take to say whether it has an event: others wait behind that.
const CHECK: Patience = Patience { silence: Duration::from_secs(1), total: Duration::from_secs(2) };

/// This output.
pub(super) const OUTPUT: Output = Output { name: NAME, keeps: true, wanted, start };

fn wanted(context: &Context<'_>) -> bool {
    if !context.main.save_to_journald {
        return false;
    }
    // Where there was a journald, for an earlier daemon or this one, events may wait for it to come back. Under systemd it
    // always does.
    let was = context.spooled.is_some() || context.running;
    let may_come = context.roots.run.join("systemd/system").exists();
    let may_be = journald::present(context.roots) || may_come || was || context.asked.journal_later;
    if !may_be {
        tracing::warn!(
            "no journald here ({} is missing): events are kept in memory for prpt, and gone when this daemon ends",
            journald::socket(context.roots).display()
        );
    }
    may_be
}

fn start(context: &Context<'_>) -> io::Result<Queue> {
    let Context { roots, spooled, .. } = *context;
    let bound = u64::from(context.main.spool_mib) << 20;
    let (spool, files) = if context.held {
        Spool::open(&roots.runtime, bound, spooled)
    } else {
        (Spool::in_memory(&roots.runtime, bound, spooled), Ok(()))
    };
    let (roots_of_journal, unchecked) = (roots.clone(), Arc::clone(context.unchecked));
    let went_out: WentOut = Box::new(move |event| is_in_journal(&roots_of_journal, event, &unchecked));
    notifier::spawn_spooled(Journald::new(roots), spool, files, went_out)
}

/// Whether the journal has this revision of an event: an earlier daemon may have been killed between sending it and writing
/// that down. It is among the latest entries, or not there. Where that cannot be known in time it is sent once more, which
/// readers see by its id and revision, and never lost.
fn is_in_journal(roots: &Roots, event: &Event, unknown: &AtomicU64) -> bool {
    const ENTRIES: usize = 256;
    let search = || -> Result<bool, ReadError> {
        let mut reader = Reader::open_with(roots, CHECK)?;
        reader.set_heads_only(true);
        reader.set_own_only();
        reader.seek(&Position::Tail)?;
        for _entry in 0..ENTRIES {
            let Some(head) = reader.step(Direction::Back)? else { break };
            if head.id == event.event_id && head.revision == event.revision {
                return Ok(true);
            }
        }
        match reader.take_unread().into_iter().next() {
            Some(unread) => Err(ReadError::Unread(unread)),
            None => Ok(false),
        }
    };
    search().unwrap_or_else(|error| {
        unknown.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            "{error}: whether the journal has event {} already is not known, so it is sent again",
            event.event_id
        );
        false
    })
}
