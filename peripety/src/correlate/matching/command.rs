//! Lines in which a driver reports a command that failed: a probe's record names the request; of lines only the place on the
//! disk says that they are about the same.

use super::{
    super::{
        fold::Fold,
        key::{FoldKey, Scope},
    },
    Sought, View,
};
use crate::{
    event::Sector,
    parser::{self, Kdev, RawEvent},
};

/// Subsystems whose lines about a command name its blocks. SCSI's chains have a tag besides, and a matcher of their own.
const DRIVERS: [&str; 3] = ["ata", "nvme", "mmc"];

/// By the failed request that the command was for.
pub(super) fn of_command(view: &View<'_>, raw: &RawEvent, scope: Scope) -> Sought {
    let Some(command) = command_of(raw) else { return Sought::Next };
    let is_its = |fold: &Fold| {
        let io = fold.event().io.as_ref();
        fold.has_requests && io.is_some_and(|io| command.has(io.op, io.sector.unwrap_or(Sector(u64::MAX))))
    };
    let same = view.fold(FoldKey::latest_request(scope)).filter(|(_, fold)| is_its(fold));
    let at_port = || {
        let port = is_port_of_unknown_disk(raw, scope);
        if port { view.only(|fold| is_scsi_disk(&fold.event().kdev) && is_its(fold)) } else { None }
    };
    Sought::or_next(same.map(|(place, _)| place).or_else(at_port))
}

/// Whether a driver reports a command in a line.
pub(in super::super) fn is_command(raw: &RawEvent) -> bool {
    command_of(raw).is_some()
}

fn command_of(raw: &RawEvent) -> Option<parser::Command> {
    if !DRIVERS.contains(&raw.sub_system.as_str()) || raw.program {
        return None;
    }
    parser::command(&raw.facts, raw.io.as_ref())
}

/// Whether a line names a port of which nobody knows the disk: a log may begin after the disk was found.
fn is_port_of_unknown_disk(raw: &RawEvent, scope: Scope) -> bool {
    raw.sub_system.as_str() == "ata" && scope.as_dev().is_none() && matches!(raw.kdev, Kdev::Name(_))
}

/// Whether the kernel names a SCSI disk or drive so.
pub(in super::super) fn is_scsi_disk(kdev: &str) -> bool {
    kdev.starts_with("sd") || kdev.starts_with("sr")
}
