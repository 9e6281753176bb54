//! What the journal has and the daemon no longer: it comes before what the daemon has.

use super::Stream;
#[cfg(feature = "journal")]
use crate::journal::{From, Reader};
use crate::{Options, Source, Written};

/// How much earlier than what a reader has the journal is read: it takes events a little after the socket gives them.
pub(super) const MARGIN_US: i64 = 5 * 60 * 1_000_000;
/// What the journal has of before, and who reads it.
pub(super) enum Fill {
    #[cfg(feature = "journal")]
    Own(Box<Reader>),
    Other(Box<dyn Iterator<Item = Written>>),
}

impl std::fmt::Debug for Fill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fill")
    }
}

impl Stream {
    pub(super) fn fill_from_journal(&mut self) -> Result<(), String> {
        if self.options.source == Source::Socket {
            return Err(String::new());
        }
        let since = self.at_us.saturating_sub(MARGIN_US).max(self.started_us);
        let Options { events, incidents, .. } = self.options;
        self.fill = Some(match &self.reader {
            Some(reader) => {
                let entries = reader.since(since, events, incidents).map_err(|why| format!(", and {why}"))?;
                Fill::Other(entries)
            }
            None => self.own_journal(since)?,
        });
        Ok(())
    }

    #[cfg(feature = "journal")]
    fn own_journal(&self, since: i64) -> Result<Fill, String> {
        let Options { events, incidents, .. } = self.options;
        let reader = Reader::open(&self.place(), events, incidents, &From::Time(since));
        reader.map(|reader| Fill::Own(Box::new(reader))).map_err(|error| format!(", and {error}"))
    }

    #[cfg(not(feature = "journal"))]
    #[expect(clippy::unused_self, reason = "as where the journal can be read")]
    fn own_journal(&self, _since: i64) -> Result<Fill, String> {
        Err(String::new())
    }

    /// Takes one entry of what the journal has; none when that was all.
    pub(super) fn filled(&mut self, fill: Fill) -> Option<Fill> {
        match fill {
            #[cfg(feature = "journal")]
            Fill::Own(mut reader) => {
                match reader.next() {
                    Ok(Some(entry)) => {
                        self.entry(entry, false);
                        return Some(Fill::Own(reader));
                    }
                    Ok(None) => self.unread(reader.take_corrupt()),
                    Err(error) => self.gap(error.to_string()),
                }
                None
            }
            Fill::Other(mut entries) => {
                match entries.next()? {
                    Written::Event(json) => self.revision(&json, false, None, None),
                    Written::Incident(json) => self.revision(&json, true, None, None),
                    Written::Unread(count, why) => {
                        self.missed += count;
                        self.gap(why);
                    }
                }
                Some(Fill::Other(entries))
            }
        }
    }
}
