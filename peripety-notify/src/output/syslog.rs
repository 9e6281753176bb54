//! Syslog: RFC 5424 over UDP (RFC 5426), TCP (RFC 6587, counted octets) and TLS (RFC 5425).
//!
//! The protocol has no answer: a message that is written is taken to have arrived. Over TCP and TLS a connection that the other
//! side has closed is noticed before the next message.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{ToSocketAddrs as _, UdpSocket},
    path::PathBuf,
    time::Duration,
};

use serde::Deserialize;

use super::{Failure, Output, OutputError, host_and_port, timeout};
use crate::{config::Notify, message::Message, tls::Stream, words};

/// Bytes of a message that each receiver must take over UDP (RFC 5426, section 3.2), and most of what common ones take.
const UDP_MAX: usize = 2048;
const STREAM_MAX: usize = 8192;

/// `[notify.syslog]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// `HOST` or `HOST:PORT`.
    server: String,
    #[serde(default)]
    over: Over,
    /// Facility, 0 to 23; 3 is that of daemons.
    #[serde(default = "daemons")]
    facility: u8,
    /// Authorities that are believed, in place of the system's.
    ca_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Over {
    #[default]
    Udp,
    Tcp,
    Tls,
}

const fn daemons() -> u8 {
    3
}

struct Syslog {
    config: Config,
    host: String,
    port: u16,
    timeout: Duration,
    stream: Option<Stream>,
}

pub(super) fn make(config: &Config, notify: &Notify) -> Result<Box<dyn Output>, OutputError> {
    let port = if config.over == Over::Tls { 6514 } else { 514 };
    let (host, port) = host_and_port("syslog.server", &config.server, port)?;
    if config.facility > 23 {
        return Err(OutputError::value("syslog.facility", "write a number from 0 to 23"));
    }
    Ok(Box::new(Syslog { config: config.clone(), host, port, timeout: timeout(notify), stream: None }))
}

impl Output for Syslog {
    fn deliver(&mut self, batch: &[&Message]) -> Result<String, Failure> {
        let place = format!("syslog server {}:{}", self.host, self.port);
        for message in batch {
            let sent = match self.config.over {
                Over::Udp => self.send_datagram(message),
                Over::Tcp | Over::Tls => self.send_counted(message),
            };
            if let Err(error) = sent {
                self.stream = None;
                return Err(Failure::network(&place, &error));
            }
        }
        Ok(format!("{} sent to {place}, which does not answer", batch.len()))
    }

    fn groups(&self) -> bool {
        false
    }

    fn idle(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            stream.close();
            // What is still under way is read by the other side before it sees the end.
            let _its_end = stream.tcp().set_read_timeout(Some(Duration::from_secs(1)));
            let _its_end = stream.read(&mut [0; 16]);
        }
    }
}

impl Syslog {
    fn send_datagram(&self, message: &Message) -> std::io::Result<()> {
        let address = (self.host.as_str(), self.port).to_socket_addrs()?.next();
        let address = address.ok_or_else(|| std::io::Error::other("it has no address"))?;
        let local = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(local)?;
        socket.connect(address)?;
        socket.send(&format(message, self.config.facility, UDP_MAX)).map(drop)
    }

    fn send_counted(&mut self, message: &Message) -> std::io::Result<()> {
        if self.stream.as_mut().is_some_and(is_closed) {
            self.stream = None;
        }
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(Stream::open(
                &self.host,
                self.port,
                self.config.over == Over::Tls,
                self.config.ca_file.as_deref(),
                self.timeout,
            )?),
        };
        let text = format(message, self.config.facility, STREAM_MAX);
        let mut frame = format!("{} ", text.len()).into_bytes();
        frame.extend_from_slice(&text);
        stream.write_all(&frame)?;
        stream.flush()
    }
}

/// Whether the other side has closed the connection.
fn is_closed(stream: &mut Stream) -> bool {
    let tcp = stream.tcp();
    if tcp.set_nonblocking(true).is_err() {
        return true;
    }
    let mut byte = [0];
    let closed = match tcp.peek(&mut byte) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    };
    closed || tcp.set_nonblocking(false).is_err()
}

/// `<PRI>1 TIME HOST peripety PID ID [structured data] BOM words`, cut at a character within `max` bytes.
fn format(message: &Message, facility: u8, max: usize) -> Vec<u8> {
    let priority = u16::from(facility) * 8 + u16::from(message.severity().number());
    let host = name(message.hostname(), 255);
    let id = name(message.event_type(), 32);
    let pid = std::process::id();
    let data = [
        ("id", message.id.as_str()),
        ("kind", message.kind.as_str()),
        ("device", message.device()),
        ("subject", message.subject.as_str()),
    ];
    let data: String = data.iter().map(|(key, value)| format!(" {key}=\"{}\"", escaped(value))).collect();
    let at = message.at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ");
    let head = format!("<{priority}>1 {at} {host} peripety {pid} {id} [peripety@32473{data}] \u{feff}");
    let text = format!("{head}{}", words::title(message).replace('\n', " "));
    text.get(..text.floor_char_boundary(max)).unwrap_or_default().as_bytes().to_vec()
}

/// Printable ASCII without spaces; `-` is nothing.
fn name(text: &str, max: usize) -> String {
    let name: String = text.chars().filter(char::is_ascii_graphic).take(max).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

fn escaped(text: &str) -> String {
    let text = peripety::internal::text::printable(text);
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_message_has_the_form_of_the_rfc_and_is_cut_at_a_character() {
        let mut message = Message::test("häst 1", Timestamp::from_second(0).unwrap());
        message.id = "a\"]\\".into();
        let text = String::from_utf8(format(&message, 3, UDP_MAX)).unwrap();
        let pid = std::process::id();
        let head = format!(
            "<29>1 1970-01-01T00:00:00.000000Z hst1 peripety {pid} PERIPETY_TEST [peripety@32473 id=\"a\\\"\\]\\\\\" kind=\"test\" device=\"\" subject=\"test-0\"] \u{feff}"
        );
        assert!(text.starts_with(&head), "{text}");
        message.host = "é".repeat(5000);
        let bytes = format(&message, 3, 999);
        assert!(bytes.len() <= 999 && String::from_utf8(bytes).is_ok());
    }
}
