//! Peripety's own form: `{"version":1,"messages":[…]}`, each with what happened and the incident or event itself.

use serde_json::{Value, json};

use super::{Part, Request};
use crate::{message::Message, words};

pub(super) fn request(url: &str, batch: &[&Message], _part: &Part<'_>) -> Request {
    let messages: Vec<Value> = batch.iter().map(|message| one(message)).collect();
    Request::json(url, &json!({ "version": 1, "messages": messages }))
}

fn one(message: &Message) -> Value {
    let mut json = serde_json::to_value(message).unwrap_or_default();
    if let Value::Object(all) = &mut json {
        all.insert("title".to_owned(), words::title(message).into());
        all.insert("text".to_owned(), words::body(message).into());
        all.insert("severity".to_owned(), message.severity().as_str().into());
        all.insert("host".to_owned(), message.hostname().into());
    }
    json
}
