//! What sysfs and mountinfo report conditions. Nothing here waits for a device: only attributes that the kernel answers
//! from memory are read.

mod array;
mod find;
mod mounts;
mod sys;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use self::{
    mounts::Mount,
    sys::{names, read},
};
use super::{
    condition::{Condition, Subject, Succeeded},
    rows::{About, Check, row},
    table::Table,
};
use crate::{
    block::{self, BlkId, BlkType, Dev, blk_type},
    event::EventType,
    query::boot,
    roots::Roots,
};

/// The machine as it is now.
#[derive(Debug)]
pub(crate) struct Look<'r> {
    roots: &'r Roots,
    /// None where mountinfo could not be read.
    mounts: Option<Vec<Mount>>,
    has_sysfs: bool,
    ids: Vec<BlkId>,
    boot_id: String,
    /// Whether a device of another boot that is not there is forgotten: it may only not be there yet.
    forgets_absent: bool,
    now: Timestamp,
}

/// Within this time after it reported an error, ext4 has counted it.
const COUNTED_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Whether a SCSI device (drivers/scsi/scsi_sysfs.c, sdev_states) or an NVMe controller takes no requests.
fn is_off(state: &str) -> bool {
    matches!(state, "offline" | "transport-offline" | "dead")
}

fn kernel_name(id: &BlkId) -> String {
    id.blk_path.strip_prefix("/dev/").unwrap_or(&id.blk_path).to_owned()
}

impl<'r> Look<'r> {
    /// Looks at devices and mounts.
    pub(crate) fn new(roots: &'r Roots) -> Self {
        Self {
            roots,
            mounts: mounts::read(roots),
            has_sysfs: roots.sysfs.join("class/block").is_dir(),
            ids: block::ids(&roots.block()),
            boot_id: boot::current(roots),
            forgets_absent: true,
            now: Timestamp::UNIX_EPOCH,
        }
    }

    /// For a table that is kept: what belongs to a device that is not there yet after a reboot stays in it.
    #[must_use]
    pub(crate) fn keeping_absent(mut self) -> Self {
        self.forgets_absent = false;
        self
    }

    /// Ends and adds conditions as the machine shows. Gives those that nothing reported before.
    pub(crate) fn at(&mut self, table: &mut Table, now: Timestamp) -> Vec<Condition> {
        self.now = now;
        let this = &*self;
        table.revise(&mut |condition| this.revise(condition));
        table.settle(now, &|check, condition| this.is_over(check, condition));
        // What only sysfs reports lasts as long as it does.
        let earlier = table.take_found();
        let mut new = Vec::new();
        for mut condition in self.find() {
            // The name that people use, and where it is mounted.
            self.revise(&mut condition);
            let is_new =
                !earlier.iter().any(|c| c.condition == condition.condition && c.device.is(&condition.device));
            if table.found(condition.clone()) && is_new {
                new.push(condition);
            }
        }
        new
    }

    /// Those of some conditions that the machine shows to be over.
    pub(crate) fn over(&mut self, conditions: Vec<Condition>, now: Timestamp) -> Vec<Condition> {
        self.now = now;
        let mut over = conditions;
        over.retain(|condition| {
            let mut as_now = condition.clone();
            let checks = row(&condition.condition).map_or(&[][..], |row| row.checks);
            !self.revise(&mut as_now) || checks.iter().any(|check| self.is_over(*check, &as_now))
        });
        over
    }

    fn subject(&self) -> Subject {
        Subject { boot_id: self.boot_id.clone(), ..Subject::default() }
    }

    fn of_id(&self, id: &BlkId) -> Subject {
        Subject { boot_id: self.boot_id.clone(), ..Subject::of_id(id) }
    }

    /// Brings up to date what is known of a device: names, mounts, requests. No if it is there no more.
    fn revise(&self, condition: &mut Condition) -> bool {
        let about = row(&condition.condition).map(|row| row.about);
        if matches!(about, Some(About::Source)) {
            return true;
        }
        let device = &mut condition.device;
        if self.is_of_other_boot(device) && self.has_sysfs && device.dev.is_some() {
            let now = |id: &&BlkId| self.of_id(id).is_after_reboot(device);
            match self.ids.iter().find(now) {
                Some(id) => *device = self.of_id(id),
                None => return !self.forgets_absent,
            }
        } else if let Some(id) = self.id_of(device) {
            device.name = kernel_name(id);
            device.path.clone_from(&id.preferred_blk_path);
            if device.wwid.is_empty() {
                device.wwid.clone_from(&id.wwid);
            }
        }
        if let Some(points) = self.mount_points(device) {
            device.mount_points = points;
        }
        if self.mounts_of(&condition.device).is_some_and(|mounts| mounts.is_empty()) {
            condition.unmounted = Some(self.now);
        }
        if let Some(dir) = self.dir(&condition.device)
            && condition.succeeded.is_none_or(|then| then.after != condition.last)
        {
            let after = condition.last;
            condition.succeeded = sys::succeeded(&dir).map(|requests| Succeeded { after, requests });
        }
        true
    }

    fn is_of_other_boot(&self, device: &Subject) -> bool {
        !device.boot_id.is_empty() && !self.boot_id.is_empty() && device.boot_id != self.boot_id
    }

    fn id_of(&self, device: &Subject) -> Option<&BlkId> {
        let id = self.ids.iter().find(|id| Some(id.dev) == device.dev)?;
        let other = device.diskseq.zip(id.diskseq).is_some_and(|(then, now)| then != now);
        (!other).then_some(id)
    }

    /// Where it, or what is made of it, is mounted now.
    fn mount_points(&self, device: &Subject) -> Option<Vec<String>> {
        let mounts = self.mounts.as_ref()?;
        let dev = device.dev?;
        let mut points: Vec<String> = if self.is_gone(device) {
            // Its partitions went with it, but their mounts stay.
            let node = format!("/dev/{}", device.name);
            let stays = |m: &&Mount| {
                (m.source.starts_with(&node) || m.source == device.path)
                    && device.mount_points.contains(&m.point)
            };
            mounts.iter().filter(stays).map(|m| m.point.clone()).collect()
        } else {
            let devs = sys::with_above(self.roots, dev);
            let of_one = |m: &&Mount| devs.iter().any(|dev| self.is_mount_of(m, *dev));
            mounts.iter().filter(of_one).map(|m| m.point.clone()).collect()
        };
        points.sort();
        points.dedup();
        Some(points)
    }

    fn is_mount_of(&self, mount: &Mount, dev: Dev) -> bool {
        if !mount.dev.is_anonymous() {
            return mount.dev == dev;
        }
        // btrfs has a number of its own, and names one of its devices.
        let Some(id) = self.ids.iter().find(|id| id.dev == dev) else { return false };
        if mount.source == id.blk_path || mount.source == id.preferred_blk_path {
            return true;
        }
        let members = sys::btrfs_members(self.roots, &kernel_name(id));
        members.iter().any(|name| {
            let node = format!("/dev/{name}");
            let path =
                self.ids.iter().find(|id| id.blk_path == node).map(|id| id.preferred_blk_path.as_str());
            mount.source == node || path == Some(mount.source.as_str())
        })
    }

    /// Whether what was wrong is over. No when it cannot be known.
    fn is_over(&self, check: Check, condition: &Condition) -> bool {
        let device = &condition.device;
        // It is not there yet: its name and number may be another one's.
        if self.is_of_other_boot(device) {
            return check == Check::Gone && self.is_replaced(device);
        }
        match check {
            Check::Gone => self.has_sysfs && self.is_gone(device),
            Check::Unmounted => self.mounts_of(device).is_some_and(|mounts| mounts.is_empty()),
            Check::Writable => self.mounts_of(device).is_some_and(|mounts| {
                mounts.iter().all(|m| m.has("rw") && !m.has("emergency_ro") && !m.has("shutdown"))
            }),
            Check::Running => {
                matches!(self.attr(device, "device/state").as_deref(), Some("running" | "live"))
            }
            Check::Whole => self.is_whole(device),
            Check::Unused => self.has_sysfs && self.is_unused(device),
            Check::CleanMount => self.is_clean(condition),
            Check::Answers => self.answers(condition),
            Check::LinkUp => self.link_is_up(&device.name),
            Check::NoMap => self.dir(device).is_some_and(|dir| names(&dir.join("holders")).is_empty()),
            Check::Space => self.has_space(condition),
        }
    }

    fn mounts_of(&self, device: &Subject) -> Option<Vec<&Mount>> {
        let mounts = self.mounts.as_ref()?;
        let dev = device.dev?;
        let by_name = |m: &Mount| {
            m.dev.is_anonymous()
                && (m.source.strip_prefix("/dev/") == Some(device.name.as_str()) || m.source == device.path)
        };
        Some(mounts.iter().filter(|mount| by_name(mount) || self.is_mount_of(mount, dev)).collect())
    }

    /// Below /sys, while the device is the same.
    fn dir(&self, device: &Subject) -> Option<PathBuf> {
        sys::dir(self.roots, device.dev?)
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

    /// Whether another disk is where it was before the reboot, or it was made of memory.
    fn is_replaced(&self, device: &Subject) -> bool {
        if matches!(blk_type::by_name(&device.name), Some(BlkType::Zram | BlkType::Ram)) {
            return true;
        }
        let (place, wwid) = (device.place.as_str(), device.wwid.as_str());
        let other = |id: &BlkId| !id.wwid.is_empty() && self.of_id(id).place == place;
        !place.is_empty()
            && !wwid.is_empty()
            && self.ids.iter().all(|id| id.wwid != wwid)
            && self.ids.iter().any(other)
    }

    /// Whether an array has all its members, or a member is in such an array: what is said of one that was not taken in names no array.
    fn is_whole(&self, device: &Subject) -> bool {
        let whole = |dir: &Path| {
            read(&dir.join("md/degraded")).as_deref() == Some("0") && array::lacking(dir).is_none()
        };
        let Some(dir) = self.dir(device) else { return false };
        let holders = dir.join("holders");
        whole(&dir) || names(&holders).iter().any(|array| whole(&holders.join(array)))
    }

    fn is_unused(&self, device: &Subject) -> bool {
        let there = |dev: &Dev| sys::dir(self.roots, *dev).is_some();
        let node = format!("/dev/{}", device.name);
        // Its partitions went with it, but their mounts stay.
        let mounted = self.mounts.as_ref().is_none_or(|mounts| {
            mounts.iter().any(|m| m.source.starts_with(&node) && device.mount_points.contains(&m.point))
        });
        !mounted && !device.holders.iter().any(there)
    }

    /// Whether the filesystem was mounted anew since the last fault, and has no errors noted in its superblock.
    fn is_clean(&self, condition: &Condition) -> bool {
        let ext4 = self.roots.sysfs.join("fs/ext4").join(condition.device.name.replace('/', "!"));
        let errors = read(&ext4.join("errors_count")).and_then(|n| n.parse::<u64>().ok());
        let anew = condition.mounted_again.is_some_and(|at| condition.last.is_none_or(|last| at >= last));
        // It counts an error a moment after it reported it: none counted means another mount than that of the fault.
        let counted = condition.last.is_some_and(|last| self.now.duration_since(last) > COUNTED_AFTER)
            && condition.sub_system == "ext4";
        // Mounted again since, too: what is not mounted has no such file. Where it only was mounted elsewhere all the time, the
        // errors are counted.
        let again = condition.unmounted.is_some_and(|at| condition.last.is_none_or(|last| at >= last));
        match errors {
            Some(errors) => errors == 0 && (anew || again || counted),
            None => anew && condition.sub_system != "ext4",
        }
    }

    /// Whether requests succeeded since the last failure, and the device takes some.
    fn answers(&self, condition: &Condition) -> bool {
        let (Some(then), Some(dir)) = (condition.succeeded, self.dir(&condition.device)) else {
            return false;
        };
        let state = read(&dir.join("device/state"));
        let runs = state.is_none_or(|state| matches!(state.as_str(), "running" | "live"));
        runs && then.after == condition.last && sys::succeeded(&dir).is_some_and(|now| now > then.requests)
    }

    /// Whether a port, host, session or controller works, or is there no more.
    fn link_is_up(&self, name: &str) -> bool {
        let number =
            |prefix: &str| name.strip_prefix(prefix).filter(|n| n.starts_with(|c: char| c.is_ascii_digit()));
        let class = |class: &str| self.roots.sysfs.join("class").join(class);
        let is =
            |file: PathBuf, good: &[&str]| read(&file).is_some_and(|state| good.contains(&state.as_str()));
        let gone = |dir: PathBuf| dir.parent().is_some_and(Path::is_dir) && !dir.exists();
        if let Some(n) = number("ata") {
            let port = n.split('.').next().unwrap_or(n);
            let speed = read(&class("ata_link").join(format!("link{port}")).join("sata_spd"));
            return gone(class("ata_port").join(format!("ata{port}")))
                || speed.is_some_and(|speed| !speed.is_empty() && speed != "<unknown>");
        }
        if number("host").is_some() {
            return gone(class("scsi_host").join(name))
                || is(class("fc_host").join(name).join("port_state"), &["Online"]);
        }
        if number("nvme").is_some() {
            let dir = class("nvme").join(name);
            return gone(dir.clone()) || is(dir.join("state"), &["live"]);
        }
        if name.starts_with("rport-") {
            let dir = class("fc_remote_ports").join(name);
            return gone(dir.clone()) || is(dir.join("port_state"), &["Online"]);
        }
        if number("session").is_some() {
            let dir = class("iscsi_session").join(name);
            return gone(dir.clone()) || is(dir.join("state"), &["LOGGED_IN"]);
        }
        if number("connection").is_some() {
            let dir = class("iscsi_connection").join(name);
            return gone(dir.clone()) || is(dir.join("state"), &["up"]);
        }
        if number("nbd").is_some() {
            // Without a client process or with no size it is not in use.
            let dir = self.roots.sysfs.join("block").join(name);
            return dir.is_dir() && read(&dir.join("size")).as_deref() == Some("0");
        }
        false
    }

    /// Whether the filesystem of a device, or the one that holds the file of a loop device, has room again.
    fn has_space(&self, condition: &Condition) -> bool {
        let device = &condition.device;
        let of_filesystem = condition.event_type == Some(EventType::FS_NO_SPACE);
        let mounted = self.mounts_of(device).and_then(|mounts| Some(mounts.first()?.point.clone()));
        let below = if of_filesystem { None } else { self.attr(device, "loop/backing_file") };
        let Some(file) = below.or(mounted) else { return false };
        if self.roots.procfs != Path::new("/proc") {
            return false;
        }
        // A network filesystem that does not answer would hold us up.
        let on_network = self.mounts.iter().flatten().any(|m| {
            m.dev.is_anonymous() && m.source.contains(':') && Path::new(&file).starts_with(&m.point)
        });
        !on_network && rustix::fs::statvfs(&file).is_ok_and(|fs| fs.f_bavail > 0)
    }
}
