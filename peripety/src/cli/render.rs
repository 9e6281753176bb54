//! Events on the terminal, or as JSON.

use std::io::Write as _;

use serde::Serialize;

use super::{Format, Output};
pub(super) use crate::terminal::width;
use crate::{
    event::Event,
    notifier::plain::{self, Live, Style},
    text,
};

/// Prints events to stdout, each in one write.
#[derive(Debug)]
pub(super) struct Printer {
    format: Format,
    verbose: bool,
    live: Live,
    host: Option<String>,
}

impl Printer {
    pub(super) fn new(output: Output, verbose: bool) -> Self {
        Self { format: output.format(), verbose, live: Live::default(), host: None }
    }

    /// Names the host of events that are not this one's.
    pub(super) fn name_others(&mut self, host: String) {
        self.host = Some(host).filter(|host| !host.is_empty());
    }

    /// An event by itself.
    pub(super) fn event(&self, event: &Event) -> anyhow::Result<()> {
        match self.format {
            Format::Plain => print(&plain::event(event, &self.style())),
            format => json(event, format),
        }
    }

    /// A revision of an event that may still grow: JSON has all of them, a person is shown what changed.
    pub(super) fn revision(&mut self, event: &Event) -> anyhow::Result<()> {
        match self.format {
            Format::Plain => {
                let style = self.style();
                self.live.render(event, &style).map_or(Ok(()), |text| print(&text))
            }
            format => json(event, format),
        }
    }

    /// A revision that is not to be shown: only what it becomes is shown.
    pub(super) fn known(&mut self, event: &Event) {
        self.live.know(event);
    }

    /// A terminal may change its width at any time.
    fn style(&self) -> Style {
        Style {
            width: width(),
            colour: true,
            verbose: self.verbose,
            host: self.host.clone(),
            ..Style::default()
        }
    }
}

/// Prints a value as JSON: a line of its own, or indented.
pub(super) fn json(value: &impl Serialize, format: Format) -> anyhow::Result<()> {
    let mut text = if format == Format::JsonPretty {
        serde_json::to_string_pretty(value)?
    } else {
        serde_json::to_string(value)?
    };
    text.push('\n');
    print(&text::printable_json(&text))
}

/// Prints to stdout; takes colours out where they are not wanted (no terminal, NO_COLOR).
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// Rows of cells as columns, each as wide as its widest cell.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let wide = |cell: &str| unicode_width::UnicodeWidthStr::width(cell);
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(wide(cell));
        }
    }
    let mut out = String::new();
    for row in rows {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat((width + 2).saturating_sub(wide(cell)))));
        out.push_str(cells.collect::<String>().trim_end());
        out.push('\n');
    }
    out
}

/// Says something to the user, beside the data.
pub(super) fn note(words: &str) {
    // Nobody is left to read it when stderr is closed.
    let _closed = writeln!(anstream::stderr(), "prpt: {}", text::printable(words));
}
