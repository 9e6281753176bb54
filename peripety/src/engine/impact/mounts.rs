//! Filesystems, and where they are mounted.

use super::*;

#[test]
fn a_filesystem_that_fails_before_its_mount_is_read_has_its_mount_point_after() {
    let error = Ext4Error { dev: SDA.to_kernel(), line: 1785, function: [0; FUNCTION_BYTES] };
    let error = kernel(Kind::Ext4Error, START, Payload::Ext4Error(error));
    let machine = |points: &[&str]| {
        let mut sda = id(SDA, "sda", BlkType::Scsi);
        sda.mount_points = points.iter().map(|point| (*point).to_owned()).collect();
        Machine::plain().with(BlkInfo { id: sda, ..BlkInfo::default() })
    };
    let settings = Settings { live: all_live(), ..Settings::default() };
    let (mut engine, mut out) = (Engine::new(settings, RuleSet::built_in()), Vec::new());
    engine.push(&error, &machine(&[]), &mut out);
    engine.tick(START + 2 * SECOND, &machine(&["/mnt"]), &mut out);
    let events: Vec<_> = out.iter().filter(|event| event.event_type == EventType::FS_ERROR).collect();
    assert!(!events.is_empty());
    assert!(
        events.iter().all(|event| event.block.as_ref().unwrap().id.mount_points == ["/mnt"]),
        "{events:?}"
    );
}

#[test]
fn a_mount_that_only_began_is_told_when_it_is_seen() {
    let first = "BTRFS info (device loop0): first mount of filesystem d162314f-bcff-4c1e-860e-4accb3ef7ae3";
    let norecovery =
        "XFS (loop0): Mounting V5 filesystem in no-recovery mode. Filesystem will be inconsistent.";
    let mounted = |points: &[&str]| {
        let mut loop0 = id(Dev::new(7, 0), "loop0", BlkType::Loop);
        loop0.mount_points = points.iter().map(|point| (*point).to_owned()).collect();
        Machine::plain().with(BlkInfo { id: loop0, ..BlkInfo::default() })
    };
    for text in [first, norecovery] {
        let settings = Settings { live: all_live(), ..Settings::default() };
        let (mut engine, mut out) = (Engine::new(settings, RuleSet::built_in()), Vec::new());
        engine.push(&line(START, text), &mounted(&[]), &mut out);
        engine.tick(START + 2 * SECOND, &mounted(&[]), &mut out);
        assert!(out.is_empty());
        engine.tick(START + 4 * SECOND, &mounted(&["/mnt"]), &mut out);
        assert_eq!(out.iter().map(|e| e.event_type.as_str()).collect::<Vec<_>>(), ["FS_MOUNTED"], "{text}");
        assert_eq!(out[0].facts.get("fs.stage"), None);
        let failed = line(START + MS, "BTRFS error (device loop0): open_ctree failed: -5");
        let events = run(all_live(), &mounted(&[]), &[line(START, text), failed]);
        assert!(events.iter().all(|e| e.event_type != EventType::FS_MOUNTED), "{text}");
    }
}

#[test]
fn a_mount_that_nobody_saw_is_proven_by_the_unmount() {
    let loop0 = id(Dev::new(7, 0), "loop0", BlkType::Loop);
    let machine = Machine::plain().with(BlkInfo { id: loop0, ..BlkInfo::default() });
    let first = "BTRFS info (device loop0): first mount of filesystem d162314f-bcff-4c1e-860e-4accb3ef7ae3";
    let last = "BTRFS info (device loop0): last unmount of filesystem d162314f-bcff-4c1e-860e-4accb3ef7ae3";
    let events = run(all_live(), &machine, &[line(START, first), line(START + 20 * MS, last)]);
    let types: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(types, ["FS_MOUNTED", "FS_UNMOUNTED"]);
}
