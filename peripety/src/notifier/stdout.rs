//! Events on the daemon's standard output.

use std::io::{self, Write};

use super::{
    Notifier, NotifyError,
    plain::{Live, Style},
};
use crate::{event::Event, text};

/// Name of this notifier.
pub const NAME: &str = "stdout";

/// How events are printed.
#[derive(Debug)]
pub enum Lines {
    /// For a human: a growing event is printed at first, when it has doubled, and at last.
    Plain(Box<Style>),
    /// One JSON object on a line for each revision.
    Json,
}

/// Prints events.
#[derive(Debug)]
pub struct Stdout<W = anstream::Stdout> {
    to: W,
    lines: Lines,
    live: Live,
}

impl Stdout {
    /// Prints to the process's standard output; colours only where they are wanted.
    pub fn new(lines: Lines) -> Self {
        Self::to(anstream::stdout(), lines)
    }
}

impl<W: Write> Stdout<W> {
    /// Prints to `to`.
    pub fn to(to: W, lines: Lines) -> Self {
        Self { to, lines, live: Live::default() }
    }

    fn print(&mut self, text: &str) -> io::Result<()> {
        self.to.write_all(text.as_bytes())?;
        self.to.flush()
    }
}

impl<W: Write + Send> Notifier for Stdout<W> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn notify(&mut self, event: &Event) -> Result<(), NotifyError> {
        let text = match &self.lines {
            Lines::Plain(style) => self.live.render(event, style),
            Lines::Json => {
                let json = serde_json::to_string(event)
                    .map_err(|source| NotifyError::Json { event_id: event.event_id, source })?;
                Some(format!("{}\n", text::printable_json(&json)))
            }
        };
        let Some(text) = text else { return Ok(()) };
        self.print(&text).map_err(|source| NotifyError::Write {
            event_id: event.event_id,
            what: "standard output".into(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::fixture::sample;

    #[test]
    fn each_revision_is_a_line_of_json() {
        let mut out = Vec::new();
        let mut notifier = Stdout::to(&mut out, Lines::Json);
        let mut event = sample();
        event.msg = "a\u{9b}b\nc".into();
        notifier.notify(&event).unwrap();
        event.revision += 1;
        notifier.notify(&event).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains('\u{9b}'), "{text}");
        let back: Vec<Event> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(back.len(), 2);
        assert_eq!(back[1], event);
    }
}
