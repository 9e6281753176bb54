//! The thread that takes clients and serves them.

use std::{
    fs::File,
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt as _,
    net::{UnixListener, UnixStream},
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
    time::sleep,
};

use super::{
    Answers, LET_GO, Listening, Peer, Protocol, SocketCounters, SocketError,
    client::{Client, linger},
    lock_directory, varlink,
};
use crate::{notifier::memory::Memory, roots::Roots};

/// Clients that are taken in a row, before those who have asked are answered.
const TAKEN_IN_A_ROW: u32 = 16;
/// Clients that are being refused at the same time; more are closed without a word.
const REFUSED_CLIENTS: usize = 64;

/// Serves the clients of a socket, which may be made later, or anew.
#[derive(Debug)]
pub struct Server {
    /// What is to be listened on, and is not yet.
    listening: Option<Listening>,
    others: (mpsc::UnboundedSender<Listening>, mpsc::UnboundedReceiver<Listening>),
    counters: Arc<SocketCounters>,
    /// Held as long as the server lives, so that a socket file without it is known to be stale.
    _lock: Option<File>,
}

impl Default for Server {
    fn default() -> Self {
        Self { listening: None, others: mpsc::unbounded_channel(), counters: Arc::default(), _lock: None }
    }
}

impl Server {
    /// Locks the directory, and makes the socket. Needs a running tokio runtime.
    ///
    /// # Errors
    ///
    /// Another daemon runs, or the system refuses.
    pub fn bind(roots: &Roots) -> Result<Self, SocketError> {
        let lock = lock_directory(&roots.runtime, LET_GO)?;
        Ok(Self {
            listening: Some(Listening::bind(roots, Protocol::Lines)?),
            _lock: Some(lock),
            ..Self::default()
        })
    }

    /// Where to send a socket that is to take the place of the one before of its protocol.
    pub fn listen_on(&self) -> mpsc::UnboundedSender<Listening> {
        self.others.0.clone()
    }

    /// Figures for `prpt stats`.
    pub fn counters(&self) -> Arc<SocketCounters> {
        Arc::clone(&self.counters)
    }

    /// Serves in a thread of its own, until what it gives is dropped.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub fn start(self, memory: Memory, answers: Arc<dyn Answers>) -> io::Result<Serving> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("socket".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! { () = self.run(memory, answers) => {}, _ = stopped => {} }
            });
        })?;
        Ok(Serving { stop: Some(stop), thread: Some(thread) })
    }

    /// Serves until the future is dropped.
    pub async fn run(mut self, memory: Memory, answers: Arc<dyn Answers>) {
        let (mut lines, mut varlink): (Option<Bound>, Option<Bound>) = (None, None);
        let refusals = Arc::new(Semaphore::new(REFUSED_CLIENTS));
        let mut clients = JoinSet::new();
        let mut complained = false;
        let mut in_a_row = 0;
        loop {
            while clients.try_join_next().is_some() {}
            if let Some(next) = self.listening.take() {
                match next.listener.try_clone().and_then(UnixListener::from_std) {
                    Ok(listener) if next.protocol == Protocol::Varlink => varlink = Some((listener, next)),
                    Ok(listener) => lines = Some((listener, next)),
                    Err(error) => tracing::error!("cannot serve {}: {error}", next.path.display()),
                }
            }
            let (protocol, accepted) = tokio::select! {
                next = self.others.1.recv() => {
                    self.listening = next;
                    continue;
                }
                accepted = accept(&lines) => (Protocol::Lines, accepted),
                accepted = accept(&varlink) => (Protocol::Varlink, accepted),
            };
            let stream = match accepted {
                Ok((stream, _)) => {
                    complained = false;
                    stream
                }
                Err(error) => {
                    if !std::mem::replace(&mut complained, true) {
                        tracing::warn!("cannot take a client at the socket: {error}");
                    }
                    sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            let peer = match stream.peer_cred() {
                Ok(peer) => Peer { uid: peer.uid(), pid: peer.pid() },
                Err(error) => {
                    tracing::warn!("cannot know who asks at the socket: {error}");
                    continue;
                }
            };
            let is_root = peer.uid == 0;
            let (memory, answers, counters) = (memory.clone(), Arc::clone(&answers), self.counters());
            match counters.slots.enter(is_root, peer.pid) {
                Some(number) => {
                    counters.accepted.fetch_add(1, Ordering::Relaxed);
                    let served = Arc::clone(&counters);
                    let task = clients.spawn(async move {
                        let client = Client::new(stream, &counters, number);
                        // A client that went away is no error.
                        let _gone = match protocol {
                            Protocol::Lines => client.serve(&memory, answers.as_ref(), peer).await,
                            Protocol::Varlink => {
                                varlink::serve(client, &memory, answers.as_ref(), peer).await
                            }
                        };
                        counters.slots.leave(number);
                    });
                    served.slots.is_served_by(number, task);
                }
                None => {
                    counters.refused.fetch_add(1, Ordering::Relaxed);
                    if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
                        clients.spawn(async move {
                            let (mut from, mut to) = stream.into_split();
                            if to.write_all(&protocol.refusal(is_root)).await.is_ok() {
                                linger(&mut from, &mut to).await;
                            }
                            drop(permit);
                        });
                    }
                }
            }
            in_a_row += 1;
            if in_a_row >= TAKEN_IN_A_ROW {
                in_a_row = 0;
                tokio::task::yield_now().await;
            }
        }
    }
}

/// A socket that is served.
type Bound = (UnixListener, Listening);

async fn accept(bound: &Option<Bound>) -> io::Result<(UnixStream, tokio::net::unix::SocketAddr)> {
    match bound {
        Some((listener, _)) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// The thread of a socket that is served; dropping it ends that.
#[derive(Debug)]
pub struct Serving {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _panicked = self.thread.take().map(std::thread::JoinHandle::join);
    }
}
