//! What filesystems report by peripety-watch, beside probes and text.

use peripety_common::{
    Kind, Payload,
    ext4::{Ext4Error, FUNCTION_BYTES},
};
use peripety_watch::message::{Failure, Reporter, What};

use super::{
    tests::{
        LOOP0, MS, SECOND, START, all_live, engine_with_rules, finals, kernel, line, run_in_time, stamp,
        wb_err,
    },
    *,
};
use crate::event::{Errno, EventType};

const LINE: &str =
    "EXT4-fs error (device loop0): ext4_lookup:1785: inode #2: comm ls: deleted inode referenced: 12";

fn probe(ns: u64) -> Record {
    let mut function = [0; FUNCTION_BYTES];
    function[..11].copy_from_slice(b"ext4_lookup");
    kernel(
        Kind::Ext4Error,
        ns,
        Payload::Ext4Error(Ext4Error { dev: LOOP0.to_kernel(), line: 1785, function }),
    )
}

fn text(ns: u64) -> Record {
    line(ns, LINE)
}

fn failure(what: What, errno: Option<Errno>, inode: Option<u64>) -> Failure {
    Failure {
        reporter: Reporter::Fanotify,
        dev: LOOP0,
        fs_type: "ext4".to_owned(),
        what,
        errno,
        inode,
        generation: Some(1),
        offset: None,
        length: None,
        count: 3,
        detail: String::new(),
    }
}

fn report(ns: u64, inode: u64) -> Record {
    Record {
        time: stamp(ns),
        body: Body::Filesystem(failure(What::Error, Some(Errno::EUCLEAN), Some(inode))),
    }
}

fn run(records: &[Record]) -> Vec<Event> {
    let events = run_in_time(&mut engine_with_rules(all_live()), records);
    finals(&events).into_iter().cloned().collect()
}

#[test]
fn probe_line_and_report_of_one_failure_are_one_event_in_any_order() {
    let at = [START, START + MS, START + 2 * MS];
    let makers: [fn(u64) -> Record; 3] = [probe, text, |ns| report(ns, 2)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let records: Vec<Record> = order.iter().zip(at).map(|(maker, ns)| makers[*maker](ns)).collect();
        let events = run(&records);
        assert_eq!(events.len(), 1, "{order:?}: {events:?}");
        let event = &events[0];
        assert_eq!((&event.event_type, event.count), (&EventType::FS_ERROR, 1), "{order:?}");
        let mut sources = event.sources.clone();
        sources.sort_unstable();
        assert_eq!(sources, ["ebpf:ext4_error", "fanotify", "kmsg"], "{order:?}");
        let fs = event.facts.fs.as_ref().unwrap();
        assert_eq!((fs.inode, fs.error, fs.function.as_deref()), (Some(2), Some(-117), Some("ext4_lookup")));
    }
}

#[test]
fn a_report_late_but_within_the_event_is_added_to_it() {
    let events = run(&[probe(START), text(START + MS), report(START + 3 * SECOND, 2)]);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((events[0].count, events[0].facts.fs.as_ref().unwrap().error), (1, Some(-117)));
}

#[test]
fn a_report_alone_is_an_event_with_the_count_of_the_filesystem() {
    let events = run(&[report(START, 12)]);
    assert_eq!(events.len(), 1, "{events:?}");
    let event = &events[0];
    assert_eq!((event.event_type.as_str(), event.sub_system.as_str(), event.count), ("FS_ERROR", "ext4", 3));
    let block = event.block.as_ref().unwrap();
    assert_eq!((block.id.dev, event.facts.fs.as_ref().unwrap().inode), (LOOP0, Some(12)));
}

#[test]
fn another_inode_is_another_failure() {
    let events = run(&[probe(START), text(START + MS), report(START + 2 * MS, 99)]);
    assert_eq!(events.len(), 2, "{events:?}");
}

#[test]
fn a_shutdown_that_each_access_reports_is_the_one_event() {
    let shut = |ns| Record {
        time: stamp(ns),
        body: Body::Filesystem(failure(What::Shutdown, Some(Errno::ESHUTDOWN), None)),
    };
    let access = |ns| Record {
        time: stamp(ns),
        body: Body::Filesystem(failure(What::Error, Some(Errno::ESHUTDOWN), Some(12))),
    };
    let events = run(&[shut(START), access(START + 200 * MS), access(START + 300 * MS)]);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].event_type, EventType::FS_SHUTDOWN);
}

#[test]
fn a_lost_write_learns_which_bytes_of_its_file() {
    let lost = wb_err(START, LOOP0);
    let Body::Kernel(record) = &lost.body else { panic!("no record") };
    let Payload::WbErr(wb) = &record.payload else { panic!("no lost write") };
    let mut bytes = failure(What::Write, Some(Errno::EIO), Some(wb.ino));
    (bytes.reporter, bytes.offset, bytes.length) = (Reporter::XfsHealth, Some(4096), Some(8192));
    let events = run(&[lost.clone(), Record { time: stamp(START + MS), body: Body::Filesystem(bytes) }]);
    assert_eq!(events.len(), 1, "{events:?}");
    let fs = events[0].facts.fs.as_ref().unwrap();
    assert_eq!(
        (events[0].event_type.as_str(), fs.offset, fs.size),
        ("BLK_LOST_WRITE", Some(4096), Some(8192))
    );
}
