use super::{
    super::{cause::Node, fold_table::Table},
    *,
};
use crate::{
    block::Dev,
    event::{Errno, EventType, Io, Op, Sector},
    parser::{Kdev, rules::RuleSet},
    record::{LogRecord, Stamp},
};

const TIME: Stamp = Stamp { monotonic_ns: Some(1_000_000_000), realtime_us: 1_000_000 };
const SDA: Dev = Dev::new(8, 0);

fn scope() -> Scope {
    Scope::dev(SDA.to_kernel())
}

/// A line as the rules understand it, about sda whatever it calls the device.
fn line(text: &str) -> RawEvent {
    let record = LogRecord { text: text.to_owned(), ..LogRecord::default() };
    RuleSet::built_in().parse(&record, TIME).unwrap_or_else(|| panic!("no rule is about '{text}'"))
}

/// A table with one event, which a raw event of this type opened, found by these keys.
fn opened(raw: &RawEvent, has_requests: bool, keys: &[FoldKey]) -> (Table, FoldId) {
    let event = super::super::event_builder::event(raw, None, "b", "h");
    let mut fold = Fold::new(event, Node::default());
    fold.has_requests = has_requests;
    let mut table = Table::default();
    let place = table.open(fold, 0, 0);
    keys.iter().for_each(|key| table.add_key(place, *key));
    (table, place)
}

fn request(errno: i32) -> RawEvent {
    let mut raw = RawEvent::new(TIME, "ebpf:block_rq_error", "1", EventType::BLK_IO_ERROR);
    raw.kdev = Kdev::Dev(SDA);
    raw.io = Some(Io {
        op: Op::Read,
        sector: Some(Sector(2048)),
        nr_sectors: Some(8),
        errno: Some(Errno::from_raw(errno)),
        ..Io::default()
    });
    raw
}

/// What each line does, with an event open that these keys find, and without.
#[test]
fn each_line_is_joined_by_the_matcher_of_its_subject() {
    let block = FoldKey::block(scope(), Op::Read, Errno::EIO, None);
    let latest = FoldKey::latest_request(scope());
    let typed = |name: &str| FoldKey::typed(scope(), name, 0);
    let cases: [(&str, &str, Vec<FoldKey>, Match); 9] = [
        (
            "request",
            "I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
            vec![block],
            Match::Open,
        ),
        // A line of an old kernel names no operation.
        ("request", "blk_update_request: I/O error, dev sda, sector 2048", vec![block], Match::Open),
        (
            "filesystem",
            "EXT4-fs error (device sda): ext4_find_entry:1683: inode #2: comm ls: reading directory lblock 0",
            vec![FoldKey::ext4(scope(), b"ext4_find_entry", 1683)],
            Match::Open,
        ),
        (
            "command",
            "nvme0n1: Read(0x2) @ LBA 2048, 8 blocks, Unrecovered Read Error (sct 0x2 / sc 0x81) ",
            vec![latest],
            Match::Wait,
        ),
        (
            "ata",
            "ata1.00: cmd 06/01:01:00:00:00/00:00:00:00:00/a0 tag 3 dma 512 out\n         res 51/04:01:00:00:00/00:00:00:00:00/a0 Emask 0x1 (device error)",
            vec![FoldKey::driver(scope(), super::super::fault::Fault::TimedOut)],
            Match::Open,
        ),
        (
            "scsi",
            "sd 0:0:0:0: [sda] tag#3 FAILED Result: hostbyte=DID_OK driverbyte=DRIVER_OK cmd_age=0s",
            vec![latest],
            Match::Wait,
        ),
        (
            "scsi",
            "sd 0:0:0:0: [sda] tag#3 CDB: Read(10) 28 00 00 00 08 00 00 00 08 00",
            vec![latest],
            Match::Wait,
        ),
        (
            "type",
            "EXT4-fs (sda): Remounting filesystem read-only",
            vec![typed("FS_REMOUNT_READ_ONLY")],
            Match::Open,
        ),
        ("type", "md: super_written gets error=-5", vec![typed("MD_DISK_FAILED")], Match::Wait),
    ];
    for (subject, text, keys, else_) in cases {
        let raw = line(text);
        let (table, place) = opened(&request(5), true, &keys);
        let (empty, held) = (Table::default(), WaitingLines::default());
        let live = LiveSources::text_only();
        let with = View { table: &table, held: &held, live };
        let asked = ORDER.iter().find_map(|(name, matcher)| match matcher(&with, &raw, scope()) {
            Sought::Next => None,
            other => Some((*name, other)),
        });
        let (name, sought) = asked.unwrap_or_else(|| panic!("nobody takes '{text}'"));
        assert!(name.starts_with(subject) && sought == Sought::Found(place), "{name}: {sought:?}: {text}");
        assert_eq!(decide(&with, &raw, scope()), Match::Join(place), "{text}");
        let without = View { table: &empty, held: &held, live };
        assert_eq!(decide(&without, &raw, scope()), else_, "{text}");
        assert_eq!(seek(&without, &raw, scope()), None, "{text}");
    }
}

#[test]
fn a_line_of_another_device_or_request_joins_nothing() {
    let (table, _) = opened(
        &request(5),
        true,
        &[FoldKey::block(scope(), Op::Read, Errno::EIO, None), FoldKey::latest_request(scope())],
    );
    let held = WaitingLines::default();
    let view = View { table: &table, held: &held, live: LiveSources::text_only() };
    let other = Scope::dev(Dev::new(8, 16).to_kernel());
    let read = "I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2";
    assert_eq!(decide(&view, &line(read), other), Match::Open);
    assert_eq!(decide(&view, &line(&read.replace("(READ)", "(WRITE)")), scope()), Match::Open);
    assert_eq!(
        decide(&view, &line(&read.replace("I/O error", "critical medium error")), scope()),
        Match::Open
    );
    let elsewhere = "nvme0n1: Read(0x2) @ LBA 9, 1 blocks, Unrecovered Read Error (sct 0x2 / sc 0x81) ";
    assert_eq!(decide(&view, &line(elsewhere), scope()), Match::Wait);
    let floppy = RawEvent { kdev: Kdev::Name("fd0".to_owned()), ..line(read) };
    assert_eq!(decide(&view, &floppy, scope()), Match::Ignore);
    let optical = |text: &str| RawEvent { kdev: Kdev::Name("sr0".to_owned()), ..line(text) };
    assert_eq!(decide(&view, &optical(read), scope()), Match::Ignore);
    let unreadable = read.replace("I/O error", "critical medium error");
    assert_ne!(decide(&view, &optical(&unreadable), scope()), Match::Ignore);
}

#[test]
fn a_line_waits_for_the_probe_that_tells_of_the_same() {
    use peripety_common::Kind;

    let (table, held) = (Table::default(), WaitingLines::default());
    let read = line("I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2");
    let with = |live| decide(&View { table: &table, held: &held, live }, &read, scope());
    assert_eq!(with(LiveSources::with_probes([Kind::BlockRqError], 0)), Match::Wait);
    assert_eq!(with(LiveSources::with_probes([Kind::Ext4Error], 0)), Match::Open);
    let lost = |site: &str| {
        let mut raw = RawEvent::new(TIME, "kmsg", "1", EventType::PERIPETY_EVENTS_LOST);
        raw.facts.loss.get_or_insert_default().site = Some(site.to_owned());
        suppressed::counted_by(LiveSources::with_probes([Kind::BlockRqError], 0), &raw)
    };
    assert_eq!(
        (lost("blk_print_req_error"), lost("EXT4-fs error"), lost("x")),
        (Some(Kind::BlockRqError), None, None)
    );
}

#[test]
fn a_daemons_line_joins_the_kernels_word_for_the_same_and_a_repeated_state_is_ignored() {
    let mut down = RawEvent::new(TIME, "journal:multipathd", "1", EventType::MULTIPATHD_PATH_DOWN);
    down.program = true;
    let failed = FoldKey::typed(scope(), EventType::DM_MPATH_PATH_FAILED.as_str(), 0);
    let (table, place) = opened(&request(5), false, &[failed]);
    let mut held = WaitingLines::default();
    let live = LiveSources::text_only();
    assert_eq!(daemon_log::seek(&View { table: &table, held: &held, live }, &down, scope()), Some(place));
    let view = View { table: &table, held: &held, live };
    assert_eq!(daemon_log::unless_open(&view, scope(), true), Match::Wait);
    assert_eq!(daemon_log::unless_open(&view, scope(), false), Match::Ignore);
    // Others of its lines wait: it waits with them.
    assert!(held.push(down, scope(), 0).is_none());
    let view = View { table: &table, held: &held, live };
    assert_eq!(daemon_log::unless_open(&view, scope(), false), Match::Wait);
}
