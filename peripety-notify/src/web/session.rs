//! One subscriber.

use std::io::{self, Write as _};

use peripety::internal::follow;
use peripety_client::{Content, Cursor, Error, Item, Next, Options, Stream};
use peripety_model::Incident;
use rustix::event::{PollFd, PollFlags, poll};
use serde_json::{Value, json, value::RawValue};
use tungstenite::{
    Message, WebSocket,
    handshake::derive_accept_key,
    protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
};

use super::{SUBSCRIBERS_MAX, Shared, conn::Conn, http, subscribe::Subscribe};
use crate::http::Request;

/// Bytes of a subscription.
const SUBSCRIPTION_MAX: usize = 16 << 10;
/// Messages after which what the client sends is looked at.
const MESSAGES: usize = 64;

type Socket = WebSocket<Conn>;

/// Why a session ends.
enum End {
    /// The client closed it, or is gone.
    Gone(io::Error),
    /// It is ended here, and the client learns why.
    Because(CloseCode, String),
}

impl From<tungstenite::Error> for End {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Io(error) => Self::Gone(error),
            tungstenite::Error::Capacity(_) => Self::Because(
                CloseCode::Size,
                format!("a message of a client has at most {SUBSCRIPTION_MAX} bytes"),
            ),
            other => Self::Gone(io::Error::other(other)),
        }
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        let code = match error {
            Error::Option { .. } => CloseCode::Policy,
            // 1013: come again later.
            _ => CloseCode::Again,
        };
        Self::Because(code, error.to_string())
    }
}

/// Serves one, until it goes.
pub(super) fn run(mut conn: Conn, request: &Request, shared: &Shared) -> io::Result<()> {
    if let Some(why) = http::foreign(request, !shared.config.tokens.is_empty()) {
        return http::forbid(&mut conn, why);
    }
    let (Some(key), Some("13")) =
        (request.header("sec-websocket-key"), request.header("sec-websocket-version"))
    else {
        return http::forbid(&mut conn, "this is a websocket of version 13");
    };
    let Some(_place) = shared.subscribers.take() else {
        let what = format!("{SUBSCRIBERS_MAX} clients have subscribed, no more are taken; come again later");
        return http::refuse(&mut conn, &what);
    };
    let accept = derive_accept_key(key.as_bytes());
    write!(
        conn,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )?;
    conn.flush()?;
    let config = WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .write_buffer_size(0)
        .max_message_size(Some(SUBSCRIPTION_MAX))
        .max_frame_size(Some(SUBSCRIPTION_MAX));
    let mut socket = WebSocket::from_raw_socket(conn, Role::Server, Some(config));
    match serve(&mut socket, shared) {
        Ok(never) => match never {},
        Err(End::Gone(error)) => Err(error),
        Err(End::Because(code, why)) => {
            socket.get_mut().set_nonblocking(false)?;
            let _gone = socket.send(Message::text(json!({ "error": why }).to_string()));
            // A reason of a close has at most 123 bytes.
            let reason: String = why.chars().take(60).collect();
            let _gone = socket.close(Some(CloseFrame { code, reason: reason.into() }));
            let _gone = socket.flush();
            socket.get_mut().close();
            Ok(())
        }
    }
}

fn serve(socket: &mut Socket, shared: &Shared) -> Result<std::convert::Infallible, End> {
    let subscribe = loop {
        match socket.read()? {
            Message::Text(text) => break text,
            Message::Close(_) => return Err(End::Gone(io::ErrorKind::ConnectionAborted.into())),
            Message::Binary(_) => {
                return Err(End::Because(CloseCode::Unsupported, "a subscription is text".to_owned()));
            }
            _ => {}
        }
    };
    let policy = |why: String| End::Because(CloseCode::Policy, why);
    let subscribe = Subscribe::read(subscribe.as_str()).map_err(policy)?;
    if !shared.config.lets_in(subscribe.token.as_deref()) {
        // Who tries many has to wait for each.
        std::thread::sleep(std::time::Duration::from_secs(1));
        let why = if subscribe.token.is_none() { "a token is wanted" } else { "the token is wrong" };
        return Err(policy(why.to_owned()));
    }
    socket.get_mut().is_patient()?;
    let options = Options { socket: shared.roots.socket(), ..subscribe.options()? };
    let mut stream = Stream::open_with(options, Box::new(follow::Journal::new(&shared.roots)))?;
    let mut writer = Writer { socket, sequence: 0 };
    if subscribe.after.is_none() && subscribe.incidents {
        let open =
            follow::open(&shared.roots).map_err(|error| End::Because(CloseCode::Again, error.to_string()))?;
        for incident in open.iter().filter(|incident| subscribe.filter.takes_incident(incident)) {
            writer.open(incident)?;
        }
    }
    // What came with the subscription.
    writer.listen()?;
    loop {
        let mut given = 0;
        while given < MESSAGES {
            match stream.try_next()? {
                Next::Item(item) => writer.item(&item)?,
                Next::Nothing => break,
                Next::Over => return Err(End::Because(CloseCode::Normal, "nothing more follows".to_owned())),
            }
            given += 1;
        }
        if given < MESSAGES {
            let conn = writer.socket.get_ref();
            let mut ready = [PollFd::new(conn, PollFlags::IN), PollFd::new(&stream, PollFlags::IN)];
            match poll(&mut ready, None) {
                Err(rustix::io::Errno::INTR) => {}
                result => drop(result.map_err(io::Error::from)?),
            }
        }
        writer.listen()?;
    }
}

struct Writer<'a> {
    socket: &'a mut Socket,
    sequence: u64,
}

impl Writer<'_> {
    /// An incident that was open when the client came.
    fn open(&mut self, incident: &Incident) -> Result<(), End> {
        self.send(json!({ "incident": incident, "open": true }).to_string())
    }

    fn item(&mut self, item: &Item) -> Result<(), End> {
        // Before the first revision it is the one that came last to whoever was there.
        let place = match item.cursor() {
            Some(Cursor::Daemon(position, _)) => position.sequence,
            _ => 0,
        };
        self.sequence = item.sequence().unwrap_or(place).max(self.sequence);
        let message = json!({
            "sequence": self.sequence,
            "dropped": item.dropped(),
            "missed": item.missed(),
            "cursor": item.cursor().map(ToString::to_string),
        });
        let key = match item.content() {
            Content::Event(_) => "event",
            Content::Incident(_) => "incident",
            Content::Live => return self.with(message, "live", Value::Bool(true)),
            Content::Gap(why) => return self.with(message, "gap", Value::from(why.clone())),
            Content::Disconnected => return self.with(message, "disconnected", Value::Bool(true)),
        };
        // As it was written, with what this version does not know.
        let Ok(written) = serde_json::from_str::<&RawValue>(item.json()) else { return Ok(()) };
        let rest = message.to_string();
        self.send(format!("{{\"{key}\":{written},{}", rest.get(1..).unwrap_or("}")))
    }

    fn with(&mut self, mut message: Value, key: &str, value: Value) -> Result<(), End> {
        if let Some(object) = message.as_object_mut() {
            object.insert(key.to_owned(), value);
        }
        self.send(message.to_string())
    }

    fn send(&mut self, text: String) -> Result<(), End> {
        Ok(self.socket.send(Message::text(text))?)
    }

    /// What the client sent: pings are answered on the way; anything else is not expected.
    fn listen(&mut self) -> Result<(), End> {
        self.socket.get_mut().set_nonblocking(true)?;
        let end = loop {
            match self.socket.read() {
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(Message::Close(_)) => break Err(End::Gone(io::ErrorKind::ConnectionAborted.into())),
                Ok(_) => {
                    let why = "a subscription is the only message; open another connection for another one";
                    break Err(End::Because(CloseCode::Policy, why.to_owned()));
                }
                Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    break Ok(());
                }
                Err(error) => break Err(error.into()),
            }
        };
        self.socket.get_mut().set_nonblocking(false)?;
        // What answers to pings left unsent.
        end.and_then(|()| Ok(self.socket.flush()?))
    }
}
