//! What is on its way to the stream, in order, until the stream has it.
//!
//! A message is the stream's once it was acknowledged with a sequence above 0: a server without a quorum acknowledges the second
//! try of an id with sequence 0 and stores nothing (nats-server 2.10). Many are on their way at a time; if one of them fails,
//! all that are not acknowledged are sent again from the first one on, and the stream knows by their ids which it has.

use std::{
    collections::VecDeque,
    pin::Pin,
    time::{Duration, Instant},
};

use async_nats::{
    HeaderMap,
    jetstream::{
        Context,
        context::{PublishError, PublishErrorKind},
        message::PublishMessage,
        publish::PublishAck,
    },
};

/// Messages on their way.
const WINDOW: usize = 256;
/// Bytes of them, beyond which no more are taken.
const BYTES_MAX: usize = 8 << 20;
/// Waits after a failure.
const WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// A message, and what is to be known when it is through.
#[derive(Clone, Debug)]
pub struct Message<M> {
    /// Its subject.
    pub subject: String,
    /// Its id, by which the stream knows it.
    pub id: String,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Its text.
    pub payload: Vec<u8>,
    /// The sender's own.
    pub mark: M,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<M> {
    /// The stream has it; perhaps since an earlier try.
    Stored {
        /// The sender's own.
        mark: M,
        /// The stream had it before.
        again: bool,
    },
    /// No server takes a message of this size: it is given up.
    TooLarge {
        /// The sender's own.
        mark: M,
        /// Its id.
        id: String,
        /// How large, and how large it may be.
        why: String,
    },
}

type Ack = Pin<Box<dyn Future<Output = Result<PublishAck, PublishError>> + Send>>;

/// What keeps messages from going out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Since when.
    pub since: Instant,
    /// What the last try brought.
    pub why: String,
}

/// What is on its way.
pub struct Outbox<M> {
    context: Context,
    waiting: VecDeque<(Message<M>, Option<Ack>)>,
    /// How many of them, from the first one on, were sent.
    sent: usize,
    bytes: usize,
    tries: u32,
    retry_at: Option<tokio::time::Instant>,
    trouble: Option<Trouble>,
}

impl<M> std::fmt::Debug for Outbox<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox")
            .field("waiting", &self.waiting.len())
            .field("trouble", &self.trouble)
            .finish_non_exhaustive()
    }
}

impl<M> Outbox<M> {
    /// Nothing is on its way.
    pub fn new(context: Context) -> Self {
        Self { context, waiting: VecDeque::new(), sent: 0, bytes: 0, tries: 0, retry_at: None, trouble: None }
    }

    /// Whether another one is taken.
    pub fn has_room(&self) -> bool {
        self.waiting.len() < WINDOW && self.bytes < BYTES_MAX
    }

    /// How many are on their way.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What keeps them.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Takes a message. It goes out with [`Outbox::next`].
    pub fn push(&mut self, message: Message<M>) {
        self.bytes += message.payload.len();
        self.waiting.push_back((message, None));
    }

    /// Sends what waits, and gives what became of the first one; for ever if there is none. What it has done is kept if it is
    /// dropped meanwhile.
    pub async fn next(&mut self) -> Outcome<M> {
        loop {
            if let Some(at) = self.retry_at {
                tokio::time::sleep_until(at).await;
                self.retry_at = None;
            }
            if let Some(too_large) = self.send().await {
                return too_large;
            }
            if self.retry_at.is_some() {
                continue;
            }
            let Some((_, Some(ack))) = self.waiting.front_mut() else {
                std::future::pending::<()>().await;
                continue;
            };
            match ack.await {
                Ok(ack) if ack.sequence > 0 => {
                    (self.tries, self.trouble) = (0, None);
                    if let Some(message) = self.take(0) {
                        return Outcome::Stored { mark: message.mark, again: ack.duplicate };
                    }
                }
                Ok(_) => {
                    self.failed(
                        "the server acknowledged without having stored (it has no quorum)".to_owned(),
                    );
                }
                Err(error) => self.failed(words(&error)),
            }
        }
    }

    /// Sends what was not sent, in order.
    async fn send(&mut self) -> Option<Outcome<M>> {
        while let Some((message, ack)) = self.waiting.get_mut(self.sent) {
            let mut headers = HeaderMap::new();
            for (name, value) in &message.headers {
                headers.insert(*name, value.as_str());
            }
            let publish = PublishMessage::build()
                .headers(headers)
                .message_id(message.id.as_str())
                .payload(message.payload.clone().into());
            match self.context.send_publish(message.subject.clone(), publish).await {
                Ok(future) => {
                    *ack = Some(future.into_future());
                    self.sent += 1;
                }
                Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                    let why = error.to_string();
                    let Message { id, mark, .. } = self.take(self.sent)?;
                    return Some(Outcome::TooLarge { mark, id, why });
                }
                Err(error) => {
                    self.failed(words(&error));
                    return None;
                }
            }
        }
        None
    }

    fn take(&mut self, at: usize) -> Option<Message<M>> {
        let (message, _) = self.waiting.remove(at)?;
        self.bytes = self.bytes.saturating_sub(message.payload.len());
        if at < self.sent {
            self.sent -= 1;
        }
        Some(message)
    }

    fn failed(&mut self, why: String) {
        for (_, ack) in &mut self.waiting {
            *ack = None;
        }
        self.sent = 0;
        self.retry_at =
            Some(tokio::time::Instant::now() + WAIT.1.min(WAIT.0 * 2_u32.saturating_pow(self.tries)));
        self.tries = (self.tries + 1).min(10);
        let since = self.trouble.as_ref().map_or_else(Instant::now, |trouble| trouble.since);
        if self.trouble.is_none() {
            tracing::warn!("cannot publish: {why}; nothing is lost, it is tried again");
        }
        self.trouble = Some(Trouble { since, why });
    }
}

fn words(error: &PublishError) -> String {
    match error.kind() {
        PublishErrorKind::StreamNotFound => {
            format!(
                "{error}: the servers elect a leader, or nobody made the stream: peripety-forward --create does"
            )
        }
        _ => error.to_string(),
    }
}
