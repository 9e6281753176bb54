//! The memory of the cache: generations of devices, how they lie upon each other, and the indices to find them.

mod find;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    super::{
        BlkId, BlkInfo, BlkType, Dev, Hctl, Identity, content, content::Content, hierarchy,
        mounts::MountTable,
    },
    node::{Gen, Node, Reading, Successor},
};

/// How many devices that went are remembered.
pub(super) const GONE_MOST: usize = 1024;

/// Holders that went within this time before their device did went because of it.
const FALL_NS: u64 = 10_000_000_000;

/// How late a uevent may be read on a busy machine, by the clock of the failures.
const LAG_NS: u64 = 1_000_000_000;

/// A new disk is read, and may fail, before the kernel announces it: by up to this long, for the announcement waits for the
/// partition table.
const PROBE_NS: u64 = 10_000_000_000;

/// What the cache knows.
#[derive(Debug, Default)]
pub(super) struct Store {
    nodes: HashMap<Gen, Node>,
    last_gen: Gen,
    /// Grows with every change that may show in an answer.
    epoch: u64,
    live_by_dev: HashMap<Dev, Gen>,
    live_by_name: HashMap<String, Gen>,
    /// Paths below /dev, of live devices.
    paths: HashMap<String, Gen>,
    /// Every generation of a number, oldest first.
    by_dev: HashMap<Dev, Vec<Gen>>,
    /// Every generation of a name that the kernel's text uses, oldest first.
    by_name: HashMap<String, Vec<Gen>>,
    /// Who waits for a device of this name to appear, for it lies on it.
    waiting: HashMap<String, Vec<Gen>>,
    /// Those that went, oldest first.
    gone: VecDeque<Gen>,
    pub mounts: MountTable,
    /// Block devices of filesystems with an anonymous number; kept after the unmount, for late records.
    anonymous: HashMap<Dev, Vec<Gen>>,
}

impl Store {
    /// Takes what was read of a device at `now_ns`: an update of a known one, or a new generation.
    pub(super) fn put(&mut self, reading: Reading, now_ns: u64) -> Gen {
        self.epoch += 1;
        let (dev, name) = (reading.device.id.dev, reading.device.name.clone());
        if let Some(known) = self.live_by_dev.get(&dev).copied() {
            if self.nodes.get(&known).is_some_and(|node| node.is(&reading.device)) {
                self.unindex_paths(known);
                if let Some(node) = self.nodes.get_mut(&known) {
                    if node.device.backing_file != reading.device.backing_file {
                        node.home.clear();
                    }
                    node.update(reading);
                }
                self.index_paths(known);
                self.link(known);
                return known;
            }
            self.retire(known, now_ns);
        }
        if let Some(namesake) = self.live_by_name.get(&name).copied() {
            self.retire(namesake, now_ns);
        }
        self.last_gen += 1;
        let new = self.last_gen;
        let mut node = Node::new(reading, now_ns);
        node.mounted = self.mounts.mounted(dev).cloned();
        for alias in node.kernel_names() {
            self.by_name.entry(alias).or_default().push(new);
        }
        self.by_dev.entry(dev).or_default().push(new);
        self.live_by_dev.insert(dev, new);
        self.live_by_name.insert(name.clone(), new);
        self.nodes.insert(new, node);
        self.index_paths(new);
        self.link(new);
        for waiting in self.waiting.remove(&name).unwrap_or_default() {
            self.link(waiting);
        }
        new
    }

    /// Ends the generation: its names may be given to another device from `now_ns` on.
    pub(super) fn retire(&mut self, old: Gen, now_ns: u64) {
        self.epoch += 1;
        let Some(node) = self.nodes.get(&old).filter(|node| !node.is_gone()) else { return };
        let owners = node.owners.clone();
        let (dev, name) = (node.device.id.dev, node.device.name.clone());
        let worth = node.device.id.size_sectors != Some(peripety_model::Sectors(0));
        for below in hierarchy::reach(old, |at| self.owners(at)) {
            self.remember_holders(below, now_ns);
        }
        let mut info = self.assemble(old);
        self.unindex_paths(old);
        self.live_by_dev.remove(&dev);
        self.live_by_name.remove(&name);
        for owner in owners {
            if let Some(node) = self.nodes.get_mut(&owner) {
                node.holders.retain(|holder| *holder != old);
            }
        }
        let Some(node) = self.nodes.get_mut(&old) else { return };
        node.valid_until = Some(now_ns);
        info.id.identity = Identity::Removed;
        let before = node.held_before.take().filter(|(at, _)| now_ns.saturating_sub(*at) < FALL_NS);
        let known: HashSet<Dev> = info.holders.iter().map(|h| h.dev).collect();
        info.holders
            .extend(before.into_iter().flat_map(|(_, held)| held).filter(|h| !known.contains(&h.dev)));
        node.frozen = Some(Arc::new(info));
        // A loop device without a file, or a drive without a medium, says nothing that is worth remembering.
        if worth {
            self.gone.push_back(old)
        } else {
            self.forget(old)
        }
        while self.gone.len() > GONE_MOST {
            if let Some(oldest) = self.gone.pop_front() {
                self.forget(oldest);
            }
        }
    }

    /// A disk came to a place on the bus: those that went from there answer for nothing that happens from now on, and those
    /// that went from elsewhere for nothing that names no place.
    pub(super) fn replace_gone(&mut self, place: Hctl, now_ns: u64) {
        for at in &self.gone {
            let Some(node) = self.nodes.get_mut(at) else { continue };
            // A partition has the place of its disk.
            let of_disk =
                || node.frozen.iter().flat_map(|info| &info.owners).find_map(|o| o.transport_id.parse().ok());
            let Some(hctl) = node.device.hctl.or_else(of_disk) else { continue };
            let same_place = hctl == place;
            let went = node.valid_until.unwrap_or_default();
            let next = Successor { from: now_ns.saturating_sub(LAG_NS).max(went), came: now_ns, same_place };
            // The first one counts, but the place is surer than the name.
            if node.successor.is_none_or(|known| same_place && !known.same_place) {
                node.successor = Some(next);
            }
        }
    }

    fn remember_holders(&mut self, below: Gen, now_ns: u64) {
        let fresh = |node: &Node| {
            node.held_before.as_ref().is_some_and(|(at, _)| now_ns.saturating_sub(*at) < FALL_NS)
        };
        if self.nodes.get(&below).is_none_or(|node| node.is_gone() || fresh(node)) {
            return;
        }
        let held = self.assemble(below).holders;
        if let Some(node) = self.nodes.get_mut(&below) {
            node.held_before = Some((now_ns, held));
        }
    }

    fn forget(&mut self, old: Gen) {
        let Some(node) = self.nodes.remove(&old) else { return };
        let drop_from = |list: Option<&mut Vec<Gen>>| {
            list.is_some_and(|list| {
                list.retain(|known| *known != old);
                list.is_empty()
            })
        };
        for alias in node.kernel_names() {
            if drop_from(self.by_name.get_mut(&alias)) {
                self.by_name.remove(&alias);
            }
        }
        let dev = node.device.id.dev;
        if drop_from(self.by_dev.get_mut(&dev)) {
            self.by_dev.remove(&dev);
        }
        self.anonymous.retain(|_, members| {
            members.retain(|known| *known != old);
            !members.is_empty()
        });
    }

    fn index_paths(&mut self, new: Gen) {
        let Some(node) = self.nodes.get(&new) else { return };
        for path in node.dev_paths() {
            self.paths.insert(path, new);
        }
    }

    fn unindex_paths(&mut self, old: Gen) {
        let Some(node) = self.nodes.get(&old) else { return };
        for path in node.dev_paths() {
            if self.paths.get(&path) == Some(&old) {
                self.paths.remove(&path);
            }
        }
    }

    /// Finds what the device lies on, and reports those that it does.
    fn link(&mut self, at: Gen) {
        let Some(node) = self.nodes.get(&at).filter(|node| !node.is_gone()) else { return };
        let before = node.owners.clone();
        let named =
            |owner: &Gen, name: &str| self.nodes.get(owner).is_some_and(|node| node.device.name == *name);
        let mut owners: Vec<Gen> = Vec::new();
        let mut missing = Vec::new();
        for name in &node.device.made_of {
            match self.live_by_name.get(name) {
                Some(owner) => owners.push(*owner),
                None => missing.push(name.clone()),
            }
        }
        // A device that went is still what this one is made of.
        owners.extend(
            node.device
                .lost
                .iter()
                .filter_map(|name| before.iter().copied().find(|owner| named(owner, name))),
        );
        owners.extend(&node.home);
        owners.sort_by_cached_key(|owner| {
            (self.nodes.get(owner).map(|node| natural(&node.device.name)), *owner)
        });
        owners.dedup();
        for name in missing {
            let waiting = self.waiting.entry(name).or_default();
            if !waiting.contains(&at) {
                waiting.push(at);
            }
        }
        for owner in &before {
            if let Some(node) = self.nodes.get_mut(owner) {
                node.holders.retain(|holder| *holder != at);
            }
        }
        for owner in &owners {
            if let Some(node) = self.nodes.get_mut(owner) {
                node.holders.push(at);
            }
        }
        if let Some(node) = self.nodes.get_mut(&at) {
            node.owners = owners;
        }
    }

    /// Takes what is mounted now. Gives the devices on which something was mounted that was not before.
    pub(super) fn set_mounts(&mut self, mounts: MountTable) -> Vec<Gen> {
        self.epoch += 1;
        let known = self.mounts.ids();
        let new_mounts = mounts.ids().into_iter().filter(|(id, dev)| known.get(id) != Some(dev));
        let fresh: HashSet<Dev> = new_mounts.flat_map(|(_, dev)| mounts.devices_of(dev)).collect();
        self.mounts = mounts;
        let anonymous: Vec<(Dev, Vec<Gen>)> = self
            .mounts
            .anonymous()
            .map(|(dev, members)| {
                (dev, members.iter().filter_map(|m| self.live_by_dev.get(m).copied()).collect())
            })
            .collect();
        if self.anonymous.len() > GONE_MOST {
            self.anonymous.clear();
        }
        self.anonymous
            .extend(anonymous.into_iter().filter(|(_, members): &(Dev, Vec<Gen>)| !members.is_empty()));
        for (dev, at) in &self.live_by_dev {
            if let Some(node) = self.nodes.get_mut(at) {
                node.mounted = self.mounts.mounted(*dev).cloned();
            }
        }
        fresh.iter().filter_map(|dev| self.live_by_dev.get(dev).copied()).collect()
    }

    /// Loop devices of which it is not known yet which device holds their file, with that file.
    pub(super) fn homeless(&self) -> Vec<(Gen, PathBuf)> {
        let file = |at: &Gen| {
            let node = self.nodes.get(at).filter(|node| node.home.is_empty())?;
            Some((*at, node.device.backing_file.clone()?))
        };
        self.live_by_dev.values().filter_map(file).collect()
    }

    /// Reports a loop device which devices hold its file.
    pub(super) fn set_home(&mut self, at: Gen, devs: &[Dev]) {
        let home: Vec<Gen> =
            devs.iter().filter_map(|dev| self.live_by_dev.get(dev).copied()).filter(|g| *g != at).collect();
        if let (false, Some(node)) = (home.is_empty(), self.nodes.get_mut(&at)) {
            node.home = home;
            self.epoch += 1;
            self.link(at);
        }
    }

    /// Takes what was found on a device, unless it has become another one since.
    pub(super) fn set_content(&mut self, at: Gen, content: Option<Content>) {
        if let Some(node) = self.nodes.get_mut(&at).filter(|node| !node.is_gone()) {
            node.content = content;
            self.epoch += 1;
        }
    }

    /// Whether the device can be read without a risk to hang, in itself and in all it is made of.
    pub(super) fn may_read(&self, at: Gen) -> bool {
        let safe = |at: &Gen| {
            let node = self.nodes.get(at).filter(|node| !node.is_gone() && content::may_read(&node.device));
            node.is_some_and(|node| node.device.backing_file.as_ref().is_none_or(|file| self.is_local(file)))
        };
        safe(&at) && hierarchy::reach(at, |below| self.owners(below)).iter().all(safe)
    }

    /// Whether a file is on this machine: one behind a network filesystem or FUSE hangs with its server.
    fn is_local(&self, file: &Path) -> bool {
        const IN_MEMORY: &[&str] = &["tmpfs", "ramfs", "devtmpfs", "overlay"];
        self.mounts.holding(file).is_none_or(|mount| {
            IN_MEMORY.contains(&mount.fs_type.as_str()) || !self.mounts.devices_of(mount.dev).is_empty()
        })
    }

    pub(super) fn owners(&self, at: Gen) -> Vec<Gen> {
        self.nodes.get(&at).map(|node| node.owners.clone()).unwrap_or_default()
    }

    /// What is made of it, by name in the order that humans count in.
    pub(super) fn holders(&self, at: Gen) -> Vec<Gen> {
        let mut holders = self.nodes.get(&at).map(|node| node.holders.clone()).unwrap_or_default();
        holders.sort_by_cached_key(|holder| self.nodes.get(holder).map(|node| natural(&node.device.name)));
        holders
    }

    fn assemble(&self, at: Gen) -> BlkInfo {
        let ids = |list: Vec<Gen>| list.into_iter().filter_map(|at| self.id(at)).collect();
        BlkInfo {
            id: self.id(at).unwrap_or_default(),
            owners: ids(hierarchy::reach(at, |below| self.owners(below))),
            holders: ids(hierarchy::reach(at, |above| self.holders(above))),
        }
    }

    fn id(&self, at: Gen) -> Option<BlkId> {
        let node = self.nodes.get(&at)?;
        let mut id = node.id();
        if node.frozen.is_none() {
            let dev = |owner: &Gen| self.nodes.get(owner).map(|node| node.device.id.dev);
            id.made_of = node.owners.iter().filter_map(dev).collect();
            id.made_of.sort_unstable();
        }
        if id.blk_type == BlkType::Md && id.wwid.is_empty() {
            // Not every kernel reports the UUID of an array, but every member carries it.
            let member = |owner: &Gen| {
                self.nodes.get(owner)?.content.as_ref().filter(|c| c.fs_type == "linux_raid_member")
            };
            id.wwid =
                node.owners.iter().find_map(member).map(|content| content.uuid.clone()).unwrap_or_default();
        }
        Some(id)
    }

    /// All about one generation.
    pub(super) fn info(&mut self, at: Gen) -> Option<Arc<BlkInfo>> {
        let node = self.nodes.get(&at)?;
        if let Some(frozen) = &node.frozen {
            return Some(Arc::clone(frozen));
        }
        if let Some((epoch, info)) = &node.memo
            && *epoch == self.epoch
        {
            return Some(Arc::clone(info));
        }
        let info = Arc::new(self.assemble(at));
        if let Some(node) = self.nodes.get_mut(&at) {
            node.memo = Some((self.epoch, Arc::clone(&info)));
        }
        Some(info)
    }

    /// One generation.
    pub(super) fn node(&self, at: Gen) -> Option<&Node> {
        self.nodes.get(&at)
    }

    /// All that are there now, in the order that humans count in.
    pub(super) fn live(&self) -> Vec<Gen> {
        let mut live: Vec<Gen> = self.live_by_dev.values().copied().collect();
        live.sort_by_cached_key(|at| self.nodes.get(at).map(|node| natural(&node.device.name)));
        live
    }

    /// The live device with this number.
    pub(super) fn live_dev(&self, dev: Dev) -> Option<Gen> {
        self.live_by_dev.get(&dev).copied()
    }

    /// How many of those that went are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.gone.len()
    }

    /// Lets a device that is there be so only since that time.
    pub(super) fn set_valid_from(&mut self, at: Gen, from_ns: u64) {
        if let Some(node) = self.nodes.get_mut(&at) {
            node.valid_from = from_ns;
        }
    }
}

/// Sort key: `sdb` before `sdaa`, `loop2` before `loop10`. Runs of letters compare by length first where they count (sd, vd,
/// hd, xvd, dasd), runs of digits as numbers.
pub(crate) fn natural(name: &str) -> Vec<(usize, String)> {
    let mut key: Vec<(usize, String)> = Vec::new();
    let lettered = ["dasd", "xvd", "sd", "vd", "hd"].iter().find(|prefix| name.starts_with(**prefix));
    let (prefix, rest) = name.split_at_checked(lettered.map_or(0, |p| p.len())).unwrap_or(("", name));
    key.push((0, prefix.to_owned()));
    let mut run = String::new();
    let mut flush = |run: &mut String, digits: bool| {
        if !run.is_empty() {
            let significant = if digits { run.trim_start_matches('0') } else { run.as_str() };
            let weight = if digits || lettered.is_some() { significant.len() } else { 0 };
            key.push((weight, significant.to_owned()));
            run.clear();
        }
    };
    let mut digits = false;
    for c in rest.chars() {
        if c.is_ascii_digit() != digits {
            flush(&mut run, digits);
            digits = c.is_ascii_digit();
        }
        run.push(c);
    }
    flush(&mut run, digits);
    key
}
