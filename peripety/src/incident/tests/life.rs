//! When an incident is over, and when it is back.

use super::*;

#[test]
fn a_session_that_flaps_is_one_incident_with_episodes() {
    let mut events = Vec::new();
    for n in 0..10 {
        events.push(event("ISCSI_CONNECTION_ERROR", "session2", n * 7_000));
        events.push(event("ISCSI_SESSION_RECOVERED", "session2", n * 7_000 + 2_000));
    }
    let run = run(events);
    let found = run.found();
    assert_eq!(found.len(), 1);
    // It is back, and so often that it will fail again.
    assert_eq!((found[0].episodes, found[0].state), (10, State::Open));
    assert!(run.events.iter().all(|e| e.incident_id == Some(found[0].incident_id)));
    let revisions: Vec<u32> = run.written.iter().map(|i| i.revision).collect();
    assert_eq!(revisions, (0..u32::try_from(revisions.len()).unwrap()).collect::<Vec<_>>());
}

/// Both lines are of the kernel's log, and the second was read first: the first waited for its device.
#[test]
fn a_mount_that_is_reported_late_does_not_end_what_failed_after_it() {
    let of_text = |kind: &'static str, at: i64| {
        let mut event = event(kind, "sda1", at);
        event.sources = vec!["kmsg".to_owned()];
        event
    };
    let run_both = |mounted: i64| {
        let mut run = run(vec![of_text("FS_SHUTDOWN", 40), of_text("FS_MOUNTED", mounted)]);
        let mut again = Event { revision: 1, count: 2, ..of_text("FS_SHUTDOWN", 40) };
        again.event_id = run.events[0].event_id;
        run.stage.push(&mut again, &mut run.written);
        let found = run.found();
        assert_eq!(found.len(), 1);
        (found[0].state, found[0].episodes)
    };
    assert_eq!(run_both(10), (State::Open, 1));
    assert_eq!(run_both(60), (State::Resolved, 1));
}

#[test]
fn after_a_day_it_is_another_incident() {
    let hour = 3_600_000;
    let run = run(vec![
        event("ISCSI_CONNECTION_ERROR", "session2", 0),
        event("ISCSI_SESSION_RECOVERED", "session2", 1_000),
        event("ISCSI_CONNECTION_ERROR", "session2", 25 * hour),
    ]);
    assert_eq!(run.found().len(), 2);
}

fn of_person(kind: &'static str, incident: &Incident, at: i64) -> Event {
    let event = event(kind, "", at);
    let event = with(event, "daemon.incident_id", &incident.incident_id.to_string());
    with(with(event, "daemon.user", "anna"), "daemon.reason", "restored from backup")
}

#[test]
fn lost_data_stays_until_a_person_says_that_it_is_known() {
    let lost = stacked(io(event("BLK_LOST_WRITE", "vda1", 10), Op::Write, 8, 5), &["vda"], &[], &["/srv"]);
    let mut run = run(vec![
        io(event("BLK_IO_ERROR", "vda", 0), Op::Write, 8, 5),
        lost,
        stacked(event("BLK_DEVICE_REMOVED", "vda1", 20_000), &["vda"], &[], &[]),
        event("BLK_DEVICE_REMOVED", "vda", 20_000),
    ]);
    let found = run.found();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].state, found[0].needs_acknowledgement), (State::Open, true));
    assert_eq!(found[0].impact.kinds.first(), Some(&ImpactKind::DataLost));
    assert_eq!(found[0].impact.mount_points, ["/srv"]);
    let mut ack = of_person("PERIPETY_ACKNOWLEDGED", &found[0], 30_000);
    run.stage.push(&mut ack, &mut run.written);
    let found = run.found();
    assert_eq!((found[0].state, found[0].needs_acknowledgement), (State::Resolved, false));
    assert_eq!(found[0].acknowledged.as_ref().map(|a| a.by.as_str()), Some("anna"));
    assert_eq!(ack.incident_id, Some(found[0].incident_id));
}

#[test]
fn a_fault_of_the_medium_is_open_over_a_reboot_and_a_state_of_the_kernel_is_not() {
    let mut run = run(vec![medium("sda", 8, 0), event("NVME_PATH_FAILED", "nvme1", 5)]);
    let mut started = event("PERIPETY_STARTED", "", 60_000);
    started.boot_id = "f".repeat(32);
    run.stage.push(&mut started, &mut run.written);
    let states: Vec<(String, State)> = run.found().iter().map(|i| (i.cause.name.clone(), i.state)).collect();
    assert_eq!(states, [("sda".to_owned(), State::Open), ("nvme1".to_owned(), State::Resolved)]);
    let mut again = medium("sda", 8, 90_000);
    again.boot_id = "f".repeat(32);
    run.stage.push(&mut again, &mut run.written);
    assert_eq!(again.incident_id, run.events[0].incident_id);
    let mut better = event("BLK_READ_BACK", "sda", 95_000);
    better.boot_id = "f".repeat(32);
    run.stage.push(&mut better, &mut run.written);
    assert!(run.found().iter().all(|i| i.state == State::Resolved));
}

#[test]
fn a_late_revision_of_an_earlier_boot_does_not_open_again_what_ended_with_it() {
    let first = Event { is_final: false, ..event("NVME_PATH_FAILED", "nvme1", 0) };
    let mut run = run(vec![first.clone()]);
    let mut started = event("PERIPETY_STARTED", "", 60_000);
    started.boot_id = "f".repeat(32);
    run.stage.push(&mut started, &mut run.written);
    let mut late = Event { revision: 1, is_final: true, ..first };
    run.stage.push(&mut late, &mut run.written);
    let found = run.found();
    assert_eq!((found[0].state, found[0].conditions.as_slice()), (State::Resolved, [].as_slice()));
}

#[test]
fn what_could_not_be_named_is_over_with_what_ends_its_kind_where_it_is_the_only_one() {
    let lost = || with(event("DRBD_STATE_CHANGED", "", 0), "drbd.resource", "r0");
    let mut one = run(vec![lost()]);
    assert_eq!(one.found()[0].cause.name, "r0");
    one.stage.push(&mut event("DRBD_CONNECTED", "drbd0", 9_000), &mut one.written);
    assert_eq!(one.found()[0].state, State::Resolved);
    let mut two = run(vec![lost(), with(event("DRBD_STATE_CHANGED", "", 5), "drbd.resource", "r1")]);
    two.stage.push(&mut event("DRBD_CONNECTED", "drbd0", 9_000), &mut two.written);
    assert!(two.found().iter().all(|i| i.state == State::Open), "nobody knows which of the two it is");
}

#[test]
fn a_late_revision_of_an_event_does_not_open_again_what_ended_and_one_that_goes_on_does() {
    let fails = |at| stacked(io(event("BLK_IO_ERROR", "sda", at), Op::Read, 8, 5), &[], &["dm-0"], &[]);
    let first = Event { is_final: false, ..fails(0) };
    let back = stacked(event("DM_MPATH_PATH_REINSTATED", "sda", 4_000), &[], &["dm-0"], &[]);
    let mut run = run(vec![first.clone(), back]);
    assert_eq!(run.found()[0].state, State::Resolved);
    let mut last = Event { revision: 1, is_final: true, ..first.clone() };
    run.stage.push(&mut last, &mut run.written);
    assert_eq!((run.found()[0].state, run.found()[0].conditions.len()), (State::Resolved, 0));
    let mut again = Event { revision: 2, count: 2, last_timestamp: fails(9_000).last_timestamp, ..first };
    run.stage.push(&mut again, &mut run.written);
    assert_eq!((run.found()[0].state, run.found()[0].episodes), (State::Open, 2));
}

#[test]
fn recoveries_that_one_event_counts_are_episodes_also_where_few_of_its_revisions_are_written() {
    let path = |kind, at| stacked(event(kind, "sda", at), &[], &["dm-0"], &[]);
    let back = |count, revision, at| Event {
        event_id: path("DM_MPATH_PATH_REINSTATED", 2_000).event_id,
        count,
        revision,
        is_final: false,
        first_timestamp: path("DM_MPATH_PATH_REINSTATED", 2_000).first_timestamp,
        ..path("DM_MPATH_PATH_REINSTATED", at)
    };
    let fails = |at| path("DM_MPATH_PATH_FAILED", at);
    let mut run = run(vec![
        fails(0),
        back(1, 0, 2_000),
        fails(4_000),
        fails(8_000),
        fails(12_000),
        back(4, 1, 14_000),
        fails(16_000),
        back(5, 2, 18_000),
    ]);
    let found = run.found();
    assert_eq!((found.len(), found[0].episodes, found[0].state), (1, 5, State::Open), "{found:#?}");
    // Also a revision that ends nothing more belongs to what it ended.
    let mut last = Event { is_final: true, ..back(5, 3, 18_000) };
    run.stage.push(&mut last, &mut run.written);
    assert_eq!(last.incident_id, Some(found[0].incident_id));
    assert!(run.events.iter().all(|e| e.incident_id == last.incident_id));
}

#[test]
fn a_rebuild_is_recovering_until_it_is_done() {
    let array = |kind, at| stacked(event(kind, "md0", at), &["sda", "sdb"], &[], &[]);
    let mut run = run(vec![array("MD_DISK_FAILED", 0), array("MD_RECOVERY_STARTED", 60_000)]);
    assert_eq!(run.found()[0].state, State::Recovering);
    assert_eq!(run.found()[0].impact.kinds, [ImpactKind::RedundancyLost]);
    run.stage.push(&mut array("MD_RECOVERY_DONE", 120_000), &mut run.written);
    assert_eq!(run.found()[0].state, State::Resolved);
}

#[test]
fn what_a_rebuild_leaves_wrong_is_open_and_no_longer_recovering() {
    let member = |kind, at| stacked(event(kind, "sda", at), &[], &["md0"], &[]);
    let array = |kind, at| stacked(event(kind, "md0", at), &["sda", "sdb", "sdc"], &[], &[]);
    let failed = with(member("MD_DISK_FAILED", 10), "md.array", "md0");
    let mut run = run(vec![member("SCSI_DEVICE_OFFLINED", 0), failed, array("MD_RECOVERY_STARTED", 60_000)]);
    assert_eq!(run.found()[0].state, State::Recovering);
    run.stage.push(&mut array("MD_RECOVERY_DONE", 120_000), &mut run.written);
    let found = run.found();
    assert_eq!((found.len(), found[0].state), (1, State::Open), "{found:#?}");
    assert_eq!(found[0].conditions, ["device_offline"]);
    run.stage.push(&mut event("BLK_DEVICE_REMOVED", "sda", 180_000), &mut run.written);
    assert_eq!(run.found()[0].state, State::Resolved);
}

#[test]
fn a_member_that_the_next_boot_does_not_take_in_is_the_one_that_failed_and_its_rebuild_ends_both() {
    // After the reboot it has the name of the other one.
    let disk = |name: &str, wwid: &str| BlkId { wwid: wwid.to_owned(), ..id(name) };
    let of = |kind, (name, wwid), at, owners: Vec<BlkId>, holders: Vec<BlkId>| {
        let mut event = event(kind, name, at);
        event.block = Some(Arc::new(BlkInfo { id: disk(name, wwid), owners, holders }));
        event
    };
    let array = || disk("md0", "array");
    let next = |event: Event| Event { boot_id: "fedcba9876543210fedcba9876543210".to_owned(), ..event };
    let failed = with(of("MD_DISK_FAILED", ("sdb", "two"), 0, vec![], vec![array()]), "md.array", "md0");
    let rejected = next(of("MD_MEMBER_REJECTED", ("sda", "two"), 60_000, vec![], vec![]));
    let lacks = next(of("MD_DISK_FAILED", ("md0", "array"), 60_300, vec![disk("sdb", "one")], vec![]));
    let both = vec![disk("sda", "two"), disk("sdb", "one")];
    let done = next(of("MD_RECOVERY_DONE", ("md0", "array"), 120_000, both, vec![]));
    let mut run = run(vec![failed, rejected, with(lacks, "md.array", "md0")]);
    let found = run.found();
    assert_eq!((found.len(), found[0].event_count), (1, 3), "{found:#?}");
    assert_eq!(found[0].impact.kinds, [ImpactKind::RedundancyLost]);
    run.stage.push(&mut done.clone(), &mut run.written);
    assert_eq!(run.found()[0].state, State::Resolved, "{:#?}", run.found());
}

#[test]
fn what_a_lost_session_did_not_serve_is_over_when_it_is_back_and_what_a_disk_said_itself_is_not() {
    let disk = |event, hctl: &str| placed(event, hctl, Some(iscsi("session3", "10.0.0.1")));
    let lost = || event("ISCSI_CONNECTION_ERROR", "session3", 0);
    let timeout = || event("ISCSI_SESSION_TIMEOUT", "session3", 5_000);
    let vague = |name: &str, hctl, at| disk(io(event("BLK_IO_ERROR", name, at), Op::Read, 16, 5), hctl);
    let back = || event("ISCSI_SESSION_RECOVERED", "session3", 60_000);
    // What each of the disks failed came of the session, as the engine found.
    let of = |event: Event, cause: &Event| Event { root_cause_event_id: Some(cause.event_id), ..event };
    let requests = |cause: &Event| {
        [("sdd", "7:0:0:1"), ("sde", "7:0:0:2")].map(|(name, hctl)| of(vague(name, hctl, 5_010), cause))
    };
    let [one, two] = requests(&lost());
    let found = run(vec![lost(), timeout(), one, two, back()]).found();
    assert_eq!((found.len(), found[0].state), (1, State::Resolved), "{found:#?}");
    let hardware = disk(io(event("SCSI_HARDWARE_ERROR", "sdd", 5_020), Op::Read, 16, 121), "7:0:0:1");
    let [one, two] = requests(&lost());
    let found = run(vec![lost(), timeout(), one, two, of(hardware, &lost()), back()]).found();
    assert_eq!(found[0].conditions, ["device_failing"], "{found:#?}");
    // Nor is what fails after it.
    let [one, two] = requests(&lost());
    let found = run(vec![lost(), timeout(), one, two, back(), vague("sdd", "7:0:0:1", 61_000)]).found();
    assert!(found.iter().any(|incident| incident.state == State::Open), "{found:#?}");
}

#[test]
fn what_failed_nothing_is_over_when_it_is_quiet_and_an_error_is_not() {
    let mut quiet = run(vec![event("ATA_LINK_RESET", "ata2", 0), event("BLK_BEYOND_END", "sdq", 10)]);
    let at = quiet.stage.next_deadline_ns().unwrap();
    quiet.stage.tick(at, &mut quiet.written);
    let states: Vec<State> = quiet.found().iter().map(|i| i.state).collect();
    assert_eq!(states, [State::Resolved, State::Open]);
    assert_eq!(quiet.stage.next_deadline_ns(), None, "an idle stage wants no tick");
}

#[test]
fn what_is_transient_by_nature_ends_after_its_time() {
    let left_out = run(vec![with(event("PERIPETY_EVENTS_LOST", "", 0), "loss.source", "printk")]);
    assert!(left_out.found().is_empty(), "the kernel left out lines about what others report");
    let mut run = run(vec![with(event("PERIPETY_EVENTS_LOST", "", 0), "loss.source", "ebpf:block_rq_error")]);
    assert_eq!(run.found()[0].title, "peripety: records lost");
    let at = run.stage.next_deadline_ns().unwrap();
    run.stage.tick(at - 1_000_000, &mut run.written);
    assert_eq!(run.found()[0].state, State::Open);
    run.stage.tick(at, &mut run.written);
    assert_eq!(run.found()[0].state, State::Resolved);
}

#[test]
fn what_is_reported_after_its_end_is_over() {
    let aborted = || stacked(event("FS_JOURNAL_ABORTED", "loop4", 900), &["loop3"], &[], &["/mnt"]);
    let below = || stacked(event("FS_SHUTDOWN", "loop3", 0), &[], &["loop4"], &[]);
    let unmounted = |at| stacked(event("FS_UNMOUNTED", "loop4", at), &["loop3"], &[], &[]);
    // The line about the unmount is printed first, and stamped later.
    let found = run(vec![below(), unmounted(950), aborted()]).found();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].conditions, ["filesystem_shut_down"]);
    let found = run(vec![unmounted(950), aborted()]).found();
    assert_eq!(found[0].state, State::Resolved);
    assert_eq!(found[0].resolved_by.as_deref(), Some("FS_UNMOUNTED"));
    // What fails after it is not over by it.
    let found = run(vec![below(), unmounted(200), aborted()]).found();
    assert_eq!(found[0].conditions, ["filesystem_shut_down", "journal_aborted"]);
}

#[test]
fn the_state_of_a_disk_belongs_to_its_latest_incident_and_neither_opens_nor_grows_one() {
    let lone = run(vec![event("BLK_HEALTH", "sda", 0)]);
    assert!(lone.found().is_empty() && lone.events[0].incident_id.is_none());
    let run = run(vec![
        medium("sda", 8, 0),
        medium("sdb", 8, 60_000),
        event("BLK_HEALTH", "sda", 61_000),
        event("BLK_HEALTH", "sda", 700_000),
    ]);
    let found = run.found();
    assert_eq!(found.len(), 2);
    let incident = &found[0];
    assert_eq!(run.events[2].incident_id, Some(incident.incident_id));
    // The later one took the place of the earlier.
    let shots: Vec<_> = incident.events.iter().filter(|m| m.relation == Relation::Snapshot).collect();
    assert_eq!(shots.iter().map(|m| m.event_id).collect::<Vec<_>>(), [run.events[3].event_id]);
    assert_eq!((incident.failures, incident.episodes, incident.state), (1, 1, State::Open));
    assert_eq!(incident.updated, run.events[0].last_timestamp);
}
