//! Reading events back: from the journal, or from the daemon's memory over its socket.

pub mod socket;
