//! `prpt resolve`: a person says that a fault is over.

use serde::Deserialize;

use super::{
    Format, OK, Output,
    render::{json, print},
};
use crate::{
    notifier::socket::Request,
    query::socket::Client,
    roots::Roots,
    state::{Condition, rows::row},
    text::printable,
};

/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What is over: a device, a condition, or the id of an event, as 'prpt status' shows them
    #[arg(value_name = "CONDITION|EVENT|DEVICE")]
    target: String,
    /// Why it is over; it stands in the journal with your name
    #[arg(short, long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    output: Output,
}

#[derive(Deserialize)]
struct Answer {
    resolved: Vec<Condition>,
}

pub(super) fn run(args: Args, roots: &Roots) -> anyhow::Result<u8> {
    let request = Request::of_person("resolve", args.target, args.reason);
    let answer = Client::connect(roots)?.request(request)?;
    match args.output.format() {
        Format::Plain => {
            let answer: Answer = serde_json::from_value(answer)?;
            let mut text = String::new();
            for condition in answer.resolved {
                let words = row(&condition.condition).map_or(condition.condition.as_str(), |row| row.words);
                text.push_str(&format!("{}: {words} is over\n", printable(&condition.device.shown())));
            }
            print(&text)?;
        }
        format => json(&answer, format)?,
    }
    Ok(OK)
}
