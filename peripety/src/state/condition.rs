//! One condition, and what it is about.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::rows::{About, ROWS, Row};
use crate::{
    block::{BlkId, BlkType, Dev, Transport},
    event::{Event, EventId, EventType, Facts, Severity},
};

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Name of its row in the table of conditions.
    pub condition: String,
    /// Since when; none where only sysfs reports it.
    pub since: Option<Timestamp>,
    /// When it was last reported.
    pub last: Option<Timestamp>,
    /// The event that opened it.
    pub event_id: Option<EventId>,
    /// The latest event about it.
    pub last_event_id: Option<EventId>,
    /// Its type.
    pub event_type: Option<EventType>,
    /// The worst severity.
    pub severity: Severity,
    /// How many failures the latest event stands for.
    pub count: u64,
    /// What it is about.
    pub device: Subject,
    /// The latest words about it.
    pub msg: String,
    /// Who reported it: `scsi`, `ext4` …; empty where only sysfs does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sub_system: String,
    /// The source that reported it, if that was one alone: its times have the order of what else that source reports.
    #[serde(skip)]
    pub source: Option<String>,
    /// Events about it, and what caused them, as far as they are needed to see what belongs together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventId>,
    /// Members, legs or paths that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Dev>,
    /// When its filesystem was mounted anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mounted_again: Option<Timestamp>,
    /// When a look at mountinfo last found it mounted nowhere: of many mounts the kernel does not print each.
    #[serde(skip)]
    pub unmounted: Option<Timestamp>,
    /// When it is over by itself, if it does not happen again: it is transient by nature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Requests that had succeeded when the daemon looked after the last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded: Option<Succeeded>,
}

/// How many requests of a device had succeeded, as sysfs counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Succeeded {
    /// The last failure before the look.
    pub after: Option<Timestamp>,
    /// Requests.
    pub requests: u64,
}

/// Events that are remembered of a condition.
const EVENTS_MAX: usize = 16;

impl Condition {
    /// What only sysfs or mountinfo reports.
    pub(super) fn found(condition: &str, severity: Severity, device: Subject, msg: String) -> Self {
        Self {
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
            sub_system: String::new(),
            source: None,
            events: Vec::new(),
            members: Vec::new(),
            mounted_again: None,
            unmounted: None,
            expires: None,
            succeeded: None,
        }
    }

    /// What an event reports.
    pub(super) fn opened(row: &Row, event: &Event, device: Subject) -> Self {
        let mut this = Self {
            since: Some(event.first_timestamp),
            event_id: Some(event.event_id),
            source: only_source(event),
            ..Self::found(row.name, event.severity, device, String::new())
        };
        this.note(row, event);
        this
    }

    /// Takes what a look has changed between `old` and `new`, and leaves what events have changed since it began.
    pub(super) fn take_look(&mut self, old: &Self, new: &Self) {
        if self.device == old.device {
            self.device.clone_from(&new.device);
        }
        (self.expires, self.succeeded, self.unmounted) = (new.expires, new.succeeded, new.unmounted);
    }

    /// The conditions that an event opens.
    pub fn all_opened_by(event: &Event) -> Vec<Self> {
        let rows = ROWS.iter().filter(|row| row.is_opened_by(event));
        rows.filter_map(|row| Some(Self::opened(row, event, row.subject(event)?))).collect()
    }

    /// It was reported by this source too; none where that was more than one.
    pub(crate) fn also_from(&mut self, source: Option<&String>) {
        self.source = self.source.take().filter(|mine| source == Some(mine));
    }

    /// Takes what a further event, or revision, reports.
    pub(super) fn note(&mut self, row: &Row, event: &Event) {
        self.since = self.since.min(Some(event.first_timestamp)).or(Some(event.first_timestamp));
        self.last = self.last.max(Some(event.last_timestamp));
        self.also_from(only_source(event).as_ref());
        self.event_id = self.event_id.or(Some(event.event_id));
        self.last_event_id = Some(event.event_id);
        self.event_type = Some(event.event_type.clone());
        self.severity = self.severity.min(event.severity);
        (self.count, self.msg) = (event.count, event.msg.clone());
        event.sub_system.as_str().clone_into(&mut self.sub_system);
        for id in [Some(event.event_id), event.root_cause_event_id].into_iter().flatten() {
            if !self.events.contains(&id) {
                if self.events.len() >= EVENTS_MAX {
                    self.events.remove(0);
                }
                self.events.push(id);
            }
        }
        let mut members: Vec<Dev> = path(event).and_then(|path| path.dev).into_iter().collect();
        if matches!(row.about, About::Array | About::Path) {
            members.extend(event.block.as_ref().map(|block| block.id.dev).filter(|dev| !dev.is_none()));
        }
        members.retain(|dev| Some(*dev) != self.device.dev && !self.members.contains(dev));
        self.members.extend(members);
    }
}

/// The source of an event that came of one source alone.
pub(super) fn only_source(event: &Event) -> Option<String> {
    match event.sources.as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    }
}

/// What a condition is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// The kernel's name: `sda`, `dm-0`, `md0`, `ata3`.
    pub name: String,
    /// The name that humans use.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Device number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<Dev>,
    /// The number that the kernel gives to no other disk of this boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diskseq: Option<u64>,
    /// World wide id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub wwid: String,
    /// Where it, or what is made of it, was mounted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mount_points: Vec<String>,
    /// What is made of it, partitions left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<Dev>,
    /// What it is made of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<Dev>,
    /// Where it is plugged in, where that has a name that stays over reboots.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// The boot in which it has this name and number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub boot_id: String,
}

impl Subject {
    fn named(name: &str) -> Self {
        let name = name.strip_prefix("/dev/").unwrap_or(name);
        Self { name: name.to_owned(), dev: name.parse().ok(), ..Self::default() }
    }

    pub(super) fn of_id(id: &BlkId) -> Self {
        Self {
            name: id.blk_path.strip_prefix("/dev/").unwrap_or(&id.blk_path).to_owned(),
            path: id.preferred_blk_path.clone(),
            dev: (!id.dev.is_none()).then_some(id.dev),
            diskseq: id.diskseq,
            wwid: id.wwid.clone(),
            place: place(id),
            mount_points: id.mount_points.clone(),
            ..Self::default()
        }
    }

    fn of_device(event: &Event) -> Self {
        let Some(block) = &event.block else { return Self::named(&event.kdev) };
        let mut subject = Self::of_id(&block.id);
        subject.owners = block.owners.iter().map(|owner| owner.dev).collect();
        for holder in &block.holders {
            subject.mount_points.extend(holder.mount_points.iter().cloned());
            if !matches!(holder.blk_type, BlkType::Partition | BlkType::DmPartition) {
                subject.holders.push(holder.dev);
            }
        }
        subject.mount_points.sort();
        subject.mount_points.dedup();
        subject
    }

    /// Whether nobody knows what it is.
    pub(super) const fn is_unnamed(&self) -> bool {
        self.dev.is_none() && self.name.is_empty() && self.path.is_empty()
    }

    /// Whether it is the same thing: a name that was given to another disk since is not.
    pub fn is(&self, other: &Self) -> bool {
        if !self.boot_id.is_empty() && !other.boot_id.is_empty() && self.boot_id != other.boot_id {
            return self.is_after_reboot(other);
        }
        if let (Some(one), Some(two)) = (self.diskseq, other.diskseq)
            && one != two
        {
            return false;
        }
        match (self.dev, other.dev) {
            (Some(one), Some(two)) => one == two,
            // What could not be named is one condition, not one more for each event.
            (None, None) if self.name.is_empty() && other.name.is_empty() => self.path == other.path,
            _ => !self.name.is_empty() && self.name == other.name,
        }
    }

    /// The same for another boot, where names and numbers may be of other devices: ids count, the name where there are none.
    pub(super) fn is_after_reboot(&self, other: &Self) -> bool {
        match (self.wwid.as_str(), other.wwid.as_str()) {
            ("", "") => !self.name.is_empty() && self.name == other.name,
            (one, two) => one == two,
        }
    }

    /// The shortest name that people use: `vg/lv`, `mpatha`, `md0`, `sda`.
    pub fn shown(&self) -> String {
        let below = |prefix: &str| self.path.strip_prefix(prefix).filter(|rest| !rest.is_empty());
        match below("/dev/mapper/").or_else(|| below("/dev/").filter(|path| path.matches('/').count() == 1)) {
            Some(short) if !short.starts_with("md/") && !short.starts_with("disk/") => short.to_owned(),
            _ if !self.name.is_empty() => self.name.clone(),
            _ => self.path.clone(),
        }
    }
}

/// The port, bay or PCI function that a disk is plugged into. SCSI addresses and virtio's names are given anew at each boot.
fn place(id: &BlkId) -> String {
    match &id.transport {
        Some(Transport::Sata { port, .. }) if !port.is_empty() => port.clone(),
        Some(Transport::Sas { enclosure, bay: Some(bay), .. }) if !enclosure.is_empty() => {
            format!("bay {bay} of {enclosure}")
        }
        Some(Transport::Nvme { transport, traddr, .. }) if transport == "pcie" && !traddr.is_empty() => {
            let namespace = id.blk_path.rsplit_once('n').map_or("", |(_, number)| number);
            format!("{traddr} namespace {namespace}")
        }
        _ => String::new(),
    }
}

/// Where records were lost.
fn loss_source(event: &Event) -> &str {
    event.facts.loss.as_ref().and_then(|loss| loss.source.as_deref()).unwrap_or("peripetyd")
}

/// The device of an event that has this number, with its names where the event has them.
fn known(event: &Event, dev: Dev) -> Subject {
    let block = event.block.as_deref();
    let ids = block.into_iter().flat_map(|b| [&b.id].into_iter().chain(&b.owners).chain(&b.holders));
    ids.into_iter()
        .find(|id| id.dev == dev)
        .map_or_else(|| Subject { dev: Some(dev), ..Subject::named(&dev.to_string()) }, Subject::of_id)
}

fn path(event: &Event) -> Option<Subject> {
    event.facts.mpath.as_ref()?.path.map(|dev| known(event, dev))
}

/// md names the array; the mirror of LVM is what is made of the leg.
fn array(event: &Event) -> Option<Subject> {
    let Facts { md, bcache, .. } = &event.facts;
    let named = md.as_ref().and_then(|md| md.array.as_deref());
    let named = named.or_else(|| bcache.as_ref()?.device.as_deref());
    if let Some(name) = named.filter(|name| *name != "mdX") {
        let block = event.block.as_deref();
        let node = format!("/dev/{name}");
        let mut holders = block.into_iter().flat_map(|b| [&b.id].into_iter().chain(&b.holders));
        return Some(
            holders.find(|id| id.blk_path == node).map_or_else(|| Subject::named(name), Subject::of_id),
        );
    }
    let is_array = |id: &&BlkId| matches!(id.blk_type, BlkType::Md | BlkType::DmRaid | BlkType::DmLvm);
    let block = event.block.as_deref()?;
    [&block.id].into_iter().chain(&block.holders).find(is_array).map(Subject::of_id)
}

/// `nvme1` of the paths `nvme0c1n1` and `nvme1n1`.
fn controller(event: &Event) -> Option<Subject> {
    if let Some(Transport::Nvme { controller, .. }) =
        event.block.as_ref().and_then(|b| b.id.transport.as_ref())
        && !controller.is_empty()
    {
        return Some(Subject::named(controller));
    }
    let rest = event.kdev.strip_prefix("nvme")?;
    let number = rest.split_once('c').map_or(rest, |(_, path)| path);
    let number: String = number.chars().take_while(char::is_ascii_digit).collect();
    Some(Subject::named(&format!("nvme{number}")))
}

impl Row {
    /// What the condition is about that this event opens; none if the event does not name it.
    pub(super) fn subject(&self, event: &Event) -> Option<Subject> {
        let mut subject = self.find_subject(event)?;
        subject.boot_id.clone_from(&event.boot_id);
        Some(subject)
    }

    fn find_subject(&self, event: &Event) -> Option<Subject> {
        let device = || Some(Subject::of_device(event));
        match self.about {
            About::Device => device(),
            About::Array => array(event).or_else(device),
            // The last path of a map fails: the event is about the map.
            About::Path if event.event_type == EventType::DM_MPATH_NO_PATH => path(event),
            About::Path => path(event).or_else(device),
            About::Controller => controller(event).or_else(device),
            About::Named if !event.kdev.is_empty() => Some(Subject::named(&event.kdev)),
            About::Named => device(),
            About::Source => Some(Subject::named(loss_source(event))),
        }
    }
}

/// Everything that an event may end a condition of.
pub(super) fn subjects(event: &Event) -> Vec<Subject> {
    let map =
        event.facts.mpath.as_ref().and_then(|mpath| mpath.map.as_deref()).map(|map| match map.parse() {
            Ok(dev) => known(event, dev),
            Err(_) => Subject::named(map),
        });
    let named = (!event.kdev.is_empty()).then(|| Subject::named(&event.kdev));
    // Where a device is known, its name alone could be that of an earlier one.
    let named = if event.block.is_some() && named.as_ref().is_some_and(|n| n.dev.is_none() && is_disk(event))
    {
        None
    } else {
        named
    };
    let own = (event.sub_system.as_str() == "peripety").then(|| Subject::named(loss_source(event)));
    // A member or a path that went is no end of the array or map above it.
    let above = (!is_gone(event)).then(|| (map, array(event)));
    let (map, array) = above.unwrap_or_default();
    // An array that has all its members: what was said of one of them when nobody knew whose it is.
    let members = event.block.iter().filter(|_| makes_whole(event)).flat_map(|block| &block.owners);
    let members = members.map(Subject::of_id);
    // Devices that went together.
    let others = event.facts.removal.as_ref().and_then(|removal| removal.devices.as_deref());
    let others = others.unwrap_or_default().iter().map(|name| Subject::named(name));
    let mut all: Vec<Subject> =
        [Some(Subject::of_device(event)), path(event), map, array, controller(event), named, own]
            .into_iter()
            .flatten()
            .chain(others)
            .chain(members)
            .chain(way_of_removed(event))
            .filter(|subject| !subject.name.is_empty() || subject.dev.is_some())
            .collect();
    all.iter_mut().for_each(|subject| subject.boot_id.clone_from(&event.boot_id));
    all
}

/// Whether an event says that an array has all its members.
fn makes_whole(event: &Event) -> bool {
    [EventType::MD_RECOVERY_DONE, EventType::DM_RAID_IN_SYNC, EventType::DM_MIRROR_IN_SYNC]
        .contains(&event.event_type)
}

/// A link or session that led to a device which went has nothing to lead to.
fn way_of_removed(event: &Event) -> Option<Subject> {
    let block = event.block.as_ref().filter(|_| is_gone(event))?;
    match block.id.transport.as_ref()? {
        Transport::Sata { port: name, .. }
        | Transport::Iscsi { session: name, .. }
        | Transport::Nvme { controller: name, .. } => Some(Subject::named(name)),
        _ => None,
    }
}

fn is_disk(event: &Event) -> bool {
    event.block.as_ref().is_some_and(|b| b.id.blk_path.strip_prefix("/dev/") == Some(event.kdev.as_str()))
}

/// Whether a device is there no more: it was removed, or is one of loop or zram that lost what it was made of. Its name and number
/// are given to the next one.
pub(crate) fn is_gone(event: &Event) -> bool {
    let is_empty = || event.facts.block.as_ref().is_some_and(|block| block.new_sectors == Some(0));
    event.event_type == EventType::BLK_DEVICE_REMOVED
        || (event.event_type == EventType::BLK_CAPACITY_CHANGED
            && ["loop", "zram"].iter().any(|kind| event.kdev.starts_with(kind))
            && is_empty())
}

/// Whether a device that went was in use: mounted, or part of something.
pub(crate) fn is_in_use(event: &Event) -> bool {
    event.block.as_ref().is_some_and(|block| {
        let subject = Subject::of_device(event);
        !subject.mount_points.is_empty() || !subject.holders.is_empty() || !block.id.mount_points.is_empty()
    })
}
