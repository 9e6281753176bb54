//! md arrays, as sysfs shows them: the kernel prints nothing when the last member of an array goes away.

use std::path::Path;

use super::sys::{names, read};

/// An array that lacks something.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lacking {
    /// Whether it serves no more.
    pub failed: bool,
    /// In words.
    pub words: String,
}

/// What is wrong with the array of this directory of a block device; nothing if it is no array.
pub(super) fn lacking(dir: &Path) -> Option<Lacking> {
    let md = dir.join("md");
    if !md.is_dir() {
        return None;
    }
    let state = read(&md.join("array_state")).unwrap_or_default();
    // Stopped, or not assembled yet.
    if matches!(state.as_str(), "clear" | "inactive") {
        return None;
    }
    let level = read(&md.join("level")).unwrap_or_default();
    let number = |name: &str| read(&md.join(name)).and_then(|n| n.split(' ').next()?.parse::<usize>().ok());
    let disks = number("raid_disks").unwrap_or(0);
    let degraded = number("degraded").unwrap_or(0);
    let members = members(&md);
    let working = members.iter().filter(|member| member.works).count();
    let gone: Vec<&str> = members.iter().filter(|member| member.is_lost).map(|m| m.name.as_str()).collect();
    let needed = match level.as_str() {
        // Any one of them has everything.
        "raid1" => 1,
        "raid4" | "raid5" => disks.saturating_sub(1),
        "raid6" => disks.saturating_sub(2),
        "raid0" | "linear" => disks,
        // Which ones have to be there depends on the layout.
        "raid10" => 1,
        _ => 0,
    };
    let failed = state == "broken" || (disks > 0 && working < needed);
    if !failed && degraded == 0 && gone.is_empty() {
        return None;
    }
    let mut words = format!("sysfs: {working} of {disks} members work");
    if !gone.is_empty() {
        words.push_str(&format!(", gone: {}", gone.join(" ")));
    }
    if state == "broken" {
        words.push_str(", its state is broken");
    }
    let action = read(&md.join("sync_action")).unwrap_or_default();
    if !matches!(action.as_str(), "" | "idle" | "frozen") {
        words.push_str(&format!(", {action} is under way"));
    }
    Some(Lacking { failed, words })
}

struct Member {
    name: String,
    works: bool,
    /// It counts as part of the array, and its device is there no more or takes no requests.
    is_lost: bool,
}

fn members(md: &Path) -> Vec<Member> {
    let mut members = Vec::new();
    for entry in names(md) {
        let Some(name) = entry.strip_prefix("dev-") else { continue };
        let dir = md.join(&entry);
        let state = read(&dir.join("state")).unwrap_or_default();
        let flags: Vec<&str> = state.split(',').collect();
        let in_sync = flags.contains(&"in_sync") && !flags.contains(&"faulty");
        // The link to a device that went leads nowhere.
        let block = dir.join("block");
        let there = block.join("dev").exists() && !is_off(&block);
        members.push(Member { name: name.to_owned(), works: in_sync && there, is_lost: in_sync && !there });
    }
    members
}

fn is_off(block: &Path) -> bool {
    let state = read(&block.join("device/state"))
        // A partition's disk.
        .or_else(|| read(&block.join("../device/state")))
        .unwrap_or_default();
    super::is_off(&state)
}
