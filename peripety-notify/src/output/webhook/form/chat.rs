//! Slack (and Mattermost, which takes the same), Microsoft Teams and Discord: words in a box.

use serde_json::{Value, json};

use super::{Part, Request, cut};
use crate::{
    message::{Kind, Message},
    words,
};

/// `{"text","blocks"}` of an incoming webhook (api.slack.com/messaging/webhooks): at most 3,000 characters in a block.
pub(super) fn slack(url: &str, batch: &[&Message], part: &Part<'_>) -> Request {
    // Mattermost shows `attachments` and passes over `blocks`; Slack shows both of these.
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let (title, body) = (escape(&words::title_of_all(batch)), escape(&words::body_of_all(batch)));
    let mut json = json!({
        "text": cut(&title, 3000),
        "attachments": [{ "color": color(batch), "fallback": cut(&title, 3000), "text": format!("```\n{}\n```", cut(&body, 2900)) }],
    });
    if let (false, Value::Object(all)) = (part.room.is_empty(), &mut json) {
        all.insert("channel".to_owned(), part.room.into());
    }
    Request::json(url, &json)
}

/// An adaptive card for a webhook of Workflows; the connectors of old are gone.
pub(super) fn teams(url: &str, batch: &[&Message], _part: &Part<'_>) -> Request {
    let lines = words::body_of_all(batch);
    let text = |text: &str, more: Value| {
        let mut block = json!({ "type": "TextBlock", "text": text, "wrap": true });
        if let (Value::Object(block), Value::Object(more)) = (&mut block, more) {
            block.extend(more);
        }
        block
    };
    let style = match color(batch) {
        "#2eb67d" => "good",
        "#daa038" => "warning",
        "#a30200" => "attention",
        _ => "default",
    };
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            text(&cut(&words::title_of_all(batch), 1000), json!({ "weight": "bolder", "color": style })),
            text(&cut(&lines, 15_000).replace('\n', "\n\n"), json!({})),
        ],
    });
    let attachment = json!({ "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card });
    Request::json(url, &json!({ "type": "message", "attachments": [attachment] }))
}

/// `content` of at most 2,000 characters, an embed of at most 4,096; nobody is mentioned whatever the text says.
pub(super) fn discord(url: &str, batch: &[&Message], _part: &Part<'_>) -> Request {
    let number = u32::from_str_radix(color(batch).trim_start_matches('#'), 16).unwrap_or(0);
    Request::json(
        url,
        &json!({
            "content": cut(&words::title_of_all(batch), 2000),
            "embeds": [{ "description": cut(&words::body_of_all(batch), 4000), "color": number }],
            "allowed_mentions": { "parse": [] },
        }),
    )
}

fn color(batch: &[&Message]) -> &'static str {
    let over = batch.iter().all(|message| matches!(message.kind, Kind::Resolved | Kind::Merged));
    match batch.iter().map(|message| message.severity().number()).min().unwrap_or(6) {
        _ if over => "#2eb67d",
        0..=3 => "#a30200",
        4 => "#daa038",
        _ => "#888888",
    }
}
