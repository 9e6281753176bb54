//! What is the cause of what, and which of two names counts.

use super::*;

/// A log of an ATA port that gives its disk up, within a minute and with resets between.
#[test]
fn the_error_handling_of_a_port_is_one_incident() {
    let ladder = [
        ("ATA_TIMEOUT", "ata2.00", 0),
        ("ATA_LINK_RESET", "ata2", 100),
        ("ATA_COMMAND_ERROR", "ata2.00", 15_000),
        ("ATA_SPEED_LIMITED", "ata2", 35_000),
        ("ATA_LINK_RESET", "ata2", 36_000),
        ("ATA_DEVICE_DISABLED", "ata2.00", 66_000),
    ];
    let run = run(ladder.map(|(kind, kdev, at)| event(kind, kdev, at)).to_vec());
    assert_eq!(run.found().len(), 1, "{:#?}", run.found());
    assert_eq!(run.found()[0].cause.name, "ata2.00");
}

#[test]
fn how_long_an_effect_is_waited_for_follows_from_the_timeouts_of_the_device() {
    let pair = |timeout: Option<u64>, recovery: Option<u64>, gap| {
        let timed = |mut event: Event| {
            let own = BlkId { command_timeout_s: timeout, recovery_s: recovery, ..id(&event.kdev) };
            event.block = Some(Arc::new(BlkInfo { id: own, owners: vec![], holders: vec![] }));
            event
        };
        run(vec![timed(event("SCSI_TIMEOUT", "sda", 0)), timed(medium("sda", 8, gap))]).found().len()
    };
    // 180 s and what error handling takes, where the kernel's default is set or nothing is known.
    assert_eq!((pair(None, None, 170_000), pair(None, None, 300_000)), (1, 2));
    assert_eq!((pair(Some(30), None, 230_000), pair(Some(30), None, 300_000)), (1, 2));
    assert_eq!((pair(Some(5), None, 80_000), pair(Some(5), None, 100_000)), (1, 2));
    assert_eq!((pair(Some(180), None, 900_000), pair(Some(30), Some(600), 800_000)), (1, 1));
}

#[test]
fn a_cause_that_is_written_after_what_came_of_it_is_its_cause() {
    let cause = io(event("BLK_IO_ERROR", "sda", 0), Op::Write, 8, 5);
    let effect = Event { root_cause_event_id: Some(cause.event_id), ..event("BLK_LOST_WRITE", "dm-7", 0) };
    let run = run(vec![effect, cause]);
    let found = run.found();
    assert_eq!((found.len(), found[0].cause.name.as_str()), (1, "sda"), "{found:#?}");
}

#[test]
fn revisions_that_wait_for_one_cause_leave_room_for_what_waits_for_another() {
    let cause = io(event("BLK_IO_ERROR", "sda", 0), Op::Write, 8, 5);
    let effect = Event { root_cause_event_id: Some(cause.event_id), ..event("BLK_LOST_WRITE", "dm-7", 0) };
    let other = io(event("BLK_IO_ERROR", "sdb", 0), Op::Write, 8, 5);
    let growing = Event { root_cause_event_id: Some(other.event_id), ..event("BLK_LOST_WRITE", "dm-9", 0) };
    let revision = |revision: u32| Event { revision, is_final: false, ..growing.clone() };
    let mut events = vec![effect];
    events.extend((0..WAITING_MAX as u32 + 1).map(revision));
    events.extend([cause, other]);
    let run = run(events);
    let names: Vec<String> = run.found().iter().map(|incident| incident.cause.name.clone()).collect();
    assert_eq!(names, ["sda", "sdb"]);
}

#[test]
fn a_filesystem_that_names_no_device_is_the_named_one_of_the_moment_and_no_cause() {
    for (named, nameless) in
        [("FS_ERROR", "FS_ERROR"), ("FS_ERROR", "FS_PANIC"), ("FS_IO_ERROR", "FS_IO_ERROR")]
    {
        for events in [
            vec![event(named, "dm-5", 0), event(nameless, "", 5)],
            vec![event(nameless, "", 0), event(named, "dm-5", 5)],
        ] {
            let found = run(events).found();
            let rules = &found[0].cause.rules;
            assert_eq!(
                (found.len(), found[0].cause.name.as_str()),
                (1, "dm-5"),
                "{named} {nameless} {rules:?}"
            );
            assert_eq!(rules, &["only-filesystem-of-the-moment"], "{named} {nameless}");
        }
    }
    let apart = run(vec![event("FS_ERROR", "", 0), event("FS_PANIC", "", 5)]);
    assert_eq!(apart.found().len(), 2, "none of the two says which filesystem it is");
}

#[test]
fn of_two_roots_one_that_names_its_device_is_the_cause() {
    let (nameless, named) = (event("FS_ERROR", "", 0), event("FS_ERROR", "dm-5", 5));
    let mut case = Case::open(&nameless, Facet::of(&nameless).unwrap());
    case.add(&named, Facet::of(&named).unwrap(), None);
    assert_eq!(case.root().map(|root| root.event_id), Some(named.event_id));
}

#[test]
fn what_became_part_of_another_is_in_what_is_written_at_once() {
    let at = |hctl: &str, event| placed(event, hctl, None);
    let mut stage = Incidents::default();
    let mut written = Vec::new();
    for mut event in [
        at("2:0:0:0", transport("sda", 0)),
        at("2:0:1:0", transport("sdb", 300)),
        event("SCSI_HOST_ADAPTER_RESET", "host2", 400),
    ] {
        written.clear();
        stage.push(&mut event, &mut written);
    }
    let over = written.iter().filter(|i| i.state == State::Superseded).count();
    let open: Vec<&Incident> = written.iter().filter(|i| i.state == State::Open).collect();
    assert_eq!((over, open.len()), (1, 1), "{written:#?}");
    assert_eq!((open[0].supersedes.len(), open[0].event_count), (1, 3));
}

#[test]
fn trouble_before_a_device_went_is_the_cause_of_its_going() {
    let gone = |at| event("USB_DISCONNECTED", "sda", at);
    let trouble = || with(event("USB_STORAGE_ERROR", "sda", 0), "usb.port", "1-1.2");
    let found = run(vec![trouble(), gone(63_000)]).found();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].cause.event_id, found[0].events.first().map(|m| m.event_id), "{found:#?}");
}

#[test]
fn a_leg_of_a_mirror_hurts_nobody_and_a_lost_last_path_does() {
    let leg = run(vec![
        stacked(event("SCSI_DEVICE_OFFLINED", "sda", 0), &[], &["md0"], &[]),
        stacked(event("MD_DISK_FAILED", "sda", 5), &[], &["md0"], &[]),
    ]);
    assert_eq!(leg.found()[0].impact.kinds, [ImpactKind::RedundancyLost]);
    assert_eq!(leg.found()[0].severity, Severity::Warning);
    let all = run(vec![
        stacked(transport("sda", 0), &[], &["dm-0"], &[]),
        stacked(event("DM_MPATH_PATH_FAILED", "sda", 5), &[], &["dm-0"], &[]),
        stacked(event("DM_MPATH_NO_PATH", "dm-0", 6), &["sda"], &[], &["/srv"]),
    ]);
    assert_eq!(all.found()[0].impact.kinds.first(), Some(&ImpactKind::Unavailable));
    assert_eq!(all.found()[0].severity, Severity::Critical);
}

#[test]
fn what_another_copy_serves_does_not_reach_the_filesystem_above() {
    let member = |mut event: Event| {
        let mut block = BlkInfo::clone(event.block.as_deref().unwrap());
        block.holders[0].mount_points = vec!["/srv".to_owned()];
        event.block = Some(Arc::new(block));
        with(event, "md.array", "md0")
    };
    let sda = |kind, at| member(stacked(event(kind, "sda", at), &[], &["md0"], &[]));
    let md0 = |kind, at| with(stacked(event(kind, "md0", at), &["sda"], &[], &["/srv"]), "md.array", "md0");
    for events in [
        vec![sda("MD_DISK_FAILED", 0), sda("MD_READ_REDIRECTED", 1), md0("MD_READ_REDIRECTED", 2)],
        vec![sda("MD_READ_ERROR_CORRECTED", 0)],
        vec![sda("MD_DISK_FAILED", 0), md0("MD_DISK_FAILED", 1)],
    ] {
        let impact = &run(events).found()[0].impact;
        assert!(impact.mount_points.is_empty() && impact.filesystems.is_empty(), "{impact:?}");
    }
    // The array itself, and what is not known to be served, do.
    for events in [
        vec![sda("MD_DISK_FAILED", 0), md0("MD_ARRAY_FAILED", 1)],
        vec![sda("MD_DISK_FAILED", 0), stacked(transport("md0", 1), &["sda"], &[], &["/srv"])],
    ] {
        let found = run(events).found();
        assert!(found.iter().any(|incident| incident.impact.mount_points == ["/srv"]), "{found:#?}");
    }
}

#[test]
fn a_name_that_another_device_got_is_another_fault() {
    for (first, second, incidents) in [
        (("/one", 1), ("/two", 2), 2),
        (("", 1), ("", 2), 2),
        (("/one", 1), ("/one", 2), 1),
        (("", 1), ("/one", 1), 1),
    ] {
        let read = |at, (wwid, diskseq): (&str, u64)| disk_of(medium("sdb", 100, at), wwid, diskseq);
        let all = run(vec![read(0, first), read(2000, second)]).found();
        assert_eq!(all.len(), incidents, "{first:?} {second:?}: {all:#?}");
    }
    // What is made of the second disk is not made of the first.
    let mut on_top = stacked(medium("md7", 0, 2000), &["sdb"], &[], &[]);
    let mut block = BlkInfo::clone(on_top.block.as_deref().unwrap());
    block.owners = vec![BlkId { diskseq: Some(2), ..id("sdb") }];
    on_top.block = Some(Arc::new(block));
    let is_below = |diskseq| {
        let disk = Facet::of(&disk_of(medium("sdb", 100, 0), "", diskseq)).unwrap();
        disk.is_below(&Facet::of(&on_top).unwrap())
    };
    assert!(is_below(2) && !is_below(1));
}

/// The disk of that kernel name with this identity.
fn disk_of(mut event: Event, wwid: &str, diskseq: u64) -> Event {
    let own = BlkId { wwid: wwid.to_owned(), diskseq: Some(diskseq), ..id(&event.kdev) };
    event.block = Some(Arc::new(BlkInfo { id: own, owners: vec![], holders: vec![] }));
    event
}

/// A later revision of an event.
fn revised(event: &Event, at: i64) -> Event {
    let mut later = event.clone();
    later.revision += 1;
    later.count += 1;
    later.last_timestamp = event.first_timestamp.checked_add(SignedDuration::from_millis(at)).unwrap();
    later
}

#[test]
fn a_revision_that_names_what_its_device_is_made_of_joins_the_incident_of_that() {
    let unnamed = Event { is_final: false, ..event("FS_SHUTDOWN", "loop1", 0) };
    let named = stacked(revised(&unnamed, 1_000), &["loop0"], &[], &["/mnt/data"]);
    // That of the disk below came later: its incident is the newer one.
    let below = stacked(event("FS_SHUTDOWN", "loop0", 50), &[], &[], &[]);
    let run = run(vec![unnamed.clone(), below, named]);
    let found = run.found();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].incident_id, run.events[0].incident_id.unwrap(), "the older id stays");
    let gone: Vec<&Incident> = run.written.iter().filter(|i| i.state == State::Superseded).collect();
    assert_eq!(gone.len(), 1);
    assert_eq!(
        (gone[0].superseded_by, &found[0].supersedes),
        (Some(found[0].incident_id), &vec![gone[0].incident_id])
    );
    assert_eq!(run.events[2].incident_id, Some(found[0].incident_id));
    assert_eq!(found[0].cause.name, "loop0");
    assert_eq!(found[0].impact.mount_points, ["/mnt/data"]);

    // Names that lead elsewhere join nothing.
    let elsewhere = stacked(revised(&unnamed, 1_000), &["loop7"], &[], &[]);
    let run = super::run(vec![unnamed, stacked(event("FS_SHUTDOWN", "loop0", 50), &[], &[], &[]), elsewhere]);
    assert_eq!(run.found().len(), 2);
}

#[test]
fn a_revision_that_names_a_device_after_which_no_kernel_name_was_known_joins_it() {
    let unnamed = Event { is_final: false, ..medium("", 8, 0) };
    let mut named = revised(&unnamed, 1_000);
    named.kdev = "sda".into();
    let run = run(vec![medium("sda", 4096, -2_000), unnamed, named]);
    let found = run.found();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].cause.name, "sda");
}

#[test]
fn an_event_that_was_with_an_incident_for_want_of_a_name_leaves_it_when_it_gets_one() {
    // Nobody knows what dm-3 is made of: it is with the only failure of the moment.
    let guessed = Event { is_final: false, ..io(event("BLK_IO_ERROR", "dm-3", 100), Op::Read, 8, 5) };
    let named = stacked(revised(&guessed, 2_000), &["sdb"], &[], &[]);
    let before = run(vec![transport("sdb", -60_000), transport("sda", 0), guessed.clone()]);
    let counts = |run: &Run| -> Vec<(String, u64)> {
        run.found().iter().map(|i| (i.cause.name.clone(), i.event_count)).collect()
    };
    assert_eq!(counts(&before), [("sdb".to_owned(), 1), ("sda".to_owned(), 2)]);
    let after = run(vec![transport("sdb", -60_000), transport("sda", 0), guessed, named]);
    assert_eq!(counts(&after), [("sdb".to_owned(), 2), ("sda".to_owned(), 1)]);
    assert_eq!(after.events[3].incident_id, after.events[0].incident_id);
}

#[test]
fn a_member_that_was_pulled_is_lost_by_that_and_the_array_is_not_well_when_the_next_one_goes() {
    let member =
        |kind, name: &str, at| with(stacked(event(kind, name, at), &[], &["md0"], &[]), "md.array", "md0");
    let gone = |name, at, severity| Event {
        severity,
        ..stacked(event("BLK_DEVICE_REMOVED", name, at), &[], &["md0"], &[])
    };
    let failed =
        |at| with(stacked(event("MD_ARRAY_FAILED", "md0", at), &["sdb"], &[], &[]), "md.array", "md0");
    let first = vec![gone("sda", 0, Severity::Notice), member("MD_DISK_FAILED", "sda", 300)];
    let found = run(first.clone()).found();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].cause.name.as_str(), found[0].cause.kind), ("sda", CauseKind::PowerOrRemoval));
    assert_eq!((found[0].impact.kinds.clone(), found[0].events.len()), (vec![ImpactKind::RedundancyLost], 2));
    // Also where a request that the array sent to it failed first.
    let request = stacked(transport("sda", 200), &[], &["md0"], &[]);
    let found =
        run(vec![gone("sda", 0, Severity::Notice), request, member("MD_DISK_FAILED", "sda", 300)]).found();
    assert_eq!((found.len(), found[0].cause.kind, found[0].events.len()), (1, CauseKind::PowerOrRemoval, 3));
    // Without anything that notices it, it is no incident.
    assert!(run(vec![gone("sda", 0, Severity::Notice)]).found().is_empty());
    // Nor is it the cause of what another member does, or of what comes much later.
    let other = run(vec![gone("sda", 0, Severity::Notice), member("MD_DISK_FAILED", "sdb", 300)]).found();
    assert_eq!(other[0].events.len(), 1);
    let later = run(vec![gone("sda", 0, Severity::Notice), member("MD_DISK_FAILED", "sda", 600_000)]).found();
    assert_eq!(later[0].events.len(), 1);

    let mut both = first;
    both.extend([failed(4_000), gone("sdb", 4_001, Severity::Critical)]);
    let found = run(both.clone()).found();
    assert!(found.iter().all(|incident| incident.state == State::Open), "{found:#?}");
    assert!(found.iter().any(|incident| incident.conditions.contains(&"array_failed".to_owned())));
    both.push(Event {
        severity: Severity::Notice,
        ..stacked(event("BLK_DEVICE_REMOVED", "md0", 9_000), &[], &[], &[])
    });
    let conditions: Vec<String> = run(both).found().into_iter().flat_map(|i| i.conditions).collect();
    assert!(!conditions.iter().any(|c| c.starts_with("array")), "{conditions:?}");
}

#[test]
fn a_pool_that_runs_full_is_a_warning_before_it_hurts_anybody() {
    let found = run(vec![event("DM_THIN_POOL_LOW_WATER", "dm-3", 0)]).found();
    assert_eq!(
        (found[0].severity, found[0].impact.kinds.clone()),
        (Severity::Warning, vec![ImpactKind::None])
    );
}
