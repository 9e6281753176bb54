//! Varlink on the daemon's second socket: the same events, incidents and answers, and block devices. The interface files in
//! `peripety/varlink` say what each method takes and gives.

mod methods;

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use serde_json::{Value, json};
use tokio::{io::AsyncBufReadExt as _, time::timeout};

use super::{
    Answers, PATIENCE, Peer,
    client::{Client, linger},
    feed::Feed,
    slots::Doing,
};
use crate::{
    notifier::memory::{Memory, Stored},
    varlink::{CALL_MAX, Call, Interface, NotCalled, message, reply},
};

/// The interfaces, by name.
pub(super) const INTERFACES: [Interface; 4] = [
    ("io.peripety.Block", include_str!("../../../varlink/io.peripety.Block.varlink")),
    ("io.peripety.Daemon", include_str!("../../../varlink/io.peripety.Daemon.varlink")),
    ("io.peripety.Events", include_str!("../../../varlink/io.peripety.Events.varlink")),
    ("io.peripety.Incidents", include_str!("../../../varlink/io.peripety.Incidents.varlink")),
];

/// A method's answer.
pub(super) enum Answer {
    /// The only reply.
    One(Value),
    /// Events that the daemon holds, one with each reply.
    Held(Box<Feed>),
    /// Revisions as they come.
    Follow(Box<Feed>, Value),
}

/// What a method is answered with.
pub(super) struct Service<'a> {
    pub(super) memory: &'a Memory,
    pub(super) answers: &'a dyn Answers,
    pub(super) peer: Peer,
}

/// What a client that cannot be served reads as the answer to its first call.
pub(super) fn refusal(most: usize) -> Vec<u8> {
    message(&json!({ "error": "io.peripety.Daemon.TooManyClients", "parameters": { "most": most } }))
}

/// Serves a client until it goes, or cannot be understood.
pub(super) async fn serve(
    mut client: Client<'_>,
    memory: &Memory,
    answers: &dyn Answers,
    peer: Peer,
) -> io::Result<()> {
    let service = Service { memory, answers, peer };
    loop {
        client.counters.slots.does(client.number, Doing::Asking);
        let call = match read(&mut client).await {
            Ok(Some(call)) => call,
            Ok(None) => return Ok(()),
            Err(wrong) => {
                client.counters.count_bad_request();
                client.write(&reply(&Err(wrong.failure("io.peripety.Daemon")))).await?;
                linger(&mut client.from, &mut client.to).await;
                return Ok(());
            }
        };
        let wants_no_reply = call.oneway;
        match methods::answer(&service, call).await {
            Ok(_) | Err(_) if wants_no_reply => {}
            Ok(Answer::One(parameters)) => {
                client.write(&reply(&Ok(parameters))).await?;
            }
            Ok(Answer::Held(feed)) => held(&mut client, *feed).await?,
            Ok(Answer::Follow(feed, first)) => return follow(&mut client, *feed, first).await,
            Err(wrong) => {
                client.counters.count_bad_request();
                client.write(&reply(&Err(wrong))).await?;
            }
        }
    }
}

/// The next call; none when the client has gone. Who does not begin one may stay; who begins one has to end it.
async fn read(client: &mut Client<'_>) -> Result<Option<Call>, NotCalled> {
    match client.from.fill_buf().await {
        Ok([]) | Err(_) => return Ok(None),
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    let whole = timeout(PATIENCE, async {
        loop {
            let (used, ended) = match client.from.fill_buf().await {
                Ok([]) | Err(_) => return Ok(false),
                Ok(piece) => match piece.iter().position(|byte| *byte == 0) {
                    Some(end) => {
                        bytes.extend_from_slice(piece.get(..end).unwrap_or_default());
                        (end + 1, true)
                    }
                    None => {
                        bytes.extend_from_slice(piece);
                        (piece.len(), false)
                    }
                },
            };
            client.from.consume(used);
            if bytes.len() > CALL_MAX {
                return Err(NotCalled::TooLong);
            }
            if ended {
                return Ok(true);
            }
        }
    });
    match whole.await {
        Err(_) => Err(NotCalled::TooSlow(PATIENCE.as_secs())),
        Ok(Err(wrong)) => Err(wrong),
        // It went in the middle of a call.
        Ok(Ok(false)) => Ok(None),
        Ok(Ok(true)) => Call::read(&bytes).map(Some),
    }
}

/// A revision as a reply: its line is an object already.
fn revision(stored: &Stored, feed: &Feed, counted: bool) -> Vec<u8> {
    let line = stored.line.strip_suffix(b"}\n").unwrap_or(&stored.line);
    let mut reply = Vec::with_capacity(line.len() + 96);
    reply.extend_from_slice(b"{\"parameters\":");
    reply.extend_from_slice(line);
    if counted {
        reply.extend_from_slice(feed.counts().as_bytes());
    }
    reply.extend_from_slice(b"},\"continues\":true}\0");
    reply
}

async fn held(client: &mut Client<'_>, mut feed: Feed) -> io::Result<()> {
    while let Some(stored) = feed.next_stored() {
        client.write(&revision(&stored, &feed, false)).await?;
    }
    client.write(&message(&json!({ "parameters": {} }))).await
}

async fn follow(client: &mut Client<'_>, mut feed: Feed, first: Value) -> io::Result<()> {
    client.write(&message(&json!({ "parameters": first, "continues": true }))).await?;
    while let Some(stored) = feed.next_stored() {
        client.write(&revision(&stored, &feed, true)).await?;
    }
    let live = json!({ "live": true, "dropped": feed.dropped, "missed": feed.missed });
    client.write(&message(&json!({ "parameters": live, "continues": true }))).await?;
    // A call that the client sends meanwhile waits for the end of this one.
    let mut watches = true;
    loop {
        client.counters.slots.does(client.number, Doing::Following);
        let next: Option<Arc<Stored>> = tokio::select! {
            next = feed.next() => next,
            more = client.from.fill_buf(), if watches => {
                if more.map_or(true, <[u8]>::is_empty) {
                    return Ok(());
                }
                watches = false;
                continue;
            }
        };
        let Some(stored) = next else { return Ok(()) };
        client.counters.lost.fetch_add(feed.newly_dropped(), Ordering::Relaxed);
        client.write(&revision(&stored, &feed, true)).await?;
    }
}

#[cfg(test)]
#[path = "varlink/tests.rs"]
mod tests;
