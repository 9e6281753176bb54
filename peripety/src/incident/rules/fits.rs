//! What else has to be so, beside class, place and time, for one event to explain another.

use super::super::{
    class::Class::*,
    facet::Facet,
    names,
    signs::{self, Foretells},
};
use crate::correlate::layer::{self, Layer};

pub(super) fn any(_: &Facet, _: &Facet) -> bool {
    true
}

/// The same happened: the class alone does not say so where it has many reasons.
pub(super) fn same_failure(cause: &Facet, effect: &Facet) -> bool {
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

/// What is said of an array that is there without all of its members, and not of what one of them could not read.
pub(super) fn lacks_member(_: &Facet, effect: &Facet) -> bool {
    effect.event_type.as_str() != "MD_READ_ERROR"
}

/// A fault of space and one of hardware have nothing to do with each other.
pub(super) fn same_need(cause: &Facet, effect: &Facet) -> bool {
    cause.is_space() == effect.is_space()
}

/// What the page cache says of a lost write has no reason in it.
pub(super) fn same_need_as_far_as_known(cause: &Facet, effect: &Facet) -> bool {
    let unknown = |facet: &Facet| facet.class == Cache && facet.failed.errno.is_none();
    same_need(cause, effect) || unknown(cause) || unknown(effect)
}

pub(super) fn no_space(cause: &Facet, effect: &Facet) -> bool {
    !cause.is_space() && !effect.is_space()
}

pub(super) fn both_space(cause: &Facet, effect: &Facet) -> bool {
    cause.is_space() && effect.is_space()
}

/// What a filesystem does that is full has no reason in it.
pub(super) fn effect_space(cause: &Facet, effect: &Facet) -> bool {
    effect.is_space() || (effect.class == Reaction && cause.is_of(effect))
}

pub(super) fn both_unserved(cause: &Facet, effect: &Facet) -> bool {
    cause.is_unserved() && effect.may_be_unserved()
}

/// What is reset on the way to a device that does not answer is reset because of that.
pub(super) fn handles_errors(cause: &Facet, effect: &Facet) -> bool {
    let resets = ["USB_STORAGE_ERROR", "SCSI_ERROR_RECOVERY", "ATA_LINK_RESET"];
    cause.is_unserved() && resets.contains(&effect.event_type.as_str())
}

pub(super) fn effect_unserved(_: &Facet, effect: &Facet) -> bool {
    effect.may_be_unserved() || matches!(effect.class, Path | Member)
}

pub(super) fn of_medium(cause: &Facet, effect: &Facet) -> bool {
    let served = |facet: &Facet| facet.class == Predicted || !(facet.is_unserved() || facet.is_space());
    served(cause) && served(effect)
}

/// What the first is a sign of is what happened.
pub(super) fn foretold(cause: &Facet, effect: &Facet) -> bool {
    let Some(sign) = signs::of_type(cause.event_type.as_str()) else { return false };
    let is_silence = effect.may_be_unserved() || matches!(effect.class, Path | NoPath | Member);
    no_space(cause, effect)
        && match sign.foretells {
            Foretells::Medium => !effect.is_unserved(),
            Foretells::Silence => is_silence,
            Foretells::Any => true,
        }
}

/// What is stored could not be read, or was not what was written: no matter of space.
pub(super) fn of_data(cause: &Facet, effect: &Facet) -> bool {
    no_space(cause, effect) && !effect.is_unserved()
}

/// What could not be named is one fault, not one more for each event.
pub(super) fn both_unnamed(cause: &Facet, effect: &Facet) -> bool {
    cause.own.is_empty() && effect.own.is_empty() && cause.event_type == effect.event_type
}

/// The same of a server that a later line of the same driver does not name.
pub(super) fn effect_alike_unnamed(cause: &Facet, effect: &Facet) -> bool {
    !cause.is_nameless() && effect.is_nameless() && cause.event_type == effect.event_type
}

/// A disk that could not read what it has stored tries again for long, and answers nothing meanwhile.
pub(super) fn bad_medium(cause: &Facet, _: &Facet) -> bool {
    ["SCSI_MEDIUM_ERROR", "BLK_MEDIUM_ERROR", "NVME_MEDIUM_ERROR", "SCSI_HARDWARE_ERROR"]
        .contains(&cause.event_type.as_str())
}

/// A filesystem that does not say which one it is, at the moment at which a device fails.
pub(super) fn unnamed_filesystem(cause: &Facet, effect: &Facet) -> bool {
    effect.is_nameless() && no_space(cause, effect)
}

/// The devices of a cache set name themselves each, and not the set.
pub(super) fn of_cache_set(cause: &Facet, effect: &Facet) -> bool {
    let speaks = |facet: &Facet| facet.event_type.as_str().starts_with("BCACHE_");
    speaks(cause) && (speaks(effect) || is_named(effect, "bcache")) && no_space(cause, effect)
}

/// A device that did not appear, and a filesystem of which only the place is named where it was to be mounted.
pub(super) fn mount_and_device(cause: &Facet, effect: &Facet) -> bool {
    cause.event_type.as_str() == "BLK_DEVICE_MISSING"
        && effect.event_type.as_str() == "FS_MOUNT_FAILED"
        && effect.own.iter().all(|name| name.starts_with("n:/") && !name.starts_with("n:/dev/"))
}

/// A filesystem that does not say which one it is.
pub(super) fn effect_unnamed(cause: &Facet, effect: &Facet) -> bool {
    !cause.is_nameless() && effect.is_nameless() && cause.is_space() == effect.is_space()
}

/// One names a device by its address or controller, the other by its node, and nothing says whether they are the same.
pub(super) fn names_differ(cause: &Facet, effect: &Facet) -> bool {
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
        (NoAnswer | GivenUp, Command) => {
            let is_tape = |facet: &Facet| is_named(facet, "st") && !is_named(facet, "storvsc");
            by_address(cause) && !by_node(cause) && is_tape(effect) && effect.is_unserved()
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

pub(super) fn other_device(cause: &Facet, effect: &Facet) -> bool {
    !cause.is_of(effect)
}

/// A port, adapter or session of which nobody knows which disk is behind it, and a disk of which nobody knows behind which it
/// is; or the port of an adapter, and one of a target that it reached.
pub(super) fn port_and_disk(cause: &Facet, effect: &Facet) -> bool {
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
    let of_adapter = cause.class == Way && effect.class == Way && is_function(cause);
    let behind = (is_port(cause) && is_disk(effect)) || (is_disk(cause) && is_port(effect));
    (of_adapter || behind) && cause.is_unserved() && (effect.is_unserved() || effect.class == Path)
}

/// A port of libata, of which nobody said which disk is behind it: `ata2`.
fn is_ata_port(name: &str) -> bool {
    let port = name.strip_prefix("n:ata").unwrap_or_default();
    !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// An adapter's line about a command that names no device, or only the adapter, and a disk that fails.
pub(super) fn nameless_and_disk(cause: &Facet, effect: &Facet) -> bool {
    let is_nameless = |facet: &Facet| {
        let is_way = |name: &String| names::is_adapter(name) || (facet.class == Command && is_ata_port(name));
        facet.own.iter().all(is_way) && matches!(facet.class, Command | NoAnswer)
    };
    let is_disk = |facet: &Facet| facet.unplaced && facet.names_disk();
    // An adapter of SAS speaks of a disk of SATA, whose port is reset next.
    let is_port =
        |facet: &Facet| facet.unplaced && !facet.own.is_empty() && facet.own.iter().all(|n| is_ata_port(n));
    if cause.own.is_empty() && is_nameless(cause) && is_port(effect)
        || effect.own.is_empty() && is_nameless(effect) && is_port(cause)
    {
        return true;
    }
    // The line about the disk may itself say which adapter it is behind.
    let elsewhere = |line: &Facet, disk: &Facet| {
        !line.own.is_empty()
            && disk.below.iter().any(|name| names::is_adapter(name))
            && !line.own.iter().any(|name| disk.below.contains(name))
    };
    (is_nameless(cause) && is_disk(effect) && !elsewhere(cause, effect))
        || (is_disk(cause) && is_nameless(effect) && !elsewhere(effect, cause))
}

fn is_named(facet: &Facet, start: &str) -> bool {
    facet.own.iter().filter_map(|name| name.strip_prefix("n:")).any(|name| name.starts_with(start))
}

/// A PCI function or a port, as kernel names go: `0000:06:00.0`.
fn names_function(name: &str) -> bool {
    name.strip_prefix("n:").is_some_and(|name| name.matches(':').count() == 2 && name.contains('.'))
}

fn is_function(facet: &Facet) -> bool {
    facet.own.iter().any(|name| names_function(name))
}

/// The link of a PCIe port or a function goes, and an NVMe drive of which nobody knows where it is.
pub(super) fn link_and_drive(cause: &Facet, effect: &Facet) -> bool {
    let is_drive = is_named(effect, "nvme") || is_function(effect);
    let is_link = match cause.class {
        Bus => cause.event_type.as_str() != "PCIE_CORRECTED_ERROR",
        _ => is_function(cause) && is_named(effect, "nvme"),
    };
    // Of a controller it may be known how it is attached, and not where.
    let somewhere =
        effect.unplaced || !effect.below.iter().chain(&effect.own).any(|name| names_function(name));
    is_link && is_drive && somewhere && effect.is_unserved() && !cause.is_of(effect)
}

/// The host of an MMC card, and the card.
pub(super) fn host_and_card(cause: &Facet, effect: &Facet) -> bool {
    is_named(cause, "mmc")
        && !is_named(cause, "mmcblk")
        && is_named(effect, "mmcblk")
        && no_space(cause, effect)
}

/// The kernel names a pool by its number, dmeventd by its name, and nothing says whether they are the same.
pub(super) fn number_and_name(cause: &Facet, effect: &Facet) -> bool {
    let by_number = |facet: &Facet| is_named(facet, "dm-") && !is_named(facet, "mapper/");
    let by_name = |facet: &Facet| is_named(facet, "mapper/") && !is_named(facet, "dm-");
    cause.is_space()
        && effect.is_space()
        && ((by_number(cause) && by_name(effect)) || (by_name(cause) && by_number(effect)))
}

/// A pool without space, and a volume of which nobody knows what it is made of.
pub(super) fn pool_and_volume(cause: &Facet, effect: &Facet) -> bool {
    cause.is_space() && effect.unplaced && is_named(effect, "dm-")
}

/// md calls each array of dm-raid `mdX`: what it says when such an array is started again is about the one that lost a member.
pub(super) fn array_of_dm_raid(cause: &Facet, effect: &Facet) -> bool {
    let is_leg = |facet: &Facet| facet.event_type.as_str() == "DM_RAID_LEG_FAILED";
    // dmeventd names the volume, and the kernel the leg.
    let of_both = is_leg(effect)
        && is_named(effect, "mapper/")
        && (is_named(cause, "mdX") || cause.above.iter().any(|name| name == "n:mdX"));
    is_leg(cause) && (is_named(effect, "mdX") || of_both)
}

/// A server and a device that it serves, or a loop device that does not say which one it is and one that fails.
pub(super) fn server_and_device(cause: &Facet, effect: &Facet) -> bool {
    (cause.event_type.as_str().starts_with("CEPH_") && is_named(effect, "rbd"))
        || (cause.event_type.as_str() == "LOOP_ERROR" && cause.is_nameless() && is_named(effect, "loop"))
}

pub(super) fn effect_unplaced(cause: &Facet, effect: &Facet) -> bool {
    let hard = cause.class != Stacked || effect.class == Stacked;
    // Two disks that are both named are two.
    let is_disk = |name: &String| {
        name.strip_prefix("n:").is_some_and(|name| is_disk_node(name) || name.starts_with("nvme"))
    };
    let names_disk = |facet: &Facet| facet.own.iter().chain(&facet.below).any(is_disk);
    effect.unplaced && hard && !cause.is_space() && !(names_disk(cause) && names_disk(effect))
}

/// What is made of other devices, nobody knows which, fails at the same moment.
pub(super) fn unplaced_above(cause: &Facet, effect: &Facet) -> bool {
    let swaps = effect.event_type.as_str() == "SWAP_IO_ERROR";
    let above = swaps || effect.is_nameless() || effect.own.iter().any(|name| names::is_made_of_others(name));
    effect.unplaced && above && !cause.is_of(effect) && kernel_allows(cause, effect)
}

/// Whether the kernel hands a failure of the one up as one of the other: by operation, error and reason.
pub(super) fn kernel_allows(cause: &Facet, effect: &Facet) -> bool {
    // Whatever a filesystem says of a device that is gone comes of that.
    if matches!(cause.class, Removed | GivenUp) && matches!(effect.class, Fs | Contents) {
        return true;
    }
    if effect.failed.layer == Layer::None || cause.failed.layer == Layer::None {
        return cause.is_space() == effect.is_space() || !effect.is_space();
    }
    layer::may_cause(&cause.failed, &effect.failed, true)
        || (cause.is_of(effect) && layer::may_cause(&cause.failed, &effect.failed, false))
}
