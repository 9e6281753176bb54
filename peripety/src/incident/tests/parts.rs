//! Devices that fail for themselves, and those that have a part in common.

use super::*;

#[test]
fn two_disks_that_fail_in_the_same_second_for_themselves_stay_two() {
    let at = |hctl: &str, event| placed(event, hctl, None);
    for (one, two) in [
        (at("2:0:0:0", medium("sda", 8, 0)), at("2:0:1:0", medium("sdb", 8, 0))),
        (at("2:0:0:0", transport("sda", 0)), at("2:0:1:0", transport("sdb", 1))),
        (at("2:0:0:0", event("SCSI_TIMEOUT", "sda", 0)), at("3:0:0:0", event("SCSI_TIMEOUT", "sdb", 0))),
        (
            at("2:0:0:0", event("SCSI_DEVICE_OFFLINED", "sda", 0)),
            at("2:0:1:0", event("SCSI_DEVICE_OFFLINED", "sdb", 0)),
        ),
        (event("NVME_TIMEOUT", "nvme0", 0), event("NVME_TIMEOUT", "nvme1", 0)),
        (
            io(event("BLK_IO_ERROR", "vda", 0), Op::Read, 8, 5),
            io(event("BLK_IO_ERROR", "vdb", 0), Op::Read, 8, 5),
        ),
    ] {
        assert_eq!(run(vec![one, two]).found().len(), 2);
    }
}

#[test]
fn disks_that_time_out_together_below_one_adapter_are_one_incident() {
    let at = |hctl: &str, event| placed(event, hctl, None);
    let run = run(vec![
        at("2:0:0:0", event("SCSI_TIMEOUT", "sda", 0)),
        at("2:0:1:0", event("SCSI_TIMEOUT", "sdb", 300)),
        at("2:0:2:0", event("SCSI_TIMEOUT", "sdc", 500)),
    ]);
    let found = run.found();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].cause.name.as_str(), found[0].cause.part), ("host2", Part::Adapter));
    assert_eq!((found[0].cause.event_id, found[0].cause.certainty), (None, Certainty::Likely));
    assert_eq!(found[0].events.iter().filter(|m| m.relation == Relation::Sibling).count(), 2);
}

#[test]
fn incidents_that_turn_out_to_be_one_merge_and_both_say_so() {
    let at = |hctl: &str, event| placed(event, hctl, None);
    let run = run(vec![
        at("2:0:0:0", transport("sda", 0)),
        at("2:0:1:0", transport("sdb", 300)),
        at("2:0:2:0", transport("sdc", 500)),
    ]);
    let found = run.found();
    assert_eq!(found.len(), 1);
    let gone: Vec<&Incident> = run.written.iter().filter(|i| i.state == State::Superseded).collect();
    assert_eq!(gone.len(), 1);
    assert_eq!(gone[0].superseded_by, Some(found[0].incident_id));
    assert_eq!(found[0].supersedes, [gone[0].incident_id]);
    assert_eq!(run.events[0].incident_id, Some(found[0].incident_id), "the older id stays");
    assert_eq!(run.stage.get(gone[0].incident_id).map(|i| i.incident_id), Some(found[0].incident_id));
}

#[test]
fn luns_behind_one_portal_are_its_incident_also_where_sessions_differ() {
    let disk = |name: &str, hctl: &str, session: &str, at| {
        placed(transport(name, at), hctl, Some(iscsi(session, "10.0.0.1")))
    };
    let run = run(vec![
        disk("sda", "3:0:0:0", "session1", 0),
        disk("sdb", "4:0:0:0", "session2", 5_000),
        disk("sdc", "5:0:0:0", "session3", 6_000),
        disk("sdd", "6:0:0:0", "session4", 8_000),
    ]);
    assert_eq!(
        run.found().iter().map(|i| i.cause.name.clone()).collect::<Vec<_>>(),
        ["portal 10.0.0.1:3260"]
    );
}

#[test]
fn an_adapter_that_is_reset_is_the_cause_of_what_did_not_answer_before() {
    let named = |mut event: Event| {
        event.raw_msgs = vec!["aacraid: Host adapter abort request.".into()];
        event
    };
    let run = run(vec![
        named(placed(event("SCSI_ERROR_RECOVERY", "sdb", 0), "0:0:1:0", None)),
        named(event("SCSI_HOST_ADAPTER_RESET", "0000:5e:00.0", 900)),
        event("TASK_BLOCKED", "", 1_000),
        event("SCSI_HOST_ADAPTER_RECOVERED", "0000:5e:00.0", 30_000),
    ]);
    let found = run.found();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((found[0].cause.name.as_str(), found[0].cause.part), ("0000:5e:00.0", Part::Adapter));
    assert_eq!(found[0].state, State::Resolved);
}

#[test]
fn a_storm_below_one_adapter_is_one_incident_that_grows_and_stays_small() {
    let events =
        (0..2000).map(|n| placed(event("SCSI_TIMEOUT", &format!("sd{n}"), n), &format!("2:0:{n}:0"), None));
    let run = run(events.collect());
    let found = run.found();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].event_count, found[0].failures), (2000, 2000));
    assert!(run.written.len() < 100, "{}", run.written.len());
    assert!(serde_json::to_string(&found[0]).unwrap().len() < 64 << 10);
}
