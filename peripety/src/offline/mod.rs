//! The same eyes for a log file: what dmesg, /dev/kmsg, journalctl and syslog left behind, on this machine or another.
//!
//! A file goes through [`mod@format`] (what its lines are), [`Logs`] (which host, which boot, when), and the same engine as
//! live records. Devices are known from the lines themselves and, in a report, from its other files ([`devices`]). Memory is
//! bounded whatever the file is, and no input panics.
//!
//! One log gives the same events from each of its forms whose times have fractions of a second. Whole seconds (`dmesg -T`,
//! old syslog) do not report a pause of 4.5 seconds from one of 5.5, so what repeats about every five seconds may be one event
//! in one form and two in the other; no record is left out.

mod ahead;
mod beside;
mod boot;
pub mod bounds;
mod decompress;
pub(crate) mod devices;
mod entry;
mod format;
mod host;
mod incidents;
mod input;
mod journal;
mod logs;
mod multiline;
mod old;
mod ordering;
pub mod report;
mod silent;
mod summary;

pub(crate) use beside::{is_of_use as is_parallel, read_beside};
pub use decompress::unpack;
pub(crate) use decompress::{Packing, packing};
pub(crate) use entry::Entry;
pub use entry::{Item, Line, Taker};
pub use format::Calendar;
pub(crate) use format::is_shapeless;
pub use format::{read, read_into};
pub use host::Given;
pub use incidents::ByHost;
pub use input::Input;
pub(crate) use journal::{is_journal, read_journal};
pub use logs::Logs;
pub(crate) use logs::Totals;
pub(crate) use silent::Silent;
pub(crate) use summary::{Row as SummaryRow, Summary};
