use super::*;
use crate::record::LogRecord;

fn line(host: usize, second: i64, text: &str) -> Item {
    Item::Entry(Box::new(Entry {
        log: LogRecord { text: text.to_owned(), ..LogRecord::default() },
        hostname: Some(format!("host{host:05}")),
        wall_us: Some(1_700_000_000_000_000 + second * 1_000_000),
        ..Entry::default()
    }))
}

const FAILED: &str = "I/O error, dev sda, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2";

fn disks() -> impl Iterator<Item = String> {
    (b'a'..=b'z').map(|letter| format!("sd{}", char::from(letter)))
}

/// A request of a disk of a host that fails, all at one time.
fn failed(host: usize, disk: &str) -> Item {
    line(host, 1, &FAILED.replace("sda", disk))
}

/// All events of so many hosts, of which each fails twice, one after the other.
fn of_hosts(hosts: usize) -> (Vec<Event>, usize) {
    let mut logs = Logs::new(RuleSet::built_in(), Given::default(), false);
    let (mut out, mut early) = (Vec::new(), 0);
    for round in 0..2 {
        for host in 0..hosts {
            logs.push(line(host, round * 100_000 + i64::try_from(host).unwrap(), FAILED), &mut out);
            assert!(logs.hosts.len() <= HOSTS_MAX);
        }
        early = early.max(out.len());
    }
    logs.finish(&mut out);
    (out, early)
}

#[test]
fn what_all_hosts_have_open_is_bounded_and_nothing_is_lost() {
    const HOSTS: usize = 30;
    let mut logs = Logs::new(RuleSet::built_in(), Given::default(), false);
    logs.kept_max = 500;
    let mut out = Vec::new();
    for disk in disks() {
        for host in 0..HOSTS {
            logs.push(failed(host, &disk), &mut out);
            assert!(logs.kept <= logs.kept_max + 1);
        }
        assert_eq!(logs.kept, logs.hosts.iter().map(|host| host.machine.kept()).sum::<usize>());
    }
    assert!(!out.is_empty(), "nothing was given before the end");
    logs.finish(&mut out);
    assert_eq!(out.len(), 26 * HOSTS);
}

#[test]
fn of_more_open_events_than_may_wait_each_is_given_once() {
    const HOSTS: usize = 700;
    let mut logs = Logs::new(RuleSet::built_in(), Given::default(), false);
    let mut out = Vec::new();
    for disk in disks() {
        (0..HOSTS).for_each(|host| logs.push(failed(host, &disk), &mut out));
    }
    logs.finish(&mut out);
    let ids: BTreeSet<_> = out.iter().map(|event| event.event_id).collect();
    assert_eq!((out.len(), ids.len()), (26 * HOSTS, 26 * HOSTS));
}

/// The events of a file, in whatever format it is.
fn events(file: &str) -> Vec<Event> {
    let mut logs = Logs::new(RuleSet::built_in(), Given::default(), false);
    let mut out = Vec::new();
    let at = jiff::Timestamp::from_second(1_795_255_200).unwrap();
    let calendar = super::super::Calendar::new(jiff::tz::TimeZone::UTC, at);
    super::super::read(&mut super::super::Input::new(file.as_bytes()), calendar, &mut |item| {
        logs.push(item, &mut out);
        std::ops::ControlFlow::Continue(())
    });
    logs.finish(&mut out);
    out
}

#[test]
fn what_only_a_line_says_of_its_writer_is_named_as_unproven() {
    let sources =
        |file: String| -> Vec<Vec<String>> { events(&file).into_iter().map(|event| event.sources).collect() };
    let json = |transport: &str, program: &str| {
        format!(
            "{{\"MESSAGE\":\"{FAILED}\",\"_TRANSPORT\":\"{transport}\",\"SYSLOG_IDENTIFIER\":\"{program}\",\
             \"__REALTIME_TIMESTAMP\":\"1795255200000000\",\"_UID\":\"1000\",\"_COMM\":\"logger\"}}\n"
        )
    };
    // What `logger -t kernel` writes into a syslog file is as what the kernel's lines are there.
    for (file, wanted) in [
        (format!("[    1.000000] {FAILED}\n"), &["kmsg"][..]),
        (format!("3,1,1000000,-;{FAILED}\n"), &["kmsg"]),
        (json("kernel", "kernel"), &["kmsg"]),
        (format!("Nov 21 13:16:50 h kernel: {FAILED}\n"), &["syslog:unproven"]),
        (format!("Nov 21 13:16:50 h kernel: [    1.000000] {FAILED}\n"), &["syslog:unproven"]),
        (format!("2026-11-21T13:16:50.5+00:00 h kernel: {FAILED}\n"), &["syslog:unproven"]),
        (format!("<3>1 2026-11-21T13:16:50Z h kernel - - - {FAILED}\n"), &["syslog:unproven"]),
        (
            "Nov 21 13:16:50 h multipathd[1]: mpatha: sdb - tur checker reports path is down\n".to_owned(),
            &["syslog:multipathd:unproven"],
        ),
    ] {
        assert_eq!(sources(file.clone()), [wanted], "{file}");
    }
    for forged in [json("syslog", "kernel"), format!("Nov 21 13:16:50 h kernel[99]: {FAILED}\n")] {
        assert_eq!(sources(forged), [] as [Vec<String>; 0]);
    }
}

/// What a log says, with the disk of each event.
fn said(file: &str) -> Vec<(String, String)> {
    let disk = |event: &Event| event.block.as_ref().map(|block| block.id.blk_path.clone());
    let said = |event: &Event| (event.event_type.to_string(), disk(event).unwrap_or_default());
    events(file).iter().map(said).collect()
}

#[test]
fn a_piece_of_a_users_text_says_nothing() {
    let rejecting = "[   60.000001] sd 2:0:0:1: rejecting I/O to offline device\n";
    let quoting = "[   61.123456] overlayfs: failed to resolve 'x\n";
    let real = said(rejecting);
    assert_eq!(real.len(), 1);
    for forged in [
        "sd 2:0:0:1: [sdz] Attached SCSI disk",
        "kernel BUG at fs/ext4/inode.c:2721!",
        "INFO: task worker:7122 blocked for more than 122 seconds.\n[   61.123456]  xfs_file_fsync+0x5e/0x2a0 [xfs]",
        "attempt to access beyond end of device\n[   61.123456] sda: rw=0, want=16, limit=4",
    ] {
        let file = format!("{rejecting}{quoting}[   61.123456] {forged}\n{rejecting}");
        let file = file.replace("\n[   60.0", "\n[   62.0");
        let found = said(&file);
        assert!(found.iter().all(|event| *event == real[0]), "{forged}: {found:?}");
    }
    // Lines of the kernel are joined with no such piece.
    let head = "[   61.000001] attempt to access beyond end of device\n";
    let rest = "sda: rw=0, want=16, limit=4";
    let joined = said(&format!("{head}[   61.000001] {rest}\n"));
    assert_eq!(joined.len(), 1, "{joined:?}");
    let quoting = quoting.replace("61.123456", "61.000002");
    let found = said(&format!("{head}{quoting}[   61.000002] {rest}\n"));
    assert_eq!(found, said(&format!("{head}{quoting}")), "{found:?}");
    let found = said(&format!(
        "{quoting}[   61.000002] attempt to access beyond end of device\n[   61.000003] {rest}\n"
    ));
    assert_eq!(found, said(&format!("{quoting}[   61.000003] {rest}\n")), "{found:?}");
}

#[test]
fn each_of_many_hosts_has_events_of_its_own() {
    let (events, early) = of_hosts(3000);
    assert_eq!(events.len(), 6000);
    assert!(early > 4000, "what is over is reported while others are read: {early}");
    assert!(events.iter().all(|e| e.is_final && e.count == 1));
    let hosts: BTreeSet<&str> = events.iter().map(|e| e.hostname.as_str()).collect();
    assert_eq!(hosts.len(), 3000);
    let ids: BTreeSet<_> = events.iter().map(|e| e.event_id).collect();
    assert_eq!(ids.len(), 6000);
}

#[test]
fn hosts_without_end_are_forgotten_and_nothing_of_them_is_lost() {
    let (events, _) = of_hosts(HOSTS_MAX + 2000);
    assert_eq!(events.iter().map(|e| e.count).sum::<u64>(), 2 * (HOSTS_MAX as u64 + 2000));
    assert!(events.iter().all(|e| !e.hostname.is_empty()));
}
