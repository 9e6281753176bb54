//! Devices as a log, or the files of a report, report them.

pub(crate) mod from_text;
mod names;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

pub(crate) use names::Naming;

use crate::block::{BlkId, BlkInfo, BlkType, Dev, DeviceFacts, Hctl, Transport, reach};

/// Devices that are remembered: a log that names more is no log of one machine.
const DEVICES_MAX: usize = 65_536;

/// One device.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Who it is.
    pub id: BlkId,
    /// Names of the devices that it is made of.
    pub owners: BTreeSet<String>,
    /// Names of the devices that are made of it.
    pub holders: BTreeSet<String>,
}

/// What is known of devices, by their names.
#[derive(Clone, Debug, Default)]
pub struct Known {
    nodes: HashMap<String, Node>,
    by_dev: HashMap<Dev, String>,
    by_hctl: HashMap<Hctl, String>,
    /// Other names: `mapper/mpatha`, `vg/lv`, `nvme0`.
    aliases: HashMap<String, String>,
    pub(super) naming: Naming,
    /// What was found out of units that have no name yet: vendor, model and id by the address.
    pub(super) units: HashMap<Hctl, BlkId>,
    /// How SAS targets are reached, by host, channel and target.
    pub(super) targets: HashMap<(u32, u32, u32), Transport>,
    /// SCSI hosts that wait for their ATA ports, and the ports that have one.
    pub(super) ata: from_text::AtaPorts,
    memo: RefCell<HashMap<String, Arc<BlkInfo>>>,
    /// Devices that are named in [`Self::memo`].
    in_memo: Cell<usize>,
}

impl Known {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many devices are known.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The device of this kernel name, to be reported; a new one if there is none. None when there are too many.
    pub fn node(&mut self, name: &str) -> Option<&mut Node> {
        self.memo.get_mut().clear();
        if !self.nodes.contains_key(name) {
            if self.nodes.len() >= DEVICES_MAX || !names::is_name(name) {
                return None;
            }
            let node =
                Node { id: self.naming.id_of(name), owners: BTreeSet::new(), holders: BTreeSet::new() };
            if !node.id.dev.is_none() {
                self.by_dev.insert(node.id.dev, name.to_owned());
            }
            self.nodes.insert(name.to_owned(), node);
            if let Some(disk) = names::disk_of(name) {
                self.made_of(name, &disk);
            }
        }
        self.nodes.get_mut(name)
    }

    /// Whether there is a device of this kernel name.
    pub fn has(&self, name: &str) -> bool {
        self.nodes.contains_key(name)
    }

    /// `upper` is made of `lower`.
    pub fn made_of(&mut self, upper: &str, lower: &str) {
        if upper == lower || self.node(upper).is_none() || self.node(lower).is_none() {
            return;
        }
        if let Some(node) = self.nodes.get_mut(upper) {
            node.owners.insert(lower.to_owned());
        }
        if let Some(node) = self.nodes.get_mut(lower) {
            node.holders.insert(upper.to_owned());
        }
    }

    /// The device has this number.
    pub fn set_dev(&mut self, name: &str, dev: Dev) {
        if let Some(node) = self.node(name).filter(|_| !dev.is_none()) {
            node.id.dev = dev;
            self.by_dev.insert(dev, name.to_owned());
        }
    }

    /// The device has this address. What had the name or the address before is another one.
    pub fn set_hctl(&mut self, name: &str, hctl: Hctl) {
        if self.by_hctl.get(&hctl).is_some_and(|known| known == name) {
            return;
        }
        let before = self.nodes.get(name).and_then(|node| node.id.transport_id.parse::<Hctl>().ok());
        if before.is_some_and(|before| before != hctl) {
            self.nodes.remove(name);
        }
        let unit = self.units.get(&hctl).cloned();
        let Some(node) = self.node(name) else { return };
        node.id.transport_id = hctl.to_string();
        if let Some(unit) = unit {
            node.id.vendor = unit.vendor;
            node.id.model = unit.model;
            node.id.blk_type = unit.blk_type;
            if !unit.wwid.is_empty() {
                node.id.wwid = unit.wwid;
            }
        }
        self.by_hctl.insert(hctl, name.to_owned());
    }

    /// The device at an address.
    pub fn at(&self, hctl: Hctl) -> Option<&str> {
        self.by_hctl.get(&hctl).map(String::as_str)
    }

    /// A unit came to an address, or is reported before it has a name.
    pub fn unit(&mut self, hctl: Hctl) -> Option<&mut BlkId> {
        if self.units.len() >= DEVICES_MAX && !self.units.contains_key(&hctl) {
            return None;
        }
        Some(self.units.entry(hctl).or_default())
    }

    /// A SAS target says how it is reached.
    pub fn target(&mut self, at: (u32, u32, u32), change: impl FnOnce(&mut Transport)) {
        if self.targets.len() >= DEVICES_MAX && !self.targets.contains_key(&at) {
            return;
        }
        self.memo.get_mut().clear();
        change(self.targets.entry(at).or_insert_with(|| Transport::Sas {
            address: String::new(),
            port: String::new(),
            speed: String::new(),
            enclosure: String::new(),
            bay: None,
        }));
    }

    /// Nothing has this address any more.
    pub fn forget_address(&mut self, hctl: Hctl) {
        self.memo.get_mut().clear();
        self.units.remove(&hctl);
        if let Some(name) = self.by_hctl.remove(&hctl) {
            self.nodes.remove(&name);
        }
    }

    /// Another name of a device.
    pub fn alias(&mut self, other: &str, name: &str) {
        if self.aliases.len() < DEVICES_MAX && other != name {
            self.aliases.insert(other.to_owned(), name.to_owned());
        }
    }

    /// The kernel's name of what is called so: by a name, a number, an address, a path.
    pub fn kernel_name(&self, name: &str) -> Option<String> {
        let name = name.strip_prefix("/dev/").unwrap_or(name);
        if self.nodes.contains_key(name) {
            return Some(name.to_owned());
        }
        if let Ok(dev) = name.parse::<Dev>() {
            return self.name_of(dev);
        }
        if let Ok(hctl) = name.parse::<Hctl>() {
            return self.at(hctl).map(str::to_owned);
        }
        let alias = |name: &str| self.aliases.get(name).filter(|to| self.nodes.contains_key(*to)).cloned();
        alias(name)
            .or_else(|| alias(&format!("mapper/{name}")))
            .or_else(|| self.ata.hctl_of(name).iter().find_map(|hctl| self.at(*hctl)).map(str::to_owned))
            .or_else(|| self.only_namespace(name))
            .or_else(|| names::is_block(name).then(|| name.to_owned()))
    }

    /// The name of a number.
    pub fn name_of(&self, dev: Dev) -> Option<String> {
        self.by_dev.get(&dev).cloned().or_else(|| self.naming.name_of(dev))
    }

    /// A controller that has one namespace stands for it, as on a live machine.
    fn only_namespace(&self, controller: &str) -> Option<String> {
        let number = controller.strip_prefix("nvme")?;
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let prefix = format!("{controller}n");
        let mut found = self
            .nodes
            .keys()
            .filter(|name| name.strip_prefix(&prefix).is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())));
        found.next().filter(|_| found.next().is_none()).cloned()
    }

    fn info(&self, name: &str) -> Arc<BlkInfo> {
        if let Some(known) = self.memo.borrow().get(name) {
            return Arc::clone(known);
        }
        let info = Arc::new(self.assemble(name));
        let mut memo = self.memo.borrow_mut();
        // Each names all that it lies on, and all that lies on it.
        let named = 1 + info.owners.len() + info.holders.len();
        if self.in_memo.get() + named > DEVICES_MAX {
            memo.clear();
            self.in_memo.set(0);
        }
        self.in_memo.set(self.in_memo.get() + named);
        memo.insert(name.to_owned(), Arc::clone(&info));
        info
    }

    fn assemble(&self, name: &str) -> BlkInfo {
        let owners = |name: &str| match self.nodes.get(name) {
            Some(node) => node.owners.iter().map(String::as_str).collect(),
            None => Vec::new(),
        };
        let holders = |name: &str| match self.nodes.get(name) {
            Some(node) => node.holders.iter().map(String::as_str).collect(),
            None => Vec::new(),
        };
        let id = |name: &str| {
            let mut id = self.nodes.get(name).map_or_else(|| self.naming.id_of(name), |node| node.id.clone());
            if id.preferred_blk_path.is_empty() {
                id.preferred_blk_path.clone_from(&id.blk_path);
            }
            if id.transport.is_none()
                && let Ok(at) = id.transport_id.parse::<Hctl>()
            {
                id.transport = self.targets.get(&(at.host, at.channel, at.target)).cloned();
            }
            let below = owners(name).into_iter().filter_map(|name| Some(self.nodes.get(name)?.id.dev));
            id.made_of = below.filter(|dev| !dev.is_none()).collect();
            id.made_of.sort_unstable();
            id
        };
        let mut info = BlkInfo {
            id: id(name),
            owners: reach_names(name, owners).into_iter().map(id).collect(),
            holders: reach_names(name, holders).into_iter().map(id).collect(),
        };
        // A partition of a disk of which nothing else is known.
        if info.owners.is_empty()
            && let Some(disk) = names::disk_of(name)
        {
            info.owners.push(id(&disk));
        }
        info
    }
}

fn reach_names<'n>(name: &'n str, next: impl Fn(&'n str) -> Vec<&'n str>) -> Vec<&'n str> {
    reach(name, next)
}

impl DeviceFacts for Known {
    fn by_dev(&self, dev: Dev, _at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        self.name_of(dev).map(|name| self.info(&name))
    }

    fn by_name(&self, name: &str, _at_ns: Option<u64>) -> Option<Arc<BlkInfo>> {
        self.kernel_name(name).map(|name| self.info(&name))
    }
}

/// What a device-mapper map is, by its name, where its uuid is not reported.
pub(crate) fn of_map(id: &mut BlkId, name: &str, kind: BlkType) {
    id.blk_type = kind;
    id.preferred_blk_path = match crate::block::blk_type::lvm_names(name).filter(|_| kind == BlkType::DmLvm) {
        Some((vg, lv)) => format!("/dev/{vg}/{lv}"),
        None => format!("/dev/mapper/{name}"),
    };
}

#[cfg(test)]
mod tests;
