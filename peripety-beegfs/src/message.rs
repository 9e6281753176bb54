//! The messages of version 2: a byte for the kind, `events` and a NUL, then the fields.

use crate::wire::{DecodeError, Reader};

/// What stands after the kind.
const MAGIC: &[u8; 7] = b"events\0";
/// The version of the protocol.
const MAJOR: u16 = 2;

/// Whether a packet is a message of version 2.
pub fn is_message(packet: &[u8]) -> bool {
    packet.get(1..8) == Some(MAGIC.as_slice())
}

/// Why a server ends the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The listener asked for it.
    Asked,
    /// The stream of the server failed; also: a number beyond its end was asked for.
    StreamFailed,
    /// The socket failed.
    Socket,
    /// A message came that the server did not expect.
    Protocol,
    /// The listener left.
    ListenerLeft,
    /// Another number.
    Other(u8),
}

impl CloseReason {
    const fn of(number: u8) -> Self {
        match number {
            0 => Self::Asked,
            1 => Self::StreamFailed,
            2 => Self::Socket,
            3 => Self::Protocol,
            4 => Self::ListenerLeft,
            other => Self::Other(other),
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Asked => 0,
            Self::StreamFailed => 1,
            Self::Socket => 2,
            Self::Protocol => 3,
            Self::ListenerLeft => 4,
            Self::Other(other) => other,
        }
    }
}

/// A message, of either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// 1, from the listener.
    HandshakeRequest,
    /// 2, from the server, unasked and first.
    HandshakeResponse {
        /// Id of the metadata server.
        meta_id: u32,
        /// Its mirror group, or 0.
        mirror_group: u16,
    },
    /// 3, from the listener: which number comes next?
    NewestRequest,
    /// 4, from the server.
    Newest {
        /// The number of the event that comes next.
        next: u64,
    },
    /// 5, from the listener: which numbers are there?
    RangeRequest,
    /// 6, from the server.
    Range {
        /// The number of the event that comes next.
        next: u64,
        /// The oldest that is there.
        oldest: u64,
    },
    /// 7, from the listener: events from this number on.
    Start {
        /// The first that is wanted.
        first: u64,
    },
    /// 8, from the server.
    Event {
        /// Its number.
        number: u64,
        /// See [`crate::event::FileEvent::of_version_2`].
        bytes: &'a [u8],
    },
    /// 9, from the listener: no more.
    CloseRequest,
    /// 10, from the server: no more.
    Close(CloseReason),
}

impl<'a> Message<'a> {
    /// Reads a packet.
    ///
    /// # Errors
    /// It is no message.
    pub fn decode(packet: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        let kind = reader.u8("the kind")?;
        if reader.bytes("the mark")? != *MAGIC {
            return Err(DecodeError::Kind(kind));
        }
        let message = match kind {
            1 | 2 => {
                let (major, minor) = (reader.u16("the version")?, reader.u16("the version")?);
                if major != MAJOR {
                    return Err(DecodeError::Version { major, minor });
                }
                if kind == 1 {
                    Self::HandshakeRequest
                } else {
                    let (meta_id, mirror_group) =
                        (reader.u32("the server")?, reader.u16("the mirror group")?);
                    // What a later minor version has more is none of ours.
                    return Ok(Self::HandshakeResponse { meta_id, mirror_group });
                }
            }
            3 => Self::NewestRequest,
            4 => Self::Newest { next: reader.u64("the next number")? },
            5 => Self::RangeRequest,
            6 => {
                Self::Range { next: reader.u64("the next number")?, oldest: reader.u64("the oldest number")? }
            }
            7 => Self::Start { first: reader.u64("the first number")? },
            8 => {
                let (number, size) = (reader.u64("the number")?, reader.u16("the size")?);
                let bytes = reader.rest();
                if usize::from(size) != bytes.len() {
                    return Err(DecodeError::Size { says: size.into(), has: bytes.len() });
                }
                return Ok(Self::Event { number, bytes });
            }
            9 => Self::CloseRequest,
            10 => Self::Close(CloseReason::of(reader.u8("the reason")?)),
            other => return Err(DecodeError::Kind(other)),
        };
        reader.end()?;
        Ok(message)
    }

    /// As it is sent.
    pub fn encode(&self) -> Vec<u8> {
        let version = || [MAJOR.to_le_bytes(), 0u16.to_le_bytes()].concat();
        let (kind, fields) = match self {
            Self::HandshakeRequest => (1, version()),
            Self::HandshakeResponse { meta_id, mirror_group } => {
                let mut fields = version();
                fields.extend_from_slice(&meta_id.to_le_bytes());
                fields.extend_from_slice(&mirror_group.to_le_bytes());
                (2, fields)
            }
            Self::NewestRequest => (3, Vec::new()),
            Self::Newest { next } => (4, next.to_le_bytes().to_vec()),
            Self::RangeRequest => (5, Vec::new()),
            Self::Range { next, oldest } => (6, [next.to_le_bytes(), oldest.to_le_bytes()].concat()),
            Self::Start { first } => (7, first.to_le_bytes().to_vec()),
            Self::Event { number, bytes } => {
                let mut fields = number.to_le_bytes().to_vec();
                fields.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes());
                fields.extend_from_slice(bytes);
                (8, fields)
            }
            Self::CloseRequest => (9, Vec::new()),
            Self::Close(reason) => (10, vec![reason.number()]),
        };
        let mut packet = vec![kind];
        packet.extend_from_slice(MAGIC);
        packet.extend_from_slice(&fields);
        packet
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        event::{EventType, FileEvent, Version},
        wire::of_hex as bytes,
    };

    /// An exchange with the sender of BeeGFS 8.3.1.
    #[test]
    fn a_known_exchange_is_read_and_written_alike() {
        let exchange: [(&str, Message<'_>); 6] = [
            (
                "026576656e74730002000000070000000300",
                Message::HandshakeResponse { meta_id: 7, mirror_group: 3 },
            ),
            ("016576656e74730002000000", Message::HandshakeRequest),
            ("056576656e747300", Message::RangeRequest),
            ("066576656e747300 0500000000000000 0000000000000000", Message::Range { next: 5, oldest: 0 }),
            ("076576656e747300 0000000000000000", Message::Start { first: 0 }),
            ("0a6576656e74730000", Message::Close(CloseReason::Asked)),
        ];
        for (hex, message) in exchange {
            assert_eq!(Message::decode(&bytes(hex)), Ok(message));
            assert_eq!(message.encode(), bytes(hex));
        }
        let packet = bytes(
            "086576656e747300 0000000000000000 4f00 0200 01000000 0100000000000000 01000000 0c000000302d35413945423041372d3100 04000000726f6f7400 020000002f6100 020000002f6200 04000000726f6f7400 e8030000 00002a36fe9c9717",
        );
        let Ok(Message::Event { number: 0, bytes }) = Message::decode(&packet) else { panic!("no event") };
        let event = FileEvent::of_version_2(bytes).unwrap();
        assert_eq!(
            (event.kind, event.path, event.target_path),
            (EventType::Known("Flush"), &b"/a"[..], &b"/b"[..])
        );
        let time_ns = i64::from_le_bytes([0, 0, 0x2a, 0x36, 0xfe, 0x9c, 0x97, 0x17]);
        assert_eq!(event.version, Version::Two { flags: 1, links: 1, user: 1000, time_ns });
        assert_eq!(Message::Event { number: 0, bytes: &event.encode() }.encode(), packet);
    }

    #[test]
    fn what_is_cut_or_too_long_is_none() {
        let whole = Message::Range { next: 5, oldest: 1 }.encode();
        for end in 0..whole.len() {
            assert!(Message::decode(&whole[..end]).is_err());
        }
        assert!(Message::decode(&[whole.as_slice(), &[0]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(kind in any::<u8>(), rest in prop::collection::vec(any::<u8>(), 0..120)) {
            let packet = [&[kind], MAGIC.as_slice(), &rest].concat();
            if let Ok(message) = Message::decode(&packet)
                && !matches!(message, Message::HandshakeRequest | Message::HandshakeResponse { .. })
            {
                prop_assert_eq!(message.encode(), packet);
            }
        }
    }
}
