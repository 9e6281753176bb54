//! ntfy: the URL with the topic, words in the body, the rest in JSON to the server's root (docs.ntfy.sh/publish).
//!
//! Headers would have to be ASCII; the topic is the last part of the URL.

use serde_json::json;

use super::{Part, Request, cut};
use crate::{
    message::{Kind, Message},
    words,
};

pub(super) fn request(url: &str, batch: &[&Message], _part: &Part<'_>) -> Request {
    let trimmed = url.trim_end_matches('/');
    let (server, topic) = trimmed.rsplit_once('/').unwrap_or((trimmed, ""));
    let worst = batch.iter().map(|message| message.severity().number()).min().unwrap_or(6);
    let over = batch.iter().all(|message| matches!(message.kind, Kind::Resolved | Kind::Merged));
    let (priority, tag) = match worst {
        _ if over => (2, "white_check_mark"),
        0..=2 => (5, "rotating_light"),
        3 => (4, "warning"),
        4 => (3, "warning"),
        _ => (2, "information_source"),
    };
    let body = json!({
        "topic": topic,
        "title": cut(&words::title_of_all(batch), 240),
        "message": cut(&words::body_of_all(batch), 3500),
        "priority": priority,
        "tags": [tag, "peripety"],
    });
    Request::json(&format!("{server}/"), &body)
}
