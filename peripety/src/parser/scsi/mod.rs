//! SCSI commands that did not simply succeed.

pub(crate) mod cdb;
mod fault;
pub(crate) mod sense;
#[cfg(test)]
mod tests;

pub(crate) use fault::{ScsiFault, classify, command, is_path_state};
use peripety_common::{
    Header,
    scsi_cmd::{NO_SECTOR, ScsiCmd},
    scsi_eh::{ScsiEh, UNKNOWN_FAILED},
};

use super::{Kdev, RawEvent, kernel::draft};
use crate::{
    block::{Dev, Hctl},
    event::{
        EventType, Io, Op, Sector, Severity,
        facts::{Cdb, HostByte, ScsiFacts, SenseKey, StatusByte},
    },
    record::Stamp,
};

/// A command that came back with a result.
pub(crate) fn done(h: &Header, cmd: &ScsiCmd, time: Stamp) -> Option<RawEvent> {
    match classify(cmd)? {
        // The text or the request that fails of it will report.
        ScsiFault::UnknownSense => None,
        fault => {
            let mut raw = failed(h, cmd, fault.event_type(), time);
            if fault.is_change() {
                // News of the unit: the command that happened to bring it did nothing wrong. A unit has its address before
                // its disk has a name.
                raw.io = None;
                raw.kdev = Kdev::Hctl(hctl(cmd));
                if let Some(scsi) = &mut raw.facts.scsi {
                    (scsi.opcode, scsi.cdb, scsi.tag, scsi.retries) = (None, None, None, None);
                }
            }
            Some(raw)
        }
    }
}

/// A command that did not come back in time.
pub(super) fn timeout(h: &Header, cmd: &ScsiCmd, time: Stamp) -> Option<RawEvent> {
    let mut raw = failed(h, cmd, EventType::SCSI_TIMEOUT, time);
    // The result is not set yet.
    if let Some(scsi) = &mut raw.facts.scsi {
        (scsi.host_byte, scsi.status) = (None, None);
    }
    Some(raw)
}

/// A host in error handling.
pub(super) fn error_handler(h: &Header, eh: &ScsiEh, time: Stamp) -> Option<RawEvent> {
    if eh.failed == 0 {
        return None;
    }
    let mut raw = draft(h, time, EventType::SCSI_ERROR_RECOVERY, Kdev::Name(format!("host{}", eh.host)));
    let scsi = raw.facts.scsi.get_or_insert_default();
    scsi.host = Some(eh.host);
    if eh.failed == UNKNOWN_FAILED {
        // It may be libata that looks for devices.
        raw.severity = Severity::Notice;
    } else {
        scsi.failed_commands = Some(eh.failed);
    }
    Some(raw)
}

fn failed(h: &Header, cmd: &ScsiCmd, event_type: EventType, time: Stamp) -> RawEvent {
    let kdev = if cmd.dev == 0 { Kdev::Hctl(hctl(cmd)) } else { Kdev::Dev(Dev::from_kernel(cmd.dev)) };
    let mut raw = draft(h, time, event_type, kdev);
    raw.io = io(cmd);
    raw.facts.scsi = Some(Box::new(facts(cmd)));
    raw
}

/// The command's address.
pub(crate) const fn hctl(cmd: &ScsiCmd) -> Hctl {
    Hctl { host: cmd.host, channel: cmd.channel, target: cmd.target, lun: cmd.lun }
}

/// What the command asked of the medium: none for a command that does not touch it.
pub(crate) fn io(cmd: &ScsiCmd) -> Option<Io> {
    let op = command(cmd)?.op?;
    Some(Io { op, sector: sector(cmd), nr_sectors: sectors(cmd), bad_lba: bad_sector(cmd), ..Io::default() })
}

/// The operation; [`Op::Passthrough`] for a command that does not touch the medium.
pub(crate) fn op(cmd: &ScsiCmd) -> Op {
    command(cmd).and_then(|c| c.op).unwrap_or(Op::Passthrough)
}

/// First sector of the request in units of 512 bytes: from the request, or from the command of a disk with 512 byte blocks.
pub(crate) fn sector(cmd: &ScsiCmd) -> Option<Sector> {
    if cmd.sector != NO_SECTOR {
        return Some(Sector(cmd.sector));
    }
    let command = command(cmd)?;
    let per_block = sectors_per_block(cmd)?;
    command.lba?.checked_mul(per_block).map(Sector)
}

fn sectors(cmd: &ScsiCmd) -> Option<u32> {
    let command = command(cmd)?;
    // What WRITE SAME and UNMAP transfer is one block, and a list of ranges (SBC-4, 5.50 and 5.35).
    if cmd.data_len != 0 && matches!(command.op, Some(Op::Read | Op::Write)) {
        return Some(cmd.data_len.div_ceil(512));
    }
    let blocks = u64::from(command.blocks?);
    u32::try_from(blocks.checked_mul(sectors_per_block(cmd)?)?).ok()
}

/// Sectors of 512 bytes in a logical block, worked out from what the request and its command say about the same blocks.
fn sectors_per_block(cmd: &ScsiCmd) -> Option<u64> {
    let command = command(cmd)?;
    let blocks = u64::from(command.blocks?);
    if cmd.data_len != 0 && blocks != 0 && matches!(command.op, Some(Op::Read | Op::Write)) {
        let per_block = u64::from(cmd.data_len) / 512 / blocks;
        return matches!(per_block, 1 | 2 | 4 | 8).then_some(per_block);
    }
    if command.op == Some(Op::WriteZeroes) && matches!(cmd.data_len, 512 | 1024 | 2048 | 4096) {
        return Some(u64::from(cmd.data_len / 512));
    }
    match (cmd.sector, command.lba) {
        (NO_SECTOR, _) => Some(1),
        (sector, Some(lba)) if lba != 0 && sector % lba == 0 && matches!(sector / lba, 1 | 2 | 4 | 8) => {
            Some(sector / lba)
        }
        _ => Some(1),
    }
}

/// The bad block that the sense data names, in units of 512 bytes.
pub(crate) fn bad_sector(cmd: &ScsiCmd) -> Option<Sector> {
    let sense = sense::of(cmd)?;
    // For other keys the field means something else, or nothing.
    let about_blocks = matches!(sense.key, 1 | 3 | 4 | 0xb | 0xe) && !sense.deferred;
    sense.information.filter(|_| about_blocks)?.checked_mul(sectors_per_block(cmd)?).map(Sector)
}

/// What is known of a SCSI command.
pub(crate) fn facts(cmd: &ScsiCmd) -> ScsiFacts {
    let sense = sense::of(cmd);
    let bytes = command(cmd).and_then(|_| cmd.cdb.get(..usize::from(cmd.cmd_len).min(cmd.cdb.len())));
    let mut facts = ScsiFacts {
        hctl: Some(hctl(cmd)),
        host_byte: Some(HostByte(fault::host_byte(cmd.result))),
        status: Some(StatusByte(fault::status_byte(cmd.result))),
        sense_key: sense.map(|sense| SenseKey(sense.key)),
        asc: sense.map(|sense| sense.asc),
        ascq: sense.map(|sense| sense.ascq),
        cdb: bytes.map(|bytes| Cdb(bytes.to_vec())),
        tag: u32::try_from(cmd.tag).ok(),
        retries: (cmd.retries != 0).then_some(cmd.retries.into()),
        ..ScsiFacts::default()
    };
    facts.complete();
    facts
}
