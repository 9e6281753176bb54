//! Real servers: nats-server as `cargo xtask setup --test` unpacked it, or as it is installed.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use async_nats::{Client, ConnectOptions, jetstream};

/// The server, if there is one that is new enough.
pub fn program() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?.ancestors().nth(3)?.join("nats/usr/sbin/nats-server");
    let installed = ["/usr/sbin/nats-server", "/usr/bin/nats-server"].map(PathBuf::from);
    let found = std::iter::once(own).chain(installed).find(|path| path.exists());
    if found.is_none() {
        eprintln!("skipped: there is no nats-server: cargo xtask setup --test");
    }
    found
}

/// A port that nobody has now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// A server, which ends with its scope.
pub struct Server {
    pub port: u16,
    config: PathBuf,
    program: PathBuf,
    child: Option<Child>,
}

impl Server {
    /// With what stands in its configuration beside the port and the directory.
    pub fn start(program: &Path, dir: &Path, more: &str) -> Self {
        let port = free_port();
        let config = dir.join(format!("{port}.conf"));
        let store = dir.join(format!("{port}"));
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\" }}\n{more}\n",
            store.display()
        );
        fs::write(&config, text).unwrap();
        let mut this = Self { port, config, program: program.to_owned(), child: None };
        this.again();
        this
    }

    /// Starts it again with what it has stored.
    pub fn again(&mut self) {
        let log = fs::File::create(self.config.with_extension("log")).unwrap();
        let child = Command::new(&self.program)
            .arg("-c")
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let until = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = fs::read_to_string(self.config.with_extension("log")).unwrap_or_default();
            assert!(Instant::now() < until, "nats-server does not listen: {log}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Kills it as it is.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Connects, and gives up after a while.
pub async fn connect(urls: &[String]) -> Client {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let options = ConnectOptions::new()
            .ping_interval(Duration::from_secs(1))
            .request_timeout(Some(Duration::from_secs(3)))
            .reconnect_delay_callback(|_| Duration::from_millis(50));
        match options.connect(urls).await {
            Ok(client) => return client,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// With the stream and the tables.
pub async fn fleet(urls: &[String], replicas: usize) -> jetstream::Context {
    let context = jetstream::new(connect(urls).await);
    let limits = peripety_forward::stream::Limits { replicas, ..Default::default() };
    let until = Instant::now() + Duration::from_secs(30);
    while let Err(error) = peripety_forward::stream::create(&context, limits).await {
        assert!(Instant::now() < until, "{error}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    context
}

/// All that the stream has, in its order: the ids of messages.
pub async fn stored(context: &jetstream::Context) -> Vec<String> {
    let mut stream = context.get_stream("peripety").await.unwrap();
    let last = stream.info().await.unwrap().state.last_sequence;
    let mut ids = Vec::new();
    for sequence in 1..=last {
        let message = stream.get_raw_message(sequence).await.unwrap();
        ids.push(message.headers.get("Nats-Msg-Id").unwrap().to_string());
    }
    ids
}
