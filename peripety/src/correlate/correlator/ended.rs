//! What ends a failure, and what puts one right.

use super::{
    super::key::{FoldKey, Scope},
    Context, Correlator, detail,
};
use crate::{
    event::{Event, EventType},
    parser::RawEvent,
};

/// What says that a path works again, or failed, and what is over by that: the next one is another event, and an incident sees each end.
const ENDS: [(EventType, EventType); 4] = [
    (EventType::NVME_PATH_RECOVERED, EventType::NVME_PATH_FAILED),
    (EventType::NVME_PATH_FAILED, EventType::NVME_PATH_RECOVERED),
    (EventType::DM_MPATH_PATH_REINSTATED, EventType::DM_MPATH_PATH_FAILED),
    (EventType::DM_MPATH_PATH_FAILED, EventType::DM_MPATH_PATH_REINSTATED),
];

impl Correlator {
    /// Closes what is over by what a record says.
    pub(super) fn end(&mut self, raw: &RawEvent, scope: Scope, cx: &mut Context<'_>) {
        let Some((_, over)) = ENDS.iter().find(|(end, _)| *end == raw.event_type) else { return };
        let Some(place) = self.table.find(&FoldKey::typed(scope, over.as_str(), detail(raw))) else {
            return;
        };
        let earlier =
            |last: Option<u64>| last.zip(raw.time.monotonic_ns).is_none_or(|(last, now)| last <= now);
        if self.table.get(place).is_some_and(|fold| earlier(fold.last().monotonic_ns)) {
            self.close(place, cx);
        }
    }

    /// Whether a filesystem wrote a good copy over each bad one that it met on a device.
    pub(super) fn is_mended(&self, event: &Event, scope: u64, bad: u64) -> bool {
        let key = FoldKey::typed(Scope(scope), EventType::FS_READ_ERROR_CORRECTED.as_str(), 0);
        event.event_type == EventType::FS_CHECKSUM_ERROR
            && self
                .table
                .find(&key)
                .and_then(|place| self.table.get(place))
                .is_some_and(|fold| fold.total() >= bad)
    }

    /// A bad copy was put right: the event about it may be less severe now.
    pub(super) fn note_mended(&mut self, raw: &RawEvent, scope: Scope) {
        if raw.event_type != EventType::FS_READ_ERROR_CORRECTED {
            return;
        }
        let key = FoldKey::typed(scope, EventType::FS_CHECKSUM_ERROR.as_str(), 0);
        if let Some(place) = self.table.find(&key) {
            self.table.write_again(place, self.now_ns);
        }
    }
}
