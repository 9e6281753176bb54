//! Events on the daemon's standard output.

use std::io::{self, Write};

use super::{
    Notifier, NotifyError, carrier,
    plain::{Live, Style},
};
use crate::event::Event;

/// Name of this notifier.
pub(crate) const NAME: &str = "stdout";

/// Prints events.
#[derive(Debug)]
pub(crate) struct Stdout<W = anstream::Stdout> {
    to: W,
    style: Style,
    live: Live,
}

impl Stdout {
    /// Prints to the process's standard output; colours only where they are wanted.
    pub(crate) fn new(style: Style) -> Self {
        Self::to(anstream::stdout(), style)
    }
}

impl<W: Write> Stdout<W> {
    /// Prints to `to`.
    pub(crate) fn to(to: W, style: Style) -> Self {
        Self { to, style, live: Live::default() }
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
        if carrier::is_carrier(event) {
            return Ok(());
        }
        let text = self.live.render(event, &self.style);
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
    fn an_event_is_a_line_without_control_bytes() {
        let mut out = Vec::new();
        let mut notifier = Stdout::to(&mut out, Style::default());
        let mut event = sample();
        event.msg = "a\u{9b}b\nc".into();
        notifier.notify(&event).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains('\u{9b}') && text.lines().count() == 1, "{text}");
    }
}
