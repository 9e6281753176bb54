//! What a line of a driver says of the command that failed: what it asked, and of which blocks.

use super::{nvme, scsi::cdb::decode};
use crate::event::{
    Facts, Io, Op, Sector,
    facts::{AtaCommand, Cdb},
};

/// Sectors of 512 bytes in a logical block of 4096, the only other size that disks have.
const LARGE_BLOCK: u64 = 8;

/// The blocks that a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// What it asked; unknown where the line does not say.
    pub op: Op,
    /// First block.
    pub start: u64,
    /// Number of blocks; 1 where the line does not say.
    pub blocks: u32,
    /// Blocks are sectors of 512 bytes. Else the size of a block is the disk's, which the line does not report.
    pub are_sectors: bool,
}

impl Command {
    /// Whether a request of this operation that failed at this sector can be the command's.
    pub(crate) fn has(&self, op: Op, sector: Sector) -> bool {
        if self.op == Op::Flush || op == Op::Flush {
            return self.op == op;
        }
        let blocks = u64::from(self.blocks.max(1));
        let within = |size: u64| {
            let start = self.start.saturating_mul(size);
            (start..start.saturating_add(blocks.saturating_mul(size))).contains(&sector.0)
        };
        let same = self.op == op || self.op == Op::Unknown || op == Op::Unknown;
        same && (within(1) || (!self.are_sectors && within(LARGE_BLOCK)))
    }
}

/// The command that facts are about; nothing if they are about none, or do not report its place.
pub(crate) fn command(facts: &Facts, io: Option<&Io>) -> Option<Command> {
    if let Some(ata) = &facts.ata {
        return registers(ata.command?, ata.registers.as_deref()?);
    }
    if let Some(nvme) = &facts.nvme {
        return Some(Command {
            op: nvme::op_of(nvme.opcode?).unwrap_or(Op::Unknown),
            start: nvme.lba?,
            blocks: nvme.blocks.unwrap_or(1),
            are_sectors: false,
        });
    }
    if facts.mmc.is_some() {
        let io = io?;
        return Some(Command {
            op: io.op,
            start: io.sector?.0,
            blocks: io.nr_sectors.unwrap_or(1),
            are_sectors: true,
        });
    }
    cdb(facts.scsi.as_ref()?.cdb.as_ref()?)
}

fn cdb(cdb: &Cdb) -> Option<Command> {
    let command = decode(&cdb.0)?;
    let (op, blocks) = (command.op?, command.blocks.unwrap_or(1));
    Some(Command { op, start: command.lba?, blocks, are_sectors: false })
}

/// The registers as libata prints them: `feature:nsect:lbal:lbam:lbah/` and the same with the high bytes, `/device`.
/// Queued commands have the number of sectors where others have the feature (Serial ATA 3.5, 13.6).
fn registers(command: AtaCommand, registers: &str) -> Option<Command> {
    let (op, queued, long) = match command.0 {
        0x60 => (Op::Read, true, true),
        0x61 => (Op::Write, true, true),
        0x20 | 0xc4 | 0xc8 => (Op::Read, false, false),
        0x30 | 0xc5 | 0xca => (Op::Write, false, false),
        0x24 | 0x25 | 0x29 | 0x2b => (Op::Read, false, true),
        0x34 | 0x35 | 0x39 | 0x3d => (Op::Write, false, true),
        0xe7 | 0xea => return Some(Command { op: Op::Flush, start: 0, blocks: 0, are_sectors: true }),
        _ => return None,
    };
    let byte = |text: &str| u8::from_str_radix(text, 16).ok().map(u64::from);
    let mut parts = registers.split('/');
    let row = |part: Option<&str>| part?.split(':').map(byte).collect::<Option<Vec<u64>>>();
    let (low, high) = (row(parts.next())?, row(parts.next())?);
    let (&[feature, nsect, lbal, lbam, lbah], &[hob_feature, hob_nsect, hob_lbal, hob_lbam, hob_lbah]) =
        (low.as_slice(), high.as_slice())
    else {
        return None;
    };
    let low_lba = lbah << 16 | lbam << 8 | lbal;
    let (start, blocks) = if long {
        let blocks = if queued { hob_feature << 8 | feature } else { hob_nsect << 8 | nsect };
        (
            hob_lbah << 40 | hob_lbam << 32 | hob_lbal << 24 | low_lba,
            if blocks == 0 { 65_536 } else { blocks },
        )
    } else {
        let device = byte(parts.next()?)?;
        ((device & 0xf) << 24 | low_lba, if nsect == 0 { 256 } else { nsect })
    };
    Some(Command { op, start, blocks: u32::try_from(blocks).ok()?, are_sectors: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::facts::FromText as _;

    #[test]
    fn registers_of_libata_tell_the_sectors() {
        let read = registers(AtaCommand(0x60), "08:b0:88:8e:2d/00:00:0f:00:00/40").unwrap();
        assert_eq!((read.op, read.start, read.blocks), (Op::Read, 254_643_848, 8));
        let write = registers(AtaCommand(0xca), "10:20:02:03:04/00:00:00:00:00/e1").unwrap();
        assert_eq!((write.op, write.start, write.blocks), (Op::Write, 0x104_0302, 0x20));
        let all = registers(AtaCommand(0x35), "00:00:00:00:00/00:00:00:00:00/40").unwrap();
        assert_eq!((all.start, all.blocks), (0, 65_536));
        let flush = registers(AtaCommand(0xea), "00:00:00:00:00/00:00:00:00:00/a0").unwrap();
        assert!(flush.has(Op::Flush, Sector(77)) && !flush.has(Op::Write, Sector(0)));
        for (command, text) in [(0x06, "01:01:00:00:00/00:00:00:00:00/a0"), (0x60, "08:b0"), (0x60, "")] {
            assert_eq!(registers(AtaCommand(command), text), None);
        }
    }

    #[test]
    fn a_request_is_the_commands_by_either_size_of_a_block() {
        let nvme = Command { op: Op::Read, start: 100, blocks: 2, are_sectors: false };
        let has = |sector| nvme.has(Op::Read, Sector(sector));
        assert_eq!(
            [99, 100, 101, 102, 799, 800, 815, 816].map(has),
            [false, true, true, false, false, true, true, false]
        );
        assert!(!nvme.has(Op::Write, Sector(100)) && nvme.has(Op::Unknown, Sector(100)));
        assert!(!Command { are_sectors: true, ..nvme }.has(Op::Read, Sector(800)));
        assert!(!Command { start: u64::MAX, blocks: u32::MAX, ..nvme }.has(Op::Read, Sector(5)));
        let scsi = |text: &str| cdb(&Cdb::from_text(text)?);
        let read = scsi("88 00 00 00 00 00 0f 2d 8e 88 00 00 00 08 00 00").unwrap();
        assert!(read.has(Op::Read, Sector(254_643_848)) && !read.has(Op::Read, Sector(254_643_856)));
        assert_eq!((scsi("12 00 00 00 24 00"), scsi("zz"), scsi("")), (None, None, None));
    }
}
