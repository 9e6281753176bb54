//! How fast the links of a disk are, and how fast they could be.

use std::path::Path;

use peripety_model::facts::HealthFacts;

use super::Disk;
use crate::transport;

/// A link: what it is, and what it could be.
struct Link {
    words: String,
    reduced: bool,
}

pub(super) fn add(disk: &Disk, facts: &mut HealthFacts) {
    let links: Vec<Link> = [sata(disk), sas(disk), usb(disk), pci(disk)].into_iter().flatten().collect();
    if links.is_empty() {
        return;
    }
    facts.link = Some(links.iter().map(|link| link.words.as_str()).collect::<Vec<_>>().join(", "));
    facts.link_reduced = Some(links.iter().any(|link| link.reduced));
}

/// The nearest device on which the disk hangs that has this attribute.
fn above<'a>(disk: &'a Disk, attribute: &str) -> Option<&'a Path> {
    disk.dir.ancestors().find(|dir| disk.attr_at(dir, attribute).is_some())
}

/// `3.0 Gbps` as a number.
fn gbps(text: &str) -> Option<f64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// drivers/ata/libata-transport.c: `sata_spd` is the speed, `hw_sata_spd_limit` what the hardware can.
fn sata(disk: &Disk) -> Option<Link> {
    let link = disk.roots.sysfs.join(transport::ata_link(&disk.parts())?);
    let of = |name: &str| disk.attr_at(&link, name);
    of_two("SATA", &of("sata_spd")?, of("hw_sata_spd_limit").as_deref())
}

/// drivers/scsi/scsi_transport_sas.c: the rate of the phy, and the most that it can.
fn sas(disk: &Disk) -> Option<Link> {
    let phy = transport::sas_phy(&disk.roots, &disk.parts())?;
    let phy = disk.roots.sysfs.join("class/sas_phy").join(phy);
    let of = |name: &str| disk.attr_at(&phy, name);
    of_two("SAS", &of("negotiated_linkrate")?, of("maximum_linkrate").as_deref())
}

fn of_two(name: &str, now: &str, most: Option<&str>) -> Option<Link> {
    let speed = gbps(now)?;
    let most = most.and_then(|most| Some((gbps(most)?, most))).filter(|(most, _)| *most > speed);
    let words = match most {
        Some((_, most)) => format!("{name} {now} of {most}"),
        None => format!("{name} {now}"),
    };
    Some(Link { words, reduced: most.is_some() })
}

/// drivers/usb/core/sysfs.c: `speed` in Mbit/s; `version` is what the device speaks: one of 3.x that runs at 480 has fallen back.
fn usb(disk: &Disk) -> Option<Link> {
    let dir = above(disk, "bMaxPower")?;
    let speed = disk.attr_at(dir, "speed")?;
    let version = disk.attr_at(dir, "version").unwrap_or_default();
    let reduced = version.starts_with('3') && speed.parse::<f64>().is_ok_and(|mbit| mbit <= 480.0);
    let of = if reduced { format!(", the device speaks USB {version}") } else { String::new() };
    Some(Link { words: format!("USB {speed} Mbit/s{of}"), reduced })
}

/// drivers/pci/pci-sysfs.c: the nearest PCI function, which is the controller.
fn pci(disk: &Disk) -> Option<Link> {
    let dir = above(disk, "max_link_speed")?;
    let of = |name: &str| disk.attr_at(dir, name).filter(|text| !text.starts_with("Unknown"));
    let (speed, width) = (of("current_link_speed")?, of("current_link_width").unwrap_or_default());
    let (most, widest) = (of("max_link_speed")?, of("max_link_width").unwrap_or_default());
    // A function that is part of the chipset has no link: `0`.
    if width == "0" || widest == "0" {
        return None;
    }
    let short = |speed: &str| speed.trim_end_matches(" PCIe").to_owned();
    let is_less = |now: &str, most: &str| gbps(now).zip(gbps(most)).is_some_and(|(now, most)| now < most);
    let reduced = is_less(&speed, &most) || is_less(&width, &widest);
    let now = format!("PCIe {} x{width}", short(&speed));
    let words = if reduced { format!("{now} of {} x{widest}", short(&most)) } else { now };
    Some(Link { words, reduced })
}
