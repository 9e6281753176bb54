//! Webhooks: HTTPS requests with JSON of our own or in the form of a known service; signed if wanted.

mod form;
mod sign;

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use ureq::{
    Agent,
    http::{HeaderMap, Uri},
    tls::{Certificate, RootCerts, TlsConfig, TlsProvider},
};

use self::form::{Form, Method, Part};
use super::{Failure, Output, OutputError, is_local, timeout};
use crate::{config::Notify, message::Message, secret::Source, tls};

/// Bytes of an answer that are read.
const ANSWER_MAX: u64 = 16 << 10;

/// `[notify.webhook]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where to; of some services the part before what the form adds (doc/notify.md).
    url: Option<String>,
    /// File or credential with the URL, where that is a secret itself (Slack, Discord, Teams).
    url_secret: Option<Source>,
    #[serde(default)]
    form: Form,
    /// Headers of every request.
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    /// File or credential with a token: `Authorization: Bearer`, or where the service wants it.
    token: Option<Source>,
    /// File or credential with a key: `X-Peripety-Signature: sha256=HMAC` over time and body.
    hmac_key: Option<Source>,
    /// File or credential with a key: `Authorization: Bearer JWT` (HS256), as Gluster's events have it.
    jwt_key: Option<Source>,
    /// Authorities that are believed, in place of the system's.
    ca_file: Option<PathBuf>,
    /// Channel, room or key that the form wants: Matrix' room, Slack's channel.
    #[serde(default)]
    room: String,
    /// Labels that are added to each alert (Alertmanager).
    #[serde(default)]
    labels: std::collections::BTreeMap<String, String>,
}

struct Webhook {
    config: Config,
    timeout: Duration,
    agent: Option<Agent>,
}

pub(super) fn make(config: &Config, notify: &Notify) -> Result<Box<dyn Output>, OutputError> {
    if config.url.is_some() == config.url_secret.is_some() {
        return Err(OutputError::value("webhook.url", "give url or url_secret, one of them"));
    }
    if config.token.is_some() && config.jwt_key.is_some() {
        return Err(OutputError::value(
            "webhook.token",
            "token and jwt_key both make the same header; give one",
        ));
    }
    let has_secret = config.token.is_some() || config.jwt_key.is_some() || config.hmac_key.is_some();
    if let Some(url) = &config.url {
        check_url(url, has_secret).map_err(|what| OutputError::value("webhook.url", what))?;
    }
    for (name, value) in &config.headers {
        let fits = ureq::http::HeaderName::try_from(name.as_str()).is_ok();
        if !fits || ureq::http::HeaderValue::try_from(value.as_str()).is_err() {
            return Err(OutputError::value(
                "webhook.headers",
                format!("'{name}' is no header, or its value is none"),
            ));
        }
        if name.eq_ignore_ascii_case("authorization") {
            let what = "a secret does not belong into the configuration; use token = 'FILE'";
            return Err(OutputError::value("webhook.headers", what));
        }
    }
    config
        .form
        .check(&config.room, config.token.is_some())
        .map_err(|what| OutputError::value("webhook.form", what))?;
    Ok(Box::new(Webhook { config: config.clone(), timeout: timeout(notify), agent: None }))
}

/// Secrets go over TLS, or stay on this machine.
fn check_url(url: &str, has_secret: bool) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|_| "it is no URL; write 'https://HOST/PATH'".to_owned())?;
    let Some(host) = uri.host() else { return Err("it has no host; write 'https://HOST/PATH'".to_owned()) };
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if !has_secret || is_local(host) => Ok(()),
        Some("http") => Err("a secret would go unencrypted to another machine; use https".to_owned()),
        _ => Err("it is neither https nor http".to_owned()),
    }
}

impl Output for Webhook {
    fn deliver(&mut self, batch: &[&Message]) -> Result<String, Failure> {
        let url = match (&self.config.url, &self.config.url_secret) {
            (Some(url), _) => url.clone(),
            (None, Some(source)) => {
                let secret = source.read()?;
                check_url(secret.expose(), true)
                    .map_err(|what| Failure::temporary(format!("url_secret: {what}")))?;
                secret.expose().to_owned()
            }
            (None, None) => return Err(Failure::temporary("there is no URL")),
        };
        let token = self.config.token.as_ref().map(Source::read).transpose()?;
        let part = Part {
            room: &self.config.room,
            token: token.as_ref().map(crate::secret::Secret::expose),
            labels: &self.config.labels,
            refresh: self.refresh(),
        };
        let request = self.config.form.request(&url, batch, &part);
        self.send(&request, batch, token.as_ref().map(crate::secret::Secret::expose))
    }

    fn groups(&self) -> bool {
        self.config.form.groups()
    }

    fn refresh(&self) -> Option<Duration> {
        self.config.form.refresh()
    }

    fn idle(&mut self) {
        // With it go its connections, its certificates and their memory.
        self.agent = None;
    }
}

impl Webhook {
    fn agent(&mut self) -> Result<&Agent, Failure> {
        if self.agent.is_none() {
            let certs = tls::roots(self.config.ca_file.as_deref())
                .map_err(|error| Failure::network("certificates of authorities", &error))?;
            let certs: Vec<_> = certs.iter().map(|cert| Certificate::from_der(cert).to_owned()).collect();
            let tls = TlsConfig::builder()
                .provider(TlsProvider::Rustls)
                .root_certs(RootCerts::Specific(Arc::new(certs)))
                .unversioned_rustls_crypto_provider(tls::provider())
                .build();
            let whole = Some(self.timeout);
            let config = Agent::config_builder()
                .tls_config(tls)
                .timeout_global(whole)
                .timeout_connect(whole)
                .timeout_recv_response(whole)
                .timeout_recv_body(whole)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .http_status_as_error(false)
                .user_agent(concat!("peripety-notify/", env!("CARGO_PKG_VERSION")))
                .build();
            self.agent = Some(Agent::new_with_config(config));
        }
        self.agent.as_ref().ok_or_else(|| Failure::temporary("no client"))
    }

    fn send(
        &mut self,
        request: &form::Request,
        batch: &[&Message],
        token: Option<&str>,
    ) -> Result<String, Failure> {
        let config = self.config.clone();
        let first = batch.first().map_or("", |message| message.id.as_str());
        let host =
            request.url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
        let agent = self.agent()?;
        let mut builder = match request.method {
            Method::Post => agent.post(&request.url),
            Method::Put => agent.put(&request.url),
        };
        builder = builder.header("Content-Type", request.content_type).header("Idempotency-Key", first);
        let headers = request.headers.iter().map(|(name, value)| (name, value));
        for (name, value) in headers.chain(&config.headers) {
            builder = builder.header(name.as_str(), value.as_str());
        }
        if let Some(token) = token.filter(|_| !config.form.places_token()) {
            builder = builder.header("Authorization", format!("Bearer {token}"));
        }
        let now = Timestamp::now();
        if let Some(key) = &config.hmac_key {
            let time = now.as_second().to_string();
            let signature = sign::hmac(key.read()?.expose(), &time, &request.body);
            builder = builder.header("X-Peripety-Timestamp", time);
            builder = builder.header("X-Peripety-Signature", format!("sha256={signature}"));
        }
        if let Some(key) = &config.jwt_key {
            let subject = batch.first().map_or("", |message| message.event_type());
            let token = sign::jwt(key.read()?.expose(), subject, now);
            builder = builder.header("Authorization", format!("Bearer {token}"));
        }
        // No URL in any message: it may be a secret.
        let mut response = builder.send(request.body.as_slice()).map_err(|error| {
            Failure::temporary(format!("{host}: {}", without(&error.to_string(), &request.url)))
        })?;
        let status = response.status().as_u16();
        let after = retry_after(response.headers(), now);
        let text = response.body_mut().with_config().limit(ANSWER_MAX).lossy_utf8(true).read_to_string();
        let said: String = text
            .unwrap_or_default()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .take(200)
            .collect();
        let answer = format!("{host}: HTTP {status} {said}");
        let answer = answer.trim_end().to_owned();
        match status {
            200..=299 => Ok(answer),
            // What is wrong with the message itself; all else may be set right.
            400 | 413 | 415 | 422 => Err(Failure::Refused { what: answer }),
            _ => Err(Failure::Temporary { what: answer, after }),
        }
    }
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<SignedDuration> {
    let value = headers.get("retry-after")?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(SignedDuration::from_secs(i64::from(seconds)));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    (date > now).then(|| now.duration_until(date))
}

fn without(text: &str, url: &str) -> String {
    text.replace(url, "(URL)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_over_tls_or_stays_here() {
        assert!(check_url("https://a.example/x", true).is_ok());
        assert!(check_url("http://a.example/x", false).is_ok());
        assert!(check_url("http://127.0.0.1:9/x", true).is_ok());
        assert!(check_url("http://[::1]:9/x", true).is_ok());
        for (url, secret) in
            [("http://a.example/x", true), ("ftp://a.example", false), ("x", false), ("/x", false)]
        {
            assert!(check_url(url, secret).is_err(), "{url}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-11-21T09:00:00Z".parse().unwrap();
        let get = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", value.parse().unwrap());
            retry_after(&headers, now).map(|after| after.as_secs())
        };
        assert_eq!(get("120"), Some(120));
        assert_eq!(get("Sat, 21 Nov 2026 09:01:00 GMT"), Some(60));
        assert_eq!((get("Sat, 21 Nov 2026 08:00:00 GMT"), get("soon"), get("-1")), (None, None, None));
    }
}
