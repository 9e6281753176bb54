//! Clients that are refused, and the document.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream as Blocking,
    sync::Arc,
    thread,
};

use super::{
    request::MAX_REQUEST,
    slots::{OTHER_CLIENTS, ROOT_CLIENTS, SHARE},
    *,
};
use crate::notifier::memory::{Limits, Memory};

struct Nothing;

impl Answers for Nothing {
    fn answer(&self, _request: &str) -> Option<Value> {
        None
    }
}

/// Runs `client` against a server.
fn served(client: impl FnOnce(&Path) + Send + 'static) {
    let root = tempfile::tempdir().unwrap();
    let roots = Roots::under(root.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::bind(&roots).unwrap();
        let path = roots.socket();
        let client = tokio::task::spawn_blocking(move || client(&path));
        tokio::select! {
            () = server.run(Memory::default(), Arc::new(Nothing)) => unreachable!("it serves until it is dropped"),
            done = client => done.unwrap(),
        }
    });
}

fn rest(stream: &mut Blocking) -> io::Result<String> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn a_refused_client_reads_why_whatever_it_sends() {
    served(|path| {
        let connect = || Blocking::connect(path).unwrap();
        // One process may have a part of all.
        let most = if rustix::process::geteuid().is_root() { ROOT_CLIENTS } else { OTHER_CLIENTS } / SHARE;
        let _held: Vec<Blocking> = (0..most)
            .map(|_| {
                let mut stream = connect();
                stream.write_all(b"{\"version\":1,\"request\":\"events\",\"follow\":true}\n").unwrap();
                stream
            })
            .collect();
        thread::sleep(Duration::from_millis(200));
        for (wait_ms, request) in [
            (0, &b"{\"version\":1,\"request\":\"events\"}\n"[..]),
            (100, b"{\"version\":1,\"request\":\"events\"}\n"),
            (0, b""),
            (50, &[b'x'; 10_000]),
        ] {
            for _ in 0..20 {
                let mut stream = connect();
                thread::sleep(Duration::from_millis(wait_ms));
                stream.write_all(request).unwrap();
                let mut said = String::new();
                io::BufRead::read_line(&mut io::BufReader::new(&stream), &mut said).unwrap();
                assert_eq!(said.as_bytes(), REFUSAL);
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                assert_eq!(rest(&mut stream).unwrap(), "");
            }
        }
    });
}

#[test]
fn a_client_that_sends_more_than_a_request_reads_the_answer_to_its_end() {
    served(|path| {
        for request in [vec![b'x'; 20_000], b"nonsense\nand more\n".to_vec(), b"{}\n{}\n{}\n".to_vec()] {
            let mut stream = Blocking::connect(path).unwrap();
            stream.write_all(&request).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let said = rest(&mut stream).unwrap();
            assert!(said.starts_with("{\"error\":\"") && said.ends_with("}\n"), "{said}");
        }
    });
}

#[test]
fn the_document_has_the_bounds_of_the_code() {
    let document = include_str!("../../../doc/socket.md");
    let limits = Limits::default();
    assert_eq!(crate::config::Main::default().events_in_memory, limits.events);
    let with_commas = format!("{},{:03}", limits.events / 1000, limits.events % 1000);
    for words in [
        format!("at most {with_commas} events (`events_in_memory`) and {} MiB", limits.bytes >> 20),
        format!("At most {ROOT_CLIENTS} clients of root and {OTHER_CLIENTS} of others"),
        format!("at most {MAX_REQUEST} bytes and must come within {} seconds", PATIENCE.as_secs()),
        format!("The protocol has a version, {PROTOCOL_VERSION}."),
    ] {
        assert!(document.contains(&words), "doc/socket.md does not say: {words}");
    }
}
