//! Where storage is plugged in, as the kernel's lines tell: USB ports with a disk, PCI functions with a storage driver. What is
//! said of a port or a function alone is let through only where it is about storage.
//!
//! A disk that is unplugged by its owner is no failure. Its port is spoken of as disconnected only if something went wrong
//! with it just before, or fails because of it.

use std::collections::VecDeque;

use super::{Kdev, RawEvent};
use crate::{
    event::{EventType, Severity, SubSystem},
    record::{LogRecord, Stamp},
};

/// Ports and functions that are remembered.
const MOST: usize = 128;
/// How long before a disconnect trouble on the bus may be, and how long after it a failure.
const NEAR_US: i64 = 10_000_000;

/// Drivers of storage that name their function: `ahci 0000:00:17.0: …`.
const DRIVERS: &[&str] = &[
    "ahci",
    "nvme",
    "megaraid_sas",
    "mpt3sas",
    "mpt2sas",
    "hpsa",
    "aacraid",
    "smartpqi",
    "lpfc",
    "qla2xxx",
    "pm80xx",
    "mvsas",
    "isci",
    "arcmsr",
    "3w-9xxx",
    "3w-sas",
    "ata_piix",
    "sata_sil24",
    "sata_mv",
    "sata_nv",
    "xhci_hcd",
    "hisi_sas_v3_hw",
    "vmd",
    "virtio-pci",
    "ufshcd-pci",
    "sdhci-pci",
    "mvumi",
    "esas2r",
    "bfa",
    "be2iscsi",
];

/// A USB port that has a disk.
#[derive(Debug)]
struct Port {
    name: String,
    host: Option<u32>,
    disk: Option<String>,
}

/// Places of storage, as far as they were told.
#[derive(Debug, Default)]
pub struct Places {
    functions: VecDeque<String>,
    ports: VecDeque<Port>,
    /// The port of which the kernel spoke last, for hosts that name none.
    last_port: String,
    /// When something last went wrong on USB.
    trouble_us: Option<i64>,
    /// A disconnect of which it is not known yet whether anything failed of it.
    waiting: Option<RawEvent>,
}

impl Places {
    /// Learns from a line.
    pub fn learn(&mut self, record: &LogRecord) {
        if record.identifier.is_some() || record.fragment {
            return;
        }
        let text = record.text.as_str();
        let _tells_nothing = match text.as_bytes().first() {
            Some(b'u') => self.usb(text),
            Some(b's') => self.scsi(text).or_else(|| self.function(text)),
            Some(
                b'a' | b'n' | b'm' | b'h' | b'l' | b'q' | b'p' | b'i' | b'3' | b'x' | b'v' | b'e' | b'b',
            ) => self.function(text),
            _ => None,
        };
    }

    /// What a line says that no rule is about: of a USB port, whatever is plugged in there.
    pub fn said(&self, record: &LogRecord, time: Stamp) -> Option<RawEvent> {
        if record.identifier.is_some() || record.fragment {
            return None;
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

    /// Takes what a line says; gives what is to be told, in order.
    pub fn pass(&mut self, raw: RawEvent) -> (Option<RawEvent>, Option<RawEvent>) {
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
                let is_slow = speed(&raw).is_some_and(|speed| !speed.starts_with("Super"));
                if is_slow && self.port(&port).is_none() {
                    return (None, None);
                }
                self.trouble_us = Some(now_us);
                (Some(raw), None)
            }
            (event_type, _) if *event_type == EventType::IOMMU_FAULT => {
                let is_ours = raw.facts.pci.as_ref().is_some_and(|pci| {
                    let place = pci.function.as_deref().or(pci.slot.as_deref()).map(short);
                    pci.driver.is_some()
                        || place.is_some_and(|place| self.functions.iter().any(|known| known == place))
                });
                (is_ours.then_some(raw), None)
            }
            (event_type, _)
                if *event_type == EventType::USB_STORAGE_ERROR
                    || *event_type == EventType::USB_HOST_CONTROLLER_FAILED =>
            {
                self.trouble_us = Some(now_us);
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
        let place = self.ports.iter().position(|known| known.name == port);
        let known = place.and_then(|place| self.ports.remove(place));
        if let Some(disk) = known.as_ref().and_then(|port| port.disk.clone()) {
            raw.kdev = Kdev::Name(disk);
        }
        let is_trouble = self.trouble_us.is_some_and(|at| now_us.saturating_sub(at).abs() <= NEAR_US);
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

    fn port(&self, name: &str) -> Option<&Port> {
        self.ports.iter().find(|port| port.name == name)
    }

    fn add_port(&mut self, name: &str, host: Option<u32>) {
        if let Some(known) = self.ports.iter_mut().find(|port| port.name == name) {
            known.host = host.or(known.host);
            return;
        }
        if self.ports.len() >= MOST {
            self.ports.pop_front();
        }
        self.ports.push_back(Port { name: name.to_owned(), host, disk: None });
    }

    /// `usb 2-1: new SuperSpeed USB device number 2 …`, `usb-storage 2-1:1.0: USB Mass Storage device detected`.
    fn usb(&mut self, text: &str) -> Option<()> {
        if let Some(rest) = text.strip_prefix("usb-storage ") {
            let (port, said) = rest.split_once(": ")?;
            if said == "USB Mass Storage device detected" {
                self.add_port(port.split(':').next()?, None);
            }
            return Some(());
        }
        let (port, said) = text.strip_prefix("usb ")?.split_once(": ")?;
        if said.starts_with("new ") || said.starts_with("New USB device found") {
            port.get(..port.len().min(32))?.clone_into(&mut self.last_port);
        }
        Some(())
    }

    /// `scsi host6: uas`, `scsi host6: usb-storage 2-1:1.0`, `sd 6:0:0:0: [sdb] …`.
    fn scsi(&mut self, text: &str) -> Option<()> {
        if let Some(rest) = text.strip_prefix("scsi host") {
            let (host, driver) = rest.split_once(": ")?;
            let host = Some(host.parse().ok()?);
            if driver == "uas" {
                let port = std::mem::take(&mut self.last_port);
                if !port.is_empty() {
                    self.add_port(&port, host);
                    self.last_port = port;
                }
            } else {
                self.add_port(driver.strip_prefix("usb-storage ")?.split(':').next()?, host);
            }
            return Some(());
        }
        let (address, said) = text.strip_prefix("sd ")?.split_once(": ")?;
        let host: u32 = address.split(':').next()?.parse().ok()?;
        let port = self.ports.iter_mut().find(|port| port.host == Some(host))?;
        let (disk, _) = said.strip_prefix('[')?.split_once(']')?;
        if port.disk.as_deref() != Some(disk) {
            port.disk = Some(disk.get(..disk.len().min(32))?.to_owned());
        }
        Some(())
    }

    /// `ahci 0000:00:17.0: …`, `nvme nvme0: pci function 0000:03:00.0`.
    fn function(&mut self, text: &str) -> Option<()> {
        let (driver, rest) = text.split_once(' ')?;
        if !DRIVERS.contains(&driver) {
            return None;
        }
        let place = match rest.split_once(": pci function ") {
            Some((_, place)) => place.trim_end(),
            None => rest.split_once(": ")?.0.trim_matches(|c| c == '[' || c == ']'),
        };
        let is_place = |place: &str| {
            place.len() <= 16
                && place.contains('.')
                && place.bytes().all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.')
        };
        let place = Some(place).filter(|place| is_place(place)).map(short)?;
        if !self.functions.iter().any(|known| known == place) {
            if self.functions.len() >= MOST {
                self.functions.pop_front();
            }
            self.functions.push_back(place.to_owned());
        }
        Some(())
    }
}

impl RawEvent {
    /// Whether it names no disk, but the port that it is on.
    fn kdev_is_port(&self) -> bool {
        let port = self.facts.usb.as_ref().and_then(|usb| usb.port.as_deref());
        matches!((&self.kdev, port), (Kdev::Name(name), Some(port)) if name == port)
    }
}

/// How fast a USB device is that was reset.
fn speed(raw: &RawEvent) -> Option<&str> {
    raw.facts.usb.as_ref()?.speed.as_deref()
}

/// A PCI function without its domain: `03:00.0`.
fn short(place: &str) -> &str {
    if place.matches(':').count() > 1 { place.split_once(':').map_or(place, |(_, rest)| rest) } else { place }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parser::rules::RuleSet;

    fn told(lines: &[(i64, &str)]) -> Vec<String> {
        let (rules, mut places) = (RuleSet::built_in(), Places::default());
        let mut out = Vec::new();
        for (second, text) in lines {
            let record = LogRecord { text: (*text).to_owned(), ..LogRecord::default() };
            places.learn(&record);
            let time = Stamp { monotonic_ns: None, realtime_us: second * 1_000_000 };
            if let Some(raw) = rules.parse(&record, time).or_else(|| places.said(&record, time)) {
                let (first, second) = places.pass(raw);
                out.extend(
                    [first, second]
                        .into_iter()
                        .flatten()
                        .map(|raw| format!("{} {}", raw.event_type, raw.kdev.to_text())),
                );
            }
        }
        out
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
        assert_eq!(told(&[PLUGGED, &[gone]].concat()), [] as [&str; 0], "its owner took it");
        assert_eq!(told(&[PLUGGED, &[gone, io]].concat()), ["USB_DISCONNECTED sdb", "BLK_IO_ERROR sdb"]);
        assert_eq!(
            told(&[PLUGGED, &[reset, gone]].concat()),
            ["USB_STORAGE_ERROR 2-1", "USB_DISCONNECTED sdb"]
        );
        assert_eq!(told(&[gone, io]), ["USB_DISCONNECTED sdb", "BLK_IO_ERROR sdb"], "nobody saw it come");
        assert_eq!(told(&[reset, gone]), [] as [&str; 0], "a mouse");
        let other = (101, "I/O error, dev sda, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2");
        assert_eq!(told(&[PLUGGED, &[gone, other]].concat()), ["BLK_IO_ERROR sda"]);
        let late = (200, io.1);
        assert_eq!(told(&[PLUGGED, &[gone, late]].concat()), ["BLK_IO_ERROR sdb"]);
    }

    #[test]
    fn a_fault_of_dma_is_told_of_functions_of_storage_alone() {
        let fault = (
            9,
            "DMAR: [DMA Read] Request device [03:00.0] fault addr ffe0000 [fault reason 06] PTE Read access is not set",
        );
        assert_eq!(told(&[fault]), [] as [&str; 0]);
        for line in ["nvme nvme0: pci function 0000:03:00.0", "ahci 0000:03:00.0: version 3.0"] {
            assert_eq!(told(&[(1, line), fault]).len(), 1, "{line}");
        }
        assert_eq!(told(&[(1, "i915 0000:03:00.0: enabling device"), fault]), [] as [&str; 0]);
    }
}
