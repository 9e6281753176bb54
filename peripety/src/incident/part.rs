//! What several devices have in common: the adapter, port, portal, enclosure, by which they are reached.
//!
//! Live it is known from sysfs, which is in the events' devices; in a log, from its own words.

use serde::{Deserialize, Serialize};

use super::class::Class;
use crate::{
    block::{Hctl, Transport},
    event::{Event, EventType, incident::Part},
};

/// Something that several devices have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SharedPart {
    /// What it is.
    pub part: Part,
    /// Its name: `host2`, `session3`, `0x5003048009aaaabf`.
    pub name: String,
}

impl SharedPart {
    fn new(part: Part, name: impl Into<String>) -> Self {
        Self { part, name: name.into() }
    }

    /// How it stands in an index.
    pub fn key(&self) -> String {
        format!("s:{:?}:{}", self.part, self.name)
    }

    /// How many devices have to fail together before it is blamed. Error handling of SCSI stops a host as a whole, so two
    /// that do not answer say much, and so do two ways that are lost; that two disks of one host fail in another way may be by
    /// chance.
    pub fn enough(&self, silent: bool) -> usize {
        match self.part {
            Part::Adapter | Part::HostPort | Part::Network if !silent => 3,
            Part::Hypervisor => 3,
            _ => 2,
        }
    }
}

/// Drivers of host adapters that name themselves, and not their host, in what they print.
const DRIVERS: &[&str] = &[
    "aacraid", "arcmsr", "hpsa", "ips", "lpfc", "megaraid", "megasas", "mpi3mr", "mpt2sas", "mpt3sas",
    "mptbase", "mptscsih", "mvsas", "pm80xx", "qla2xxx", "smartpqi", "3w-9xxx", "3w-sas", "bnx2fc", "fnic",
    "isci",
];

/// What the device of an event has in common with others, the narrowest part first.
pub(super) fn of(event: &Event, class: Class) -> Vec<SharedPart> {
    let mut parts = Vec::new();
    // A mount that fails by itself has nothing in common with devices that do not appear.
    let job = event.facts.systemd.as_ref().and_then(|systemd| systemd.job.as_deref());
    let is_mount = event.event_type == EventType::FS_MOUNT_FAILED;
    if class == Class::Missing && is_mount && job.is_none_or(|job| job != "dependency") {
        return parts;
    }
    if class == Class::Missing {
        return vec![SharedPart::new(Part::Software, "udev")];
    }
    if event.event_type == EventType::CEPH_CONNECTION_LOST {
        return vec![SharedPart::new(Part::Network, "Ceph network")];
    }
    let id = event.block.as_ref().map(|block| &block.id);
    match id.and_then(|id| id.transport.as_ref()) {
        Some(Transport::Sas { port, enclosure, .. }) => {
            if let Some(expander) = port.split(' ').next().filter(|p| p.starts_with("expander-")) {
                parts.push(SharedPart::new(Part::Expander, expander));
            }
            if !enclosure.is_empty() {
                parts.push(SharedPart::new(Part::Enclosure, enclosure));
            }
        }
        Some(Transport::Fc { host_wwpn, target_wwpn, .. }) => {
            if !target_wwpn.is_empty() {
                parts.push(SharedPart::new(Part::TargetPort, target_wwpn));
            }
            if !host_wwpn.is_empty() {
                parts.push(SharedPart::new(Part::HostPort, host_wwpn));
            }
        }
        Some(Transport::Iscsi { address, port, session, .. }) => {
            if !session.is_empty() {
                parts.push(SharedPart::new(Part::Session, session));
            }
            if !address.is_empty() {
                parts.push(SharedPart::new(Part::Portal, format!("{address}:{port}")));
            }
            parts.push(SharedPart::new(Part::Network, "iSCSI network"));
        }
        Some(Transport::Nvme { controller, transport, traddr, .. }) => {
            if !controller.is_empty() {
                parts.push(SharedPart::new(Part::Controller, controller));
            }
            if matches!(transport.as_str(), "tcp" | "rdma" | "fc") {
                if !traddr.is_empty() {
                    parts.push(SharedPart::new(Part::Portal, traddr));
                }
                parts.push(SharedPart::new(Part::Network, "NVMe network"));
            }
        }
        Some(Transport::Usb { port }) if !port.is_empty() => {
            parts.push(SharedPart::new(Part::Port, format!("usb {port}")));
        }
        Some(Transport::Virtio { .. }) => parts.push(SharedPart::new(Part::Hypervisor, "hypervisor")),
        _ => of_words(event, &mut parts),
    }
    let of_facts = event.facts.scsi.as_ref().and_then(|scsi| scsi.hctl);
    let address = match id.map(|id| id.transport_id.as_str()).filter(|text| !text.is_empty()) {
        Some(text) => text.parse::<Hctl>().ok(),
        None => of_facts.or_else(|| event.kdev.parse().ok()),
    };
    if let Some(hctl) = address {
        parts.push(SharedPart::new(Part::Adapter, format!("host{}", hctl.host)));
    }
    if matches!(class, Class::Adapter | Class::NoAnswer | Class::Command)
        && let Some(driver) = driver(event)
    {
        parts.push(SharedPart::new(Part::Software, driver));
    }
    parts.dedup();
    parts
}

/// What the words of a log say of the way to a device.
fn of_words(event: &Event, parts: &mut Vec<SharedPart>) {
    let said = || event.raw_msgs.iter().flat_map(|text| text.lines());
    if let Some(id) = said().find_map(|line| {
        let (_, rest) = line.split_once("enclosure_logical_id(")?;
        rest.split_once(')').map(|(id, _)| id).filter(|id| id.len() <= 32)
    }) {
        parts.push(SharedPart::new(Part::Enclosure, id));
    }
    let kdev = event.kdev.as_str();
    let number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    if let Some(host) = kdev.strip_prefix("rport-").and_then(|rest| rest.split(':').next()) {
        parts.push(SharedPart::new(Part::Adapter, format!("host{host}")));
    }
    if kdev.strip_prefix("session").or_else(|| kdev.strip_prefix("connection")).is_some_and(number) {
        parts.push(SharedPart::new(Part::Network, "iSCSI network"));
    }
    // Only fabrics have a keep-alive (opcode 0x18), and only their controllers reconnect.
    let keep_alive =
        event.facts.nvme.as_ref().is_some_and(|nvme| nvme.qid == Some(0) && nvme.opcode == Some(0x18));
    let reconnects = said().any(|line| {
        ["starting error recovery", "econnect", "failed to connect socket", "keep alive", "keep-alive"]
            .iter()
            .any(|words| line.contains(words))
    });
    if kdev.strip_prefix("nvme").is_some_and(number) && (keep_alive || reconnects) {
        parts.push(SharedPart::new(Part::Network, "NVMe network"));
    }
    if kdev.strip_prefix("vd").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_lowercase())) {
        parts.push(SharedPart::new(Part::Hypervisor, "hypervisor"));
    }
}

/// The driver that prints its own name.
fn driver(event: &Event) -> Option<String> {
    let texts = event.raw_msgs.iter().flat_map(|text| text.lines());
    texts.flat_map(|line| line.split([' ', ':', '[']).take(6)).find_map(|word| {
        let base = word.split("_cm").next().unwrap_or(word);
        let base =
            if base.starts_with("megaraid") || base.starts_with("megasas") { "megaraid_sas" } else { base };
        (DRIVERS.contains(&base) || base == "megaraid_sas").then(|| base.to_owned())
    })
}
