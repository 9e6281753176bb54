//! Commands (SBC-4, SPC-4): what they ask, and of which blocks.

use std::fmt::Write as _;

use crate::event::Op;

/// A command, as far as events need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// Operation code.
    pub opcode: u8,
    /// What it asks of the medium; none for a command that does not touch it.
    pub op: Option<Op>,
    /// First logical block.
    pub lba: Option<u64>,
    /// Number of logical blocks.
    pub blocks: Option<u32>,
}

/// How the block address and count stand in a command.
#[derive(Clone, Copy)]
enum Shape {
    /// 21 bits and one byte, in which 0 means 256.
    Six,
    /// 32 bits at 2, 16 bits at 7.
    Ten,
    /// 32 bits at 2, 32 bits at 6.
    Twelve,
    /// 64 bits at 2, 32 bits at 10.
    Sixteen,
    /// Variable length: the service action at 8 tells, 64 bits at 12, 32 bits at 28.
    ThirtyTwo,
    /// No address, or a list of them in the data.
    None,
}

/// Commands that touch the medium on behalf of a filesystem or a user of the block device.
#[rustfmt::skip]
static DATA_PATH: &[(u8, &str, Op, Shape)] = &[
    (0x08, "READ(6)", Op::Read, Shape::Six),
    (0x0a, "WRITE(6)", Op::Write, Shape::Six),
    (0x28, "READ(10)", Op::Read, Shape::Ten),
    (0x2a, "WRITE(10)", Op::Write, Shape::Ten),
    (0x2e, "WRITE AND VERIFY(10)", Op::Write, Shape::Ten),
    (0x2f, "VERIFY(10)", Op::Read, Shape::Ten),
    (0x35, "SYNCHRONIZE CACHE(10)", Op::Flush, Shape::Ten),
    (0x41, "WRITE SAME(10)", Op::WriteZeroes, Shape::Ten),
    (0x42, "UNMAP", Op::Discard, Shape::None),
    (0x7f, "READ or WRITE(32)", Op::Unknown, Shape::ThirtyTwo),
    (0x88, "READ(16)", Op::Read, Shape::Sixteen),
    (0x89, "COMPARE AND WRITE", Op::Write, Shape::Sixteen),
    (0x8a, "WRITE(16)", Op::Write, Shape::Sixteen),
    (0x8e, "WRITE AND VERIFY(16)", Op::Write, Shape::Sixteen),
    (0x8f, "VERIFY(16)", Op::Read, Shape::Sixteen),
    (0x91, "SYNCHRONIZE CACHE(16)", Op::Flush, Shape::Sixteen),
    (0x93, "WRITE SAME(16)", Op::WriteZeroes, Shape::Sixteen),
    (0x94, "ZONE MANAGEMENT OUT", Op::Zone, Shape::Sixteen),
    (0x9c, "WRITE ATOMIC(16)", Op::Write, Shape::Sixteen),
    (0xa8, "READ(12)", Op::Read, Shape::Twelve),
    (0xaa, "WRITE(12)", Op::Write, Shape::Twelve),
    (0xae, "WRITE AND VERIFY(12)", Op::Write, Shape::Twelve),
    (0xaf, "VERIFY(12)", Op::Read, Shape::Twelve),
];

/// Other commands that are seen to fail.
#[rustfmt::skip]
static OTHERS: &[(u8, &str)] = &[
    (0x00, "TEST UNIT READY"), (0x03, "REQUEST SENSE"), (0x04, "FORMAT UNIT"), (0x12, "INQUIRY"),
    (0x15, "MODE SELECT(6)"), (0x1a, "MODE SENSE(6)"), (0x1b, "START STOP UNIT"), (0x1c, "RECEIVE DIAGNOSTIC"),
    (0x1d, "SEND DIAGNOSTIC"), (0x1e, "PREVENT ALLOW MEDIUM REMOVAL"), (0x25, "READ CAPACITY(10)"),
    (0x3b, "WRITE BUFFER"), (0x3c, "READ BUFFER"), (0x43, "READ TOC"), (0x48, "SANITIZE"),
    (0x4a, "GET EVENT STATUS NOTIFICATION"), (0x4d, "LOG SENSE"), (0x55, "MODE SELECT(10)"), (0x5a, "MODE SENSE(10)"),
    (0x5e, "PERSISTENT RESERVE IN"), (0x5f, "PERSISTENT RESERVE OUT"), (0x85, "ATA PASS-THROUGH(16)"),
    (0x95, "ZONE MANAGEMENT IN"), (0x9e, "SERVICE ACTION IN(16)"), (0xa0, "REPORT LUNS"),
    (0xa1, "ATA PASS-THROUGH(12)"), (0xa3, "MAINTENANCE IN"), (0xa4, "MAINTENANCE OUT"),
];

/// Reads a command of `len` bytes; nothing if it is empty.
pub fn decode(cdb: &[u8]) -> Option<Command> {
    let opcode = *cdb.first()?;
    let Some((_, _, op, shape)) = DATA_PATH.iter().find(|row| row.0 == opcode) else {
        return Some(Command { opcode, op: None, lba: None, blocks: None });
    };
    let number = |from: usize, to: usize| {
        cdb.get(from..to).map(|bytes| bytes.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let (mut op, mut lba, mut blocks) = (*op, None, None);
    match shape {
        Shape::Six => {
            lba = number(1, 4).map(|n| n & 0x1f_ffff);
            blocks = number(4, 5).map(|n| if n == 0 { 256 } else { n });
        }
        Shape::Ten => (lba, blocks) = (number(2, 6), number(7, 9)),
        Shape::Twelve => (lba, blocks) = (number(2, 6), number(6, 10)),
        Shape::Sixteen => (lba, blocks) = (number(2, 10), number(10, 14)),
        Shape::ThirtyTwo => {
            op = match number(8, 10) {
                Some(0x0009) => Op::Read,
                Some(0x000a | 0x000b | 0x000c | 0x000e) => Op::Write,
                Some(0x000d) => Op::WriteZeroes,
                _ => return Some(Command { opcode, op: None, lba: None, blocks: None }),
            };
            (lba, blocks) = (number(12, 20), number(28, 32));
        }
        Shape::None => {}
    }
    Some(Command { opcode, op: Some(op), lba, blocks: blocks.and_then(|n| u32::try_from(n).ok()) })
}

/// Name of an operation code.
pub fn name(opcode: u8) -> String {
    DATA_PATH
        .iter()
        .map(|row| (row.0, row.1))
        .chain(OTHERS.iter().copied())
        .find(|row| row.0 == opcode)
        .map_or_else(|| format!("command {opcode:#04x}"), |row| row.1.to_owned())
}

/// The bytes as the kernel prints them: `28 00 00 …`.
pub fn hex(cdb: &[u8]) -> String {
    cdb.iter().enumerate().fold(String::new(), |mut text, (place, byte)| {
        let _ = write!(text, "{}{byte:02x}", if place == 0 { "" } else { " " });
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cdb: &[u8]) -> (Option<Op>, Option<u64>, Option<u32>) {
        let command = decode(cdb).unwrap();
        (command.op, command.lba, command.blocks)
    }

    #[test]
    fn every_length_of_read_and_write_gives_its_blocks() {
        assert_eq!(read(&[0x08, 0xff, 0, 1, 0, 0]), (Some(Op::Read), Some(0x1f_0001), Some(256)));
        assert_eq!(read(&[0x28, 0, 0, 0, 0x12, 0x34, 0, 0, 8, 0]), (Some(Op::Read), Some(0x1234), Some(8)));
        assert_eq!(
            read(&[0xaa, 0, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 0]),
            (Some(Op::Write), Some(0xff00_0000), Some(0x1_0000))
        );
        assert_eq!(
            read(&[0x8a, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0]),
            (Some(Op::Write), Some(0x2_0000_0001), Some(8))
        );
        let mut long = [0; 32];
        long[0] = 0x7f;
        long[9] = 0x0b;
        long[19] = 5;
        long[31] = 3;
        assert_eq!(read(&long), (Some(Op::Write), Some(5), Some(3)));
    }

    #[test]
    fn what_does_not_touch_the_medium_has_no_operation() {
        assert_eq!(read(&[0x12, 1, 0x83, 0, 0xff, 0]), (None, None, None));
        assert_eq!(read(&[0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0]), (Some(Op::Discard), None, None));
        assert_eq!(name(0x12), "INQUIRY");
        assert_eq!(name(0xee), "command 0xee");
        assert_eq!(hex(&[0x28, 0, 0xff]), "28 00 ff");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
