//! Against a real nats-server.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "this is a test; clippy knows that of functions marked so only"
)]

mod support;

use std::time::Duration;

use jiff::Timestamp;
use peripety_forward::{
    cluster::{Cluster, Member, Report},
    name::Sender,
    outbox::{Message, Outbox, Outcome},
    server::{Reports, Servers, inbox},
    shared::Thing,
    stream::{self, CLUSTER},
    table::{self, report},
};
use peripety_model::{EventId, Severity, incident::State};
use support::{Server, connect, fleet, program, stored};
use tokio::time::timeout;

fn message(number: usize) -> Message<usize> {
    Message {
        subject: format!("peripety.north.h1.error.block.T{}", number % 3),
        id: format!("id{number}.0"),
        headers: Vec::new(),
        payload: format!("{{\"n\":{number}}}").into_bytes(),
        mark: number,
    }
}

/// Forwards these numbers; the marks in the order in which they were stored.
async fn forward(outbox: &mut Outbox<usize>, numbers: std::ops::Range<usize>) -> Vec<usize> {
    let (mut numbers, mut marks) = (numbers, Vec::new());
    loop {
        while outbox.has_room()
            && let Some(number) = numbers.next()
        {
            outbox.push(message(number));
        }
        if outbox.is_empty() {
            return marks;
        }
        match timeout(Duration::from_secs(60), outbox.next()).await.unwrap() {
            Outcome::Stored { mark, .. } => marks.push(mark),
            Outcome::TooLarge { why, .. } => panic!("{why}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_has_each_message_once_and_in_order() {
    let Some(program) = program() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(&program, dir.path(), "");
    let context = fleet(&[server.url()], 1).await;
    let mut outbox = Outbox::new(context.clone());
    let marks = tokio::task::LocalSet::new();
    let forwarded = marks.run_until(async {
        let killing = tokio::task::spawn_local(async move {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_millis(300)).await;
                server.kill();
                tokio::time::sleep(Duration::from_millis(300)).await;
                server.again();
            }
            server
        });
        let marks = forward(&mut outbox, 0..6000).await;
        (marks, killing.await.unwrap())
    });
    let (marks, _server) = forwarded.await;
    assert_eq!(marks, (0..6000).collect::<Vec<_>>(), "acknowledged in order");
    let expected: Vec<String> = (0..6000).map(|n| message(n).id).collect();
    let mut found = stored(&context).await;
    assert_eq!(found.len(), 6000);
    found.sort_by_key(|id| id.trim_start_matches("id").trim_end_matches(".0").parse::<usize>().unwrap());
    assert_eq!(found, expected);
}

#[tokio::test]
async fn who_is_killed_sends_again_and_the_stream_has_it_once() {
    let Some(program) = program() else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&program, dir.path(), "");
    let context = fleet(&[server.url()], 1).await;
    forward(&mut Outbox::new(context.clone()), 0..200).await;
    // From a place a little before.
    let mut outbox = Outbox::new(context.clone());
    outbox.push(message(199));
    assert_eq!(outbox.next().await, Outcome::Stored { mark: 199, again: true });
    forward(&mut outbox, 150..300).await;
    let expected: Vec<String> = (0..300).map(|n| message(n).id).collect();
    assert_eq!(stored(&context).await, expected);
    // What no server takes is said, and stops nothing.
    let mut large = message(1000);
    large.payload = vec![b'x'; 2 << 20];
    outbox.push(large);
    outbox.push(message(1001));
    assert!(matches!(outbox.next().await, Outcome::TooLarge { mark: 1000, .. }));
    assert_eq!(outbox.next().await, Outcome::Stored { mark: 1001, again: false });
}

/// nats-server 2.10 without a quorum acknowledges the second try of an id, and has stored nothing.
#[tokio::test]
async fn an_acknowledgement_without_a_quorum_is_none() {
    let Some(program) = program() else { return };
    let dir = tempfile::tempdir().unwrap();
    let routes: Vec<u16> = (0..3).map(|_| support::free_port()).collect();
    let all: Vec<String> = routes.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
    let mut servers: Vec<Server> = routes
        .iter()
        .map(|port| {
            let more = format!(
                "server_name: n{port}\ncluster {{ name: c, listen: \"127.0.0.1:{port}\", routes: [{}] }}",
                all.join(",")
            );
            Server::start(&program, dir.path(), &more)
        })
        .collect();
    let urls: Vec<String> = servers.iter().map(Server::url).collect();
    let context = fleet(&urls, 3).await;
    let mut outbox = Outbox::new(context.clone());
    forward(&mut outbox, 0..3).await;
    let info = context.get_stream("peripety").await.unwrap().get_info().await.unwrap();
    let leader = info.cluster.unwrap().leader.unwrap();
    let leader = routes.iter().position(|port| format!("n{port}") == leader).unwrap();
    let alone = stream_of(&urls[leader]).await;
    for (at, server) in servers.iter_mut().enumerate() {
        if at != leader {
            server.kill();
        }
    }
    let mut alone = Outbox::new(alone);
    alone.push(message(3));
    let acknowledged = timeout(Duration::from_secs(14), alone.next()).await;
    assert!(acknowledged.is_err(), "nothing is stored without a quorum: {acknowledged:?}");
    assert!(alone.trouble().is_some());
    servers[leader].kill();
    for (at, server) in servers.iter_mut().enumerate() {
        if at != leader {
            server.again();
        }
    }
    // The others elect a leader; what was not acknowledged goes out again.
    let mut outbox = Outbox::new(context.clone());
    outbox.push(message(3));
    let ended = timeout(Duration::from_secs(60), outbox.next()).await.unwrap();
    assert!(matches!(ended, Outcome::Stored { mark: 3, .. }));
    let found = stored(&context).await;
    assert_eq!(found, (0..4).map(|n| message(n).id).collect::<Vec<_>>());
}

async fn stream_of(url: &str) -> async_nats::jetstream::Context {
    async_nats::jetstream::new(connect(&[url.to_owned()]).await)
}

fn of(host: usize, open: bool) -> Report {
    let at = Timestamp::from_second(1_790_000_000 + host as i64).unwrap();
    let member = Member {
        revision: u32::from(!open),
        open,
        severity: Severity::Error,
        since: at,
        title: "sda".to_owned(),
    };
    Report { host: format!("h{host}"), incident_id: EventId::from_u128(host as u128), member, at }
}

#[tokio::test]
async fn fifty_hosts_at_once_make_one_incident_of_one_lun() {
    let Some(program) = program() else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&program, dir.path(), "");
    let context = fleet(&[server.url()], 1).await;
    let lun = Thing { kind: "lun".to_owned(), name: "naa.600140".to_owned() };
    let mut ids = std::collections::BTreeSet::new();
    for open in [true, false] {
        let mut tasks = Vec::new();
        for host in 0..50 {
            let (context, lun) = (stream_of(&server.url()).await, lun.clone());
            tasks.push(tokio::spawn(async move {
                let store = stream::table(&context, CLUSTER).await.unwrap();
                report(&store, "north", &lun, &of(host, open)).await.unwrap()
            }));
        }
        let mut wrote = 0;
        for task in tasks {
            let stored = task.await.unwrap();
            ids.insert(stored.cluster.unwrap());
            wrote += u32::from(stored.wrote);
        }
        assert_eq!(wrote, 50, "each of them changed the entry once");
        let store = stream::table(&context, CLUSTER).await.unwrap();
        let entry = store.get(table::key("north", &lun)).await.unwrap().unwrap();
        let entry = Cluster::read(&entry).unwrap();
        assert_eq!((entry.hosts.len(), entry.open_hosts()), (50, if open { 50 } else { 0 }));
        assert_eq!(entry.state, if open { State::Open } else { State::Resolved });
    }
    assert_eq!(ids.len(), 1, "one incident of the fleet");
    // What anybody wrote there that is no entry does not stop the next report.
    let store = stream::table(&context, CLUSTER).await.unwrap();
    store.put(table::key("north", &lun), "no entry".into()).await.unwrap();
    assert!(report(&store, "north", &lun, &of(1, true)).await.unwrap().wrote);
    // Without the table it is an error that says so.
    context.delete_key_value(CLUSTER).await.unwrap();
    let error = report(&store, "north", &lun, &of(2, true)).await.unwrap_err();
    assert!(error.to_string().contains("table of the fleet"), "{error}");
}

#[tokio::test]
async fn a_host_publishes_as_itself_reads_nobody_and_sees_what_it_may_not() {
    let Some(program) = program() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (admin, host) = (nkeys::KeyPair::new_user(), nkeys::KeyPair::new_user());
    // The example as it is shipped, with keys in it.
    let example = include_str!("../../dist/nats/peripety.conf")
        .replace("U_ADMIN", &admin.public_key())
        .replace("U_DB1", &host.public_key())
        .replace("U_HUB", &nkeys::KeyPair::new_user().public_key());
    let from = example.find("authorization").unwrap();
    let server = Server::start(&program, dir.path(), &example[from..]);
    let seed = |name: &str, pair: &nkeys::KeyPair| {
        let path = dir.path().join(name);
        std::fs::write(&path, pair.seed().unwrap()).unwrap();
        path
    };
    let servers = |seed: &std::path::Path| -> Servers {
        serde_json::from_value(serde_json::json!({ "urls": [server.url()], "nkey": seed })).unwrap()
    };
    let reports = Reports::default();
    let stranger = servers(&seed("stranger", &nkeys::KeyPair::new_user()));
    let refused = stranger.connect("x", "_INBOX_x", &reports).await.unwrap_err().to_string();
    assert!(refused.contains("refuse this client") && refused.contains("doc/fleet.md"), "{refused}");
    let admin = servers(&seed("admin", &admin)).connect("admin", "_INBOX", &reports).await.unwrap();
    let admin = async_nats::jetstream::new(admin);
    stream::create(&admin, stream::Limits::default()).await.unwrap();

    let sender = Sender::new("berlin", "db1");
    let client = servers(&seed("host", &host)).connect("db1", &inbox(&sender), &reports).await.unwrap();
    let own = async_nats::jetstream::new(client.clone());
    let mut outbox = Outbox::new(own.clone());
    outbox.push(Message { subject: "peripety.berlin.db1.error.block.BLK_IO_ERROR".to_owned(), ..message(0) });
    assert!(matches!(outbox.next().await, Outcome::Stored { mark: 0, .. }));
    let hosts = stream::table(&own, stream::HOSTS).await.unwrap();
    hosts.put(sender.key(), "{}".into()).await.unwrap();
    let lun = Thing { kind: "lun".to_owned(), name: "naa.1".to_owned() };
    let cluster = stream::table(&own, CLUSTER).await.unwrap();
    assert!(report(&cluster, "berlin", &lun, &of(1, true)).await.unwrap().wrote);
    assert!(report(&cluster, "berlin", &lun, &of(1, false)).await.unwrap().wrote);

    // As another host, another site; and what others wrote.
    outbox.push(Message { subject: "peripety.berlin.db2.error.block.BLK_IO_ERROR".to_owned(), ..message(1) });
    assert!(timeout(Duration::from_secs(7), outbox.next()).await.is_err());
    let said = reports.take().unwrap();
    assert!(said.contains("peripety.berlin.db2") && said.contains("doc/fleet.md"), "{said}");
    assert!(timeout(Duration::from_secs(2), hosts.put("berlin.db2", "{}".into())).await.is_err());
    assert!(report(&cluster, "rome", &lun, &of(1, true)).await.is_err());
    let read = own.get_stream("peripety").await;
    assert!(read.is_err(), "it may not look at the stream");
    let mut inbox_of_another = client.subscribe("_INBOX_berlin_db2.>").await.unwrap();
    let mut everything = client.subscribe("peripety.>").await.unwrap();
    admin.publish("peripety.berlin.db3.info.block.X", "secret".into()).await.unwrap().await.unwrap();
    use futures_util::StreamExt as _;
    for subscription in [&mut inbox_of_another, &mut everything] {
        let got = timeout(Duration::from_millis(500), subscription.next()).await;
        assert!(!matches!(got, Ok(Some(_))), "{got:?}");
    }
    assert_eq!(stored_count(&admin).await, 2);
}

async fn stored_count(context: &async_nats::jetstream::Context) -> u64 {
    context.get_stream("peripety").await.unwrap().get_info().await.unwrap().state.messages
}
