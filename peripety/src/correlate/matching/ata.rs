//! Lines of libata about a command that failed, of which the SCSI layer's timeout hook reports too.

use super::{
    super::{
        fault::Fault,
        fold::Fold,
        key::{FoldKey, Scope},
    },
    Sought, View,
    line::is_near,
};
use crate::{event::EventType, parser::RawEvent};

/// By the record of the timeout hook, else by what libata said of the link just before.
pub(super) fn of_command(view: &View<'_>, raw: &RawEvent, scope: Scope) -> Sought {
    if !is_ata_command(raw) {
        return Sought::Next;
    }
    let exception = || {
        let (place, fold) = view.fold(FoldKey::typed(scope, EventType::ATA_LINK_ERROR.as_str(), 0))?;
        (is_exception(fold) && is_near(fold, raw)).then_some(place)
    };
    Sought::or_next(view.find(FoldKey::driver(scope, Fault::TimedOut)).or_else(exception))
}

/// Whether a line is libata's about a command that failed.
pub(in super::super) fn is_ata_command(raw: &RawEvent) -> bool {
    raw.sub_system.as_str() == "ata" && raw.facts.ata.as_ref().is_some_and(|ata| ata.is_command())
}

/// Whether libata reported the link, of which commands failed.
pub(in super::super) fn is_exception(fold: &Fold) -> bool {
    fold.event().sub_system.as_str() == "ata"
        && fold.event().facts.ata.as_ref().is_some_and(|ata| ata.serr.is_some())
}
