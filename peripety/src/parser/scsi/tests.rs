use peripety_common::{
    Kind,
    scsi_cmd::{CDB_BYTES, NO_SECTOR, SENSE_BYTES, ScsiCmd},
};

use super::{
    super::block::tests::{TIME, header},
    *,
};

const READ_10: &[u8] = &[0x28, 0, 0, 0, 0x12, 0x30, 0, 0, 8, 0];

pub(crate) fn command_done(result: u32, cdb: &[u8], sense: &[u8]) -> ScsiCmd {
    let mut cmd = ScsiCmd {
        lun: 1,
        sector: NO_SECTOR,
        host: 4,
        channel: 0,
        target: 0,
        dev: Dev::new(8, 16).to_kernel(),
        result,
        tag: 117,
        data_len: 0,
        cmd_len: cdb.len() as u16,
        retries: 0,
        allowed: 5,
        sense_valid: if sense.is_empty() { 0 } else { 2 },
        sense_key: 0,
        asc: 0,
        ascq: 0,
        reserved: 0,
        cdb: [0; CDB_BYTES],
        sense: [0; SENSE_BYTES],
    };
    cmd.cdb[..cdb.len()].copy_from_slice(cdb);
    cmd.sense[..sense.len()].copy_from_slice(sense);
    cmd
}

pub(crate) fn fixed(key: u8, asc: u8, ascq: u8) -> Vec<u8> {
    vec![0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, ascq, 0, 0, 0, 0]
}

fn kind(result: u32, cdb: &[u8], sense: &[u8]) -> Option<&'static str> {
    let raw = done(&header(Kind::ScsiDone), &command_done(result, cdb, sense), TIME)?;
    raw.event_type.info().map(|i| i.name)
}

#[test]
fn what_write_same_and_unmap_transfer_is_not_what_they_are_about() {
    let same = [0x93, 0, 0, 0, 0, 0, 0, 0, 0x80, 2, 0, 0, 0x20, 0, 0, 0];
    let extent = |cdb: &[u8], data_len, sector| {
        let mut cmd = command_done(2, cdb, &fixed(5, 0x24, 0));
        (cmd.data_len, cmd.sector) = (data_len, sector);
        io(&cmd).map(|io| (io.op, io.sector, io.nr_sectors))
    };
    assert_eq!(extent(&same, 512, 32770), Some((Op::WriteZeroes, Some(Sector(32770)), Some(8192))));
    assert_eq!(extent(&same, 4096, 262_160), Some((Op::WriteZeroes, Some(Sector(262_160)), Some(65_536))));
    assert_eq!(
        extent(&[0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0], 24, 2048),
        Some((Op::Discard, Some(Sector(2048)), None))
    );
}

#[test]
fn a_medium_error_names_request_bad_block_and_sense() {
    let mut cmd =
        command_done(2, READ_10, &[0xf0, 0, 3, 0, 0, 0x12, 0x34, 0x0a, 0, 0, 0, 0, 0x11, 0, 0, 0x80, 0, 0]);
    cmd.sector = 0x1230;
    cmd.data_len = 4096;
    let raw = done(&header(Kind::ScsiDone), &cmd, TIME).unwrap();
    assert_eq!(raw.event_type, EventType::SCSI_MEDIUM_ERROR);
    assert_eq!(raw.kdev.to_text(), "8:16");
    let io = raw.io.unwrap();
    assert_eq!(
        (io.op, io.sector, io.nr_sectors, io.bad_lba),
        (Op::Read, Some(Sector(0x1230)), Some(8), Some(Sector(0x1234)))
    );
    let facts = serde_json::to_value(&raw.facts).unwrap();
    assert_eq!(
        facts["scsi"],
        serde_json::json!({
            "hctl": "4:0:0:1",
            "tag": 117,
            "opcode": { "code": 0x28, "name": "READ(10)" },
            "cdb": "28 00 00 00 12 30 00 00 08 00",
            "host_byte": { "code": 0, "name": "DID_OK" },
            "status": { "code": 2, "name": "CHECK CONDITION" },
            "sense_key": { "code": 3, "name": "Medium Error" },
            "asc": 0x11,
            "ascq": 0,
            "add_sense": "Unrecovered read error",
        })
    );
}

#[test]
fn the_bad_block_of_a_disk_with_4k_blocks_is_in_sectors() {
    let mut cmd = command_done(2, READ_10, &[0xf0, 0, 3, 0, 0, 0x12, 0x34, 0x0a, 0, 0, 0, 0, 0x11, 0]);
    cmd.sector = 0x1230 * 8;
    cmd.data_len = 8 * 4096;
    assert_eq!(bad_sector(&cmd), Some(Sector(0x1234 * 8)));
    assert_eq!(sector(&cmd), Some(Sector(0x1230 * 8)));
}

#[test]
fn each_sense_key_has_its_type() {
    for (sense, event_type) in [
        (fixed(1, 0x17, 1), Some("SCSI_RECOVERED_ERROR")),
        (fixed(2, 4, 3), Some("SCSI_NOT_READY")),
        (fixed(4, 0x44, 0), Some("SCSI_HARDWARE_ERROR")),
        (fixed(5, 0x21, 0), Some("SCSI_ILLEGAL_REQUEST")),
        (fixed(6, 0x28, 0), Some("SCSI_UNIT_ATTENTION")),
        (fixed(6, 0x29, 1), Some("SCSI_POWER_ON_RESET")),
        (fixed(6, 0x3f, 0xe), Some("SCSI_LUN_CHANGED")),
        (fixed(6, 0x2a, 9), Some("SCSI_CAPACITY_CHANGED")),
        (fixed(6, 0x2a, 6), Some("SCSI_ALUA_STATE_CHANGED")),
        (fixed(6, 0x38, 7), Some("SCSI_THIN_SOFT_THRESHOLD")),
        (fixed(1, 0x5d, 0x10), Some("SMART_DISK_FAIL")),
        (fixed(7, 0x27, 0), Some("SCSI_DATA_PROTECT")),
        (fixed(0xb, 0, 6), Some("SCSI_ABORTED_COMMAND")),
        (fixed(0xe, 0x1d, 0), Some("SCSI_SENSE_OTHER")),
    ] {
        assert_eq!(kind(2, READ_10, &sense), event_type, "{sense:02x?}");
    }
    assert_eq!(kind(2, READ_10, &[0x72, 3, 0x11, 0, 0, 0, 0, 0]), Some("SCSI_MEDIUM_ERROR"));
}

#[test]
fn each_host_byte_has_its_type() {
    assert_eq!(kind(3 << 16, READ_10, &[]), Some("SCSI_TIMEOUT"));
    for host in [1, 2, 5, 7, 0xb, 0xe, 0xf] {
        assert_eq!(kind(host << 16, READ_10, &[]), Some("SCSI_TRANSPORT_ERROR"), "{host}");
    }
    assert_eq!(kind(0x18, READ_10, &[]), Some("SCSI_RESERVATION_CONFLICT"));
}

#[test]
fn what_is_normal_says_nothing() {
    let inquiry: &[u8] = &[0x12, 1, 0x83, 0, 0xff, 0];
    let ata: &[u8] = &[0x85, 8, 0x0e, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xec, 0];
    let test_unit_ready: &[u8] = &[0; 6];
    for (result, cdb, sense) in [
        (2, inquiry, fixed(5, 0x24, 0)),
        (2, ata, fixed(1, 0, 0x1d)),
        (2, ata, vec![0x72, 1, 0, 0x1d, 0, 0, 0, 14, 9, 12]),
        (2, test_unit_ready, fixed(2, 0x3a, 0)),
        (2, test_unit_ready, fixed(2, 4, 0xb)),
        (2, READ_10, fixed(2, 4, 1)),
        (2, READ_10, fixed(1, 0x5d, 0xff)),
        (8, READ_10, vec![]),
        (0x28, READ_10, vec![]),
        (4 << 16, inquiry, vec![]),
        (1 << 16, test_unit_ready, vec![]),
        (0xd << 16, READ_10, vec![]),
        (2, READ_10, vec![]),
        (0, READ_10, vec![]),
    ] {
        assert_eq!(kind(result, cdb, &sense), None, "{result:#x} {cdb:02x?} {sense:02x?}");
    }
    // But a tool that finds the disk broken is reported so.
    assert_eq!(kind(2, ata, &fixed(4, 0x44, 0)), Some("SCSI_HARDWARE_ERROR"));
}

#[test]
fn a_classic_record_is_known_by_its_address() {
    let mut cmd = command_done(2, READ_10, &[]);
    (cmd.dev, cmd.sense_valid, cmd.sense_key, cmd.asc) = (0, 1, 3, 0x11);
    let raw = done(&header(Kind::ScsiDone), &cmd, TIME).unwrap();
    assert_eq!(raw.kdev.to_text(), "4:0:0:1");
    assert_eq!(raw.io.unwrap().sector, Some(Sector(0x1230)));
}

#[test]
fn a_timeout_has_no_result_yet() {
    let raw = timeout(&header(Kind::ScsiTimeout), &command_done(0, READ_10, &[]), TIME).unwrap();
    assert_eq!(raw.event_type, EventType::SCSI_TIMEOUT);
    assert_eq!(raw.facts.scsi.unwrap().host_byte, None);
    let raw = error_handler(&header(Kind::ScsiEhWakeup), &ScsiEh { host: 4, failed: 2 }, TIME).unwrap();
    assert_eq!((raw.event_type, raw.kdev.to_text().as_str()), (EventType::SCSI_ERROR_RECOVERY, "host4"));
}

#[test]
fn a_handler_without_a_failed_command_is_no_fault() {
    // libata has it look for disks at every boot.
    let wake = |failed| error_handler(&header(Kind::ScsiEhWakeup), &ScsiEh { host: 0, failed }, TIME);
    assert!(wake(0).is_none());
    assert_eq!(wake(1).unwrap().severity, Severity::Warning);
    assert_eq!(wake(UNKNOWN_FAILED).unwrap().severity, Severity::Notice);
}
