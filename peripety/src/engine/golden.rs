//! One event of every parser, as it stands in JSON.
//!
//! After a change that is meant: `INSTA_UPDATE=always cargo test -p peripety golden`, then read the difference.

use peripety_common::{
    Kind, Payload,
    ext4::{Ext4Error, Ext4Shutdown},
    nvme_aen::NvmeAen,
    scsi_eh::ScsiEh,
    wb_err::WbErr,
    xfs::XfsShutdown,
};
use serde_json::Value;

use super::tests::{
    DM0, Devices, LOOP0, MS, SDA, START, all_live, bio, finals, kernel, nvme, rq, scsi, stamp,
};
use crate::{
    block::Dev,
    correlate::LiveSources,
    engine::{Engine, Settings},
    event::{Event, Severity, json_schema},
    parser::rules::RuleSet,
    record::{Body, LogRecord, Lost, Record, Uevent},
};

fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut out = [0; N];
    out[..text.len()].copy_from_slice(text.as_bytes());
    out
}

fn text(ns: u64, line: &str) -> Record {
    let log = LogRecord { seq: ns, level: 3, text: line.to_owned(), ..LogRecord::default() };
    Record { time: stamp(ns), body: Body::Log(log) }
}

fn uevent(
    action: &str,
    subsystem: &str,
    devpath: &str,
    dev: Option<Dev>,
    properties: &[(&str, &str)],
) -> Record {
    let properties = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let (action, subsystem, devpath) = (action.to_owned(), subsystem.to_owned(), devpath.to_owned());
    let event = Uevent { seq: 4711, action, subsystem, devpath, dev, properties, udev: false };
    Record { time: stamp(START), body: Body::Uevent(event) }
}

/// Runs the records through an engine with peripety's own rules; the last revision of each event.
fn events(records: &[Record]) -> Vec<Event> {
    let settings = Settings { boot_id: "b".repeat(32), hostname: "storage1".to_owned(), live: all_live() };
    let (mut engine, facts, mut out) =
        (Engine::new(settings, RuleSet::built_in()), Devices::usual(), Vec::new());
    for record in records {
        engine.push(record, &facts, &mut out);
    }
    engine.finish(&facts, &mut out);
    let finals: Vec<Event> = finals(&out).into_iter().cloned().collect();
    for event in &finals {
        check(event);
    }
    finals
}

/// Every key of the schema is there, no other, and it reads back as it was.
fn check(event: &Event) {
    let json = serde_json::to_value(event).unwrap();
    let schema = json_schema();
    let known = schema["properties"].as_object().unwrap();
    for key in schema["required"].as_array().unwrap() {
        assert!(json.get(key.as_str().unwrap()).is_some(), "no {key} in {json:#}");
    }
    for (key, value) in json.as_object().unwrap() {
        let declared = known.get(key).unwrap_or_else(|| panic!("{key} is not in the schema"));
        let types: Vec<&str> = match &declared["type"] {
            Value::String(one) => vec![one],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            // A reference to another type: reading it back checks that.
            _ => continue,
        };
        let is = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        assert!(types.contains(&is), "{key} is {is}, not {types:?}");
    }
    assert_eq!(&serde_json::from_value::<Event>(json).unwrap(), event);
    assert!(event.msg.chars().count() <= 200 && !event.msg.contains('\n'), "{}", event.msg);
}

macro_rules! golden {
    ($($name:ident: $records:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
                insta::assert_json_snapshot!(stringify!($name), events(&$records));
            });
        }
    )*};
}

golden! {
    block_request: [
        rq(START, LOOP0, 0, 5, 2048),
        text(START + MS, "I/O error, dev loop0, sector 2048 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2"),
    ];
    block_bio: [rq(START, SDA, 0, 5, 4096), bio(START + MS, DM0, 5, 2048)];
    scsi_command: [
        scsi(START, SDA, 0x1230, 2, [3, 0x11, 0]),
        rq(START + MS, SDA, 0, 61, 0x1230),
        text(START + 2 * MS, "sd 4:0:0:1: [sda] tag#117 FAILED Result: hostbyte=DID_OK driverbyte=DRIVER_OK cmd_age=0s"),
        text(START + 2 * MS + 1, "sd 4:0:0:1: [sda] tag#117 Sense Key : Medium Error [current] "),
        text(START + 2 * MS + 2, "sd 4:0:0:1: [sda] tag#117 Add. Sense: Unrecovered read error"),
        text(START + 2 * MS + 3, "sd 4:0:0:1: [sda] tag#117 CDB: Read(10) 28 00 00 00 12 30 00 00 08 00"),
        text(START + 2 * MS + 4, "critical medium error, dev sda, sector 4656 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2"),
    ];
    scsi_retried: [scsi(START, SDA, 8, 0xe << 16, [0; 3])];
    scsi_unit_attention: [
        scsi(START, SDA, 8, 2, [6, 0x29, 1]),
        uevent("change", "scsi", "/devices/x/host4/target4:0:0/4:0:0:1", None, &[("SDEV_UA", "POWER_ON_RESET_OCCURRED")]),
    ];
    scsi_error_handler: [kernel(Kind::ScsiEhWakeup, START, Payload::ScsiEh(ScsiEh { host: 4, failed: 1 }))];
    nvme_command: [nvme(START, Dev::new(259, 300), 256, 0x4281), rq(START + MS, Dev::new(259, 300), 0, 61, 2048)];
    nvme_async_event: [
        kernel(Kind::NvmeAsyncEvent, START, Payload::NvmeAen(NvmeAen { ctrl: 0, result: 0x0002_0001 })),
    ];
    ext4_error: [
        kernel(Kind::Ext4Error, START, Payload::Ext4Error(Ext4Error {
            dev: LOOP0.to_kernel(),
            line: 1683,
            function: padded("ext4_find_entry"),
        })),
        text(START + MS, "EXT4-fs error (device loop0): ext4_find_entry:1683: inode #2: comm ls: reading directory lblock 0"),
    ];
    ext4_shutdown: [
        kernel(Kind::Ext4Shutdown, START, Payload::Ext4Shutdown(Ext4Shutdown { dev: LOOP0.to_kernel(), flags: 2 })),
        text(START + MS, "EXT4-fs (loop0): shut down requested (2)"),
    ];
    xfs_shutdown: [
        rq(START, SDA, 1, 5, 4096),
        kernel(Kind::XfsForceShutdown, START + MS, Payload::XfsShutdown(XfsShutdown {
            dev: DM0.to_kernel(),
            ptag: 0,
            flags: 2,
            line: 1300,
            file: padded("fs/xfs/xfs_log.c"),
        })),
        text(
            START + 2 * MS,
            "XFS (dm-0): Log I/O Error (0x2) detected at xlog_ioend_work+0x53/0x90 [xfs] (fs/xfs/xfs_log.c:1300).  \
             Shutting down filesystem.",
        ),
    ];
    lost_write: [
        kernel(Kind::FilemapSetWbErr, START, Payload::WbErr(WbErr::unnamed(LOOP0.to_kernel(), 12, 5, 34))),
        text(START + MS, "Buffer I/O error on dev loop0, logical block 258, lost async page write"),
    ];
    uevent_multipath: [uevent("change", "block", "/devices/virtual/block/dm-0", Some(DM0), &[
        ("DM_ACTION", "PATH_FAILED"), ("DM_PATH", "8:0"), ("DM_NR_VALID_PATHS", "1"), ("DM_NAME", "mpatha"),
    ])];
    uevent_resize: [uevent("change", "block", "/devices/virtual/block/loop0", Some(LOOP0), &[("RESIZE", "1")])];
    lost: [Record { time: stamp(START), body: Body::Lost(Lost {
        source: "ebpf:block_rq_error".to_owned(),
        reason: "ring full".to_owned(),
        count: 747,
        sequence: "1".to_owned(),
    }) }];
    suppressed: [text(START, "blk_print_req_error: 990 callbacks suppressed")];
    healthy: [
        scsi(START, SDA, 8, 8, [0; 3]),
        nvme(START, Dev::new(259, 0), 8, 0),
        uevent("change", "block", "/devices/virtual/block/loop0", Some(LOOP0), &[]),
        text(START, "loop0: detected capacity change from 0 to 2048"),
        text(START + 1, "EXT4-fs (loop0): mounted filesystem 11111111-2222-3333-4444-555555555555 r/w with ordered data mode. Quota mode: none."),
    ];
}

/// A disk that corrects a read and says that it will fail: the record, and the two lines of text in either order.
#[test]
fn a_predicted_failure_is_one_event() {
    let record = scsi(START, SDA, 100, 2, [1, 0x5d, 0]);
    let key = text(START + MS, "sd 4:0:0:1: [sda] tag#117 Sense Key : Recovered Error [current] ");
    let add =
        text(START + 2 * MS, "sd 4:0:0:1: [sda] tag#117 Add. Sense: Failure prediction threshold exceeded");
    for records in [
        vec![record.clone(), key.clone(), add.clone()],
        vec![key.clone(), add.clone(), record],
        // The record was lost, or the kernel's tracepoint has no sense data.
        vec![key, add],
    ] {
        let events = events(&records);
        let [event] = &*events else { panic!("{events:#?}") };
        assert_eq!((event.event_type.as_str(), event.count), ("SMART_DISK_FAIL", 1));
        assert_eq!((event.severity, event.raw_msgs.len()), (Severity::Critical, 2), "{event:#?}");
    }
}

/// A new unit speaks before its disk is known: by its number, by its address, and by the address in a uevent.
#[test]
fn a_reset_of_a_unit_that_is_not_known_yet_is_one_event() {
    let mut record = scsi(START, Dev::new(8, 64), 0, 2, [6, 0x29, 1]);
    if let Body::Kernel(kernel) = &mut record.body
        && let Payload::ScsiDone(cmd) = &mut kernel.payload
    {
        cmd.host = 9;
    }
    let line = text(START + 30 * MS, "sd 9:0:0:1: Power-on or device reset occurred");
    let change = uevent(
        "change",
        "scsi",
        "/devices/pseudo_0/adapter0/host9/target9:0:0/9:0:0:1",
        None,
        &[("SDEV_UA", "POWER_ON_RESET_OCCURRED")],
    );
    let events = events(&[record, change, line]);
    let [event] = &*events else { panic!("{events:#?}") };
    assert_eq!((event.kdev.as_str(), event.count), ("9:0:0:1", 1));
}

/// The line of a reset may seem older than the probe, for its clock is off until the difference is known.
#[test]
fn a_line_that_seems_older_than_the_probe_is_about_what_the_probe_tells() {
    let live = LiveSources::with_probes([Kind::ScsiDone, Kind::BlockRqError], START + 200 * MS);
    let settings = Settings { boot_id: "b".repeat(32), hostname: "storage1".to_owned(), live };
    let (mut engine, facts, mut out) =
        (Engine::new(settings, RuleSet::built_in()), Devices::usual(), Vec::new());
    let reset = text(START, "sd 4:0:0:1: Power-on or device reset occurred");
    let record = |ns| scsi(START + ns, SDA, 0, 2, [6, 0x29, 1]);
    for record in [reset, record(240 * MS), record(3000 * MS)] {
        engine.push(&record, &facts, &mut out);
    }
    engine.finish(&facts, &mut out);
    let reported: Vec<_> =
        finals(&out).iter().map(|e| (e.event_type.as_str(), e.count, e.sources.len())).collect();
    assert_eq!(reported, [("SCSI_POWER_ON_RESET", 2, 2)]);
}

/// The same for the unit that comes to the place of one that was removed.
#[test]
fn resets_of_two_units_in_one_place_are_two_events() {
    let place = "/devices/pseudo_0/adapter0/host9/target9:0:0/9:0:0:1";
    let sde = Dev::new(8, 64);
    let facts = Devices::default().with(sde, "sde", &[]).at(sde, "9:0:0:1");
    let reset = |ns| text(ns, "scsi 9:0:0:1: Power-on or device reset occurred");
    let mut removed = uevent("remove", "block", &format!("{place}/block/sde"), Some(sde), &[]);
    removed.time = stamp(START + 1000 * MS);
    let settings = Settings { boot_id: "b".repeat(32), hostname: "storage1".to_owned(), live: all_live() };
    let (mut engine, mut out) = (Engine::new(settings, RuleSet::built_in()), Vec::new());
    for record in [reset(START), removed, reset(START + 2000 * MS)] {
        engine.push(&record, &facts, &mut out);
    }
    engine.finish(&facts, &mut out);
    let resets = finals(&out).into_iter().filter(|event| event.event_type.as_str() == "SCSI_POWER_ON_RESET");
    assert_eq!(resets.map(|event| event.count).collect::<Vec<_>>(), [1, 1]);
}

/// A new disk fails while it is read for the first time: its record has a number, its lines a name that nobody knows yet.
#[test]
fn a_disk_that_is_not_known_yet_gives_one_event() {
    let records = [
        rq(START, Dev::new(8, 64), 0, 5, 2048),
        text(
            START + MS,
            "I/O error, dev sde, sector 2048 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2",
        ),
    ];
    let events = events(&records);
    let [event] = &*events else { panic!("{events:#?}") };
    assert!(event.block.is_none() && event.raw_msgs.len() == 1, "{event:#?}");
}

/// A controller says that it is connected also when it starts for the first time, or after another had its name.
#[test]
fn only_a_controller_that_was_in_trouble_is_back() {
    let path = "/devices/pci0000:00/0000:00:04.0/nvme/nvme9";
    let mut connected = uevent("change", "nvme", path, None, &[("NVME_EVENT", "connected")]);
    connected.time = stamp(START + 2000 * MS);
    assert_eq!(events(std::slice::from_ref(&connected)), []);
    let trouble = text(START, "nvme nvme9: starting error recovery");
    let reported = events(&[trouble.clone(), connected.clone()]);
    assert!(reported.iter().any(|event| event.event_type.as_str() == "NVME_PATH_RECOVERED"), "{reported:#?}");
    let mut gone = uevent("remove", "nvme", path, None, &[]);
    gone.time = stamp(START + 1000 * MS);
    let reported = events(&[trouble, gone, connected]);
    assert!(reported.iter().all(|event| event.event_type.as_str() != "NVME_PATH_RECOVERED"), "{reported:#?}");
}

/// NVMe's classic tracepoint reports no place and no number, and the attempts may take longer than anyone waits for their
/// request.
#[test]
fn attempts_without_a_place_belong_to_the_request_that_fails_after_them() {
    let nvme0n1 = Dev::new(259, 1);
    let facts = Devices::default().with(nvme0n1, "nvme0n1", &[]);
    let blind = |dev: Dev, ns| {
        let mut record = nvme(ns, dev, u64::MAX, 0x281);
        if let Body::Kernel(kernel) = &mut record.body
            && let Payload::NvmeRq(rq) = &mut kernel.payload
        {
            (rq.opcode, rq.nsid) = (0xff, 0);
        }
        record
    };
    for (dev, apart) in [(nvme0n1, 40 * MS), (Dev::new(0, 0), 40 * MS), (Dev::new(0, 0), MS / 10)] {
        let attempts = (0..6).map(|n| blind(dev, START + n * apart));
        let failure = rq(START + 5 * apart + 30 * MS, nvme0n1, 0, 61, 40000);
        let settings =
            Settings { boot_id: "b".repeat(32), hostname: "storage1".to_owned(), live: all_live() };
        let (mut engine, mut out) = (Engine::new(settings, RuleSet::built_in()), Vec::new());
        for record in attempts.chain([failure]) {
            engine.push(&record, &facts, &mut out);
        }
        engine.finish(&facts, &mut out);
        let events = finals(&out);
        let [event] = &*events else { panic!("{events:#?}") };
        assert_eq!((event.event_type.as_str(), event.count), ("NVME_MEDIUM_ERROR", 1));
        assert_eq!(event.io.as_ref().and_then(|io| io.sector), Some(crate::event::Sector(40000)));
        // The last of the six is the one that failed for good.
        assert_eq!(event.facts.get("counts.retried_commands"), Some(5.into()), "{dev:?} {apart}");
    }
}
