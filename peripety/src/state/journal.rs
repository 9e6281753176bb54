//! The state of things from the journal: for a daemon that starts again, and where none runs.

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

/// What the journal tells.
#[derive(Debug, Default)]
pub struct Known {
    /// What the events of this boot leave open, as far as they could be read.
    pub table: Table,
    /// What could not.
    pub unread: Vec<Unread>,
}

/// What the events of this machine in this boot leave open.
///
/// # Errors
/// The journal cannot be read.
pub fn table(roots: &Roots, patience: Patience) -> Result<Known, ReadError> {
    let mut reader = Reader::open_with(roots, patience)?;
    reader.set_own_only();
    let filter = Filter { boot: Some(boot::current(roots)), ..Filter::default() };
    let mut table = Table::default();
    from_journal(&mut reader, &filter, Select::default(), &mut |event| {
        table.apply(&event);
        Ok(())
    })
    // The sink never fails.
    .map_err(|error| match error.downcast::<ReadError>() {
        Ok(error) => error,
        Err(other) => ReadError::System { what: "read", source: std::io::Error::other(other.to_string()) },
    })?;
    Ok(Known { table, unread: reader.take_unread() })
}
