//! Real sockets, with a sender made from the published layout.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod sender;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use peripety_beegfs::{
    filter::Filter,
    listen::{ListenError, Notice, Options, run},
    session::{Begin, LossKind},
};
use serde_json::Value;

/// What a consumer got; it can be stopped, and it can leave.
#[derive(Clone, Default)]
struct Consumer(Arc<(Mutex<Vec<u8>>, AtomicBool, AtomicBool, Condvar)>);

impl io::Write for Consumer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (lines, stopped, gone, _) = &*self.0;
        while stopped.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(1));
        }
        if gone.load(Ordering::Acquire) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        lines.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Consumer {
    fn lines(&self) -> Vec<Value> {
        let bytes = self.0.0.lock().unwrap().clone();
        bytes
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    fn wait(&self, what: &str, is: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let lines = self.lines();
            if is(&lines) {
                return lines;
            }
            assert!(Instant::now() < until, "no {what}: {} lines, the last {:?}", lines.len(), lines.last());
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn stop(&self, stop: bool) {
        self.0.1.store(stop, Ordering::Release);
    }

    fn leave(&self) {
        self.0.2.store(true, Ordering::Release);
    }
}

type Notices = Arc<Mutex<Vec<String>>>;

fn listen(options: Options) -> (Consumer, Notices, thread::JoinHandle<Result<(), ListenError>>) {
    let (consumer, notices) = (Consumer::default(), Notices::default());
    let (mut output, noticed) = (consumer.clone(), Arc::clone(&notices));
    let sockets = options.sockets.clone();
    let thread = thread::spawn(move || {
        run(options, &mut output, move |notice| {
            noticed.lock().unwrap().push(match notice {
                Notice::Lost(_, loss) => format!("{} {:?}", loss.kind.as_str(), loss.count),
                Notice::Trouble(_, what) => what.clone(),
            });
        })
    });
    let until = Instant::now() + Duration::from_secs(10);
    while !sockets.iter().all(|path| path.exists()) && Instant::now() < until && !thread.is_finished() {
        thread::sleep(Duration::from_millis(2));
    }
    (consumer, notices, thread)
}

fn options(sockets: &[&Path]) -> Options {
    let sockets: Vec<PathBuf> = sockets.iter().map(|path| path.to_path_buf()).collect();
    Options { sockets, window: Duration::from_millis(200), ..Options::default() }
}

fn events(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line["Event"].is_object()).collect()
}

#[test]
fn a_consumer_that_stops_costs_the_server_nothing_and_what_it_lost_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("log");
    let mut server = sender::One::new(&socket);
    for n in 0..5 {
        server.send("Create", &format!("/early {n}"), "");
    }
    let (consumer, notices, _thread) = listen(options(&[&socket]));
    server.send("Create", "/first", "");
    let lines = consumer.wait("event", |lines| lines.len() == 2);
    assert_eq!(
        (&lines[0]["EventsLost"]["Kind"], &lines[0]["EventsLost"]["Count"]),
        (&"dropped".into(), &5.into())
    );
    assert_eq!(lines[1]["Event"]["Path"], "/first");

    consumer.stop(true);
    let start = Instant::now();
    // More than the queue and the socket take.
    let long = format!("/{}", "x".repeat(4000));
    for _ in 0..40_000 {
        server.send("Flush", &long, "");
    }
    assert!(server.dropped > 5, "nothing was dropped");
    assert!(start.elapsed() < Duration::from_secs(20), "the server waited");
    consumer.stop(false);
    // The counter comes with the next packet.
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let before = server.sent;
        server.send("Create", "/last", "");
        if server.sent > before {
            break;
        }
        assert!(Instant::now() < end);
        thread::sleep(Duration::from_millis(1));
    }
    let lines =
        consumer.wait("end", |lines| lines.last().is_some_and(|line| line["Event"]["Path"] == "/last"));
    let lost: u64 = lines.iter().filter_map(|line| line["EventsLost"]["Count"].as_u64()).sum();
    assert_eq!(lost, server.dropped);
    assert_eq!(events(&lines).len() as u64, server.sent);
    assert!(notices.lock().unwrap().iter().all(|notice| notice.starts_with(LossKind::Dropped.as_str())));
    consumer.leave();
}

#[test]
fn numbers_go_on_over_restarts_of_both_sides_and_each_event_comes_once() {
    let dir = tempfile::tempdir().unwrap();
    let (socket, state) = (dir.path().join("log"), dir.path().join("places"));
    let with_state = || Options { state: Some(state.clone()), ..options(&[&socket]) };
    let mut server = sender::Two::new(&socket, 7, 100);
    let (consumer, _, thread) = listen(with_state());
    for n in 0..50 {
        server.push("Create", &format!("/{n}"), n);
        if n % 10 == 9 {
            server.serve();
        }
    }
    let lines = consumer.wait("events", |lines| lines.len() >= 50);
    let numbers: Vec<u64> = lines.iter().map(|line| line["Msn"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (100..150).collect::<Vec<_>>());
    // The place is saved within a second of the last event; then the listener goes.
    let saved =
        |next: u64| std::fs::read_to_string(&state).is_ok_and(|text| text == format!("{{\"7\":{next}}}"));
    let until = Instant::now() + Duration::from_secs(10);
    while !saved(150) {
        assert!(Instant::now() < until, "{:?}", std::fs::read_to_string(&state));
        thread::sleep(Duration::from_millis(20));
    }
    consumer.leave();
    server.push("Unlink", "/while away", 51);
    server.serve();
    assert!(matches!(thread.join().unwrap(), Err(ListenError::Output(_))));

    let second = dir.path().join("second");
    server.path.clone_from(&second);
    // The server's queue is small: two of three are gone when somebody comes back.
    for n in 0..2 {
        server.push("Unlink", &format!("/later {n}"), 60 + n);
    }
    server.events.drain(..52);
    server.oldest += 52;
    let (consumer, notices, _thread) = listen(Options { state: Some(state.clone()), ..options(&[&second]) });
    server.serve();
    let lines = consumer.wait("events", |lines| lines.len() == 2);
    assert_eq!(
        (&lines[0]["EventsLost"]["Kind"], &lines[0]["EventsLost"]["Count"]),
        (&"overwritten".into(), &2.into())
    );
    assert_eq!((&lines[1]["Msn"], &lines[1]["Event"]["Path"]), (&152.into(), &"/later 1".into()));
    assert_eq!(*notices.lock().unwrap(), ["overwritten Some(2)"]);
    consumer.leave();
}

#[test]
fn several_servers_come_in_order_of_time_and_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let (consumer, _, _thread) = listen(options(&[&a, &b]));
    let servers: Vec<_> = [(&a, 1, 0), (&b, 2, 1)]
        .map(|(path, id, first)| {
            let mut server = sender::Two::new(path, id, 0);
            for n in 0..100 {
                server.push("Create", &format!("/{n}"), n * 2 + first);
            }
            thread::spawn(move || server.serve())
        })
        .into();
    for server in servers {
        server.join().unwrap();
    }
    let lines = consumer.wait("events", |lines| lines.len() == 200);
    let times: Vec<i64> = lines.iter().map(|line| line["Event"]["Timestamp"].as_i64().unwrap()).collect();
    assert_eq!(times, (0..200).collect::<Vec<_>>());
    assert_eq!(lines[0]["Server"], a.to_str().unwrap());
    assert_eq!(lines[1]["Server"], b.to_str().unwrap());
    consumer.leave();
}

#[test]
fn a_filter_takes_its_part_and_the_place_moves_on() {
    let dir = tempfile::tempdir().unwrap();
    let (socket, state) = (dir.path().join("log"), dir.path().join("places"));
    let filter = Filter { paths: vec![b"/a".to_vec()], types: vec!["Unlink".to_owned()] };
    let (consumer, _, _thread) =
        listen(Options { filter, begin: Begin::Oldest, state: Some(state.clone()), ..options(&[&socket]) });
    let mut server = sender::Two::new(&socket, 3, 0);
    for (kind, path) in [("Unlink", "/a/x"), ("Create", "/a/y"), ("Unlink", "/ab"), ("Unlink", "/b")] {
        server.push(kind, path, 1);
    }
    server.serve();
    let lines = consumer.wait("event", |lines| !lines.is_empty());
    assert_eq!((lines.len(), &lines[0]["Event"]["Path"]), (1, &"/a/x".into()));
    let until = Instant::now() + Duration::from_secs(10);
    while std::fs::read_to_string(&state).unwrap_or_default() != "{\"3\":4}" {
        assert!(Instant::now() < until);
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(consumer.lines().len(), 1);
    consumer.leave();
}

#[test]
fn a_path_that_is_taken_or_no_socket_is_left_alone_and_a_dead_one_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let (socket, file) = (dir.path().join("log"), dir.path().join("file"));
    std::fs::write(&file, "mine").unwrap();
    let refused = |path: &Path| run(options(&[path]), &mut io::sink(), |_| {}).unwrap_err();
    assert!(matches!(refused(&file), ListenError::NoSocket(_)));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    // A listener that was killed leaves its file.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let (consumer, _, _thread) = listen(options(&[&socket]));
    let until = Instant::now() + Duration::from_secs(10);
    let mut server = sender::One::new(&socket);
    while consumer.lines().is_empty() {
        server.send("Create", "/x", "");
        assert!(Instant::now() < until);
        thread::sleep(Duration::from_millis(10));
    }
    assert!(matches!(refused(&socket), ListenError::Taken(_)));
    consumer.leave();
}
