//! Lines in every form.

use jiff::{Timestamp, tz::TimeZone};

use super::*;
use crate::offline::{Entry, entry::Each};

fn reader(bare: bool) -> Reader {
    let newest: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
    Reader::new(Calendar::new(TimeZone::UTC, newest), bare)
}

fn entry(reader: &mut Reader, line: &str) -> Entry {
    match reader.line(line.as_bytes()) {
        Item::Entry(entry) => *entry,
        other => panic!("{line}: {other:?}"),
    }
}

const TEXT: &str = "nvme nvme0: I/O 23 QID 4 timeout, aborting";

#[test]
fn the_kernels_line_is_found_in_every_form() {
    let wall = Some("2026-11-21T13:16:50Z".parse::<Timestamp>().unwrap().as_microsecond());
    let up = Some(1_234_567_890);
    for (before, uptime, time) in [
        ("[ 1234.567890] ", up, None),
        ("[ 1234.567890 ] ", up, None),
        ("[ 1234.567890][  T123] ", up, None),
        ("[ 1234.567890] [    C1] ", up, None),
        ("[ 1234.567890][ 0] [  T267] ", up, None),
        ("<4>.(4)[318:kworker/4:1H]", None, None),
        ("11-21 13:16:50.000     0     0 E ", None, wall),
        ("[ 1234.567890 <    0.215828>] ", up, None),
        ("<4>[ 1234.567890] ", up, None),
        ("kern  :warn  : [ 1234.567890] ", up, None),
        ("kern  :warn  : [Sat Nov 21 13:16:50 2026] ", None, wall),
        ("[Sat Nov 21 13:16:50 2026] ", None, wall),
        ("[Sat Nov 21 13:16:50 2026 <    2.412705>] ", None, wall),
        ("2026-11-21T13:16:50,000000+00:00 ", None, wall),
        ("\u{1b}[32m[ 1234.567890] \u{1b}[0m\u{1b}[33m", up, None),
        ("[ 1234.567890] db1 kernel: ", up, None),
        ("[ 1234.567890@1]  ", up, None),
        ("2026-11-21T13:16:50Z stdout F [ 1234.567890] ", up, wall),
        ("2026-11-21T13:16:50.000000000Z stderr F Nov 21 13:16:50 db1 kernel: ", None, wall),
        (" kern: warning: [2026-11-21T13:16:50.000000000Z]: ", None, wall),
        ("kern: err: [2026-11-21T13:16:50Z]: ", None, wall),
        ("109.200.197.196: kern:    info: [2026-11-21T13:16:50.0000000Z]: ", None, wall),
        ("cp-1: kern: warning: [2026-11-21T13:16:50.0000000Z]: ", None, wall),
        ("2026-11-21T13:16:50.000+00:00 db-1     !INFO | kernel: ", None, wall),
        ("2026-11-21T13:16:50.000+00:00 db-1  !WARNING | kernel: ", None, wall),
        ("\r\u{1b}[2K\u{1b}(B[ 1234.567890] ", up, None),
        ("ноя 21 13:16:50 db1 kernel: ", None, wall),
        ("nov. 21 13:16:50 db1 kernel: ", None, wall),
        ("11月 21 13:16:50 db1 kernel: ", None, wall),
        ("sáb 2026-11-21 13:16:50 UTC db1 kernel: ", None, wall),
        ("kern  :info  : [Nov21 13:16] [Sat Nov 21 13:16:50 2026] [T10489] ", None, wall),
        ("kern  :info  : [  +0.010370] [Sat Nov 21 13:16:50 2026] [  T129] ", None, wall),
        ("Nov 21 13:16:50 [kernel] [ 1234.567890] ", up, wall),
        ("Nov 21 13:16:50 [kernel] ", None, wall),
        ("Nov 21 13:16:50 [kern.warning] [ 1234.567890] ", up, wall),
        ("Nov 21 13:16:50 db1 kern.err kernel: [ 1234.567890] ", up, wall),
        ("Sat Nov 21 13:16:50 2026 kern.warn kernel: [ 1234.567890] ", up, wall),
        ("2026-11-21 13:16:50.000 0 4 db1 kernel:[ 1234.567890] ", up, wall),
        ("[2026/11/21 13:16:50 CET] kernel: ", None, wall),
        ("2026/11/21 13:16:50 db1 kernel: ", None, wall),
        ("2026 Nov 21 13:16:50.000000 db1 WARNING kernel: [ 1234.567890] ", up, wall),
        ("kernel: ", None, None),
        ("db1 kernel: [ 1234.567890] ", up, None),
        ("[ 1234.567890] kernel: ", up, None),
        ("    [ 1234.567890] ", up, None),
        ("> > [ 1234.567890] ", up, None),
        ("\tNov 21 13:16:50 db1 kernel: ", None, wall),
        ("<3>[ 1234.567890]  [3:  kworker/3:1:   45] ", up, None),
        ("[ 1234.567890] (2)[123:kworker/2:0]", up, None),
        ("[ 1234.567890] -(0)[0:swapper/0]", up, None),
        ("Nov 21 13:16:50 db1 kernel: ", None, wall),
        ("Nov 21 13:16:50 kernel: ", None, wall),
        ("Nov 21 13:16:50 db1 kernel: [ 1234.567890] ", up, wall),
        ("Nov 21 13:16:50 db1 kernel: [ 1234.567890][ T1234] ", up, wall),
        ("Nov 21 13:16:50.000000 db1 kernel: ", None, wall),
        ("2026-11-21T13:16:50+0000 db1 kernel: ", None, wall),
        ("2026-11-21T14:16:50.000000+01:00 db1 kernel: [ 1234.567890] ", up, wall),
        ("Sat 2026-11-21 13:16:50 UTC db1 kernel: ", None, wall),
        ("1795267010.000000 db1 kernel: ", None, wall),
        ("<4>Nov 21 13:16:50 db1 kernel: ", None, wall),
        ("<4>1 2026-11-21T13:16:50Z db1 kernel - - - ", None, wall),
        ("<4>1 2026-11-21T13:16:50Z db1 kernel - - [meta x=\"\\]\"][b] ", None, wall),
    ] {
        let found = entry(&mut reader(false), &format!("{before}{TEXT}"));
        assert_eq!(found.log.text, TEXT, "{before}");
        assert!(found.is_kernel(), "{before}");
        assert_eq!((found.uptime_us, found.wall_us), (uptime, time), "{before}");
    }
}

#[test]
fn a_syslog_daemon_writes_a_record_of_two_lines_as_one() {
    let whole = "md/raid1:md0: Disk failure on sdb2, disabling device.#012md/raid1:md0: Operation continuing on 1 devices.";
    let line = format!("Jun  1 03:00:09 h7 kernel: {whole}");
    let cut = "too many IO errors reading from cache#012, disabling caching";
    assert_eq!(escaped_lines(&line).map(|(_, rest)| rest), whole.split_once("#012").map(|(_, rest)| rest));
    assert_eq!(escaped_lines(cut), None);
}

#[test]
fn a_process_is_told_from_the_kernel() {
    for line in [
        "user  :err   : [ 1234.567890] I/O error, dev sda, sector 1",
        "<11>[ 1234.567890] I/O error, dev sda, sector 1",
        "[ 1234.567890] systemd[1]: I/O error, dev sda, sector 1",
        "Nov 21 13:16:50 db1 sshd[1]: I/O error, dev sda, sector 1",
        "Nov 21 13:16:50 db1 kernel[7]: I/O error, dev sda, sector 1",
        "Nov 21 13:16:50 db1 my kernel: I/O error, dev sda, sector 1",
        "Nov 21 13:16:50 db1 logger: kernel: I/O error, dev sda, sector 1",
        "<11>Nov 21 13:16:50 db1 kernel: I/O error, dev sda, sector 1",
        "Nov 21 13:16:50 db1 user.err kernel: I/O error, dev sda, sector 1",
        "Nov 21 13:16:50 [user.err] I/O error, dev sda, sector 1",
        "Sat Nov 21 13:16:50 2026 daemon.err kernel: I/O error, dev sda, sector 1",
        "<3>1 2026-11-21T13:16:50Z db1 kernel 77 - - I/O error, dev sda, sector 1",
    ] {
        assert!(!entry(&mut reader(false), line).is_kernel(), "{line}");
    }
    // journalctl indents the further lines of a message by what stands before its first.
    let first = "Nov 21 13:16:50 db1 sshd[12]: hello";
    let margin = " ".repeat(30);
    for forged in FORGED {
        for log in ["", "    ", "> ", "> > ", "\t"] {
            for before in [margin.as_str(), ">", "> ", "\t", " "] {
                let mut r = reader(false);
                assert!(!entry(&mut r, &format!("{log}{first}")).is_kernel());
                let found = r.line(format!("{log}{before}{forged}").as_bytes());
                assert!(!matches!(found, Item::Entry(_)), "{log}{before}{forged}: {found:?}");
                // A further line of that message, and the record after it.
                let found = r.line(format!("{log}{before}{forged}").as_bytes());
                assert!(!matches!(found, Item::Entry(_)), "{log}{before}{forged}: {found:?}");
                assert!(entry(&mut r, &format!("{log}{forged}")).is_kernel(), "{log}{forged}");
            }
        }
    }
}

/// Lines of which each form is the kernel's, if it stands where a record may.
const FORGED: [&str; 4] = [
    "[ 1234.567890] I/O error, dev sda, sector 1",
    "<3>[ 1234.567890] I/O error, dev sda, sector 1",
    "Nov 21 13:16:50 db1 kernel: I/O error, dev sda, sector 1",
    "2026-11-21T13:16:50Z db1 kernel: I/O error, dev sda, sector 1",
];

#[test]
fn what_netconsole_sent_is_the_kernels_whoever_received_it() {
    for (line, host) in [
        ("Nov 21 13:16:50 10.0.0.5 [  150.123456] I/O error, dev sda, sector 1", Some("10.0.0.5")),
        ("Nov 21 13:16:50 db1 [  150.123456][  T12] I/O error, dev sda, sector 1", Some("db1")),
        ("2026-11-21T13:16:50Z [  150.123456] I/O error, dev sda, sector 1", None),
        ("<3>Nov 21 13:16:50 db1 [  150.123456] I/O error, dev sda, sector 1", Some("db1")),
        ("10.0.0.5 [  150.123456] I/O error, dev sda, sector 1", Some("10.0.0.5")),
        ("10.0.0.5: [  150.123456] I/O error, dev sda, sector 1", Some("10.0.0.5")),
        ("[10.0.0.5:6665] [  150.123456] I/O error, dev sda, sector 1", Some("10.0.0.5")),
        ("db1 [  150.123456] I/O error, dev sda, sector 1", Some("db1")),
    ] {
        let entry = entry(&mut reader(false), line);
        assert!(entry.is_kernel() && entry.log.unproven, "{line}");
        let found = (entry.log.text.as_str(), entry.uptime_us, entry.hostname.as_deref());
        assert_eq!(found, ("I/O error, dev sda, sector 1", Some(150_123_456), host), "{line}");
    }
    for line in [
        "Nov 21 13:16:50 db1 logger: [  150.123456] I/O error, dev sda, sector 1",
        "Nov 21 13:16:50 logger: [  150.123456] I/O error, dev sda, sector 1",
        "Nov 21 13:16:50 db1 [  150.123] (EE) I/O error, dev sda, sector 1",
        "Nov 21 13:16:50 db1 [  150.123456] systemd[1]: I/O error, dev sda, sector 1",
        "<11>Nov 21 13:16:50 db1 [  150.123456] I/O error, dev sda, sector 1",
        "logger: [  150.123456] I/O error, dev sda, sector 1",
        "[logger] [  150.123456] I/O error, dev sda, sector 1",
        "db1 [  150.123456] systemd[1]: I/O error, dev sda, sector 1",
    ] {
        let found = reader(false).line(line.as_bytes());
        let is_kernel = matches!(&found, Item::Entry(entry) if entry.is_kernel());
        assert!(!is_kernel, "{line}: {found:?}");
    }
}

#[test]
fn entries_of_a_journal_may_stand_in_a_text() {
    let entry = |transport: &str, text: &str| {
        format!(
            "__CURSOR=s=1\r\n__REALTIME_TIMESTAMP=1795268350000000\r\n_TRANSPORT={transport}\r\nSYSLOG_IDENTIFIER=kernel\r\nMESSAGE={text}\r\n"
        )
    };
    let line = "Nov 21 13:16:50 db1 kernel: x\n";
    let (one, forged) = (entry("kernel", "one"), entry("syslog", "forged"));
    assert_eq!(of_kernel(&format!("{line}{one}\n{forged}\n{line}")), ["x", "one", "x"]);
    assert_eq!(of_kernel(&format!("{line}{one}{line}")), ["x", "one", "x"], "without an empty line");
    assert_eq!(of_kernel(&format!("{line}{one}")), ["x", "one"]);
    // A length that would swallow the rest.
    assert_eq!(of_kernel(&format!("{line}{one}MESSAGE\n\u{7f}\0\0\0\0\0\0\0{line}{line}")).len(), 3);
    assert_eq!(of_kernel(&format!("{line}MESSAGE=x\n_TRANSPORT=kernel\n\n{line}")), ["x", "x"]);
}

fn of_kernel(file: &str) -> Vec<String> {
    let mut found = Vec::new();
    let take = |item| {
        if let Item::Entry(entry) = item
            && entry.is_kernel()
        {
            found.push(entry.log.text);
        }
        ControlFlow::Continue(())
    };
    let calendar = Calendar::new(TimeZone::UTC, "2026-11-22T00:00:00Z".parse().unwrap());
    read(&mut Input::new(file.as_bytes()), calendar, &mut Each(take));
    found
}

#[test]
fn an_excerpt_that_begins_within_a_message_of_a_process_has_no_record_there() {
    let (margin, next) = (" ".repeat(30), "Nov 21 13:16:51 db1 kernel: x");
    for log in ["", "    ", "> "] {
        for forged in FORGED {
            let file = format!("{log}{margin}{forged}\n{log}{margin}{forged}\n{log}{next}\n");
            assert_eq!(of_kernel(&file), ["x"], "{file}");
            let late = format!("{}{log}{next}\n", format!("{log}{margin}{forged}\n").repeat(400));
            assert_eq!(of_kernel(&late), ["x"], "{log}{forged}");
            // A log that is indented or quoted as a whole.
            let file = format!("{log}{forged}\n{log}{next}\n");
            assert_eq!(of_kernel(&file), ["I/O error, dev sda, sector 1", "x"], "{file}");
            let file = format!("Hello,\n\n{log}{forged}\n{log}{next}\n\nRegards\n");
            assert_eq!(of_kernel(&file), ["I/O error, dev sda, sector 1", "x"], "{file}");
        }
    }
}

#[test]
fn a_piece_of_a_line_that_was_passed_over_stays_one() {
    struct Passing(Vec<Item>);
    impl Taker for Passing {
        fn take(&mut self, item: Item) -> ControlFlow<()> {
            self.0.push(item);
            ControlFlow::Continue(())
        }
        fn passes(&mut self, _line: &Line<'_>, _whole: &str) -> bool {
            true
        }
    }
    let (mut r, mut passing) = (reader(false), Passing(Vec::new()));
    for line in [
        "[  123.456789] overlayfs: failed to resolve 'x",
        "[  123.456789] attempt to access beyond end of",
        "                    device",
    ] {
        assert!(r.pass(line.as_bytes(), &mut passing).is_continue());
    }
    let [Item::Whole(entry), Item::More(_)] = passing.0.as_slice() else { panic!("{:?}", passing.0) };
    assert_eq!((entry.log.text.as_str(), entry.log.fragment), ("attempt to access beyond end of", true));
}

#[test]
fn who_said_it_is_known() {
    let found = entry(&mut reader(false), "Nov 21 13:16:50 db1 multipathd[812]: mpatha: sdb - path offline");
    assert_eq!(found.log.identifier.as_deref(), Some("multipathd"));
    assert_eq!(found.log.text, "mpatha: sdb - path offline");
    assert_eq!(found.hostname.as_deref(), Some("db1"));
    let iscsid =
        entry(&mut reader(false), "Nov 21 13:16:50 db1 iscsid: Kernel reported iSCSI connection 1:0");
    assert_eq!(iscsid.log.identifier.as_deref(), Some("iscsid"));
}

#[test]
fn more_of_a_record_and_headings() {
    let mut r = reader(false);
    entry(&mut r, "[    1.000000] ata1.00: cmd 60/08:f0:08:00:00/00:00:00:00:00/40 tag 30 ncq dma 4096 in");
    let more = r.line(
        b"                        res 41/40:08:08:00:00/00:00:00:00:00/00 Emask 0x409 (media error) <F>",
    );
    assert_eq!(
        more,
        Item::More("         res 41/40:08:08:00:00/00:00:00:00:00/00 Emask 0x409 (media error) <F>".into())
    );
    assert_eq!(r.line(b"-- Reboot --"), Item::Boot(None));
    assert_eq!(
        r.line(b"-- Boot 0123456789abcdef0123456789abcdef --"),
        Item::Boot(Some("0123456789abcdef0123456789abcdef".into()))
    );
    assert_eq!(r.line(b"Nov 21 13:16:50 db1 kernel: message repeated 3 times: [ x]"), Item::Repeated(3));
    assert_eq!(r.line(b"\0\0\r"), Item::Nothing);
    assert_eq!(r.line(b"no form at all"), Item::Nothing);
    assert_eq!(entry(&mut reader(true), "no form at all\r").log.text, "no form at all");
}

#[test]
fn a_row_of_a_log_servers_export_has_the_line_in_its_last_field() {
    let row = |text: &str| format!("\"2026-11-21 13:16:50\",\"notice\",\"user\",\"\",\"db1\",\"{text}\"");
    let found = entry(&mut reader(false), &row(&format!("[ 1234.567890] {TEXT}")));
    assert_eq!((found.log.text.as_str(), found.uptime_us), (TEXT, Some(1_234_567_890)));
    assert!(found.is_kernel() && found.wall_us.is_some());
    for text in [TEXT, "logger: [ 1234.567890] x", "[ 1234.567890] systemd[1]: x"] {
        let found = reader(false).line(row(text).as_bytes());
        assert!(!matches!(&found, Item::Entry(entry) if entry.is_kernel()), "{text}: {found:?}");
    }
}

#[test]
fn bare_lines_may_be_indented_or_quoted_as_a_whole() {
    for margin in ["  ", "    ", "> ", "> > "] {
        let file = format!(
            "{margin}{TEXT}\n\n{margin}sda: Current: sense key: Medium Error\n{margin}    Additional sense: x\n"
        );
        let found = of_kernel(&file);
        assert_eq!(
            found,
            [TEXT, "sda: Current: sense key: Medium Error", "    Additional sense: x"],
            "{margin}"
        );
    }
}

#[test]
fn relative_times_add_up() {
    let mut r = reader(false);
    let first = entry(&mut r, "[Nov21 13:16] a").wall_us.unwrap();
    assert_eq!(entry(&mut r, "[  +1.500000] b").wall_us, Some(first + 1_500_000));
    assert_eq!(entry(&mut r, "[  +0.000001] c").wall_us, Some(first + 1_500_001));
    assert_eq!(entry(&mut r, "[  +0,499999] d").wall_us, Some(first + 2_000_000), "in another language");
}

#[test]
fn what_fills_up_a_line_is_no_text() {
    let padded = format!("[ 1234.567890] {TEXT}{:60}\r", "");
    assert_eq!(entry(&mut reader(false), &padded).log.text, TEXT);
    for framed in [
        format!("\u{2502}[ 1234.567890] {TEXT}{:60}\u{2502}", ""),
        format!("|[ 1234.567890] {TEXT}\u{2502}"),
        format!("`[ 1234.567890] {TEXT} `"),
    ] {
        assert_eq!(entry(&mut reader(false), &framed).log.text, TEXT);
    }
    // As the SCSI layer printed it.
    let own = "[ 1234.567890] sd 4:0:0:0: [sdc]  ";
    assert_eq!(entry(&mut reader(false), own).log.text, "sd 4:0:0:0: [sdc]  ");
}

#[test]
fn systemd_on_the_console_and_lines_without_times_are_no_kernels() {
    for (line, text) in [
        ("[DEPEND] Dependency failed for /srv/data.", "Dependency failed for /srv/data."),
        ("\u{1b}[1;31m[FAILED]\u{1b}[0m Failed to mount /srv/data.", "Failed to mount /srv/data."),
        ("[ TIME ] Timed out waiting for device /dev/sdb1.", "Timed out waiting for device /dev/sdb1."),
    ] {
        let found = entry(&mut reader(false), line);
        assert_eq!(found.log.identifier.as_deref(), Some("systemd"), "{line}");
        assert!(found.log.unproven, "{line}");
        assert_eq!(found.log.text, text);
    }
    assert_eq!(reader(false).line(b"[  OK  ] Mounted /srv/data."), Item::Nothing);
    for (bare, first) in [(true, TEXT), (false, "kernel: x")] {
        let mut r = reader(bare);
        entry(&mut r, first);
        let found = entry(&mut r, " systemd[1]: dev-sdb1.device: Job dev-sdb1.device/start timed out.");
        assert_eq!(found.log.identifier.as_deref(), Some("systemd"), "{first}");
        assert_eq!(found.log.text, "dev-sdb1.device: Job dev-sdb1.device/start timed out.");
        assert!(found.log.unproven && !found.is_kernel());
    }
}

#[test]
fn what_a_program_handed_on_from_a_console_is_the_kernels_unproven() {
    let found = entry(
        &mut reader(false),
        &format!("[2026-11-21T13:16:50.000000Z ERROR console_of_vm3] [ 1234.567890] {TEXT}"),
    );
    assert_eq!((found.log.text.as_str(), found.uptime_us), (TEXT, Some(1_234_567_890)));
    assert!(found.is_kernel() && found.log.unproven);
    let other =
        "[2026-11-21T13:16:50.000000Z ERROR console_of_vm3] nvme nvme0: I/O 23 QID 4 timeout, aborting";
    assert_eq!(reader(false).line(other.as_bytes()), Item::Nothing);
}

#[test]
fn what_a_user_put_after_a_line_break_is_no_record() {
    let forged =
        "EXT4-fs error (device sda1): ext4_lookup:1: inode #2: comm ls: deleted inode referenced: 12";
    for stamp in ["[  123.456789] ", "<3>[  123.456789] ", "Nov 21 13:16:50 db1 kernel: [  123.456789] "] {
        let mut r = reader(false);
        let quoted = entry(&mut r, &format!("{stamp}overlayfs: failed to resolve 'x"));
        assert!(!quoted.log.fragment);
        for _ in 0..2 {
            assert!(entry(&mut r, &format!("{stamp}{forged}")).log.fragment, "{stamp}");
        }
        assert!(!entry(&mut r, &format!("{}{forged}", stamp.replace("456789", "456790"))).log.fragment);
        // The kernel's own records may have the same time.
        let mut r = reader(false);
        entry(&mut r, &format!("{stamp}usb 1-1: USB disconnect, device number 3"));
        assert!(!entry(&mut r, &format!("{stamp}{forged}")).log.fragment);
    }
    // A clock that counts in milliseconds says nothing.
    let mut r = reader(false);
    entry(&mut r, "[  123.456000] overlayfs: failed to resolve 'x");
    assert!(!entry(&mut r, &format!("[  123.456000] {forged}")).log.fragment);
}

/// What a line is does not depend on whether its beginning is that of the line before.
#[test]
fn a_beginning_that_was_read_before_changes_nothing() {
    const STAMPS: [&str; 6] = [
        "Nov 21 13:16:50",
        "Nov 21 2026 13:16:50",
        "Dec 31 23:59:59",
        "Jan  1 00:00:00",
        "2026-11-21T13:16:50.123456+01:00",
        "Feb 30 00:00:00",
    ];
    const HOSTS: [&str; 9] =
        ["db1", "db1.example.org", "10.0.0.5", "7", "[kern.err]", "kern.err", "local3.warning", "db:", "dün"];
    const TAGS: [&str; 18] = [
        "kernel:",
        "kernel[1]:",
        "sshd[12]:",
        "CRON(pam)[3]:",
        "user.notice",
        "kern.err kernel:",
        "daemon.info sshd[1]:",
        "CRIT kernel:",
        "CRIT:",
        "[app]",
        "a b:",
        "a\tb:",
        "a.b:",
        ":",
        "[   12.345678] x:",
        "kernel:[",
        "0 3 db2 kernel:",
        "",
    ];
    const TEXTS: [&str; 6] = [
        " [   12.345678] sd 0:0:0:0: [sda] x",
        " message repeated 3 times: [ x]",
        " ",
        "",
        "x",
        " [C1] nvme nvme0: I/O 1 QID 1 timeout, aborting: y",
    ];
    let calendar = Calendar::new(TimeZone::UTC, "2026-12-31T00:00:00Z".parse().unwrap());
    let (mut quick, mut slow) = (Reader::new(calendar.clone(), false), Reader::new(calendar, false));
    let mut quicker = 0;
    for round in 0..2 {
        for stamp in STAMPS {
            for host in HOSTS {
                for tag in TAGS {
                    for text in TEXTS {
                        let line = format!("{stamp} {host} {tag}{text}");
                        slow.usual = Usual::default();
                        quicker += usize::from(usual::line(&line, &quick).is_some());
                        assert_eq!(
                            quick.line(line.as_bytes()),
                            slow.line(line.as_bytes()),
                            "{line}, {round}"
                        );
                    }
                }
            }
        }
    }
    assert!(quicker > 500, "{quicker}");
}

#[test]
fn a_log_that_grep_printed_is_read_and_a_quoted_line_in_another_is_not() {
    let lines = |log: &str| -> Vec<String> {
        let (_, margin) = survey(log.as_bytes());
        let newest: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        let mut reader = Reader { margin, ..Reader::new(Calendar::new(TimeZone::UTC, newest), false) };
        log.lines()
            .filter_map(|line| match reader.line(line.as_bytes()) {
                Item::Entry(entry) => Some(entry.log.text.clone()),
                _ => None,
            })
            .collect()
    };
    let printed = "logs/dmesg.log:kern  :info  : [Sun Jul 30 18:26:36 2023]  one\n--\nlogs/dmesg.log-kern  :info  : [Sun Jul 30 \
                   18:26:53 2023]  two\n";
    assert_eq!(lines(printed).len(), 2);
    let quoted = "Nov 21 13:16:50 db1 kernel: one\nmain.c:17:[ 1234.567890] sda: two\n";
    assert_eq!(lines(quoted).len(), 1);
}
