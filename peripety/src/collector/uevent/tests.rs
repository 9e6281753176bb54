//! Messages as they come, messages that lie, and the real socket.

use std::{mem::MaybeUninit, os::fd::OwnedFd, time::Duration};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketType, UCred,
        netlink::{self, SocketAddrNetlink},
        sockopt,
    },
};

use super::{socket::Sender, *};

fn kernel(pairs: &[&str]) -> Vec<u8> {
    let mut message = b"change@/devices/virtual/block/dm-0\0".to_vec();
    for pair in pairs {
        message.extend(pair.bytes());
        message.push(0);
    }
    message
}

const DM: &[&str] = &[
    "ACTION=change",
    "DEVPATH=/devices/virtual/block/dm-0",
    "SUBSYSTEM=block",
    "DM_ACTION=PATH_FAILED",
    "DM_PATH=8:48",
    "MAJOR=253",
    "MINOR=300",
    "SEQNUM=4711",
];

fn udev(pairs: &[&str]) -> Vec<u8> {
    let body: Vec<u8> = pairs.iter().flat_map(|pair| pair.bytes().chain([0])).collect();
    let mut message = b"libudev\0".to_vec();
    message.extend(0xfeed_cafe_u32.to_be_bytes());
    for word in [40, 40, u32::try_from(body.len()).unwrap(), 0, 0, 0, 0] {
        message.extend(word.to_ne_bytes());
    }
    message.extend(body);
    message
}

#[test]
fn messages_of_the_kernel_and_of_udev_say_the_same() {
    let of_kernel = parse_uevent(&kernel(DM)).unwrap();
    assert_eq!((of_kernel.action.as_str(), of_kernel.subsystem.as_str()), ("change", "block"));
    assert_eq!(of_kernel.devpath, "/devices/virtual/block/dm-0");
    assert_eq!((of_kernel.dev, of_kernel.seq), (Some(Dev::new(253, 300)), 4711));
    assert_eq!(of_kernel.get("DM_PATH"), Some("8:48"));
    let of_udev = parse_uevent(&udev(DM)).unwrap();
    assert!(of_udev.udev && !of_kernel.udev);
    assert_eq!(Uevent { udev: false, ..of_udev }, of_kernel);
}

#[test]
fn the_number_of_a_character_device_is_no_block_device() {
    let message = kernel(&["ACTION=add", "DEVPATH=/devices/x", "SUBSYSTEM=tty", "MAJOR=4", "MINOR=1"]);
    assert_eq!(parse_uevent(&message).unwrap().dev, None);
}

#[test]
fn broken_messages_are_errors() {
    assert_eq!(parse_uevent(b""), Err(UeventError::Short(0)));
    assert_eq!(parse_uevent(b"add@/devices/x"), Err(UeventError::Short(14)));
    assert_eq!(parse_uevent(b"nonsense\0ACTION=add\0"), Err(UeventError::Header));
    assert_eq!(
        parse_uevent(&kernel(&["ACTION=add", "SUBSYSTEM=block"])),
        Err(UeventError::Missing("DEVPATH"))
    );
    let out = kernel(&["ACTION=add", "SUBSYSTEM=block", "DEVPATH=/devices/../../etc"]);
    assert!(matches!(parse_uevent(&out), Err(UeventError::Path(_))));
    let whole = udev(DM);
    for cut in 0..whole.len() {
        assert!(parse_uevent(&whole[..cut]).is_err(), "cut at {cut}");
    }
    let mut wrong = whole.clone();
    wrong[8] = 0;
    assert_eq!(parse_uevent(&wrong), Err(UeventError::Header));
    let mut far = whole;
    far[16..20].copy_from_slice(&u32::MAX.to_ne_bytes());
    assert!(parse_uevent(&far).is_err());
}

proptest::proptest! {
    #[test]
    fn no_message_makes_it_panic(raw in proptest::collection::vec(proptest::num::u8::ANY, 0..300), as_udev: bool) {
        let mut message = if as_udev { b"libudev\0\xfe\xed\xca\xfe".to_vec() } else { Vec::new() };
        message.extend(raw);
        let _ = parse_uevent(&message);
    }
}

/// Sends to udev's group as `uid`: root may claim to be anyone.
fn send(message: &[u8], group: u32, uid: u32) {
    let socket =
        rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, Some(netlink::KOBJECT_UEVENT)).unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let sender = UCred {
        pid: rustix::process::getpid(),
        uid: rustix::process::Uid::from_raw(uid),
        gid: rustix::process::Gid::from_raw(uid),
    };
    assert!(control.push(SendAncillaryMessage::ScmCredentials(sender)));
    // Sent to port 0 as well, the kernel would repeat it as its own: root may ask it to. To a port that is nobody's, the
    // group gets it and the rest of the sending fails.
    let to = SocketAddrNetlink::new(0x7fff_fff0, group);
    let sent = rustix::net::sendmsg_addr(
        &socket,
        &to,
        &[io::IoSlice::new(message)],
        &mut control,
        SendFlags::empty(),
    );
    assert_eq!(sent, Err(Errno::CONNREFUSED));
}

/// Any block device's directory: reading its number again harms nobody.
fn a_disk() -> PathBuf {
    std::fs::read_dir("/sys/class/block").unwrap().next().unwrap().unwrap().path()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn monitor() -> UeventMonitor {
    let roots = Roots::system();
    UeventMonitor::new(Sockets::open(&roots).unwrap(), &roots).unwrap()
}

/// What comes within a second and satisfies `wanted`.
async fn next(monitor: &mut UeventMonitor, wanted: impl Fn(&Uevent) -> bool) -> Option<Uevent> {
    let search = async {
        loop {
            monitor.ready().await.unwrap();
            let backlog = monitor.read().unwrap();
            while let Some(waiting) = backlog.take() {
                if let Waiting::Event { uevent, .. } = waiting
                    && wanted(&uevent)
                {
                    return uevent;
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(1), search).await.ok()
}

#[test]
fn the_kernel_is_heard_and_nobody_can_speak_for_it() {
    if !rustix::process::getuid().is_root() {
        println!("skipped: making the kernel send a uevent needs root");
        return;
    }
    runtime().block_on(async {
        let mut monitor = monitor();
        let disk = a_disk();
        std::fs::write(disk.join("uevent"), "change").unwrap();
        let got = next(&mut monitor, |u| !u.udev && disk.ends_with(u.devpath.rsplit('/').next().unwrap()))
            .await
            .expect("the kernel was not read");
        assert!(!got.udev && got.action == "change" && got.seq > 0);
        let before = monitor.ignored();
        send(&kernel(DM), Sender::Kernel as u32, 0);
        assert_eq!(next(&mut monitor, |u| !u.udev && u.get("DM_PATH").is_some()).await, None);
        assert!(monitor.ignored() > before);
    });
}

#[test]
fn udev_is_believed_when_it_is_root() {
    if !rustix::process::getuid().is_root() {
        println!("skipped: sending to udev's group needs root");
        return;
    }
    runtime().block_on(async {
        let mut monitor = monitor();
        if monitor.udev.is_none() {
            println!("skipped: not in the initial pid namespace");
            return;
        }
        let forged: Vec<&str> = DM.iter().copied().chain(["FORGED=1"]).collect();
        send(&udev(&forged), Sender::Udev as u32, 1000);
        // The kernel's form in udev's group is nobody's.
        send(&kernel(&forged), Sender::Udev as u32, 0);
        send(&udev(DM), Sender::Udev as u32, 0);
        let got = next(&mut monitor, |u| u.udev).await.expect("udev was not read");
        assert_eq!((got.get("FORGED"), got.seq), (None, 4711));
        assert!(monitor.ignored() >= 2);
    });
}

#[test]
fn an_overrun_is_told_with_a_count() {
    if !rustix::process::getuid().is_root() {
        println!("skipped: making the kernel send uevents needs root");
        return;
    }
    let mut socket = Socket::open(Sender::Kernel).unwrap();
    sockopt::set_socket_recv_buffer_size(&socket, 1).unwrap();
    let trigger = a_disk().join("uevent");
    for _ in 0..100 {
        std::fs::write(&trigger, "change").unwrap();
    }
    let sent = || std::fs::read_to_string("/sys/kernel/uevent_seqnum").ok()?.trim().parse().ok();
    let mut backlog = Backlog::default();
    assert!(socket.read(&mut vec![0; MESSAGE], &sent, &mut backlog).unwrap());
    let (folded, _) = backlog.counters();
    let waiting: Vec<Waiting> = std::iter::from_fn(|| backlog.take()).collect();
    let events = folded + waiting.iter().filter(|w| matches!(w, Waiting::Event { .. })).count() as u64;
    let Some(Waiting::Lost(lost)) = waiting.last() else { panic!("no loss in {waiting:?}") };
    assert!(lost.count + events >= 100, "{events} came, {lost:?}");
    // Nothing new is lost afterwards.
    assert!(socket.read(&mut vec![0; MESSAGE], &sent, &mut backlog).unwrap());
    assert!(!std::iter::from_fn(|| backlog.take()).any(|w| matches!(w, Waiting::Lost(_))));
}

#[test]
fn a_socket_of_the_service_manager_is_known_by_its_group_and_begins_empty() {
    if !rustix::process::getuid().is_root() {
        println!("skipped: making the kernel send uevents needs root");
        return;
    }
    let open = |group: u32| -> OwnedFd {
        let raw = Some(netlink::KOBJECT_UEVENT);
        let socket = rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, raw).unwrap();
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, group)).unwrap();
        socket
    };
    let (kernel, udev) = (open(1), open(2));
    let trigger = a_disk().join("uevent");
    for _ in 0..3 {
        std::fs::write(&trigger, "change").unwrap();
    }
    let mut given = Socket::given(kernel).unwrap().unwrap();
    assert_eq!(given.sender(), Sender::Kernel);
    assert_eq!(Socket::given(udev).unwrap().unwrap().sender(), Sender::Udev);
    // It does not block, and what came before is forgotten; what comes from now on is not.
    let read = |given: &mut Socket| {
        let mut backlog = Backlog::default();
        assert!(given.read(&mut vec![0; MESSAGE], &|| None, &mut backlog).unwrap());
        std::iter::from_fn(|| backlog.take())
            .filter(|waiting| matches!(waiting, Waiting::Event { uevent, .. } if trigger.parent().unwrap().ends_with(uevent.devpath.rsplit('/').next().unwrap())))
            .count()
    };
    assert_eq!(read(&mut given), 0);
    std::fs::write(&trigger, "change").unwrap();
    assert_eq!(read(&mut given), 1);
    // Others are left alone.
    let route = rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, None).unwrap();
    rustix::net::bind(&route, &SocketAddrNetlink::new(0, 1)).unwrap();
    assert!(Socket::given(route).unwrap().is_none());
    let (unix, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    assert!(Socket::given(unix.into()).unwrap().is_none());
    assert!(Socket::given(open(4)).unwrap().is_none());
}
