//! What the status of a map shows: the event that lines of text made of the same.

use super::{
    super::{fold_table::FoldId, key::Scope},
    View,
};
use crate::{
    event::{Event, Facts},
    parser::RawEvent,
};

/// The open event of the same type and device that does not say otherwise: of another leg, area or level.
pub(in super::super) fn seek(view: &View<'_>, raw: &RawEvent, scope: Scope) -> Option<FoldId> {
    newest(view, raw, scope, |_| true)
}

/// The open event that lines of text made which name no map: of some targets the kernel prints no more than what happened.
/// What a line without a name says of a mirror is not about one of its legs.
pub(in super::super) fn seek_nameless(view: &View<'_>, raw: &RawEvent) -> Option<FoldId> {
    if raw.facts.dm.as_ref().is_some_and(|dm| dm.leg.is_some()) {
        return None;
    }
    newest(view, raw, Scope::name(""), |event| {
        event.block.is_none() && event.facts.dm.as_ref().is_none_or(|dm| dm.name.is_none())
    })
}

fn newest(view: &View<'_>, raw: &RawEvent, scope: Scope, is_it: impl Fn(&Event) -> bool) -> Option<FoldId> {
    let places = view.table.oldest_first();
    places.into_iter().rev().find(|place| {
        view.table.get(*place).is_some_and(|fold| {
            let event = fold.event();
            event.event_type == raw.event_type
                && fold.keys.iter().any(|key| key.scope == scope.0)
                && fits(&event.facts, &raw.facts)
                && is_it(event)
        })
    })
}

fn fits(known: &Facts, new: &Facts) -> bool {
    fn agree<T: PartialEq>(known: Option<T>, new: Option<T>) -> bool {
        known.zip(new).is_none_or(|(known, new)| known == new)
    }
    let (known, new) = (known.dm.as_deref(), new.dm.as_deref());
    let (Some(known), Some(new)) = (known, new) else { return true };
    agree(known.leg.as_ref(), new.leg.as_ref())
        && agree(known.position, new.position)
        && agree(known.area.as_ref(), new.area.as_ref())
        && agree(known.side.as_ref(), new.side.as_ref())
        // A level that is reached after another one is no repetition.
        && agree(known.percent.filter(|_| new.area.is_some()), new.percent)
}
