//! How many paths of a multipath map, and which members of an array, still serve it, as the kernel said when others failed.
//! sysfs may not show that, and a failure of the last one is another matter than that of the first.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{
    block::{BlkId, BlkInfo, BlkType, Dev, DeviceFacts},
    checkpoint::Checkpoint,
    event::{EventType, Facts},
    parser::{Kdev, RawEvent},
};

/// Maps and arrays that are remembered.
const MOST: usize = 256;
/// Failed members of each that are remembered.
const FAILED_MAX: usize = 64;

/// A map or an array of which something failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Degraded {
    /// The map or array.
    dev: Dev,
    /// How many are left, where that was said.
    left: Option<u64>,
    /// Those that failed.
    failed: Vec<Dev>,
}

/// The maps and arrays of which something failed.
#[derive(Debug, Default)]
pub(super) struct Left {
    all: VecDeque<Degraded>,
    /// Since they were last saved.
    changed: bool,
}

impl Left {
    /// Takes note of what the kernel says of a member or a path.
    pub(super) fn note(&mut self, raw: &RawEvent, facts: &dyn DeviceFacts) {
        let Facts { mpath, md, .. } = &raw.facts;
        let array = || md.as_ref()?.array.as_deref();
        let at = raw.time.monotonic_ns;
        let named = |name: &str| {
            let known = || facts.by_name(name, at).map(|info| info.id.dev);
            name.parse::<Dev>().ok().or_else(known)
        };
        let own = match &raw.kdev {
            Kdev::Dev(dev) => Some(*dev),
            Kdev::Name(name) => named(name),
            _ => None,
        };
        match raw.event_type.as_str() {
            "DM_MPATH_PATH_FAILED" | "DM_MPATH_PATH_REINSTATED" | "DM_MPATH_NO_PATH" => {
                // The uevent of a map's last path is about the map.
                let map = mpath.as_ref().and_then(|mpath| mpath.map.as_deref()).map_or(own, named);
                let path = mpath.as_ref().and_then(|mpath| mpath.path);
                let left = mpath.as_ref().and_then(|mpath| mpath.valid_paths).map(u64::from);
                let (Some(map), Some(left)) = (map, left) else { return };
                let back = raw.event_type == EventType::DM_MPATH_PATH_REINSTATED;
                self.set(map, Some(left), path, back);
            }
            "MD_DISK_FAILED" | "MD_ARRAY_FAILED" if !raw.program => {
                let Some(array) = array().and_then(named) else { return };
                self.set(array, md.as_ref().and_then(|md| md.devices_left).map(u64::from), own, false);
            }
            "MD_RECOVERY_DONE" => self.forget(array().and_then(named).or(own)),
            "BLK_DEVICE_ADDED" | "BLK_DEVICE_REMOVED" => self.forget(own),
            _ => {}
        }
    }

    fn set(&mut self, dev: Dev, left: Option<u64>, member: Option<Dev>, back: bool) {
        self.changed = true;
        if !self.all.iter().any(|known| known.dev == dev) {
            if self.all.len() >= MOST {
                self.all.pop_front();
            }
            self.all.push_back(Degraded { dev, left: None, failed: Vec::new() });
        }
        let Some(known) = self.all.iter_mut().find(|known| known.dev == dev) else { return };
        known.left = left;
        let Some(member) = member else { return };
        known.failed.retain(|failed| *failed != member);
        if !back && known.failed.len() < FAILED_MAX {
            known.failed.push(member);
        }
    }

    fn forget(&mut self, dev: Option<Dev>) {
        let before = self.all.len();
        self.all.retain(|known| Some(known.dev) != dev);
        self.changed |= self.all.len() != before;
    }

    /// Whether a map or array still has another copy or path of what `below` does not serve.
    pub(super) fn serves_without(&self, above: &BlkId, below: &BlkInfo) -> bool {
        let Some(known) = self.all.iter().find(|known| known.dev == above.dev) else { return true };
        // A member may be a partition of the disk that failed.
        let is_out = known.failed.contains(&below.id.dev)
            || below.holders.iter().any(|holder| known.failed.contains(&holder.dev));
        let left = known.left.map(|left| if is_out { left } else { left.saturating_sub(1) });
        match (above.blk_type, above.raid_level.as_str()) {
            (BlkType::Md, "raid4" | "raid5") => known.failed.len() <= usize::from(is_out),
            (BlkType::Md, "raid6") => known.failed.len() <= 1 + usize::from(is_out),
            // Which two members have the same data is not known.
            (BlkType::Md, "raid10") => known.failed.len() <= usize::from(is_out) && left != Some(0),
            _ => left != Some(0),
        }
    }

    /// The arrays and maps that cannot do without a device, by what failed of them before: the last leg or path goes.
    pub(super) fn lost_with<'b>(&self, block: &'b BlkInfo) -> Vec<&'b BlkId> {
        let known = |above: &&BlkId| self.all.iter().any(|known| known.dev == above.dev);
        let is_out = |above: &&BlkId| {
            self.all.iter().any(|known| {
                let own = [block.id.dev].into_iter().chain(block.holders.iter().map(|holder| holder.dev));
                known.dev == above.dev && own.into_iter().any(|dev| known.failed.contains(&dev))
            })
        };
        let holders = block.holders.iter().filter(known);
        holders.filter(|above| !is_out(above) && !self.serves_without(above, block)).collect()
    }
}

impl Checkpoint for Left {
    type State = VecDeque<Degraded>;

    fn save(&mut self, all: bool) -> Option<Self::State> {
        (std::mem::take(&mut self.changed) || all).then(|| self.all.clone())
    }

    fn restore(&mut self, state: Self::State) {
        self.all = state;
        self.all.truncate(MOST);
    }
}
