//! PagerDuty Events API v2: one alert for an incident, by its id; triggered while it is open, resolved when it is over.

use serde_json::json;

use super::{Part, Request, cut};
use crate::{
    message::{Kind, Message},
    words,
};

/// Where it is, if the URL names no path.
const PATH: &str = "/v2/enqueue";

pub(super) fn request(url: &str, batch: &[&Message], part: &Part<'_>) -> Request {
    let Some(message) = batch.first() else { return Request::json(url, &json!({})) };
    let over = matches!(message.kind, Kind::Resolved | Kind::Merged);
    let severity = match message.severity().number() {
        0..=2 => "critical",
        3 => "error",
        4 => "warning",
        _ => "info",
    };
    let body = json!({
        "routing_key": part.token.unwrap_or_default(),
        "event_action": if over { "resolve" } else { "trigger" },
        "dedup_key": message.subject,
        "payload": {
            "summary": cut(&words::title(message), 1000),
            "source": message.hostname(),
            "severity": severity,
            "timestamp": message.at.to_string(),
            "component": message.device(),
            "class": message.event_type(),
            "custom_details": { "text": words::body(message), "id": message.id },
        },
    });
    let url = url.trim_end_matches('/');
    let has_path = url.split("://").nth(1).is_some_and(|rest| rest.contains('/'));
    let url = if has_path { url.to_owned() } else { format!("{url}{PATH}") };
    Request::json(&url, &body)
}
