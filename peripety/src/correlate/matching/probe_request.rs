//! Which event a request or bio that failed is about, as a probe reports it.

use peripety_common::Kind;

use super::{
    super::{
        fault::Fault,
        fold::Fold,
        fold_table::FoldId,
        key::{FoldKey, Scope},
        pending_commands::Pending,
    },
    View,
};
use crate::{
    event::{Errno, EventType, Extent, Op, Sector},
    parser::{nvme, scsi},
    record::Stamp,
};

/// How soon after attempts of which no place is known their request fails.
const SOON_NS: u64 = 1_000_000_000;

/// A failed request or bio, in numbers.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Request {
    /// Device number, as the kernel has it.
    pub dev: u32,
    pub op: Op,
    pub errno: Errno,
    pub sector: Option<Sector>,
    pub nr_sectors: u32,
    pub extent: Option<Extent>,
    /// Of the probe.
    pub kind: Kind,
}

/// A failed request with what its driver reported of the command.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Failed<'f> {
    pub request: Request,
    pub time: Stamp,
    pub now_ns: u64,
    /// What the driver's probe reported of its command.
    pub command: Option<&'f Pending>,
    /// The type and fault that follow from that, where they are more precise than the errno's.
    pub refined: Option<&'f (EventType, Fault)>,
}

/// What becomes of a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum RequestMatch {
    /// One more failure of this event.
    Repeat(FoldId),
    /// The same, and the first one of which the driver says why.
    Refine(FoldId),
    /// The attempts at it were reported by this event: it is the same failure, which is worse now.
    Attempts(FoldId),
    /// The same where the attempts had no place on the disk.
    AttemptsWithoutPlace(FoldId),
    /// A write whose flush was reported by this event: it is the same failure.
    FlushOfIt(FoldId),
    /// There is no room for another event: it is counted into this one, with other devices.
    OtherDevices(FoldId),
    /// The first failure of its kind.
    Open,
}

impl RequestMatch {
    /// The event, if there is one of this device.
    pub(in super::super) const fn fold(self) -> Option<FoldId> {
        match self {
            Self::Repeat(fold)
            | Self::Refine(fold)
            | Self::Attempts(fold)
            | Self::AttemptsWithoutPlace(fold)
            | Self::FlushOfIt(fold) => Some(fold),
            Self::OtherDevices(_) | Self::Open => None,
        }
    }
}

impl Failed<'_> {
    fn scope(&self) -> Scope {
        Scope::dev(self.request.dev)
    }

    fn fault(&self) -> Option<Fault> {
        self.refined.map(|(_, fault)| *fault)
    }

    /// How requests that fail so are found.
    pub(in super::super) fn key(&self, fault: Option<Fault>) -> FoldKey {
        FoldKey::block(self.scope(), self.request.op, self.request.errno, fault)
    }
}

type Matcher = fn(&View<'_>, &Failed<'_>) -> Option<RequestMatch>;

/// The order in which a failed request seeks its event. The first one is all that a repeated failure costs.
pub(in super::super) const REQUEST_ORDER: [(&str, Matcher); 6] = [
    ("repeat: requests of this operation, errno and fault", repeat),
    ("refine: requests of this operation and errno, of which no driver said why", refine),
    ("attempts: commands at this very place that failed before, and were sent again", attempts),
    ("attempts without a place: commands of which the tracepoint has none, a moment ago", without_place),
    ("flush: the flush that the kernel sent before this write", flush_of_it),
    ("other devices: so many fail that there is no room for one more event", other_devices),
];

/// What becomes of a failed request.
pub(in super::super) fn decide_request(view: &View<'_>, failed: &Failed<'_>) -> RequestMatch {
    REQUEST_ORDER.iter().find_map(|(_, matcher)| matcher(view, failed)).unwrap_or(RequestMatch::Open)
}

fn repeat(view: &View<'_>, failed: &Failed<'_>) -> Option<RequestMatch> {
    let (place, fold) = view.fold(failed.key(failed.fault()))?;
    // A request of which the driver's probe says nothing is none that a path answered so.
    let path_state = Some(Fault::Scsi(scsi::ScsiFault::PathState));
    let is_other = failed.command.is_none() && view.live.has(Kind::ScsiDone) && fold.fault == path_state;
    (!is_other).then_some(RequestMatch::Repeat(place))
}

fn refine(view: &View<'_>, failed: &Failed<'_>) -> Option<RequestMatch> {
    failed.refined?;
    let (place, fold) = view.fold(failed.key(None))?;
    fold.fault.is_none().then_some(RequestMatch::Refine(place))
}

fn attempts(view: &View<'_>, failed: &Failed<'_>) -> Option<RequestMatch> {
    let (scope, op) = (failed.scope(), failed.request.op);
    let faults = failed.command.map(|command| command.fault).into_iter().chain([Fault::TimedOut]);
    let keys = faults.flat_map(|fault| [FoldKey::driver_op(scope, fault, op), FoldKey::driver(scope, fault)]);
    let is = |fold: &Fold| !fold.has_requests && fold.is_about(op, failed.request.sector);
    keys.filter_map(|key| view.fold(key))
        .find(|(_, fold)| is(fold))
        .map(|(place, _)| RequestMatch::Attempts(place))
}

/// The fault that attempts have of which the classic tracepoint of NVMe has neither place nor operation.
pub(in super::super) const fn fault_without_place(errno: Errno) -> Option<Fault> {
    match errno {
        Errno::EIO => Some(Fault::Nvme(nvme::NvmeFault::Io)),
        Errno::ENODATA | Errno::EILSEQ => Some(Fault::Nvme(nvme::NvmeFault::Medium)),
        _ => None,
    }
}

fn without_place(view: &View<'_>, failed: &Failed<'_>) -> Option<RequestMatch> {
    let fault = fault_without_place(failed.request.errno)?;
    let (place, fold) = view.fold(FoldKey::driver(failed.scope(), fault))?;
    let is_blind = fold.event().io.as_ref().is_some_and(|io| io.op == Op::Unknown && io.sector.is_none());
    let is_soon = match (failed.time.monotonic_ns, fold.last().monotonic_ns) {
        (Some(now), Some(last)) => now.saturating_sub(last) < SOON_NS,
        _ => true,
    };
    (!fold.has_requests && is_blind && is_soon).then_some(RequestMatch::AttemptsWithoutPlace(place))
}

/// A write that begins with a flush fails once for the flush, with no sectors left, and once for itself.
fn flush_of_it(view: &View<'_>, failed: &Failed<'_>) -> Option<RequestMatch> {
    let Request { op, errno, sector, .. } = failed.request;
    let sector = sector.filter(|sector| op == Op::Write && *sector != Sector(0))?;
    let (place, fold) = view.fold(FoldKey::block(failed.scope(), Op::Flush, errno, None))?;
    (!fold.is_out() && fold.is_flush_before(sector)).then_some(RequestMatch::FlushOfIt(place))
}

fn other_devices(view: &View<'_>, failed: &Failed<'_>) -> Option<RequestMatch> {
    if failed.command.is_some() || !view.table.is_busy(failed.now_ns) {
        return None;
    }
    let Request { op, errno, .. } = failed.request;
    view.find(FoldKey::block(Scope::REST, op, errno, None)).map(RequestMatch::OtherDevices)
}
