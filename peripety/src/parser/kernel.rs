//! The table: which parser reads which record of the ring buffer.

use peripety_common::{Header, KernelRecord, Kind, Payload};

use super::{Kdev, RawEvent, block, fs, nvme, scsi};
use crate::{
    event::{EventType, SubSystem},
    record::Stamp,
};

/// What a record of the ring buffer says; nothing if what it tells is normal.
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
        // The text itself comes through /dev/kmsg; this record only tells its time.
        Payload::Console(_) => None,
        _ => None,
    }
}

/// The name of a record's source as events have it: `ebpf:block_rq_error`.
pub fn source_name(kind: Kind) -> String {
    format!("ebpf:{}", kind.name())
}

/// What names a record within its source. The probe's counter starts again when the probes are loaded anew, the time
/// does not.
pub fn ring_sequence(header: &Header) -> String {
    format!("{}/{}/{}", header.cpu, header.seq, header.mono_ns)
}

/// A raw event of a record, with the defaults of its type.
pub(super) fn draft(header: &Header, time: Stamp, event_type: EventType, kdev: Kdev) -> RawEvent {
    let source = Kind::from_number(header.kind).map_or_else(|| "ebpf".to_owned(), source_name);
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
