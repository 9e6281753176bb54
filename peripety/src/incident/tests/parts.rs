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

fn fc(rport: &str) -> Transport {
    Transport::Fc {
        host_wwpn: "0x21000024ff3d1c44".into(),
        target_wwpn: format!("0x5006{rport}"),
        speed: String::new(),
        port_state: "Blocked".into(),
        rport: rport.into(),
    }
}

fn fabrics(controller: &str, address: &str) -> Transport {
    Transport::Nvme {
        controller: controller.into(),
        subsystem_nqn: "nqn.2014-08.org.example:storage".into(),
        transport: "tcp".into(),
        traddr: address.into(),
    }
}

/// Causes by name and part, in the order of their beginning.
fn causes(events: Vec<Event>) -> Vec<(String, Part)> {
    run(events).found().into_iter().map(|i| (i.cause.name, i.cause.part)).collect()
}

fn is(name: &str, part: Part) -> (String, Part) {
    (name.to_owned(), part)
}

#[test]
fn disks_of_one_session_that_is_lost_are_its_incident_with_and_without_its_own_words() {
    let disk =
        |name: &str, hctl: &str, at| placed(transport(name, at), hctl, Some(iscsi("session3", "10.0.0.1")));
    let disks =
        || vec![disk("sda", "3:0:0:0", 5_000), disk("sdb", "3:0:0:1", 5_100), disk("sdc", "3:0:0:2", 6_000)];
    assert_eq!(causes(disks()), [is("session3", Part::Session)]);
    let mut events = vec![event("ISCSI_CONNECTION_ERROR", "session3", 0)];
    events.extend(disks());
    assert_eq!(causes(events), [is("session3", Part::Session)]);
}

#[test]
fn sessions_that_are_lost_together_are_one_incident_and_those_lost_an_hour_apart_are_two() {
    let session = |name: &str, at| event("ISCSI_CONNECTION_ERROR", name, at);
    let together = vec![session("session1", 0), session("session2", 400), session("session3", 900)];
    assert_eq!(causes(together), [is("iSCSI network", Part::Network)]);
    let apart = vec![session("session1", 0), session("session2", 3_600_000)];
    assert_eq!(causes(apart), [is("session1", Part::Session), is("session2", Part::Session)]);
}

#[test]
fn a_remote_port_that_is_lost_is_the_cause_of_what_fails_of_its_disks() {
    let disk = |name: &str, hctl: &str, rport: &str, at| placed(transport(name, at), hctl, Some(fc(rport)));
    let lost = event("FC_PORT_LOST", "rport-5:0-3", 0);
    let found = run(vec![
        lost,
        disk("sda", "5:0:0:0", "rport-5:0-3", 200),
        disk("sdb", "5:0:0:1", "rport-5:0-3", 300),
        // Another port of the same host, a minute later.
        disk("sdc", "5:0:1:0", "rport-5:0-4", 3_600_000),
    ])
    .found();
    let causes: Vec<_> = found.iter().map(|i| (i.cause.name.as_str(), i.cause.part)).collect();
    assert_eq!(causes, [("rport-5:0-3", Part::TargetPort), ("sdc", Part::Device)]);
    assert_eq!(found[0].event_count, 3);
}

#[test]
fn remote_ports_that_are_lost_together_are_the_incident_of_their_host() {
    let lost = |name: &str, at| event("FC_PORT_LOST", name, at);
    assert_eq!(causes(vec![lost("rport-5:0-3", 0), lost("rport-5:0-4", 10)]), [is("host5", Part::Adapter)]);
    let elsewhere = causes(vec![lost("rport-5:0-3", 0), lost("rport-6:0-0", 10)]);
    assert_eq!(elsewhere.len(), 2, "{elsewhere:?}");
}

#[test]
fn namespaces_of_one_controller_and_controllers_of_one_address_are_one_incident() {
    let failed = |name: &str, controller: &str, address: &str, at| {
        let event = io(event("NVME_PATH_FAILED", name, at), Op::Read, 8, 5);
        let own = BlkId { transport: Some(fabrics(controller, address)), ..id(name) };
        Event { block: Some(Arc::new(BlkInfo { id: own, owners: vec![], holders: vec![] })), ..event }
    };
    let (one, two) = ("traddr=10.0.0.1,trsvcid=4420", "traddr=10.0.0.2,trsvcid=4420");
    let of_controller = vec![failed("nvme1n1", "nvme1", one, 0), failed("nvme1n2", "nvme1", one, 100)];
    assert_eq!(causes(of_controller), [is("nvme1", Part::Controller)]);
    let of_address = vec![failed("nvme1n1", "nvme1", one, 0), failed("nvme2n1", "nvme2", one, 100)];
    assert_eq!(causes(of_address), [is(&format!("portal {one}"), Part::Portal)]);
    let apart = vec![failed("nvme1n1", "nvme1", one, 0), failed("nvme2n1", "nvme2", two, 3_600_000)];
    assert_eq!(causes(apart).len(), 2);
}

#[test]
fn an_expander_or_an_enclosure_that_goes_is_the_cause_of_all_its_disks() {
    let sas = |port: &str, bay| Transport::Sas {
        address: format!("0x5000c500{bay:08x}"),
        port: port.into(),
        speed: String::new(),
        enclosure: "0x500304801f2a3b3f".into(),
        bay: Some(bay),
    };
    let disk = |name: &str, n: u32, port: &str, at| {
        placed(event("SCSI_TIMEOUT", name, at), &format!("0:0:{n}:0"), Some(sas(port, n)))
    };
    let behind = |port: [&str; 2]| {
        causes(vec![
            disk("sda", 1, port[0], 0),
            disk("sdb", 2, port[1], 31_000),
            disk("sdc", 3, port[0], 62_000),
        ])
    };
    assert_eq!(behind(["expander-0:1 phy 1", "expander-0:1 phy 2"]), [is("expander-0:1", Part::Expander)]);
    assert_eq!(
        behind(["expander-0:1 phy 1", "expander-0:2 phy 2"]),
        [is("enclosure 0x500304801f2a3b3f", Part::Enclosure)]
    );
}

#[test]
fn an_adapter_that_speaks_after_its_disks_were_silent_is_their_cause() {
    let at = |hctl: &str, event| placed(event, hctl, None);
    let found = run(vec![
        at("1:0:0:0", event("SCSI_TIMEOUT", "sda", 0)),
        at("1:0:1:0", event("SCSI_TIMEOUT", "sdb", 500)),
        event("SCSI_HOST_ADAPTER_RESET", "mpt3sas_cm0", 1_000),
        at("1:0:2:0", event("SCSI_TIMEOUT", "sdc", 1_500)),
    ])
    .found();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((found[0].cause.name.as_str(), found[0].cause.part), ("mpt3sas_cm0", Part::Adapter));
    let because: BTreeSet<_> = found[0].events.iter().filter_map(|member| member.because).collect();
    assert_eq!(because.into_iter().collect::<Vec<_>>(), [found[0].cause.event_id.unwrap()]);
}
