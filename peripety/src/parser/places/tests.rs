//! Ports and functions of storage, by lines of real machines.

use super::*;
use crate::parser::rules::RuleSet;

fn reported(lines: &[(i64, &str)]) -> Vec<String> {
    let mut places = Places::default();
    lines.iter().flat_map(|(second, text)| take(&mut places, *second, text)).collect()
}

/// Takes a line, and gives what is reported.
fn take(places: &mut Places, second: i64, text: &str) -> Vec<String> {
    static RULES: std::sync::LazyLock<RuleSet> = std::sync::LazyLock::new(RuleSet::built_in);
    let record = LogRecord { text: text.to_owned(), ..LogRecord::default() };
    places.learn(&record);
    let time = Stamp { monotonic_ns: None, realtime_us: second * 1_000_000 };
    let Some(raw) = RULES.parse(&record, time).or_else(|| places.said(&record, time)) else {
        return Vec::new();
    };
    let (first, second) = places.pass(raw);
    let events = [first, second].into_iter().flatten();
    events.map(|raw| format!("{} {}", raw.event_type, raw.kdev.to_text())).collect()
}

const PLUGGED: &[(i64, &str)] = &[
    (1, "usb-storage 2-1:1.0: USB Mass Storage device detected"),
    (1, "scsi host6: usb-storage 2-1:1.0"),
    (2, "sd 6:0:0:0: [sdb] Attached SCSI disk"),
];

#[test]
fn a_disk_that_goes_is_told_of_only_where_something_fails() {
    let gone = (100, "usb 2-1: USB disconnect, device number 4");
    let io = (101, "I/O error, dev sdb, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2");
    let reset = (95, "usb 2-1: reset high-speed USB device number 4 using xhci_hcd");
    assert_eq!(reported(&[PLUGGED, &[gone]].concat()), [] as [&str; 0], "its owner took it");
    assert_eq!(reported(&[PLUGGED, &[gone, io]].concat()), ["USB_DISCONNECTED sdb", "BLK_IO_ERROR sdb"]);
    assert_eq!(
        reported(&[PLUGGED, &[reset, gone]].concat()),
        ["USB_STORAGE_ERROR 2-1", "USB_DISCONNECTED sdb"]
    );
    assert_eq!(reported(&[gone, io]), ["USB_DISCONNECTED sdb", "BLK_IO_ERROR sdb"], "nobody saw it come");
    assert_eq!(reported(&[reset, gone]), [] as [&str; 0], "a mouse");
    let mouse = (90, "usb 2-1: new low-speed USB device number 4 using xhci_hcd");
    assert_eq!(reported(&[mouse, gone, io]), ["BLK_IO_ERROR sdb"], "what went is no disk");
    let other = (101, "I/O error, dev sda, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2");
    assert_eq!(reported(&[PLUGGED, &[gone, other]].concat()), ["BLK_IO_ERROR sda"]);
    let late = (200, io.1);
    assert_eq!(reported(&[PLUGGED, &[gone, late]].concat()), ["BLK_IO_ERROR sdb"]);
}

#[test]
fn a_reset_before_a_disk_is_given_up_was_of_that_disk() {
    let reset = (95, "usb 5-1: reset full speed USB device using uhci_hcd and address 11");
    let given_up = (96, "sd 13:0:0:0: Device offlined - not ready after error recovery");
    let gone = (97, "usb 5-1: USB disconnect, address 11");
    assert_eq!(reported(&[reset, given_up]), ["USB_STORAGE_ERROR 5-1", "SCSI_DEVICE_OFFLINED 13:0:0:0"]);
    assert_eq!(reported(&[given_up, gone]), ["SCSI_DEVICE_OFFLINED 13:0:0:0", "USB_DISCONNECTED 13:0:0:0"]);
    assert_eq!(reported(&[given_up, (120, gone.1)]), ["SCSI_DEVICE_OFFLINED 13:0:0:0"], "long after");
    let medium =
        (96, "critical medium error, dev sdb, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2");
    assert_eq!(reported(&[reset, medium]), ["BLK_MEDIUM_ERROR sdb"], "a disk that answers");
}

#[test]
fn virtual_media_are_reset_as_the_service_processor_likes() {
    let host = (1, "scsi host10: usb-storage 1-14.1:1.0");
    let reset = (9, "usb 1-14.1: reset high-speed USB device number 5 using xhci_hcd");
    let disk = (2, "scsi 10:0:0:1: Direct-Access     AMI      Virtual Floppy0  1.00 PQ: 0 ANSI: 0 CCS");
    let real = (2, "scsi 10:0:0:0: Direct-Access     SanDisk  Ultra Fit        1.00 PQ: 0 ANSI: 6");
    assert_eq!(reported(&[host, disk, reset]), [] as [&str; 0]);
    assert_eq!(reported(&[host, real, reset]), ["USB_STORAGE_ERROR 1-14.1"]);
}

#[test]
fn a_fault_of_dma_is_told_of_functions_of_storage_alone() {
    let fault = (
        9,
        "DMAR: [DMA Read] Request device [03:00.0] fault addr ffe0000 [fault reason 06] PTE Read access is not set",
    );
    assert_eq!(reported(&[fault]), [] as [&str; 0]);
    for line in ["nvme nvme0: pci function 0000:03:00.0", "ahci 0000:03:00.0: version 3.0"] {
        assert_eq!(reported(&[(1, line), fault]).len(), 1, "{line}");
    }
    assert_eq!(reported(&[(1, "i915 0000:03:00.0: enabling device"), fault]), [] as [&str; 0]);
}

#[test]
fn a_fast_device_that_is_no_disk_is_reset_in_silence() {
    let new = (1, "usb 2-3: new SuperSpeed USB device number 2 using xhci_hcd");
    let reset = (90, "usb 2-3: reset SuperSpeed USB device number 2 using xhci_hcd");
    assert_eq!(reported(&[new, reset]), [] as [&str; 0], "a card reader with a driver of its own");
    assert_eq!(reported(&[reset]), ["USB_STORAGE_ERROR 2-3"], "nobody saw it come");
    let disk = (2, "usb-storage 2-3:1.0: USB Mass Storage device detected");
    assert_eq!(reported(&[new, disk, reset]), ["USB_STORAGE_ERROR 2-3"]);
    // Two at once: the driver does not say which of them is its own.
    let other = (1, "usb 2-4: new SuperSpeed USB device number 3 using xhci_hcd");
    assert_eq!(reported(&[new, other, (2, "scsi host6: uas"), reset]), ["USB_STORAGE_ERROR 2-3"]);
}

#[test]
fn the_links_of_a_controller_that_starts_are_no_events() {
    let port = (1, "ata3: SATA max UDMA/133 abar m2048@0xf7f36000 port 0xf7f36200 irq 31");
    let empty = (2, "ata3: SATA link down (SStatus 0 SControl 300)");
    let up = (2, "ata3: SATA link up 6.0 Gbps (SStatus 133 SControl 300)");
    let error = (1, "ata3: COMRESET failed (errno=-16)");
    assert_eq!(reported(&[port, empty]), [] as [&str; 0]);
    assert_eq!(reported(&[port, up]), [] as [&str; 0]);
    assert_eq!(reported(&[port, up, (9, empty.1)]), ["ATA_LINK_DOWN ata3"]);
    assert_eq!(reported(&[port, empty, (9, up.1)]), ["ATA_LINK_UP ata3"], "a disk was plugged in");
    assert_eq!(reported(&[empty]), ["ATA_LINK_DOWN ata3"], "nobody saw it start");
    assert_eq!(reported(&[port, error, empty]).last().map(String::as_str), Some("ATA_LINK_DOWN ata3"));
}

#[test]
fn a_port_that_came_up_is_saved_as_such() {
    let port = "ata3: SATA max UDMA/133 abar m2048@0xf7f36000 port 0xf7f36200 irq 31";
    for next in
        ["ata3: SATA link up 6.0 Gbps (SStatus 133 SControl 300)", "ata3: COMRESET failed (errno=-16)"]
    {
        let mut places = Places::default();
        take(&mut places, 1, port);
        assert!(places.save(false).is_some());
        take(&mut places, 2, next);
        let saved = places.save(false).unwrap_or_else(|| panic!("nothing is saved of: {next}"));
        let mut successor = Places::default();
        successor.restore(saved);
        let down = take(&mut successor, 9, "ata3: SATA link down (SStatus 0 SControl 300)");
        assert_eq!(down, ["ATA_LINK_DOWN ata3"], "{next}");
        assert!(successor.save(false).is_none(), "of a port that was up nothing changes");
    }
}

/// Lines of which something is learned: of each driver of storage, and of all else.
fn lines_to_learn() -> Vec<String> {
    let others = [
        "usb 2-1: new SuperSpeed USB device number 2 using xhci_hcd",
        "usb-storage 2-1:1.0: USB Mass Storage device detected",
        "scsi host6: usb-storage 2-1:1.0",
        "ata3: SATA max UDMA/133 abar m2048@0xf7f36000 port 0xf7f36200 irq 31",
        "pci 0000:00:1c.5: PCI bridge to [bus 02-03]",
        "nvme nvme0: pci function 0000:03:00.0",
        "md/raid:md0: raid level 5 active with 4 out of 4 devices, algorithm 2",
        "raid5: raid level 5 set md1 active with 4 out of 4 devices, algorithm 2",
        "qla2xxx [0000:05:00.0]-500b:0: LOOP DOWN detected (2 7 0 0).",
        "r8169 0000:04:00.0: can't recover (no error_detected callback)",
        "8139too 0000:05:00.0: AER: can't recover (no error_detected callback)",
        "usbhid 0000:06:00.0: can't recover (no error_detected callback)",
    ];
    let drivers = pci::DRIVERS.iter().map(|driver| format!("{driver} 0000:07:00.0: starts"));
    others.into_iter().map(str::to_owned).chain(drivers).collect()
}

#[test]
fn of_each_such_line_something_is_learned_and_it_is_known_by_what_is_in_it() {
    for text in lines_to_learn() {
        let mut places = Places::default();
        places.learn(&LogRecord { text: text.clone(), ..LogRecord::default() });
        assert!(places.save(false).is_some(), "{text}");
        let is_named =
            beginnings().any(|start| text.starts_with(start)) || parts().any(|part| text.contains(part));
        assert!(is_named, "{text}");
    }
}

#[test]
fn a_fault_of_dma_is_reported_of_each_driver_of_storage() {
    let fault = "DMAR: [DMA Read] Request device [03:00.0] fault addr ffe0000 [fault reason 06] PTE Read access is not set";
    for driver in pci::DRIVERS {
        let start = format!("{driver} 0000:03:00.0: starts");
        assert_eq!(reported(&[(1, &start), (9, fault)]).len(), 1, "{driver}");
    }
}

#[test]
fn a_port_of_pci_express_speaks_only_where_storage_may_be_behind_it() {
    let error =
        (9, "pcieport 0000:00:1c.5: PCIe Bus Error: severity=Corrected, type=Physical Layer, (Receiver ID)");
    let bridge = (1, "pci 0000:00:1c.5: PCI bridge to [bus 02-03]");
    let nvme = (2, "nvme nvme0: pci function 0000:03:00.0");
    let elsewhere = (2, "nvme nvme0: pci function 0000:04:00.0");
    assert_eq!(reported(&[error]).len(), 1, "nothing is known");
    assert_eq!(reported(&[bridge, nvme, error]).len(), 1);
    assert_eq!(reported(&[bridge, elsewhere, error]), [] as [&str; 0], "wireless");
    let other = (3, "nvidia 0000:03:00.0: AER: can't recover (no error_detected callback)");
    assert_eq!(reported(&[other, error]), [] as [&str; 0]);
    assert_eq!(reported(&[nvme, other, error]).len(), 1, "it may be either");
}

#[test]
fn what_is_known_survives_the_daemon() {
    let mut places = Places::default();
    assert!(places.save(true).is_none());
    for text in [
        "usb 2-1: new SuperSpeed USB device number 2 using xhci_hcd",
        "usb-storage 2-1:1.0: USB Mass Storage device detected",
        "scsi host6: usb-storage 2-1:1.0",
        "sd 6:0:0:0: [sdb] Attached SCSI disk",
        "ata3: SATA max UDMA/133 abar m2048@0xf7f36000 port 0xf7f36200 irq 31",
        "pci 0000:00:1c.5: PCI bridge to [bus 02-03]",
        "nvme nvme0: pci function 0000:03:00.0",
    ] {
        places.learn(&LogRecord { text: text.to_owned(), ..LogRecord::default() });
    }
    let successor = crate::checkpoint::assert_survives(&mut places);
    assert_eq!(successor.known, places.known);
    assert_eq!(successor.port("2-1").and_then(|port| port.disk.as_deref()), Some("sdb"));
}

#[test]
fn an_array_with_parity_fails_with_the_member_that_it_cannot_do_without() {
    let start = (1, "md/raid:md0: raid level 5 active with 4 out of 4 devices, algorithm 2");
    let fails = |left: u64| {
        format!(
            "md/raid:md0: Disk failure on sdc1, disabling device.\nmd/raid:md0: Operation continuing on {left} devices."
        )
    };
    let (three, two) = (fails(3), fails(2));
    assert_eq!(reported(&[start, (9, &three)]), ["MD_DISK_FAILED sdc1"]);
    assert_eq!(reported(&[start, (9, &two)]), ["MD_DISK_FAILED sdc1", "MD_ARRAY_FAILED md0"]);
    assert_eq!(reported(&[(9, &two)]), ["MD_DISK_FAILED sdc1"], "it may be one of level 6");
    let six = (1, "md/raid:md0: raid level 6 active with 4 out of 4 devices, algorithm 2");
    assert_eq!(reported(&[six, (9, &two)]), ["MD_DISK_FAILED sdc1"]);
    let old = |left: u64| {
        format!("raid5: Disk failure on xvdc1, disabling device. Operation continuing on {left} devices")
    };
    let (first, second) = (old(3), old(2));
    let found = reported(&[(1, &first), (9, &second)]);
    assert_eq!(found.iter().filter(|event| event.starts_with("MD_ARRAY_FAILED")).count(), 1, "{found:?}");
}

#[test]
fn a_dock_that_is_pulled_is_no_failure_where_no_disk_fails() {
    let down = (10, "pcieport 0000:00:07.0: pciehp: Slot(0): Card not present");
    assert_eq!(reported(&[down]), [] as [&str; 0]);
    let lost = (11, "nvme nvme2: Disabling device after reset failure: -19");
    let events = ["PCIE_LINK_DOWN 0000:00:07.0", "NVME_CONTROLLER_FAILED nvme2"];
    assert_eq!(reported(&[down, lost]), events);
    assert_eq!(reported(&[(9, lost.1), down]), [events[1], events[0]]);
    let known = (1, "nvme nvme2: pci function 0000:3c:00.0");
    assert_eq!(reported(&[known, down]), [events[0]], "the machine has storage there");
    let leaves = (10, "xhci_hcd 0000:3f:00.0: remove, state 1");
    let dead = (10, "xhci_hcd 0000:3f:00.0: xHCI host controller not responding, assume dead");
    assert_eq!(reported(&[leaves, dead]), [] as [&str; 0]);
    assert_eq!(reported(&[dead, leaves]), ["USB_HOST_CONTROLLER_FAILED 0000:3f:00.0"]);
    let back = (20, "xhci_hcd 0000:3f:00.0: xHCI Host Controller");
    assert_eq!(reported(&[leaves, back, (90, dead.1)]), ["USB_HOST_CONTROLLER_FAILED 0000:3f:00.0"]);
}

#[test]
fn a_usb_controller_is_storage_where_a_disk_is_plugged_in() {
    let usb = (8, "xhci_hcd 0000:97:00.0: AER: can't recover (no error_detected callback)");
    let port = (8, "pcieport 0000:80:1b.4: AER: device recovery failed");
    assert_eq!(reported(&[usb, port]), [] as [&str; 0]);
    assert_eq!(reported(&[PLUGGED, &[usb, port]].concat()), ["PCIE_RECOVERY_FAILED 0000:80:1b.4"]);
}

#[test]
fn a_place_has_the_name_of_what_is_there() {
    let function = (1, "nvme nvme3: pci function 0001:04:00.0");
    let gone = (9, "nvme 0001:04:00.0: Unable to change power state from D3cold to D0, device inaccessible");
    assert_eq!(reported(&[function, gone]), ["NVME_CONTROLLER_FAILED nvme3"]);
    assert_eq!(reported(&[gone]), ["NVME_CONTROLLER_FAILED 0001:04:00.0"]);
    let abort = (1, "sd 4:0:0:0: [sde] tag#2 uas_eh_abort_handler 0 uas-tag 3 inflight: CMD OUT ");
    let reset = (2, "scsi host4: uas_eh_device_reset_handler FAILED err -19");
    assert_eq!(reported(&[abort, reset]), ["USB_STORAGE_ERROR sde", "USB_STORAGE_ERROR sde"]);
    assert_eq!(reported(&[reset]), ["USB_STORAGE_ERROR host4"]);
}

#[test]
fn a_disk_that_is_woken_is_slow() {
    let wakes = (1, "ata4: wake up from deepsleep, reset link now");
    let slow = (4, "ata4: link is slow to respond, please be patient (ready=0)");
    let up = (8, "ata4: SATA link up 6.0 Gbps (SStatus 133 SControl 300)");
    let woken = (8, "ata4: wake up successful, the reset fail can be ignored");
    assert_eq!(reported(&[wakes, slow, up, woken]), [] as [&str; 0]);
    let later = [wakes, slow, up, woken, (90, slow.1)];
    assert_eq!(reported(&later), ["ATA_LINK_RESET ata4"]);
}
