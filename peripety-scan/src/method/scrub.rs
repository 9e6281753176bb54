//! The scrub of btrfs, some chunks at a time, at the rate that the kernel keeps for each device (`scrub_speed_max`, Linux 5.14).

use std::{fs, path::PathBuf};

use peripety_block::{
    Roots,
    scrub::{Btrfs, BtrfsDevice},
};
use rustix::io::Errno;

use super::{Engine, Rested, Trouble};
use crate::{
    machine::{Device, text},
    pass::Step,
};

/// Bytes of a device that one step is about: a chunk of data is so large at most on most filesystems, and cannot be divided.
pub(super) const STEP: u64 = 1 << 30;

/// A scrub of one filesystem: of its devices, one after the other.
pub(super) struct Scrub {
    filesystem: Btrfs,
    devices: Vec<BtrfsDevice>,
    sysfs: PathBuf,
    rate: u64,
    roots: Roots,
}

impl Scrub {
    pub(super) fn open(device: &Device, rate: u64, roots: &Roots) -> Result<Self, Trouble> {
        let point = device.id.mount_points.first().ok_or(Trouble::Gone)?;
        let failed = |error: peripety_block::status::AskError| Trouble::Failed(error.to_string());
        let filesystem = Btrfs::open(point.as_ref()).map_err(failed)?;
        let devices = filesystem.devices().map_err(failed)?;
        let sysfs = roots.sysfs.join("fs/btrfs").join(&device.id.uuid).join("devinfo");
        Ok(Self { filesystem, devices, sysfs, rate, roots: roots.clone() })
    }

    /// Which device a place is on, where there, and where it begins, of all devices in a row.
    fn find(&self, place: u64) -> Option<(&BtrfsDevice, u64, u64)> {
        let mut start = 0_u64;
        for device in &self.devices {
            let end = start.saturating_add(device.bytes);
            if place < end {
                return Some((device, place.saturating_sub(start), start));
            }
            start = end;
        }
        None
    }

    fn total(&self) -> u64 {
        self.devices.iter().map(|device| device.bytes).fold(0, u64::saturating_add)
    }

    /// Sets the rate of a device; what it was.
    fn limit(&self, device: u64, rate: &str) -> Option<String> {
        let path = self.sysfs.join(device.to_string()).join("scrub_speed_max");
        let before = text(&self.roots.files, &path)?;
        // An older kernel has none, and one step goes at full speed.
        fs::write(&path, rate).ok()?;
        Some(before)
    }
}

impl Engine for Scrub {
    fn step(&mut self, from: u64, len: u64) -> Result<Step, Trouble> {
        let total = Some(self.total());
        let Some((device, at, start)) = self.find(from) else {
            return Ok(Step { next: self.total(), total, finished: true, ..Step::default() });
        };
        let (id, end) = (device.id, at.saturating_add(len).min(device.bytes));
        let whole = device.bytes;
        let before = self.limit(id, &self.rate.to_string());
        let answer = self.filesystem.scrub(id, at, end);
        if let Some(before) = before {
            self.limit(id, &before);
        }
        let (scrubbed, refused) = match answer {
            Ok(scrubbed) => (scrubbed, None),
            Err((scrubbed, error)) => (scrubbed, Some(error)),
        };
        let not_now = |why: &str| Err(Trouble::NotNow(why.to_owned(), Rested::default()));
        match refused {
            None => {}
            Some(Errno::INPROGRESS) => return not_now("somebody else scrubs the filesystem"),
            Some(Errno::CANCELED) => return not_now("somebody ended the scrub"),
            Some(Errno::ROFS) => return not_now("the filesystem is read-only"),
            Some(Errno::NODEV | Errno::NXIO) => return not_now("a device of the filesystem is missing"),
            Some(error) => return Err(Trouble::Failed(format!("the scrub is refused: {error}"))),
        }
        // A chunk that began in the range was scrubbed to its end.
        let next = start.saturating_add(end.max(scrubbed.last).min(whole));
        Ok(Step {
            next,
            total,
            bytes: scrubbed.bytes,
            errors: scrubbed.errors,
            corrected: scrubbed.corrected,
            finished: next >= self.total(),
            ..Step::default()
        })
    }
}

/// Ends the step that a process of before has asked for: the kernel goes on with it though that is gone.
pub(super) fn cancel(device: &Device) {
    if let Some(point) = device.id.mount_points.first() {
        // None may run.
        let _none = Btrfs::open(point.as_ref()).and_then(|filesystem| filesystem.cancel());
    }
}
