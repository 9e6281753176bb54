//! What daemons say of storage, from journald: multipathd, iscsid, dmeventd, mdadm, smartd, and who else has a rule.
//!
//! Journal files lie on a disk, which may be the one that fails: reading them may block for minutes, and a page that
//! cannot be read ends the process that mapped it. So a process of its own reads them ([`read`]), and writes what it found
//! into a pipe, from which the daemon takes it without waiting ([`Item`]). If that process dies, the daemon does not
//! (promise 6).
//!
//! Only fields that journald itself adds say who speaks ([`Speaker`], promise 7): what a sender says of itself is worth
//! nothing.

mod item;
mod reader;
mod speaker;

pub use item::{BadItem, Item};
pub use reader::{Orders, ReadError, read};
pub use speaker::{Fields, Speaker};
