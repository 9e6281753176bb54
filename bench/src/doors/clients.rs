//! A client of each way, as small as its protocol allows.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    num::NonZero,
    os::unix::net::UnixStream,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tokio::runtime::Runtime;
use tungstenite::{Message, WebSocket};
use zbus::{Connection, MatchRule, MessageStream, connection::Builder, message::Type};

use super::scene::Scene;

/// After so long without a signal none is on its way.
const QUIET: Duration = Duration::from_millis(500);

/// Who waits for events.
pub trait Client {
    /// Waits for the next one.
    fn next(&mut self) -> Result<()>;
}

struct Lines {
    stream: BufReader<UnixStream>,
    end: u8,
    buffer: Vec<u8>,
}

impl Lines {
    fn open(path: &std::path::Path, request: &str, end: u8) -> Result<Box<dyn Client>> {
        let mut stream = UnixStream::connect(path).with_context(|| path.display().to_string())?;
        stream.write_all(request.as_bytes())?;
        stream.write_all(&[end])?;
        let mut this = Self { stream: BufReader::with_capacity(64 << 10, stream), end, buffer: Vec::new() };
        this.until(b"\"live\":true")?;
        Ok(Box::new(this))
    }

    fn until(&mut self, part: &[u8]) -> Result<()> {
        loop {
            self.buffer.clear();
            let length = self.stream.read_until(self.end, &mut self.buffer)?;
            ensure!(length > 0, "the socket was closed");
            if self.buffer.windows(part.len()).any(|window| window == part) {
                return Ok(());
            }
        }
    }
}

impl Client for Lines {
    fn next(&mut self) -> Result<()> {
        self.until(b"\"event_id\"")
    }
}

/// JSON Lines.
pub fn socket(scene: &Scene) -> Result<Box<dyn Client>> {
    let request = r#"{"version":1,"request":"events","follow":true,"kinds":["events"],"filter":{}}"#;
    Lines::open(&scene.roots.runtime.join("peripety.sock"), request, b'\n')
}

/// Varlink.
pub fn varlink(scene: &Scene) -> Result<Box<dyn Client>> {
    let call = r#"{"method":"io.peripety.Events.Subscribe","parameters":{"stored":false},"more":true}"#;
    Lines::open(&scene.roots.runtime.join("io.peripety"), call, 0)
}

struct Web(WebSocket<TcpStream>);

impl Web {
    fn until(&mut self, part: &str) -> Result<()> {
        loop {
            match self.0.read().context("reading the websocket")? {
                Message::Text(text) if text.as_str().contains(part) => return Ok(()),
                _ => {}
            }
        }
    }
}

impl Client for Web {
    fn next(&mut self) -> Result<()> {
        self.until("\"event_id\"")
    }
}

/// The websocket of peripety-notify.
pub fn websocket(scene: &Scene) -> Result<Box<dyn Client>> {
    websocket_at(scene.web)
}

/// The same at another address.
pub fn websocket_at(address: SocketAddr) -> Result<Box<dyn Client>> {
    let tcp = TcpStream::connect(address).context("connecting to the websocket")?;
    tcp.set_nodelay(true)?;
    let url = format!("ws://{address}/stream");
    let (mut socket, _) = tungstenite::client(url, tcp).map_err(|error| anyhow::anyhow!("{error}"))?;
    socket.send(Message::text(r#"{"version":1,"events":true}"#))?;
    let mut web = Web(socket);
    web.until("\"live\":true")?;
    Ok(Box::new(web))
}

struct Bus {
    runtime: Runtime,
    stream: MessageStream,
    _connection: Connection,
}

impl Bus {
    /// Whether a signal comes within that time.
    fn within(&mut self, time: Duration) -> Result<bool> {
        let next = std::future::poll_fn(|context| {
            zbus::export::futures_core::Stream::poll_next(std::pin::Pin::new(&mut self.stream), context)
        });
        match self.runtime.block_on(async { tokio::time::timeout(time, next).await }) {
            Ok(signal) => signal.context("the bus was closed")?.map(|_| true).map_err(Into::into),
            Err(_quiet) => Ok(false),
        }
    }
}

impl Client for Bus {
    fn next(&mut self) -> Result<()> {
        ensure!(self.within(Duration::from_secs(30))?, "no signal came");
        Ok(())
    }
}

/// Signals on a bus of its own.
pub fn bus(scene: &Scene) -> Result<Box<dyn Client>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (connection, stream) = runtime.block_on(async {
        let connection = Builder::address(scene.bus.as_str()).build().await?;
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .interface("org.peripety1.Manager")
            .member("EventOccurred")
            .build()?;
        let stream =
            MessageStream::for_match_rule(rule, &connection, NonZero::new(2 * super::TOGETHER)).await?;
        Ok::<_, zbus::Error>((connection, stream))
    })?;
    let mut bus = Bus { runtime, stream, _connection: connection };
    // Signals of what other clients were given may still be on their way.
    while bus.within(QUIET)? {}
    Ok(Box::new(bus))
}
