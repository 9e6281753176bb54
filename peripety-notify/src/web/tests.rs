use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use super::*;

fn config(text: &str) -> Config {
    toml::from_str(text).unwrap()
}

/// A server on a port of its own, without a daemon.
fn serve(more: &str) -> (SocketAddr, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    start(&config(&format!("listen = '{free}'\n{more}")), &Roots::under(dir.path())).unwrap();
    (free, dir)
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut tcp = TcpStream::connect(address).unwrap();
    tcp.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _closed = tcp.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn upgrade(host: &str, more: &str) -> String {
    format!(
        "GET /stream HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

#[test]
fn from_other_machines_it_wants_tls_and_tokens() {
    assert_eq!(config("").wrong(), None, "it is off");
    assert_eq!(config("listen = '127.0.0.1:1'").wrong(), None);
    assert_eq!(config("listen = '[::1]:1'\ntokens = ['t']").wrong(), None);
    let all = "listen = '0.0.0.0:1'\ntokens = ['t']\ncertificate = '/c'\nkey = 'k'";
    assert_eq!(config(all).wrong(), None);
    for (without, named) in
        [("tokens = ['t']\n", "tokens"), ("certificate = '/c'\nkey = 'k'", "certificate and key")]
    {
        let wrong = config(&all.replace(without, "")).wrong().unwrap();
        assert!(wrong.contains(named) && wrong.contains("0.0.0.0:1"), "{wrong}");
    }
    assert!(config("listen = '127.0.0.1:1'\nkey = 'k'").wrong().unwrap().contains("belong together"));
}

#[test]
fn the_page_has_no_script_but_its_own_and_nothing_of_this_machine() {
    let (address, _dir) = serve("");
    for (path, of) in [("/", "<script src=\"/page.js\""), ("/page.js", "WebSocket"), ("/page.css", "body {")]
    {
        let answer = ask(address, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains(of), "{answer}");
        assert!(
            answer.contains("Content-Security-Policy: default-src 'none'; script-src 'self'"),
            "{answer}"
        );
        let body = answer.split("\r\n\r\n").nth(1).unwrap();
        assert!(!body.contains("https:/") && !body.contains("http:/"), "{path} names another place");
    }
    assert!(ask(address, "GET /etc/passwd HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(ask(address, "POST / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(ask(address, "GET /stream HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 426 "));
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(9000));
    assert!(ask(address, &long).starts_with("HTTP/1.1 431 "));
}

#[test]
fn pages_of_other_sites_may_not_subscribe() {
    let (address, _dir) = serve("");
    let own = upgrade(&format!("localhost:{}", address.port()), "");
    // A first frame that is none ends it.
    let accepted = ask(address, &format!("{own}xx"));
    assert!(accepted.starts_with("HTTP/1.1 101 "), "{accepted}");
    // The answer that RFC 6455 gives for this key.
    assert!(accepted.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{accepted}");
    for (host, more) in [
        ("localhost:1", "Origin: https://evil.example\r\n"),
        ("127.0.0.1:1", "Origin: http://localhost:1\r\n"),
        // A name of another that leads here.
        ("evil.example:1", "Origin: http://evil.example:1\r\n"),
        ("evil.example", ""),
    ] {
        let refused = ask(address, &upgrade(host, more));
        assert!(refused.starts_with("HTTP/1.1 403 "), "{host} {more}: {refused}");
    }
    let own = upgrade("localhost", "Origin: http://localhost\r\n");
    assert!(ask(address, &format!("{own}xx")).starts_with("HTTP/1.1 101 "));
}

#[test]
fn what_is_wrong_with_a_subscription_is_named() {
    use subscribe::Subscribe;
    let read = |text: &str| Subscribe::read(text);
    let all = read(r#"{"version":1}"#).unwrap();
    assert!(all.events && all.incidents);
    let one = read(r#"{"version":1,"incidents":true,"filter":{"severity":"error"}}"#).unwrap();
    assert!(!one.events && one.incidents && !one.filter.takes_all());
    for (text, named) in [
        ("", "EOF"),
        (r#"{"version":2}"#, "version 2"),
        (r#"{"version":1,"event":true}"#, "`event`"),
        (r#"{"version":1,"filter":{"device":[]}}"#, "`device`"),
    ] {
        let wrong = read(text).unwrap_err();
        assert!(wrong.contains(named), "{wrong}");
    }
    for cursor in ["nonsense", "journal:s=1"] {
        let it = read(&format!(r#"{{"version":1,"after":"{cursor}"}}"#)).unwrap();
        assert!(it.options().unwrap_err().to_string().starts_with("after: "));
    }
}

#[test]
fn a_token_is_compared_with_each_that_is_configured() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, "right\n").unwrap();
    let config = config(&format!("tokens = ['/nonexistent', '{}']", path.display()));
    assert!(config.lets_in(Some("right")));
    assert!(!config.lets_in(Some("wrong")) && !config.lets_in(Some("")) && !config.lets_in(None));
    let unreadable = self::config("tokens = ['/nonexistent']");
    assert!(
        !unreadable.lets_in(None) && !unreadable.lets_in(Some("")),
        "who cannot be checked is not let in"
    );
}
