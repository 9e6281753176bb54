//! The names of what an event is about, of what that is made of, and of what is made of it.

use super::{class::Class, facet::KEYS_MAX};
use crate::{
    block::{BlkId, BlkType, Dev, Hctl, Transport},
    event::{Event, Facts},
};

/// The names of an event's device.
#[derive(Default)]
pub(super) struct Names {
    pub own: Vec<String>,
    pub below: Vec<String>,
    pub above: Vec<String>,
    pub unplaced: bool,
}

impl Names {
    pub(super) fn of(event: &Event) -> Self {
        let mut names = Self::default();
        named(&mut names.own, &event.kdev);
        if let Some(block) = &event.block {
            identified(&mut names.own, &block.id);
            block.owners.iter().for_each(|id| identified(&mut names.below, id));
            block.holders.iter().for_each(|id| identified(&mut names.above, id));
            way(&mut names.below, &block.id);
            block.owners.iter().for_each(|id| way(&mut names.below, id));
        }
        let Facts { scsi, md, drbd, btrfs, dm, mpath, fs, zfs, gluster, bcache, systemd, .. } = &event.facts;
        let own = [
            scsi.as_ref().and_then(|scsi| scsi.hctl).map(|hctl| hctl.to_string()),
            md.as_ref().and_then(|md| md.member.clone()),
            drbd.as_ref().and_then(|drbd| drbd.member.clone()),
            btrfs.as_ref().and_then(|btrfs| btrfs.member.clone()),
            dm.as_ref().and_then(|dm| dm.leg.clone()),
            mpath.as_ref().and_then(|mpath| mpath.path).map(|path| path.to_string()),
            fs.as_ref().and_then(|fs| fs.path.clone()),
            fs.as_ref().and_then(|fs| fs.device.clone()),
            zfs.as_ref().and_then(|zfs| zfs.vdev.clone()),
            systemd.as_ref().and_then(|systemd| systemd.device.clone()),
            systemd.as_ref().and_then(|systemd| systemd.mount.clone()),
            drbd.as_ref().and_then(|drbd| drbd.resource.clone()),
        ];
        own.iter().flatten().for_each(|name| named(&mut names.own, name));
        let above = [
            md.as_ref().and_then(|md| md.array.as_deref()),
            bcache.as_ref().and_then(|bcache| bcache.device.as_deref()),
            mpath.as_ref().and_then(|mpath| mpath.map.as_deref()),
        ];
        above.iter().flatten().for_each(|name| named(&mut names.above, name));
        if let Some(pool) = zfs.as_ref().and_then(|zfs| zfs.pool.as_deref()).filter(|pool| !pool.is_empty()) {
            let whole = event.event_type.as_str().starts_with("ZFS_POOL");
            let list = if whole { &mut names.own } else { &mut names.above };
            add(list, format!("p:{pool}"));
        }
        if let Some(gluster) = gluster {
            let volume = gluster.volume.as_ref().map(|volume| format!("g:{volume}"));
            // A volume is made of its bricks.
            let list = if gluster.brick.is_some() { &mut names.above } else { &mut names.own };
            volume.into_iter().for_each(|volume| add(list, volume));
        }
        for name in names.own.clone() {
            if let Some(name) = name.strip_prefix("n:") {
                parents(&mut names.below, name);
            }
            // A remote port of Fibre Channel has the number of its host, as an address has.
            let host = name.strip_prefix("h:").or_else(|| name.strip_prefix("n:rport-"));
            if let Some(host) = host.and_then(|host| host.split(':').next()) {
                add(&mut names.below, format!("n:host{host}"));
            }
        }
        if let Some(adapter) = &event.facts.adapter {
            adapter.name.iter().for_each(|name| named(&mut names.below, name));
            // What a driver says of its host, and of no disk.
            let list = if names.own.is_empty() { &mut names.own } else { &mut names.below };
            adapter.host.iter().for_each(|host| add(list, format!("n:host{host}")));
        }
        let own = names.own.clone();
        names.below.retain(|name| !own.contains(name));
        names.above.retain(|name| !own.contains(name));
        names
    }

    /// Whether what it is about cannot be placed in a stack of devices by what is known.
    pub(super) fn is_unplaced(&self, event: &Event, class: Class) -> bool {
        let block = event.block.as_deref();
        match class {
            Class::Adapter | Class::Bus => true,
            Class::NoPath => block.is_none_or(|block| block.owners.is_empty()),
            Class::Way | Class::NoAnswer | Class::GivenUp | Class::Removed | Class::Path => {
                block.is_none_or(|block| block.id.transport.is_none())
            }
            Class::Request | Class::Command => block.is_none_or(|block| {
                let stacked = block.id.blk_path.starts_with("/dev/dm-") || block.id.blk_type == BlkType::Md;
                if stacked { block.owners.is_empty() } else { block.id.transport.is_none() }
            }),
            Class::Zfs | Class::Service | Class::Blocked | Class::Stacked => block.is_none_or(|block| {
                block.id.transport.is_none() && block.owners.iter().all(|owner| owner.transport.is_none())
            }),
            Class::Missing => self.own.is_empty(),
            Class::Other => block.is_none(),
            Class::Pool | Class::Cache | Class::Fs | Class::Contents | Class::Reaction => {
                let stacked = || self.own.iter().any(|name| is_made_of_others(name));
                self.own.is_empty() || (block.is_none_or(|block| block.owners.is_empty()) && stacked())
            }
            _ => false,
        }
    }
}

/// Whether a device of that name is made of others.
pub(super) fn is_made_of_others(name: &str) -> bool {
    ["n:dm-", "n:md", "n:bcache", "n:mapper/"].iter().any(|start| name.starts_with(start))
}

/// The name that a driver gives to its adapter: `ioc1`, `mpt2sas3`, `mpt3sas_cm0`.
pub(super) fn is_adapter(name: &str) -> bool {
    let name = name.strip_prefix("n:").unwrap_or(name);
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
    base.len() < name.len() && (base == "ioc" || base.starts_with("mpt") || base.starts_with("mpi"))
}

fn add(list: &mut Vec<String>, name: String) {
    if list.len() < KEYS_MAX && !list.contains(&name) {
        list.push(name);
    }
}

/// A name as the kernel prints it: a node, a number, an address, a port.
fn named(list: &mut Vec<String>, name: &str) {
    let name = name.strip_prefix("/dev/").unwrap_or(name);
    if name.is_empty() {
        return;
    }
    if let Ok(dev) = name.parse::<Dev>() {
        return add(list, format!("d:{dev}"));
    }
    if name.parse::<Hctl>().is_ok() {
        return add(list, format!("h:{name}"));
    }
    let name = match name.split_once(':').map(|(device, _)| (device, device.strip_prefix("connection"))) {
        Some((_, Some(session))) => format!("session{session}"),
        // A volume of UBI is nothing without the flash that it is on, which speaks for all.
        Some((flash, None)) if is_numbered(flash, "ubi") => flash.to_owned(),
        // The device 0 of an ATA port is the port's only one, but behind a port multiplier.
        _ => name.strip_suffix(".00").filter(|n| n.starts_with("ata")).unwrap_or(name).to_owned(),
    };
    add(list, format!("n:{name}"));
}

pub(super) fn identified(list: &mut Vec<String>, id: &BlkId) {
    if !id.dev.is_none() {
        add(list, format!("d:{}", id.dev));
    }
    for path in [&id.blk_path, &id.preferred_blk_path] {
        if let Some(name) = path.strip_prefix("/dev/") {
            add(list, format!("n:{name}"));
        }
    }
    if !id.wwid.is_empty() {
        add(list, format!("w:{}", id.wwid));
    }
    if id.transport_id.parse::<Hctl>().is_ok() {
        add(list, format!("h:{}", id.transport_id));
    }
}

/// By what a device is reached.
fn way(list: &mut Vec<String>, id: &BlkId) {
    if let Ok(hctl) = id.transport_id.parse::<Hctl>() {
        add(list, format!("n:host{}", hctl.host));
    }
    let name = match &id.transport {
        Some(Transport::Iscsi { session, .. }) => session.clone(),
        Some(Transport::Fc { rport, .. }) => rport.clone(),
        Some(Transport::Sata { port, .. }) | Some(Transport::Usb { port }) => port.clone(),
        Some(Transport::Nvme { controller, traddr, .. }) => {
            if !traddr.is_empty() && !traddr.contains('=') {
                add(list, format!("n:{traddr}"));
            }
            controller.clone()
        }
        _ => String::new(),
    };
    if !name.is_empty() {
        add(list, format!("n:{name}"));
    }
}

/// Whether a name is this one with a number.
fn is_numbered(name: &str, base: &str) -> bool {
    let number = name.strip_prefix(base).unwrap_or_default();
    !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
}

/// What a name itself says it is a part of: `sda8` of `sda`, `nvme0n1p2` of `nvme0n1`, which controller `nvme0` has.
fn parents(list: &mut Vec<String>, name: &str) {
    let whole = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if whole.len() < name.len() {
        let disk = ["sd", "vd", "hd", "xvd"].iter().any(|p| {
            whole.strip_prefix(p).is_some_and(|l| !l.is_empty() && l.bytes().all(|b| b.is_ascii_lowercase()))
        });
        let before_p = whole.strip_suffix('p').filter(|w| w.ends_with(|c: char| c.is_ascii_digit()));
        if disk {
            add(list, format!("n:{whole}"));
        } else if let Some(whole) = before_p {
            add(list, format!("n:{whole}"));
            parents(list, whole);
        }
    }
    // A card has the number of its host, and its boot areas have a device each.
    if is_numbered(name, "mmcblk") {
        add(list, name.replacen("mmcblk", "n:mmc", 1));
    }
    let area = ["boot", "gp", "rpmb"].iter().find_map(|area| name.split_once(area));
    if let Some((card, _)) = area.filter(|(card, _)| is_numbered(card, "mmcblk")) {
        add(list, format!("n:{card}"));
        parents(list, card);
    }
    if let Some(rest) = name.strip_prefix("nvme") {
        let controller: String = rest.chars().take_while(char::is_ascii_digit).collect();
        // A path by its own name: nvme2c0n1 is reached by nvme0.
        let path = rest.get(controller.len()..).and_then(|r| r.strip_prefix('c'));
        let number = path.map(|p| p.chars().take_while(char::is_ascii_digit).collect::<String>());
        let is_namespace = rest.len() > controller.len();
        if is_namespace && !controller.is_empty() {
            add(list, format!("n:nvme{}", number.unwrap_or(controller)));
        }
    }
    if let Some((port, _)) = name.split_once('.').filter(|(port, _)| port.starts_with("ata")) {
        add(list, format!("n:{port}"));
    }
}
