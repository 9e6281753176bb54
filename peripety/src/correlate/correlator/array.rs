//! Lines of md that name neither array nor member: which array they are about, by what has just failed below.

use super::{Context, Correlator};
use crate::{
    block::{BlkId, BlkInfo, BlkType},
    parser::{Kdev, RawEvent},
};

impl Correlator {
    /// Names the array, if exactly one has a member that has just failed; else says which ones it may be.
    pub(super) fn name_array(&self, raw: &mut RawEvent, cx: &Context<'_>) {
        let at_ns = raw.time.monotonic_ns.unwrap_or(self.now_ns);
        let mut arrays: Vec<BlkId> = Vec::new();
        for dev in self.causes.failed_before(at_ns, &self.table) {
            let Some(info) = cx.facts.by_dev(dev, raw.time.monotonic_ns) else { continue };
            for array in arrays_of(&info) {
                if !arrays.iter().any(|known| known.dev == array.dev) {
                    arrays.push(array.clone());
                }
            }
        }
        let name = |id: &BlkId| id.blk_path.strip_prefix("/dev/").unwrap_or(&id.blk_path).to_owned();
        match arrays.as_slice() {
            [] => {}
            [array] => {
                raw.kdev = Kdev::Dev(array.dev);
                raw.facts.md.get_or_insert_default().array = Some(name(array));
            }
            several => {
                let names = several.iter().map(BlkId::name).collect();
                raw.facts.md.get_or_insert_default().candidates = Some(names);
            }
        }
    }
}

/// The md and dm-raid arrays that a device is, or is part of.
fn arrays_of(info: &BlkInfo) -> impl Iterator<Item = &BlkId> {
    let all = || [&info.id].into_iter().chain(&info.holders).chain(&info.owners);
    // LVM gives md its legs as volumes of their own: `vg-lv_rimage_0`.
    let has_leg = all().any(|id| {
        id.blk_type == BlkType::DmLvmInternal
            && ["_rimage_", "_rmeta_"].iter().any(|part| id.preferred_blk_path.contains(part))
    });
    all().filter(move |id| match id.blk_type {
        BlkType::Md | BlkType::DmRaid => true,
        BlkType::DmLvm => has_leg,
        _ => false,
    })
}
