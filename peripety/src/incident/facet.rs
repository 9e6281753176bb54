//! What one event says, as far as it is needed to see what belongs together.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    class::{self, Class},
    names::{Names, identified},
    part::{self, SharedPart},
    patience::patience,
    words,
};
use crate::{
    block::BlkId,
    correlate::layer::Failed,
    event::{
        Event, EventId, EventType, Sector,
        incident::{Device, Relation},
    },
};

/// Names of devices that are remembered for one event.
pub(super) const KEYS_MAX: usize = 64;

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
    pub sectors: Vec<(Sector, Sector)>,
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
        Some(Self::of_class(event, class, failed))
    }

    /// What the removal of a device says that was in use, however mild it is.
    pub(super) fn of_removal(event: &Event) -> Option<Self> {
        let removed = event.event_type == EventType::BLK_DEVICE_REMOVED && crate::state::is_in_use(event);
        removed.then(|| Self::of_class(event, Class::Removed, class::failed(event)))
    }

    fn of_class(event: &Event, class: Class, failed: Failed) -> Self {
        let mut names = Names::of(event);
        if class == Class::Removed && event.event_type == EventType::USB_DISCONNECTED {
            names.unplaced = true;
        }
        let unplaced = names.is_unplaced(event, class);
        if names.own.is_empty() && matches!(class, Class::Fs | Class::Contents) {
            // A filesystem that names no device: the same again is of the same kind of filesystem.
            names.own.push(format!("s:{}", event.sub_system));
        }
        Self {
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
        }
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

    /// Whether it names no device, but at most the adapter that speaks.
    pub fn names_only_adapter(&self) -> bool {
        self.own.iter().all(|name| name.starts_with("s:") || super::names::is_adapter(name))
    }

    /// Whether it names a disk of SCSI.
    pub fn names_disk(&self) -> bool {
        self.own.iter().any(|name| name.starts_with("h:") || name.starts_with("n:sd"))
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
