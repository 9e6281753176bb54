//! Beside the kernel: who else acts on a volume, and which array an event is about.

use std::process::{Command, Stdio};

use peripety_model::Event;

/// Whether dmeventd monitors a volume: then it is the one that acts.
///
/// # Errors
/// In words, why that is not known.
pub(super) fn is_monitored(volume: &str) -> Result<bool, String> {
    let mut lvs = Command::new("lvs");
    lvs.args(["--noheadings", "--readonly", "-o", "seg_monitor", volume]).stdin(Stdio::null());
    let output = lvs.output().map_err(|error| format!("cannot run lvs: {error}"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(format!("lvs failed: {}", words.lines().next().unwrap_or_default().trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().any(|line| line.trim() == "monitored"))
}

/// The array, map or volume that an event is about, the likeliest first.
pub(super) fn arrays_of(event: &Event) -> Vec<String> {
    let mut names = Vec::new();
    names.extend(event.facts.md.as_ref().and_then(|md| md.array.clone()));
    names.extend(event.facts.dm.as_ref().and_then(|dm| dm.name.clone()));
    if let Some(block) = &event.block {
        let all =
            std::iter::once(&block.id.blk_path).chain(block.holders.iter().map(|holder| &holder.blk_path));
        let node = |path: &String| path.rsplit('/').next().map(str::to_owned);
        names.extend(all.filter_map(node).filter(|name| name.starts_with("dm-") || name.starts_with("md")));
    }
    names
}
