//! IRC: one channel of one server, with TLS and SASL.
//!
//! It connects when there is something to say, and leaves when there is no more: an idle program answers no PING. A PING after
//! the messages has to come back: then the server has read them.

use std::{
    collections::VecDeque,
    io::{self, Read as _, Write as _},
    path::PathBuf,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::{Failure, Output, OutputError, host_and_port, is_local, timeout};
use crate::{config::Notify, message::Message, secret::Source, tls::Stream, words};

/// Bytes of a line, with its end (RFC 1459, section 2.3); the server puts who says it before it.
const LINE_MAX: usize = 512;
const PREFIX_MAX: usize = 110;
/// Bytes that a server may send without the end of a line.
const PENDING_MAX: usize = 64 << 10;
/// How long between two lines: servers take one each two seconds, after the first ones.
const PAUSE: Duration = Duration::from_millis(500);
const FREE_LINES: u32 = 4;

/// `[notify.irc]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// `HOST` or `HOST:PORT`.
    server: String,
    channel: String,
    #[serde(default = "peripety")]
    nick: String,
    #[serde(default = "yes")]
    tls: bool,
    /// Authorities that are believed, in place of the system's.
    ca_file: Option<PathBuf>,
    /// Account for SASL PLAIN, with `password`.
    sasl_user: Option<String>,
    /// File or credential with the password of the account, or of the server where there is no account.
    password: Option<Source>,
}

fn peripety() -> String {
    "peripety".to_owned()
}

const fn yes() -> bool {
    true
}

struct Irc {
    config: Config,
    host: String,
    port: u16,
    timeout: Duration,
    session: Option<Session>,
}

struct Session {
    stream: Stream,
    pending: VecDeque<u8>,
    patience: Duration,
    said: u32,
}

pub(super) fn make(config: &Config, notify: &Notify) -> Result<Box<dyn Output>, OutputError> {
    let (host, port) = host_and_port("irc.server", &config.server, if config.tls { 6697 } else { 6667 })?;
    let is_word = |text: &str| !text.is_empty() && !text.contains([' ', ',', ':', '\r', '\n', '\0']);
    if !is_word(&config.channel) || !config.channel.starts_with(['#', '&', '+', '!']) {
        return Err(OutputError::value(
            "irc.channel",
            format!("'{}' is no channel; write '#name'", config.channel),
        ));
    }
    if !is_word(&config.nick) || config.nick.len() > 30 {
        return Err(OutputError::value("irc.nick", format!("'{}' is no name for IRC", config.nick)));
    }
    if !config.tls && !is_local(&host) && config.password.is_some() {
        return Err(OutputError::value("irc.password", "without TLS no password goes to another machine"));
    }
    Ok(Box::new(Irc { config: config.clone(), host, port, timeout: timeout(notify), session: None }))
}

impl Output for Irc {
    fn deliver(&mut self, batch: &[&Message]) -> Result<String, Failure> {
        let place = format!("IRC server {}:{}", self.host, self.port);
        let failed = |error: io::Error| Failure::network(&place, &error);
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.connect()?,
        };
        let lines = batch.iter().map(|message| words::title(message));
        session.say(&self.config.channel, lines).map_err(failed)?;
        self.session = Some(session);
        Ok(format!("{place} has read it for {}", self.config.channel))
    }

    fn idle(&mut self) {
        if let Some(mut session) = self.session.take() {
            let _gone = session
                .send("QUIT :nothing more to say")
                .and_then(|()| session.until(|_, _| None::<io::Result<()>>));
            session.stream.close();
        }
    }
}

impl Irc {
    /// Connects, logs in and joins.
    fn connect(&self) -> Result<Session, Failure> {
        let place = format!("IRC server {}:{}", self.host, self.port);
        let failed = |error: io::Error| Failure::network(&place, &error);
        let ca_file = self.config.ca_file.as_deref();
        let stream =
            Stream::open(&self.host, self.port, self.config.tls, ca_file, self.timeout).map_err(failed)?;
        let mut session = Session { stream, pending: VecDeque::new(), patience: self.timeout, said: 0 };
        let password = self.config.password.as_ref().map(Source::read).transpose()?;
        let register = |session: &mut Session| -> io::Result<()> {
            match (&self.config.sasl_user, &password) {
                (Some(_), _) => session.send("CAP REQ :sasl")?,
                (None, Some(password)) => session.send(&format!("PASS :{}", password.expose()))?,
                (None, None) => {}
            }
            session.send(&format!("NICK {}", self.config.nick))?;
            session.send(&format!(
                "USER peripety 0 * :storage failures of {}",
                rustix::system::uname().nodename().to_string_lossy()
            ))?;
            if let (Some(user), Some(password)) = (&self.config.sasl_user, &password) {
                session.log_in(user, password.expose())?;
            }
            session.welcome(&self.config.nick)?;
            session.join(&self.config.channel)
        };
        register(&mut session).map_err(failed)?;
        Ok(session)
    }
}

impl Session {
    /// One line, whatever is in it.
    fn send(&mut self, line: &str) -> io::Result<()> {
        let mut line = line.replace(['\r', '\n', '\0'], " ");
        line.truncate(line.floor_char_boundary(LINE_MAX - 2));
        line.push_str("\r\n");
        self.stream.write_all(line.as_bytes())?;
        self.stream.flush()
    }

    /// Reads until a line is what is waited for; answers PING.
    fn until<T>(
        &mut self,
        mut wanted: impl FnMut(&str, &[&str]) -> Option<io::Result<T>>,
    ) -> io::Result<Option<T>> {
        let end = Instant::now() + self.patience;
        while Instant::now() < end {
            let Some(line) = self.line()? else { return Ok(None) };
            let line = line.strip_prefix(':').and_then(|rest| Some(rest.split_once(' ')?.1)).unwrap_or(&line);
            let (words, trailing) =
                line.split_once(" :").map_or((line, None), |(words, rest)| (words, Some(rest)));
            let mut words: Vec<&str> = words.split_ascii_whitespace().collect();
            words.extend(trailing);
            let Some((command, arguments)) = words.split_first() else { continue };
            if *command == "PING" {
                let answer = format!("PONG :{}", arguments.last().unwrap_or(&""));
                self.send(&answer)?;
                continue;
            }
            if let Some(found) = wanted(command, arguments) {
                return found.map(Some);
            }
            if *command == "ERROR" {
                return Err(io::Error::other(format!("it says: {}", arguments.join(" "))));
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        let mut buffer = [0; 2048];
        loop {
            if let Some(at) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=at).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            if self.pending.len() > PENDING_MAX {
                return Err(io::Error::other("it sends a line without end"));
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(n) => self.pending.extend(buffer.iter().take(n)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// SASL PLAIN (RFC 4616).
    fn log_in(&mut self, user: &str, password: &str) -> io::Result<()> {
        let refused =
            |why: &[&str]| Some(Err(io::Error::other(format!("it refuses the login: {}", why.join(" ")))));
        self.expect(|command, arguments| match (command, arguments) {
            ("CAP", [_, "ACK", ..]) => Some(Ok(())),
            ("CAP", [_, "NAK", ..]) | ("421" | "410", _) => refused(&["it has no SASL"]),
            _ => None,
        })?;
        self.send("AUTHENTICATE PLAIN")?;
        self.expect(|command, arguments| match command {
            "AUTHENTICATE" => Some(Ok(())),
            "904" | "905" | "908" => refused(arguments),
            _ => None,
        })?;
        let token = STANDARD.encode(format!("\0{user}\0{password}"));
        let (mut rest, mut whole) = (token.as_str(), false);
        while let Some((part, after)) =
            rest.split_at_checked(rest.len().min(400)).filter(|(part, _)| !part.is_empty())
        {
            self.send(&format!("AUTHENTICATE {part}"))?;
            (rest, whole) = (after, part.len() == 400);
        }
        if whole {
            self.send("AUTHENTICATE +")?;
        }
        self.expect(|command, arguments| match command {
            "903" => Some(Ok(())),
            "902" | "904" | "905" | "906" => refused(arguments),
            _ => None,
        })?;
        self.send("CAP END")
    }

    /// Waits until the server has taken this client; another name is tried where one is in use.
    fn welcome(&mut self, nick: &str) -> io::Result<()> {
        for number in 1..=5 {
            let taken = self.expect(|command, arguments| match command {
                "001" => Some(Ok(true)),
                "433" | "436" => Some(Ok(false)),
                "432" | "464" | "465" => {
                    Some(Err(io::Error::other(format!("it says: {}", arguments.join(" ")))))
                }
                _ => None,
            })?;
            if taken {
                return Ok(());
            }
            self.send(&format!("NICK {}{number}", nick.chars().take(8).collect::<String>()))?;
        }
        Err(io::Error::other(format!("the name {nick} is in use, and so are others like it")))
    }

    fn join(&mut self, channel: &str) -> io::Result<()> {
        self.send(&format!("JOIN {channel}"))?;
        self.expect(|command, arguments| match command {
            "366" => Some(Ok(())),
            "403" | "405" | "437" | "471" | "473" | "474" | "475" | "476" | "477" | "489" => {
                Some(Err(io::Error::other(format!("cannot join {channel}: {}", arguments.join(" ")))))
            }
            _ => None,
        })
    }

    /// Says it, and waits until the server has read it.
    fn say(&mut self, channel: &str, lines: impl Iterator<Item = String>) -> io::Result<()> {
        for line in lines {
            if self.said >= FREE_LINES {
                std::thread::sleep(PAUSE);
            }
            self.said += 1;
            let head = format!("PRIVMSG {channel} :");
            let room = LINE_MAX - 2 - PREFIX_MAX - head.len().min(200);
            let end = line.floor_char_boundary(room);
            self.send(&format!("{head}{}", line.get(..end).unwrap_or_default()))?;
        }
        let token = format!("peripety{}", self.said);
        self.send(&format!("PING :{token}"))?;
        self.expect(|command, arguments| match command {
            "PONG" if arguments.last() == Some(&token.as_str()) => Some(Ok(())),
            "404" | "401" | "403" | "442" => {
                Some(Err(io::Error::other(format!("it does not take the message: {}", arguments.join(" ")))))
            }
            _ => None,
        })
    }

    fn expect<T>(&mut self, wanted: impl FnMut(&str, &[&str]) -> Option<io::Result<T>>) -> io::Result<T> {
        self.until(wanted)?.ok_or_else(|| io::Error::other("it closed the connection"))
    }
}
