use std::{io::Cursor, path::Path, sync::Arc, time::Duration};

use peripety_common::{Header, KernelRecord, Kind, Payload, VERSION, block_rq::BlockRq};
use proptest::prelude::*;

use super::*;
use crate::{
    block::{BlkId, BlkInfo, Dev, DeviceFacts, NoFacts},
    correlate::LiveSources,
    incident::signs::{Limit, Limits},
    parser::rules::{Author, read_rules},
    record::{Body, LogRecord, Lost, Record, Stamp, Uevent},
    recording::RecordedEngine,
};

const MS: u64 = 1_000_000;

fn at(ns: u64) -> Stamp {
    Stamp { monotonic_ns: Some(ns), realtime_us: 1_767_225_600_000_000 + (ns / 1000) as i64 }
}

fn rq(ns: u64, minor: u32, sector: u64) -> Record {
    let dev = Dev::new(7, minor).to_kernel();
    let rq = BlockRq {
        sector,
        dev,
        errno: 5,
        nr_sectors: 8,
        cmd_flags: 0,
        tag: -1,
        op: 0,
        status: 10,
        reserved: 0,
    };
    let header = Header {
        kind: Kind::BlockRqError.number(),
        len: 0,
        version: VERSION,
        flags: 0,
        cpu: 0,
        seq: ns,
        mono_ns: ns,
    };
    Record { time: at(ns), body: Body::Kernel(KernelRecord { header, payload: Payload::BlockRq(rq) }) }
}

fn text(ns: u64, line: &str) -> Record {
    let log = LogRecord { seq: ns, level: 3, text: line.to_owned(), ..LogRecord::default() };
    Record { time: at(ns), body: Body::Log(log) }
}

/// A device under each number, another one each second.
struct Changing;

impl DeviceFacts for Changing {
    fn by_dev(&self, dev: Dev, at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        let serial = (at_ns? / (1000 * MS)).to_string();
        let blk_path = format!("/dev/loop{}", dev.minor);
        let id = BlkId { dev, serial, blk_path, diskseq: Some(u64::from(dev.minor)), ..BlkId::default() };
        (dev.minor != 3).then(|| Arc::new(BlkInfo { id, ..BlkInfo::default() }))
    }

    fn by_name(&self, name: &str, at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        self.by_dev(Dev::new(7, name.strip_prefix("loop")?.parse().ok()?), at_ns)
    }
}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a test has few of them")]
enum Step {
    Push(Record),
    Tick(u64),
    Live(bool),
}

fn settings() -> Settings {
    Settings { boot_id: "b".repeat(32), hostname: "storage1".into(), live: LiveSources::text_only() }
}

/// What an engine gives that records to `file`.
fn live(file: &Path, steps: &[Step], finish: bool) -> Vec<Event> {
    let rule =
        "[[collector_regexs]]\nregex = '^mine (?P<kdev>\\w+)$'\nsub_system = 'scsi'\nevent_type = 'MINE'";
    let rules = read_rules("user", rule, Author::User).0;
    let (mut engine, mut out) = (RecordedEngine::new(settings(), &rules, Some(file)).unwrap(), Vec::new());
    for step in steps {
        match step {
            Step::Push(record) => engine.push(record, &Changing, &mut out),
            Step::Tick(ns) => engine.tick(*ns, &Changing, &mut out),
            Step::Live(true) => {
                engine.set_live_sources(LiveSources::with_probes(Kind::ALL.iter().copied(), 0));
            }
            Step::Live(false) => engine.set_live_sources(LiveSources::text_only()),
        }
    }
    if finish {
        engine.finish(&Changing, &mut out);
        let mut said = crate::notifier::fixture::sample();
        engine.said(&mut said);
        out.push(said);
    }
    engine.close(Duration::from_secs(10));
    out
}

fn replayed(file: &Path) -> (Result<(), ReplayError>, Vec<Event>, Notes) {
    let (mut replay, mut out) = (Replay::open(file).unwrap(), Vec::new());
    let result = loop {
        match replay.step(&mut out) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    (result, out, replay.notes().clone())
}

fn lines(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| serde_json::to_string(event).unwrap()).collect()
}

fn a_storm() -> Vec<Step> {
    let mut steps = vec![Step::Live(true)];
    steps.extend((0..500).map(|i| Step::Push(rq(1000 * MS + i * 10 * MS, (i % 5) as u32, i * 8))));
    steps.push(Step::Push(text(1100 * MS, "I/O error, dev loop0, sector 8 op 0x0:(READ) flags 0x0")));
    steps.push(Step::Push(text(1101 * MS, "mine loop1")));
    steps.push(Step::Tick(7000 * MS));
    let (source, reason, sequence) = ("kmsg".into(), "overwritten".into(), "1".into());
    steps.push(Step::Push(Record {
        time: at(7001 * MS),
        body: Body::Lost(Lost { source, reason, count: 3, sequence }),
    }));
    let uevent = Uevent {
        action: "remove".into(),
        subsystem: "block".into(),
        dev: Some(Dev::new(7, 2)),
        ..Uevent::default()
    };
    steps.push(Step::Push(Record { time: at(7002 * MS), body: Body::Uevent(uevent) }));
    steps.push(Step::Tick(20_000 * MS));
    steps
}

#[test]
fn a_replay_gives_the_same_events_plain_and_gzipped() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["r.jsonl", "r.jsonl.gz"] {
        let file = dir.path().join(name);
        let events = live(&file, &a_storm(), true);
        assert!(
            events.iter().any(|event| event.event_type.as_str() == "MINE"),
            "the user's rule is in force"
        );
        let (result, again, notes) = replayed(&file);
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(lines(&events), lines(&again), "{name}");
        assert_eq!(notes, Notes { sessions: 1, ..Notes::default() });
    }
}

#[test]
fn a_replay_gives_the_same_incidents() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("r.jsonl");
    let (mut engine, mut out) = (RecordedEngine::new(settings(), &[], Some(&file)).unwrap(), Vec::new());
    for step in a_storm() {
        match step {
            Step::Push(record) => engine.push(&record, &Changing, &mut out),
            Step::Tick(ns) => engine.tick(ns, &Changing, &mut out),
            Step::Live(_) => {}
        }
    }
    let mut said = crate::notifier::fixture::sample();
    engine.said(&mut said);
    let over = crate::state::Condition::all_opened_by(&said);
    engine.looked(&over, 1_795_266_000_000_000);
    engine.finish(&Changing, &mut out);
    engine.close(Duration::from_secs(10));
    let revisions = engine.take_incidents();
    assert!(revisions.iter().any(|incident| !incident.state.is_open()), "{revisions:#?}");
    let (mut replay, mut again) = (Replay::open(&file).unwrap(), Vec::new());
    while replay.step(&mut Vec::new()).unwrap() {
        again.extend(replay.take_incidents());
    }
    again.extend(replay.take_incidents());
    assert_eq!(serde_json::to_string(&revisions).unwrap(), serde_json::to_string(&again).unwrap());
}

#[test]
fn limits_of_early_signs_are_part_of_a_recording() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("r.jsonl");
    let mut limits = Limits::default();
    limits.set("link_resets", Limit { count: 2, within_s: 60, quiet_s: 600 });
    let (mut engine, mut out) = (RecordedEngine::new(settings(), &[], Some(&file)).unwrap(), Vec::new());
    engine.set_limits(&limits);
    for second in [10, 30] {
        engine.push(&text(second * 1000 * MS, "ata2: hard resetting link"), &NoFacts, &mut out);
        engine.tick((second + 9) * 1000 * MS, &NoFacts, &mut out);
    }
    engine.close(Duration::from_secs(10));
    let signs = |revisions: Vec<Incident>| revisions.last().map(|last| last.early_signs.clone()).unwrap();
    let live = signs(engine.take_incidents());
    assert_eq!(live.first().map(|sign| (sign.count, sign.within_s)), Some((2, 60)));
    let (mut replay, mut again) = (Replay::open(&file).unwrap(), Vec::new());
    while replay.step(&mut Vec::new()).unwrap() {
        again.extend(replay.take_incidents());
    }
    assert_eq!(live, signs(again));
}

#[test]
fn a_recording_that_is_cut_anywhere_gives_what_came_before() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["r.jsonl", "r.jsonl.gz"] {
        let file = dir.path().join(name);
        let events = lines(&live(&file, &a_storm(), true));
        let whole = std::fs::read(&file).unwrap();
        let step = (whole.len() / 9).max(1);
        for cut in (0..whole.len()).step_by(step) {
            std::fs::write(&file, &whole[..cut]).unwrap();
            let (result, again, _) = replayed(&file);
            match result {
                // The first line is not whole.
                Err(ReplayError::NoRecording) => assert!(again.is_empty()),
                result => {
                    assert!(result.is_ok(), "{name} cut at {cut}: {result:?}");
                    let again = lines(&again);
                    assert_eq!(again, events[..again.len()], "{name} cut at {cut}");
                }
            }
        }
    }
}

#[test]
fn a_daemon_that_was_killed_and_the_next_one_are_two_sessions() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("r.jsonl");
    let mut events = live(&file, &a_storm(), false);
    let half = std::fs::read(&file).unwrap();
    std::fs::write(&file, [&half[..], b"{\"push\":{\"us\":17672"].concat()).unwrap();
    events.extend(live(&file, &a_storm(), true));
    let (result, again, notes) = replayed(&file);
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(lines(&events), lines(&again));
    assert_eq!(notes, Notes { sessions: 2, torn: 1, ..Notes::default() });
}

fn refused(text: &str) -> String {
    let (mut replay, mut out) = (Replay::new(Cursor::new(text.to_owned())), Vec::new());
    loop {
        match replay.step(&mut out) {
            Ok(true) => {}
            Ok(false) => return "taken".into(),
            Err(error) => return error.to_string(),
        }
    }
}

#[test]
fn what_is_no_recording_is_refused_in_words() {
    let start = |format: u32, order: &str| {
        format!(
            "{{\"start\":{{\"peripety_recording\":{format},\"version\":\"9.1.0\",\"boot_id\":\"b\",\"hostname\":\"h\",\
             \"byte_order\":\"{order}\",\"own_rules\":\"\"}}}}\n"
        )
    };
    let ours = start(1, BYTE_ORDER);
    assert_eq!(refused(&ours), "taken");
    for (text, words) in [
        (String::new(), "no recording"),
        ("hello\n".into(), "no recording"),
        ("{\"tick\":{\"ns\":1}}\n".into(), "no recording"),
        (start(2, BYTE_ORDER), "peripetyd 9.1.0 in format 2"),
        (
            "{\"start\":{\"peripety_recording\":7,\"version\":\"8\",\"boot_id\":[]}}".into(),
            "peripetyd 8 in format 7",
        ),
        (start(1, "middle"), "middle-endian"),
        (format!("{ours}nonsense\n{{\"tick\":{{\"ns\":1}}}}\n"), "line 2 is broken"),
        (format!("{ours}{{\"tick\":\n{{\"tick\":{{\"ns\":1}}}}\n"), "line 2 is broken"),
        (format!("{ours}{{\"push\":{{\"us\":1,\"kernel\":\"zz\"}}}}\n"), "not hexadecimal"),
        (format!("{ours}{{\"push\":{{\"us\":1,\"kernel\":\"ffff\"}}}}\n"), "line 2 is broken"),
        (format!("{ours}{{\"rules\":\"[[collector_regexs]]\"}}\n"), "its rules are none"),
        (format!("{ours}{{\"dance\":1}}\n{{\"tick\":{{\"ns\":1}}}}\n"), "unknown variant"),
    ] {
        let reported = refused(&text);
        assert!(reported.contains(words) && reported.lines().count() == 1, "{text}: {reported}");
    }
}

#[test]
fn a_line_without_end_is_refused_before_it_fills_the_memory() {
    let endless = BufReader::new(io::repeat(b'{'));
    let (mut replay, mut out) = (Replay::new(endless), Vec::new());
    assert!(matches!(replay.step(&mut out), Err(ReplayError::Broken { line: 1, .. })));
}

fn step() -> impl Strategy<Value = Step> {
    let ns = 0..20_000 * MS;
    prop_oneof![
        6 => (ns.clone(), 0u32..5, 0u64..4096).prop_map(|(ns, minor, sector)| Step::Push(rq(ns, minor, sector))),
        2 => (ns.clone(), 0u32..5).prop_map(|(ns, minor)| {
            Step::Push(text(ns, &format!("I/O error, dev loop{minor}, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1")))
        }),
        1 => (ns.clone(), 0u32..5).prop_map(|(ns, minor)| Step::Push(text(ns, &format!("mine loop{minor}")))),
        1 => ns.prop_map(Step::Tick),
        1 => any::<bool>().prop_map(Step::Live),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_input_gives_the_same_again(steps in proptest::collection::vec(step(), 0..60), finish: bool) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("r.jsonl");
        let events = live(&file, &steps, finish);
        let (result, again, _) = replayed(&file);
        prop_assert!(result.is_ok());
        prop_assert_eq!(lines(&events), lines(&again));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let (mut replay, mut out) = (Replay::new(Cursor::new(bytes)), Vec::new());
        while let Ok(true) = replay.step(&mut out) {}
    }
}

#[test]
fn nothing_is_known_that_was_not_told() {
    let answers = Answers::default();
    assert_eq!(answers.by_name("sda", None), NoFacts.by_name("sda", None));
}
