//! The journal, read by a process that may die.
//!
//! Journal files lie on a disk, which may be the one that fails. libsystemd maps them: a page that cannot be read ends the
//! process with SIGBUS, a damaged file may end it with an assertion, and a disk that does not answer holds it up for ever.
//! So nothing that has to live reads them itself. It starts itself again ([`Process`]) with the orders what to read, asks
//! over one pipe, gets answers over another, and never waits longer than it said. The other side ([`Worker`]) opens every
//! file by itself and says which one it is about to touch: when it dies or says no more, that file is to blame; it is left
//! out, the next process goes on where the last one stopped, and what is not known for it is reported ([`Unread`]).
//!
//! What daemons say is read by a process that runs as long as `peripetyd` (see [`crate::collector::journal`]): the same
//! files ([`Files`]), but it is not asked, it reports.

mod cursor;
mod files;
mod header;
mod place;
mod process;
mod watch;
mod wire;
mod worker;

pub(crate) use cursor::Key;
pub(crate) use files::{Files, Start, Touched};
pub(crate) use header::Header;
pub(crate) use place::{FileId, Found, Place, list, machine_id};
pub(crate) use process::{AskError, Patience, Process, blame, confine, is_orphan};
pub(crate) use watch::{Change, Watch};
pub use wire::Direction;
pub(crate) use wire::{Answer, Entry, From, Message, Orders, Request, Touch, Unread, Why};
pub(crate) use worker::{Worker, serve};

use std::process::ExitCode;

/// Option with which a program of peripety becomes the process that reads.
pub(crate) const OPTION: &str = "--read-journal";

/// Is the process that reads, if the program was started as such.
pub(crate) fn main(orders: &str) -> Option<ExitCode> {
    let orders: Orders = serde_json::from_str(orders).ok()?;
    confine();
    if !is_orphan(orders.parent) {
        // That nobody asks any more is the end of it.
        let _closed = serve(orders, std::io::stdin().lock(), std::io::stdout().lock());
    }
    Some(ExitCode::SUCCESS)
}

/// Bytes of a field that are read; the JSON of an event is bounded well below.
pub(crate) const MAX_FIELD: usize = 4 << 20;
