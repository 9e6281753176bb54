//! What a machine gave.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The parts of it that are checked.
pub struct Given {
    /// The last revision of each event, in the order they began.
    pub events: Vec<Value>,
    /// The last revision of each incident, superseded ones left out, in the order they began.
    pub incidents: Vec<Value>,
    /// What the scenario's script set by `fact`.
    pub facts: BTreeMap<String, String>,
    /// What systemd says about the daemon.
    pub service: BTreeMap<String, String>,
    /// Where a replay of the recording differs from the journal.
    pub replay_diff: String,
    /// What `prpt status` lists: a problem as `name: condition, condition`, an incident of no problem by its title.
    pub status: Vec<String>,
    /// Exit status of the scenario's script.
    pub script: i32,
}

/// Reads what the agent wrote to a directory.
pub fn read(dir: &Path) -> Result<Given> {
    let text = |name: &str| {
        let file = dir.join(name);
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
    };
    let mut revisions = Vec::new();
    for value in serde_json::Deserializer::from_str(&text("events.json")?).into_iter::<Value>() {
        revisions.push(value.context("events.json")?);
    }
    if revisions.is_empty() {
        bail!("no events at all: {}", text("query.err")?.trim());
    }
    let mut status = Vec::new();
    for problem in serde_json::Deserializer::from_str(&text("status.json")?).into_iter::<Value>() {
        let problem = problem.context("status.json")?;
        let title = problem.pointer("/incident/title").and_then(Value::as_str);
        status.push(title.map_or_else(|| of_problem(&problem), str::to_owned));
    }
    let mut incidents = Vec::new();
    for incident in serde_json::Deserializer::from_str(&text("incidents.json")?).into_iter::<Value>() {
        incidents.push(incident.context("incidents.json")?);
    }
    Ok(Given {
        incidents,
        status,
        events: latest(revisions),
        facts: pairs(&text("facts").unwrap_or_default()),
        service: pairs(&text("service")?),
        replay_diff: text("replay.diff")?,
        script: text("script.exit")?.trim().parse().context("script.exit")?,
    })
}

fn of_problem(problem: &Value) -> String {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let also = problem["also"].as_array().into_iter().flatten();
    let conditions: Vec<String> =
        std::iter::once(problem).chain(also).map(|condition| text(condition, "condition")).collect();
    format!("{}: {}", text(problem, "name"), conditions.join(", "))
}

fn latest(revisions: Vec<Value>) -> Vec<Value> {
    let mut order: Vec<(String, Value)> = Vec::new();
    for event in revisions {
        let id = event.get("event_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        match order.iter_mut().find(|(known, _event)| *known == id) {
            Some((_id, known)) if revision(known) <= revision(&event) => *known = event,
            Some(_older) => {}
            None => order.push((id, event)),
        }
    }
    let mut events: Vec<_> = order.into_iter().map(|(_id, event)| event).collect();
    events.sort_by_key(|event| event["first_timestamp"].as_str().unwrap_or_default().to_owned());
    events
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

fn revision(event: &Value) -> Option<u64> {
    event.get("revision").and_then(Value::as_u64)
}
