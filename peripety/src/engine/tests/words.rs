//! Text, and the failures that it is about.

use super::*;

#[test]
fn text_of_a_counted_failure_is_its_line_whichever_comes_first() {
    let text = |ns| line(ns, "BLK_IO_ERROR block loop0 op=read sector=2048");
    let ring = |ns| rq(ns, LOOP0, 0, 5, 2048);
    for records in [
        [text(START), ring(START + 10 * MS)],
        [ring(START), text(START + 10 * MS)],
        // The clock of text lags.
        [ring(START), text(START - 200 * MS)],
        [ring(START), text(START + 3 * SECOND)],
    ] {
        let events = run(all_live(), &records);
        let finals = finals(&events);
        assert_eq!(types(&finals), [("BLK_IO_ERROR".to_owned(), 1)]);
        assert_eq!(finals[0].sources, ["ebpf:block_rq_error", "kmsg"]);
        assert_eq!(finals[0].raw_msgs, ["BLK_IO_ERROR block loop0 op=read sector=2048"]);
    }
}

#[test]
fn text_without_its_record_is_an_event_all_the_same() {
    let text = line(START, "BLK_IO_ERROR block loop0 op=read sector=2048");
    for live in
        [all_live(), LiveSources::text_only(), LiveSources::with_probes([Kind::BlockRqError], START + SECOND)]
    {
        let events = run(live, &[text.clone(), text.clone()]);
        assert_eq!(types(&finals(&events)), [("BLK_IO_ERROR".to_owned(), 2)], "{live:?}");
    }
}

#[test]
fn the_words_of_scsi_make_the_blocks_failure_precise() {
    let events = run(
        all_live(),
        &[
            scsi(START, SDA, 0x1230, 2, [3, 0x11, 0]),
            rq(START + MS, SDA, 0, 61, 0x1230),
            line(START + 2 * MS, "SCSI_MEDIUM_ERROR scsi sda scsi.tag=117 scsi.host_byte=DID_OK"),
            line(START + 2 * MS, "SCSI_MEDIUM_ERROR scsi sda scsi.tag=117 scsi.sense_key=3"),
            line(START + 2 * MS, "BLK_MEDIUM_ERROR block sda op=read sector=4656"),
        ],
    );
    let finals = finals(&events);
    assert_eq!(types(&finals), [("SCSI_MEDIUM_ERROR".to_owned(), 1)]);
    let event = finals[0];
    assert_eq!(event.sub_system.as_str(), "scsi");
    assert_eq!(event.raw_msgs.len(), 3);
    assert_eq!(event.sources, ["ebpf:block_rq_error", "ebpf:scsi_dispatch_cmd_done", "kmsg"]);
    assert_eq!(event.io.as_ref().unwrap().errno, Some(Errno::ENODATA));
    let scsi = event.facts.scsi.as_deref().unwrap();
    assert_eq!((scsi.asc, scsi.tag, scsi.host_byte), (Some(0x11), Some(117), Some(HostByte(0))));
    assert_eq!(
        event.msg,
        "read of 8 sectors at 4656 failed on /dev/sda: Medium Error, Unrecovered read error (ENODATA)"
    );
}

#[test]
fn a_chain_of_scsi_text_alone_is_one_event() {
    let events = run(
        LiveSources::text_only(),
        &[
            line(START, "SCSI_MEDIUM_ERROR scsi sda scsi.tag=1 scsi.host_byte=DID_OK"),
            line(START + 1, "SCSI_MEDIUM_ERROR scsi sda scsi.tag=1 scsi.sense_key=3"),
            line(START + 2, "SCSI_MEDIUM_ERROR scsi sda scsi.tag=1 scsi.cdb=28"),
            line(START + 3, "BLK_MEDIUM_ERROR block sda op=read sector=4656"),
        ],
    );
    let finals = finals(&events);
    assert_eq!(types(&finals), [("SCSI_MEDIUM_ERROR".to_owned(), 1)]);
    assert_eq!(finals[0].raw_msgs.len(), 4);
    assert!(finals[0].raw_msgs[3].starts_with("BLK_"));
    assert_eq!(finals[0].io.as_ref().unwrap().sector, Some(Sector(4656)));
}

#[test]
fn a_command_that_was_sent_again_is_told_by_itself() {
    let events = run(
        all_live(),
        &[
            scsi(START, SDA, 0x1230, 0xe << 16, [0; 3]),
            scsi(START + MS, SDA, 0x1230, 0xe << 16, [0; 3]),
            scsi(START + SECOND, SDA, 8, 2, [1, 0x17, 1]),
        ],
    );
    let finals = finals(&events);
    assert_eq!(
        types(&finals),
        [("SCSI_TRANSPORT_ERROR".to_owned(), 2), ("SCSI_RECOVERED_ERROR".to_owned(), 1)]
    );
    assert_eq!(finals[0].severity, Severity::Warning);
}

#[test]
fn commands_that_were_sent_again_in_vain_are_no_failures_of_their_own() {
    let events = run(
        all_live(),
        &[
            scsi(START, SDA, 0x1230, 0xe << 16, [0; 3]),
            scsi(START + MS, SDA, 0x1230, 0xe << 16, [0; 3]),
            rq(START + 2 * MS, SDA, 0, 67, 0x1230),
        ],
    );
    let finals = finals(&events);
    assert_eq!(types(&finals), [("SCSI_TRANSPORT_ERROR".to_owned(), 1)]);
    assert_eq!(finals[0].facts.get("counts.retried_commands"), Some(1.into()));
    assert_eq!(finals[0].severity, Severity::Error);
}
