//! The check of an array of dm-raid, by message, as `lvchange --syncaction check` begins it. The rate is that of the volume
//! (`lvchange --maxrecoveryrate`), and the kernel yields to others by itself. What is begun is not interrupted: the status of a
//! map does not tell a check that was from one that came to its end.

use std::thread;

use peripety_block::{
    Roots,
    status::{Control, Listed, Maps as _, Raid},
};

use super::{Engine, POLL, Rested, Trouble};
use crate::{
    machine::{Device, raid, unfit_raid},
    pass::Step,
};

/// A check of one map.
pub(super) struct Check {
    control: Control,
    map: Listed,
    /// One that runs may be ours, of a process before.
    adopt: bool,
    running: bool,
    mismatches: u64,
    total: u64,
}

impl Check {
    pub(super) fn open(device: &Device, adopt: bool, roots: &Roots) -> Result<Self, Trouble> {
        let control = Control::open_if_loaded(&roots.dev, &roots.sysfs)
            .map_err(|error| Trouble::Failed(error.to_string()))?
            .ok_or(Trouble::Gone)?;
        let map = Listed { dev: device.id.dev, name: device.id.short_name(), events: None };
        Ok(Self { control, map, adopt, running: false, mismatches: 0, total: 0 })
    }

    fn array(&self) -> Result<Raid, Trouble> {
        // A map that cannot be asked is there no more.
        self.control.status(&self.map).ok().as_ref().and_then(raid).ok_or(Trouble::Gone)
    }

    fn send(&self, words: &str) -> Result<(), Trouble> {
        self.control.message(self.map.dev, words).map_err(|error| {
            Trouble::Failed(format!("the message '{words}' to {} is refused: {error}", self.map.name))
        })
    }
}

/// Why an array cannot be checked now.
fn unfit(array: &Raid) -> Option<String> {
    let silent = || array.action.is_empty().then(|| "the map does not say what the array does".to_owned());
    unfit_raid(array).or_else(silent)
}

impl Engine for Check {
    fn step(&mut self, from: u64, _: u64) -> Result<Step, Trouble> {
        let array = self.array()?;
        // While it checks, the letters are those of members in sync.
        if let Some(why) = unfit(&array) {
            self.running = false;
            return Err(Trouble::NotNow(why, Rested::default()));
        }
        if !self.running {
            match array.action.as_str() {
                "check" if self.adopt => {}
                "check" => return Err(Trouble::of_somebody_else()),
                _ => self.send("check")?,
            }
            self.running = true;
            self.adopt = false;
            self.mismatches = 0;
        }
        thread::sleep(POLL);
        let array = self.array()?;
        let before = std::mem::replace(&mut self.mismatches, array.mismatches);
        let errors = array.mismatches.saturating_sub(before);
        self.total = array.sync.total.saturating_mul(512);
        let total = Some(self.total);
        if array.action == "check" {
            let next = array.sync.used.saturating_mul(512);
            return Ok(Step { next, total, bytes: next.saturating_sub(from), errors, ..Step::default() });
        }
        self.running = false;
        if let Some(why) = unfit(&array) {
            return Err(Trouble::NotNow(why, Rested::default()));
        }
        let bytes = self.total.saturating_sub(from);
        Ok(Step { next: self.total, total, bytes, errors, finished: true, ..Step::default() })
    }
}
