//! What somebody asked for.

use super::*;

#[test]
fn what_failed_before_an_array_was_stopped_was_not_asked_for() {
    let array = BlkId { raid_level: "raid1".to_owned(), ..id(Dev::new(9, 0), "md0", BlkType::Md) };
    let machine = Machine::plain().with(BlkInfo { id: array, owners: Vec::new(), holders: Vec::new() });
    let stopped = |ns: u64| line(ns, "md: md0 stopped.");
    let of = |records: &[Record]| {
        let reported = reported(&machine, records);
        reported.iter().find(|(name, _)| name == "BLK_IO_ERROR").unwrap().1
    };
    let failure = |ns: u64| bio(ns, Dev::new(9, 0), 5, 64);
    assert_eq!(of(&[failure(START), stopped(START + SECOND)]), Severity::Error);
    assert_eq!(of(&[stopped(START), failure(START + 100 * MS)]), Severity::Notice);
}

#[test]
fn a_reset_of_a_controller_is_told_as_such_and_its_end_too() {
    let machine = Machine::plain().with(namespace("nvme0", "pcie", None));
    let records = [
        line(START, "nvme nvme0: I/O 23 QID 4 timeout, aborting"),
        line(START + SECOND, "nvme nvme0: I/O 23 QID 4 timeout, reset controller"),
        connected(START + 2 * SECOND, "nvme0"),
    ];
    let types: Vec<String> = reported(&machine, &records).into_iter().map(|(t, _)| t).collect();
    assert_eq!(types, ["NVME_TIMEOUT", "NVME_CONTROLLER_RESET", "NVME_CONTROLLER_RECOVERED"]);
    let path = [line(START, "nvme nvme0: starting error recovery"), connected(START + SECOND, "nvme0")];
    let types: Vec<String> = reported(&machine, &path).into_iter().map(|(t, _)| t).collect();
    assert_eq!(types, ["NVME_PATH_FAILED", "NVME_PATH_RECOVERED"]);
}

#[test]
fn a_controller_that_somebody_disconnects_fails_nothing() {
    let machine = Machine::plain().with(namespace("nvme0", "tcp", None));
    let asked = line(START, "nvme nvme0: Removing ctrl: NQN \"nqn.test:one\"");
    let taken_back = nvme(START + MS, Dev::new(259, 0), 8, 0x371);
    let no_path = line(START + 2 * MS, "block nvme0n1: no available path - failing I/O");
    let failed = rq(START + 3 * MS, Dev::new(259, 0), 0, 5, 8);
    let early = [taken_back.clone(), no_path.clone(), asked.clone(), failed.clone()];
    for records in [[asked.clone(), taken_back, no_path, failed], early] {
        let events = reported(&machine, &records);
        assert!(!events.is_empty());
        assert!(events.iter().all(|(_, severity)| *severity == Severity::Notice), "{events:?}");
    }
    // A controller that the driver gave up is removed by the same words.
    let given_up = [
        line(START, "nvme nvme0: starting error recovery"),
        line(START + 60 * SECOND, "nvme nvme0: Removing controller (16770)..."),
        line(START + 60 * SECOND + MS, "nvme nvme0: Removing ctrl: NQN \"nqn.test:one\""),
        line(START + 60 * SECOND + 2 * MS, "block nvme0n1: no available path - failing I/O"),
    ];
    let events = reported(&machine, &given_up);
    assert!(events.contains(&("NVME_PATH_FAILED".to_owned(), Severity::Critical)), "{events:?}");
}

#[test]
fn a_connection_that_somebody_closes_is_not_lost() {
    let lines = |text: &[&str]| {
        let numbered = text.iter().enumerate();
        numbered.map(|(i, text)| line(START + i as u64 * MS, text)).collect::<Vec<_>>()
    };
    let asked = lines(&[
        "block nbd0: NBD_DISCONNECT",
        "block nbd0: Disconnected due to user request.",
        "block nbd0: shutting down sockets",
    ]);
    assert_eq!(reported(&Devices::usual(), &asked), [("NBD_CONNECTION_LOST".to_owned(), Severity::Notice)]);
    let lost =
        lines(&["block nbd0: Receive control failed (result -32)", "block nbd0: shutting down sockets"]);
    assert_eq!(reported(&Devices::usual(), &lost), [("NBD_CONNECTION_LOST".to_owned(), Severity::Error)]);
}

#[test]
fn a_disk_that_is_deleted_fails_the_requests_under_way_and_nothing_else() {
    let records = [
        rq(START, SDA, 0, 5, 8),
        line(START + MS, "sd 4:0:0:1: rejecting I/O to dead device"),
        gone(START + 20 * MS, SDA, "sda"),
    ];
    let events = reported(&Devices::usual(), &records);
    assert!(events.iter().all(|(_, severity)| *severity >= Severity::Warning), "{events:?}");
    // One that failed before it went.
    let failing = [rq(START, SDA, 0, 5, 8), gone(START + 4 * SECOND, SDA, "sda")];
    let error = |records: &[Record]| {
        reported(&Devices::usual(), records).iter().any(|(_, severity)| *severity == Severity::Error)
    };
    assert!(error(&failing));
    // What the device itself said is true whatever becomes of it.
    let medium = [rq(START, SDA, 0, 61, 8), gone(START + 20 * MS, SDA, "sda")];
    assert!(error(&medium));
}

#[test]
fn a_device_that_has_the_number_of_one_that_went_is_not_gone() {
    let came = |ns| {
        let mut record = gone(ns, SDA, "sda");
        if let Body::Uevent(uevent) = &mut record.body {
            uevent.action = "add".to_owned();
        }
        record
    };
    let failed = |records: &[Record]| {
        let reported = reported(&Devices::usual(), records);
        reported.iter().find(|(name, _)| name == "BLK_IO_ERROR").unwrap().1
    };
    let late = rq(START + 3 * SECOND, SDA, 0, 5, 8);
    assert_eq!(failed(&[gone(START, SDA, "sda"), late.clone()]), Severity::Warning);
    assert_eq!(failed(&[gone(START, SDA, "sda"), came(START + SECOND), late]), Severity::Error);
}

#[test]
fn a_host_that_goes_with_all_its_disks_is_one_event() {
    let mut machine = Machine::plain();
    let mut records = Vec::new();
    for n in 0..20u32 {
        let (dev, name) = (Dev::new(8, n * 16), format!("sd{}", char::from(b'a' + n as u8)));
        let mut disk = id(dev, &name, BlkType::Scsi);
        disk.transport_id = format!("4:0:{n}:0");
        machine = machine.with(BlkInfo { id: disk, ..BlkInfo::default() });
        records.push(gone(START + u64::from(n) * 40 * MS, dev, &name));
    }
    let events = run(all_live(), &machine, &records);
    let removals = finals(&events);
    assert_eq!(removals.len(), 1, "{:?}", removals.iter().map(|e| &e.msg).collect::<Vec<_>>());
    let event = removals[0];
    assert_eq!((event.event_type.as_str(), event.count), ("BLK_DEVICE_REMOVED", 20));
    let names = event.facts.removal.as_deref().unwrap().devices.as_deref().unwrap();
    assert!(names.len() == 20 && names.contains(&"sdt".to_owned()), "{names:?}");
    assert!(event.msg.starts_with("20 devices went away: sda, sdb"), "{}", event.msg);
    // Another host, or much later, is another event.
    let mut later = records.clone();
    later.push(gone(START + 10 * SECOND, Dev::new(8, 0), "sda"));
    later.push(gone(START + 800 * MS, Dev::new(7, 0), "loop0"));
    assert!(finals(&run(all_live(), &machine, &later)).len() >= 2);
}
