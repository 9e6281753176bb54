use std::fs;

use super::*;
use crate::notifier::fixture::sample;

fn open(dir: &Path, bound: u64, committed: Option<u64>) -> Spool {
    let (spool, opened) = Spool::open(dir, bound, committed);
    opened.unwrap();
    spool
}

fn event(id: u128, revision: u32) -> Arc<Event> {
    let mut event = sample();
    event.event_id = uuid::Uuid::from_u128(id);
    event.revision = revision;
    Arc::new(event)
}

fn add(spool: &mut Spool, event: &Arc<Event>) -> Added {
    let added = spool.add(event).unwrap();
    spool.write().unwrap();
    added
}

fn next(spool: &mut Spool) -> Option<(u64, u128)> {
    let next = spool.next_event();
    next.map(|(number, event)| (number, event.event_id.as_u128()))
}

#[test]
fn only_what_is_committed_goes_out_and_a_successor_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 1 << 20, None);
    for id in 1..=3 {
        assert_eq!(add(&mut spool, &event(id, 0)), Added::Waits);
    }
    assert_eq!(next(&mut spool), None, "nothing is committed");
    spool.commit();
    assert_eq!(next(&mut spool), Some((1, 1)));
    spool.sent(1).unwrap();
    let committed = spool.last();
    // The daemon is killed with one event that is not committed.
    add(&mut spool, &event(4, 0));
    drop(spool);

    let mut spool = open(dir.path(), 1 << 20, Some(committed));
    assert_eq!((next(&mut spool), spool.waiting()), (Some((2, 2)), 2));
    // Made again by the successor, with the same number.
    add(&mut spool, &event(4, 0));
    spool.commit();
    for number in 2..=4 {
        assert_eq!(next(&mut spool), Some((number, u128::from(number))));
        spool.sent(number).unwrap();
    }
    assert_eq!(next(&mut spool), None);
    assert_eq!(fs::metadata(dir.path().join("spool")).unwrap().len(), 0, "emptied");
    let mut spool = open(dir.path(), 1 << 20, Some(4));
    assert_eq!((next(&mut spool), spool.last()), (None, 4));
}

#[test]
fn a_mark_that_is_removed_is_made_again_and_nothing_goes_out_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 1 << 20, None);
    for id in 1..=3 {
        add(&mut spool, &event(id, 0));
    }
    spool.commit();
    assert_eq!(next(&mut spool), Some((1, 1)));
    spool.sent(1).unwrap();
    fs::remove_file(dir.path().join(MARK)).unwrap();
    spool.repair().unwrap();
    let committed = spool.last();
    drop(spool);
    let mut spool = open(dir.path(), 1 << 20, Some(committed));
    assert_eq!(next(&mut spool), Some((2, 2)));
}

#[test]
fn damage_costs_the_lines_that_it_hits_and_each_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    let mut spool = open(dir.path(), 1 << 20, None);
    for id in 1..=9 {
        add(&mut spool, &event(id, 0));
    }
    spool.commit();
    for number in 1..=2 {
        assert_eq!(next(&mut spool), Some((number, u128::from(number))));
        spool.sent(number).unwrap();
    }
    drop(spool);
    let (whole, mark) = (fs::read(&path).unwrap(), fs::read(dir.path().join("spool.sent")).unwrap());
    let line = whole.len() / 9;
    type Damage = Box<dyn Fn(&mut Vec<u8>)>;
    let over = |range: std::ops::Range<usize>, with: u8| -> Damage {
        Box::new(move |bytes| bytes[range.clone()].fill(with))
    };
    let cases: [(&str, Damage, &[u64]); 10] = [
        ("nothing", Box::new(|_| {}), &[]),
        ("a bad byte in 4", over(3 * line + 200..3 * line + 201, b'#'), &[4]),
        ("a page of NULs over 4 to 6", over(3 * line + 9..5 * line + 9, 0), &[4, 5, 6]),
        ("newlines in 5", over(4 * line + 50..4 * line + 90, b'\n'), &[5]),
        ("all before 8 is gone", over(0..7 * line, 0), &[3, 4, 5, 6, 7]),
        ("one that went out", over(line + 20..line + 30, 0xff), &[]),
        ("cut in 8", Box::new(move |bytes| bytes.truncate(7 * line + 40)), &[8, 9]),
        ("cut before 9", Box::new(move |bytes| bytes.truncate(8 * line)), &[9]),
        ("emptied", Box::new(|bytes| bytes.clear()), &[3, 4, 5, 6, 7, 8, 9]),
        ("more than a line", Box::new(|bytes| bytes.extend(vec![b'x'; 2 * LINE_MAX])), &[]),
    ];
    for (what, damage, gone) in cases {
        let mut bytes = whole.clone();
        damage(&mut bytes);
        fs::write(&path, bytes).unwrap();
        fs::write(dir.path().join("spool.sent"), &mark).unwrap();
        let mut spool = open(dir.path(), 1 << 20, Some(9));
        assert_eq!(spool.take_lost(), gone.len() as u64, "{what}");
        assert_eq!(add(&mut spool, &event(10, 0)), Added::Waits);
        spool.commit();
        for number in (3..=10).filter(|number| !gone.contains(number)) {
            assert_eq!(next(&mut spool), Some((number, u128::from(number))), "{what}");
            spool.sent(number).unwrap();
        }
        assert_eq!((next(&mut spool), spool.take_lost()), (None, 0), "{what}");
    }
}

#[test]
fn a_torn_or_foreign_line_at_the_end_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 1 << 20, None);
    add(&mut spool, &event(1, 0));
    drop(spool);
    let path = dir.path().join("spool");
    for tail in ["2 {\"event_id\":", "2 {}\n", "nonsense\n", "\n", "\0\0\n", "00000000 2 1 {}\n"] {
        let mut text = fs::read(&path).unwrap();
        let whole = text.len();
        text.extend(tail.as_bytes());
        fs::write(&path, &text).unwrap();
        let mut spool = open(dir.path(), 1 << 20, Some(1));
        spool.commit();
        assert_eq!((next(&mut spool), spool.take_lost()), (Some((1, 1)), 0), "{tail:?}");
        assert_eq!(fs::metadata(&path).unwrap().len(), whole as u64, "{tail:?}");
    }
}

#[test]
fn a_damaged_mark_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 1 << 20, None);
    for id in 1..=3 {
        add(&mut spool, &event(id, 0));
    }
    spool.commit();
    next(&mut spool);
    spool.sent(1).unwrap();
    drop(spool);
    for mark in ["", "99999999999999999999", "\0", "deadbeef 00000000000000000003 00000000000000000000\n"] {
        fs::write(dir.path().join("spool.sent"), mark).unwrap();
        let mut spool = open(dir.path(), 1 << 20, Some(3));
        spool.commit();
        assert_eq!((spool.waiting(), next(&mut spool), spool.take_lost()), (3, Some((1, 1)), 0), "{mark:?}");
    }
}

/// A directory that can be filled; none where the test may not mount.
fn small_tmpfs() -> Option<Mounted> {
    let dir = tempfile::tempdir().unwrap();
    if !rustix::process::getuid().is_root() {
        println!("skipped: mounting needs root");
        return None;
    }
    let options = c"size=1m,nr_inodes=16";
    rustix::mount::mount("tmpfs", dir.path(), "tmpfs", rustix::mount::MountFlags::empty(), Some(options))
        .unwrap();
    Some(Mounted(dir))
}

struct Mounted(tempfile::TempDir);

impl Mounted {
    fn fill(&self) {
        let mut file = fs::File::create(self.0.path().join("filler")).unwrap();
        while io::Write::write(&mut file, &[1; 4096]).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _best_effort = rustix::mount::unmount(self.0.path(), rustix::mount::UnmountFlags::DETACH);
    }
}

/// Sends all that waits; the ids.
fn drain(spool: &mut Spool) -> Vec<u128> {
    let mut ids = Vec::new();
    while let Some((number, id)) = next(spool) {
        let _in_memory = spool.sent(number);
        ids.push(id);
    }
    ids
}

#[test]
fn without_room_events_wait_in_memory_and_are_written_down_when_there_is_some() {
    let Some(mount) = small_tmpfs() else { return };
    let dir = mount.0.path();
    let mut spool = open(dir, 1 << 20, None);
    for id in 1..=20 {
        add(&mut spool, &event(id, 0));
    }
    mount.fill();
    let mut failed = 0;
    for id in 21..=200 {
        assert_eq!(spool.add(&event(id, 0)).unwrap(), Added::Waits);
        failed += u32::from(spool.write().is_err());
    }
    assert!(failed == 1 && spool.is_failing(), "tried once, then left alone: {failed}");
    assert!(spool.repair().is_err());
    spool.commit();
    assert_eq!(next(&mut spool), Some((1, 1)));
    spool.sent(1).unwrap();
    mount.free();
    spool.repair().unwrap();
    assert_eq!(spool.bytes().1, 0, "all of it is in the file");
    drop(spool);
    // Everything outlives the daemon again, and nothing comes twice.
    let mut spool = open(dir, 1 << 20, Some(200));
    spool.commit();
    assert_eq!(drain(&mut spool), (2..=200).collect::<Vec<_>>());
    assert_eq!(spool.take_lost(), 0);
}

#[test]
fn without_room_memory_is_bounded_and_what_is_refused_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::in_memory(&dir.path().join("nowhere"), 64 << 20, None);
    let (mut taken, mut refused) = (0, 0);
    let mut long = (*event(0, 0)).clone();
    long.raw_msgs = vec!["x".repeat(8000)];
    for id in 0..4_000 {
        long.event_id = uuid::Uuid::from_u128(id);
        match spool.add(&Arc::new(long.clone())).unwrap() {
            Added::Waits => taken += 1,
            Added::Refused(MEMORY_FULL) => refused += 1,
            other => panic!("{other:?}"),
        }
        spool.write().unwrap();
    }
    assert!(taken > 1000 && refused > 1000, "{taken} {refused}");
    assert!(spool.bytes().1 <= MEMORY_BYTES + 16_384, "{:?}", spool.bytes());
    // A later revision of what waits needs no room of its own.
    assert_eq!(spool.add(&event(5, 1)).unwrap(), Added::Supersedes);
    spool.commit();
    assert_eq!(drain(&mut spool).len(), taken);
    assert_eq!(spool.bytes(), (0, 0));
}

#[test]
fn a_directory_that_went_is_used_again_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = dir.path().join("peripety");
    fs::create_dir(&runtime).unwrap();
    let mut spool = open(&runtime, 1 << 20, None);
    add(&mut spool, &event(1, 0));
    fs::remove_dir_all(&runtime).unwrap();
    spool.add(&event(2, 0)).unwrap();
    assert!(spool.write().is_err(), "it is not written where nobody will look");
    assert!(spool.repair().is_err());
    fs::create_dir(&runtime).unwrap();
    spool.repair().unwrap();
    add(&mut spool, &event(3, 0));
    drop(spool);
    let mut spool = open(&runtime, 1 << 20, Some(3));
    spool.commit();
    assert_eq!(drain(&mut spool), [1, 2, 3]);
}

#[test]
fn what_could_not_be_read_at_the_start_goes_out_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut earlier = open(dir.path(), 1 << 20, None);
    for id in 1..=3 {
        add(&mut earlier, &event(id, 0));
    }
    drop(earlier);
    let mut spool = Spool::in_memory(dir.path(), 1 << 20, None);
    spool.add(&event(4, 0)).unwrap();
    spool.write().unwrap();
    spool.commit();
    spool.repair().unwrap();
    add(&mut spool, &event(5, 0));
    spool.commit();
    assert_eq!(drain(&mut spool), [4, 1, 2, 3, 5]);
}

#[test]
fn a_file_stays_as_short_as_what_waits_and_is_not_written_anew_all_the_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    let mut spool = open(dir.path(), 64 << 20, None);
    let (mut anew, mut inode) = (0, 0);
    for n in 0..8_000_u32 {
        add(&mut spool, &event(u128::from(n % 1500), n));
        spool.commit();
        let now = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path).unwrap());
        anew += u32::from(std::mem::replace(&mut inode, now) != now);
    }
    let (waiting, len) = (spool.bytes().0, fs::metadata(&path).unwrap().len());
    assert!(len <= 3 * waiting + 2 * rewrite::DEAD_BYTES, "{len} for {waiting}");
    assert!((2..30).contains(&anew), "{anew}");
    drop(spool);
    let mut spool = open(dir.path(), 64 << 20, Some(8_000));
    spool.commit();
    let found = drain(&mut spool);
    assert_eq!(spool.take_lost(), 0);
    assert_eq!(found.iter().collect::<std::collections::BTreeSet<_>>().len(), 1500);
}

#[test]
fn it_is_bounded_and_keeps_room_for_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 20_000, None);
    let of = |id, severity| {
        let mut event = (*event(id, 0)).clone();
        event.severity = severity;
        Arc::new(event)
    };
    let mut id = 0;
    while add(&mut spool, &of(id, Severity::Info)) != Added::Refused(FULL) {
        id += 1;
    }
    let notice = id;
    while add(&mut spool, &of(id, Severity::Error)) != Added::Refused(FULL) {
        id += 1;
    }
    assert!(notice > 2 && id > notice, "{notice} {id}");
    spool.commit();
    for _ in 0..id {
        let (number, _) = next(&mut spool).unwrap();
        spool.sent(number).unwrap();
    }
    assert_eq!(add(&mut spool, &of(id, Severity::Info)), Added::Waits);
}

#[test]
fn in_a_crowd_the_latest_revision_stands_for_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 3 << 20, None);
    let mut superseded = 0;
    for revision in 0..3000 {
        superseded +=
            u32::from(add(&mut spool, &event(u128::from(revision % 2), revision)) == Added::Supersedes);
    }
    spool.commit();
    let mut seen = Vec::new();
    while let Some((number, event)) = spool.next_event() {
        seen.push(event.revision);
        spool.sent(number).unwrap();
    }
    assert_eq!(seen.len() as u32 + superseded, 3000);
    assert!(seen.is_sorted() && seen.len() < 1100, "{}", seen.len());
    assert_eq!(seen.last_chunk(), Some(&[2998, 2999]));
}
