//! The sockets of uevents: opened before the daemon gives up its rights, or by systemd.

use std::{
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixListener,
    },
};

use rustix::{
    io::{Errno, FdFlags},
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SocketFlags,
        SocketType,
        netlink::{self, SocketAddrNetlink},
        sockopt,
    },
};

use super::{Backlog, parse_uevent};
use crate::{
    record::{Lost, Uevent},
    roots::Roots,
};

/// Who sends to a socket: its multicast group (enum udev_monitor_netlink_group).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Kernel = 1,
    Udev = 2,
}

impl Sender {
    const ALL: [Self; 2] = [Self::Kernel, Self::Udev];
}

/// Room for a storm: adding a disk array sends thousands of uevents in a second. A limit, not a reservation. It is memory
/// of the kernel, and taken from all of the machine.
const BUFFER: usize = 16 << 20;
/// Messages that are read in a row.
const MESSAGES_MOST: usize = 2048;
/// More messages than a buffer has room for.
const FORGOTTEN_MOST: usize = 1 << 16;
/// Larger than any message: the kernel's have up to 2 KiB of variables, udev's up to 8 KiB.
pub(super) const MESSAGE: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    sender: Sender,
    /// Sequence number of the last uevent.
    last_seq: u64,
    /// Messages that were not believed or not understood.
    ignored: u64,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Socket {
    pub(super) fn open(sender: Sender) -> io::Result<Self> {
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

    /// One that the service manager opened, if it is a socket of uevents.
    pub(super) fn given(fd: OwnedFd) -> io::Result<Option<Self>> {
        let is_netlink = sockopt::socket_domain(&fd)? == AddressFamily::NETLINK;
        if !is_netlink || sockopt::socket_protocol(&fd)? != Some(netlink::KOBJECT_UEVENT) {
            return Ok(None);
        }
        let bound = SocketAddrNetlink::try_from(rustix::net::getsockname(&fd)?)?;
        let Some(sender) = Sender::ALL.into_iter().find(|sender| bound.groups() == *sender as u32) else {
            return Ok(None);
        };
        rustix::io::fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&fd, true)?;
        sockopt::set_socket_passcred(&fd, true)?;
        let mut socket = Self { fd, sender, last_seq: 0, ignored: 0 };
        socket.forget();
        Ok(Some(socket))
    }

    /// Forgets what came before the devices are read: what it would change is read with them.
    fn forget(&mut self) {
        let mut buffer = vec![0; MESSAGE];
        for _message in 0..FORGOTTEN_MOST {
            match self.receive(&mut buffer) {
                Ok(Some(uevent)) => self.last_seq = uevent.seq.max(self.last_seq),
                Ok(None) | Err(Errno::NOBUFS | Errno::INTR) => {}
                // Another error is met again where it is reported.
                Err(_) => return,
            }
        }
    }

    #[cfg(test)]
    pub(super) const fn sender(&self) -> Sender {
        self.sender
    }

    /// How many messages were not believed or not understood.
    #[cfg(test)]
    pub(super) const fn ignored(&self) -> u64 {
        self.ignored
    }

    /// What has come, without waiting; no more than a visit's share. Whether that was all.
    pub(super) fn read(
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

/// The sockets on which uevents will come.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(super) kernel: Socket,
    pub(super) udev: Option<Socket>,
    varlink: Option<UnixListener>,
}

/// What `peripety-varlink.socket` calls its socket.
const VARLINK: &str = "varlink";

impl Sockets {
    /// Takes the sockets that the service manager opened (`peripetyd.socket`), and opens those that are missing. To be called
    /// before the first scan of devices, so that nothing falls between, and while the process has its rights: a large buffer
    /// takes `CAP_NET_ADMIN`, and udev sends in the host's network namespace alone.
    ///
    /// # Errors
    ///
    /// When the kernel gives no socket. Without udev's socket it goes on with the kernel's alone.
    pub(crate) fn open(roots: &Roots) -> io::Result<Self> {
        let (mut kernel, mut udev) = (None, None);
        let given = sd_listen_fds::get().unwrap_or_else(|error| {
            tracing::warn!("cannot use the sockets given to the daemon: {error}");
            Vec::new()
        });
        let mut varlink = None;
        for (name, fd) in given {
            if name.as_deref() == Some(VARLINK) {
                varlink = Some(UnixListener::from(fd.into_std()));
                continue;
            }
            match Socket::given(fd.into_std()) {
                Ok(Some(socket)) if socket.sender == Sender::Kernel => kernel = Some(socket),
                Ok(Some(socket)) => udev = Some(socket),
                Ok(None) => tracing::warn!("one of the sockets given to the daemon is none of uevents"),
                Err(error) => tracing::warn!("cannot use a socket given to the daemon: {error}"),
            }
        }
        let kernel = kernel.map_or_else(|| Socket::open(Sender::Kernel), Ok)?;
        // In another pid namespace the kernel attaches no sender's pid, and nobody there is known to be udev.
        let namespace = std::fs::metadata(roots.procfs.join("self/ns/pid"));
        let initial =
            namespace.is_ok_and(|meta| std::os::unix::fs::MetadataExt::ino(&meta) == INITIAL_PID_NAMESPACE);
        let udev = if initial { udev.or_else(|| Socket::open(Sender::Udev).ok()) } else { None };
        Ok(Self { kernel, udev, varlink })
    }

    /// The socket for Varlink that the service manager made, which is none of uevents (`peripety-varlink.socket`).
    pub(crate) fn take_varlink(&mut self) -> Option<UnixListener> {
        self.varlink.take()
    }
}
