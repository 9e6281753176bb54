//! What one event says, as far as it is needed to see what belongs together.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    class::{self, Class},
    part::{self, SharedPart},
    words,
};
use crate::{
    block::{BlkId, BlkType, Dev, Hctl, Transport},
    correlate::layer::Failed,
    event::{
        Event, EventId, EventType, Facts,
        incident::{Device, Relation},
    },
};

/// Names of devices that are remembered for one event.
const KEYS_MAX: usize = 64;

/// What an event says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facet {
    /// Its id.
    pub event_id: EventId,
    /// Its type.
    pub event_type: EventType,
    /// What failed.
    pub class: Class,
    /// How.
    pub failed: Failed,
    /// Boot; names are compared within one.
    pub boot: String,
    /// The names of what it is about.
    pub own: Vec<String>,
    /// The names of what that is made of, and of the way to it.
    pub below: Vec<String>,
    /// The names of what is made of it.
    pub above: Vec<String>,
    /// Which devices had these names: a kernel name, a number and an address are given again to another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<Identified>,
    /// What it has in common with others, the narrowest first.
    pub parts: Vec<SharedPart>,
    /// A port of a PCIe bridge.
    pub is_bridge: bool,
    /// It is not known what it is made of, or by which way it is reached.
    pub unplaced: bool,
    /// First failure.
    pub first: Timestamp,
    /// Latest failure.
    pub last: Timestamp,
    /// Sectors that failed.
    pub sectors: Vec<(u64, u64)>,
    /// How long error handling of the device may take.
    pub patience: SignedDuration,
    /// The shortest name of what it is about.
    pub name: String,
    /// What is known of that device.
    pub device: Option<Device>,
    /// The event that led to it.
    pub because: Option<EventId>,
    /// How it belongs to its incident.
    pub relation: Relation,
    /// By which rule.
    pub rule: String,
}

/// What distinguishes a device from another that has its names later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identified {
    /// Its kernel name, number and address.
    names: Vec<String>,
    /// World wide id; empty if unknown.
    wwid: String,
    /// Sequence number of the disk within the boot.
    diskseq: Option<u64>,
}

impl Identified {
    /// Of a device that has an identity.
    fn of(id: &BlkId) -> Option<Self> {
        let mut names = Vec::new();
        identified(&mut names, id);
        names.retain(|name| !name.starts_with("w:"));
        let known = !id.wwid.is_empty() || id.diskseq.is_some();
        (known && !names.is_empty()).then(|| Self { names, wwid: id.wwid.clone(), diskseq: id.diskseq })
    }

    /// Whether the two cannot be the same device.
    fn differs_from(&self, other: &Self) -> bool {
        if !self.wwid.is_empty() && !other.wwid.is_empty() {
            return self.wwid != other.wwid;
        }
        self.diskseq.zip(other.diskseq).is_some_and(|(one, two)| one != two)
    }
}

impl Facet {
    /// What a fault says; none for what is no fault.
    pub fn of(event: &Event) -> Option<Self> {
        let failed = class::failed(event);
        let class = class::of(event, &failed)?;
        let mut names = Names::of(event);
        if class == Class::Removed && event.event_type == EventType::USB_DISCONNECTED {
            names.unplaced = true;
        }
        let unplaced = names.is_unplaced(event, class);
        if names.own.is_empty() && matches!(class, Class::Fs | Class::Contents) {
            // A filesystem that names no device: the same again is of the same kind of filesystem.
            names.own.push(format!("s:{}", event.sub_system));
        }
        Some(Self {
            event_id: event.event_id,
            event_type: event.event_type.clone(),
            class,
            failed,
            boot: event.boot_id.clone(),
            unplaced,
            is_bridge: event.facts.pci.as_ref().is_some_and(|pci| pci.driver.as_deref() == Some("pcieport")),
            parts: part::of(event, class),
            own: names.own,
            below: names.below,
            above: names.above,
            identities: identities(event),
            first: event.first_timestamp,
            last: event.last_timestamp,
            sectors: event.sector_ranges.iter().take(8).map(|r| (r.start, r.end)).collect(),
            patience: patience(event, class),
            name: words::short(event),
            device: words::device(event),
            because: None,
            relation: Relation::Cause,
            rule: String::new(),
        })
    }

    /// All names of an event: of its device, of what that is made of, and of what is made of it.
    pub fn names_of(event: &Event) -> Vec<String> {
        let Names { own, below, above, .. } = Names::of(event);
        own.into_iter().chain(below).chain(above).collect()
    }

    /// Whether the device did not serve it.
    pub fn is_unserved(&self) -> bool {
        class::is_unserved(self.class, &self.failed)
    }

    /// Whether it may be that the device did not serve it.
    pub fn may_be_unserved(&self) -> bool {
        class::may_be_unserved(self.class, &self.failed)
    }

    /// Whether it is about space.
    pub fn is_space(&self) -> bool {
        class::is_space(self.class, &self.failed)
    }

    /// Whether it names nothing that it is about: at most the kind of filesystem.
    pub fn is_nameless(&self) -> bool {
        self.own.iter().all(|name| name.starts_with("s:"))
    }

    /// Whether both are about the same thing.
    pub fn is_of(&self, other: &Self) -> bool {
        self.meets(&self.own, &other.own, other)
    }

    /// Whether this is about something of which the other's is made.
    pub fn is_below(&self, other: &Self) -> bool {
        self.meets(&self.own, &other.below, other) || self.meets(&self.above, &other.own, other)
    }

    /// Whether a name of mine and one of the other's are those of one device.
    fn meets(&self, mine: &[String], theirs: &[String], other: &Self) -> bool {
        if self.boot != other.boot {
            return meet_over_boots(mine, theirs);
        }
        let named = |name: &&String| !name.starts_with("w:");
        mine.iter().filter(named).any(|name| theirs.contains(name) && !self.is_another(other, name))
    }

    /// Whether the name is that of another device in the other.
    fn is_another(&self, other: &Self, name: &String) -> bool {
        let (mine, theirs) = (self.identity(name), other.identity(name));
        mine.zip(theirs).is_some_and(|(mine, theirs)| mine.differs_from(theirs))
    }

    fn identity(&self, name: &String) -> Option<&Identified> {
        self.identities.iter().find(|id| id.names.contains(name))
    }

    /// What the other knows of devices that this does not.
    pub fn learn_identities(&mut self, other: Vec<Identified>) {
        for id in other {
            let known = id.names.iter().any(|name| self.identity(name).is_some());
            if !known && self.identities.len() < KEYS_MAX {
                self.identities.push(id);
            }
        }
    }

    /// Takes the names that a later revision of the same event has. Whether there were new ones.
    pub fn take_names(&mut self, later: Self) -> bool {
        let Self { own, below, above, identities, parts, unplaced, name, device, .. } = later;
        let mut any = false;
        if !own.is_empty() && self.is_nameless() && own.iter().any(|name| !name.starts_with("s:")) {
            self.own.clear();
        }
        for (mine, theirs) in [(&mut self.own, own), (&mut self.below, below), (&mut self.above, above)] {
            for name in theirs {
                if mine.len() < KEYS_MAX && !mine.contains(&name) {
                    mine.push(name);
                    any = true;
                }
            }
        }
        if any {
            (self.unplaced, self.name, self.parts) = (unplaced, name, parts);
        }
        if device.is_some() {
            self.device = device;
        }
        self.learn_identities(identities);
        any
    }

    /// Whether the same sectors failed.
    pub fn shares_sectors(&self, other: &Self) -> bool {
        self.sectors.iter().any(|(a, b)| other.sectors.iter().any(|(c, d)| a <= d && c <= b))
    }
}

/// Whether two lists of names of different boots have one in common: the world wide id outlives a boot; where there is none,
/// the kernel name must do.
fn meet_over_boots(one: &[String], two: &[String]) -> bool {
    let id = |names: &[String]| names.iter().any(|name| name.starts_with("w:"));
    let wanted = if id(one) || id(two) { "w:" } else { "n:" };
    one.iter().filter(|name| name.starts_with(wanted)).any(|name| two.contains(name))
}

/// Those of an event's device, of what that is made of, and of what is made of it.
fn identities(event: &Event) -> Vec<Identified> {
    let Some(block) = &event.block else { return Vec::new() };
    let all = std::iter::once(&block.id).chain(&block.owners).chain(&block.holders);
    all.filter_map(Identified::of).take(KEYS_MAX).collect()
}

/// The names of an event's device.
#[derive(Default)]
struct Names {
    own: Vec<String>,
    below: Vec<String>,
    above: Vec<String>,
    unplaced: bool,
}

impl Names {
    fn of(event: &Event) -> Self {
        let mut names = Self::default();
        named(&mut names.own, &event.kdev);
        if let Some(block) = &event.block {
            identified(&mut names.own, &block.id);
            block.owners.iter().for_each(|id| identified(&mut names.below, id));
            block.holders.iter().for_each(|id| identified(&mut names.above, id));
            way(&mut names.below, &block.id);
            block.owners.iter().for_each(|id| way(&mut names.below, id));
        }
        let Facts { scsi, md, drbd, btrfs, dm, mpath, fs, zfs, gluster, bcache, systemd, .. } = &event.facts;
        let own = [
            scsi.as_ref().and_then(|scsi| scsi.hctl).map(|hctl| hctl.to_string()),
            md.as_ref().and_then(|md| md.member.clone()),
            drbd.as_ref().and_then(|drbd| drbd.member.clone()),
            btrfs.as_ref().and_then(|btrfs| btrfs.member.clone()),
            dm.as_ref().and_then(|dm| dm.leg.clone()),
            mpath.as_ref().and_then(|mpath| mpath.path).map(|path| path.to_string()),
            fs.as_ref().and_then(|fs| fs.path.clone()),
            fs.as_ref().and_then(|fs| fs.device.clone()),
            zfs.as_ref().and_then(|zfs| zfs.vdev.clone()),
            systemd.as_ref().and_then(|systemd| systemd.device.clone()),
            systemd.as_ref().and_then(|systemd| systemd.mount.clone()),
            drbd.as_ref().and_then(|drbd| drbd.resource.clone()),
        ];
        own.iter().flatten().for_each(|name| named(&mut names.own, name));
        let above = [
            md.as_ref().and_then(|md| md.array.as_deref()),
            bcache.as_ref().and_then(|bcache| bcache.device.as_deref()),
            mpath.as_ref().and_then(|mpath| mpath.map.as_deref()),
        ];
        above.iter().flatten().for_each(|name| named(&mut names.above, name));
        if let Some(pool) = zfs.as_ref().and_then(|zfs| zfs.pool.as_deref()).filter(|pool| !pool.is_empty()) {
            let whole = event.event_type.as_str().starts_with("ZFS_POOL");
            let list = if whole { &mut names.own } else { &mut names.above };
            add(list, format!("p:{pool}"));
        }
        if let Some(gluster) = gluster {
            let volume = gluster.volume.as_ref().map(|volume| format!("g:{volume}"));
            // A volume is made of its bricks.
            let list = if gluster.brick.is_some() { &mut names.above } else { &mut names.own };
            volume.into_iter().for_each(|volume| add(list, volume));
        }
        for name in names.own.clone() {
            if let Some(name) = name.strip_prefix("n:") {
                parents(&mut names.below, name);
            }
            // A remote port of Fibre Channel has the number of its host, as an address has.
            let host = name.strip_prefix("h:").or_else(|| name.strip_prefix("n:rport-"));
            if let Some(host) = host.and_then(|host| host.split(':').next()) {
                add(&mut names.below, format!("n:host{host}"));
            }
        }
        if let Some(adapter) = event.facts.adapter.as_ref().and_then(|adapter| adapter.name.as_deref()) {
            named(&mut names.below, adapter);
        }
        let own = names.own.clone();
        names.below.retain(|name| !own.contains(name));
        names.above.retain(|name| !own.contains(name));
        names
    }

    /// Whether what it is about cannot be placed in a stack of devices by what is known.
    fn is_unplaced(&self, event: &Event, class: Class) -> bool {
        let block = event.block.as_deref();
        match class {
            Class::Adapter | Class::Bus => true,
            Class::NoPath => block.is_none_or(|block| block.owners.is_empty()),
            Class::Way | Class::NoAnswer | Class::GivenUp | Class::Removed | Class::Path => {
                block.is_none_or(|block| block.id.transport.is_none())
            }
            Class::Request | Class::Command => block.is_none_or(|block| {
                let stacked = block.id.blk_path.starts_with("/dev/dm-") || block.id.blk_type == BlkType::Md;
                if stacked { block.owners.is_empty() } else { block.id.transport.is_none() }
            }),
            Class::Zfs | Class::Service | Class::Blocked | Class::Stacked => {
                block.is_none_or(|block| block.owners.is_empty() && block.id.transport.is_none())
            }
            Class::Pool | Class::Cache | Class::Fs | Class::Contents | Class::Reaction => {
                let stacked = |name: &String| {
                    ["n:dm-", "n:md", "n:bcache", "n:mapper/"].iter().any(|p| name.starts_with(p))
                };
                self.own.is_empty()
                    || (block.is_none_or(|block| block.owners.is_empty()) && self.own.iter().any(stacked))
            }
            _ => false,
        }
    }
}

fn add(list: &mut Vec<String>, name: String) {
    if list.len() < KEYS_MAX && !list.contains(&name) {
        list.push(name);
    }
}

/// A name as the kernel prints it: a node, a number, an address, a port.
fn named(list: &mut Vec<String>, name: &str) {
    let name = name.strip_prefix("/dev/").unwrap_or(name);
    if name.is_empty() {
        return;
    }
    if let Ok(dev) = name.parse::<Dev>() {
        return add(list, format!("d:{dev}"));
    }
    if name.parse::<Hctl>().is_ok() {
        return add(list, format!("h:{name}"));
    }
    let name = match name.strip_prefix("connection").and_then(|rest| rest.split_once(':')) {
        Some((session, _)) => format!("session{session}"),
        // The device 0 of an ATA port is the port's only one, but behind a port multiplier.
        None => name.strip_suffix(".00").filter(|n| n.starts_with("ata")).unwrap_or(name).to_owned(),
    };
    add(list, format!("n:{name}"));
}

fn identified(list: &mut Vec<String>, id: &BlkId) {
    if !id.dev.is_none() {
        add(list, format!("d:{}", id.dev));
    }
    for path in [&id.blk_path, &id.preferred_blk_path] {
        if let Some(name) = path.strip_prefix("/dev/") {
            add(list, format!("n:{name}"));
        }
    }
    if !id.wwid.is_empty() {
        add(list, format!("w:{}", id.wwid));
    }
    if id.transport_id.parse::<Hctl>().is_ok() {
        add(list, format!("h:{}", id.transport_id));
    }
}

/// By what a device is reached.
fn way(list: &mut Vec<String>, id: &BlkId) {
    if let Ok(hctl) = id.transport_id.parse::<Hctl>() {
        add(list, format!("n:host{}", hctl.host));
    }
    let name = match &id.transport {
        Some(Transport::Iscsi { session, .. }) => session.clone(),
        Some(Transport::Fc { rport, .. }) => rport.clone(),
        Some(Transport::Sata { port, .. }) | Some(Transport::Usb { port }) => port.clone(),
        Some(Transport::Nvme { controller, traddr, .. }) => {
            if !traddr.is_empty() && !traddr.contains('=') {
                add(list, format!("n:{traddr}"));
            }
            controller.clone()
        }
        _ => String::new(),
    };
    if !name.is_empty() {
        add(list, format!("n:{name}"));
    }
}

/// What a name itself says it is a part of: `sda8` of `sda`, `nvme0n1p2` of `nvme0n1`, which controller `nvme0` has.
fn parents(list: &mut Vec<String>, name: &str) {
    let whole = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if whole.len() < name.len() {
        let disk = ["sd", "vd", "hd", "xvd"].iter().any(|p| {
            whole.strip_prefix(p).is_some_and(|l| !l.is_empty() && l.bytes().all(|b| b.is_ascii_lowercase()))
        });
        let before_p = whole.strip_suffix('p').filter(|w| w.ends_with(|c: char| c.is_ascii_digit()));
        if disk {
            add(list, format!("n:{whole}"));
        } else if let Some(whole) = before_p {
            add(list, format!("n:{whole}"));
            parents(list, whole);
        }
    }
    // A card has the number of its host.
    if let Some(number) = name.strip_prefix("mmcblk")
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
    {
        add(list, format!("n:mmc{number}"));
    }
    if let Some(rest) = name.strip_prefix("nvme") {
        let controller: String = rest.chars().take_while(char::is_ascii_digit).collect();
        // A path by its own name: nvme2c0n1 is reached by nvme0.
        let path = rest.get(controller.len()..).and_then(|r| r.strip_prefix('c'));
        let number = path.map(|p| p.chars().take_while(char::is_ascii_digit).collect::<String>());
        let is_namespace = rest.len() > controller.len();
        if is_namespace && !controller.is_empty() {
            add(list, format!("n:nvme{}", number.unwrap_or(controller)));
        }
    }
    if let Some((port, _)) = name.split_once('.').filter(|(port, _)| port.starts_with("ata")) {
        add(list, format!("n:{port}"));
    }
}

/// How often the kernel tries a command again that timed out (SD_MAX_RETRIES; nvme_max_retries).
const RETRIES: u64 = 5;
/// What error handling itself takes for each try: an abort, a reset, a TEST UNIT READY (scsi_device.eh_timeout).
const HANDLING_S: u64 = 10;
/// No device is waited for longer than that.
const LONGEST_S: u64 = 86_400;

/// How long the error handling of a device may take: its own command timeout for each try, and what its transport waits for a
/// way that is lost. Of what is made of others, that of the slowest of them.
fn patience(event: &Event, class: Class) -> SignedDuration {
    let Facts { task, scsi, .. } = &event.facts;
    let seconds = |seconds: u64| i64::try_from(seconds.min(LONGEST_S)).unwrap_or(i64::MAX);
    let block = event.block.as_deref();
    let own = block.map(|block| &block.id).and_then(of_device);
    let below = block.into_iter().flat_map(|block| &block.owners).filter_map(of_device).max();
    let handling = own.max(below).unwrap_or_else(|| usual(event));
    let sane = |waited: Option<u64>| waited.filter(|s| *s < LONGEST_S).unwrap_or(0);
    let waited = match class {
        Class::Blocked => sane(task.as_ref().and_then(|task| task.seconds)).max(120),
        // A log does not say the timeout; how long a command waited does.
        _ => sane(scsi.as_ref().and_then(|scsi| scsi.cmd_age)),
    };
    SignedDuration::from_secs(seconds(handling) + seconds(waited))
}

/// By the timeouts that sysfs has for a device.
fn of_device(id: &BlkId) -> Option<u64> {
    let tries = match &id.transport {
        // An abort is waited for as long again, then the controller is reset.
        Some(Transport::Nvme { .. }) => id.command_timeout_s.map(|s| s.saturating_mul(2)),
        // Nobody aborts a request of virtio: what is slow stays slow.
        Some(Transport::Virtio { .. }) => id.command_timeout_s,
        _ => id.command_timeout_s.map(|s| s.saturating_add(HANDLING_S).saturating_mul(RETRIES + 1)),
    }?;
    Some(tries.saturating_add(id.recovery_s.unwrap_or(0)))
}

/// Where nothing says it: the defaults of the kernel. SD_TIMEOUT and its retries; nvme_core.io_timeout;
/// node.session.timeo.replacement_timeout; dev_loss_tmo.
fn usual(event: &Event) -> u64 {
    let name = event.kdev.as_str();
    match event.block.as_ref().and_then(|block| block.id.transport.as_ref()) {
        Some(Transport::Iscsi { .. }) => 120 + 60,
        Some(Transport::Fc { .. }) => 60 + 180,
        Some(Transport::Nvme { transport, .. }) if transport == "pcie" => 60,
        Some(Transport::Nvme { .. }) => 600,
        Some(Transport::Virtio { .. }) => 30,
        _ if name.starts_with("nvme") => 60,
        _ if name.starts_with("vd") => 30,
        _ => 180,
    }
}
