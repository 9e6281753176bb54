//! What a client subscribes to: the one message that it sends.

use peripety_client::{Cursor, Options, Source, Start};
use peripety_model::Filter;
use serde::Deserialize;

/// The only version.
pub(super) const VERSION: u32 = 1;

/// A subscription.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subscribe {
    pub(super) version: u32,
    /// One of the tokens of the configuration.
    #[serde(default)]
    pub(super) token: Option<String>,
    /// Revisions of events.
    #[serde(default)]
    pub(super) events: bool,
    /// Revisions of incidents.
    #[serde(default)]
    pub(super) incidents: bool,
    /// Which of them.
    #[serde(default)]
    pub(super) filter: Filter,
    /// The cursor of the last message that came.
    #[serde(default)]
    pub(super) after: Option<String>,
    /// What the daemon holds first.
    #[serde(default)]
    pub(super) stored: bool,
}

impl Subscribe {
    /// Reads one; without any kind both are wanted.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut this: Self =
            serde_json::from_str(text).map_err(|error| format!("this is no subscription: {error}"))?;
        if this.version != VERSION {
            return Err(format!("version {} is not known; this is version {VERSION}", this.version));
        }
        if !this.events && !this.incidents {
            (this.events, this.incidents) = (true, true);
        }
        Ok(this)
    }

    /// As options of a stream.
    ///
    /// # Errors
    /// The cursor is none.
    pub(super) fn options(&self) -> Result<Options, peripety_client::Error> {
        let start = match (&self.after, self.stored) {
            (Some(cursor), _) => match cursor.parse()? {
                cursor @ Cursor::Daemon(..) => Start::After(cursor),
                Cursor::Journal(_) => {
                    let why = "a place in the journal is none of this stream".to_owned();
                    return Err(peripety_client::Error::Option { option: "after", why });
                }
            },
            (None, true) => Start::Stored,
            (None, false) => Start::Now,
        };
        Ok(Options {
            filter: self.filter.clone(),
            events: self.events,
            incidents: self.incidents,
            source: Source::Auto,
            start,
            ..Options::default()
        })
    }
}
