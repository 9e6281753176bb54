//! D-Bus: objects for devices that had an event, for open incidents and for the daemon, and signals, as `org.peripety1`.
//!
//! Signals reach every local user, so no text of the kernel is in them; details are given by methods to who may read the
//! journal. One thread with a runtime of its own follows the daemon and serves the bus.

mod act;
mod apply;
mod detail;
mod error;
mod names;
mod objects;
mod shown;
mod tree;
mod view;
mod who;

use std::{
    io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use peripety::internal::Roots;
use peripety_client::{Content, Item, Next, Options, Source, Start, Stream};
use serde::Deserialize;
use tokio::io::{Interest, unix::AsyncFd};
use zbus::{Connection, connection::Builder, fdo::ObjectManager};

use self::{
    apply::Bus,
    detail::{ASKING_MAX, Detail},
    objects::ManagerObject,
    shown::Shown,
    tree::Tree,
};

/// Where the system's bus is (the D-Bus specification, "Well-known Message Bus Instances").
const SYSTEM_BUS: [&str; 2] = ["/run/dbus/system_bus_socket", "/var/run/dbus/system_bus_socket"];
/// How long to wait for a bus or a daemon that is not there; ever longer.
const WAIT: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(300));

/// `[dbus]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Whether it is on.
    #[serde(default = "yes")]
    enabled: bool,
    /// Another bus than the system's, by its address.
    #[serde(default)]
    address: Option<String>,
}

const fn yes() -> bool {
    true
}

impl Default for Config {
    fn default() -> Self {
        Self { enabled: true, address: None }
    }
}

/// The bus cannot be served.
#[derive(Debug, thiserror::Error)]
enum BusError {
    #[error(
        "the name {} cannot be had on the bus: {source}; /usr/share/dbus-1/system.d/{}.conf has to allow it, and no other peripety-notify may run",
        names::NAME,
        names::NAME
    )]
    Name { source: zbus::Error },
    #[error("D-Bus: {0}")]
    Bus(#[from] zbus::Error),
    #[error("the bus closed the connection")]
    Closed,
    #[error(transparent)]
    Daemon(#[from] peripety_client::Error),
    #[error("a descriptor cannot be waited for: {0}")]
    System(#[from] io::Error),
}

/// Serves the bus on a thread, if there is one.
///
/// # Errors
/// There is no thread.
pub(crate) fn start(config: &Config, roots: &Roots) -> io::Result<()> {
    let named = config.address.is_some() || std::env::var_os("DBUS_SYSTEM_BUS_ADDRESS").is_some();
    if !config.enabled || !(named || SYSTEM_BUS.iter().any(|path| Path::new(path).exists())) {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(ASKING_MAX + 1)
        .thread_keep_alive(Duration::from_secs(2))
        .thread_stack_size(512 << 10)
        .build()?;
    let (config, roots) = (config.clone(), roots.clone());
    let work = move || runtime.block_on(forever(&config, &roots));
    thread::Builder::new().name("dbus".to_owned()).stack_size(1 << 20).spawn(work).map(drop)
}

async fn forever(config: &Config, roots: &Roots) {
    let (mut wait, mut said) = (WAIT.0, String::new());
    loop {
        let start = Instant::now();
        let error = match serve(config, roots).await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        if start.elapsed() > WAIT.1 {
            // It was served for long: this is no more the failure of before.
            (wait, said) = (WAIT.0, String::new());
        }
        let text = error.to_string();
        if text != said {
            tracing::warn!("{text}");
            said = text;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(WAIT.1);
    }
}

async fn serve(config: &Config, roots: &Roots) -> Result<std::convert::Infallible, BusError> {
    let builder = match &config.address {
        Some(address) => Builder::address(address.as_str()),
        None => Builder::system(),
    };
    let detail = Detail::new(roots);
    let manager = ManagerObject { detail: detail.clone(), shown: Shown::default() };
    let builder = builder.serve_at(names::ROOT, ObjectManager).serve_at(names::MANAGER, manager);
    let connection = builder.build().await?;
    let mut follower =
        Follower { bus: Bus::new(&connection, detail.clone()), tree: Tree::default(), detail, named: false };
    let closed = connection.clone();
    tokio::select! {
        () = closed.closed() => Err(BusError::Closed),
        result = follower.follow(roots, &connection) => result,
    }
}

struct Follower {
    bus: Bus,
    tree: Tree,
    detail: Detail,
    /// The name is had: signals mean something.
    named: bool,
}

impl Follower {
    async fn follow(
        &mut self,
        roots: &Roots,
        connection: &Connection,
    ) -> Result<std::convert::Infallible, BusError> {
        let mut wait = WAIT.0;
        loop {
            let options = Options {
                incidents: true,
                // What comes first is what is stored: objects without signals.
                start: if self.named { Start::Now } else { Start::Stored },
                source: Source::Socket,
                socket: roots.socket(),
                ..Options::default()
            };
            match Stream::open(options) {
                Ok(stream) => {
                    wait = WAIT.0;
                    self.take_all(stream, connection).await?;
                }
                Err(error) => {
                    tracing::debug!("D-Bus: {error}");
                    self.own(connection).await?;
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WAIT.1);
        }
    }

    /// Takes what comes until the stream cannot be read any more.
    async fn take_all(&mut self, mut stream: Stream, connection: &Connection) -> Result<(), BusError> {
        let fd = std::os::fd::AsFd::as_fd(&stream).try_clone_to_owned()?;
        #[expect(deprecated, reason = "the descriptor is owned, and stays open: the other way is unsafe")]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        loop {
            loop {
                match stream.try_next() {
                    Ok(Next::Item(item)) => self.take(&item, connection).await?,
                    Ok(Next::Nothing) => break,
                    Ok(Next::Over) => return Ok(()),
                    Err(error) => {
                        tracing::warn!("D-Bus: {error}");
                        return self.bus.daemon(false, &self.tree).await.map_err(BusError::from);
                    }
                }
            }
            // What became ready meanwhile is known: nothing is waited for in vain.
            fd.readable().await?.clear_ready();
        }
    }

    async fn take(&mut self, item: &Item, connection: &Connection) -> Result<(), BusError> {
        self.bus.counts(item, self.named).await?;
        let changes = match item.content() {
            Content::Event(event) => self.tree.take_event(event),
            Content::Incident(incident) => self.tree.take_incident(incident),
            Content::Live => match self.detail.open_for_objects().await {
                Ok(open) => self.tree.sync(&open),
                Err(error) => {
                    tracing::debug!("D-Bus: open incidents: {error}");
                    Vec::new()
                }
            },
            Content::Gap(why) => {
                self.bus.lost(why).await?;
                Vec::new()
            }
            Content::Disconnected => {
                self.bus.daemon(false, &self.tree).await?;
                return Ok(());
            }
        };
        self.bus.apply(changes, item, self.named).await?;
        let live = matches!(item.content(), Content::Live);
        if live || matches!(item.content(), Content::Incident(_)) {
            self.bus.daemon(true, &self.tree).await?;
        }
        if live {
            self.own(connection).await?;
        }
        Ok(())
    }

    /// Asks for the name, once the objects are there.
    async fn own(&mut self, connection: &Connection) -> Result<(), BusError> {
        if !self.named {
            connection.request_name(names::NAME).await.map_err(|source| BusError::Name { source })?;
            self.named = true;
            tracing::info!("D-Bus: {} is served", names::NAME);
        }
        Ok(())
    }
}
