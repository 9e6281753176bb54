//! Where storage is plugged in, as the kernel's lines report: USB ports with a disk, PCI functions with a storage driver. What is
//! said of a port or a function alone is let through only where it is about storage.
//!
//! A disk that is unplugged by its owner is no failure. Its port is spoken of as disconnected only if something went wrong
//! with it just before, or fails because of it.

mod arrays;
mod ata;
mod pci;
mod uas;

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
/// How disks are called that a service processor makes of files.
const VIRTUAL: [&str; 7] =
    ["Virtual ", "VirtualCD", "LCDRIVE", "iDRAC", "Linux    File-", "OEMDRV", "SECUPD"];
/// How long before a disconnect trouble on the bus may be, and how long after it a failure.
const NEAR_US: i64 = 10_000_000;
/// How long before a disconnect a disk may have been given up that was at that port, where nothing says which disk was.
const AT_ONCE_US: i64 = 2_000_000;

/// What the lines begin with of which anything is learned or said.
pub(crate) fn beginnings() -> impl Iterator<Item = &'static str> {
    ["usb-storage ", "usb ", "scsi", "sd ", "ata"]
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
    /// It shows media that a service processor gives out: it is reset as that likes.
    #[serde(default)]
    is_virtual: bool,
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
    /// Disks whose medium, or which themselves, may be taken out.
    #[serde(default)]
    removable: VecDeque<String>,
    /// Hosts of UAS with the disk that each has.
    #[serde(default)]
    uas: uas::Hosts,
    #[serde(default)]
    waking: ata::Waking,
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
    /// A disconnect or a reset of which it is not known yet whether anything failed of it.
    waiting: Option<RawEvent>,
    /// The disk that was given up last, and when.
    given_up: Option<(i64, Kdev)>,
    /// When a disk failed last.
    failed_us: Option<i64>,
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
            self.known.ata.learn(text)
                || self.known.waking.learn(text)
                || self.known.functions.learn(text)
                || self.known.arrays.learn(text)
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
    pub(crate) fn pass(&mut self, mut raw: RawEvent) -> (Option<RawEvent>, Option<RawEvent>) {
        let now_us = raw.time.realtime_us;
        if let Some(name) = self.name(&raw) {
            raw.kdev = Kdev::Name(name.to_owned());
        }
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
                    // A disk that is given up next was what is plugged in there.
                    if !self.known.plugged.contains(&port) {
                        self.waiting = Some(raw);
                    }
                    return (None, None);
                }
                if self.port(&port).is_some_and(|port| port.is_virtual) {
                    return (None, None);
                }
                self.trouble(now_us);
                (Some(raw), None)
            }
            (event_type, _) if *event_type == EventType::BLK_CAPACITY_CHANGED => {
                (Some(self.of_removable(raw)), None)
            }
            (event_type, _) if *event_type == EventType::MD_DISK_FAILED => {
                let (failed, changed) = self.known.arrays.failed_with(&raw);
                self.changed |= changed;
                (Some(raw), failed)
            }
            (_, _) if self.known.waking.hides(&raw) => (None, None),
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
                    && port.is_some_and(|port| {
                        self.known.functions.is_without_storage(port, !self.known.ports.is_empty())
                    });
                let near = self.failed_us.is_some_and(|at| now_us.saturating_sub(at).abs() <= NEAR_US);
                // Of what is behind the port an excerpt may report nothing, but that it fails.
                if raw.event_type == EventType::PCIE_LINK_DOWN
                    && !near
                    && port.is_some_and(|port| self.known.functions.is_unknown(port))
                {
                    self.waiting = Some(raw);
                    return (None, None);
                }
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
                let function = raw.facts.pci.as_ref().and_then(|pci| pci.function.as_deref());
                if function.is_some_and(|function| self.known.functions.is_leaving(function)) {
                    return (None, None);
                }
                self.trouble(now_us);
                (Some(raw), None)
            }
            _ => {
                let is_disk = raw.raw_msg.as_deref().is_some_and(|text| text.starts_with("sd "));
                if is_of_disks(&raw) {
                    self.failed_us = Some(now_us);
                }
                if raw.event_type == EventType::SCSI_DEVICE_OFFLINED && is_disk {
                    self.given_up = Some((now_us, raw.kdev.clone()));
                }
                let before = if self.fails_of_it(&raw) { self.waiting.take() } else { None };
                match before {
                    Some(mut before) => {
                        let was_unplugged = before.event_type == EventType::USB_DISCONNECTED;
                        if let (Kdev::Name(disk), true, true) =
                            (&raw.kdev, was_unplugged, before.kdev_is_port())
                        {
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
        let given_up = self.given_up.take().filter(|(at, _)| now_us.saturating_sub(*at).abs() <= AT_ONCE_US);
        if let (None, Some((_, disk))) = (&known, given_up) {
            raw.kdev = disk;
            return Some(raw);
        }
        self.waiting = Some(raw);
        None
    }

    /// Whether what a line says fails because the port of which it waits was disconnected.
    fn fails_of_it(&self, raw: &RawEvent) -> bool {
        let Some(waiting) = &self.waiting else { return false };
        if waiting.event_type == EventType::PCIE_LINK_DOWN {
            return is_of_disks(raw);
        }
        if !is_of_disks(raw) || raw.sub_system.as_str() == "nvme" {
            return false;
        }
        if waiting.event_type == EventType::USB_STORAGE_ERROR {
            let is_silent =
                [EventType::SCSI_DEVICE_OFFLINED, EventType::SCSI_TRANSPORT_ERROR, EventType::SCSI_TIMEOUT];
            let is_disk = raw.raw_msg.as_deref().is_some_and(|text| text.starts_with("sd "));
            return is_disk && is_silent.contains(&raw.event_type);
        }
        let Kdev::Name(name) = &raw.kdev else { return false };
        match &waiting.kdev {
            Kdev::Name(disk) if !waiting.kdev_is_port() => name.starts_with(disk.as_str()),
            _ => name.starts_with("sd"),
        }
    }

    /// What is taken out of a reader, or unplugged, has no size any more.
    fn of_removable(&self, mut raw: RawEvent) -> RawEvent {
        if let Kdev::Name(disk) = &raw.kdev
            && self.known.removable.contains(disk)
        {
            raw.facts.impact.get_or_insert_default().removed = Some(true);
        }
        raw
    }

    /// The name that a device has where an event names its place only: of a function, of a host of UAS.
    fn name(&self, raw: &RawEvent) -> Option<&str> {
        let Kdev::Name(place) = &raw.kdev else { return None };
        if raw.sub_system.as_str() == "nvme" {
            return self.known.functions.controller(place);
        }
        let host: u32 = place.strip_prefix("host")?.parse().ok()?;
        if raw.event_type != EventType::USB_STORAGE_ERROR {
            return None;
        }
        let of_port = self.known.ports.iter().find(|port| port.host == Some(host));
        let known = of_port.and_then(|port| port.disk.as_deref());
        known.or_else(|| self.known.uas.disk(host))
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
        self.known.ports.push_back(Port { name: name.to_owned(), host, disk: None, is_virtual: false });
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

    /// `[sdb] Attached SCSI removable disk`. Whether anything changed; nothing if it is no such line.
    fn attached(&mut self, said: &str) -> Option<bool> {
        let (disk, kind) = said.strip_prefix('[')?.split_once("] Attached SCSI ")?;
        let is_known = self.known.removable.iter().any(|known| known == disk);
        let disk = disk.get(..disk.len().min(32))?;
        let has_port = self.known.ports.iter().any(|port| port.disk.as_deref() == Some(disk));
        // What is plugged in at USB is pulled as a whole.
        let may_go = kind == "removable disk" || has_port;
        match (may_go, is_known) {
            (true, false) => {
                if self.known.removable.len() >= MOST {
                    self.known.removable.pop_front();
                }
                self.known.removable.push_back(disk.to_owned());
            }
            (false, true) => self.known.removable.retain(|known| known != disk),
            _ => return Some(false),
        }
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
        if let Some((host, driver)) = text.strip_prefix("scsi").and_then(|rest| rest.split_once(" : ")) {
            let host = Some(host.parse().ok()?);
            if let Some(port) = driver.strip_prefix("usb-storage ") {
                return Some(self.add_port(port.split(':').next()?, host));
            }
            // Up to 2.6.36 it named no port.
            let port = self.known.last_port.clone();
            let is_usb = driver == "SCSI emulation for USB Mass Storage devices" && !port.is_empty();
            return is_usb.then(|| self.add_port(&port, host));
        }
        if let Some((address, said)) = text.strip_prefix("scsi ").and_then(|rest| rest.split_once(": ")) {
            let host: u32 = address.split(':').next()?.parse().ok()?;
            let port = self.known.ports.iter_mut().find(|port| port.host == Some(host))?;
            let is_virtual = VIRTUAL.iter().any(|words| said.contains(words));
            let is_new = is_virtual && !port.is_virtual;
            port.is_virtual |= is_virtual;
            return Some(is_new);
        }
        let (address, said) = text.strip_prefix("sd ")?.split_once(": ")?;
        let host: u32 = address.split(':').next()?.parse().ok()?;
        let changes = [self.disk_of_port(host, said), self.known.uas.learn(host, said), self.attached(said)];
        changes.into_iter().flatten().reduce(|one, other| one | other)
    }

    /// Which disk a port has. Whether anything changed; nothing if the line names none.
    fn disk_of_port(&mut self, host: u32, said: &str) -> Option<bool> {
        let port = self.known.ports.iter_mut().find(|port| port.host == Some(host))?;
        let (disk, _) = said.strip_prefix('[')?.split_once(']')?;
        if port.disk.as_deref() == Some(disk) {
            return Some(false);
        }
        port.disk = Some(disk.get(..disk.len().min(32))?.to_owned());
        Some(true)
    }
}

/// Whether a disk failed, or the way to it.
fn is_of_disks(raw: &RawEvent) -> bool {
    raw.severity.at_least(Severity::Warning) && ["scsi", "block", "nvme"].contains(&raw.sub_system.as_str())
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
mod tests;
