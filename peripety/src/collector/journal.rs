//! What daemons say of storage, from journald: multipathd, iscsid, dmeventd, mdadm, smartd, and who else has a rule.
//!
//! Journal files are read by a process that may die (see [`crate::journal`]); this one runs as long as the daemon. It writes
//! what it found into a pipe ([`read`]), from which the daemon takes it without waiting ([`Item`]). If it dies, the daemon
//! does not (promise 6), and starts the next one without the file that was to blame.
//!
//! Only fields that journald itself adds say who speaks ([`Speaker`], promise 7): what a sender says of itself is worth
//! nothing.

mod item;
mod reader;
mod sender;
mod stall;

pub(crate) use item::Item;
pub(crate) use reader::{Orders, ReadError, read};
pub(crate) use sender::{Fields, Speaker};
pub(crate) use stall::SILENCE_MS;
