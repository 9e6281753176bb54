//! Matrix: an event of a room by the client API; the transaction id makes a second try the same event
//! (spec.matrix.org, `PUT /rooms/{roomId}/send/{eventType}/{txnId}`).

use serde_json::json;

use super::{Method, Part, Request};
use crate::{message::Message, words};

pub(super) fn request(url: &str, batch: &[&Message], part: &Part<'_>) -> Request {
    let id = batch.first().map_or("", |message| message.id.as_str());
    let text = format!("{}\n{}", words::title_of_all(batch), words::body_of_all(batch));
    let body = json!({ "msgtype": "m.text", "body": text });
    let url = format!(
        "{}/_matrix/client/v3/rooms/{}/send/m.room.message/{}",
        url.trim_end_matches('/'),
        encoded(part.room),
        encoded(id)
    );
    Request { method: Method::Put, ..Request::json(&url, &body) }
}

/// For a part of a path.
fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes().map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
