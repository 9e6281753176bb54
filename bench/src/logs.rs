//! Logs of machines as they are, of any size: what `prpt parse` is measured on. The same size gives the same bytes.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use jiff::{Timestamp, tz::TimeZone};

/// A kind of log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Syslog of one server: sshd, systemd, cron, the kernel's network; one line in 250 is about storage.
    Syslog,
    /// The same with the times of ISO 8601 that today's rsyslog writes, and the kernel's own times.
    Iso,
    /// The same of 5,000 hosts on one log server.
    Hosts,
    /// The kernel's log (dmesg) of a machine whose disks fail: one line in twelve is about storage.
    Dense,
    /// One line about storage, again and again.
    Repeated,
    /// `journalctl -o json` of the machine of `Syslog`.
    Json,
    /// /dev/kmsg of the machine of `Dense`.
    Kmsg,
    /// Lines of 30 KB, as some programs write them.
    Long,
}

impl Kind {
    /// All, with their names.
    pub const ALL: [(&'static str, Self); 8] = [
        ("syslog", Self::Syslog),
        ("iso", Self::Iso),
        ("hosts", Self::Hosts),
        ("dense", Self::Dense),
        ("repeated", Self::Repeated),
        ("json", Self::Json),
        ("kmsg", Self::Kmsg),
        ("long", Self::Long),
    ];

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }
}

/// What programs say; `#` is a number, `@` an address, `%` a word of hexadecimal digits, `$` a letter, `~` the sign `#`.
const PROGRAMS: &[(&str, &str)] = &[
    ("sshd[#]", "Accepted publickey for deploy from @ port # ssh2: ED25519 SHA256:%%%%%"),
    ("sshd[#]", "pam_unix(sshd:session): session opened for user deploy(uid=1000) by (uid=0)"),
    ("sshd[#]", "Failed password for invalid user admin from @ port # ssh2"),
    ("sshd[#]", "Received disconnect from @ port #:11: disconnected by user"),
    ("sshd[#]", "Connection closed by authenticating user root @ port # [preauth]"),
    ("systemd[1]", "Started Session # of user deploy."),
    ("systemd[1]", "Starting Daily apt download activities..."),
    ("systemd[1]", "apt-daily.service: Deactivated successfully."),
    ("systemd[1]", "Finished Daily apt download activities."),
    ("systemd[1]", "run-docker-runtime\\x2drunc-moby-%%-runc.%.mount: Succeeded."),
    ("systemd-logind[#]", "New session # of user deploy."),
    ("systemd-logind[#]", "Removed session #."),
    ("CRON[#]", "(root) CMD (   cd / && run-parts --report /etc/cron.hourly)"),
    ("CRON[#]", "pam_unix(cron:session): session closed for user root"),
    ("dbus-daemon[#]", "[system] Successfully activated service 'org.freedesktop.hostname1'"),
    ("NetworkManager[#]", "<info>  [#.#] dhcp4 (eth0): state changed new lease, address=@"),
    ("dhclient[#]", "DHCPREQUEST for @ on eth0 to @ port 67"),
    (
        "dockerd[#]",
        "time=\"2026-11-21T13:16:50.123456789Z\" level=info msg=\"ignoring event\" container=%%%% module=libcontainerd",
    ),
    ("postfix/smtpd[#]", "connect from unknown[@]"),
    ("postfix/qmgr[#]", "%: from=<root-db1.example.org>, size=#, nrcpt=1 (queue active)"),
    (
        "nginx",
        "@ - - \"GET /api/v1/items/#?page=# HTTP/1.1\" 200 # \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\"",
    ),
    ("snapd[#]", "storehelpers.go:923: cannot refresh: snap has no updates available: \"core22\""),
];

/// What programs say that know storage.
const DAEMONS: &[(&str, &str)] = &[
    ("multipathd[#]", "mpatha: sdb - tur checker reports path is up"),
    ("multipathd[#]", "checker for sdb: path is down"),
    (
        "smartd[#]",
        "Device: /dev/sda [SAT], SMART Usage Attribute: 194 Temperature_Celsius changed from 66 to 67",
    ),
    ("iscsid[#]", "connection1:0 is operational after recovery (2 attempts)"),
    ("systemd[1]", "Mounted /srv/data."),
];

/// What the kernel says of other things than storage.
const KERNEL: &[&str] = &[
    "[UFW BLOCK] IN=eth0 OUT= MAC=%:%:% SRC=@ DST=@ LEN=40 TOS=0x00 PREC=0x00 TTL=244 ID=# PROTO=TCP SPT=# DPT=# WINDOW=1024 RES=0x00 SYN URGP=0",
    "audit: type=1400 audit(#.123:#): apparmor=\"ALLOWED\" operation=\"open\" class=\"file\" profile=\"/usr/sbin/sssd\" name=\"/proc/#/cmdline\" pid=# comm=\"sssd_nss\" requested_mask=\"r\" denied_mask=\"r\" fsuid=0 ouid=0",
    "docker0: port #(veth%) entered blocking state",
    "docker0: port #(veth%) entered disabled state",
    "device veth% entered promiscuous mode",
    "IPv6: ADDRCONF(NETDEV_CHANGE): veth%: link becomes ready",
    "eth0: renamed from veth%",
    "e1000e 0000:00:1f.6 eth0: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: Rx/Tx",
    "TCP: request_sock_TCP: Possible SYN flooding on port 443. Sending cookies.  Check SNMP counters.",
    "usb 1-1: new high-speed USB device number # using xhci_hcd",
    "perf: interrupt took too long (# > #), lowering kernel.perf_event_max_sample_rate to 79750",
    "nf_conntrack: nf_conntrack: table full, dropping packet",
    "overlayfs: missing 'lowerdir'",
    "CPU#: Core temperature above threshold, cpu clock throttled (total events = #)",
    "mce: [Hardware Error]: Machine check events logged",
    "IPVS: rr: TCP @:443 - no destination available",
];

/// What it says of storage that fails.
const STORAGE: &[&[&str]] = &[
    &[
        "sd 2:0:0:0: [sd$] tag~# FAILED Result: hostbyte=DID_OK driverbyte=DRIVER_OK cmd_age=0s",
        "sd 2:0:0:0: [sd$] tag~# Sense Key : Medium Error [current] ",
        "sd 2:0:0:0: [sd$] tag~# Add. Sense: Unrecovered read error",
        "sd 2:0:0:0: [sd$] tag~# CDB: Read(10) 28 00 00 10 10 10 00 00 08 00",
        "critical medium error, dev sd$, sector # op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
    ],
    &["I/O error, dev sd$, sector # op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 2"],
    &["Buffer I/O error on dev dm-3, logical block #, lost async page write"],
    &["EXT4-fs warning (device sd$1): ext4_end_bio:343: I/O error 10 writing to inode # starting block #)"],
    &[
        "ata3.00: exception Emask 0x0 SAct 0x# SErr 0x0 action 0x6 frozen",
        "ata3.00: failed command: WRITE FPDMA QUEUED",
        "ata3: hard resetting link",
        "ata3: SATA link up 6.0 Gbps (SStatus 133 SControl 300)",
    ],
    &["nvme nvme0: I/O # QID 3 timeout, aborting", "nvme nvme0: Abort status: 0x0"],
    &["device-mapper: multipath: 253:0: Failing path 8:16."],
    &["XFS (dm-1): metadata I/O error in \"xfs_buf_ioend+0x113/0x3b0 [xfs]\" at daddr 0x# len 8 error 5"],
];

/// Time of the first line: 2026-11-21 00:00:00 UTC.
const START_US: i64 = 1_795_219_200_000_000;
const HOSTS: u64 = 5000;

/// Numbers that look like chance, the same each time.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: u64) -> u64 {
        (self.next() >> 11) % most.max(1)
    }

    fn of<'t, T: ?Sized>(&mut self, all: &[&'t T]) -> Option<&'t T> {
        let at = self.below(all.len() as u64);
        all.get(usize::try_from(at).unwrap_or_default()).copied()
    }
}

/// A log that is written line by line.
struct Log {
    kind: Kind,
    chance: Chance,
    now_us: i64,
    /// Lines of a failure that are still to come.
    rest: &'static [&'static str],
    text: String,
    line: String,
    /// The last second that was written, and how.
    second: (i64, String),
}

/// Writes at least so many bytes.
pub fn write(kind: Kind, bytes: u64, to: &mut dyn Write) -> io::Result<()> {
    let mut log = Log {
        kind,
        chance: Chance(0x9e37_79b9_7f4a_7c15),
        now_us: START_US,
        rest: &[],
        text: String::new(),
        line: String::new(),
        second: (0, String::new()),
    };
    let mut written = 0;
    while written < bytes {
        log.next();
        to.write_all(log.line.as_bytes())?;
        written += log.line.len() as u64;
    }
    to.flush()
}

impl Log {
    fn next(&mut self) {
        let (tag, template) = self.what();
        let goes_on = !self.rest.is_empty();
        // Three lines a second; those of one failure come together.
        self.now_us += 7 + if goes_on { 0 } else { i64::try_from(self.chance.below(660_000)).unwrap_or(0) };
        self.text.clear();
        fill(template, &mut self.chance, &mut self.text);
        if self.kind == Kind::Long {
            for _ in 0..self.chance.below(3000) {
                fill("%%", &mut self.chance, &mut self.text);
            }
        }
        let mut name = String::new();
        fill(tag, &mut self.chance, &mut name);
        self.line.clear();
        self.write(&name);
    }

    /// Who says the next line, and what.
    fn what(&mut self) -> (&'static str, &'static str) {
        if let Some((first, rest)) = self.rest.split_first() {
            self.rest = rest;
            return ("kernel", first);
        }
        let storage = match self.kind {
            Kind::Repeated => {
                return ("kernel", STORAGE.get(1).and_then(|lines| lines.first()).unwrap_or(&""));
            }
            Kind::Dense | Kind::Kmsg => 28,
            _ => 600,
        };
        if self.chance.below(storage) == 0 {
            self.rest = self.chance.of(STORAGE).unwrap_or_default();
            return self.what();
        }
        if matches!(self.kind, Kind::Dense | Kind::Kmsg) || self.chance.below(4) == 0 {
            return ("kernel", self.chance.of(KERNEL).unwrap_or_default());
        }
        let programs = if self.chance.below(100) == 0 { DAEMONS } else { PROGRAMS };
        let at = usize::try_from(self.chance.below(programs.len() as u64)).unwrap_or_default();
        programs.get(at).copied().unwrap_or_default()
    }

    fn write(&mut self, tag: &str) {
        let (uptime_us, micros) = (self.now_us - START_US + 1_234_567, self.now_us % 1_000_000);
        let (uptime, fraction) = (uptime_us / 1_000_000, uptime_us % 1_000_000);
        let host = if self.kind == Kind::Hosts { self.chance.below(HOSTS) } else { 1 };
        let text = &self.text;
        let second = self.now_us / 1_000_000;
        if self.second.0 != second {
            let at = Timestamp::from_second(second).unwrap_or_default().to_zoned(TimeZone::UTC);
            let form = if self.kind == Kind::Iso { "%Y-%m-%dT%H:%M:%S" } else { "%b %e %H:%M:%S" };
            self.second = (second, at.strftime(form).to_string());
        }
        let (line, at) = (&mut self.line, &self.second.1);
        let _never_fails = match self.kind {
            Kind::Syslog | Kind::Long | Kind::Repeated => writeln!(line, "{at} db{host} {tag}: {text}"),
            Kind::Hosts => writeln!(line, "{at} node{host:04}.example.org {tag}: {text}"),
            Kind::Iso if tag == "kernel" => {
                writeln!(line, "{at}.{micros:06}+00:00 db{host} kernel: [{uptime:5}.{fraction:06}] {text}")
            }
            Kind::Iso => writeln!(line, "{at}.{micros:06}+00:00 db{host} {tag}: {text}"),
            Kind::Dense => writeln!(line, "[{uptime:5}.{fraction:06}] {text}"),
            Kind::Kmsg => writeln!(line, "4,{},{uptime_us},-;{text}", uptime_us / 1000),
            Kind::Json => {
                let now_us = self.now_us;
                let name = tag.split('[').next().unwrap_or_default();
                let (transport, facility) = if tag == "kernel" { ("kernel", 0) } else { ("syslog", 3) };
                writeln!(
                    line,
                    "{{\"__CURSOR\":\"s=0639b0c0d7c94d4b9d0aaf6f1f3ad1c5;i={second:x};b=0123456789abcdef0123456789abcdef;m={uptime_us:x};t={now_us:x};x=6f3b1c7c93d8e0aa\",\"__REALTIME_TIMESTAMP\":\"{now_us}\",\"__MONOTONIC_TIMESTAMP\":\"{uptime_us}\",\"_BOOT_ID\":\"0123456789abcdef0123456789abcdef\",\"PRIORITY\":\"4\",\"SYSLOG_FACILITY\":\"{facility}\",\"SYSLOG_IDENTIFIER\":\"{name}\",\"_COMM\":\"{name}\",\"_UID\":\"0\",\"_TRANSPORT\":\"{transport}\",\"_HOSTNAME\":\"db1\",\"_MACHINE_ID\":\"c0ffee00c0ffee00c0ffee00c0ffee00\",\"_SYSTEMD_SLICE\":\"system.slice\",\"_SYSTEMD_CGROUP\":\"/system.slice/{name}.service\",\"_CAP_EFFECTIVE\":\"1ffffffffff\",\"MESSAGE\":{}}}",
                    serde_json::Value::from(text.as_str())
                )
            }
        };
    }
}

/// Fills the places of a template.
fn fill(template: &str, chance: &mut Chance, to: &mut String) {
    for part in template.split_inclusive(['#', '@', '%', '$', '~']) {
        let words = part.strip_suffix(['#', '@', '%', '$', '~']).unwrap_or(part);
        to.push_str(words);
        let number = chance.below(60_000);
        let _never_fails = match part.get(words.len()..) {
            Some("#") => write!(to, "{number}"),
            Some("~") => write!(to, "#"),
            Some("@") => write!(to, "10.{}.{}.{}", number & 255, number >> 8, chance.below(255)),
            Some("%") => write!(to, "{number:08x}"),
            Some("$") => {
                write!(to, "{}", char::from(b'b' + u8::try_from(number & 3).unwrap_or_default()))
            }
            _ => Ok(()),
        };
    }
}
