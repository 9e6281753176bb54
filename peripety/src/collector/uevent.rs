//! Uevents: the kernel's, which come first, and udev's, which come when its rules have run and its database is written.
//!
//! Only the kernel is believed to be the kernel: its messages have the port id 0, which no process can have. Messages of
//! udev are believed when the credentials that the kernel attached to them are root's (promise 7).

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    path::PathBuf,
};

use tokio::io::{Interest, unix::AsyncFd};

use self::socket::{MESSAGE, Socket};
pub(crate) use self::{
    backlog::{Backlog, Waiting},
    socket::Sockets,
};
use super::async_fd::{drained, watch};
use crate::{block::Dev, record::Uevent, roots::Roots};

mod backlog;
mod socket;

/// Why a message is no uevent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UeventError {
    /// The message ends too early.
    #[error("uevent of {0} bytes is cut off")]
    Short(usize),
    /// Neither the kernel's nor udev's form.
    #[error("uevent has no known header")]
    Header,
    /// Something that every uevent has is missing.
    #[error("uevent has no {0}")]
    Missing(&'static str),
    /// The path would lead out of sysfs.
    #[error("uevent has the path '{0}', which leads out of sysfs")]
    Path(String),
}

/// The start of a message of udev (libudev's `struct udev_monitor_netlink_header`).
const UDEV_PREFIX: &[u8] = b"libudev\0";
/// In network byte order after the prefix.
const UDEV_MAGIC: u32 = 0xfeed_cafe;
/// The kernel has at most 64 variables (UEVENT_NUM_ENVP); udev's rules add more.
const PROPERTIES_MOST: usize = 4096;

/// Reads a message of the kernel or of udev. Whether its sender may be believed is another matter.
///
/// # Errors
///
/// When the message is not of either form.
pub fn parse_uevent(message: &[u8]) -> Result<Uevent, UeventError> {
    let udev = message.starts_with(UDEV_PREFIX);
    let mut uevent = Uevent { udev, ..Uevent::default() };
    let body = if udev {
        udev_properties(message)?
    } else {
        // The kernel starts with `action@devpath`.
        let end = message.iter().position(|b| *b == 0).ok_or(UeventError::Short(message.len()))?;
        let (header, body) = message.split_at_checked(end + 1).ok_or(UeventError::Short(message.len()))?;
        if !header.contains(&b'@') {
            return Err(UeventError::Header);
        }
        body
    };
    for pair in body.split(|b| *b == 0).take(PROPERTIES_MOST) {
        if let Some((key, value)) = String::from_utf8_lossy(pair).split_once('=') {
            uevent.properties.push((key.to_owned(), value.to_owned()));
        }
    }
    let get = |key: &'static str| uevent.get(key).map(str::to_owned).ok_or(UeventError::Missing(key));
    let (action, subsystem, devpath) = (get("ACTION")?, get("SUBSYSTEM")?, get("DEVPATH")?);
    if !devpath.starts_with('/') || devpath.split('/').any(|part| part == "..") {
        return Err(UeventError::Path(devpath));
    }
    uevent.seq = uevent.get("SEQNUM").and_then(|seq| seq.parse().ok()).unwrap_or_default();
    let number = |key: &str| uevent.get(key)?.parse::<u32>().ok();
    uevent.dev =
        number("MAJOR").zip(number("MINOR")).filter(|_| subsystem == "block").map(|(a, b)| Dev::new(a, b));
    (uevent.action, uevent.subsystem, uevent.devpath) = (action, subsystem, devpath);
    Ok(uevent)
}

/// Where the header says that the properties are.
fn udev_properties(message: &[u8]) -> Result<&[u8], UeventError> {
    let short = || UeventError::Short(message.len());
    let word = |at: usize| -> Result<[u8; 4], UeventError> {
        message.get(at..at + 4).and_then(|raw| raw.try_into().ok()).ok_or_else(short)
    };
    if u32::from_be_bytes(word(8)?) != UDEV_MAGIC {
        return Err(UeventError::Header);
    }
    // After the magic: size of the header, then offset and length of the properties, in the byte order of the machine.
    let offset = usize::try_from(u32::from_ne_bytes(word(16)?)).map_err(|_too_large| short())?;
    let length = usize::try_from(u32::from_ne_bytes(word(20)?)).map_err(|_too_large| short())?;
    let end = offset.checked_add(length).ok_or_else(short)?;
    message.get(offset..end).ok_or_else(short)
}

/// The sockets on which uevents come.
#[derive(Debug)]
pub(crate) struct UeventMonitor {
    kernel: AsyncFd<FdOf>,
    udev: Option<AsyncFd<FdOf>>,
    seqnum: PathBuf,
    buffer: Vec<u8>,
    backlog: Backlog,
}

/// A socket, for tokio.
#[derive(Debug)]
struct FdOf(Socket);

impl AsRawFd for FdOf {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl AsFd for FdOf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl UeventMonitor {
    /// Reads from the sockets, inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// When a socket cannot be waited for.
    pub(crate) fn new(Sockets { kernel, udev, .. }: Sockets, roots: &Roots) -> io::Result<Self> {
        let watched = |socket| watch(FdOf(socket), Interest::READABLE);
        Ok(Self {
            kernel: watched(kernel)?,
            udev: udev.map(watched).transpose()?,
            seqnum: roots.sysfs.join("kernel/uevent_seqnum"),
            buffer: vec![0; MESSAGE],
            backlog: Backlog::default(),
        })
    }

    /// Waits until there is something to take. Losing the future loses nothing.
    ///
    /// # Errors
    ///
    /// When a socket fails.
    pub(crate) async fn ready(&mut self) -> io::Result<()> {
        if !self.backlog.is_empty() {
            return Ok(());
        }
        let udev_ready = async {
            match &self.udev {
                Some(udev) => udev.readable().await,
                None => std::future::pending().await,
            }
        };
        // What was not read to its end is still readable.
        tokio::select! {
            biased;
            ready = self.kernel.readable() => drop(ready?),
            ready = udev_ready => drop(ready?),
        }
        Ok(())
    }

    /// Reads what has come, without waiting; after [`UeventMonitor::ready`], or at any time. What is read waits in the
    /// backlog, which is bounded.
    ///
    /// # Errors
    ///
    /// When a socket fails.
    pub(crate) fn read(&mut self) -> io::Result<&mut Backlog> {
        let Self { kernel, udev, seqnum, buffer, backlog } = self;
        let sent = || std::fs::read_to_string(&*seqnum).ok()?.trim().parse().ok();
        for socket in std::iter::once(kernel).chain(udev) {
            if socket.get_mut().0.read(buffer, &sent, backlog)? {
                drained(socket);
            }
        }
        Ok(backlog)
    }

    /// What was read and waits.
    pub(crate) const fn backlog(&mut self) -> &mut Backlog {
        &mut self.backlog
    }

    /// How many messages were not believed or not understood.
    #[cfg(test)]
    pub(crate) fn ignored(&self) -> u64 {
        self.kernel.get_ref().0.ignored() + self.udev.as_ref().map_or(0, |udev| udev.get_ref().0.ignored())
    }
}

#[cfg(test)]
mod tests;
