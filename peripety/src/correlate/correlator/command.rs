//! Lines in which a driver reports a command that failed, and the block layer's line about the request that failed of it.
//!
//! A probe's record names the request; of lines only the place on the disk says that they are about the same.

use super::{
    super::{
        fault::{Fault, refines},
        fold::Origin,
        fold_table::FoldId,
        key::{FoldKey, Scope},
        matching::{
            command::{is_command, is_scsi_disk},
            line::{errno_of, probes_for},
        },
    },
    Context, Correlator, event_builder,
};
use crate::{
    block::Dev,
    event::{Errno, EventType, Op},
    parser::{self, RawEvent, nvme::NvmeFault},
};

impl Correlator {
    /// A line about a failed request: if what drivers said of its command is an event already, the request is what became
    /// of that.
    pub(super) fn join_command(&mut self, raw: &RawEvent, scope: Scope, cx: &mut Context<'_>) -> bool {
        // The probe that counts requests joins them by itself.
        if self.live.covers(probes_for(raw), raw.time.monotonic_ns) {
            return false;
        }
        let (Some(errno), Some(io)) = (errno_of(raw), &raw.io) else { return false };
        let (op, Some(sector)) = (io.op, io.sector) else { return false };
        let of_scsi_disk = is_scsi_disk(&raw.kdev.to_text());
        let found = self.view().only(|fold| {
            let event = fold.event();
            let same = fold.keys.first().is_some_and(|key| key.scope == scope.0)
                || (of_scsi_disk && event.block.is_none() && event.sub_system.as_str() == "ata");
            let command = || parser::command(&event.facts, event.io.as_ref());
            let fault = fold.fault.and_then(Fault::scsi);
            same && !fold.has_requests
                && fault.is_none_or(|fault| refines(fault, errno))
                && (fold.is_about(op, Some(sector))
                    || command().is_some_and(|command| command.has(op, sector)))
        });
        let Some(place) = found else { return false };
        let block = event_builder::device(raw, cx.facts);
        let Some(fold) = self.table.get_mut(place) else { return false };
        // The disk rather than its port.
        fold.event_mut().kdev = event_builder::kdev(raw, block.as_deref());
        if fold.event().block.is_none() {
            fold.event_mut().block = block;
            fold.node.dev = scope.as_dev().map(Dev::from_kernel);
        }
        fold.request_failed(errno, 1);
        if let Some(mine) = &mut fold.event_mut().io {
            mine.op = if op == Op::Unknown { mine.op } else { op };
            mine.sector = Some(sector);
        }
        fold.learn(raw);
        let fault = fold.fault;
        if let Some(fold) = self.table.touch(place, self.now_ns) {
            fold.add(Origin::TextAlone, raw.count, raw.time, Some((sector, io.nr_sectors.unwrap_or(1))));
        }
        for key in [
            FoldKey::block(scope, op, errno, None),
            FoldKey::block(scope, op, errno, fault),
            FoldKey::latest_request(scope),
        ] {
            self.table.add_key(place, key);
        }
        self.attach_held(place);
        true
    }

    /// A driver's line about a failed request makes it more precise, and what follows of its kind is about it as well.
    pub(super) fn refine_by_command(&mut self, place: FoldId, raw: &RawEvent, scope: Scope) {
        let Some(fold) = self.table.get_mut(place) else { return };
        if !fold.has_requests || !is_command(raw) {
            return;
        }
        let nvme = nvme_fault(&raw.event_type);
        // Medium and path are more precise than any errno; of all else, the errno may say more, unless it is EIO.
        let refines =
            matches!(nvme, Some(NvmeFault::Medium | NvmeFault::Path)) || fold.errno() == Some(Errno::EIO);
        if fold.fault.is_none() && refines && fold.event().sub_system.as_str() == "block" {
            let fault = nvme.map(Fault::Nvme);
            fold.refine(raw.event_type.clone(), fault);
            if let Some(fault) = fault {
                self.table.add_key(place, FoldKey::driver(scope, fault));
            }
        }
        self.table.add_key(place, FoldKey::typed(scope, raw.event_type.as_str(), super::detail(raw)));
    }
}

fn nvme_fault(event_type: &EventType) -> Option<NvmeFault> {
    [NvmeFault::Medium, NvmeFault::Path, NvmeFault::Io]
        .into_iter()
        .find(|fault| fault.event_type() == *event_type)
}
