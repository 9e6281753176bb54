//! Sense data (SPC-4, section 4.5).

use peripety_common::scsi_cmd::ScsiCmd;

/// What sense data says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sense {
    /// Sense key.
    pub key: u8,
    /// Additional sense code.
    pub asc: u8,
    /// Additional sense code qualifier.
    pub ascq: u8,
    /// The information field, where it is valid: the logical block that is bad.
    pub information: Option<u64>,
    /// Whether it is about an earlier command than the one it came with.
    pub deferred: bool,
}

/// The sense of a command: from its bytes if the probe reached them, else what the tracepoint had decoded.
pub(crate) fn of(cmd: &ScsiCmd) -> Option<Sense> {
    let decoded = || Sense {
        key: cmd.sense_key & 0xf,
        asc: cmd.asc,
        ascq: cmd.ascq,
        information: None,
        deferred: false,
    };
    match cmd.sense_valid {
        0 => None,
        2 => decode(&cmd.sense),
        _ => Some(decoded()),
    }
}

/// Reads sense data in the fixed (0x70, 0x71) or descriptor (0x72, 0x73) format, cut off anywhere.
pub(crate) fn decode(bytes: &[u8]) -> Option<Sense> {
    let code = bytes.first()? & 0x7f;
    let at = |place: usize| bytes.get(place).copied().unwrap_or_default();
    match code {
        0x70 | 0x71 => {
            // Byte 7 says how much follows it; drives that end early have no code and qualifier.
            let end = 8 + usize::from(at(7));
            let within = |place: usize| if place < end { at(place) } else { 0 };
            let valid = bytes.first()? & 0x80 != 0;
            let information = valid.then(|| number(bytes.get(3..7))).flatten();
            Some(Sense {
                key: at(2) & 0xf,
                asc: within(12),
                ascq: within(13),
                information,
                deferred: code == 0x71,
            })
        }
        0x72 | 0x73 => {
            let end = (8 + usize::from(at(7))).min(bytes.len());
            Some(Sense {
                key: at(1) & 0xf,
                asc: at(2),
                ascq: at(3),
                information: bytes.get(8..end).and_then(information_descriptor),
                deferred: code == 0x73,
            })
        }
        _ => None,
    }
}

/// The information descriptor (type 0) among the descriptors.
fn information_descriptor(mut descriptors: &[u8]) -> Option<u64> {
    while let [kind, length, ..] = descriptors {
        let whole = 2 + usize::from(*length);
        if *kind == 0 {
            let valid = descriptors.get(2)? & 0x80 != 0;
            return valid.then(|| number(descriptors.get(4..12))).flatten();
        }
        descriptors = descriptors.get(whole..)?;
    }
    None
}

fn number(bytes: Option<&[u8]>) -> Option<u64> {
    Some(bytes?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_format_names_the_bad_block() {
        // What scsi_debug answers to a read of its bad sectors.
        let sense =
            decode(&[0xf0, 0, 3, 0, 0, 0x12, 0x34, 0x0a, 0, 0, 0, 0, 0x11, 0, 0, 0x80, 0, 0]).unwrap();
        assert_eq!((sense.key, sense.asc, sense.ascq), (3, 0x11, 0));
        assert_eq!(sense.information, Some(0x1234));
    }

    #[test]
    fn descriptor_format_names_the_bad_block_past_32_bits() {
        let mut bytes = vec![0x72, 3, 0x11, 4, 0, 0, 0, 16];
        bytes.extend([9, 2, 0, 0]);
        bytes.extend([0, 10, 0x80, 0, 0, 0, 0, 2, 0, 0, 0, 1]);
        let sense = decode(&bytes).unwrap();
        assert_eq!((sense.key, sense.asc, sense.ascq), (3, 0x11, 4));
        assert_eq!(sense.information, Some(0x2_0000_0001));
    }

    #[test]
    fn an_information_field_that_is_not_valid_is_left_alone() {
        let sense = decode(&[0x70, 0, 4, 0, 0, 0x12, 0x34, 0x0a, 0, 0, 0, 0, 0x44, 0]).unwrap();
        assert_eq!(sense.information, None);
        // Too short for code and qualifier.
        assert_eq!(decode(&[0x70, 0, 4, 0, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9]).unwrap().asc, 0);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
