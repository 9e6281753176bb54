//! PCI functions: which have a driver of storage, and which ports of PCI Express have none below them.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Functions and bridges that are remembered.
const MOST: usize = 256;

/// Drivers of storage that name their function: `ahci 0000:00:17.0: …`.
pub(super) const DRIVERS: &[&str] = &[
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

/// The driver of USB controllers, which are of storage only where a disk is plugged in.
const USB: &str = "xhci_hcd";

/// What lines begin with that report a function's driver, or what is behind a port.
pub(super) fn beginnings() -> impl Iterator<Item = &'static str> {
    DRIVERS.iter().copied().chain([USB, "pci "])
}

/// What a driver says of an error of its function.
pub(super) const ERRORS: [&str; 2] = ["can't recover", "PCIe Bus Error: "];

/// Functions by what is known of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Functions {
    /// Those with a driver of storage, without their domain.
    storage: VecDeque<String>,
    /// Those of which another driver said that it cannot recover from an error.
    others: VecDeque<String>,
    /// Ports, each with the first and the last bus behind it.
    bridges: VecDeque<(String, u8, u8)>,
    /// USB controllers, and those of them whose driver takes its leave, as it does where a dock is pulled.
    #[serde(default)]
    usb: VecDeque<String>,
    #[serde(default)]
    leaving: VecDeque<String>,
    /// Functions with the name of their controller.
    #[serde(default)]
    controllers: VecDeque<(String, String)>,
}

impl Functions {
    /// Learns from a line; whether anything changed.
    pub(super) fn learn(&mut self, text: &str) -> bool {
        self.said(text).unwrap_or_default()
    }

    fn said(&mut self, text: &str) -> Option<bool> {
        let (driver, rest) = text.split_once(' ')?;
        let (place, said) = rest.split_once(' ')?;
        let (place, said) = match said.strip_prefix("pci function ") {
            Some(function) => {
                let (function, name) = (function.trim_end(), place.strip_suffix(':')?);
                if name.len() > 16 || !is_place(function) {
                    return None;
                }
                let function = short(function);
                let storage = remember(&mut self.storage, function.to_owned());
                if self.controller(function) == Some(name) {
                    return Some(storage);
                }
                self.controllers.retain(|(known, _)| known != function);
                return Some(remember(&mut self.controllers, (function.to_owned(), name.to_owned())));
            }
            // `qla2xxx [0000:05:00.0]-500b:0: …`
            None => match place.strip_prefix('[') {
                Some(place) => (place.split_once(']')?.0, said),
                None => (place.strip_suffix(':')?, said),
            },
        };
        if !is_place(place) {
            return None;
        }
        let place = short(place);
        if driver == USB {
            let is_leaving = said.starts_with("remove, state ");
            let was_leaving = self.leaving.iter().position(|known| known == place);
            if is_leaving && was_leaving.is_none() {
                remember(&mut self.leaving, place.to_owned());
            } else if said == "xHCI Host Controller" {
                was_leaving.and_then(|at| self.leaving.remove(at));
            }
            let is_error = is_error(said) && remember(&mut self.others, place.to_owned());
            return Some(remember(&mut self.usb, place.to_owned()) || is_error || is_leaving);
        }
        if DRIVERS.contains(&driver) {
            return Some(remember(&mut self.storage, place.to_owned()));
        }
        if driver == "pci" {
            let (first, last) = said.strip_prefix("PCI bridge to [bus ").and_then(buses)?;
            self.bridges.retain(|(known, ..)| known != place);
            return Some(remember(&mut self.bridges, (place.to_owned(), first, last)));
        }
        Some(driver != "pcieport" && is_error(said) && remember(&mut self.others, place.to_owned()))
    }

    /// Whether a driver of storage has the function.
    pub(super) fn is_storage(&self, place: &str) -> bool {
        let place = short(place);
        // Some adapters of SATA use the number of a function for DMA that they do not have.
        let alias = |known: &str| {
            let slot = known.strip_suffix(".0");
            slot.is_some_and(|slot| place.starts_with(slot))
                && !self.others.iter().any(|other| other == place)
        };
        self.storage.iter().chain(&self.usb).any(|known| known == place || alias(known))
    }

    /// Whether the driver of a USB controller takes its leave.
    pub(super) fn is_leaving(&self, place: &str) -> bool {
        self.leaving.iter().any(|known| known == short(place))
    }

    /// The controller that a function is.
    pub(super) fn controller(&self, place: &str) -> Option<&str> {
        let known = self.controllers.iter().find(|(function, _)| function == short(place));
        known.map(|(_, name)| name.as_str())
    }

    /// Whether nothing is known of what is behind a port, nor of any storage.
    pub(super) fn is_unknown(&self, port: &str) -> bool {
        self.storage.is_empty() && !self.bridges.iter().any(|(known, ..)| known == short(port))
    }

    /// Whether it is known that what is behind a port is no storage.
    pub(super) fn is_without_storage(&self, port: &str, has_usb_disks: bool) -> bool {
        let port = short(port);
        let behind = |first: u8, last: u8| {
            let is_behind =
                move |place: &&String| bus(place).is_some_and(|bus| (first..=last).contains(&bus));
            let usb = self.usb.iter().filter(|_| has_usb_disks);
            self.storage.iter().chain(usb).any(|place| is_behind(&place))
        };
        match self.bridges.iter().find(|(known, ..)| known == port) {
            Some((_, first, last)) => !behind(*first, *last),
            // Without the boot there is only what the error itself was handed on to.
            None => {
                let is_none = self.storage.is_empty() && (self.usb.is_empty() || !has_usb_disks);
                !self.others.is_empty() && is_none
            }
        }
    }
}

fn remember<T: PartialEq>(list: &mut VecDeque<T>, new: T) -> bool {
    if list.contains(&new) {
        return false;
    }
    if list.len() >= MOST {
        list.pop_front();
    }
    list.push_back(new);
    true
}

fn is_error(said: &str) -> bool {
    let said = said.strip_prefix("AER: ").unwrap_or(said);
    ERRORS.iter().any(|error| said.starts_with(error))
}

/// `01-03]` or `02]`.
fn buses(text: &str) -> Option<(u8, u8)> {
    let (inner, _) = text.split_once(']')?;
    let (first, last) = inner.split_once('-').unwrap_or((inner, inner));
    Some((u8::from_str_radix(first, 16).ok()?, u8::from_str_radix(last, 16).ok()?))
}

fn bus(place: &str) -> Option<u8> {
    u8::from_str_radix(place.split_once(':')?.0, 16).ok()
}

fn is_place(place: &str) -> bool {
    place.len() <= 16
        && place.contains('.')
        && place.bytes().all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.')
}

/// A PCI function without its domain: `03:00.0`.
fn short(place: &str) -> &str {
    if place.matches(':').count() > 1 { place.split_once(':').map_or(place, |(_, rest)| rest) } else { place }
}
