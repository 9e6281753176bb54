//! Outputs: the ways to people. A new one is a file here and a row of [`TABLE`].

pub(crate) mod exec;
pub(crate) mod irc;
pub(crate) mod mail;
pub(crate) mod stdout;
pub(crate) mod syslog;
pub(crate) mod webhook;

use std::{io, time::Duration};

use jiff::SignedDuration;

use crate::{config::Notify, message::Message, secret::SecretError};

/// A way to people. It may block as long as its timeout says: nobody else waits for it.
pub(crate) trait Output: Send {
    /// Sends messages, oldest first. What the other side answered.
    ///
    /// # Errors
    /// What keeps all of them from being taken.
    fn deliver(&mut self, batch: &[&Message]) -> Result<String, Failure>;

    /// Whether several messages can be one.
    fn groups(&self) -> bool {
        true
    }

    /// How often the other side wants to know what is open still.
    fn refresh(&self) -> Option<Duration> {
        None
    }

    /// There is nothing to send for now.
    fn idle(&mut self) {}
}

/// A message was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It may be taken later.
    #[error("{what}")]
    Temporary {
        /// What failed, on what.
        what: String,
        /// When the other side wants to be asked again.
        after: Option<SignedDuration>,
    },
    /// It will never be taken.
    #[error("{what}")]
    Refused {
        /// What the other side says.
        what: String,
    },
}

impl Failure {
    /// One that may pass.
    pub(crate) fn temporary(what: impl Into<String>) -> Self {
        Self::Temporary { what: what.into(), after: None }
    }

    /// One of the network.
    pub(crate) fn network(what: &str, error: &io::Error) -> Self {
        Self::temporary(format!("{what}: {error}"))
    }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        Self::temporary(error.to_string())
    }
}

/// The configuration of an output is wrong.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// None, or several.
    #[error("it has {found}; give it exactly one of the tables {known}")]
    NotOne {
        /// What it has.
        found: String,
        /// What there is.
        known: String,
    },
    /// A value.
    #[error("{key}: {what}")]
    Value {
        /// Which.
        key: &'static str,
        /// What is wrong with it, and what would be right.
        what: String,
    },
}

impl OutputError {
    pub(crate) fn value(key: &'static str, what: impl Into<String>) -> Self {
        Self::Value { key, what: what.into() }
    }
}

type Made = Option<Result<Box<dyn Output>, OutputError>>;
type Make = fn(&Notify) -> Made;

/// All of them: the name of the table in the configuration, and what makes one of it.
const TABLE: &[(&str, Make)] = &[
    ("exec", |n| n.exec.as_ref().map(|c| exec::make(c, n))),
    ("mail", |n| n.mail.as_ref().map(|c| mail::make(c, n))),
    ("webhook", |n| n.webhook.as_ref().map(|c| webhook::make(c, n))),
    ("irc", |n| n.irc.as_ref().map(|c| irc::make(c, n))),
    ("syslog", |n| n.syslog.as_ref().map(|c| syslog::make(c, n))),
    ("stdout", |n| n.stdout.as_ref().map(|c| stdout::make(c, n))),
];

/// Makes the output of a receiver, without any connection yet.
///
/// # Errors
/// What is wrong with its configuration.
pub(crate) fn make(notify: &Notify) -> Result<(&'static str, Box<dyn Output>), OutputError> {
    let mut made: Vec<_> = TABLE.iter().filter_map(|(name, make)| Some((*name, make(notify)?))).collect();
    if made.len() != 1 {
        let found: Vec<&str> = made.iter().map(|(name, _)| *name).collect();
        let found = if found.is_empty() { "no output".to_owned() } else { found.join(" and ") };
        let known: Vec<String> = TABLE.iter().map(|(name, _)| format!("[notify.{name}]")).collect();
        return Err(OutputError::NotOne { found, known: known.join(", ") });
    }
    let Some((name, output)) = made.pop() else {
        return Err(OutputError::NotOne { found: "no output".to_owned(), known: String::new() });
    };
    Ok((name, output?))
}

/// The timeout of a receiver.
pub(crate) fn timeout(notify: &Notify) -> Duration {
    notify.timeout.try_into().unwrap_or(Duration::from_secs(20)).max(Duration::from_millis(100))
}

/// `HOST`, `HOST:PORT`, `[ADDRESS]:PORT`.
///
/// # Errors
/// It is none of these.
pub(crate) fn host_and_port(
    key: &'static str,
    text: &str,
    default: u16,
) -> Result<(String, u16), OutputError> {
    let wrong = || OutputError::value(key, format!("'{text}' is no server; write HOST or HOST:PORT"));
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            (host, rest.strip_prefix(':'))
        }
        None => match text.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => (text, None),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map_or(Ok(default), str::parse).map_err(|_no_number| wrong())?;
    if host.is_empty() || port == 0 || host.contains(char::is_whitespace) {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

/// Whether a host is this machine.
pub(crate) fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
