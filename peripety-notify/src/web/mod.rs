//! Events and incidents over a websocket, and a page that shows open incidents live. Off by default.
//!
//! Each client has a thread and a connection of its own to the daemon, so that a slow one costs nobody else anything: what it
//! does not take the daemon counts for it. What the daemon no longer has comes from the journal, which another process reads.

mod config;
mod conn;
mod files;
mod http;
mod session;
mod subscribe;

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use peripety::internal::Roots;

pub use self::{
    config::{Config, Tls},
    conn::Conn,
};
use crate::{
    http::Request,
    serve::{Places, serve_most},
};

/// Connections at a time, with those that have asked for nothing yet; one more is refused.
const CONNECTIONS_MAX: usize = 48;
/// Subscribers at a time: each takes a place of the daemon, which gives half of its places to one process.
const SUBSCRIBERS_MAX: usize = 16;
/// How long a request may take from the first byte to the last, and a subscription after it.
const PATIENCE: Duration = Duration::from_secs(10);

/// It cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebError {
    /// The address is not to be had.
    #[error("cannot serve the page at {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// TLS cannot be made ready.
    #[error("cannot serve the page at {address} with TLS: {source}")]
    Tls {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// What all clients share.
struct Shared {
    config: Config,
    roots: Roots,
    subscribers: Places,
}

/// Serves on threads, if the configuration says so.
///
/// # Errors
/// The address is not to be had, or the certificate cannot be read.
pub(crate) fn start(config: &Config, roots: &Roots) -> Result<(), WebError> {
    let Some(address) = config.listen else { return Ok(()) };
    let fail = |source| WebError::Listen { address, source };
    let tls = config.tls().map_err(|source| WebError::Tls { address, source })?;
    let listener = TcpListener::bind(address).map_err(fail)?;
    let listen = listener.local_addr().map_err(fail)?;
    let shared = Arc::new(Shared {
        config: config.clone(),
        roots: roots.clone(),
        subscribers: Places::new(SUBSCRIBERS_MAX),
    });
    let accept = move || listener.accept().map(|(tcp, _peer)| tcp);
    let work = move |tcp| {
        answer(tcp, tls.clone(), &shared)
            .inspect_err(|error| tracing::debug!("a client of the page: {error}"))
    };
    serve_most("web", CONNECTIONS_MAX, accept, work, refuse).map_err(fail)?;
    tracing::info!(
        "the page is served at {}://{listen}/",
        if config.certificate.is_some() { "https" } else { "http" }
    );
    Ok(())
}

/// Without TLS, which would take a handshake: who is refused sees why in plain text, or a closed connection.
fn refuse(mut tcp: TcpStream) {
    let what = format!("{CONNECTIONS_MAX} connections are open, no more are taken; come again later");
    let _gone = tcp.set_nonblocking(true).and_then(|()| http::refuse(&mut tcp, &what));
}

fn answer(tcp: TcpStream, tls: Option<Tls>, shared: &Shared) -> io::Result<()> {
    let mut conn = Conn::new(tcp, tls, PATIENCE)?;
    let Some(request) = Request::read(&mut conn)? else { return Ok(()) };
    if http::wants_websocket(&request) {
        return session::run(conn, &request, shared);
    }
    http::answer(&mut conn, &request)?;
    conn.close();
    Ok(())
}

#[cfg(test)]
mod tests;
