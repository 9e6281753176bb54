//! Why there are no events.

use std::{io, path::PathBuf};

/// What cannot be had, and why.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing listens there.
    #[error("no peripetyd listens at {}; start it with 'systemctl start peripetyd'", path.display())]
    NoDaemon {
        /// The socket.
        path: PathBuf,
    },
    /// The user may not.
    #[error("no permission to read {}: be root, or a member of group systemd-journal", path.display())]
    Permission {
        /// The socket, or the journal.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The daemon refused.
    #[error("peripetyd says: {0}")]
    Refused(String),
    /// What came is nothing that this version understands.
    #[error("peripetyd at {} sent what this version does not understand; are both of the same version?", path.display())]
    Nonsense {
        /// The socket.
        path: PathBuf,
    },
    /// The daemon did not answer in time.
    #[error("peripetyd at {} did not answer within {seconds} s", path.display())]
    Timeout {
        /// The socket.
        path: PathBuf,
        /// For how long it was waited.
        seconds: u64,
    },
    /// An option has a value that it cannot have.
    #[error("{option}: {why}")]
    Option {
        /// Which one.
        option: &'static str,
        /// What is wrong with the value.
        why: String,
    },
}
