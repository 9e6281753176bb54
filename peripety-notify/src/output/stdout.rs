//! Standard output: a line of words or JSON for each message.

use std::io::Write as _;

use serde::Deserialize;

use super::{Failure, Output, OutputError};
use crate::{config::Notify, message::Message, words};

/// `[notify.stdout]`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// JSON in place of words.
    #[serde(default)]
    json: bool,
}

struct Stdout(Config);

pub(super) fn make(config: &Config, _notify: &Notify) -> Result<Box<dyn Output>, OutputError> {
    Ok(Box::new(Stdout(*config)))
}

impl Output for Stdout {
    fn deliver(&mut self, batch: &[&Message]) -> Result<String, Failure> {
        let mut out = std::io::stdout().lock();
        for message in batch {
            let line = match serde_json::to_string(message) {
                Ok(json) if self.0.json => json,
                _ => words::title(message),
            };
            writeln!(out, "{line}").map_err(|error| Failure::network("standard output", &error))?;
        }
        out.flush().map_err(|error| Failure::network("standard output", &error))?;
        Ok("written".to_owned())
    }
}
