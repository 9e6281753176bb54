//! What btrfs says of data that do not match their checksum: one line names the filesystem and the file, the next the
//! device whose copy is bad. The filesystem's name is that of any of its devices, so the first waits for the second.

use super::{
    super::{
        fold::Origin,
        key::{FoldKey, Scope},
        matching::filesystem::{is_checksum, names_member},
        waiting_lines::Line,
    },
    Context, Correlator, event_builder,
};
use crate::parser::RawEvent;

impl Correlator {
    /// A device has a bad copy: what was said of it before is about that device.
    pub(super) fn bad_copy(&mut self, mut raw: RawEvent, scope: Scope, cx: &mut Context<'_>) {
        let fs = names_member(&raw).unwrap_or_default().to_owned();
        let said: Vec<Line> =
            self.waiting_lines.take(|line| is_checksum(&line.raw) && line.raw.kdev.to_text() == fs);
        // Each bad copy is counted once, by the first of its lines that was not left out.
        raw.count = said.iter().map(|line| line.raw.count).sum::<u64>().max(raw.count);
        let key = FoldKey::typed(scope, raw.event_type.as_str(), 0);
        let place = match self.open_at(&key, raw.time, cx) {
            Some(place) => {
                if let Some(fold) = self.table.touch(place, self.now_ns) {
                    fold.add(Origin::TextAlone, raw.count, raw.time, None);
                }
                Some(place)
            }
            None => {
                let own = raw.raw_msg.take();
                let block = event_builder::device(&raw, cx.facts);
                let place = self.open(&raw, block, &[key], Origin::TextAlone, None, cx);
                raw.raw_msg = own;
                place
            }
        };
        if let Some(fold) = place.and_then(|place| self.table.get_mut(place)) {
            said.iter().for_each(|line| fold.learn(&line.raw));
            fold.learn(&raw);
        }
    }
}
