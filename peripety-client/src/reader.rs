//! Journals that another process reads for a stream.

/// Reads the journal for a stream in place of the stream's own process, which a page that the disk of a journal file does not
/// give back would end.
///
/// ```
/// use peripety_client::{ReadJournal, Written};
///
/// #[derive(Debug)]
/// struct Nothing;
///
/// impl ReadJournal for Nothing {
///     fn since(&self, _us: i64, _events: bool, _incidents: bool) -> Result<Box<dyn Iterator<Item = Written>>, String> {
///         Err("there is no journal".to_owned())
///     }
/// }
/// ```
pub trait ReadJournal: std::fmt::Debug {
    /// What it has since then (microseconds since 1970), of the kinds that are wanted, each kind in the order of its writing.
    ///
    /// # Errors
    ///
    /// Why it cannot be read; the stream says so and counts what is missing.
    fn since(
        &self,
        us: i64,
        events: bool,
        incidents: bool,
    ) -> Result<Box<dyn Iterator<Item = Written>>, String>;
}

/// What such a journal has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// A revision of an event, as JSON.
    Event(String),
    /// A revision of an incident, as JSON.
    Incident(String),
    /// Entries that cannot be read: how many, as far as that is known, and why.
    Unread(u64, String),
}
