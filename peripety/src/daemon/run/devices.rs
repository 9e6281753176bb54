//! Devices that come, go and change: to the engine, and into the memory of devices.

use std::{
    io,
    time::{Duration, Instant},
};

use peripety_watch::message::Ask;

use super::{super::clock, Daemon, slice::Slice};
use crate::{
    block::Rescan,
    collector::uevent::Waiting,
    record::{Body, Record, Stamp, Uevent},
};

/// How long the superblocks of devices may be waited for in one visit. A device that hangs takes all of it.
const SUPERBLOCKS: Duration = Duration::from_millis(100);
/// Where more than so many uevents wait, no superblock is waited for.
const FEW: usize = 16;

impl Daemon {
    /// Takes uevents that have come, a slice of them, and goes on with a look at all devices.
    pub(super) fn take_uevents(&mut self) -> io::Result<()> {
        let mut slice = Slice::new();
        let mut superblocks = SUPERBLOCKS;
        let Some(uevents) = &mut self.sources.uevents else { return Ok(()) };
        let mut backlog = uevents.read()?;
        while let Some(waiting) = backlog.take() {
            let many = backlog.len() > FEW;
            let now = clock::now();
            match waiting {
                Waiting::Event { uevent, udev } => {
                    self.sources.attacher.note(&uevent);
                    if uevent.action != "remove" {
                        self.attach_waiting(Some((&uevent.subsystem, &uevent.devpath)));
                    }
                    let start = Instant::now();
                    self.take_uevent(uevent, udev, now, if many { Duration::ZERO } else { superblocks });
                    // Those behind it are to be known too before the failures that come next.
                    slice.extend(start.elapsed().min(superblocks));
                    superblocks = superblocks.saturating_sub(start.elapsed());
                }
                Waiting::Lost(lost) => {
                    // What was missed may be anything: look at all devices again.
                    self.begin_rescan(now);
                    self.sources.attacher.note_anything();
                    self.sources.watcher.ask(Ask::All);
                    self.attach_waiting(None);
                    self.pipeline.push(&Record { time: now, body: Body::Lost(lost) });
                }
            }
            if slice.is_over(self.pipeline.events.len()) {
                break;
            }
            let Some(uevents) = &mut self.sources.uevents else { break };
            backlog = uevents.backlog();
        }
        self.go_on_with_rescan();
        self.sources.attacher.go_on(self.sources.probes.as_ref());
        Ok(())
    }

    /// Makes known what came since the devices were read, before the text of that time is: a machine that boots is busy, and an
    /// array may be put together meanwhile. The uevents stay, for the engine takes them after that text.
    pub(super) fn meet_devices(&mut self) {
        let Some(uevents) = &mut self.sources.uevents else { return };
        // An error is met again where it is reported.
        let Ok(backlog) = uevents.read() else { return };
        let now_ns = clock::monotonic_ns();
        for uevent in backlog.waiting().filter(|uevent| uevent.action != "remove") {
            self.pipeline.cache.apply(uevent, uevent.udev, now_ns, Duration::ZERO);
        }
    }

    /// A device that goes is reported before it is forgotten, one that comes after it is known.
    fn take_uevent(&mut self, uevent: Uevent, udev: bool, now: Stamp, wait: Duration) {
        let now_ns = now.monotonic_ns.unwrap_or_default();
        if uevent.subsystem == "nvme" {
            self.sources.nvme_paths.changed(now_ns);
        }
        if uevent.action != "remove" {
            self.pipeline.cache.apply(&uevent, udev, now_ns, wait);
        }
        // udev repeats what the kernel said, with what its rules found out: of use to the cache only.
        let record = Record { time: now, body: Body::Uevent(uevent) };
        let Body::Uevent(uevent) = &record.body else { return };
        if !uevent.udev {
            self.pipeline.push(&record);
            // A map's table came or changed.
            if let Some(dev) = uevent.dev.filter(|_| uevent.action == "change" && is_map(uevent)) {
                self.sources.watcher.ask(Ask::Map(dev));
            }
        }
        if uevent.action == "remove" {
            self.pipeline.cache.apply(uevent, udev, now_ns, wait);
        }
    }

    /// An array of md may have other members than before: by what the kernel prints when it brings one in sync, or by
    /// what peripety-watch read.
    pub(super) fn reread_members(&self, body: &Body) {
        let array = match body {
            Body::Log(line) if line.identifier.is_none() => array_in(&line.text),
            Body::Array(status) => Some(status.name.as_str()),
            _ => None,
        };
        if let Some(array) = array {
            self.pipeline.cache.reread_array(array, clock::monotonic_ns(), Duration::ZERO);
        }
    }

    /// All devices were looked at: an NVMe namespace may have got a path just before.
    pub(super) fn plan_looks_at_nvme(&mut self, now: Stamp) {
        if self.pipeline.cache.has_nvme() {
            self.sources.nvme_paths.changed(now.monotonic_ns.unwrap_or_default());
        }
    }

    /// Begins to look at all devices, or does so again when the look that is under way has ended.
    fn begin_rescan(&mut self, now: Stamp) {
        if self.sources.rescan.is_some() {
            self.sources.rescan_again = true;
            return;
        }
        match Rescan::begin(&self.pipeline.cache, now.monotonic_ns.unwrap_or_default()) {
            Ok(rescan) => self.sources.rescan = Some(rescan),
            Err(error) => tracing::error!("{error}"),
        }
    }

    fn go_on_with_rescan(&mut self) {
        let slice = Slice::new();
        let Some(mut rescan) = self.sources.rescan.take() else { return };
        let now = clock::now();
        while rescan.step(&self.pipeline.cache, now.monotonic_ns.unwrap_or_default()) {
            if slice.is_over(0) {
                self.sources.rescan = Some(rescan);
                return;
            }
        }
        rescan.end(&self.pipeline.cache);
        self.plan_looks_at_nvme(now);
        self.sources.mount_readings.everything();
        if std::mem::take(&mut self.sources.rescan_again) {
            self.begin_rescan(now);
        }
    }
}

/// The array that the kernel begins to bring in sync, or has brought, as it prints that.
fn array_in(text: &str) -> Option<&str> {
    // md: recovery of RAID array md0; md: md0: recovery done.
    let rest = text.strip_prefix("md: ")?;
    rest.split_once(" of RAID array ").map(|(_, array)| array).or_else(|| Some(rest.split_once(": ")?.0))
}

/// Whether it is about a map of device-mapper.
fn is_map(uevent: &Uevent) -> bool {
    uevent.subsystem == "block"
        && uevent.devpath.rsplit('/').next().is_some_and(|name| name.starts_with("dm-"))
}

#[cfg(test)]
mod tests {
    use super::array_in;

    #[test]
    fn the_array_of_a_line() {
        for (text, array) in [
            ("md: recovery of RAID array md0", Some("md0")),
            ("md: recover of RAID array md_d1", Some("md_d1")),
            ("md: md127: recovery done.", Some("md127")),
            ("md/raid1:md0: Disk failure on sda, disabling device.", None),
            ("md: raid1 personality registered", None),
        ] {
            assert_eq!(array_in(text), array, "{text}");
        }
    }
}
