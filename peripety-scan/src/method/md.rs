//! The check of md: the kernel reads all copies (or data and parity) and compares them; what one member does not give it writes
//! anew from the others (Documentation/admin-guide/md.rst).
//!
//! It is begun where the last one ended (`sync_min`) and ended by `idle`. It is not held at a `sync_max` in between: a check that
//! waits there keeps the array from rebuilding onto a spare. The kernel keeps the rate, and yields to others by itself.

use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use peripety_block::{Roots, files::Files, status::MdArray};

use super::{Engine, POLL, Rested, Trouble};
use crate::{
    machine::{Device, sysfs_dir, text, unfit_md},
    pass::Step,
};

/// How long the kernel may take to end a check.
const END: Duration = Duration::from_secs(20);
/// Seconds' worth of its rate that a check may go between two looks at most.
const BETWEEN_LOOKS: u64 = 8;
/// The least that the kernel keeps to also where others use the array: nothing, in KiB per second.
const LEAST: &str = "1";
/// What `sync_speed_*` takes for the system's setting.
const SYSTEM: &str = "system";

/// A check of one array.
pub(super) struct Check {
    dir: PathBuf,
    files: Files,
    rate: u64,
    /// One that runs may be ours, of a process before.
    adopt: bool,
    running: bool,
    mismatches: u64,
    /// How far it is, and how far it goes, in bytes.
    place: u64,
    total: u64,
}

impl Check {
    pub(super) fn new(device: &Device, rate: u64, adopt: bool, roots: &Roots) -> Self {
        let dir = sysfs_dir(roots, &device.name);
        let files = roots.files.clone();
        Self { dir, files, rate, adopt, running: false, mismatches: 0, place: 0, total: device.bytes() }
    }

    fn array(&self) -> Result<MdArray, Trouble> {
        MdArray::read(&self.files, &self.dir).ok_or(Trouble::Gone)
    }

    fn write(&self, name: &str, value: &str) -> Result<(), Trouble> {
        let path = self.dir.join("md").join(name);
        fs::write(&path, value).map_err(|error| {
            Trouble::Failed(format!("cannot write '{value}' to {}: {error}", path.display()))
        })
    }

    /// Where the kernel would begin.
    fn sync_min(&self) -> u64 {
        text(&self.files, &self.dir.join("md/sync_min")).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    fn begin(&mut self, from: u64) -> Result<(), Trouble> {
        let kib = (self.rate / 1024).max(1).to_string();
        self.write("sync_speed_min", LEAST)?;
        self.write("sync_speed_max", &kib)?;
        self.write("sync_max", "max")?;
        self.write("sync_min", &(from / 512).to_string())?;
        self.write("sync_action", "check").inspect_err(|_| self.restore())?;
        self.mismatches = 0;
        Ok(())
    }

    /// What a check of somebody else finds as it was. Where an interrupted check goes on the kernel says itself, by `sync_min`: that
    /// is left, for who watches the array sees by it that the check did not come to its end.
    fn restore(&self) {
        // An array that is gone has none of them.
        let all = [("sync_speed_min", SYSTEM), ("sync_speed_max", SYSTEM)];
        all.iter().for_each(|(name, value)| drop(self.write(name, value)));
    }

    /// The mismatches that were not reported yet.
    fn new_mismatches(&mut self, array: &MdArray) -> u64 {
        let before = std::mem::replace(&mut self.mismatches, array.mismatches);
        array.mismatches.saturating_sub(before)
    }
}

/// Why an array cannot be checked now.
fn unfit(array: &MdArray) -> Option<String> {
    let nothing_to_compare = || array.action.is_empty().then(|| "the array has no redundancy".to_owned());
    unfit_md(array).or_else(nothing_to_compare)
}

impl Engine for Check {
    fn step(&mut self, from: u64, _: u64) -> Result<Step, Trouble> {
        let array = self.array()?;
        if let Some(why) = unfit(&array) {
            return Err(Trouble::NotNow(why, self.rest()));
        }
        if !self.running {
            match array.action.as_str() {
                "check" if self.adopt => {}
                "check" => return Err(Trouble::of_somebody_else()),
                _ => self.begin(from)?,
            }
            (self.running, self.adopt, self.place) = (true, false, from);
        }
        thread::sleep(POLL);
        let array = self.array()?;
        let errors = self.new_mismatches(&array);
        if array.action == "check" {
            let progress = array.progress;
            self.total = progress.map_or(self.total, |progress| progress.total.saturating_mul(512));
            let next = progress.map_or(from, |progress| progress.done.saturating_mul(512)).max(from);
            self.place = next;
            return Ok(Step { next, total: Some(self.total), bytes: next - from, errors, ..Step::default() });
        }
        self.running = false;
        let left = self.sync_min().saturating_mul(512);
        self.restore();
        // The kernel begins at 0 again after a check that came to its end; and so it does where somebody set that, so it has to
        // be that the rest was done since.
        let rest = self.total.saturating_sub(self.place);
        if left > 0 || rest > self.rate.saturating_mul(BETWEEN_LOOKS) {
            let why = unfit(&array).unwrap_or_else(|| "somebody ended the check".to_owned());
            return Err(Trouble::NotNow(why, Rested { place: Some(self.place.max(left)), errors }));
        }
        let next = self.total.max(from);
        Ok(Step {
            next,
            total: Some(self.total),
            bytes: next - from,
            errors,
            finished: true,
            ..Step::default()
        })
    }

    fn rest(&mut self) -> Rested {
        if !std::mem::take(&mut self.running) && !std::mem::take(&mut self.adopt) {
            return Rested::default();
        }
        let action = || self.array().map(|array| array.action).unwrap_or_default();
        let is_checked = action() == "check";
        // Nothing is left to do where the kernel refuses: the check goes on, at its rate.
        if is_checked && self.write("sync_action", "idle").is_err() {
            return Rested::default();
        }
        let began = Instant::now();
        while began.elapsed() < END && action() == "check" {
            thread::sleep(POLL / 20);
        }
        let place = self.sync_min().saturating_mul(512);
        self.restore();
        // What was found up to its end, before the next check counts from 0.
        let errors = self.array().map_or(0, |array| self.new_mismatches(&array));
        Rested { place: Some(place).filter(|place| is_checked && *place > 0), errors }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use peripety_model::BlkId;

    use super::*;

    /// sysfs of an array, of files that keep what is written.
    fn array(dir: &Path, files: &[(&str, &str)]) {
        let md = dir.join("class/block/md0/md");
        fs::create_dir_all(&md).unwrap();
        let all = [
            ("level", "raid1"),
            ("array_state", "clean"),
            ("raid_disks", "2"),
            ("degraded", "0"),
            ("sync_action", "idle"),
        ];
        for (name, text) in all.iter().chain(files) {
            fs::write(md.join(name), text).unwrap();
        }
    }

    fn check(dir: &Path, adopt: bool) -> Check {
        let roots = Roots { sysfs: dir.to_owned(), ..Roots::system() };
        let device = Device { name: "md0".to_owned(), id: BlkId::default(), ..Device::default() };
        Check::new(&device, 20_480_000, adopt, &roots)
    }

    #[test]
    fn a_check_begins_where_it_was_at_its_rate_and_what_was_set_is_set_back() {
        let dir = tempfile::tempdir().unwrap();
        let now = |name: &str| fs::read_to_string(dir.path().join("class/block/md0/md").join(name)).unwrap();
        array(dir.path(), &[("sync_completed", "40960 / 65536"), ("mismatch_cnt", "8")]);
        let mut engine = check(dir.path(), false);
        let step = engine.step(1 << 20, 0).unwrap();
        assert_eq!(
            (now("sync_action"), now("sync_min"), now("sync_speed_max"), now("sync_max")),
            ("check".into(), "2048".into(), "20000".into(), "max".into())
        );
        let wanted = Step {
            next: 40_960 * 512,
            total: Some(65_536 * 512),
            bytes: 40_960 * 512 - (1 << 20),
            errors: 8,
            ..Step::default()
        };
        assert_eq!(step, wanted);
        // Degraded meanwhile: it is ended at once.
        array(dir.path(), &[("degraded", "1"), ("sync_action", "check")]);
        let trouble = engine.step(step.next, 0).unwrap_err();
        assert!(
            matches!(&trouble, Trouble::NotNow(why, Rested { place: Some(_), .. }) if why.contains("degraded")),
            "{trouble:?}"
        );
        assert_eq!(
            (now("sync_action"), now("sync_min"), now("sync_speed_max")),
            ("idle".into(), "2048".into(), "system".into())
        );
        // It came to its end.
        array(dir.path(), &[]);
        engine.step(step.next, 0).unwrap();
        array(dir.path(), &[("sync_min", "0")]);
        engine.running = true;
        assert!(engine.step(step.next, 0).unwrap().finished);
        // Somebody ended it, and set back where the kernel goes on.
        let mut engine = check(dir.path(), false);
        array(dir.path(), &[("sync_completed", "8 / 65536000")]);
        engine.step(0, 0).unwrap();
        array(dir.path(), &[("sync_min", "0")]);
        assert_eq!(
            engine.step(4096, 0),
            Err(Trouble::NotNow(
                "somebody ended the check".to_owned(),
                Rested { place: Some(4096), errors: 0 }
            ))
        );
    }

    #[test]
    fn a_check_of_somebody_else_is_left_alone_and_one_of_before_a_kill_is_ours() {
        let dir = tempfile::tempdir().unwrap();
        array(dir.path(), &[("sync_action", "check"), ("sync_completed", "8 / 65536")]);
        let trouble = check(dir.path(), false).step(0, 0).unwrap_err();
        let wanted = Trouble::NotNow("somebody else checks the array".to_owned(), Rested::default());
        assert_eq!(trouble, wanted);
        assert_eq!(check(dir.path(), false).rest(), Rested::default());
        assert_eq!(check(dir.path(), true).step(0, 0).unwrap().next, 4096);
        array(dir.path(), &[("sync_action", "resync")]);
        assert!(matches!(check(dir.path(), true).step(0, 0), Err(Trouble::NotNow(..))));
        assert_eq!(check(&dir.path().join("none"), false).step(0, 0), Err(Trouble::Gone));
    }
}
