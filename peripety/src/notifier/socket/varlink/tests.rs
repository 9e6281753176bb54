use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream as Blocking,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use peripety_block::{BlkCache, fixture};
use serde_json::{Value, json};

use super::{
    super::{Later, Listening, Protocol, Request, Server, slots},
    *,
};
use crate::{
    event::{
        Event, Incident,
        incident::{Member, Relation},
    },
    notifier::{
        carrier,
        fixture::{incident as empty_incident, sample},
        memory::{Limits, Numbers},
    },
    roots::Roots,
};

struct Machine(BlkCache);

/// An incident with one event.
fn incident_sample() -> Incident {
    let event = sample();
    let member = Member {
        event_id: event.event_id,
        event_type: event.event_type,
        device: "sdf".into(),
        relation: Relation::Cause,
        because: None,
        rule: String::new(),
        severity: event.severity,
        count: 1,
        first: event.first_timestamp,
        last: event.last_timestamp,
        msg: event.msg,
    };
    Incident { events: vec![member], ..empty_incident() }
}

impl Answers for Machine {
    fn answer(&self, request: &str) -> Option<Value> {
        (request == "stats").then(|| json!({ "seen": 7 }))
    }

    fn answer_later(&self, request: &Request, peer: Peer) -> Option<Later> {
        let (reply, later) = tokio::sync::oneshot::channel();
        let answer = match request.request.as_str() {
            "status" => Ok(json!({ "incidents": [incident_sample()] })),
            "ack" if request.reason.as_deref() == Some("") => Err("say why".to_owned()),
            "ack" => Ok(json!({ "user": peer.uid, "target": request.target })),
            _ => return None,
        };
        let _nobody_waits = reply.send(answer);
        Some(later)
    }

    fn devices(&self) -> Option<BlkCache> {
        Some(self.0.clone())
    }
}

fn event(id: u128, revision: u32) -> Arc<Event> {
    Arc::new(Event { event_id: uuid::Uuid::from_u128(id), revision, ..sample() })
}

/// Runs a client against a server.
fn served(limits: Limits, client: impl FnOnce(&Path, &Memory) + Send + 'static) {
    let root = tempfile::tempdir().unwrap();
    let roots = Roots::under(root.path());
    let machine = fixture::multipath();
    let memory = Memory::numbered(limits, Numbers { boot_id: "b007".into(), first: 100 });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::bind(&roots).unwrap();
        server.listen_on().send(Listening::bind(&roots, Protocol::Varlink).unwrap()).unwrap();
        let (path, store) = (roots.varlink(), memory.clone());
        let client = tokio::task::spawn_blocking(move || client(&path, &store));
        tokio::select! {
            () = server.run(memory, Arc::new(Machine(machine.scan()))) => unreachable!("it serves until it is dropped"),
            done = client => done.unwrap(),
        }
    });
}

fn connect(path: &Path) -> Blocking {
    let stream = Blocking::connect(path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn send(stream: &mut Blocking, call: &Value) {
    stream.write_all(&message(call)).unwrap();
}

fn receive(stream: &mut Blocking) -> Value {
    let mut bytes = Vec::new();
    loop {
        let mut byte = [0];
        assert_eq!(
            stream.read(&mut byte).unwrap(),
            1,
            "it ended after {:?}",
            String::from_utf8_lossy(&bytes)
        );
        if byte == [0] {
            return serde_json::from_slice(&bytes).unwrap();
        }
        bytes.push(byte[0]);
    }
}

fn call(stream: &mut Blocking, method: &str, parameters: Value) -> Value {
    send(stream, &json!({ "method": method, "parameters": parameters }));
    receive(stream)
}

fn failed(reply: &Value) -> (&str, &Value) {
    (reply["error"].as_str().unwrap(), &reply["parameters"])
}

#[test]
fn the_service_describes_itself_and_names_what_is_wrong_with_a_call() {
    served(Limits::default(), |path, _| {
        let mut client = connect(path);
        let info = call(&mut client, "org.varlink.service.GetInfo", json!({}));
        let names = info["parameters"]["interfaces"].as_array().unwrap().clone();
        assert_eq!(names.len(), 5);
        for name in names {
            let description = call(
                &mut client,
                "org.varlink.service.GetInterfaceDescription",
                json!({ "interface": name }),
            );
            let text = description["parameters"]["description"].as_str().unwrap();
            assert!(text.contains(&format!("interface {}\n", name.as_str().unwrap())), "{text}");
        }
        for (method, parameters, error, of) in [
            (
                "org.varlink.service.GetInterfaceDescription",
                json!({ "interface": "a.b" }),
                "org.varlink.service.InterfaceNotFound",
                json!({ "interface": "a.b" }),
            ),
            ("a.b.C", json!({}), "org.varlink.service.InterfaceNotFound", json!({ "interface": "a.b" })),
            (
                "io.peripety.Block.Burn",
                json!({}),
                "org.varlink.service.MethodNotFound",
                json!({ "method": "io.peripety.Block.Burn" }),
            ),
            ("nonsense", json!({}), "org.varlink.service.MethodNotFound", json!({ "method": "nonsense" })),
            (
                "io.peripety.Block.Resolve",
                json!({}),
                "org.varlink.service.InvalidParameter",
                json!({ "parameter": "name" }),
            ),
            (
                "io.peripety.Block.Resolve",
                json!({ "name": 5 }),
                "org.varlink.service.InvalidParameter",
                json!({ "parameter": "name" }),
            ),
            (
                "io.peripety.Block.List",
                json!({ "all": true }),
                "org.varlink.service.InvalidParameter",
                json!({ "parameter": "all" }),
            ),
            ("io.peripety.Events.Query", json!({}), "org.varlink.service.ExpectedMore", json!({})),
            (
                "io.peripety.Events.Subscribe",
                json!({ "filter": { "severity": "bad" } }),
                "org.varlink.service.InvalidParameter",
                json!({ "parameter": "filter" }),
            ),
            (
                "io.peripety.Events.Subscribe",
                json!({ "filter": { "devices": vec!["a"; 65] } }),
                "org.varlink.service.InvalidParameter",
                json!({ "parameter": "filter" }),
            ),
            (
                "io.peripety.Events.Get",
                json!({ "event_id": "x" }),
                "io.peripety.Events.NoSuchEvent",
                json!({ "event_id": "x" }),
            ),
            (
                "io.peripety.Incidents.Explain",
                json!({ "target": "nothing" }),
                "io.peripety.Incidents.NoSuchIncident",
                json!({ "target": "nothing" }),
            ),
            (
                "io.peripety.Incidents.Acknowledge",
                json!({ "target": "x", "reason": "" }),
                "io.peripety.Incidents.Refused",
                json!({ "why": "say why" }),
            ),
        ] {
            let reply = call(&mut client, method, parameters);
            assert_eq!(failed(&reply), (error, &of), "{method}");
        }
        // Not answered, and the connection goes on.
        send(&mut client, &json!({ "method": "io.peripety.Block.Burn", "oneway": true }));
        assert_eq!(
            call(&mut client, "io.peripety.Daemon.Stats", json!({}))["parameters"]["stats"],
            json!({ "seen": 7 })
        );
    });
}

#[test]
fn devices_and_incidents_are_found_by_their_names() {
    served(Limits::default(), |path, memory| {
        let mut client = connect(path);
        let device = call(&mut client, "io.peripety.Block.Resolve", json!({ "name": "mpatha" }));
        assert_eq!(
            device["parameters"]["device"]["wwid"],
            json!(format!("mpath-{}", fixture::LUN.replace("naa.", "3")))
        );
        let reply = call(&mut client, "io.peripety.Block.Resolve", json!({ "name": "sdzz" }));
        let (error, of) = failed(&reply);
        assert_eq!((error, &of["name"]), ("io.peripety.Block.UnknownDevice", &json!("sdzz")));
        let all = call(&mut client, "io.peripety.Block.List", json!({}));
        assert!(all["parameters"]["devices"].as_array().unwrap().len() > 4);
        let incident = incident_sample();
        let member = incident.events[0].event_id;
        memory.store(Arc::new(Event { event_id: member, ..sample() })).unwrap();
        let id = incident.incident_id.to_string();
        for target in [&id[..8], &member.to_string()] {
            let found = call(&mut client, "io.peripety.Incidents.Explain", json!({ "target": target }));
            assert_eq!(found["parameters"]["incident"]["incident_id"], json!(id), "{target}");
            assert_eq!(found["parameters"]["events"][0]["event_id"], json!(member.to_string()));
        }
        let all =
            call(&mut client, "io.peripety.Incidents.List", json!({ "filter": { "hosts": ["no-such"] } }));
        assert_eq!(all["parameters"]["incidents"], json!([]));
        let known =
            call(&mut client, "io.peripety.Incidents.Acknowledge", json!({ "target": id, "reason": "seen" }));
        assert_eq!(known["parameters"]["answer"]["user"], json!(rustix::process::geteuid().as_raw()));
    });
}

#[test]
fn a_subscription_gives_what_is_held_and_what_comes_and_goes_on_where_it_ended() {
    served(Limits { events: 4, ..Limits::default() }, |path, memory| {
        for id in 1..=5 {
            memory.store(event(id, 0)).unwrap();
        }
        let subscribe = |after: Option<u64>, kind: &str| {
            let mut client = connect(path);
            let after = after.map(|sequence| json!({ "boot_id": "b007", "sequence": sequence }));
            let parameters = json!({ "after": after, "filter": { "sub_systems": ["*"], "hosts": null } });
            send(
                &mut client,
                &json!({ "method": format!("io.peripety.{kind}.Subscribe"), "parameters": parameters, "more": true }),
            );
            client
        };
        let mut client = subscribe(Some(99), "Events");
        let first = receive(&mut client);
        let expected =
            json!({ "position": { "boot_id": "b007", "sequence": 100 }, "complete": false, "missed": 1 });
        assert_eq!((&first["parameters"], &first["continues"]), (&expected, &json!(true)));
        let sequence = |reply: &Value| reply["parameters"]["sequence"].as_u64();
        let stored: Vec<_> = (0..4).map(|_| sequence(&receive(&mut client)).unwrap()).collect();
        assert_eq!(stored, [101, 102, 103, 104]);
        assert_eq!(receive(&mut client)["parameters"]["live"], json!(true));
        // An incident is no event, and the other way round.
        memory.store(Arc::new(carrier::carry(&incident_sample()).unwrap())).unwrap();
        memory.store(event(6, 0)).unwrap();
        let last = receive(&mut client);
        assert_eq!((sequence(&last), &last["parameters"]["missed"]), (Some(106), &json!(1)));
        assert_eq!(last["parameters"]["event"]["event_id"], json!(uuid::Uuid::from_u128(6).to_string()));
        drop(client);
        memory.store(event(6, 1)).unwrap();
        let mut client = subscribe(Some(106), "Events");
        let again = [receive(&mut client), receive(&mut client), receive(&mut client)];
        assert_eq!(
            (&again[0]["parameters"]["complete"], &again[0]["parameters"]["missed"]),
            (&json!(true), &json!(0))
        );
        assert_eq!((sequence(&again[1]), &again[2]["parameters"]["live"]), (Some(107), &json!(true)));
        let mut client = subscribe(None, "Incidents");
        receive(&mut client);
        assert!(receive(&mut client)["parameters"]["incident"]["incident_id"].is_string());
        let mut client = connect(path);
        send(&mut client, &json!({ "method": "io.peripety.Events.Query", "more": true }));
        let mut ids = Vec::new();
        loop {
            let reply = receive(&mut client);
            ids.push(sequence(&reply));
            if reply["continues"] != json!(true) {
                break;
            }
        }
        assert_eq!(ids, [Some(102), Some(103), Some(104), Some(107), None]);
    });
}

/// Sends for as long as the server takes it, and gives what it said last.
fn flood(path: &Path, bytes: usize) -> (String, usize) {
    let mut client = connect(path);
    client.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    let piece = vec![b'x'; 64 << 10];
    let mut sent = 0;
    while sent < bytes {
        match client.write(&piece) {
            Ok(length) => sent += length,
            Err(_) => break,
        }
    }
    let mut said = Vec::new();
    let _reset = client.read_to_end(&mut said);
    (String::from_utf8_lossy(&said).into_owned(), sent)
}

#[test]
fn bad_clients_read_which_limit_it_was_and_the_others_see_nothing_of_it() {
    served(Limits { backlog: 4, ..Limits::default() }, |path, memory| {
        let mut good = connect(path);
        send(&mut good, &json!({ "method": "io.peripety.Events.Subscribe", "more": true }));
        receive(&mut good);
        assert_eq!(receive(&mut good)["parameters"]["live"], json!(true));
        let (said, sent) = flood(path, 64 << 20);
        assert!(said.contains("\"io.peripety.Daemon.CallTooLong\"") && said.contains("65536"), "{said}");
        assert!(sent < 2 << 20, "{sent} bytes of garbage were read");
        let mut client = connect(path);
        client.write_all(b"{\"method\":\0").unwrap();
        assert_eq!(failed(&receive(&mut client)).0, "io.peripety.Daemon.NotACall");
        // Half a call, and one that does not read: they stay where they are.
        let mut half = connect(path);
        half.write_all(b"{\"method\":\"io.per").unwrap();
        let mut slow = connect(path);
        send(&mut slow, &json!({ "method": "io.peripety.Events.Subscribe", "more": true }));
        std::thread::sleep(Duration::from_millis(50));
        let began = Instant::now();
        for revision in 0..200 {
            let big = Event { raw_msgs: vec!["x".repeat(8000)], ..(*event(1, revision)).clone() };
            memory.store(Arc::new(big)).unwrap();
            let got = receive(&mut good);
            assert_eq!(got["parameters"]["event"]["revision"], json!(revision));
            assert_eq!(got["parameters"]["dropped"], json!(0));
        }
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        // Each revision is either given or counted.
        memory.store(event(2, 0)).unwrap();
        let mut given = 0;
        loop {
            let reply = receive(&mut slow);
            let parameters = &reply["parameters"];
            given += u64::from(parameters["event"].is_object());
            if parameters["event"]["event_id"] == json!(uuid::Uuid::from_u128(2).to_string()) {
                assert_eq!(given + parameters["dropped"].as_u64().unwrap(), 201, "given {given}");
                assert!(given < 201, "it was not slow");
                break;
            }
        }
    });
}

#[test]
fn ten_thousand_connections_leave_room_for_the_next_client() {
    served(Limits::default(), |path, _| {
        let most =
            if rustix::process::geteuid().is_root() { slots::ROOT_CLIENTS } else { slots::OTHER_CLIENTS };
        // Those that follow keep their places: for the next one there is none, and it gets an error that says so.
        let following: Vec<Blocking> = (0..most / slots::SHARE)
            .map(|_| {
                let mut client = connect(path);
                send(&mut client, &json!({ "method": "io.peripety.Events.Subscribe", "more": true }));
                receive(&mut client);
                client
            })
            .collect();
        let reply = call(&mut connect(path), "org.varlink.service.GetInfo", json!({}));
        assert_eq!(failed(&reply), ("io.peripety.Daemon.TooManyClients", &json!({ "most": most })));
        drop(following);
        std::thread::sleep(Duration::from_millis(300));
        let mut kept = Vec::new();
        for _ in 0..10_000 {
            if kept.len() >= 200 {
                kept.clear();
            }
            kept.push(connect(path));
        }
        std::thread::sleep(Duration::from_millis(300));
        let info = call(&mut connect(path), "org.varlink.service.GetInfo", json!({}));
        assert_eq!(info["parameters"]["product"], json!("peripetyd"));
    });
}
