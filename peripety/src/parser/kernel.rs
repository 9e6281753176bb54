//! The table: which parser reads which record of the ring buffer.

use peripety_common::{Header, KernelRecord, Kind, Payload};

use super::{Kdev, RawEvent, block, fs, nvme, scsi};
use crate::{
    event::{EventType, SubSystem},
    record::Stamp,
};

/// What a record of the ring buffer says; nothing if what it reports is normal.
pub fn kernel(record: &KernelRecord, time: Stamp) -> Option<RawEvent> {
    let h = &record.header;
    match &record.payload {
        Payload::BlockRq(rq) => block::request(h, rq, time),
        Payload::BlockBio(bio) => block::bio(h, bio, time),
        Payload::ScsiDone(cmd) => scsi::done(h, cmd, time),
        Payload::ScsiTimeout(cmd) => scsi::timeout(h, cmd, time),
        Payload::ScsiEh(eh) => scsi::error_handler(h, eh, time),
        Payload::NvmeRq(rq) => nvme::request(h, rq, time),
        Payload::NvmeAen(aen) => nvme::async_event(h, aen, time),
        Payload::Ext4Error(error) => fs::ext4_error(h, error, time),
        Payload::Ext4Shutdown(shutdown) => fs::ext4_shutdown(h, shutdown, time),
        Payload::XfsShutdown(shutdown) => fs::xfs_shutdown(h, shutdown, time),
        Payload::WbErr(wb) => fs::lost_write(h, wb, time),
        Payload::SlowRq(slow) => block::slow(h, slow, time),
        // The text itself comes through /dev/kmsg; this record only reports its time.
        Payload::Console(_) => None,
        _ => None,
    }
}

/// The name that events give a probe's records in `sources`: a table, for the event path allocates nothing.
pub(crate) fn source_name(kind: Kind) -> &'static str {
    match kind {
        Kind::BlockRqError => "ebpf:block_rq_error",
        Kind::BlockRqComplete => "ebpf:block_rq_complete",
        Kind::BlockBioComplete => "ebpf:block_bio_complete",
        Kind::ScsiDone => "ebpf:scsi_dispatch_cmd_done",
        Kind::ScsiTimeout => "ebpf:scsi_dispatch_cmd_timeout",
        Kind::ScsiEhWakeup => "ebpf:scsi_eh_wakeup",
        Kind::NvmeCompleteRq => "ebpf:nvme_complete_rq",
        Kind::NvmeAsyncEvent => "ebpf:nvme_async_event",
        Kind::Console => "ebpf:console",
        Kind::Ext4Error => "ebpf:ext4_error",
        Kind::Ext4Shutdown => "ebpf:ext4_shutdown",
        Kind::XfsForceShutdown => "ebpf:xfs_force_shutdown",
        Kind::FilemapSetWbErr => "ebpf:filemap_set_wb_err",
        Kind::BlockRqSlow => "ebpf:block_rq_slow",
    }
}

/// What names a record within its source. The probe's counter starts again when the probes are loaded anew, the time
/// does not.
pub(super) fn ring_sequence(header: &Header) -> String {
    format!("{}/{}/{}", header.cpu, header.seq, header.mono_ns)
}

/// A raw event of a record, with the defaults of its type.
pub(super) fn draft(header: &Header, time: Stamp, event_type: EventType, kdev: Kdev) -> RawEvent {
    let source = Kind::from_number(header.kind).map_or("ebpf", source_name).to_owned();
    RawEvent { kdev, ..RawEvent::new(time, source, ring_sequence(header), event_type) }
}

/// The same, said by a filesystem.
pub(super) fn draft_fs(
    header: &Header,
    time: Stamp,
    fs: &'static str,
    event_type: EventType,
    kdev: Kdev,
) -> RawEvent {
    RawEvent { sub_system: SubSystem::known(fs), ..draft(header, time, event_type, kdev) }
}
