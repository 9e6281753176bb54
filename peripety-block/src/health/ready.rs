//! Whether a disk may be asked: one that hangs is left alone.

use super::Disk;
use crate::transport;

/// Whether a disk answers, as far as it can be known without asking it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It may be asked.
    Ready,
    /// It is busy with what it was sent: so many requests wait, and so many were completed up to now. It may be asked when
    /// some more are.
    Busy {
        /// Requests that were completed.
        completed: u64,
    },
    /// It is not to be asked, and why.
    Not(String),
}

/// Whether a SCSI device, or an NVMe controller, takes commands in a state.
pub fn takes_commands(state: &str) -> bool {
    ["running", "live", "created"].contains(&state)
}

/// Looks at sysfs.
pub fn readiness(disk: &Disk) -> Readiness {
    if let Some(state) = disk.attr("device/state")
        && !takes_commands(&state)
    {
        return Readiness::Not(format!("not asked: it is {state}"));
    }
    if let Some(state) = host_state(disk).filter(|state| state != "running") {
        return Readiness::Not(format!("not asked: its host adapter is in state {state}"));
    }
    // Documentation/block/stat.rst: reads, …, writes (the 5th), …, in flight (the 9th), …, discards (the 12th), …, flushes.
    let stat = disk.attr("stat").unwrap_or_default();
    let numbers: Vec<u64> = stat.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
    let number = |place: usize| numbers.get(place).copied().unwrap_or(0);
    if number(8) == 0 {
        return Readiness::Ready;
    }
    let completed = [0, 4, 11, 15].into_iter().map(number).fold(0, u64::wrapping_add);
    Readiness::Busy { completed }
}

/// The state of the SCSI host that a disk hangs on (drivers/scsi/scsi_sysfs.c): `recovery` while its error handler works.
fn host_state(disk: &Disk) -> Option<String> {
    let host = disk.roots.sysfs.join("class/scsi_host").join(transport::scsi_host(&disk.parts())?);
    disk.attr_at(&host, "state")
}
