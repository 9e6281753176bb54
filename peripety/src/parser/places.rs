//! Where storage is plugged in, as the kernel's lines report: USB ports with a disk, PCI functions with a storage driver. What is
//! said of a port or a function alone is let through only where it is about storage.
//!
//! A disk that is unplugged by its owner is no failure. Its port is spoken of as disconnected only if something went wrong
//! with it just before, or fails because of it.

mod arrays;
mod ata;
mod pci;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Kdev, RawEvent};
use crate::{
    checkpoint::Checkpoint,
    event::{EventType, Severity, SubSystem},
    record::{LogRecord, Stamp},
};

/// Ports and functions that are remembered.
const MOST: usize = 128;
/// How long before a disconnect trouble on the bus may be, and how long after it a failure.
const NEAR_US: i64 = 10_000_000;

/// What the lines begin with of which anything is learned or said.
pub(crate) fn beginnings() -> impl Iterator<Item = &'static str> {
    ["usb-storage ", "usb ", "scsi host", "sd ", "ata"]
        .into_iter()
        .chain(pci::beginnings())
        .chain(arrays::BEGINNINGS)
}

/// What such lines have in them that may begin as they like.
pub(crate) fn parts() -> impl Iterator<Item = &'static str> {
    pci::ERRORS.into_iter()
}

/// A USB port that has a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Port {
    name: String,
    host: Option<u32>,
    disk: Option<String>,
}

/// What is known of places of storage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    functions: pci::Functions,
    ata: ata::AtaPorts,
    arrays: arrays::Arrays,
    ports: VecDeque<Port>,
    /// Ports at which something was plugged in that is no disk so far.
    plugged: VecDeque<String>,
    /// The port of which the kernel spoke last, for hosts that name none.
    last_port: String,
    /// When something last went wrong on USB.
    trouble_us: Option<i64>,
}

/// Places of storage, as far as the kernel's lines report them.
#[derive(Debug, Default)]
pub(crate) struct Places {
    known: Known,
    /// Since it was last saved.
    changed: bool,
    /// A disconnect of which it is not known yet whether anything failed of it.
    waiting: Option<RawEvent>,
}

impl Checkpoint for Places {
    type State = Known;

    fn save(&mut self, all: bool) -> Option<Known> {
        let is_due = std::mem::take(&mut self.changed) || (all && self.known != Known::default());
        is_due.then(|| self.known.clone())
    }

    fn restore(&mut self, known: Known) {
        self.known = known;
    }
}

impl Places {
    /// Learns from a line.
    pub(crate) fn learn(&mut self, record: &LogRecord) {
        if record.identifier.is_some() || record.fragment {
            return;
        }
        let text = record.text.as_str();
        let changed = self.usb(text).or_else(|| self.scsi(text)).unwrap_or_else(|| {
            self.known.ata.learn(text) || self.known.functions.learn(text) || self.known.arrays.learn(text)
        });
        self.changed |= changed;
    }

    /// What a line says that no rule is about: of a USB port, whatever is plugged in there.
    pub(crate) fn said(&self, record: &LogRecord, time: Stamp) -> Option<RawEvent> {
        if record.identifier.is_some() || record.fragment {
            return None;
        }
        if let Some(raw) = started(record, time) {
            return Some(raw);
        }
        let (port, said) = record.text.strip_prefix("usb ")?.split_once(": ")?;
        let is_port = port.len() <= 32 && port.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b'.');
        let event_type = if said.starts_with("USB disconnect, ") {
            EventType::USB_DISCONNECTED
        } else if said.starts_with("reset ") && said.contains("speed USB device ") {
            EventType::USB_STORAGE_ERROR
        } else {
            return None;
        };
        if !is_port {
            return None;
        }
        let source = if record.unproven { "syslog:unproven" } else { "kmsg" };
        let mut raw = RawEvent::new(time, source, record.seq.to_string(), event_type);
        raw.sub_system = SubSystem::new("usb");
        raw.severity = Severity::Warning;
        raw.raw_msg = Some(record.text.clone());
        raw.kdev = Kdev::Name(port.to_owned());
        let usb = raw.facts.usb.get_or_insert_default();
        usb.port = Some(port.to_owned());
        let speed = said.strip_prefix("reset ").and_then(|said| said.split_once(" USB"));
        usb.speed = speed.map(|(speed, _)| speed.to_owned());
        Some(raw)
    }

    /// Takes what a line says; gives what is to be reported, in order.
    pub(crate) fn pass(&mut self, raw: RawEvent) -> (Option<RawEvent>, Option<RawEvent>) {
        let now_us = raw.time.realtime_us;
        let old = |waiting: &RawEvent| now_us.saturating_sub(waiting.time.realtime_us).abs() > NEAR_US;
        if self.waiting.as_ref().is_some_and(old) {
            self.waiting = None;
        }
        let port = raw.facts.usb.as_ref().and_then(|usb| usb.port.clone());
        match (&raw.event_type, port) {
            (event_type, Some(port)) if *event_type == EventType::USB_DISCONNECTED => {
                (self.disconnected(raw, &port), None)
            }
            (_, Some(port)) if speed(&raw).is_some() => {
                // Most of what is that fast is a disk.
                let is_slow = speed(&raw).is_some_and(|speed| !speed.starts_with("Super"));
                if self.port(&port).is_none() && (is_slow || self.known.plugged.contains(&port)) {
                    return (None, None);
                }
                self.trouble(now_us);
                (Some(raw), None)
            }
            (event_type, _) if *event_type == EventType::MD_DISK_FAILED => {
                let (failed, changed) = self.known.arrays.failed_with(&raw);
                self.changed |= changed;
                (Some(raw), failed)
            }
            (event_type, _) if raw.sub_system.as_str() == "ata" => {
                let is_link =
                    *event_type == EventType::ATA_LINK_UP || *event_type == EventType::ATA_LINK_DOWN;
                let was_starting = self.known.ata.end_start(&raw);
                self.changed |= was_starting;
                ((!(was_starting && is_link)).then_some(raw), None)
            }
            (_, _) if raw.sub_system.as_str() == "pcie" => {
                let port = raw.facts.pci.as_ref().and_then(|pci| pci.function.as_deref());
                let is_other = raw.raw_msg.as_deref().is_some_and(|text| text.starts_with("pcie"))
                    && port.is_some_and(|port| self.known.functions.is_without_storage(port));
                ((!is_other).then_some(raw), None)
            }
            (event_type, _) if *event_type == EventType::IOMMU_FAULT => {
                let is_ours = raw.facts.pci.as_ref().is_some_and(|pci| {
                    let place = pci.function.as_deref().or(pci.slot.as_deref());
                    pci.driver.is_some() || place.is_some_and(|place| self.known.functions.is_storage(place))
                });
                (is_ours.then_some(raw), None)
            }
            (event_type, _)
                if *event_type == EventType::USB_STORAGE_ERROR
                    || *event_type == EventType::USB_HOST_CONTROLLER_FAILED =>
            {
                self.trouble(now_us);
                (Some(raw), None)
            }
            _ => {
                let before = if self.fails_of_it(&raw) { self.waiting.take() } else { None };
                match before {
                    Some(mut before) => {
                        if let (Kdev::Name(disk), true) = (&raw.kdev, before.kdev_is_port()) {
                            before.kdev = Kdev::Name(disk.clone());
                        }
                        (Some(before), Some(raw))
                    }
                    None => (Some(raw), None),
                }
            }
        }
    }

    fn disconnected(&mut self, mut raw: RawEvent, port: &str) -> Option<RawEvent> {
        let now_us = raw.time.realtime_us;
        let place = self.known.ports.iter().position(|known| known.name == port);
        let known = place.and_then(|place| self.known.ports.remove(place));
        let is_other = known.is_none() && self.known.plugged.iter().any(|plugged| plugged == port);
        self.known.plugged.retain(|plugged| plugged != port);
        self.changed = true;
        if is_other {
            return None;
        }
        if let Some(disk) = known.as_ref().and_then(|port| port.disk.clone()) {
            raw.kdev = Kdev::Name(disk);
        }
        let is_trouble = self.known.trouble_us.is_some_and(|at| now_us.saturating_sub(at).abs() <= NEAR_US);
        if known.is_some() && is_trouble {
            return Some(raw);
        }
        self.waiting = Some(raw);
        None
    }

    /// Whether what a line says fails because the port of which it waits was disconnected.
    fn fails_of_it(&self, raw: &RawEvent) -> bool {
        let Some(waiting) = &self.waiting else { return false };
        if !raw.severity.at_least(Severity::Warning) || !["scsi", "block"].contains(&raw.sub_system.as_str())
        {
            return false;
        }
        let Kdev::Name(name) = &raw.kdev else { return false };
        match &waiting.kdev {
            Kdev::Name(disk) if !waiting.kdev_is_port() => name.starts_with(disk.as_str()),
            _ => name.starts_with("sd"),
        }
    }

    fn trouble(&mut self, now_us: i64) {
        self.known.trouble_us = Some(now_us);
        self.changed = true;
    }

    fn port(&self, name: &str) -> Option<&Port> {
        self.known.ports.iter().find(|port| port.name == name)
    }

    fn add_port(&mut self, name: &str, host: Option<u32>) -> bool {
        self.known.plugged.retain(|plugged| plugged != name);
        if let Some(known) = self.known.ports.iter_mut().find(|port| port.name == name) {
            let is_new = host.is_some() && known.host != host;
            known.host = host.or(known.host);
            return is_new;
        }
        if self.known.ports.len() >= MOST {
            self.known.ports.pop_front();
        }
        self.known.ports.push_back(Port { name: name.to_owned(), host, disk: None });
        true
    }

    /// `usb 2-1: new SuperSpeed USB device number 2 …`, `usb-storage 2-1:1.0: USB Mass Storage device detected`. Whether
    /// anything changed; nothing if the line is about something else.
    fn usb(&mut self, text: &str) -> Option<bool> {
        if let Some(rest) = text.strip_prefix("usb-storage ") {
            let (port, said) = rest.split_once(": ")?;
            let is_disk = said == "USB Mass Storage device detected";
            return Some(is_disk && self.add_port(port.split(':').next()?, None));
        }
        let (port, said) = text.strip_prefix("usb ")?.split_once(": ")?;
        let is_new = said.starts_with("new ");
        if !is_new && !said.starts_with("New USB device found") {
            return Some(false);
        }
        let port = port.get(..port.len().min(32))?;
        let is_other = self.known.last_port != port;
        if is_other {
            port.clone_into(&mut self.known.last_port);
        }
        if !is_new || self.port(port).is_some() || self.known.plugged.iter().any(|known| known == port) {
            return Some(is_other);
        }
        if self.known.plugged.len() >= MOST {
            self.known.plugged.pop_front();
        }
        self.known.plugged.push_back(port.to_owned());
        Some(true)
    }

    /// `scsi host6: uas`, `scsi host6: usb-storage 2-1:1.0`, `sd 6:0:0:0: [sdb] …`. Whether anything changed; nothing if the
    /// line is about something else.
    fn scsi(&mut self, text: &str) -> Option<bool> {
        if let Some(rest) = text.strip_prefix("scsi host") {
            let (host, driver) = rest.split_once(": ")?;
            let host = Some(host.parse().ok()?);
            if driver == "uas" {
                let port = std::mem::take(&mut self.known.last_port);
                if !port.is_empty() {
                    self.add_port(&port, host);
                    self.known.last_port = port;
                }
                // It names no port: any of those that came before may be the one.
                self.known.plugged.clear();
                return Some(true);
            }
            return Some(self.add_port(driver.strip_prefix("usb-storage ")?.split(':').next()?, host));
        }
        let (address, said) = text.strip_prefix("sd ")?.split_once(": ")?;
        let host: u32 = address.split(':').next()?.parse().ok()?;
        let port = self.known.ports.iter_mut().find(|port| port.host == Some(host))?;
        let (disk, _) = said.strip_prefix('[')?.split_once(']')?;
        if port.disk.as_deref() == Some(disk) {
            return Some(false);
        }
        port.disk = Some(disk.get(..disk.len().min(32))?.to_owned());
        Some(true)
    }
}

impl RawEvent {
    /// Whether it names no disk, but the port that it is on.
    fn kdev_is_port(&self) -> bool {
        let port = self.facts.usb.as_ref().and_then(|usb| usb.port.as_deref());
        matches!((&self.kdev, port), (Kdev::Name(name), Some(port)) if name == port)
    }
}

/// `nvme nvme0: 8/0/0 default/read/poll queues`: a controller of PCIe says so whenever it starts. It is an event only where it was
/// in trouble before, which correlation knows.
fn started(record: &LogRecord, time: Stamp) -> Option<RawEvent> {
    let (name, said) = record.text.strip_prefix("nvme nvme")?.split_once(": ")?;
    let counts = said.strip_suffix(" default/read/poll queues")?;
    let are_digits =
        |text: &str| !text.is_empty() && text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit());
    if !are_digits(name) || counts.split('/').count() != 3 || !counts.split('/').all(are_digits) {
        return None;
    }
    let source = if record.unproven { "syslog:unproven" } else { "kmsg" };
    let event_type = EventType::NVME_CONTROLLER_RECOVERED;
    let mut raw = RawEvent::new(time, source, record.seq.to_string(), event_type);
    raw.raw_msg = Some(record.text.clone());
    raw.kdev = Kdev::Name(format!("nvme{name}"));
    Some(raw)
}

/// How fast a USB device is that was reset.
fn speed(raw: &RawEvent) -> Option<&str> {
    raw.facts.usb.as_ref()?.speed.as_deref()
}

#[cfg(test)]
mod tests {
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
        let error = (
            9,
            "pcieport 0000:00:1c.5: PCIe Bus Error: severity=Corrected, type=Physical Layer, (Receiver ID)",
        );
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
}
