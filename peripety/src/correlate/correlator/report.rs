//! What filesystems report by peripety-watch: joined to what probes and text say of the same failure, where they do.

use super::{
    super::{fold::Origin, fold_table::FoldId, key::FoldKey, matching::report, waiting_lines::Line},
    Context, Correlator, detail, event_builder, scope,
};
use crate::parser::RawEvent;

impl Correlator {
    /// A report. It waits a little for what the kernel says by other ways.
    pub(crate) fn report(&mut self, raw: RawEvent, cx: &mut Context<'_>) {
        let scope = scope(&raw, event_builder::device(&raw, cx.facts).as_deref());
        if let Some(place) = report::seek(&self.view(), &raw, scope) {
            self.add_report(place, &raw);
        } else if let Some(line) = self.waiting_lines.push(raw, scope, self.now_ns) {
            self.unmatched(line, cx);
        }
    }

    /// Adds what a report says to the event that it is about. It counts with all that the filesystem found since it was read
    /// last, so its count is none of this event's.
    pub(super) fn add_report(&mut self, place: FoldId, raw: &RawEvent) {
        let Some(fold) = self.table.get_mut(place) else { return };
        let before = fold.event().facts.fs.clone();
        fold.learn(raw);
        if fold.is_out() && fold.event().facts.fs != before {
            self.table.write_again(place, self.now_ns);
        }
    }

    /// A report that waited: nobody else says it.
    pub(super) fn report_alone(&mut self, line: Line, cx: &mut Context<'_>) {
        let Line { raw, scope, .. } = line;
        if let Some(place) = report::seek(&self.view(), &raw, scope) {
            return self.add_report(place, &raw);
        }
        let block = event_builder::device(&raw, cx.facts);
        let key = FoldKey::typed(scope, raw.event_type.as_str(), detail(&raw));
        if let Some(place) = self.open(&raw, block, &[key], Origin::Uevent, None, cx) {
            self.attach_held(place);
        }
    }
}
