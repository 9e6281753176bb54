//! The forms of known services: what a request to each looks like. A new one is a file here and a row of [`Form::row`].
//!
//! What was tried with the service's own server and what was written after its documentation stands in
//! doc/notify.md.

mod alertmanager;
mod chat;
mod gotify;
mod matrix;
mod ntfy;
mod own;
mod pagerduty;

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use crate::message::Message;

/// The form of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    /// Peripety's own: the messages as JSON.
    #[default]
    Json,
    Ntfy,
    Slack,
    Mattermost,
    Teams,
    Discord,
    Pagerduty,
    Alertmanager,
    Gotify,
    Matrix,
}

/// What the configuration gives a form.
pub(super) struct Part<'a> {
    pub(super) room: &'a str,
    pub(super) token: Option<&'a str>,
    pub(super) labels: &'a BTreeMap<String, String>,
    pub(super) refresh: Option<Duration>,
}

/// How to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Post,
    Put,
}

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    fn json(url: &str, body: &Value) -> Self {
        Self {
            method: Method::Post,
            url: url.to_owned(),
            content_type: "application/json",
            headers: Vec::new(),
            body: body.to_string().into_bytes(),
        }
    }
}

/// What is special about a form.
struct Row {
    request: fn(&str, &[&Message], &Part<'_>) -> Request,
    /// Several messages can be one.
    groups: bool,
    /// It wants a room.
    room: bool,
    /// It puts the token where the service wants it; without one it cannot be.
    token: bool,
}

impl Form {
    const fn row(self) -> Row {
        const fn row(request: fn(&str, &[&Message], &Part<'_>) -> Request) -> Row {
            Row { request, groups: true, room: false, token: false }
        }
        match self {
            Self::Json => row(own::request),
            Self::Ntfy => row(ntfy::request),
            Self::Slack | Self::Mattermost => row(chat::slack),
            Self::Teams => row(chat::teams),
            Self::Discord => row(chat::discord),
            Self::Gotify => Row { token: true, ..row(gotify::request) },
            Self::Matrix => Row { room: true, ..row(matrix::request) },
            Self::Pagerduty => Row { groups: false, token: true, ..row(pagerduty::request) },
            Self::Alertmanager => Row { groups: false, ..row(alertmanager::request) },
        }
    }

    /// The request for messages.
    pub(super) fn request(self, url: &str, batch: &[&Message], part: &Part<'_>) -> Request {
        (self.row().request)(url, batch, part)
    }

    pub(super) const fn groups(self) -> bool {
        self.row().groups
    }

    pub(super) const fn places_token(self) -> bool {
        self.row().token
    }

    /// An alert that Alertmanager does not get again ends by itself after five minutes.
    pub(super) fn refresh(self) -> Option<Duration> {
        (self == Self::Alertmanager).then_some(Duration::from_secs(60))
    }

    /// # Errors
    /// What the form lacks.
    pub(super) fn check(self, room: &str, has_token: bool) -> Result<(), String> {
        let row = self.row();
        if row.token && !has_token {
            return Err("it needs a token: token = 'FILE', or the name of a credential".to_owned());
        }
        if self == Self::Matrix && !has_token {
            return Err(
                "Matrix needs an access token: token = 'FILE', or the name of a credential".to_owned()
            );
        }
        if row.room && room.is_empty() {
            return Err("it needs a room: room = '!id:server'".to_owned());
        }
        Ok(())
    }
}

/// At most so many characters, and a sign that there is more.
fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
