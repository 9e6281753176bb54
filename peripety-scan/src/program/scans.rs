//! All scans of the machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    time::{Duration, Instant},
};

use jiff::{Timestamp, Zoned};
use peripety_block::{BlkCache, Roots, files::Files};
use peripety_files::replace::replace;

use super::{
    ScanError, note,
    store::{self, Saved},
    unit::{Now, Unit, Wish},
    worker::{Answer, Work, Worker},
};
use crate::{
    config::{Config, Method},
    machine, method,
    others::Counted,
    pass::Kept,
    plan::{Devices, Verdict, plan},
    report::{Line, What},
    status::{FILE, ScanStatus, Status},
};

/// How often it is looked what devices there are.
const LOOK: Duration = Duration::from_secs(300);
/// How often it is written down how far scans are.
const SAVE: Duration = Duration::from_secs(10);
/// How often that is published.
const PUBLISH: Duration = Duration::from_secs(2);

/// All of them.
pub(super) struct Scans {
    config: Config,
    roots: Roots,
    state_dir: PathBuf,
    runtime_dir: PathBuf,
    began: Instant,
    saved: Saved,
    /// What is known of devices: it is kept, for a device that hangs is not to be asked again and again.
    cache: Option<BlkCache>,
    units: BTreeMap<u64, Unit>,
    next_number: u64,
    /// Answers of workers, with the number of their device.
    sender: Sender<(u64, Answer)>,
    answers: Receiver<(u64, Answer)>,
    looked: Duration,
    /// Since the file was written something changed; that was then.
    unsaved: bool,
    saved_at: Duration,
    published_at: Option<Duration>,
    published: Option<Vec<ScanStatus>>,
    complaint: String,
}

impl Scans {
    pub(super) fn new(config: Config, roots: Roots, state_dir: PathBuf, runtime_dir: PathBuf) -> Self {
        let saved = Saved::load(&state_dir).unwrap_or_else(|error| {
            note(&format!("{error}; every device is scanned from its beginning"));
            Saved::default()
        });
        let (sender, answers) = mpsc::channel();
        Self {
            config,
            roots,
            state_dir,
            runtime_dir,
            began: Instant::now(),
            saved,
            cache: None,
            units: BTreeMap::new(),
            next_number: 0,
            sender,
            answers,
            looked: Duration::ZERO,
            unsaved: false,
            saved_at: Duration::ZERO,
            published_at: None,
            published: None,
            complaint: String::new(),
        }
    }

    fn now(&self) -> Now {
        let zoned = Zoned::now();
        let minute = u16::from(zoned.hour().unsigned_abs()) * 60 + u16::from(zoned.minute().unsigned_abs());
        Now { since: self.began.elapsed(), wall: Timestamp::now(), minute }
    }

    /// Which devices there are, and which of them are scanned by now.
    ///
    /// # Errors
    /// sysfs cannot be read.
    pub(super) fn look_at_devices(&mut self) -> Result<(), ScanError> {
        match &self.cache {
            Some(cache) => {
                let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
                let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
                cache.rescan(seconds.saturating_mul(1_000_000_000))?;
            }
            None => self.cache = Some(BlkCache::scan(&self.roots)?),
        }
        let Some(cache) = &self.cache else { return Ok(()) };
        let (devices, problem) = machine::read(&self.roots, cache);
        self.complain(problem.map(|error| format!("{error}: nothing is known of maps")).unwrap_or_default());
        self.looked = self.began.elapsed();
        let config = self.config.clone();
        let planned = plan(&devices, &config);
        let wanted = planned.iter().filter_map(|planned| match (&planned.verdict, planned.settings) {
            (Verdict::Scan(method), Some(scan)) => Some((planned, *method, scan)),
            _ => None,
        });
        let mut kept = BTreeSet::new();
        for (planned, method, scan) in wanted {
            let is_same = |unit: &Unit| {
                unit.key == planned.key
                    && unit.method == method
                    && unit.device.id.dev == planned.device.id.dev
            };
            if let Some((number, unit)) = self.units.iter_mut().find(|(_, unit)| is_same(unit)) {
                // What lies on it and where it is mounted may be another.
                unit.device = planned.device.clone();
                kept.insert(*number);
                continue;
            }
            // One disk that is there twice under one id.
            if self.units.iter().any(|(number, unit)| kept.contains(number) && unit.key == planned.key) {
                continue;
            }
            self.next_number += 1;
            let disks = disks(planned.device, method, &devices);
            let unit = Unit::new(planned.key.clone(), planned.device.clone(), scan.clone(), method, disks);
            let entry = self.saved.devices.entry(planned.key.clone()).or_default();
            if entry.pass.is_some() {
                entry.pass(method, planned.device.bytes(), Timestamp::now());
            }
            kept.insert(self.next_number);
            self.units.insert(self.next_number, unit);
        }
        self.units.retain(|number, _| kept.contains(number));
        Ok(())
    }

    fn complain(&mut self, words: String) {
        if words != self.complaint && !words.is_empty() {
            note(&words);
        }
        self.complaint = words;
    }

    /// What is due is done; then it waits for what comes next.
    ///
    /// # Errors
    /// Nobody takes the lines, or sysfs is gone.
    pub(super) fn go_on(&mut self) -> Result<(), ScanError> {
        let now = self.now();
        if now.since.saturating_sub(self.looked) >= LOOK {
            self.look_at_devices()?;
        }
        let numbers: Vec<u64> = self.units.keys().copied().collect();
        for number in numbers {
            self.look(number, now)?;
        }
        self.save(now, false);
        let publish_at = self.publish(now);
        let due = self.units.values().filter_map(Unit::due).min();
        let mut until =
            due.into_iter().chain(publish_at).min().unwrap_or(Duration::MAX).min(self.looked + LOOK);
        if self.unsaved {
            until = until.min(self.saved_at + SAVE);
        }
        match self.answers.recv_timeout(until.saturating_sub(self.began.elapsed())) {
            Ok((number, answer)) => self.take(number, answer),
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(ScanError::NoWorkers),
        }
    }

    fn look(&mut self, number: u64, now: Now) -> Result<(), ScanError> {
        let is_free = self.units.get(&number).is_none_or(|unit| {
            let others = self.units.iter().filter(|(other, _)| **other != number);
            others
                .filter(|(_, other)| other.is_active())
                .all(|(_, other)| other.disks.is_disjoint(&unit.disks))
        });
        let class = self.roots.sysfs.join("class/block");
        let count = |names: &[&str]| Counted::read(&Files::Disk, &class, names.iter().copied());
        let Some(unit) = self.units.get_mut(&number) else { return Ok(()) };
        let kept = self.saved.devices.entry(unit.key.clone()).or_default();
        let mut lines = Vec::new();
        let (device, dev) = (unit.device.path(), unit.device.id.dev);
        let wish = unit.look(now, kept, is_free, count, &mut |what| {
            lines.push(Line { device: &device, dev, what }.to_string());
        });
        match wish {
            Wish::Nothing => {}
            Wish::Rest => drop(unit.worker.as_ref().map(Worker::rest)),
            Wish::Step { from, len } => {
                let is_new = kept.pass.is_none();
                let adopt = kept.pass.as_ref().is_some_and(|pass| pass.running);
                let pass = kept.pass(unit.method, unit.device.bytes(), now.wall);
                // What the kernel goes on with has to be known to whoever ends it.
                let begins_work = unit.method != Method::Read && !pass.running;
                pass.running = unit.method != Method::Read;
                if unit.worker.is_none() {
                    let work = Work {
                        method: unit.method,
                        device: unit.device.clone(),
                        rate: unit.scan.rate,
                        adopt,
                    };
                    unit.worker = match Worker::begin(number, work, &self.roots, self.sender.clone()) {
                        Ok(worker) => Some(worker),
                        Err(error) => return Err(ScanError::Thread(error)),
                    };
                }
                unit.worker.as_ref().map(|worker| worker.step(from, len));
                if is_new || begins_work {
                    self.save(now, true);
                }
            }
        }
        print(&lines)
    }

    fn take(&mut self, number: u64, answer: Answer) -> Result<(), ScanError> {
        let now = self.now();
        // Of one that is scanned no more.
        let Some(unit) = self.units.get_mut(&number) else { return Ok(()) };
        let kept: &mut Kept = self.saved.devices.entry(unit.key.clone()).or_default();
        let mut lines = Vec::new();
        let (device, dev) = (unit.device.path(), unit.device.id.dev);
        unit.take(answer, now, kept, &mut |what: What<'_>| {
            lines.push(Line { device: &device, dev, what }.to_string())
        });
        self.unsaved = true;
        print(&lines)?;
        // What was said is not said again after a kill.
        if !lines.is_empty() {
            self.save(now, true);
        }
        Ok(())
    }

    fn save(&mut self, now: Now, at_once: bool) {
        if !at_once && (!self.unsaved || now.since.saturating_sub(self.saved_at) < SAVE) {
            return;
        }
        self.unsaved = false;
        self.saved_at = now.since;
        if let Err(error) = self.saved.store(&self.state_dir) {
            self.complain(format!("{error}; after a restart scans go on where they were before"));
        }
    }

    /// Publishes how scans are; when to come again, where it was too early for that.
    fn publish(&mut self, now: Now) -> Option<Duration> {
        let none = Kept::default();
        let scans = self.units.values();
        let scans: Vec<ScanStatus> =
            scans.map(|unit| unit.status(self.saved.devices.get(&unit.key).unwrap_or(&none), now)).collect();
        // Nothing is written while nothing happens.
        if self.published.as_ref() == Some(&scans) {
            return None;
        }
        let at = self.published_at.map_or(Duration::ZERO, |at| at + PUBLISH);
        if now.since < at {
            return Some(at);
        }
        self.published_at = Some(now.since);
        let status = Status { pid: std::process::id(), written: now.wall, scans };
        let written = serde_json::to_vec(&status).map_err(io::Error::from);
        let file = self.runtime_dir.join(FILE);
        if let Err(error) = written.and_then(|json| replace(&file, &json, 0o644)) {
            self.complain(format!(
                "cannot write {}: {error}; 'prpt scan status' shows nothing",
                file.display()
            ));
        }
        self.published = Some(status.scans);
        None
    }
}

/// Prints lines of which peripetyd makes events.
fn print(lines: &[String]) -> Result<(), ScanError> {
    let mut output = io::stdout().lock();
    for line in lines {
        writeln!(output, "{line}").map_err(ScanError::Output)?;
    }
    output.flush().map_err(ScanError::Output)
}

/// The disks that a device lies on: itself, where it is one.
fn disks(device: &machine::Device, method: Method, devices: &Devices) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![device];
    if method == Method::Scrub {
        open.extend(
            devices.values().filter(|other| other.is_mounted_btrfs() && other.id.uuid == device.id.uuid),
        );
    }
    while let Some(device) = open.pop() {
        if !seen.insert(&device.name) {
            continue;
        }
        let below: Vec<_> = device.below.iter().filter_map(|name| devices.get(name)).collect();
        if below.is_empty() {
            found.insert(device.name.clone());
        }
        open.extend(below);
    }
    found
}

/// Ends what the kernel does for scans, and keeps how far that was. Of a process that still runs it ends scrubs alone: it cannot
/// end before they do.
///
/// # Errors
/// sysfs or the state cannot be read.
pub(super) fn release(state_dir: &Path, roots: &Roots) -> Result<(), ScanError> {
    let lock = store::lock(state_dir)?;
    let mut saved = Saved::load(state_dir)?;
    let (devices, _) = machine::read(roots, &BlkCache::scan(roots)?);
    let mut changed = false;
    for (of, kept) in &mut saved.devices {
        let may_end = |method| lock.is_some() || method == Method::Scrub;
        let Some(pass) = kept.pass.as_mut().filter(|pass| pass.running && may_end(pass.method)) else {
            continue;
        };
        let is_it = |device: &&machine::Device| device.scan_key(pass.method) == *of;
        if let Some(device) = devices.values().find(is_it) {
            let rested = method::release(pass.method, device, roots);
            pass.place = rested.place.unwrap_or(pass.place).min(pass.total);
            // Some of them may be counted already; which ones nobody knows any more.
            pass.errors = pass.errors.max(rested.errors);
        }
        pass.running = false;
        changed = true;
    }
    if changed && lock.is_some() {
        saved.store(state_dir)?;
    }
    Ok(())
}
