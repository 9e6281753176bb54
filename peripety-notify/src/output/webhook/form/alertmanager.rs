//! Alertmanager API v2: one alert for an incident. What is open is sent again each minute, for an alert that it does not get
//! ends after five; no id of a revision and no count is a label, for each would be another alert.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Part, Request};
use crate::{
    message::{Kind, Message},
    words,
};

const PATH: &str = "/api/v2/alerts";

/// Severities that an alert may have had before.
const SEVERITIES: [&str; 4] = ["critical", "error", "warning", "notice"];

pub(super) fn request(url: &str, batch: &[&Message], part: &Part<'_>) -> Request {
    let alerts: Vec<_> = batch.iter().flat_map(|message| alerts(message, part)).collect();
    let url = url.trim_end_matches('/');
    let url = if url.ends_with(PATH) { url.to_owned() } else { format!("{url}{PATH}") };
    Request::json(&url, &json!(alerts))
}

/// Routes go by the label `severity`. With another one it is another alert, so the ones that may have been before are ended.
fn alerts(message: &Message, part: &Part<'_>) -> Vec<Value> {
    let severity = message.severity().as_str();
    let mut alerts = vec![alert(message, part, severity, ends(message, part))];
    if matches!(message.kind, Kind::Worse | Kind::Resolved | Kind::Merged) {
        let others = SEVERITIES.iter().filter(|other| **other != severity);
        alerts.extend(others.map(|other| alert(message, part, other, message.at)));
    }
    alerts
}

fn ends(message: &Message, part: &Part<'_>) -> Timestamp {
    match message.kind {
        Kind::Resolved | Kind::Merged => message
            .incident
            .as_deref()
            .and_then(|incident| incident.resolved)
            .unwrap_or(message.at)
            .min(message.at),
        // What ends by itself.
        Kind::Event | Kind::Test => later(message, SignedDuration::from_mins(5)),
        _ => {
            later(message, SignedDuration::try_from(part.refresh.unwrap_or_default() * 5).unwrap_or_default())
        }
    }
}

fn alert(message: &Message, part: &Part<'_>, severity: &str, ends: Timestamp) -> Value {
    let mut labels: BTreeMap<&str, &str> =
        part.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let name = match (&message.incident, &message.event) {
        (Some(_), _) => "StorageIncident",
        (None, Some(_)) => "StorageEvent",
        (None, None) => "PeripetyTest",
    };
    labels.extend([
        ("alertname", name),
        ("instance", message.hostname()),
        ("incident", message.subject.as_str()),
        ("severity", severity),
    ]);
    labels.retain(|_, value| !value.is_empty());
    let mut annotations = BTreeMap::from([
        ("summary", words::title(message)),
        ("description", words::body(message)),
        ("device", message.device().to_owned()),
        ("type", message.event_type().to_owned()),
    ]);
    annotations.retain(|_, value| !value.is_empty());
    let starts = message.incident.as_deref().map_or(message.at, |incident| incident.opened).min(ends);
    json!({
        "labels": labels,
        "annotations": annotations,
        "startsAt": starts.to_string(),
        "endsAt": ends.to_string(),
    })
}

fn later(message: &Message, by: SignedDuration) -> Timestamp {
    message.at.checked_add(by).unwrap_or(message.at)
}
