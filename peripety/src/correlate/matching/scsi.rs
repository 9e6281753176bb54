//! The lines that the SCSI layer prints about one failed command: its result, its sense data, its bytes. Lines of other
//! devices may stand between them.

use super::{
    super::{
        fault::{Fault, refines},
        fold::Fold,
        fold_table::FoldId,
        key::{FoldKey, Scope},
    },
    Sought, View,
    line::{fault_of, is_chain, is_near, is_of_chain},
};
use crate::{
    event::{EventType, Facts, facts::ScsiFacts},
    parser::{RawEvent, scsi::ScsiFault},
};

/// Faults by the sense key that report of a unit comes with.
pub(in super::super) const CARRIERS: &[ScsiFault] = &[ScsiFault::Recovered, ScsiFault::UnitAttention];

/// By the error handling that it belongs to, else by its fault, else by a unit attention of which it is the other part, else
/// by the latest request of the device.
pub(super) fn of_chain(view: &View<'_>, raw: &RawEvent, scope: Scope) -> Sought {
    if !is_chain(raw) {
        return Sought::Next;
    }
    let fault = fault_of(raw);
    let same_fault = || view.find(FoldKey::driver(scope, Fault::Scsi(fault?)));
    let found = of_recovery(view, raw, scope)
        .or_else(same_fault)
        .or_else(|| of_attention(view, raw, scope, fault))
        .or_else(|| of_latest_request(view, raw, scope, fault));
    Sought::or_absent(found)
}

/// The error handling that a command's line belongs to: drivers print the command that they take back.
fn of_recovery(view: &View<'_>, raw: &RawEvent, scope: Scope) -> Option<FoldId> {
    const RECOVERIES: [EventType; 2] = [EventType::USB_STORAGE_ERROR, EventType::SCSI_ERROR_RECOVERY];
    let scsi = raw.facts.scsi.as_deref().filter(|scsi| !scsi.has_result())?;
    let has_chain = || {
        let of_other = |other: &ScsiFacts| other.tag == scsi.tag && other.host_byte.is_some();
        let same = |other: &RawEvent| other.facts.scsi.as_deref().is_some_and(of_other);
        view.held.any(|line| line.scope == scope && same(&line.raw))
            || view.fold(FoldKey::latest_request(scope)).is_some_and(|(_, fold)| is_same_command(fold, raw))
    };
    if has_chain() {
        return None;
    }
    RECOVERIES.iter().find_map(|event_type| {
        let (place, fold) = view.fold(FoldKey::typed(scope, event_type.as_str(), 0))?;
        is_near(fold, raw).then_some(place)
    })
}

/// The lines of a chain about report of a unit: the line of the sense key says no more than recovered error or unit attention,
/// the next one what it is. Either may have been first.
fn of_attention(view: &View<'_>, raw: &RawEvent, scope: Scope, fault: Option<ScsiFault>) -> Option<FoldId> {
    let now = fault.filter(|fault| fault.is_change() || CARRIERS.contains(fault))?;
    let carried = |fault: &ScsiFault| {
        if CARRIERS.contains(&now) { fault.is_change() } else { CARRIERS.contains(fault) }
    };
    ScsiFault::ALL.iter().filter(|fault| carried(fault)).find_map(|fault| {
        let (place, fold) = view.fold(FoldKey::driver(scope, Fault::Scsi(*fault)))?;
        let key_of = |facts: &Facts| facts.scsi.as_ref().and_then(|scsi| scsi.sense_key);
        let reported = key_of(&fold.event().facts);
        let same = reported.is_some() && reported == key_of(&raw.facts);
        (is_of_chain(raw.time, fold) && !fold.has_requests && (same || !CARRIERS.contains(&now)))
            .then_some(place)
    })
}

fn of_latest_request(
    view: &View<'_>,
    raw: &RawEvent,
    scope: Scope,
    fault: Option<ScsiFault>,
) -> Option<FoldId> {
    let (place, fold) = view.fold(FoldKey::latest_request(scope))?;
    let fits = match fault {
        _ if is_same_command(fold, raw) => true,
        _ if fold.fault.is_none() && !fold.has_requests => true,
        Some(fault) if fold.fault.is_none() => fold.errno().is_some_and(|errno| refines(fault, errno)),
        Some(fault) => fold.fault == Some(Fault::Scsi(fault)),
        None => true,
    };
    fits.then_some(place)
}

/// Whether a line of a chain is about the command that the latest failure of a fold was.
fn is_same_command(fold: &Fold, raw: &RawEvent) -> bool {
    const CHAIN_US: i64 = 500_000;
    let tag = raw.facts.scsi.as_ref().and_then(|scsi| scsi.tag);
    let Facts { scsi, block, .. } = &fold.event().facts;
    let of_fold = None
        .or_else(|| block.as_ref().and_then(|block| block.tag))
        .or_else(|| scsi.as_ref().and_then(|scsi| scsi.tag));
    tag.is_some() && of_fold == tag && (raw.time.realtime_us - fold.last().realtime_us).abs() < CHAIN_US
}
