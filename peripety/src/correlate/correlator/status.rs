//! What the status of a map or an array shows: joined to what the kernel printed of the same, where it did.

use super::{
    super::{fold::Origin, fold_table::FoldId, key::FoldKey, matching::status},
    Context, Correlator, detail, event_builder, scope,
};
use crate::{block::BlkInfo, parser::RawEvent};

impl Correlator {
    /// What a status says that was not so before. The kernel prints before it changes the status, so its lines are read.
    pub(crate) fn status(&mut self, raw: &RawEvent, cx: &mut Context<'_>) {
        self.left.note(raw, cx.facts);
        let block = event_builder::device(raw, cx.facts);
        let scope = scope(raw, block.as_deref());
        let known = status::seek(&self.view(), raw, scope);
        let nameless = known.map_or_else(|| status::seek_nameless(&self.view(), raw), |_| None);
        if let Some(place) = known.or(nameless).and_then(|place| self.still_open(place, raw.time, cx)) {
            if let (Some(_), Some(block)) = (nameless, &block) {
                self.is_about(place, block, FoldKey::typed(scope, raw.event_type.as_str(), detail(raw)));
            }
            let Some(fold) = self.table.get_mut(place) else { return };
            let before = fold.event().facts.clone();
            fold.learn(raw);
            if fold.is_out() && fold.event().facts != before {
                self.table.write_again(place, self.now_ns);
            }
            return;
        }
        let own = FoldKey::typed(scope, raw.event_type.as_str(), detail(raw));
        // A line of text says the type and the device, and not always more.
        let plain = FoldKey::typed(scope, raw.event_type.as_str(), 0);
        let keys = if own == plain { vec![own] } else { vec![own, plain] };
        if let Some(place) = self.open(raw, block, &keys, Origin::Uevent, None, cx) {
            self.attach_held(place);
        }
    }
    /// An event that named no device is about this one.
    fn is_about(&mut self, place: FoldId, block: &BlkInfo, key: FoldKey) {
        self.table.add_key(place, key);
        let Some(fold) = self.table.get_mut(place) else { return };
        fold.node.dev = Some(block.id.dev);
        fold.node.owners = block.owners.iter().map(|owner| owner.dev).collect();
        // What fails of it later finds it.
        let last_ns = fold.last().monotonic_ns.unwrap_or(fold.node.first_ns);
        self.causes.remember(&fold.node, fold.event(), Some(place), last_ns);
    }
}
