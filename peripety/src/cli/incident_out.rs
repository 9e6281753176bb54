//! Incidents in each format.

use anyhow::bail;
use clap::ValueEnum;
use jiff::tz::TimeZone;

use super::{
    Format, incident_graph, incident_text,
    render::{json, print, width},
};
use crate::event::{Event, Incident};

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
    /// The storage stack of one incident as a picture: what is broken, where the failure went.
    #[value(name = "Svg", alias = "svg")]
    Svg,
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

/// What gives the events of an incident.
pub(super) type EventsOf<'a> = &'a dyn Fn(&Incident) -> anyhow::Result<Vec<Event>>;

/// The picture of one incident: a file has one.
fn svg(incidents: &[Incident], events: EventsOf<'_>) -> anyhow::Result<()> {
    match incidents {
        [] => Ok(()),
        [incident] => print(&peripety_page::stack_svg(incident, &events(incident)?)),
        all => bail!("--format Svg draws one incident, and these are {}: name one of them", all.len()),
    }
}

/// Prints incidents: a line each, or a screen each.
pub(super) fn show(incidents: &[Incident], picture: Picture, verbose: bool) -> anyhow::Result<()> {
    show_with(incidents, picture, verbose, &|_| Ok(Vec::new()))
}

/// The same; their events are asked for where the format needs them.
pub(super) fn show_with(
    incidents: &[Incident],
    picture: Picture,
    verbose: bool,
    events: EventsOf<'_>,
) -> anyhow::Result<()> {
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
        Picture::Svg => svg(incidents, events),
    }
}
