//! The state of things from the journal: for a daemon that starts again, and where none runs. Faults last over reboots, so
//! all boots that the journal has are read.

use super::table::Table;
use crate::{
    journal::{Patience, Unread},
    query::{
        Filter, boot,
        journald::{ReadError, Reader},
        select::{Select, from_journal},
    },
    roots::Roots,
};

/// What the journal reports.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// What the events of this boot leave open, as far as they could be read.
    pub table: Table,
    /// What could not.
    pub unread: Vec<Unread>,
}

/// What the events of this machine leave open in this boot.
///
/// # Errors
/// The journal cannot be read.
pub(crate) fn table(roots: &Roots, patience: Patience) -> Result<Read, ReadError> {
    let mut reader = Reader::open_with(roots, patience)?;
    reader.set_own_only();
    let mut table = Table::default();
    from_journal(&mut reader, &Filter::default(), Select::default(), &mut |event| {
        table.apply(&event);
        Ok(())
    })
    // The sink never fails.
    .map_err(|error| match error.downcast::<ReadError>() {
        Ok(error) => error,
        Err(other) => ReadError::System { what: "read", source: std::io::Error::other(other.to_string()) },
    })?;
    table.enter_boot(&boot::current(roots));
    Ok(Read { table, unread: reader.take_unread() })
}
