//! `prpt ack`: a person knows of an incident.

use serde::Deserialize;

use super::{
    Format, OK, Output,
    render::{json, print},
};
use crate::{notifier::socket::Request, query::socket::Client, roots::Roots, text::printable};

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which: an incident's id or the beginning of it, one of its events, a device, a mount point
    #[arg(value_name = "INCIDENT|EVENT|DEVICE|MOUNT")]
    target: String,
    /// What is done about it; it stands in the journal with your name
    #[arg(short, long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    output: Output,
}

#[derive(Deserialize)]
struct Answer {
    incident: String,
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let request = Request::of_person("ack", args.target, args.reason);
    let answer = Client::connect(roots)?.request(request)?;
    match args.output.format() {
        Format::Plain => {
            let answer: Answer = serde_json::from_value(answer)?;
            print(&format!("acknowledged: {}\n", printable(&answer.incident)))?;
        }
        format => json(&answer, format)?,
    }
    Ok(OK)
}
