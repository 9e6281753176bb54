//! Reports of filesystems, which name the inode and the errno: to the event that probes and text made of the same failure.

use super::{
    super::{fold::Fold, fold_table::FoldId, key::Scope},
    View,
};
use crate::{event::EventType, parser::RawEvent};

/// As what else than its own type the failure may be known.
fn same(event_type: &EventType) -> &'static [EventType] {
    const ERROR: &[EventType] =
        &[EventType::FS_ERROR, EventType::FS_DATA_LOST, EventType::BLK_LOST_WRITE, EventType::FS_SHUTDOWN];
    const LOST: &[EventType] = &[EventType::FS_DATA_LOST, EventType::BLK_LOST_WRITE, EventType::FS_ERROR];
    const SHUTDOWN: &[EventType] = &[EventType::FS_SHUTDOWN];
    if *event_type == EventType::FS_SHUTDOWN {
        SHUTDOWN
    } else if *event_type == EventType::FS_DATA_LOST {
        LOST
    } else {
        ERROR
    }
}

/// The errno of a filesystem that was shut down.
const SHUT_DOWN: i64 = -108;

/// The open event that a report is about: the latest of its filesystem that names the same inode, else the latest that names
/// none.
pub(in super::super) fn seek(view: &View<'_>, raw: &RawEvent, scope: Scope) -> Option<FoldId> {
    let facts = raw.facts.fs.as_ref()?;
    let types = same(&raw.event_type);
    let inode_of = |fold: &Fold| fold.event().facts.fs.as_ref().and_then(|fs| fs.inode);
    let places = view.table.oldest_first();
    let candidates = || {
        places.iter().rev().filter_map(|place| {
            let fold = view.table.get(*place)?;
            let is_same = fold.keys.iter().any(|key| key.scope == scope.0);
            (is_same && types.contains(&fold.event().event_type)).then_some((*place, fold))
        })
    };
    let named = facts.inode.and_then(|inode| candidates().find(|(_, fold)| inode_of(fold) == Some(inode)));
    let unnamed = || {
        candidates().find(|(_, fold)| {
            let open = inode_of(fold).is_none() || facts.inode.is_none();
            // That the filesystem is shut down is said of each access; another error is another failure.
            let is_shutdown = fold.event().event_type == EventType::FS_SHUTDOWN;
            open && (is_shutdown
                == (facts.error == Some(SHUT_DOWN) || raw.event_type == EventType::FS_SHUTDOWN))
        })
    };
    named.or_else(unnamed).map(|(place, _)| place)
}
