//! The API and the page: `routes.rs` is the one table of what is served, and who may.

mod api;
mod page;
mod routes;

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use peripety::internal::secret::Source;
use peripety_notify::internal::{Conn, Request, Response, Tls, Web, serve_most};
use serde::Deserialize;

pub use self::routes::openapi;
use self::routes::{Answer, Asked};
use crate::consume::Shared;

/// Connections at a time.
const CONNECTIONS_MAX: usize = 64;
/// How long a client may take to ask.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a request's body.
const BODY_MAX: usize = 64 << 10;
/// Nothing from elsewhere, and no script at all.
const HEADERS: &str =
    "X-Content-Type-Options: nosniff\r\nReferrer-Policy: same-origin\r\nCache-Control: no-store\r\n";

/// What somebody may: each role all of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// See.
    Read,
    /// Say that an incident is known.
    Acknowledge,
    /// Forget hosts, read the audit.
    Administer,
}

/// A secret, and what it lets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Who has it: stands in the audit.
    pub name: String,
    /// What that one may.
    pub role: Role,
    /// The secret: a file, or a credential of the unit.
    pub secret: Source,
}

/// `[web]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it is served.
    #[serde(default = "listen")]
    pub listen: SocketAddr,
    /// The chain of certificates.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<Source>,
    /// Who may. Without any, who reaches it on the loopback address may all.
    #[serde(default)]
    pub token: Vec<Token>,
}

impl Default for Config {
    fn default() -> Self {
        Self { listen: listen(), certificate: None, key: None, token: Vec::new() }
    }
}

fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9797))
}

impl Config {
    fn shared(&self, tokens: Vec<Source>) -> Web {
        let (certificate, key) = (self.certificate.clone(), self.key.clone());
        Web { listen: Some(self.listen), tokens, certificate, key }
    }

    /// What is wrong with it: other machines come by TLS and with a token.
    pub fn wrong(&self) -> Option<String> {
        self.shared(self.token.iter().map(|token| token.secret.clone()).collect()).wrong()
    }

    /// Who a request is of, and what that one may.
    fn who(&self, request: &Request) -> Option<(String, Role)> {
        if self.token.is_empty() {
            return Some(("somebody on this machine".to_owned(), Role::Administer));
        }
        let given = given(request)?;
        let is_it = |token: &&Token| self.shared(vec![token.secret.clone()]).lets_in(Some(&given));
        self.token.iter().find(is_it).map(|token| (token.name.clone(), token.role))
    }
}

/// The token of a request: as a bearer, or as the password that a browser asks for.
fn given(request: &Request) -> Option<String> {
    let (scheme, value) = request.header("authorization")?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(value.trim()).ok()?;
    String::from_utf8(bytes).ok()?.split_once(':').map(|(_user, password)| password.to_owned())
}

/// Serves on threads.
///
/// # Errors
/// The address is not to be had, or the certificate cannot be read.
pub fn start(config: &Config, shared: &Arc<Shared>) -> io::Result<SocketAddr> {
    let tls = config.shared(Vec::new()).tls()?;
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot serve at {}: {error}", config.listen))
    };
    let listener = TcpListener::bind(config.listen).map_err(named)?;
    let address = listener.local_addr()?;
    let (config, shared) = (config.clone(), Arc::clone(shared));
    let accept = move || listener.accept().map(|(tcp, _peer)| tcp);
    let work = move |tcp| {
        answer(tcp, tls.clone(), &config, &shared).inspect_err(|error| tracing::debug!("a client: {error}"))
    };
    serve_most("web", CONNECTIONS_MAX, accept, work, refuse)?;
    Ok(address)
}

fn refuse(mut tcp: TcpStream) {
    let response =
        Response::text("503 Service Unavailable", "too many connections are open; come again later\n");
    let _gone = tcp.set_nonblocking(true).and_then(|()| response.write(&mut tcp));
}

fn answer(tcp: TcpStream, tls: Option<Tls>, config: &Config, shared: &Shared) -> io::Result<()> {
    let mut conn = Conn::new(tcp, tls, PATIENCE)?;
    let Some(request) = Request::read(&mut conn)? else { return Ok(()) };
    let answer = match config.who(&request) {
        _ if request.foreign(!config.token.is_empty()).is_some() => {
            Answer::wrong("403 Forbidden", "a page of another site may not ask this")
        }
        None => Answer::login(),
        Some((who, role)) => {
            let body =
                if request.method == "POST" { request.body(&mut conn, BODY_MAX)? } else { Some(Vec::new()) };
            match body {
                Some(body) => {
                    routes::answer(&Asked { request: &request, body: &body, who: &who, role, shared })
                }
                None => Answer::wrong(
                    "413 Content Too Large",
                    "give a body of at most 65536 bytes, with its length",
                ),
            }
        }
    };
    let policy = page::policy();
    let headers = format!("Content-Security-Policy: {policy}\r\n{HEADERS}{}", answer.headers);
    let (status, kind) = (answer.status, answer.kind);
    Response { status, kind, headers: &headers, text: &answer.text, body: request.method != "HEAD" }
        .write(&mut conn)?;
    conn.close();
    Ok(())
}
