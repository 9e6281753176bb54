//! What daemons say in user space: joined to the kernel's event about the same thing, where there is one.
//!
//! A daemon says what it found, often in several lines and some time after the kernel did: its lines add words and a
//! source, and never a count.

use super::{
    super::{
        fold::Origin,
        fold_table::FoldId,
        key::{FoldKey, Scope},
        matching::{Match, daemon_log},
        waiting_lines::Line,
    },
    Context, Correlator, event_builder, scope,
};
use crate::{
    block::Dev,
    event::EventType,
    parser::{Kdev, RawEvent},
};

impl Correlator {
    /// What a line of a program says. It waits a little for the kernel's own word.
    pub(super) fn program(&mut self, mut raw: RawEvent, cx: &mut Context<'_>) {
        if raw.kdev.is_floppy() {
            return;
        }
        name_leg(&mut raw, cx);
        let block = event_builder::device(&raw, cx.facts);
        let scope = scope(&raw, block.as_deref());
        let changed = self.reported_states.note(&raw, scope, block.as_deref());
        if let Some(place) = self.open_counterpart(&raw, scope, cx) {
            self.add_words(place, &raw);
            return;
        }
        if daemon_log::unless_open(&self.view(), scope, changed) == Match::Wait
            && let Some(line) = self.waiting_lines.push(raw, scope, self.now_ns)
        {
            self.unmatched(line, cx);
        }
    }

    /// A line that waited: the kernel said nothing of it.
    pub(super) fn program_alone(&mut self, line: Line, cx: &mut Context<'_>) {
        if let Some(place) = self.open_counterpart(&line.raw, line.scope, cx) {
            return self.add_words(place, &line.raw);
        }
        let mut raw = line.raw;
        let block = event_builder::device(&raw, cx.facts);
        let keys: Vec<FoldKey> = daemon_log::keys(&raw, line.scope).collect();
        let words = raw.raw_msg.take();
        let Some(place) = self.open(&raw, block, &keys, Origin::Program, None, cx) else { return };
        self.attach_held(place);
        if let (Some(words), Some(fold)) = (words, self.table.get_mut(place)) {
            fold.line(&words);
        }
    }

    fn open_counterpart(&mut self, raw: &RawEvent, scope: Scope, cx: &mut Context<'_>) -> Option<FoldId> {
        daemon_log::keys(raw, scope)
            .collect::<Vec<_>>()
            .iter()
            .find_map(|key| self.open_at(key, raw.time, cx))
    }

    /// Adds what a program says to the event it is about.
    pub(super) fn add_words(&mut self, place: FoldId, raw: &RawEvent) {
        let Some(fold) = self.table.get_mut(place) else { return };
        // A state that it repeats says no more than before.
        let known = raw.raw_msg.as_ref().is_some_and(|line| fold.event().raw_msgs.contains(line));
        if !(raw.state && known) {
            fold.learn(raw);
        }
    }

    /// What is said of a map is said of the latest event about one of its paths.
    pub(super) fn known_by_its_map(&mut self, place: FoldId, raw: &RawEvent, cx: &Context<'_>) {
        let Some(map) = raw.facts.mpath.as_ref().and_then(|mpath| mpath.map.as_deref()) else { return };
        let dev = match map.parse::<Dev>() {
            Ok(dev) => Some(dev),
            Err(_) => {
                cx.facts.by_name(&format!("/dev/mapper/{map}"), raw.time.monotonic_ns).map(|b| b.id.dev)
            }
        };
        if let Some(dev) = dev.filter(|_| raw.sub_system.as_str() == "multipath") {
            let key =
                FoldKey::typed(Scope::dev(dev.to_kernel()), EventType::MULTIPATHD_MAP_EVENT.as_str(), 0);
            self.table.add_key(place, key);
        }
    }
}

/// dmeventd counts the legs of LVM's RAID; the kernel names them, and so does LVM: the leg is what failed.
fn name_leg(raw: &mut RawEvent, cx: &Context<'_>) {
    if raw.event_type != EventType::DM_RAID_LEG_FAILED {
        return;
    }
    let Some(dm) = &mut raw.facts.dm else { return };
    let (Some(lv), Some(leg)) = (&dm.name, &dm.leg) else { return };
    let image = format!("/dev/mapper/{lv}_rimage_{leg}");
    let Some(leg) = cx.facts.by_name(&image, raw.time.monotonic_ns).filter(|leg| !leg.id.dev.is_none())
    else {
        return;
    };
    raw.kdev = Kdev::Dev(leg.id.dev);
    dm.leg = None;
}
