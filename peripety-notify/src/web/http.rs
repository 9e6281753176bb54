//! What is answered to who asks for the page, or begins a websocket.

use std::io::{self, Write};

use super::files::FILES;
use crate::http::{Foreign, Request, Response};

/// Nothing from elsewhere, no script but the page's own, in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether it begins a websocket.
pub(super) fn wants_websocket(request: &Request) -> bool {
    let is = |name, value: &str| {
        request.header(name).is_some_and(|is| is.split(',').any(|one| one.trim().eq_ignore_ascii_case(value)))
    };
    request.method == "GET"
        && request.path == "/stream"
        && is("upgrade", "websocket")
        && is("connection", "upgrade")
}

/// Why a browser that sends this may not subscribe.
pub(super) fn foreign(request: &Request, needs_token: bool) -> Option<&'static str> {
    request.foreign(needs_token).map(|foreign| match foreign {
        Foreign::Page => "a page of another site may not subscribe",
        Foreign::Name => "without a token it is reached as localhost only",
    })
}

/// Answers what is no websocket.
pub(super) fn answer(stream: &mut impl Write, request: &Request) -> io::Result<()> {
    let body = request.method != "HEAD";
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return respond(stream, "405 Method Not Allowed", "text/plain", "GET\n", body);
    }
    match FILES.iter().find(|file| file.path == request.path) {
        Some(file) => respond(stream, "200 OK", file.kind, file.text, body),
        None if request.path == "/stream" => {
            let what = "this is a websocket; doc/web.md says what it takes\n";
            respond(stream, "426 Upgrade Required", "text/plain", what, body)
        }
        None => {
            respond(stream, "404 Not Found", "text/plain", "the page is at /, the stream at /stream\n", body)
        }
    }
}

/// Says that there are too many clients.
pub(super) fn refuse(stream: &mut impl Write, what: &str) -> io::Result<()> {
    respond(stream, "503 Service Unavailable", "text/plain", what, true)
}

/// Says that a client may not.
pub(super) fn forbid(stream: &mut impl Write, what: &str) -> io::Result<()> {
    respond(stream, "403 Forbidden", "text/plain", what, true)
}

fn respond(stream: &mut impl Write, status: &str, kind: &str, text: &str, body: bool) -> io::Result<()> {
    let headers = format!(
        "Content-Security-Policy: {POLICY}\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
         Cache-Control: no-store\r\n"
    );
    Response { status, kind, headers: &headers, text, body }.write(stream)
}
