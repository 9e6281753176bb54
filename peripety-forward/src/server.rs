//! How the servers are reached, and by what right.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerError};
use peripety::internal::secret::{SecretError, Source};
use serde::Deserialize;

use crate::name::Sender;

/// A dead link is found after two of these.
const PING: Duration = Duration::from_secs(5);
/// How long a connection, and an answer, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait between two tries to connect.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The servers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Servers {
    /// Their addresses: `nats://HOST:4222`, `tls://HOST:4222`.
    pub urls: Vec<String>,
    /// The seed of an nkey: a file, or a credential of the unit.
    pub nkey: Option<Source>,
    /// A file of credentials (JWT and seed), as `nsc` makes them.
    pub credentials: Option<Source>,
    /// The authority that signed the servers' certificates; those of the system if none is named.
    pub ca_file: Option<PathBuf>,
    /// A certificate of this host, for servers that verify clients.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<Source>,
}

/// The servers cannot be used as they are configured, or refuse.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A value is wrong.
    #[error("servers: {0}")]
    Config(String),
    /// A secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// They refuse this client.
    #[error(
        "{urls} refuse this client: {why}. Let the servers know its public key: in nats-server's configuration, users = [ {{ nkey = U..., permissions = ... }} ] (doc/fleet.md has all of it)"
    )]
    Refused {
        /// The servers.
        urls: String,
        /// In their words.
        why: String,
    },
    /// They cannot be reached.
    #[error("cannot connect to {urls}: {why}; it is tried again")]
    Away {
        /// The servers.
        urls: String,
        /// Why.
        why: String,
    },
}

/// What the connection reports beside answers: a forbidden publish is answered by nothing but a line that comes here.
#[derive(Clone, Debug, Default)]
pub struct Reports(Arc<Mutex<Option<String>>>);

impl Reports {
    fn note(&self, event: &Event) {
        let words = match event {
            Event::ServerError(ServerError::Other(text))
                if text.to_lowercase().contains("permissions violation") =>
            {
                format!(
                    "{text}; allow it in the permissions of this host's user on the server (doc/fleet.md)"
                )
            }
            Event::ServerError(ServerError::AuthorizationViolation) => {
                "the server no longer knows this client's key".to_owned()
            }
            Event::ServerError(other) => other.to_string(),
            Event::ClientError(other) => other.to_string(),
            Event::Disconnected => {
                tracing::warn!("the connection to the server is lost; it is tried again");
                return;
            }
            Event::Connected => {
                tracing::info!("connected");
                return;
            }
            other => {
                tracing::debug!("{other}");
                return;
            }
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
    }

    /// What was reported since it was asked last.
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Servers {
    /// What is wrong with it.
    ///
    /// # Errors
    /// A value that cannot be used.
    pub fn check(&self) -> Result<(), ConnectError> {
        let wrong = |what: String| Err(ConnectError::Config(what));
        if self.urls.is_empty() {
            return wrong("name at least one: urls = [\"tls://nats.example.com:4222\"]".to_owned());
        }
        for url in &self.urls {
            if url.contains(',') {
                return wrong(format!("'{url}' names several; write each as a text of its own"));
            }
            if url.contains('@') {
                return wrong(format!(
                    "'{}' has a secret in it; use nkey = \"FILE\"",
                    url.split('@').next_back().unwrap_or_default()
                ));
            }
            if !url.starts_with("nats://") && !url.starts_with("tls://") {
                return wrong(format!("'{url}' is no address; write nats://HOST:4222 or tls://HOST:4222"));
            }
        }
        if self.nkey.is_some() && self.credentials.is_some() {
            return wrong("there are nkey and credentials; keep one of them".to_owned());
        }
        if self.certificate.is_some() != self.key.is_some() {
            return wrong("certificate and key go together".to_owned());
        }
        Ok(())
    }

    fn options(&self, who: &str, inbox: &str, reports: &Reports) -> Result<ConnectOptions, ConnectError> {
        let mut options = ConnectOptions::new()
            .name(who)
            .ping_interval(PING)
            .connection_timeout(PATIENCE)
            .request_timeout(Some(PATIENCE))
            .custom_inbox_prefix(inbox)
            .reconnect_delay_callback(|tries| {
                let tries = u32::try_from(tries).unwrap_or(u32::MAX).min(8);
                (Duration::from_millis(100) * 2_u32.saturating_pow(tries)).min(WAIT_MAX)
            });
        if let Some(nkey) = &self.nkey {
            options = options.nkey(nkey.read()?.expose().trim().to_owned());
        }
        if let Some(credentials) = &self.credentials {
            let text = credentials.read()?;
            options = options
                .credentials(text.expose())
                .map_err(|error| ConnectError::Config(format!("credentials: {error}")))?;
        }
        if let Some(file) = &self.ca_file {
            options = options.add_root_certificates(file.clone());
        }
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            options = options.add_client_certificate(certificate.clone(), key.path());
        }
        if self.urls.iter().all(|url| url.starts_with("tls://")) {
            options = options.require_tls(true);
        }
        let reports = reports.clone();
        Ok(options.event_callback(move |event| {
            let reports = reports.clone();
            async move { reports.note(&event) }
        }))
    }

    /// Connects once.
    ///
    /// # Errors
    /// What is configured wrong, who refuses, or that nobody answers.
    pub async fn connect(&self, who: &str, inbox: &str, reports: &Reports) -> Result<Client, ConnectError> {
        self.check()?;
        let options = self.options(who, inbox, reports)?;
        let urls = self.urls.join(", ");
        options.connect(self.urls.as_slice()).await.map_err(|error| {
            let why = error.to_string();
            match error.kind() {
                ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                    ConnectError::Refused { urls, why }
                }
                _ => ConnectError::Away { urls, why },
            }
        })
    }

    /// Connects, however long that takes; what keeps it is logged when it changes, and given to `each`.
    ///
    /// # Errors
    /// What is configured wrong. Who refuses today may know this host tomorrow, and is asked again.
    pub async fn connect_patiently(
        &self,
        who: &str,
        inbox: &str,
        reports: &Reports,
        mut each: impl FnMut(&str),
    ) -> Result<Client, ConnectError> {
        let (mut wait, mut said) = (Duration::from_millis(250), String::new());
        loop {
            let words = match self.connect(who, inbox, reports).await {
                Ok(client) => return Ok(client),
                Err(error @ (ConnectError::Config(_) | ConnectError::Secret(_))) => return Err(error),
                Err(error) => error.to_string(),
            };
            if words != said {
                tracing::warn!("{words}");
                each(&words);
                said = words;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WAIT_MAX);
        }
    }
}

/// Where answers to a host come, which no other host may read.
pub fn inbox(sender: &Sender) -> String {
    format!("_INBOX_{}_{}", sender.site, sender.host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_list_of_servers_says_what_would_be_right() {
        let wrong = |text: &str| {
            let servers: Servers = serde_json::from_str(text).unwrap();
            servers.check().err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert!(wrong(r#"{"urls":[]}"#).contains("name at least one"));
        assert!(wrong(r#"{"urls":["nats://a:1,nats://b:2"]}"#).contains("several"));
        let secret = wrong(r#"{"urls":["nats://me:hunter2@a:1"]}"#);
        assert!(secret.contains("nkey") && !secret.contains("hunter2"), "{secret}");
        assert!(wrong(r#"{"urls":["a:1"]}"#).contains("no address"));
        assert!(wrong(r#"{"urls":["tls://a:1"],"certificate":"/c"}"#).contains("together"));
        assert_eq!(wrong(r#"{"urls":["tls://a:1","nats://b:2"],"nkey":"/k"}"#), "");
    }
}
