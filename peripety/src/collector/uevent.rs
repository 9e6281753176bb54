//! Uevents: the kernel's, which come first, and udev's, which come when its rules have run and its database is written.
//!
//! Only the kernel is believed to be the kernel: its messages have the port id 0, which no process can have. Messages of
//! udev are believed when the credentials that the kernel attached to them are root's (promise 7).

use std::{
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    path::PathBuf,
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SocketFlags,
        SocketType,
        netlink::{self, SocketAddrNetlink},
        sockopt,
    },
};
use tokio::io::{Interest, unix::AsyncFd};

pub(crate) use backlog::{Backlog, Waiting};

use super::wait::{drained, watch};
use crate::{
    block::Dev,
    record::{Lost, Uevent},
    roots::Roots,
};

mod backlog;

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

/// Who sends to a socket: its multicast group (enum udev_monitor_netlink_group).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Kernel = 1,
    Udev = 2,
}

/// Room for a storm: adding a disk array sends thousands of uevents in a second. A limit, not a reservation. It is memory
/// of the kernel, and taken from all of the machine.
const BUFFER: usize = 16 << 20;
/// Messages that are read in a row.
const MESSAGES_MOST: usize = 2048;
/// Larger than any message: the kernel's have up to 2 KiB of variables, udev's up to 8 KiB.
const MESSAGE: usize = 64 << 10;

#[derive(Debug)]
struct Socket {
    fd: OwnedFd,
    sender: Sender,
    /// Sequence number of the last uevent.
    last_seq: u64,
    /// Messages that were not believed or not understood.
    ignored: u64,
}

impl Socket {
    fn open(sender: Sender) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            flags,
            Some(netlink::KOBJECT_UEVENT),
        )?;
        // The first way needs CAP_NET_ADMIN, the second is limited by net.core.rmem_max.
        if sockopt::set_socket_recv_buffer_size_force(&fd, BUFFER).is_err() {
            let _limited = sockopt::set_socket_recv_buffer_size(&fd, BUFFER);
        }
        if sender == Sender::Udev {
            sockopt::set_socket_passcred(&fd, true)?;
        }
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, sender as u32))?;
        Ok(Self { fd, sender, last_seq: 0, ignored: 0 })
    }

    /// What has come, without waiting; no more than a visit's share. Whether that was all.
    fn read(
        &mut self,
        buffer: &mut [u8],
        seqnum: &dyn Fn() -> Option<u64>,
        backlog: &mut Backlog,
    ) -> io::Result<bool> {
        let mut overrun = false;
        let mut all = false;
        for _message in 0..MESSAGES_MOST {
            match self.receive(buffer) {
                Ok(Some(uevent)) => {
                    self.last_seq = uevent.seq.max(self.last_seq);
                    backlog.push(uevent);
                }
                Ok(None) => self.ignored += 1,
                Err(Errno::NOBUFS) => overrun = true,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    all = true;
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if overrun {
            let lost = self.lost(seqnum());
            backlog.lost(lost);
        }
        Ok(all)
    }

    /// What is missing between the last uevent that came and the last one that was sent. The kernel counts uevents of other
    /// network namespaces too, so this is the most that can be missing.
    fn lost(&mut self, sent: Option<u64>) -> Lost {
        let (source, sent) = match self.sender {
            Sender::Kernel => ("uevent", sent.unwrap_or_default()),
            Sender::Udev => ("uevent:udev", 0),
        };
        let count = sent.saturating_sub(self.last_seq).max(1);
        let sequence = format!("{}+{count}", self.last_seq);
        self.last_seq = sent.max(self.last_seq);
        Lost { source: source.to_owned(), reason: "socket buffer full".to_owned(), count, sequence }
    }

    /// One message; none when it is not to be believed or not understood.
    fn receive(&self, buffer: &mut [u8]) -> Result<Option<Uevent>, Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let message = rustix::net::recvmsg(
            &self.fd,
            &mut [IoSliceMut::new(buffer)],
            &mut control,
            RecvFlags::DONTWAIT,
        )?;
        let from = message.address.and_then(|address| SocketAddrNetlink::try_from(address).ok());
        let root = control.drain().any(|extra| match extra {
            RecvAncillaryMessage::ScmCredentials(sender) => sender.uid.is_root(),
            _ => false,
        });
        // A message to no group was sent to this very socket, by a process.
        let believed = from.is_some_and(|from| match self.sender {
            Sender::Kernel => from.pid() == 0 && from.groups() == Sender::Kernel as u32,
            Sender::Udev => from.pid() != 0 && from.groups() == Sender::Udev as u32 && root,
        });
        if !believed || message.flags.contains(ReturnFlags::TRUNC) {
            return Ok(None);
        }
        let uevent = buffer.get(..message.bytes).and_then(|raw| parse_uevent(raw).ok());
        Ok(uevent.filter(|uevent| uevent.udev == (self.sender == Sender::Udev)))
    }
}

/// Inode of the initial pid namespace (PROC_PID_INIT_INO).
const INITIAL_PID_NAMESPACE: u64 = 0xefff_fffc;

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
        self.0.fd.as_raw_fd()
    }
}

impl AsFd for FdOf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}

impl UeventMonitor {
    /// Opens the sockets, inside a tokio runtime. Open before the first scan of devices, so that nothing falls between.
    ///
    /// # Errors
    ///
    /// When the kernel gives no socket. Without udev's socket it goes on with the kernel's alone.
    pub(crate) fn open(roots: &Roots) -> io::Result<Self> {
        // In another pid namespace the kernel attaches no sender's pid, and nobody there is known to be udev.
        let namespace = std::fs::metadata(roots.procfs.join("self/ns/pid"));
        let initial =
            namespace.is_ok_and(|meta| std::os::unix::fs::MetadataExt::ino(&meta) == INITIAL_PID_NAMESPACE);
        let udev = initial.then(|| Socket::open(Sender::Udev).ok()).flatten();
        Ok(Self {
            kernel: watch(FdOf(Socket::open(Sender::Kernel)?), Interest::READABLE)?,
            udev: udev.map(|socket| watch(FdOf(socket), Interest::READABLE)).transpose()?,
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
        self.kernel.get_ref().0.ignored + self.udev.as_ref().map_or(0, |udev| udev.get_ref().0.ignored)
    }
}

#[cfg(test)]
mod tests;
