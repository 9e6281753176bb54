//! What sysfs and mountinfo tell of conditions. Nothing here waits for a device: only attributes that the kernel answers
//! from memory are read.

use std::{fs, path::PathBuf};

use super::{
    condition::{Condition, Subject},
    rows::Check,
    table::Table,
};
use crate::{
    block::{Dev, unescape_mount},
    event::Severity,
    roots::Roots,
};

/// The machine as it is now.
#[derive(Debug)]
pub struct Look<'r> {
    roots: &'r Roots,
    /// None where mountinfo could not be read.
    mounts: Option<Vec<Mount>>,
    has_sysfs: bool,
}

#[derive(Debug)]
struct Mount {
    dev: Dev,
    point: String,
    source: String,
    /// Options of the filesystem itself.
    options: Vec<String>,
}

impl Mount {
    /// proc_pid_mountinfo(5): `36 35 98:0 /root /mnt rw shared:1 - ext4 /dev/sda1 rw,errors=continue`.
    fn parse(line: &str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(2);
        let dev = before.next()?.parse().ok()?;
        let text = |raw: &str| String::from_utf8_lossy(&unescape_mount(raw.as_bytes())).into_owned();
        let point = text(before.nth(1)?);
        let mut after = after.split(' ').skip(1);
        let source = text(after.next()?);
        let options = after.next().unwrap_or_default().split(',').map(str::to_owned).collect();
        Some(Self { dev, point, source, options })
    }

    fn is_of(&self, device: &Subject) -> bool {
        let by_name =
            || self.source.strip_prefix("/dev/") == Some(device.name.as_str()) || self.source == device.path;
        // btrfs has a number of its own.
        if self.dev.is_anonymous() { by_name() } else { Some(self.dev) == device.dev }
    }

    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option)
    }
}

impl<'r> Look<'r> {
    /// Looks at the mounts.
    pub fn new(roots: &'r Roots) -> Self {
        let read = |pid: &str| fs::read(roots.procfs.join(pid).join("mountinfo")).ok();
        // The init namespace has those of the system.
        let mounts =
            [read("1"), read("self")].into_iter().flatten().fold(None, |all: Option<Vec<Mount>>, text| {
                let text = String::from_utf8_lossy(&text).into_owned();
                let mut all = all.unwrap_or_default();
                all.extend(text.lines().filter_map(Mount::parse));
                Some(all)
            });
        Self { roots, mounts, has_sysfs: roots.sysfs.join("class/block").is_dir() }
    }

    /// Ends and adds conditions as the machine shows.
    pub fn at(&self, table: &mut Table, now: jiff::Timestamp) {
        table.settle(now, &|check, condition| self.is_over(check, condition));
        for condition in self.find() {
            table.found(condition);
        }
    }

    /// Whether what was wrong is over. No when it cannot be known.
    fn is_over(&self, check: Check, condition: &Condition) -> bool {
        let device = &condition.device;
        match check {
            Check::Gone => self.has_sysfs && self.is_gone(device),
            Check::Unmounted => self.mounts_of(device).is_some_and(|mounts| mounts.is_empty()),
            Check::Writable => self.mounts_of(device).is_some_and(|mounts| {
                mounts.iter().all(|m| m.has("rw") && !m.has("emergency_ro") && !m.has("shutdown"))
            }),
            Check::Running => {
                matches!(self.attr(device, "device/state").as_deref(), Some("running" | "live"))
            }
            Check::Whole => self.attr(device, "md/degraded").as_deref() == Some("0"),
            Check::Unused => self.has_sysfs && self.is_unused(device),
        }
    }

    fn mounts_of(&self, device: &Subject) -> Option<Vec<&Mount>> {
        let mounts = self.mounts.as_ref()?;
        device.dev?;
        Some(mounts.iter().filter(|mount| mount.is_of(device)).collect())
    }

    /// Below /sys, while the device is the same.
    fn dir(&self, device: &Subject) -> Option<PathBuf> {
        let dev = device.dev?;
        let dir = self.roots.sysfs.join("dev/block").join(dev.to_string());
        dir.is_dir().then_some(dir)
    }

    fn attr(&self, device: &Subject, name: &str) -> Option<String> {
        read(&self.dir(device)?.join(name))
    }

    fn is_gone(&self, device: &Subject) -> bool {
        if device.dev.is_none() {
            return false;
        }
        let Some(dir) = self.dir(device) else { return true };
        let seq = read(&dir.join("diskseq")).and_then(|seq| seq.parse().ok());
        let other = device.diskseq.zip(seq).is_some_and(|(then, now): (u64, u64)| then != now);
        // A loop device stays when what was in it goes.
        let number = device.name.strip_prefix("loop").unwrap_or_default();
        let empty_loop = number.parse::<u32>().is_ok() && !dir.join("loop/backing_file").exists();
        other || empty_loop
    }

    fn is_unused(&self, device: &Subject) -> bool {
        let there = |dev: &Dev| self.roots.sysfs.join("dev/block").join(dev.to_string()).is_dir();
        let node = format!("/dev/{}", device.name);
        // Its partitions went with it, but their mounts stay.
        let mounted = self.mounts.as_ref().is_none_or(|mounts| {
            mounts.iter().any(|m| m.source.starts_with(&node) && device.mount_points.contains(&m.point))
        });
        !mounted && !device.holders.iter().any(there)
    }

    /// What sysfs says is wrong.
    fn find(&self) -> Vec<Condition> {
        let Ok(list) = fs::read_dir(self.roots.sysfs.join("class/block")) else { return Vec::new() };
        let mut found = Vec::new();
        for entry in list.flatten() {
            let (name, dir) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
            let condition = |condition: &str, severity, msg: String| {
                let dev = read(&dir.join("dev")).and_then(|dev| dev.parse().ok());
                let diskseq = read(&dir.join("diskseq")).and_then(|seq| seq.parse().ok());
                let device = Subject { name: name.clone(), dev, diskseq, ..Subject::default() };
                Condition {
                    condition: condition.to_owned(),
                    since: None,
                    last: None,
                    event_id: None,
                    last_event_id: None,
                    event_type: None,
                    severity,
                    count: 0,
                    device,
                    msg,
                }
            };
            let missing = read(&dir.join("md/degraded")).and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
            if missing > 0 {
                let action = read(&dir.join("md/sync_action")).unwrap_or_default();
                let doing = if matches!(action.as_str(), "" | "idle" | "frozen") {
                    String::new()
                } else {
                    format!(", {action} is under way")
                };
                let msg = format!("sysfs: {missing} members are missing{doing}");
                found.push(condition("array_degraded", Severity::Error, msg));
            }
            let state = read(&dir.join("device/state")).unwrap_or_default();
            // drivers/scsi/scsi_sysfs.c, sdev_states; nvme: dead.
            if matches!(state.as_str(), "offline" | "transport-offline" | "dead") {
                found.push(condition(
                    "device_offline",
                    Severity::Critical,
                    format!("sysfs: its state is {state}"),
                ));
            }
        }
        for mount in self.mounts.iter().flatten() {
            let row = [("shutdown", "filesystem_shut_down"), ("emergency_ro", "filesystem_read_only")];
            let Some((option, name)) = row.into_iter().find(|(option, _)| mount.has(option)) else {
                continue;
            };
            let kernel = mount.source.strip_prefix("/dev/").unwrap_or(&mount.source);
            found.push(Condition {
                condition: name.to_owned(),
                since: None,
                last: None,
                event_id: None,
                last_event_id: None,
                event_type: None,
                severity: Severity::Critical,
                count: 0,
                device: Subject {
                    name: kernel.to_owned(),
                    dev: (!mount.dev.is_anonymous()).then_some(mount.dev),
                    mount_points: vec![mount.point.clone()],
                    ..Subject::default()
                },
                msg: format!("mountinfo: mounted with option {option}"),
            });
        }
        found
    }
}

fn read(file: &std::path::Path) -> Option<String> {
    fs::read_to_string(file).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests;
