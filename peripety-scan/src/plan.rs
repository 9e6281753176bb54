//! What is scanned, and how: from the devices that there are and what an administrator says. Pure.
//!
//! Each byte is to be read once, by what verifies most. An array is checked, for that reads all copies; so its members are not
//! read beside it, and what lies on it is checked with it. Where nothing verifies more than a read, the lowest device is read as a whole, and what lies on it with it.

use std::collections::BTreeMap;

use peripety_block::status::spare_copies;
use peripety_model::BlkType;

use crate::{
    config::{Config, Method, Scan, Wanted},
    machine::Device,
};

/// A device, and what is done about it.
#[derive(Clone, Debug)]
pub struct Planned<'a> {
    /// The device; of a btrfs on several the first.
    pub device: &'a Device,
    /// What it is known by: that of the device, or of the filesystem.
    pub key: String,
    /// The table that is about it.
    pub settings: Option<&'a Scan>,
    /// How it is scanned, or why not.
    pub verdict: Verdict,
}

/// What is done about a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is scanned so.
    Scan(Method),
    /// It is not scanned, for this reason.
    No(String),
}

impl Verdict {
    fn no(why: impl Into<String>) -> Self {
        Self::No(why.into())
    }
}

/// Devices by the kernel's name.
pub type Devices = BTreeMap<String, Device>;

/// What is done about each device.
pub fn plan<'a>(devices: &'a Devices, config: &'a Config) -> Vec<Planned<'a>> {
    let mut planner = Planner { devices, config, holders: holders(devices), done: BTreeMap::new() };
    let planned = |device: &'a Device| {
        let verdict = planner.verdict(device, DEPTH_MAX);
        let key = match verdict {
            Verdict::Scan(method) => device.scan_key(method),
            Verdict::No(_) => device.key(),
        };
        Planned { device, key, settings: settings(device, config).map(|(scan, _)| scan), verdict }
    };
    devices.values().map(planned).collect()
}

/// Devices one on the other: a damaged tree must not end in a loop.
const DEPTH_MAX: usize = 32;

struct Planner<'a> {
    devices: &'a Devices,
    config: &'a Config,
    holders: BTreeMap<&'a str, Vec<&'a Device>>,
    done: BTreeMap<&'a str, Verdict>,
}

fn holders(devices: &Devices) -> BTreeMap<&str, Vec<&Device>> {
    let mut holders: BTreeMap<&str, Vec<&Device>> = BTreeMap::new();
    for device in devices.values() {
        for below in &device.below {
            holders.entry(below).or_default().push(device);
        }
    }
    holders
}

fn settings<'a>(device: &Device, config: &'a Config) -> Option<(&'a Scan, bool)> {
    let names = device.names();
    config.find(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

impl<'a> Planner<'a> {
    fn verdict(&mut self, device: &'a Device, depth: usize) -> Verdict {
        if let Some(known) = self.done.get(device.name.as_str()) {
            return known.clone();
        }
        let verdict = self.decide(device, depth);
        self.done.insert(&device.name, verdict.clone());
        verdict
    }

    fn decide(&mut self, device: &'a Device, depth: usize) -> Verdict {
        let Some((scan, named)) = settings(device, self.config) else {
            return Verdict::no("no [[scan]] is about it");
        };
        if device.bytes() == 0 {
            return Verdict::no("it is empty");
        }
        if !named && let Some(why) = only_if_named(device) {
            return Verdict::No(why.to_owned());
        }
        if let Some(why) = device.unfit() {
            return Verdict::No(why);
        }
        let fits = if is_redundant(device) { is_redundant } else { verifies };
        let holder = self.holder(device, fits, DEPTH_MAX);
        // Who asks for a leg by its name gets it: md and btrfs find the rest by their own means.
        let asked_for = named && scan.method == Wanted::Read;
        if let Some(holder) = holder {
            if let Some(why) = holder.unfit() {
                return Verdict::No(format!("part of {}: {why}", holder.path()));
            }
            if !asked_for {
                return Verdict::No(format!(
                    "part of {}, which is scanned in its place where a [[scan]] says so",
                    holder.path()
                ));
            }
        }
        if !asked_for && let Some(below) = self.scanned_below(device, depth) {
            return Verdict::No(format!("scanned with {}", below.path()));
        }
        self.method(device, scan.method)
    }

    fn method(&self, device: &Device, wanted: Wanted) -> Verdict {
        let redundant = is_redundant(device);
        match wanted {
            Wanted::Read => Verdict::Scan(Method::Read),
            Wanted::Check | Wanted::Auto if device.md.is_some() && redundant => {
                Verdict::Scan(Method::MdCheck)
            }
            Wanted::Check | Wanted::Auto if device.raid.is_some() && redundant => {
                Verdict::Scan(Method::RaidCheck)
            }
            Wanted::Check => Verdict::no("it is no array with redundancy: nothing can be checked"),
            Wanted::Scrub | Wanted::Auto if device.is_mounted_btrfs() => match self.first_of(device) {
                Some(first) if first.name != device.name => {
                    Verdict::No(format!("scrubbed with {}", first.path()))
                }
                _ => Verdict::Scan(Method::Scrub),
            },
            Wanted::Scrub => Verdict::no("no btrfs on it is mounted: there is nothing to scrub"),
            Wanted::Auto => Verdict::Scan(Method::Read),
        }
    }

    /// The first of the devices of a btrfs.
    fn first_of(&self, device: &Device) -> Option<&'a Device> {
        self.devices.values().find(|other| other.is_mounted_btrfs() && other.id.uuid == device.id.uuid)
    }

    /// The nearest device that lies on this one, of those that fit.
    fn holder(&self, device: &Device, fits: fn(&Device) -> bool, depth: usize) -> Option<&'a Device> {
        let depth = depth.checked_sub(1)?;
        let holders = self.holders.get(device.name.as_str())?;
        let nearest = holders.iter().find(|holder| fits(holder)).copied();
        nearest.or_else(|| holders.iter().find_map(|holder| self.holder(holder, fits, depth)))
    }

    /// A device below that is scanned, and this one with it.
    fn scanned_below(&mut self, device: &'a Device, depth: usize) -> Option<&'a Device> {
        let depth = depth.checked_sub(1)?;
        let below: Vec<&'a Device> = device.below.iter().filter_map(|name| self.devices.get(name)).collect();
        below.into_iter().find_map(|below| match self.verdict(below, depth) {
            Verdict::Scan(_) => Some(below),
            Verdict::No(_) => self.scanned_below(below, depth),
        })
    }
}

/// What is scanned only where it is named.
fn only_if_named(device: &Device) -> Option<&'static str> {
    Some(match device.id.blk_type {
        BlkType::Loop => "a loop device: what its file lies on is scanned",
        BlkType::Zram | BlkType::Ram => "it is memory",
        BlkType::ScsiRom => "an optical drive",
        BlkType::Nbd | BlkType::Rbd => "a device in the network: its server scans it",
        _ if device.swap => "it is used for swap: it holds nothing that lasts",
        _ if device.targets.iter().any(|target| target.starts_with("snapshot")) => "a snapshot",
        _ if device.read_only && device.id.blk_type == BlkType::DmLvm => "a read-only snapshot",
        _ => return None,
    })
}

fn is_redundant(device: &Device) -> bool {
    let md =
        device.md.as_ref().map(|md| (md.level.as_str(), usize::try_from(md.disks).unwrap_or(usize::MAX)));
    let raid = device.raid.as_ref().map(|raid| (raid.level.as_str(), raid.members.len()));
    md.or(raid).is_some_and(|(level, members)| spare_copies(level, members, members) > 0)
}

/// Whether a scan of it finds more than a plain read of what it lies on, or reaches that by all of its paths.
fn verifies(device: &Device) -> bool {
    is_redundant(device)
        || device.is_mounted_btrfs()
        || device.id.blk_type == BlkType::DmMultipath
        || device.targets.iter().any(|target| target == "integrity")
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
