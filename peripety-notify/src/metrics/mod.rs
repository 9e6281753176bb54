//! Metrics for Prometheus: over HTTP on a Unix socket or a loopback port, and as a file for node_exporter. Off by default.
//!
//! Counts are the daemon's own and are asked for when somebody wants them: nothing is done meanwhile.

mod render;
mod serve;
mod text;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, thread, time::Duration};

use jiff::SignedDuration;
use peripety::internal::{
    Roots,
    files::{SocketError, replace},
    follow::{Request, ask},
};
use serde::{Deserialize, Deserializer, de::Error as _};

use self::text::Format;
use crate::receiver::Receiver;

/// `[metrics]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where HTTP is served.
    pub(crate) listen: Option<Listen>,
    /// A file that node_exporter's textfile collector reads.
    pub(crate) textfile: Option<PathBuf>,
    /// How often that is written.
    #[serde(default = "minute")]
    pub(crate) interval: SignedDuration,
}

const fn minute() -> SignedDuration {
    SignedDuration::from_mins(1)
}

/// A Unix socket, or a port that nobody but this machine reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    Unix(PathBuf),
    Port(SocketAddr),
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with('/') {
            return Ok(Self::Unix(PathBuf::from(text)));
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Self::Port(address)),
            Ok(_) => Err(D::Error::custom(format!(
                "'{text}' is reached from other machines; write '127.0.0.1:9799', and put a proxy with TLS before it"
            ))),
            Err(_) => Err(D::Error::custom(format!(
                "'{text}' is neither '127.0.0.1:PORT' nor the path of a Unix socket"
            ))),
        }
    }
}

/// Metrics cannot be given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetricsError {
    /// The place is not to be had.
    #[error("cannot serve metrics at {place}: {source}")]
    Listen {
        /// Which.
        place: String,
        /// Why not.
        source: io::Error,
    },
    /// The Unix socket cannot be made.
    #[error(transparent)]
    Socket(#[from] SocketError),
}

/// What the metrics are made of.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) roots: Roots,
    pub(crate) receivers: Vec<Arc<Receiver>>,
}

impl Source {
    /// All metrics as they are now.
    fn render(&self, format: Format) -> String {
        let request = Request { request: "metrics".to_owned(), ..Request::default() };
        let answer = ask(&self.roots, request);
        if let Err(error) = &answer {
            tracing::debug!("metrics without the daemon's: {error}");
        }
        render::all(answer.ok().as_ref(), &self.receivers, format)
    }
}

/// Gives metrics as the configuration says, on threads.
///
/// # Errors
/// The place to serve them is not to be had.
pub(crate) fn start(config: &Config, source: &Source) -> Result<(), MetricsError> {
    if let Some(listen) = &config.listen {
        serve::start(listen, source.clone())?;
    }
    if let Some(path) = &config.textfile {
        let (path, source) = (path.clone(), source.clone());
        let interval = Duration::try_from(config.interval).unwrap_or_default().max(Duration::from_secs(1));
        let work = move || {
            let mut said = false;
            loop {
                // In the classic format: node_exporter reads no other.
                match replace(&path, source.render(Format::Classic).as_bytes(), 0o644) {
                    Ok(_) => said = false,
                    Err(error) if !std::mem::replace(&mut said, true) => {
                        tracing::warn!("{}: cannot write metrics: {error}", path.display());
                    }
                    Err(_) => {}
                }
                thread::sleep(interval);
            }
        };
        let thread = thread::Builder::new().name("textfile".to_owned()).stack_size(512 << 10).spawn(work);
        thread.map_err(|source| MetricsError::Listen { place: "the text file".to_owned(), source })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
