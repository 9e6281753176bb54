//! Which things are seen by many hosts. What is wrong with one of them is one incident of the fleet, whoever reports it.
//!
//! [`ROWS`] is all there is to it: where an event names such a thing, and which causes of incidents are about it. A disk of
//! which nothing says that it is reached over a network is one host's own.

use peripety_model::{BlkId, Event, Incident, Transport, incident::Part};
use serde::{Deserialize, Serialize};

/// A thing that many hosts see.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Thing {
    /// What it is: the name of a row.
    pub kind: String,
    /// Which one.
    pub name: String,
}

/// Where an event names it.
enum Place {
    /// In what is known of the device at fault, and of each device that it is made of.
    Device(fn(&BlkId) -> Option<&str>),
    /// In the event's own facts.
    Facts(fn(&Event) -> Option<&str>),
}

/// One kind of thing.
pub struct Row {
    /// Its name, in keys and JSON.
    pub kind: &'static str,
    /// In words.
    pub words: &'static str,
    place: Place,
    /// The causes of incidents that are about it; an event of these types where there are none.
    parts: &'static [Part],
    types: &'static [&'static str],
}

/// All of them. Of several that fit, the first one counts.
pub const ROWS: &[Row] = &[
    Row {
        kind: "gluster_volume",
        words: "GlusterFS volume",
        place: Place::Facts(|event| event.facts.gluster.as_ref()?.volume.as_deref()),
        parts: &[],
        // What every node of the cluster sees; a brick that is down is its node's own.
        types: &[
            "GLUSTER_QUORUM_LOST",
            "GLUSTER_SPLIT_BRAIN",
            "GLUSTER_HEAL_PENDING",
            "GLUSTER_REBALANCE_FAILED",
        ],
    },
    Row {
        kind: "enclosure",
        words: "enclosure",
        place: Place::Device(|id| match id.transport.as_ref()? {
            Transport::Sas { enclosure, .. } => Some(enclosure),
            _ => None,
        }),
        parts: &[Part::Enclosure, Part::Expander],
        types: &[],
    },
    Row {
        kind: "fc_port",
        words: "target port",
        place: Place::Device(|id| match id.transport.as_ref()? {
            Transport::Fc { target_wwpn, .. } => Some(target_wwpn),
            _ => None,
        }),
        parts: &[Part::TargetPort, Part::Network],
        types: &[],
    },
    Row {
        kind: "iscsi_target",
        words: "iSCSI target",
        place: Place::Device(|id| match id.transport.as_ref()? {
            Transport::Iscsi { target, .. } => Some(target),
            _ => None,
        }),
        parts: &[Part::Session, Part::Portal, Part::TargetPort, Part::Network],
        types: &[],
    },
    Row {
        kind: "nvme_subsystem",
        words: "NVMe subsystem",
        place: Place::Device(over_a_fabric),
        parts: &[Part::Controller, Part::TargetPort, Part::Network],
        types: &[],
    },
    Row {
        kind: "lun",
        words: "LUN",
        place: Place::Device(|id| {
            let fabric = matches!(id.transport, Some(Transport::Fc { .. } | Transport::Iscsi { .. }));
            (fabric || over_a_fabric(id).is_some()).then_some(id.wwid.as_str())
        }),
        parts: &[Part::Device],
        types: &[],
    },
];

/// The subsystem of a namespace that other hosts may have, too.
fn over_a_fabric(id: &BlkId) -> Option<&str> {
    match id.transport.as_ref()? {
        Transport::Nvme { subsystem_nqn, transport, .. }
            if ["tcp", "rdma", "fc"].contains(&transport.as_str()) =>
        {
            Some(subsystem_nqn)
        }
        _ => None,
    }
}

/// The row of a kind.
pub fn row(kind: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.kind == kind)
}

/// All shared things that an event names.
pub fn things(event: &Event) -> Vec<Thing> {
    let devices = || event.block.iter().flat_map(|block| std::iter::once(&block.id).chain(&block.owners));
    let mut found = Vec::new();
    for row in ROWS {
        let names: Vec<&str> = match row.place {
            Place::Device(name) => devices().filter_map(name).collect(),
            Place::Facts(name) if row.types.contains(&event.event_type.as_str()) => {
                name(event).into_iter().collect()
            }
            Place::Facts(_) => Vec::new(),
        };
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            let thing = Thing { kind: row.kind.to_owned(), name: name.to_owned() };
            if !found.contains(&thing) {
                found.push(thing);
            }
        }
    }
    found
}

/// The shared thing that an incident is about, of those that its events name.
pub fn of_incident<'t>(incident: &Incident, things: &'t [Thing]) -> Option<&'t Thing> {
    let cause = &incident.cause;
    let own = cause.device.as_ref().map(|device| device.wwid.as_str()).filter(|wwid| !wwid.is_empty());
    let is_type = |row: &Row| {
        let types = incident.events.iter().map(|member| member.event_type.as_str());
        types.into_iter().any(|name| row.types.contains(&name))
    };
    ROWS.iter().filter(|row| row.parts.contains(&cause.part) || is_type(row)).find_map(|row| {
        let mut of_row = things.iter().filter(|thing| thing.kind == row.kind);
        let exact = things.iter().find(|thing| thing.kind == row.kind && Some(thing.name.as_str()) == own);
        exact.or_else(|| of_row.next())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use peripety_model::{BlkInfo, EventType};

    use super::*;
    use crate::cluster::tests::incident;

    fn event(ids: Vec<BlkId>) -> Event {
        let at = "2026-03-01T12:00:00Z".parse().unwrap();
        let mut ids = ids.into_iter();
        let id = ids.next().unwrap_or_default();
        let block = BlkInfo { id, owners: ids.collect(), holders: Vec::new() };
        Event { block: Some(Arc::new(block)), ..Event::new(Default::default(), EventType::BLK_IO_ERROR, at) }
    }

    fn fc(wwid: &str, port: &str) -> BlkId {
        let text = |text: &str| text.to_owned();
        let transport = Transport::Fc {
            host_wwpn: text("0x1"),
            target_wwpn: text(port),
            speed: text(""),
            port_state: text(""),
            rport: text(""),
        };
        BlkId { wwid: wwid.to_owned(), transport: Some(transport), ..BlkId::default() }
    }

    fn nvme(transport: &str) -> BlkId {
        let transport = Transport::Nvme {
            controller: "nvme0".to_owned(),
            subsystem_nqn: "nqn.a".to_owned(),
            transport: transport.to_owned(),
            traddr: String::new(),
        };
        BlkId { wwid: "eui.1".to_owned(), transport: Some(transport), ..BlkId::default() }
    }

    fn about(event: &Event, part: Part, wwid: &str) -> String {
        let mut incident = incident();
        incident.cause.part = part;
        incident.cause.device =
            Some(peripety_model::incident::Device { wwid: wwid.to_owned(), ..Default::default() });
        of_incident(&incident, &things(event)).map(|t| format!("{} {}", t.kind, t.name)).unwrap_or_default()
    }

    #[test]
    fn a_cause_leads_to_the_thing_that_other_hosts_see() {
        // A map over two LUNs: its cause says which of them.
        let map = event(vec![BlkId::default(), fc("naa.1", "0xa"), fc("naa.2", "0xb")]);
        for (part, wwid, expected) in [
            (Part::Device, "naa.2", "lun naa.2"),
            (Part::Device, "", "lun naa.1"),
            (Part::TargetPort, "naa.1", "fc_port 0xa"),
            (Part::Adapter, "naa.1", ""),
            (Part::HostPort, "naa.1", ""),
        ] {
            assert_eq!(about(&map, part, wwid), expected, "{part:?}");
        }
        let tcp = event(vec![nvme("tcp")]);
        assert_eq!(about(&tcp, Part::Controller, ""), "nvme_subsystem nqn.a");
        assert_eq!(about(&tcp, Part::Device, "eui.1"), "lun eui.1");
    }

    #[test]
    fn a_disk_of_one_host_is_shared_with_nobody() {
        let local = BlkId { wwid: "naa.5".to_owned(), ..BlkId::default() };
        let sata = BlkId {
            transport: Some(Transport::Sata { port: "ata1".to_owned(), speed: String::new() }),
            ..local.clone()
        };
        for id in [local, sata, nvme("pcie"), nvme("loop"), fc("", "")] {
            assert_eq!(things(&event(vec![id.clone()])), [], "{id:?}");
        }
    }

    #[test]
    fn a_volume_is_shared_when_its_quorum_is_lost_and_not_when_a_brick_is_down() {
        let mut event = event(vec![BlkId::default()]);
        event.facts.set_text("gluster.volume", "rep").unwrap();
        for (name, shared) in [("GLUSTER_QUORUM_LOST", 1), ("GLUSTER_BRICK_DOWN", 0)] {
            event.event_type = serde_json::from_value(name.into()).unwrap();
            assert_eq!(things(&event).len(), shared, "{name}");
        }
        for row in ROWS {
            for name in row.types {
                let known: EventType = serde_json::from_value((*name).into()).unwrap();
                assert!(known.info().is_some(), "{name}");
            }
            assert_eq!(super::row(row.kind).map(|row| row.words), Some(row.words));
        }
    }
}
