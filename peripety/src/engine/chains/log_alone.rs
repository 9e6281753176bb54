//! What a log alone says.

use super::*;
use crate::event::{Errno, Op, Sector};

fn lines_of(text: &[(u64, &str)]) -> Vec<Record> {
    let numbered = |(seq, (ms, text)): (usize, &(u64, &str))| {
        let mut record = line(START + ms * MS, text);
        if let Body::Log(log) = &mut record.body {
            log.seq = seq as u64;
        }
        record
    };
    text.iter().enumerate().map(numbered).collect()
}

/// What a log alone reports, with the built-in rules.
fn reported_by_log(facts: &dyn DeviceFacts, text: &[(u64, &str)]) -> Vec<Event> {
    let events = run_with(RuleSet::built_in(), facts, LiveSources::text_only(), &lines_of(text));
    finals(&events).into_iter().cloned().collect()
}

#[test]
fn a_log_alone_shows_nvme_status_and_failed_request_as_one() {
    let text = |lba, sector| {
        let status = format!(
            "nvme0n1: I/O Cmd(0x2) @ LBA {lba}, 8 blocks, Unrecovered Read Error (sct 0x2 / sc 0x81) MORE DNR "
        );
        let request = format!(
            "critical medium error, dev nvme0n1, sector {sector} op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2"
        );
        [status, request]
    };
    for size in [1, 8] {
        let (first, second) = (text(8000, 8000 * size), text(8008, 8008 * size));
        let events = reported_by_log(
            &Devices::usual(),
            &[(0, &first[0]), (0, &first[1]), (200, &second[0]), (200, &second[1])],
        );
        assert_eq!(events.iter().map(brief).collect::<Vec<_>>(), [("NVME_MEDIUM_ERROR", 2, Severity::Error)]);
        let io = events[0].io.as_ref().unwrap();
        assert_eq!((io.op, io.sector, io.errno), (Op::Read, Some(Sector(8000 * size)), Some(Errno::ENODATA)));
        assert_eq!((events[0].facts.get("nvme.sc"), events[0].raw_msgs.len()), (Some(0x81.into()), 4));
    }
}

#[test]
fn a_log_alone_shows_port_chain_and_request_of_sata_as_one() {
    let cmd = "ata3.00: cmd 60/08:b0:88:8e:2d/00:00:0f:00:00/40 tag 22 ncq dma 4096 in\n         res 41/40:00:88:8e:2d/00:00:0f:00:00/40 Emask 0x409 (media error) <F>";
    let rest = [
        "sd 2:0:0:0: [sda] tag#22 FAILED Result: hostbyte=DID_OK driverbyte=DRIVER_OK cmd_age=3s",
        "sd 2:0:0:0: [sda] tag#22 Sense Key : Medium Error [current] ",
        "sd 2:0:0:0: [sda] tag#22 Add. Sense: Unrecovered read error - auto reallocate failed",
        "sd 2:0:0:0: [sda] tag#22 CDB: Read(10) 28 00 0f 2d 8e 88 00 00 08 00",
        "I/O error, dev sda, sector 254643848 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2",
    ];
    // The error handler takes 3 ms or 3 s; the log says which disk is at the port, or does not.
    let (known, unknown) = (Sata(Devices::usual()), Devices::usual());
    for (facts, later) in [(&known as &dyn DeviceFacts, 3), (&known, 3000), (&unknown, 3), (&unknown, 3000)] {
        let mut text = vec![(0, cmd)];
        text.extend(rest.map(|line| (later, line)));
        let events = reported_by_log(facts, &text);
        let reported: Vec<_> = events.iter().map(|e| (brief(e), e.kdev.as_str())).collect();
        assert_eq!(reported, [(("SCSI_MEDIUM_ERROR", 1, Severity::Error), "sda")], "after {later} ms");
        let event = &events[0];
        assert_eq!(event.block.as_ref().unwrap().id.dev, SDA);
        assert_eq!((event.io.as_ref().unwrap().sector, event.raw_msgs.len()), (Some(Sector(254_643_848)), 6));
        assert_eq!(event.facts.get("counts.retried_commands"), None);
    }
}

#[test]
fn commands_of_two_ports_at_the_same_place_are_not_mixed_up() {
    let cmd = |port: u64| {
        format!(
            "ata{port}.00: cmd 61/08:b0:88:8e:2d/00:00:0f:00:00/40 tag 22 ncq dma 4096 out\n         res 40/00:00:00:00:00/00:00:00:00:00/00 Emask 0x4 (timeout)"
        )
    };
    let request = "I/O error, dev sda, sector 254643848 op 0x1:(WRITE) flags 0x0 phys_seg 1 prio class 2";
    let (three, four) = (cmd(3), cmd(4));
    let events = reported_by_log(&Devices::usual(), &[(0, &three), (0, &four), (3000, request)]);
    let reported: Vec<_> = events.iter().map(|e| (e.event_type.as_str(), e.kdev.as_str())).collect();
    assert_eq!(reported, [("ATA_TIMEOUT", "ata3.00"), ("ATA_TIMEOUT", "ata4.00"), ("BLK_IO_ERROR", "sda")]);
}

#[test]
fn the_command_that_a_driver_takes_back_is_a_part_of_its_error_handling() {
    let events = reported_by_log(
        &Devices::usual(),
        &[
            (0, "sd 0:0:0:0: [sda] tag#5 uas_eh_abort_handler 0 uas-tag 3 inflight: CMD OUT "),
            (0, "sd 0:0:0:0: [sda] tag#5 CDB: opcode=0x2a 2a 00 19 56 48 00 00 04 00 00"),
            (0, "sd 0:0:0:0: [sda] tag#4 uas_eh_abort_handler 0 uas-tag 5 inflight: CMD OUT "),
            (0, "sd 0:0:0:0: [sda] tag#4 CDB: opcode=0x2a 2a 00 53 fd b5 10 00 04 00 00"),
            (90, "sd 0:0:0:0: [sda] tag#6 FAILED Result: hostbyte=DID_ABORT driverbyte=DRIVER_OK"),
            (90, "sd 0:0:0:0: [sda] tag#6 CDB: Read(10) 28 00 00 00 00 08 00 00 08 00"),
            (90, "I/O error, dev sda, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2"),
        ],
    );
    let reported: Vec<_> =
        events.iter().map(|e| (e.event_type.as_str(), e.count, e.raw_msgs.len())).collect();
    assert_eq!(reported, [("USB_STORAGE_ERROR", 2, 4), ("SCSI_TRANSPORT_ERROR", 1, 3)]);
    assert_eq!(events[0].io.as_ref().unwrap().op, Op::Write);
}

#[test]
fn a_bad_link_and_the_commands_that_failed_of_it_are_one_failure() {
    let exception = "ata3.00: exception Emask 0x50 SAct 0x3000 SErr 0x280900 action 0x6 frozen";
    let cmd = |tag: u32, reason: &str| {
        format!(
            "ata3.00: cmd 60/40:{:02x}:20:5b:60/00:00:0b:00:00/40 tag {tag} ncq dma 32768 in\n         res 40/00:54:20:5b:60/00:00:0b:00:00/40 Emask 0x10 ({reason})",
            tag << 3
        )
    };
    let reported = |first: &str, second: &str| {
        let text = [(0, exception), (0, first), (0, second), (900, exception), (900, first)];
        let events = reported_by_log(&Devices::usual(), &text);
        events.iter().map(|e| (e.event_type.to_string(), e.count, e.severity)).collect::<Vec<_>>()
    };
    let bus = reported(&cmd(12, "ATA bus error"), &cmd(13, "ATA bus error"));
    assert_eq!(bus, [("ATA_LINK_ERROR".to_owned(), 2, Severity::Warning)]);
    let late = reported(&cmd(12, "timeout"), &cmd(13, "timeout"));
    assert_eq!(late, [("ATA_TIMEOUT".to_owned(), 2, Severity::Error)]);
}

#[test]
fn what_a_drive_cannot_do_is_no_failure_of_its() {
    let events = reported_by_log(
        &Devices::usual(),
        &[
            (
                0,
                "nvme0n1: Write Zeroes(0x8) @ LBA 2048, 8 blocks, Invalid Field in Command (sct 0x0 / sc 0x2) DNR ",
            ),
            (
                0,
                "operation not supported error, dev nvme0n1, sector 2048 op 0x9:(WRITE_ZEROES) flags 0x0 phys_seg 0 prio class 2",
            ),
        ],
    );
    assert_eq!(events.iter().map(brief).collect::<Vec<_>>(), [("BLK_NOT_SUPPORTED", 1, Severity::Info)]);
}

#[test]
fn a_conflict_of_reservations_is_reported_once() {
    let line = "sd 0:0:0:0: reservation conflict";
    let request =
        "reservation conflict error, dev sda, sector 8 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 2";
    let reported = |text: &[(u64, &str)]| {
        let facts = Sata(Devices::usual());
        let events = reported_by_log(&facts, text);
        events.iter().map(|e| (e.event_type.to_string(), e.count)).collect::<Vec<_>>()
    };
    let conflict = |count| [("SCSI_RESERVATION_CONFLICT".to_owned(), count)];
    assert_eq!(reported(&[(0, line), (0, line), (9, line)]), conflict(3));
    let disk = "sd 0:0:0:0: [sda] tag#3 FAILED Result: hostbyte=DID_OK driverbyte=DRIVER_OK cmd_age=0s";
    assert_eq!(reported(&[(0, line), (0, disk), (0, request)]), conflict(1));
}
