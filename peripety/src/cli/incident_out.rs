//! Incidents in each format.

use clap::ValueEnum;
use jiff::tz::TimeZone;

use super::{
    Format, incident_graph, incident_text,
    render::{json, print, width},
};
use crate::event::incident::Incident;

/// How incidents are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Picture {
    /// Lines for a human.
    #[default]
    #[value(name = "Plain", alias = "plain")]
    Plain,
    /// One JSON object on each line.
    #[value(name = "Json", alias = "json")]
    Json,
    /// Indented JSON.
    #[value(name = "JsonPretty", alias = "jsonpretty", alias = "json-pretty")]
    JsonPretty,
    /// A graph for Graphviz.
    #[value(name = "Dot", alias = "dot")]
    Dot,
    /// A graph for Mermaid.
    #[value(name = "Mermaid", alias = "mermaid")]
    Mermaid,
}

impl From<Format> for Picture {
    fn from(format: Format) -> Self {
        match format {
            Format::Plain => Self::Plain,
            Format::Json => Self::Json,
            Format::JsonPretty => Self::JsonPretty,
        }
    }
}

/// The options of what prints incidents.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct PictureOutput {
    /// How to print
    #[arg(long, value_enum, default_value_t, ignore_case = true)]
    pub(super) format: Picture,
    /// Same as --format JsonPretty
    #[arg(short = 'J', conflicts_with = "format")]
    pub(super) json_pretty: bool,
}

impl PictureOutput {
    /// The format that was asked for.
    pub(super) fn picture(self) -> Picture {
        if self.json_pretty { Picture::JsonPretty } else { self.format }
    }
}

/// Prints incidents: a line each, or a screen each.
pub(super) fn show(incidents: &[Incident], picture: Picture, verbose: bool) -> anyhow::Result<()> {
    let zone = TimeZone::system();
    match picture {
        Picture::Plain => {
            let several =
                incidents.iter().any(|i| incidents.first().is_some_and(|f| f.hostname != i.hostname));
            let mut text = String::new();
            for incident in incidents {
                if verbose {
                    text.push_str(&incident_text::screen(incident, &zone, width().unwrap_or(120)));
                    text.push('\n');
                } else {
                    text.push_str(&incident_text::line(incident, &zone, several, width().unwrap_or(120)));
                }
            }
            print(text.trim_end_matches("\n\n"))?;
            if verbose && !text.is_empty() { print("\n") } else { Ok(()) }
        }
        Picture::Json => incidents.iter().try_for_each(|incident| json(incident, Format::Json)),
        Picture::JsonPretty => incidents.iter().try_for_each(|incident| json(incident, Format::JsonPretty)),
        Picture::Dot => print(&incident_graph::dot(incidents)),
        Picture::Mermaid => print(&incident_graph::mermaid(incidents)),
    }
}
