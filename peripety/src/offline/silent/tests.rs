//! Whether a log says the same, read line by line and with what says nothing passed over.

use std::{ops::ControlFlow, path::Path};

use jiff::{Timestamp, tz::TimeZone};

use super::*;
use crate::{
    checkpoint::Checkpoint as _,
    event::Event,
    offline::{
        Calendar, Given, Input, Item, Logs, Taker, beside::read_beside, devices::Known, read, read_into,
    },
    parser::farewell,
    record::{LogRecord, Stamp},
};

/// 2026-11-21 13:00:00 UTC.
const START_US: i64 = 1_795_266_000_000_000;

/// Lines that teach something of devices and places, that ask for something to go, and that have more lines below them.
const TELLING: &[&str] = &[
    "Linux version 6.1.0-28-amd64 (debian-kernel@lists.debian.org)",
    "rtc_cmos 00:00: setting system clock to 2026-11-21T13:00:00 UTC (1795266000)",
    "sd 2:0:0:0: [sdb] 2097152 512-byte logical blocks: (1.07 GB/1.00 GiB)",
    "sd 2:0:0:0: alua: device naa.600140512345678 port group 1 rel port 2",
    "scsi 2:0:0:0: Direct-Access     QEMU     QEMU HARDDISK    2.5+ PQ: 0 ANSI: 5",
    "scsi host2: ahci",
    "scsi target2:0:0: enclosure_logical_id(0x5003048009aaaabf), slot(30)",
    "ata3: SATA max UDMA/133 abar m2048@0xfeb12000 port 0xfeb12100 irq 24",
    " sdb: sdb1 sdb2 < sdb5 >",
    "md/raid1:md0: Disk failure on sdb1, disabling device.",
    "md/raid:md0: raid level 5 active with 4 out of 4 devices, algorithm 2",
    "raid5: raid level 5 set md1 active with 4 out of 4 devices, algorithm 2",
    "ufshcd-pci 0000:00:12.5: ufshcd_populate_vreg: Unable to find vcc-supply regulator",
    "qla2xxx [0000:05:00.0]-500b:0: LOOP DOWN detected (2 7 0 0).",
    "md/raid:md0: device sdb1 operational as raid disk 0",
    "device-mapper: multipath: 253:0: Failing path 8:16.",
    "EXT4-fs (sdb1): mounted filesystem 3b1c0b3e-4d9c-4d2a-8f43-5d4d1c9f2d11 r/w with ordered data mode.",
    "XFS (sdb1): Mounting V5 Filesystem 3b1c0b3e-4d9c-4d2a-8f43-5d4d1c9f2d11",
    "BTRFS info (device sdb1): first mount of filesystem 3b1c0b3e-4d9c-4d2a-8f43-5d4d1c9f2d11",
    "nvme nvme0: pci function 0000:01:00.0",
    "nvme nvme0: Removing ctrl: NQN \"nqn.2014-08.org.peripety:machine\"",
    "md: md0 stopped.",
    "block nbd0: NBD_DISCONNECT",
    "nbd1: Disconnected due to user request.",
    "mmcblk0: mmc0:0001 SD16G 14.8 GiB",
    "usb-storage 2-1:1.0: USB Mass Storage device detected",
    "usb 2-1: new SuperSpeed USB device number 2 using xhci_hcd",
    "scsi host6: uas",
    "sd 6:0:0:0: [sdc] Attached SCSI disk",
    "usb 2-1: USB disconnect, device number 4",
    "usb 2-1: reset high-speed USB device number 4 using xhci_hcd",
    "ahci 0000:00:17.0: version 3.0",
    "pci 0000:00:1c.0: PCI bridge to [bus 03]",
    "r8169 0000:03:00.0: can't recover (no error_detected callback)",
    "pcieport 0000:00:1c.0: PCIe Bus Error: severity=Corrected, type=Physical Layer, (Receiver ID)",
    "sd 7:0:0:0: rejecting I/O to offline device",
    "sd 7:0:0:0: [sdd] Attached SCSI disk",
    "sd 1:0:0:4: SCSI error: return code = 0x00010000",
    "end_request: I/O error, dev sde, sector 81920",
    "Workqueue: writeback wb_workfn (flush-8:16)",
    "xhci_hcd 0000:00:14.0: xHCI Host Controller",
    "INFO: task worker:7122 blocked for more than 122 seconds.",
    "kernel BUG at fs/ext4/inode.c:2721!",
    "WARNING: CPU: 3 PID: 1233 at net/sched/sch_generic.c:525 dev_watchdog+0x207/0x210",
    "BUG: unable to handle page fault for address: ffffb0c0",
    "general protection fault: 0000 [#1] SMP",
    "watchdog: BUG: soft lockup - CPU#1 stuck for 22s!",
    " xfs_file_fsync+0x5e/0x2a0 [xfs]",
    "RIP: 0010:nvme_tcp_io_work+0x11/0x90 [nvme_tcp]",
    "io_schedule+0x46/0x70",
    "sd 4:0:0:0: [sdc]  ",
    "Result: hostbyte=DID_NO_CONNECT driverbyte=DRIVER_OK,SUGGEST_OK",
    "attempt to access beyond end of device",
    "ata1.00: cmd 60/08:f0:08:00:00/00:00:00:00:00/40 tag 30 ncq dma 4096 in",
    "         res 41/40:08:08:00:00/00:00:00:00:00/00 Emask 0x409 (media error) <F>",
    "overlayfs: failed to resolve 'x",
    "last message repeated 3 times",
];

/// Lines that say nothing of storage.
const OTHERS: &[&str] = &[
    "[UFW BLOCK] IN=eth0 OUT= MAC=52:54 SRC=10.0.0.1 DST=10.0.0.2 LEN=40",
    "audit: type=1400 audit(1700000000.123:45): apparmor=\"STATUS\" operation=\"profile_load\"",
    "e1000e 0000:00:1f.6 eth0: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: Rx/Tx",
    "docker0: port 1(veth0) entered blocking state",
    "TCP: request_sock_TCP: Possible SYN flooding on port 80. Sending cookies.",
    "Call Trace:",
    "x",
    "",
];

const PROGRAMS: &[&str] =
    &["sshd[812]", "systemd[1]", "CRON[7]", "multipathd[9]", "smartd[5]", "mdadm[3]", "my tag"];

struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % most
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

fn calendar() -> Calendar {
    Calendar::new(TimeZone::UTC, Timestamp::from_microsecond(START_US + 86_400_000_000).unwrap())
}

fn given() -> Given {
    Given { started_us: Some(START_US), ..Given::default() }
}

/// What a log says, read as a whole.
fn whole(file: &[u8], rules: &RuleSet) -> (Vec<Event>, u64, u64) {
    let (mut logs, mut out) = (Logs::new(rules.clone(), given(), false), Vec::new());
    read(&mut Input::new(file), calendar(), &mut |item| {
        logs.push(item, &mut out);
        ControlFlow::Continue(())
    });
    logs.finish(&mut out);
    (out, logs.totals().entries, logs.totals().undated)
}

/// The same with what passes passed over, and how much that was.
struct Passing {
    logs: Logs,
    out: Vec<Event>,
    passed: u64,
}

impl Taker for Passing {
    fn take(&mut self, item: Item) -> ControlFlow<()> {
        self.logs.push(item, &mut self.out);
        ControlFlow::Continue(())
    }

    fn passes(&mut self, line: &Line<'_>, _whole: &str) -> bool {
        let passes = self.logs.passes(line, &mut self.out);
        self.passed += u64::from(passes);
        passes
    }

    fn lets_pass(&mut self, line: &Line<'_>) -> bool {
        self.logs.lets_pass(line, &mut self.out)
    }
}

fn passing(file: &[u8], rules: &RuleSet) -> ((Vec<Event>, u64, u64), u64) {
    let logs = Logs::new(rules.clone(), given(), false);
    let mut passing = Passing { logs, out: Vec::new(), passed: 0 };
    read_into(&mut Input::new(file), calendar(), &mut passing);
    let Passing { mut logs, mut out, passed } = passing;
    logs.finish(&mut out);
    ((out, logs.totals().entries, logs.totals().undated), passed)
}

/// The same with another thread that puts together what the log says.
fn beside(file: &[u8], rules: &RuleSet) -> (Vec<Event>, u64, u64) {
    let logs = Logs::new(rules.clone(), given(), false);
    let silent = logs.silent();
    let mut passing = Passing { logs, out: Vec::new(), passed: 0 };
    read_beside(&mut Input::new(file), calendar(), &silent, &mut passing).unwrap();
    let Passing { mut logs, mut out, .. } = passing;
    logs.finish(&mut out);
    (out, logs.totals().entries, logs.totals().undated)
}

fn examples(rules: &RuleSet) -> Vec<(Option<&str>, &str)> {
    rules
        .rules()
        .iter()
        .flat_map(|rule| {
            let who = rule.identifiers.first().map(String::as_str);
            rule.examples.iter().map(move |example| (who, example.line.as_str()))
        })
        .collect()
}

#[test]
fn no_line_passes_of_which_anybody_reads_anything() {
    let rules = RuleSet::built_in();
    let silent = Silent::new(&rules);
    for (identifier, text) in examples(&rules) {
        assert!(!silent.is(&Line { text, identifier, ..Line::default() }), "{text}");
    }
    for text in TELLING {
        let record = LogRecord { text: (*text).to_owned(), ..LogRecord::default() };
        let is_silent = silent.is(&record_line(&record));
        let mut known = Known::default();
        from_text::from_line(&mut known, &record);
        let (mut places, mut stack) = (places::Places::default(), stack::StackReader::default());
        places.learn(&record);
        let time = Stamp { monotonic_ns: None, realtime_us: 0 };
        let is_report = stack.push(&record, time).is_some() || stack.is_open();
        let is_read = !known.is_empty() || places.save(true).is_some() || farewell(&record).is_some();
        assert!(!is_silent || !(is_read || is_report || multiline::is_head(text)), "{text}");
    }
    for text in OTHERS {
        assert!(silent.is(&Line { text, ..Line::default() }), "{text}");
        assert!(silent.is(&Line { text, identifier: Some("sshd"), ..Line::default() }), "{text}");
    }
}

fn record_line(record: &LogRecord) -> Line<'_> {
    Line { text: &record.text, identifier: record.identifier.as_deref(), ..Line::default() }
}

/// A log of chance, in a form of chance.
fn log(chance: &mut Chance, lines: &[(Option<&str>, &str)]) -> String {
    let mut file = String::new();
    let form = chance.below(7);
    let (mut at_us, hosts) = (0_i64, chance.of(&[1, 1, 3]));
    for _ in 0..300 {
        at_us += match chance.below(60) {
            0 => 45_000_000,
            1 => -7_000_000,
            2 => -1_000_000,
            3..20 => 0,
            20..40 => 1234,
            _ => 700_000,
        };
        let up_us = at_us.max(0);
        let (who, text) = match chance.below(10) {
            0 => lines[chance.below(lines.len())],
            1 => (None, chance.of(TELLING)),
            2..6 => (None, chance.of(OTHERS)),
            _ => (Some(chance.of(PROGRAMS)), chance.of(OTHERS)),
        };
        let tag = who.unwrap_or("kernel");
        let wall = Timestamp::from_microsecond(START_US + at_us).unwrap().to_zoned(TimeZone::UTC);
        let uptime = format!("{:5}.{:06}", up_us / 1_000_000, up_us % 1_000_000);
        let host = format!("db{}", chance.below(hosts));
        for part in text.split('\n') {
            let stamp = if who.is_none() { format!("[{uptime}] ") } else { String::new() };
            file += &match if chance.below(25) == 0 { chance.below(7) } else { form } {
                0 => format!("{} {host} {tag}: {part}\n", wall.strftime("%b %e %H:%M:%S")),
                1 => format!("{} {host} {tag}: {stamp}{part}\n", wall.strftime("%b %e %H:%M:%S")),
                2 => format!("{} {host} {tag}: {stamp}{part}\n", wall.strftime("%Y-%m-%dT%H:%M:%S.%6f%:z")),
                3 => format!(
                    "[{uptime}] {}{part}\n",
                    if who.is_some() { format!("{tag}: ") } else { String::new() }
                ),
                4 => format!("<{}>[{uptime}] {part}\r\n", if who.is_some() { 11 } else { 3 }),
                5 => format!(
                    "<3>1 {} {host} {} - - - {part}\n",
                    wall.strftime("%Y-%m-%dT%H:%M:%S.%6fZ"),
                    tag.split('[').next().unwrap()
                ),
                _ => format!("[{}] {part}\n", wall.strftime("%a %b %e %H:%M:%S %Y")),
            };
        }
        match chance.below(80) {
            0 => file += "-- Reboot --\n",
            1 => file += "-- Boot 0123456789abcdef0123456789abcdef --\n",
            2 => file += "\n\n",
            3 => file += "no form at all\n",
            4 => file += "                                    indented below the last\n",
            5 => file += "\t\tI/O error, dev sda, sector 8\n",
            _ => {}
        }
    }
    file
}

#[test]
fn a_log_says_the_same_whether_or_not_lines_pass() {
    let rules = RuleSet::built_in();
    let lines = examples(&rules);
    let (mut chance, mut all_passed, mut events) = (Chance(0x2545_f491_4f6c_dd1d), 0, 0);
    for _ in 0..40 {
        let file = log(&mut chance, &lines);
        let wanted = whole(file.as_bytes(), &rules);
        let (found, passed) = passing(file.as_bytes(), &rules);
        assert_eq!(found.0, wanted.0, "{file}");
        assert_eq!((found.1, found.2), (wanted.1, wanted.2), "{file}");
        assert_eq!(beside(file.as_bytes(), &rules), wanted, "{file}");
        all_passed += passed;
        events += wanted.0.len();
    }
    assert!(all_passed > 3000 && events > 1000, "{all_passed} {events}");
}

#[test]
fn logs_of_real_machines_say_the_same() {
    let rules = RuleSet::built_in();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/offline");
    let files = |name: &str| std::fs::read_dir(tests.join(name)).unwrap().map(|entry| entry.unwrap().path());
    let logs = files("excerpts").filter(|file| file.extension().is_some_and(|ending| ending == "log"));
    let reports = files("reports").map(|report| report.join("log.txt")).filter(|log| log.is_file());
    let logs: Vec<_> = logs.chain(reports).collect();
    assert!(logs.len() > 30, "{logs:?}");
    let (mut entries, mut all_passed) = (0, 0);
    for log in logs {
        let file = std::fs::read(&log).unwrap();
        let wanted = whole(&file, &rules);
        let (found, passed) = passing(&file, &rules);
        assert_eq!(found, wanted, "{}", log.display());
        assert_eq!(beside(&file, &rules), wanted, "{}", log.display());
        (entries, all_passed) = (entries + wanted.1, all_passed + passed);
    }
    assert!(all_passed > 20, "{all_passed} of {entries}");
}

#[test]
fn who_takes_no_more_ends_the_reading() {
    struct Few(u32);
    impl Taker for Few {
        fn take(&mut self, _item: Item) -> ControlFlow<()> {
            self.0 -= 1;
            if self.0 == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    struct Endless;
    impl std::io::Read for Endless {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            let line = b"[    1.000000] usb 1-1: new high-speed USB device number 3 using xhci_hcd\n";
            to[..line.len()].copy_from_slice(line);
            Ok(line.len())
        }
    }
    let silent = Silent::new(&RuleSet::built_in());
    assert!(read_beside(&mut Input::new(Endless), calendar(), &silent, &mut Few(5000)).is_some());
}

#[test]
fn records_of_other_formats_pass_too() {
    let rules = RuleSet::built_in();
    let text = "I/O error, dev sda, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2";
    let other = OTHERS[3];
    let json = |at: u64, text: &str| {
        format!(
            "{{\"__REALTIME_TIMESTAMP\":\"{}\",\"_BOOT_ID\":\"0123456789abcdef0123456789abcdef\",\"_TRANSPORT\":\"kernel\",\"_HOSTNAME\":\"h\",\"MESSAGE\":\"{text}\"}}\n",
            START_US.unsigned_abs() + at
        )
    };
    let kmsg = |at: u64, text: &str| format!("3,{at},{at},-;{text}\n");
    for write in [&json as &dyn Fn(u64, &str) -> String, &kmsg] {
        let lines = [(1, other), (5, text), (5_000, other), (9_000_000, other), (9_100_000, text)];
        let file: String = lines.iter().map(|(at, text)| write(*at, text)).collect();
        let (found, passed) = passing(file.as_bytes(), &rules);
        assert_eq!(found, whole(file.as_bytes(), &rules));
        assert_eq!((found.0.len(), passed), (2, 2), "the first line makes the boot, {file}");
    }
}
