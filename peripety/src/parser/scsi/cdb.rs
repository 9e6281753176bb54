//! Commands (SBC-4, SPC-4): what they ask, and of which blocks.

use crate::event::Op;

/// A command, as far as events need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Command {
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
    /// Variable length: the service action at 8 reports, 64 bits at 12, 32 bits at 28.
    ThirtyTwo,
    /// No address, or a list of them in the data.
    None,
}

/// Commands that touch the medium on behalf of a filesystem or a user of the block device.
#[rustfmt::skip]
static DATA_PATH: &[(u8, Op, Shape)] = &[
    (0x08, Op::Read, Shape::Six),
    (0x0a, Op::Write, Shape::Six),
    (0x28, Op::Read, Shape::Ten),
    (0x2a, Op::Write, Shape::Ten),
    (0x2e, Op::Write, Shape::Ten),
    (0x2f, Op::Read, Shape::Ten),
    (0x35, Op::Flush, Shape::Ten),
    (0x41, Op::WriteZeroes, Shape::Ten),
    (0x42, Op::Discard, Shape::None),
    (0x7f, Op::Unknown, Shape::ThirtyTwo),
    (0x88, Op::Read, Shape::Sixteen),
    (0x89, Op::Write, Shape::Sixteen),
    (0x8a, Op::Write, Shape::Sixteen),
    (0x8e, Op::Write, Shape::Sixteen),
    (0x8f, Op::Read, Shape::Sixteen),
    (0x91, Op::Flush, Shape::Sixteen),
    (0x93, Op::WriteZeroes, Shape::Sixteen),
    (0x94, Op::Zone, Shape::Sixteen),
    (0x9c, Op::Write, Shape::Sixteen),
    (0xa8, Op::Read, Shape::Twelve),
    (0xaa, Op::Write, Shape::Twelve),
    (0xae, Op::Write, Shape::Twelve),
    (0xaf, Op::Read, Shape::Twelve),
];

/// Reads a command of `len` bytes; nothing if it is empty.
pub(crate) fn decode(cdb: &[u8]) -> Option<Command> {
    let opcode = *cdb.first()?;
    let Some((_, op, shape)) = DATA_PATH.iter().find(|row| row.0 == opcode) else {
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
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
