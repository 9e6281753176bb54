//! Records of the ring buffer: to the fold they belong to by numbers alone, to a parser only if they open one.

use std::io::{Cursor, Write as _};

use peripety_common::{
    FLAG_CLASSIC, Header, KernelRecord, Kind, Payload, block_bio,
    block_rq::is_normal,
    nvme_rq::NvmeRq,
    scsi_cmd::{NO_SECTOR, ScsiCmd},
    slow::SlowRq,
    text::until_nul,
    wb_err::WbErr,
};

use super::{
    super::{
        fault::Fault,
        fold::Origin,
        fold_table::FoldId,
        key::{FoldKey, Scope},
        matching::probe_request::Request,
        pending_commands::{At, Driver, Pending, nvme_scope, scsi_scope},
    },
    Context, Correlator, detail, event_builder,
};
use crate::{
    block::{Dev, Transport},
    event::{Errno, EventType, Op, Sector, SubSystem, facts::Member},
    parser::{self, Kdev, RawEvent, block, nvme, scsi},
    record::Stamp,
};

impl Correlator {
    /// A record of the ring buffer.
    pub(crate) fn kernel(&mut self, record: &KernelRecord, time: Stamp, cx: &mut Context<'_>) {
        let Some(kind) = record.kind() else { return };
        self.silence.seen(kind, self.now_ns);
        match &record.payload {
            Payload::BlockRq(rq) if Kdev::Dev(Dev::from_kernel(rq.dev)).is_floppy() => {}
            Payload::BlockRq(rq) if is_of_no_disc(rq.dev, Errno::from_raw(rq.errno)) => {}
            Payload::BlockRq(rq) if !is_normal(rq.errno, rq.cmd_flags) => {
                let op = block::request_op(rq);
                let rq = Request {
                    dev: rq.dev,
                    op,
                    errno: Errno::from_raw(rq.errno),
                    sector: block::place(rq.sector),
                    nr_sectors: rq.nr_sectors,
                    extent: None,
                    kind,
                };
                self.request(rq, record, time, cx);
            }
            Payload::BlockBio(bio) if !block_bio::is_normal(bio) => {
                let (op, extent) = (block::bio_op(bio), block::bio_extent(bio));
                let (sector, nr_sectors) = bio.sectors();
                let (errno, sector) = (Errno::from_raw(bio.errno), block::place(sector));
                let rq = Request { dev: bio.dev, op, errno, sector, nr_sectors, extent, kind };
                self.request(rq, record, time, cx);
            }
            Payload::ScsiDone(cmd) => self.scsi_done(&record.header, cmd, time, cx),
            Payload::NvmeRq(rq) => self.nvme_done(&record.header, rq, time, cx),
            Payload::ScsiTimeout(cmd) => {
                let scope = scsi_scope(cmd, time, cx.facts);
                let key = FoldKey::driver_op(scope, Fault::TimedOut, scsi::op(cmd));
                self.counted(key, kind, record, time, cx);
            }
            Payload::ScsiEh(eh) => {
                if self.woken_by_ata(eh.host, kind, time, cx) {
                    return;
                }
                let key = FoldKey::driver_unnamed(Scope::number(Scope::SCSI_HOST, eh.host), 0);
                self.counted(key, kind, record, time, cx);
            }
            Payload::NvmeAen(aen) => {
                let scope = Scope::number(Scope::NVME, aen.ctrl.unsigned_abs());
                let key = FoldKey::driver_unnamed(scope, aen.result.into());
                self.counted(key, kind, record, time, cx);
            }
            Payload::Ext4Error(error) => {
                let key = FoldKey::ext4(Scope::dev(error.dev), until_nul(&error.function), error.line);
                self.counted(key, kind, record, time, cx);
            }
            Payload::Ext4Shutdown(s) => self.counted(shut_down(s.dev), kind, record, time, cx),
            Payload::XfsShutdown(s) => self.counted(shut_down(s.dev), kind, record, time, cx),
            Payload::WbErr(wb) => self.lost_write(wb, record, time, cx),
            Payload::SlowRq(slow) => self.slow(slow, record, time, cx),
            _ => {}
        }
    }

    /// libata wakes the error handler for every command that failed: where that was reported, it is not new.
    fn woken_by_ata(&mut self, host: u32, kind: Kind, time: Stamp, cx: &mut Context<'_>) -> bool {
        // A storm allocates nothing.
        let mut name = Cursor::new([0; 16]);
        let _it_fits = write!(name, "host{host}");
        let length = usize::try_from(name.position()).unwrap_or(0);
        let name = str::from_utf8(name.get_ref().get(..length).unwrap_or_default()).unwrap_or_default();
        let Some(disk) = cx.facts.by_name(name, time.monotonic_ns) else { return false };
        let key = FoldKey::driver(Scope::dev(disk.id.dev.to_kernel()), Fault::TimedOut);
        let fold = self.open_at(&key, time, cx).and_then(|place| self.table.get_mut(place));
        fold.map(|fold| fold.reported_by(kind)).is_some()
    }

    /// A record that stands for one failure and is found by one key.
    fn counted(
        &mut self,
        key: FoldKey,
        kind: Kind,
        record: &KernelRecord,
        time: Stamp,
        cx: &mut Context<'_>,
    ) {
        if let Some(place) = self.open_at(&key, time, cx) {
            if let Some(fold) = self.table.touch(place, self.now_ns) {
                fold.add(Origin::Probe, 1, time, sectors_of(record));
                fold.reported_by(kind);
            }
            return;
        }
        if let Some(raw) = parser::kernel(record, time) {
            self.first(raw, key, kind, cx);
        }
    }

    fn first(&mut self, mut raw: RawEvent, key: FoldKey, kind: Kind, cx: &mut Context<'_>) {
        let block = event_builder::device(&raw, cx.facts);
        // libata calls the same hook for every command that failed, none of which timed out.
        let sata = block.as_ref().is_some_and(|b| matches!(b.id.transport, Some(Transport::Sata { .. })));
        if sata && kind == Kind::ScsiTimeout {
            raw.event_type = EventType::ATA_COMMAND_ERROR;
            raw.sub_system = SubSystem::known("ata");
        }
        let scope = super::scope(&raw, block.as_deref());
        if self.goes_with_the_rest(&raw, scope, block.as_ref(), Origin::Probe, Some(kind), cx) {
            return;
        }
        let typed = |detail| FoldKey::typed(scope, raw.event_type.as_str(), detail);
        // Not every line about a lost write names the inode: those that do not are about the latest.
        // Lines of text name no operation.
        let any_op = FoldKey { code: if kind == Kind::ScsiTimeout { 0 } else { key.code }, ..key };
        let keys = [key, any_op, typed(0), typed(detail(&raw))];
        if let Some(place) = self.open(&raw, block, &keys, Origin::Probe, Some(kind), cx) {
            self.attach_held(place);
        }
    }

    /// The page cache lost data of an inode. The kernel counts on and reports at most once a second.
    fn lost_write(&mut self, wb: &WbErr, record: &KernelRecord, time: Stamp, cx: &mut Context<'_>) {
        let key = FoldKey::inode(wb.dev, wb.ino, Errno::from_raw(wb.errno));
        let newly_lost = self.writeback_counts.newly_lost(key, wb);
        if newly_lost == 0 {
            return;
        }
        if let Some(place) = self.open_at(&key, time, cx) {
            if let Some(fold) = self.table.touch(place, self.now_ns) {
                fold.add(Origin::Probe, 0, time, None);
                fold.lost_pages(newly_lost);
            }
            return;
        }
        let rest = FoldKey::rest(Scope::dev(wb.dev), EventType::BLK_LOST_WRITE.as_str());
        if let Some(place) = self.open_at(&rest, time, cx) {
            self.count_file(place, wb, newly_lost, time);
            return;
        }
        if let Some(mut raw) = parser::kernel(record, time) {
            if let Some(io) = &mut raw.io {
                io.lost_pages = Some(newly_lost);
            }
            self.first(raw, key, Kind::FilemapSetWbErr, cx);
        }
    }

    /// Requests that took long: the longest counts.
    fn slow(&mut self, slow: &SlowRq, record: &KernelRecord, time: Stamp, cx: &mut Context<'_>) {
        // 0 is what all of a type are found by.
        let detail = u64::from(slow.op) + 1;
        let key = FoldKey::typed(Scope::dev(slow.dev), EventType::BLK_SLOW_IO.as_str(), detail);
        if let Some(place) = self.open_at(&key, time, cx) {
            if let Some(fold) = self.table.touch(place, self.now_ns) {
                let sectors = block::place(slow.sector).map(|sector| (sector, slow.nr_sectors.max(1)));
                fold.add(Origin::Probe, slow.count.max(1), time, sectors);
                fold.took_ms(slow.longest_ns / 1_000_000);
            }
        } else if let Some(raw) = parser::kernel(record, time) {
            self.first(raw, key, Kind::BlockRqSlow, cx);
        }
    }

    /// One more file of a filesystem that loses so many that they are reported together: numbers only.
    fn count_file(&mut self, place: FoldId, wb: &WbErr, newly_lost: u64, time: Stamp) {
        let Some(fold) = self.table.touch(place, self.now_ns) else { return };
        fold.add(Origin::Probe, newly_lost, time, None);
        let Some(crowd) = &mut fold.crowd else { return };
        crowd.add(wb.ino, newly_lost, || Member {
            inode: Some(wb.ino),
            path: parser::fs::path(wb),
            ..Member::default()
        });
    }

    fn scsi_done(&mut self, header: &Header, cmd: &ScsiCmd, time: Stamp, cx: &mut Context<'_>) {
        let Some(fault) = scsi::classify(cmd) else { return };
        let pending = Pending::new(*header, time, Driver::Scsi(*cmd), fault.into(), self.now_ns);
        let at = match scsi::op(cmd) {
            _ if fault.is_change() => None,
            Op::Passthrough => None,
            Op::Flush => Some(At::Flush),
            _ if cmd.sector != NO_SECTOR => Some(At::Sector(Sector(cmd.sector))),
            // Without the request's own sector: the command's block, by a classic tracepoint; else a program's command.
            _ if header.flags & FLAG_CLASSIC != 0 => {
                Some(scsi::command(cmd).and_then(|c| c.lba).map_or(At::Unknown, At::Lba))
            }
            _ => None,
        };
        let dev = scsi_scope(cmd, time, cx.facts).as_dev();
        self.wait_for_request(dev, at, pending, cx);
    }

    fn nvme_done(&mut self, header: &Header, rq: &NvmeRq, time: Stamp, cx: &mut Context<'_>) {
        let Some(fault) = nvme::classify(rq) else { return };
        let pending = Pending::new(*header, time, Driver::Nvme(*rq), fault.into(), self.now_ns);
        let at = match (fault, nvme::op(rq)) {
            // Another path serves the request: it does not fail.
            (nvme::NvmeFault::Path | nvme::NvmeFault::Admin, _) | (_, Op::Passthrough) => None,
            (_, Op::Flush) => Some(At::Flush),
            _ if rq.slba == u64::MAX => Some(At::Unknown),
            _ => Some(At::Lba(rq.slba)),
        };
        let dev = nvme_scope(rq, time, cx.facts).as_dev();
        self.wait_for_request(dev, at, pending, cx);
    }

    fn wait_for_request(&mut self, dev: Option<u32>, at: Option<At>, pending: Pending, cx: &mut Context<'_>) {
        match (dev, at) {
            (Some(dev), Some(at)) if self.live.requests() => {
                if let Some(other) = self.pending.insert(dev, at, pending) {
                    self.unanswered(&other, cx);
                }
            }
            _ => self.unanswered(&pending, cx),
        }
    }
}

/// The sectors that a command asked for.
fn sectors_of(record: &KernelRecord) -> Option<(Sector, u32)> {
    let Payload::ScsiTimeout(cmd) = &record.payload else { return None };
    scsi::io(cmd).and_then(|io| Some((io.sector?, io.nr_sectors.unwrap_or(1))))
}

fn shut_down(dev: u32) -> FoldKey {
    FoldKey::typed(Scope::dev(dev), EventType::FS_SHUTDOWN.as_str(), 0)
}

/// Whether an optical drive failed a request as one without a readable disc does: EIO, EREMOTEIO of a target that refuses,
/// ENOMEDIUM.
fn is_of_no_disc(dev: u32, errno: Errno) -> bool {
    let is_optical = Kdev::Dev(Dev::from_kernel(dev)).is_optical();
    is_optical && matches!(errno, Errno::EIO | Errno::EREMOTEIO | Errno::ENOMEDIUM)
}
