//! Gotify: `/message` of the server, the token in a header (gotify.net/docs/pushmsg).

use serde_json::json;

use super::{Part, Request};
use crate::{message::Message, words};

pub(super) fn request(url: &str, batch: &[&Message], part: &Part<'_>) -> Request {
    let worst = batch.iter().map(|message| message.severity().number()).min().unwrap_or(6);
    let priority = match worst {
        0..=2 => 10,
        3 => 8,
        4 => 5,
        _ => 2,
    };
    let body = json!({
        "title": words::title_of_all(batch),
        "message": words::body_of_all(batch),
        "priority": priority,
    });
    let mut request = Request::json(&format!("{}/message", url.trim_end_matches('/')), &body);
    request.headers.push(("X-Gotify-Key".to_owned(), part.token.unwrap_or_default().to_owned()));
    request
}
