//! Which event a SCSI or NVMe command that failed is about, as a driver's probe reports it, where no request failed of it:
//! it was sent again, or was none of the block layer's.

use super::{
    super::{
        fold::Fold,
        fold_table::FoldId,
        key::{FoldKey, Scope},
        pending_commands::{Driver, Pending},
    },
    View,
    line::is_of_chain,
};
use crate::{event::Op, parser::scsi};

/// What becomes of such a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum CommandMatch {
    /// One more attempt that failed so.
    Repeat(FoldId),
    /// Its request failed before the driver's record came: that event gets to know why.
    Request(FoldId),
    /// A line that came first reports the same change of the unit.
    Line(FoldId),
    /// The first of its kind.
    Open,
}

impl CommandMatch {
    /// The event, if there is one.
    pub(in super::super) const fn fold(self) -> Option<FoldId> {
        match self {
            Self::Repeat(fold) | Self::Request(fold) | Self::Line(fold) => Some(fold),
            Self::Open => None,
        }
    }
}

type Matcher = fn(&View<'_>, &Pending, Scope) -> Option<CommandMatch>;

/// The order in which such a command seeks its event.
pub(in super::super) const COMMAND_ORDER: [(&str, Matcher); 4] = [
    ("operation: commands of this fault and operation", of_operation),
    ("fault: commands of this fault, if they are not of another operation", of_fault),
    ("request: the latest request that failed on the device, at this very place", of_request),
    ("line: a line about a change of the unit, which seemed older than the probe", of_line),
];

/// What becomes of a command of which no request failed.
pub(in super::super) fn decide_command(view: &View<'_>, command: &Pending, scope: Scope) -> CommandMatch {
    let found = COMMAND_ORDER.iter().find_map(|(_, matcher)| matcher(view, command, scope));
    found.unwrap_or(CommandMatch::Open)
}

fn of_operation(view: &View<'_>, command: &Pending, scope: Scope) -> Option<CommandMatch> {
    view.find(FoldKey::driver_op(scope, command.fault, command.op())).map(CommandMatch::Repeat)
}

fn of_fault(view: &View<'_>, command: &Pending, scope: Scope) -> Option<CommandMatch> {
    let (place, fold) = view.fold(FoldKey::driver(scope, command.fault))?;
    // Attempts at writes are not of the reads that fail.
    let same =
        |fold: &Fold| fold.event().io.as_ref().is_none_or(|io| io.op == command.op() || io.op == Op::Unknown);
    same(fold).then_some(CommandMatch::Repeat(place))
}

fn of_request(view: &View<'_>, command: &Pending, scope: Scope) -> Option<CommandMatch> {
    let (sector, _) = command.sectors()?;
    let (place, fold) = view.fold(FoldKey::latest_request(scope))?;
    (fold.has_requests && fold.has_sector(sector)).then_some(CommandMatch::Request(place))
}

/// The clock of text may be off by a moment before it is known by how much.
fn of_line(view: &View<'_>, command: &Pending, scope: Scope) -> Option<CommandMatch> {
    let Driver::Scsi(cmd) = &command.driver else { return None };
    let fault = scsi::classify(cmd).filter(|fault| fault.is_change())?;
    let (place, fold) = view.fold(FoldKey::typed(scope, fault.event_type().as_str(), 0))?;
    (!fold.has_probe() && is_of_chain(command.time, fold)).then_some(CommandMatch::Line(place))
}
