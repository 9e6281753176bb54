//! Which event a line or a record is about: the matchers, in the order in which they are asked.
//!
//! A matcher is a pure function of what came and of a [`View`] of what is open. Nothing here changes anything: that is for
//! the façade, `correlator`. There are three ordered lists, one for each thing that seeks an event:
//!
//! * a line of text: [`ORDER`]. A matcher looks at lines of its own subject only, and answers that the line joins an event,
//!   that none of its subject is open for it, or that the line is none of its business. [`decide`] says what becomes of a
//!   line that just came; [`seek`] asks the same matchers again for a line that waited, and whenever an event opens for which
//!   lines may be waiting;
//! * a request or bio that failed: [`probe_request::REQUEST_ORDER`];
//! * a SCSI or NVMe command that failed, of which no request did: [`probe_command::COMMAND_ORDER`].
//!
//! Any other record of a probe stands for one failure, and is found by one key (`correlator/kernel.rs`).

pub(super) mod ata;
pub(super) mod command;
pub(super) mod daemon_log;
pub(super) mod filesystem;
pub(super) mod line;
pub(super) mod probe_command;
pub(super) mod probe_request;
#[cfg(test)]
mod probe_tests;
pub(super) mod report;
pub(super) mod request;
pub(super) mod scsi;
pub(super) mod status;
pub(super) mod suppressed;
#[cfg(test)]
mod tests;

use super::{
    active_sources::LiveSources,
    correlator::detail,
    fold::Fold,
    fold_table::{FoldId, Table},
    key::{FoldKey, Scope},
    waiting_lines::WaitingLines,
};
use crate::parser::RawEvent;

/// What is open and what waits.
#[derive(Clone, Copy)]
pub(super) struct View<'v> {
    /// The open events.
    pub(super) table: &'v Table,
    /// The lines that wait.
    pub(super) held: &'v WaitingLines,
    /// Which sources deliver.
    pub(super) live: LiveSources,
}

impl View<'_> {
    fn find(&self, key: FoldKey) -> Option<FoldId> {
        self.table.find(&key)
    }

    fn fold(&self, key: FoldKey) -> Option<(FoldId, &Fold)> {
        let place = self.find(key)?;
        Some((place, self.table.get(place)?))
    }

    /// The open event of which it is true, if there is one only.
    pub(super) fn only(&self, is: impl Fn(&Fold) -> bool) -> Option<FoldId> {
        let places = self.table.oldest_first();
        let mut found = places.into_iter().filter(|place| self.table.get(*place).is_some_and(&is));
        found.next().filter(|_| found.next().is_none())
    }
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// It is about this event.
    Join(FoldId),
    /// Its event, or the line that names it, is still to come.
    Wait,
    /// It opens an event.
    Open,
    /// It says nothing, or nothing new.
    Ignore,
}

/// What a matcher answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    /// The line is about this event.
    Found(FoldId),
    /// It is a line of the matcher's subject, and no event is open for it.
    Absent,
    /// The next matcher is to be asked.
    Next,
}

impl Sought {
    fn or_next(place: Option<FoldId>) -> Self {
        place.map_or(Self::Next, Self::Found)
    }

    fn or_absent(place: Option<FoldId>) -> Self {
        place.map_or(Self::Absent, Self::Found)
    }
}

/// A matcher: for each line of its subject, the open event that it is about.
type Matcher = fn(&View<'_>, &RawEvent, Scope) -> Sought;

/// The order in which a line of the kernel seeks its event: what names the failure itself comes first, what names only its
/// type last.
pub(super) const ORDER: [(&str, Matcher); 6] = [
    ("request: a line about a failed request, by operation and errno", request::of_request),
    ("filesystem: an error of ext4, by function and line", filesystem::of_ext4),
    (
        "command: a driver's line about a command, by the blocks of the request that failed",
        command::of_command,
    ),
    ("ata: a line about a command, by its timeout or by what was said of the link", ata::of_command),
    ("scsi: a line of a chain, by error handling, fault, unit attention or tag", scsi::of_chain),
    ("type: any other line, by its type and what distinguishes it", of_type),
];

/// The open event that a line of the kernel is about.
pub(super) fn seek(view: &View<'_>, raw: &RawEvent, scope: Scope) -> Option<FoldId> {
    for (_, matcher) in ORDER {
        match matcher(view, raw, scope) {
            Sought::Found(place) => return Some(place),
            Sought::Absent => return None,
            Sought::Next => {}
        }
    }
    None
}

/// What becomes of a line of the kernel that just came. In this order:
///
/// 1. a floppy drive says nothing of storage that matters, nor an optical one that has no disc, or one of another kind:
///    ignored;
/// 2. a copy of btrfs that is bad: waits for the next line, which names its device;
/// 3. an event that [`seek`] finds: joined;
/// 4. a member of an array that failed, without its name: waits for what failed below;
/// 5. a line of a chain or of a driver about a command, and what a live probe reports as well: waits;
/// 6. any other line opens an event.
pub(super) fn decide(view: &View<'_>, raw: &RawEvent, scope: Scope) -> Match {
    if raw.kdev.is_floppy() || (raw.kdev.is_optical() && line::is_of_no_disc(raw)) {
        return Match::Ignore;
    }
    if filesystem::is_checksum(raw) {
        return Match::Wait;
    }
    if let Some(place) = seek(view, raw, scope) {
        return Match::Join(place);
    }
    let is_told_twice = view.live.covers(line::probes_for(raw), raw.time.monotonic_ns);
    if line::is_nameless(raw) || line::is_chain(raw) || command::is_command(raw) || is_told_twice {
        return Match::Wait;
    }
    Match::Open
}

fn of_type(view: &View<'_>, raw: &RawEvent, scope: Scope) -> Sought {
    Sought::or_absent(view.find(FoldKey::typed(scope, raw.event_type.as_str(), detail(raw))))
}
