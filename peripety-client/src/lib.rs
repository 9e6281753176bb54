//! Reads and follows storage failures that [peripetyd](https://github.com/cathay4t/peripety) reports.
//!
//! ```no_run
//! use peripety_client::{Filter, Next, Options, Severity, Stream};
//!
//! let filter = Filter { severity: Some(Severity::Error), ..Filter::default() };
//! let mut stream = Stream::open(Options { filter, ..Options::default() })?;
//! while let Next::Item(item) = stream.wait(None)? {
//!     println!("{}", item.json());
//! }
//! # Ok::<(), peripety_client::Error>(())
//! ```
//!
//! # Where events come from
//!
//! From the daemon's socket, where one runs and the user may connect; from the journal with [`Source::Journal`]. With
//! [`Source::Auto`] it is the socket, and what the daemon no longer has in memory comes from the journal. Both want root or
//! membership in the group `systemd-journal`.
//!
//! The journal is read by libsystemd within this process. A page of a journal file that its disk does not give back ends the
//! process that reads it, by SIGBUS: a program that has to go on then reads the socket alone ([`Source::Socket`]), or has
//! another process read the journal ([`Stream::open_with`]).
//!
//! # What comes how often
//!
//! An event that grows comes again with the same id and a higher revision. A stream that outlives the daemon goes on with the
//! next one, and gives no revision twice. A program that comes back with the [cursor](Item::cursor) of its last item gets what
//! came after it; from the journal exactly that, from the socket perhaps some revisions again, if the daemon was started anew
//! meanwhile: keep the highest revision of each id. [`Item::dropped`] and [`Item::missed`] count what did not come.

#![deny(missing_docs)]
#![warn(unreachable_pub)]

pub mod believed;
mod cursor;
mod error;
mod item;
#[cfg(feature = "journal")]
mod journal;
mod options;
mod protocol;
mod reader;
mod seen;
mod socket;
mod stream;

pub use cursor::Cursor;
pub use error::Error;
pub use item::{Content, Item};
pub use options::{Options, Source, Start};
pub use peripety_model::{Event, Filter, Incident, Severity};
pub use protocol::{PROTOCOL_VERSION, Position, Request};
pub use reader::{ReadJournal, Written};
pub use seen::Seen;
pub use socket::ask;
pub use stream::{Next, Stream};

/// The daemon's socket.
pub const SOCKET: &str = "/run/peripety/peripety.sock";
