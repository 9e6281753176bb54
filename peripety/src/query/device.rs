//! Whether an event is about a device, by whatever name the user knows it.

use super::filter::same_boot;
use crate::{
    block::{BlkId, Dev},
    event::Event,
};

/// Finds the events about one device: those where it failed, where something it is made of failed, and where something
/// made of it failed.
#[derive(Clone, Debug)]
pub struct DeviceFilter(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// A device of this machine, as it is now.
    Known { id: Box<BlkId>, boot: String },
    /// A name that no device has now: what events say is all there is.
    Named(String),
}

impl DeviceFilter {
    /// The device `id`, which is there now, in boot `boot`.
    ///
    /// A device is known by its WWID. Its name and number count in this boot only, and only where one of both sides has
    /// no WWID: an earlier disk of the same name is another one (promise 3).
    pub fn known(id: BlkId, boot: String) -> Self {
        Self(Kind::Known { id: Box::new(id), boot })
    }

    /// Whatever events call by this name: WWID, path, kernel name, number, UUID, label, serial, mount point.
    pub fn named(name: &str) -> Self {
        let name = name.trim();
        let name = if name.len() > 1 { name.trim_end_matches('/') } else { name };
        Self(Kind::Named(name.to_owned()))
    }

    /// Whether the event is about the device.
    pub fn matches(&self, event: &Event) -> bool {
        let ids = event.block.iter().flat_map(|b| [&b.id].into_iter().chain(&b.owners).chain(&b.holders));
        match &self.0 {
            Kind::Known { id, boot } => {
                let this_boot = same_boot(boot, &event.boot_id);
                let mut ids = ids.peekable();
                if ids.peek().is_none() {
                    return this_boot && names(id).any(|name| name == event.kdev);
                }
                ids.any(|other| same(id, other, this_boot))
            }
            Kind::Named(name) => {
                let mut ids = ids;
                ids.any(|other| names(other).chain(marks(other)).any(|known| known == *name))
                    || event.kdev == *name
                    || name.strip_prefix("/dev/").is_some_and(|short| short == event.kdev)
            }
        }
    }
}

fn same(known: &BlkId, other: &BlkId, this_boot: bool) -> bool {
    if !known.wwid.is_empty() && !other.wwid.is_empty() {
        return known.wwid == other.wwid;
    }
    let sequence = |id: &BlkId| id.diskseq.filter(|_| !known.dev.is_none());
    this_boot
        && known.dev == other.dev
        && !known.dev.is_none()
        && !matches!((sequence(known), sequence(other)), (Some(one), Some(two)) if one != two)
}

/// What the kernel and the user call the device.
fn names(id: &BlkId) -> impl Iterator<Item = String> {
    let short = |path: &str| path.strip_prefix("/dev/").map(str::to_owned);
    let number = (id.dev != Dev::default()).then(|| id.dev.to_string());
    [
        Some(id.blk_path.clone()),
        Some(id.preferred_blk_path.clone()),
        short(&id.blk_path),
        short(&id.preferred_blk_path),
        number,
    ]
    .into_iter()
    .flatten()
    .filter(|name| !name.is_empty())
}

/// What else distinguishes the device from others.
fn marks(id: &BlkId) -> impl Iterator<Item = String> {
    [&id.wwid, &id.uuid, &id.label, &id.serial, &id.transport_id]
        .into_iter()
        .chain(&id.mount_points)
        .filter(|mark| !mark.is_empty())
        .cloned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{block::BlkInfo, notifier::fixture::sample};

    #[test]
    fn every_name_in_an_event_finds_it() {
        let event = sample();
        for name in [
            "/dev/vg0/data",
            "vg0/data",
            "/dev/dm-0",
            "dm-0",
            "253:0",
            "/srv/data",
            "/srv/data/",
            "8c0f5f64-6d2d-4c7e-9c8e-0d6b8a3f7c11",
            "LVM-kFUqR3RBcVYHEKPZuLXkjVMIY1LBAlFC",
            // The disk below it.
            "sdf",
            "/dev/sdf",
            "8:80",
            "4:0:0:1",
            "ZA1234",
            "naa.5000c500a1b2c3d4",
            "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4",
        ] {
            assert!(DeviceFilter::named(name).matches(&event), "{name}");
        }
        for name in ["", "sd", "/dev/sdg", "8:8", "0:0", "/", "/srv"] {
            assert!(!DeviceFilter::named(name).matches(&event), "{name}");
        }
    }

    #[test]
    fn another_disk_of_the_same_name_is_another_disk() {
        let event = sample();
        let disk = event.block.as_ref().unwrap().owners[0].clone();
        assert!(DeviceFilter::known(disk.clone(), event.boot_id.clone()).matches(&event));
        assert!(
            DeviceFilter::known(disk.clone(), "another boot".into()).matches(&event),
            "the WWID is for good"
        );
        let successor = BlkId { wwid: "naa.5000c500ffffffff".into(), ..disk.clone() };
        assert!(!DeviceFilter::known(successor, event.boot_id.clone()).matches(&event));
        // With no WWID the number counts, in the same boot, unless the kernel counts another disk.
        let no_wwid = BlkId { wwid: String::new(), ..disk };
        assert!(DeviceFilter::known(no_wwid.clone(), event.boot_id.clone()).matches(&event));
        assert!(!DeviceFilter::known(no_wwid.clone(), "another boot".into()).matches(&event));
        let mut other = event.clone();
        let mut block = BlkInfo::clone(event.block.as_ref().unwrap());
        block.owners[0].diskseq = Some(4);
        other.block = Some(Arc::new(block));
        assert!(
            !DeviceFilter::known(BlkId { diskseq: Some(5), ..no_wwid }, event.boot_id.clone())
                .matches(&other)
        );
    }

    #[test]
    fn an_event_that_knows_a_name_only_is_found_in_this_boot() {
        let mut event = sample();
        let disk = event.block.as_ref().unwrap().owners[0].clone();
        event.block = None;
        event.kdev = "sdf".into();
        assert!(DeviceFilter::known(disk.clone(), event.boot_id.clone()).matches(&event));
        assert!(!DeviceFilter::known(disk, "another boot".into()).matches(&event));
        assert!(DeviceFilter::named("/dev/sdf").matches(&event));
    }
}
