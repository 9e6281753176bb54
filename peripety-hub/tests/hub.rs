//! The program with a real nats-server.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "this is a test; clippy knows that of functions marked so only"
)]

#[path = "../../peripety-forward/tests/support/mod.rs"]
mod support;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use async_nats::{HeaderMap, jetstream::Context};
use peripety_forward::{
    cluster::Report,
    name::Sender,
    shared::Thing,
    stream::{CLUSTER, table},
    table::report,
};
use peripety_model::{EventId, Incident};
use serde_json::{Value, json};
use support::{Server, fleet, free_port, program};

const WWID: &str = "naa.600140<b>";

fn incident(host: &str, number: u128, revision: u32, state: &str) -> Incident {
    let at = jiff::Timestamp::now();
    serde_json::from_value(json!({
        "schema": 1, "incident_id": EventId::from_u128(number), "revision": revision, "state": state,
        "severity": "error", "title": "sda: <script>alert(1)</script>", "hostname": host, "boot_id": "",
        "opened": at, "updated": at, "episodes": 1,
        "cause": { "name": "sda", "part": "device", "kind": "medium", "certainty": "certain",
            "device": { "path": "/dev/sda", "wwid": WWID, "serial": format!("s{number}"), "model": "ACME 1" } },
        "impact": { "kinds": ["data_at_risk"] }, "events": [], "event_count": 1, "failures": 1,
    }))
    .unwrap()
}

/// The program; killed at the end.
struct Hub {
    dir: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Hub {
    fn new(dir: &Path, url: &str) -> Self {
        let port = free_port();
        for (name, secret) in [("read", "r-secret"), ("ack", "a-secret"), ("admin", "m-secret")] {
            fs::write(dir.join(name), secret).unwrap();
        }
        let token = |name: &str, role: &str| {
            format!(
                "[[web.token]]\nname = \"{name}\"\nrole = \"{role}\"\nsecret = \"{}\"\n",
                dir.join(name).display()
            )
        };
        let config = format!(
            "[servers]\nurls = [\"{url}\"]\n[web]\nlisten = \"127.0.0.1:{port}\"\n{}{}{}\
             [[notify]]\nname = \"out\"\nseverity = \"notice\"\n[notify.stdout]\n",
            token("read", "read"),
            token("ack", "acknowledge"),
            token("admin", "administer")
        );
        fs::write(dir.join("hub.conf"), config).unwrap();
        let mut this = Self { dir: dir.to_owned(), port, child: None };
        this.start();
        this
    }

    fn start(&mut self) {
        let open =
            |name: &str| fs::OpenOptions::new().create(true).append(true).open(self.dir.join(name)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_peripety-hub"));
        command.arg("--config").arg(self.dir.join("hub.conf")).arg("--state-dir").arg(self.dir.join("state"));
        let child = command.stdin(Stdio::null()).stdout(open("out")).stderr(open("log")).spawn().unwrap();
        self.child = Some(child);
        let until = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < until, "{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    fn told(&self) -> String {
        fs::read_to_string(self.dir.join("out")).unwrap_or_default()
    }

    fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        (text.split(' ').nth(1).unwrap().parse().unwrap(), text)
    }

    fn json(&self, path: &str) -> Value {
        let (status, text) = self.ask("GET", path, "m-secret", "");
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    async fn wait(&self, path: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + Duration::from_secs(40);
        loop {
            let value = self.json(path);
            if is_it(&value) {
                return value;
            }
            assert!(Instant::now() < until, "{path}: {value}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn send(context: &Context, subject: String, id: &str, payload: Vec<u8>, cluster: Option<EventId>) {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", id);
    if let Some(cluster) = cluster {
        headers.insert("Peripety-Cluster", cluster.to_string().as_str());
    }
    context.publish_with_headers(subject, headers, payload.into()).await.unwrap().await.unwrap();
}

async fn send_incident(context: &Context, incident: &Incident, cluster: Option<EventId>) {
    let sender = Sender::new("north", &incident.hostname);
    let id = format!("{}.{}", incident.incident_id, incident.revision);
    let json = serde_json::to_vec(incident).unwrap();
    send(context, sender.of_incident(incident), &id, json, cluster).await;
}

#[tokio::test]
async fn the_hub_has_each_incident_once_whoever_is_killed_and_tells_once_of_fifty_hosts() {
    let Some(program) = program() else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&program, dir.path(), "");
    let context = fleet(&[server.url()], 1).await;
    let mut hub = Hub::new(dir.path(), &server.url());
    hub.wait("/api/v1/status", |status| status["trouble"].is_null()).await;

    // Fifty hosts lose one LUN; each has its own incident, which names that of the fleet.
    let lun = Thing { kind: "lun".to_owned(), name: WWID.to_owned() };
    let store = table(&context, CLUSTER).await.unwrap();
    for host in 0..50_u32 {
        let own = incident(&format!("h{host}"), 1000 + u128::from(host), 0, "open");
        let told = report(&store, "north", &lun, &Report::of(&own.hostname, &own)).await.unwrap();
        send_incident(&context, &own, told.cluster).await;
        if host == 25 {
            hub.kill();
            hub.start();
        }
    }
    // And one host has one for itself.
    send_incident(&context, &incident("alone", 7, 0, "open"), None).await;
    let all = hub.wait("/api/v1/incidents", |all| all["open"] == 51).await;
    assert_eq!(all["incidents"].as_array().unwrap().len(), 51);
    let clusters = hub.wait("/api/v1/clusters", |all| all["clusters"][0]["hosts"]["h49"].is_object()).await;
    assert_eq!(clusters["clusters"].as_array().unwrap().len(), 1);
    let until = Instant::now() + Duration::from_secs(20);
    let count = |word: &str| hub.told().lines().filter(|line| line.contains(word)).count();
    while count("alert(1)") == 0 || count("LUN") == 0 {
        assert!(Instant::now() < until, "{}", hub.told());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let told = hub.told();
    assert!(!told.contains(" h3:") && told.matches("LUN ").count() == 1, "once for the fleet: {told}");

    // It ends when it ended on the last.
    for host in 0..50_u32 {
        let own = incident(&format!("h{host}"), 1000 + u128::from(host), 1, "resolved");
        report(&store, "north", &lun, &Report::of(&own.hostname, &own)).await.unwrap();
        send_incident(&context, &own, None).await;
    }
    hub.wait("/api/v1/incidents", |all| all["open"] == 1).await;
    hub.wait("/api/v1/clusters", |all| all["clusters"] == json!([])).await;
    let device = hub.json("/api/v1/devices?wwid=naa.600140%3Cb%3E");
    assert_eq!(device["incidents"].as_array().unwrap().len(), 51);
    let groups = hub.json("/api/v1/groups");
    assert_eq!(groups["groups"][0]["devices"], 51, "{groups}");
    assert_eq!(hub.json("/api/v1/incidents?state=all&host=h7")["incidents"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_hostile_is_refused_and_counted_and_nobody_does_what_he_may_not() {
    let Some(program) = program() else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&program, dir.path(), "");
    let context = fleet(&[server.url()], 1).await;
    let hub = Hub::new(dir.path(), &server.url());
    let own = incident("db1", 5, 0, "open");
    let (sender, id) = (Sender::new("north", "db1"), format!("{}.0", own.incident_id));
    let (subject, json) = (sender.of_incident(&own), serde_json::to_vec(&own).unwrap());
    let of_another = serde_json::to_vec(&incident("db2", 5, 0, "open")).unwrap();
    send(&context, subject.clone(), "1", of_another, None).await;
    send(&context, subject.clone(), "2", b"{\"a\":[[[[".to_vec(), None).await;
    send(&context, subject.clone(), "3", vec![b' '; 600 << 10], None).await;
    send(&context, subject.replace("error", "info"), "4", json.clone(), None).await;
    send(&context, subject.clone(), "5", json.clone(), None).await;
    send(&context, subject, &id, json, None).await;
    let status = hub.wait("/api/v1/status", |status| status["taken"] == 6).await;
    let expected = json!({ "size": 1, "subject": 1, "schema": 1, "sender": 1, "id": 1 });
    assert_eq!((&status["refused"], &status["open"]), (&expected, &json!(1)), "{status}");

    // Text of a host is text.
    let path = format!("/incident/{}", own.incident_id);
    for path in ["/", &path, "/device?wwid=naa.600140%3Cb%3E", "/hosts"] {
        let (status, page) = hub.ask("GET", path, "r-secret", "");
        assert_eq!(status, 200, "{page}");
        // The name of SVG is no place.
        let page = page.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !page.contains("<script") && !page.contains("<b>") && !page.contains("http://"),
            "{path}: {page}"
        );
        assert!(page.contains("default-src 'none'") && page.contains("nosniff"), "{path}: {page}");
    }
    assert!(hub.ask("GET", &path, "r-secret", "").1.contains("&lt;script&gt;alert(1)"));

    // Roles.
    let ack = format!("/api/v1/incidents/{}/acknowledge", own.incident_id);
    let reason = r#"{"reason":"it is on its way"}"#;
    for (method, path, token, body, status) in [
        ("GET", "/api/v1/incidents", "wrong", "", 401),
        ("GET", "/api/v1/audit", "a-secret", "", 403),
        ("POST", &ack, "r-secret", reason, 403),
        ("POST", &ack, "a-secret", "{}", 400),
        ("POST", &ack, "a-secret", reason, 200),
        ("GET", &ack, "a-secret", "", 405),
        ("GET", "/nothing", "a-secret", "", 404),
        ("GET", "/api/v1/incidents/x", "r-secret", "", 400),
        ("POST", "/api/v1/hosts/north.db1/forget", "a-secret", "{}", 403),
    ] {
        let (is, text) = hub.ask(method, path, token, body);
        assert_eq!(is, status, "{method} {path}: {text}");
    }
    let audit = hub.json("/api/v1/audit");
    assert_eq!(audit["acts"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&audit["acts"][0]["by"], &audit["acts"][0]["reason"]),
        (&json!("ack"), &json!("it is on its way"))
    );
    // A page of another site has the rights of who looks at it.
    let mut stream = TcpStream::connect(("127.0.0.1", hub.port)).unwrap();
    write!(stream, "POST {ack} HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\nAuthorization: Bearer a-secret\r\nContent-Length: 0\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 403"), "{text}");
}

#[test]
fn for_a_try_one_command_starts_it_with_a_server_of_its_own() {
    let Some(program) = program() else { return };
    let dir = tempfile::tempdir().unwrap();
    let log = fs::File::create(dir.path().join("log")).unwrap();
    let mut hub = Command::new(env!("CARGO_BIN_EXE_peripety-hub"));
    hub.args(["--dev", "--nats-server"]).arg(program).arg("--state-dir").arg(dir.path().join("state"));
    let mut child = hub.stdin(Stdio::null()).stderr(log).spawn().unwrap();
    let said = || fs::read_to_string(dir.path().join("log")).unwrap_or_default();
    let until = Instant::now() + Duration::from_secs(30);
    while !said().contains("connected") {
        assert!(Instant::now() < until && child.try_wait().unwrap().is_none(), "{}", said());
        std::thread::sleep(Duration::from_millis(50));
    }
    let url = said().split("urls = [\"nats://").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(TcpStream::connect(&url).is_ok(), "{url}");
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(TcpStream::connect(&url).is_err(), "its server is left");
}
