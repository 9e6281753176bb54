//! When a scan goes on, and when it waits.

use std::path::Path;

use peripety_model::{BlkId, Errno, Sector, Sectors};

use super::*;
use crate::{config::Config, pass::Bad};

const MIB: u64 = 1 << 20;

fn unit(settings: &str) -> Unit {
    let text = format!("[[scan]]\ndevices = [\"*\"]\nrate = \"10 MB/s\"\n{settings}");
    let config = Config::parse(&text, Path::new("c")).unwrap();
    let device = Device {
        name: "sda".to_owned(),
        id: BlkId { size_sectors: Some(Sectors(64 * MIB / 512)), ..BlkId::default() },
        ..Device::default()
    };
    Unit::new("key".to_owned(), device, config.scan[0].clone(), Method::Read, ["sda".to_owned()].into())
}

fn at(millis: u64) -> Now {
    let wall: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let since = Duration::from_millis(millis);
    Now { since, wall: wall + jiff::SignedDuration::try_from(since).unwrap(), minute: 12 * 60 }
}

/// So many sectors were read and written by all.
fn counted(sectors: u64) -> impl Fn(&[&str]) -> Counted {
    move |_| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sda")).unwrap();
        std::fs::write(dir.path().join("sda/stat"), format!("0 0 {sectors} 0 0 0 0 0 0 0 0")).unwrap();
        Counted::read(&peripety_block::files::Files::Disk, dir.path(), ["sda"])
    }
}

/// One look; what was said with it.
fn look(unit: &mut Unit, now: Now, kept: &Kept, is_free: bool, sectors: u64) -> (Wish, Vec<String>) {
    let mut said = Vec::new();
    let wish = unit.look(now, kept, is_free, counted(sectors), &mut |what| said.push(format!("{what:?}")));
    (wish, said)
}

fn step(bytes: u64) -> Answer {
    Answer::Stepped(Ok(Step { next: bytes, bytes, ..Step::default() }))
}

fn begun() -> Kept {
    let mut kept = Kept::default();
    kept.pass(Method::Read, 64 * MIB, at(0).wall);
    kept
}

#[test]
fn it_reads_at_its_rate_and_waits_for_others() {
    let (mut unit, mut kept) = (unit(""), begun());
    assert_eq!(look(&mut unit, at(0), &kept, true, 0).0, Wish::Nothing, "what others do is not known yet");
    assert_eq!(look(&mut unit, at(500), &kept, true, 0).0, Wish::Nothing);
    let Wish::Step { from: 0, len } = look(&mut unit, at(1000), &kept, true, 0).0 else { panic!() };
    assert_eq!(len, 983_040, "a tenth of a second, in whole pieces");
    unit.take(step(len), at(1010), &mut kept, &mut |_| panic!());
    // A tenth of a second after the step began.
    let due = unit.due().unwrap().as_millis();
    assert_eq!(due, 1098);
    // All that was read since was its own.
    assert!(matches!(look(&mut unit, at(2100), &kept, true, len / 512).0, Wish::Step { from: 983_040, .. }));
    unit.take(step(2 * len), at(2110), &mut kept, &mut |_| panic!());
    // 100 MB of others.
    look(&mut unit, at(3300), &kept, true, 2 * len / 512 + 200_000);
    assert_eq!(unit.status(&kept, at(3300)).why.as_deref(), Some("others use it"));
    assert_eq!(look(&mut unit, at(4000), &kept, true, 900_000).0, Wish::Nothing);
    // It looks again, for a second, and goes on.
    assert_eq!(look(&mut unit, at(8400), &kept, true, 900_000).0, Wish::Nothing);
    assert!(matches!(look(&mut unit, at(9500), &kept, true, 900_000).0, Wish::Step { .. }));
}

#[test]
fn it_waits_for_its_hours_for_another_scan_and_until_the_next_pass_is_due() {
    let why = |unit: &Unit, kept: &Kept| unit.status(kept, at(0)).why.unwrap_or_default();
    let mut outside = unit("hours = \"22:00-06:00\"");
    assert_eq!(look(&mut outside, at(0), &begun(), true, 0).0, Wish::Nothing);
    assert_eq!(why(&outside, &begun()), "it is not within 22:00-06:00");
    let mut second = unit("");
    look(&mut second, at(0), &begun(), false, 0);
    assert_eq!(why(&second, &begun()), "another scan reads the same disk");
    let (mut done, mut kept) = (unit("every = \"1 day\""), begun());
    kept.finish(at(0).wall);
    look(&mut done, at(0), &kept, true, 0);
    assert_eq!(done.status(&kept, at(0)).state, State::Done);
    assert_eq!(done.due(), Some(FAILED), "it does not sleep for a day: the clock may be set");
    assert!(!matches!(look(&mut done, at(3_600_000), &kept, true, 0).0, Wish::Step { .. }));
    look(&mut done, at(90_000_000), &kept, true, 0);
    assert!(matches!(look(&mut done, at(90_001_000), &kept, true, 0).0, Wish::Step { from: 0, .. }));
}

#[test]
fn a_step_that_does_not_come_back_is_said_once_and_so_is_its_end() {
    let (mut unit, mut kept) = (unit("timeout = \"10s\""), begun());
    look(&mut unit, at(0), &kept, true, 0);
    assert!(matches!(look(&mut unit, at(1000), &kept, true, 0).0, Wish::Step { .. }));
    assert!(look(&mut unit, at(10_000), &kept, true, 0).1.is_empty());
    let (wish, said) = look(&mut unit, at(11_000), &kept, true, 0);
    assert!(
        wish == Wish::Nothing && said.len() == 1 && said[0].contains("has not come back for 10 s"),
        "{said:?}"
    );
    assert!(look(&mut unit, at(60_000), &kept, true, 0).1.is_empty() && unit.due().is_none());
    assert_eq!(unit.status(&kept, at(60_000)).state, State::Stopped);
    let mut said = Vec::new();
    unit.take(step(MIB), at(70_000), &mut kept, &mut |what| said.push(format!("{what:?}")));
    assert_eq!(said, ["Resumed"]);
    assert_eq!(unit.status(&kept, at(70_000)).state, State::Running);
}

#[test]
fn what_is_found_is_said_and_the_end_of_the_pass() {
    let (mut unit, mut kept) = (unit(""), begun());
    let bad = Bad { sector: Sector(8), count: Sectors(8), errno: Errno::EIO };
    let last = Step { next: 64 * MIB, bytes: MIB, bad: vec![bad], finished: true, ..Step::default() };
    let mut said = Vec::new();
    unit.take(Answer::Stepped(Ok(last)), at(5000), &mut kept, &mut |what| said.push(format!("{what:?}")));
    assert!(said.len() == 2 && said[0].starts_with("Bad(") && said[1].starts_with("Done("), "{said:?}");
    assert!(kept.pass.is_none() && kept.last.as_ref().is_some_and(|last| last.errors == 1));
    // Refused: it is said, and tried again in an hour.
    let mut said = Vec::new();
    let mut kept = begun();
    let refused = Answer::Stepped(Err(Trouble::Failed("no".to_owned())));
    unit.take(refused, at(6000), &mut kept, &mut |what| said.push(format!("{what:?}")));
    assert_eq!(
        (said, unit.due()),
        (vec!["Stopped(\"no\")".to_owned()], Some(Duration::from_secs(6) + FAILED))
    );
    // An array that is busy: in a minute, at the place where the kernel was.
    let busy =
        Answer::Stepped(Err(Trouble::NotNow("busy".to_owned(), Rested { place: Some(4096), errors: 1 })));
    unit.take(busy, at(7000), &mut kept, &mut |_| panic!());
    assert_eq!(
        (kept.pass.map(|pass| (pass.place, pass.errors)), unit.due()),
        (Some((4096, 1)), Some(Duration::from_secs(7) + LATER))
    );
}
