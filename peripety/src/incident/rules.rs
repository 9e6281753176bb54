//! Which event explains which: one table.
//!
//! A row says that an event of one class explains one of another class, on the same device or on one that is made of it, as
//! long as the first is not over, or within the time that error handling of the device may take. What stands in no row is
//! not linked: a wrong link is worse than none.

use jiff::SignedDuration;

use super::{
    class::Class::{self, *},
    facet::Facet,
};
use crate::{
    correlate::layer::{self, Layer},
    event::incident::{Certainty, Relation},
};

/// How the devices of two events have to stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The same device.
    Same,
    /// The first is part of what the second is made of, or of the way to it.
    Below,
    /// Either of the two.
    SameOrBelow,
    /// Nothing says how they stand to each other, and there is one incident only that fits.
    Unplaced,
}

/// How long after the first event the second may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// As long as the incident is not over.
    Open,
    /// As long as error handling of either device may take.
    Patience,
    /// What follows at once: the clocks of two sources may be apart by that much.
    Prompt,
}

/// What follows at once.
const PROMPT: SignedDuration = SignedDuration::from_secs(2);
/// Text is stamped when it is printed, and a source may lag behind another.
pub(crate) const SLACK: SignedDuration = SignedDuration::from_millis(1200);

/// One row: an event of a class in `cause` explains one of a class in `effect`.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Its name, which incidents give as their reason.
    pub name: &'static str,
    /// What explains.
    pub cause: &'static [Class],
    /// What is explained.
    pub effect: &'static [Class],
    /// How their devices stand to each other.
    pub place: Place,
    /// How long after.
    pub within: Within,
    /// What the second event is to the first.
    pub relation: Relation,
    /// How sure it is.
    pub certainty: Certainty,
    /// It holds in whichever order the two came.
    pub either_order: bool,
    /// What else has to be so.
    pub fits: fn(&Facet, &Facet) -> bool,
}

const HARDWARE: &[Class] = &[Way, Removed, NoAnswer, GivenUp, Command, Request];
/// What may be said with no name in it.
const UNNAMED: &[Class] = &[
    Adapter, Bus, Way, NoAnswer, GivenUp, Command, Request, Guard, Path, NoPath, Member, Array, Low, Pool,
    Stacked, Zfs, Cache, Full, Checksum, Reaction, Mended, Server, Bug,
];
const ON_FILESYSTEM: &[Class] = &[Cache, Fs, Contents, Checksum, Reaction];

/// Every rule, the surest first.
pub(crate) static RULES: &[Rule] = &[
    Rule {
        name: "same-failure-again",
        cause: &[
            Adapter, Bus, Way, Removed, NoAnswer, GivenUp, Command, Request, Guard, Path, NoPath, Member,
            Array, Low, Pool, Stacked, Zfs, Cache, Fs, Full, Contents, Checksum, Reaction, Mended, Service,
            Missing, Blocked, Predicted, Server, Bug, Own, Other,
        ],
        effect: &[
            Adapter, Bus, Way, Removed, NoAnswer, GivenUp, Command, Request, Guard, Path, NoPath, Member,
            Array, Low, Pool, Stacked, Zfs, Cache, Fs, Full, Contents, Checksum, Reaction, Mended, Service,
            Missing, Blocked, Predicted, Server, Bug, Own, Other,
        ],
        place: Place::Same,
        within: Within::Open,
        relation: Relation::SameDevice,
        certainty: Certainty::Certain,
        either_order: false,
        fits: same_failure,
    },
    Rule {
        name: "last-path",
        cause: &[Path],
        effect: &[NoPath],
        place: Place::Below,
        within: Within::Open,
        relation: Relation::DeviceAbove,
        certainty: Certainty::Certain,
        either_order: true,
        fits: any,
    },
    Rule {
        name: "failing-device",
        cause: HARDWARE,
        effect: HARDWARE,
        place: Place::Same,
        within: Within::Patience,
        relation: Relation::SameDevice,
        certainty: Certainty::Likely,
        either_order: true,
        fits: same_need,
    },
    Rule {
        name: "device-that-does-not-answer",
        cause: &[Way, Removed, NoAnswer, GivenUp, Command, Request],
        effect: &[Removed, NoAnswer, GivenUp, Command, Request],
        place: Place::Same,
        within: Within::Open,
        relation: Relation::SameDevice,
        certainty: Certainty::Likely,
        either_order: false,
        fits: both_unserved,
    },
    Rule {
        name: "path-of-map",
        cause: HARDWARE,
        effect: &[Path],
        place: Place::Same,
        within: Within::Open,
        relation: Relation::Consequence,
        certainty: Certainty::Certain,
        either_order: true,
        fits: any,
    },
    Rule {
        name: "way-to-device",
        cause: &[Adapter, Bus, Way, NoAnswer, GivenUp, Removed],
        effect: &[Way, Removed, NoAnswer, GivenUp, Command, Request, Path, Member],
        place: Place::Below,
        within: Within::Open,
        relation: Relation::DeviceAbove,
        certainty: Certainty::Likely,
        either_order: true,
        fits: effect_unserved,
    },
    Rule {
        name: "adapter-itself",
        cause: &[Adapter, Bus],
        effect: &[Adapter, Bus, Command, NoAnswer],
        place: Place::Same,
        within: Within::Patience,
        relation: Relation::SameDevice,
        certainty: Certainty::Likely,
        either_order: true,
        fits: any,
    },
    Rule {
        name: "member-of-array",
        cause: HARDWARE,
        effect: &[Member],
        place: Place::SameOrBelow,
        within: Within::Open,
        relation: Relation::Consequence,
        certainty: Certainty::Likely,
        either_order: true,
        fits: no_space,
    },
    Rule {
        name: "array-of-members",
        cause: &[Member],
        effect: &[Array],
        place: Place::SameOrBelow,
        within: Within::Open,
        relation: Relation::DeviceAbove,
        certainty: Certainty::Likely,
        either_order: false,
        fits: any,
    },
    Rule {
        name: "repaired-from-copy",
        cause: &[Request, Command, Guard, Checksum, Contents, NoAnswer, Member, Mended],
        effect: &[Mended],
        place: Place::SameOrBelow,
        within: Within::Patience,
        relation: Relation::Recovery,
        certainty: Certainty::Likely,
        either_order: true,
        fits: no_space,
    },
    Rule {
        name: "failing-after-repairs",
        cause: &[Mended],
        effect: &[Request, Command, Guard, Member],
        place: Place::SameOrBelow,
        within: Within::Open,
        relation: Relation::SameDevice,
        certainty: Certainty::Likely,
        either_order: false,
        fits: of_data,
    },
    Rule {
        name: "pool-runs-full",
        cause: &[Low, Pool],
        effect: &[Low, Pool],
        place: Place::Same,
        within: Within::Open,
        relation: Relation::Consequence,
        certainty: Certainty::Certain,
        either_order: false,
        fits: any,
    },
    Rule {
        name: "map-without-path",
        cause: &[NoPath],
        effect: &[Request, Stacked, Cache, Fs, Contents, Reaction, Service, Blocked, Member, Other],
        place: Place::SameOrBelow,
        within: Within::Open,
        relation: Relation::DeviceAbove,
        certainty: Certainty::Likely,
        either_order: false,
        fits: kernel_allows,
    },
    Rule {
        name: "stack-above",
        cause: &[Array, Pool, Guard, Stacked],
        effect: &[Request, Stacked, Cache, Fs, Contents, Reaction, Full, Other],
        place: Place::SameOrBelow,
        within: Within::Open,
        relation: Relation::DeviceAbove,
        certainty: Certainty::Likely,
        either_order: false,
        fits: kernel_allows,
    },
    Rule {
        name: "request-below",
        cause: &[Request, Removed, GivenUp, Way, Reaction],
        effect: &[Request, Stacked, Guard, Pool, Array],
        place: Place::Below,
        within: Within::Patience,
        relation: Relation::DeviceAbove,
        certainty: Certainty::Likely,
        either_order: false,
        fits: kernel_allows,
    },
    Rule {
        name: "filesystem-on-failing-device",
        cause: &[Request, Removed, GivenUp, Way],
        effect: &[Cache, Fs, Contents, Reaction, Other],
        place: Place::SameOrBelow,
        within: Within::Open,
        relation: Relation::Consequence,
        certainty: Certainty::Likely,
        either_order: false,
        fits: kernel_allows,
    },
    Rule {
        name: "filesystem-itself",
        cause: ON_FILESYSTEM,
        effect: &[Cache, Fs, Contents, Checksum, Reaction, Missing],
        place: Place::Same,
        within: Within::Open,
        relation: Relation::Consequence,
        certainty: Certainty::Likely,
        either_order: false,
        fits: same_need_as_far_as_told,
    },
    Rule {
        name: "full-filesystem",
        cause: &[Full, Pool],
        effect: &[Cache, Fs, Reaction],
        place: Place::SameOrBelow,
        within: Within::Patience,
        relation: Relation::Consequence,
        certainty: Certainty::Likely,
        either_order: false,
        fits: effect_space,
    },
    Rule {
        name: "pool-on-failing-device",
        cause: HARDWARE,
        effect: &[Zfs],
        place: Place::SameOrBelow,
        within: Within::Patience,
        relation: Relation::Consequence,
        certainty: Certainty::Likely,
        either_order: false,
        fits: no_space,
    },
    Rule {
        name: "device-of-pool",
        cause: &[Zfs],
        effect: &[Zfs],
        place: Place::SameOrBelow,
        within: Within::Patience,
        relation: Relation::DeviceAbove,
        certainty: Certainty::Likely,
        either_order: true,
        fits: any,
    },
    Rule {
        name: "service-on-filesystem",
        cause: &[Reaction, Fs, Cache, Request, Removed, GivenUp, NoPath, Array, Pool],
        effect: &[Service, Missing],
        place: Place::SameOrBelow,
        within: Within::Open,
        relation: Relation::Consequence,
        certainty: Certainty::Likely,
        either_order: false,
        fits: any,
    },
    Rule {
        name: "task-waits-for-device",
        cause: &[Adapter, Way, NoAnswer, GivenUp, NoPath, Pool, Request, Zfs],
        effect: &[Blocked],
        place: Place::SameOrBelow,
        within: Within::Open,
        relation: Relation::Consequence,
        certainty: Certainty::Likely,
        either_order: false,
        fits: any,
    },
    Rule {
        name: "failure-was-predicted",
        cause: &[Predicted],
        effect: &[Request, Command],
        place: Place::Same,
        within: Within::Open,
        relation: Relation::SameDevice,
        certainty: Certainty::Likely,
        either_order: true,
        fits: of_medium,
    },
    Rule {
        name: "link-partners",
        cause: &[Bus],
        effect: &[Bus],
        place: Place::Unplaced,
        within: Within::Prompt,
        relation: Relation::Sibling,
        certainty: Certainty::Possible,
        either_order: true,
        fits: other_device,
    },
    Rule {
        name: "port-of-unknown-disk",
        cause: &[Adapter, Way, NoAnswer, GivenUp, Removed],
        effect: &[Way, NoAnswer, Command, Request, GivenUp, Removed, Path],
        place: Place::Unplaced,
        within: Within::Patience,
        relation: Relation::DeviceAbove,
        certainty: Certainty::Possible,
        either_order: true,
        fits: port_and_disk,
    },
    Rule {
        name: "command-of-unknown-disk",
        cause: &[Command, NoAnswer],
        effect: &[NoAnswer, GivenUp, Removed, Command, Request],
        place: Place::Unplaced,
        within: Within::Patience,
        relation: Relation::SameDevice,
        certainty: Certainty::Possible,
        either_order: true,
        fits: nameless_and_disk,
    },
    Rule {
        name: "link-of-drive",
        cause: &[Bus, GivenUp],
        effect: &[NoAnswer, GivenUp, Removed, Request],
        place: Place::Unplaced,
        within: Within::Prompt,
        relation: Relation::DeviceAbove,
        certainty: Certainty::Possible,
        either_order: true,
        fits: link_and_drive,
    },
    Rule {
        name: "pool-of-unknown-volume",
        cause: &[Pool],
        effect: &[Cache, Fs, Reaction, Request],
        place: Place::Unplaced,
        within: Within::Prompt,
        relation: Relation::DeviceAbove,
        certainty: Certainty::Possible,
        either_order: false,
        fits: pool_and_volume,
    },
    Rule {
        name: "server-of-block-device",
        cause: &[Server],
        effect: &[Request, Command, Other, Stacked],
        place: Place::Unplaced,
        within: Within::Patience,
        relation: Relation::DeviceAbove,
        certainty: Certainty::Possible,
        either_order: false,
        fits: ceph_and_rbd,
    },
    Rule {
        name: "same-failure-unnamed",
        cause: UNNAMED,
        effect: UNNAMED,
        place: Place::Unplaced,
        within: Within::Open,
        relation: Relation::SameDevice,
        certainty: Certainty::Possible,
        either_order: false,
        fits: both_unnamed,
    },
    Rule {
        name: "only-device-of-the-moment",
        cause: &[Request, NoAnswer, GivenUp],
        effect: &[Request, Command],
        place: Place::Unplaced,
        within: Within::Prompt,
        relation: Relation::SameDevice,
        certainty: Certainty::Possible,
        either_order: true,
        fits: names_differ,
    },
    Rule {
        name: "only-filesystem-of-the-moment",
        cause: ON_FILESYSTEM,
        effect: &[Fs, Contents, Reaction],
        place: Place::Unplaced,
        within: Within::Prompt,
        relation: Relation::SameDevice,
        certainty: Certainty::Possible,
        either_order: true,
        fits: effect_unnamed,
    },
    Rule {
        name: "only-path-at-the-time",
        cause: &[Path],
        effect: &[NoPath],
        place: Place::Unplaced,
        within: Within::Patience,
        relation: Relation::DeviceAbove,
        certainty: Certainty::Possible,
        either_order: false,
        fits: effect_unplaced,
    },
    Rule {
        name: "only-failure-at-the-time",
        cause: &[
            Adapter, Way, NoAnswer, GivenUp, Request, Array, NoPath, Guard, Reaction, Zfs, Stacked, Server,
        ],
        effect: &[Zfs, Stacked, Service, Blocked],
        place: Place::Unplaced,
        within: Within::Patience,
        relation: Relation::Consequence,
        certainty: Certainty::Possible,
        either_order: false,
        fits: effect_unplaced,
    },
    Rule {
        name: "only-failure-of-the-moment",
        cause: &[Request, Guard, NoPath, Array, Removed, GivenUp],
        effect: &[Request, Cache, Fs, Contents, Reaction],
        place: Place::Unplaced,
        within: Within::Prompt,
        relation: Relation::Consequence,
        certainty: Certainty::Possible,
        either_order: false,
        fits: unplaced_above,
    },
];

impl Rule {
    /// Whether `cause` explains `effect` by this rule. Whether their incident is open is for the caller to know.
    pub(crate) fn explains(&self, cause: &Facet, effect: &Facet) -> bool {
        self.cause.contains(&cause.class)
            && self.effect.contains(&effect.class)
            && self.is_placed(cause, effect)
            && self.in_time(cause, effect)
            && (self.fits)(cause, effect)
    }

    fn is_placed(&self, cause: &Facet, effect: &Facet) -> bool {
        match self.place {
            Place::Same => cause.is_of(effect),
            Place::Below => cause.is_below(effect),
            Place::SameOrBelow => cause.is_of(effect) || cause.is_below(effect),
            Place::Unplaced => cause.boot == effect.boot,
        }
    }

    fn in_time(&self, cause: &Facet, effect: &Facet) -> bool {
        let gap = if cause.first <= effect.first {
            effect.first.duration_since(cause.last)
        } else {
            cause.first.duration_since(effect.last)
        };
        let later = cause.first > effect.first.saturating_add(SLACK).unwrap_or(effect.first);
        if later && !self.either_order {
            return false;
        }
        let patience = cause.patience.max(effect.patience);
        match self.within {
            // What came first is explained late only while error handling goes on.
            // That a device is gone explains what its end was seen by, and not what troubled it before.
            _ if later && cause.class == Removed => cause.first.duration_since(effect.first) <= PROMPT,
            Within::Open => !later || gap <= patience,
            Within::Patience => gap <= patience,
            Within::Prompt => gap <= PROMPT,
        }
    }
}

fn any(_: &Facet, _: &Facet) -> bool {
    true
}

/// The same happened: the class alone does not say so where it has many reasons.
fn same_failure(cause: &Facet, effect: &Facet) -> bool {
    if cause.class != effect.class {
        return false;
    }
    match cause.class {
        Request | Command => {
            cause.is_space() == effect.is_space()
                && (cause.failed.answer == effect.failed.answer || cause.event_type == effect.event_type)
        }
        Own | Other | Server | Bug | Predicted => cause.event_type == effect.event_type,
        // A task and a device that did not appear are about themselves.
        Blocked | Missing | Service => !cause.own.is_empty(),
        _ => true,
    }
}

/// A fault of space and one of hardware have nothing to do with each other.
fn same_need(cause: &Facet, effect: &Facet) -> bool {
    cause.is_space() == effect.is_space()
}

/// What the page cache says of a lost write has no reason in it.
fn same_need_as_far_as_told(cause: &Facet, effect: &Facet) -> bool {
    let untold = |facet: &Facet| facet.class == Cache && facet.failed.errno.is_none();
    same_need(cause, effect) || untold(cause) || untold(effect)
}

fn no_space(cause: &Facet, effect: &Facet) -> bool {
    !cause.is_space() && !effect.is_space()
}

fn effect_space(_: &Facet, effect: &Facet) -> bool {
    effect.is_space()
}

fn both_unserved(cause: &Facet, effect: &Facet) -> bool {
    cause.is_unserved() && effect.may_be_unserved()
}

fn effect_unserved(_: &Facet, effect: &Facet) -> bool {
    effect.may_be_unserved() || matches!(effect.class, Path | Member)
}

fn of_medium(cause: &Facet, effect: &Facet) -> bool {
    let served = |facet: &Facet| facet.class == Predicted || !(facet.is_unserved() || facet.is_space());
    served(cause) && served(effect)
}

/// What is stored could not be read, or was not what was written: no matter of space.
fn of_data(cause: &Facet, effect: &Facet) -> bool {
    no_space(cause, effect) && !effect.is_unserved()
}

/// What could not be named is one fault, not one more for each event.
fn both_unnamed(cause: &Facet, effect: &Facet) -> bool {
    cause.own.is_empty() && effect.own.is_empty() && cause.event_type == effect.event_type
}

/// A filesystem that does not say which one it is.
fn effect_unnamed(cause: &Facet, effect: &Facet) -> bool {
    !cause.is_nameless() && effect.is_nameless() && cause.is_space() == effect.is_space()
}

/// One names a device by its address or controller, the other by its node, and nothing says whether they are the same.
fn names_differ(cause: &Facet, effect: &Facet) -> bool {
    if !cause.unplaced || !effect.unplaced || cause.is_space() || effect.is_space() {
        return false;
    }
    let by_address = |facet: &Facet| facet.own.iter().any(|name| name.starts_with("h:"));
    let by_node =
        |facet: &Facet| facet.own.iter().filter_map(|name| name.strip_prefix("n:")).any(is_disk_node);
    match (cause.class, effect.class) {
        (Request, Command) => {
            let by_other_name = by_address(effect) && !by_address(cause) && !by_node(effect);
            by_node(cause) && (effect.own.is_empty() || by_other_name)
        }
        (NoAnswer | GivenUp, Request) => {
            let of_scsi = by_address(cause) && !by_node(cause) && by_node(effect) && !by_address(effect);
            of_scsi || other_number(cause, effect)
        }
        _ => false,
    }
}

fn is_disk_node(name: &str) -> bool {
    let rest = name.strip_prefix("sd").or_else(|| name.strip_prefix("hd"));
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase()))
}

/// A controller and a namespace of NVMe whose numbers differ: with native multipath that of a namespace is its subsystem's.
fn other_number(controller: &Facet, namespace: &Facet) -> bool {
    let nvme = |facet: &Facet| {
        facet.own.iter().filter_map(|name| name.strip_prefix("n:nvme")).find_map(|rest| {
            let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
            (!number.is_empty()).then_some((number.len() == rest.len(), number))
        })
    };
    matches!((nvme(controller), nvme(namespace)), (Some((true, one)), Some((false, two))) if one != two)
}

fn other_device(cause: &Facet, effect: &Facet) -> bool {
    !cause.is_of(effect)
}

/// A port, adapter or session of which nobody knows which disk is behind it, and a disk of which nobody knows behind which it
/// is; or the port of an adapter, and one of a target that it reached.
fn port_and_disk(cause: &Facet, effect: &Facet) -> bool {
    let named = |facet: &Facet, is: fn(&str) -> bool| {
        facet.own.iter().filter_map(|name| name.strip_prefix("n:")).any(is)
    };
    let numbered: fn(&str) -> bool =
        |name| name.strip_prefix("ata").unwrap_or(name).starts_with(|c: char| c.is_ascii_digit());
    let is_port =
        |facet: &Facet| facet.unplaced && (matches!(facet.class, Adapter | Way) || named(facet, numbered));
    let is_disk = |facet: &Facet| {
        let on_bus = || facet.own.iter().any(|name| name.starts_with("h:"));
        facet.unplaced && facet.class != Way && (on_bus() || named(facet, |name| name.starts_with("sd")))
    };
    let is_function: fn(&str) -> bool = |name| name.matches(':').count() == 2 && name.contains('.');
    let of_adapter = cause.class == Way && effect.class == Way && named(cause, is_function);
    let behind = (is_port(cause) && is_disk(effect)) || (is_disk(cause) && is_port(effect));
    (of_adapter || behind) && cause.is_unserved() && (effect.is_unserved() || effect.class == Path)
}

/// The name that a driver gives to its adapter: `ioc1`, `mpt2sas3`, `mpt3sas_cm0`.
fn is_adapter(name: &str) -> bool {
    let name = name.strip_prefix("n:").unwrap_or(name);
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
    base.len() < name.len() && (base == "ioc" || base.starts_with("mpt") || base.starts_with("mpi"))
}

/// An adapter's line about a command that names no device, or only the adapter, and a disk that fails.
fn nameless_and_disk(cause: &Facet, effect: &Facet) -> bool {
    let is_nameless = |facet: &Facet| {
        facet.own.iter().all(|name| is_adapter(name)) && matches!(facet.class, Command | NoAnswer)
    };
    let is_disk = |facet: &Facet| {
        let named = |name: &String| name.starts_with("h:") || name.starts_with("n:sd");
        facet.unplaced && facet.own.iter().any(named)
    };
    // The line about the disk may itself say which adapter it is behind.
    let elsewhere = |line: &Facet, disk: &Facet| {
        !line.own.is_empty()
            && disk.below.iter().any(|name| is_adapter(name))
            && !line.own.iter().any(|name| disk.below.contains(name))
    };
    (is_nameless(cause) && is_disk(effect) && !elsewhere(cause, effect))
        || (is_disk(cause) && is_nameless(effect) && !elsewhere(effect, cause))
}

fn is_named(facet: &Facet, start: &str) -> bool {
    facet.own.iter().filter_map(|name| name.strip_prefix("n:")).any(|name| name.starts_with(start))
}

/// A PCI function or a port, as kernel names go: `0000:06:00.0`.
fn is_function(facet: &Facet) -> bool {
    let is = |name: &str| name.matches(':').count() == 2 && name.contains('.');
    facet.own.iter().filter_map(|name| name.strip_prefix("n:")).any(is)
}

/// The link of a PCIe port or a function goes, and an NVMe drive of which nobody knows where it is.
fn link_and_drive(cause: &Facet, effect: &Facet) -> bool {
    let is_drive = is_named(effect, "nvme") || is_function(effect);
    let is_link = match cause.class {
        Bus => cause.event_type.as_str() != "PCIE_CORRECTED_ERROR",
        _ => is_function(cause) && is_named(effect, "nvme"),
    };
    is_link && is_drive && effect.unplaced && effect.is_unserved() && !cause.is_of(effect)
}

/// A pool without space, and a volume of which nobody knows what it is made of.
fn pool_and_volume(cause: &Facet, effect: &Facet) -> bool {
    cause.is_space() && effect.unplaced && is_named(effect, "dm-")
}

fn ceph_and_rbd(cause: &Facet, effect: &Facet) -> bool {
    cause.event_type.as_str().starts_with("CEPH_") && is_named(effect, "rbd")
}

fn effect_unplaced(cause: &Facet, effect: &Facet) -> bool {
    let hard = cause.class != Stacked || effect.class == Stacked;
    effect.unplaced && hard && !cause.is_space()
}

/// What is made of other devices, nobody knows which, fails at the same moment.
fn unplaced_above(cause: &Facet, effect: &Facet) -> bool {
    let stacked = |name: &String| {
        ["n:dm-", "n:md", "n:bcache", "n:mapper/"].iter().any(|start| name.starts_with(start))
    };
    let is_made_of_others = effect.is_nameless() || effect.own.iter().any(stacked);
    effect.unplaced && is_made_of_others && !cause.is_of(effect) && kernel_allows(cause, effect)
}

/// Whether the kernel hands a failure of the one up as one of the other: by operation, error and reason.
fn kernel_allows(cause: &Facet, effect: &Facet) -> bool {
    if effect.failed.layer == Layer::None || cause.failed.layer == Layer::None {
        return cause.is_space() == effect.is_space() || !effect.is_space();
    }
    layer::may_cause(&cause.failed, &effect.failed, true)
        || (cause.is_of(effect) && layer::may_cause(&cause.failed, &effect.failed, false))
}
