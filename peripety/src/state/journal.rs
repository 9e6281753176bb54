//! The state of things from the journal: for a daemon that starts again, and where none runs.

use super::table::Table;
use crate::{
    query::{
        Filter, boot,
        journald::{ReadError, Reader},
        select::{Select, from_journal},
    },
    roots::Roots,
};

/// What the events of this boot leave open.
///
/// # Errors
/// The journal cannot be read.
pub fn table(roots: &Roots) -> Result<Table, ReadError> {
    let mut reader = Reader::open(roots)?;
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
    Ok(table)
}
