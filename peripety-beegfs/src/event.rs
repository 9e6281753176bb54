//! A file event, of either version.

use crate::wire::{DecodeError, Reader, put_string};

/// Names of the types, as the reference listeners print them. Version 2 counts from 1 in this order; version 1 from 0 up to
/// `Rename`, and then has `Read`.
const NAMES: [&str; 19] = [
    "Flush",
    "Truncate",
    "SetAttr",
    "CloseAfterWrite",
    "Create",
    "MKdir",
    "MKnod",
    "Symlink",
    "RMdir",
    "Unlink",
    "Hardlink",
    "Rename",
    "OpenRead",
    "OpenWrite",
    "OpenReadWrite",
    "LastWriterClosed",
    "OpenBlocked",
    "StripePatternChanged",
    "InodeLocked",
];
/// Of version 1 alone.
const READ: &str = "Read";
/// Types that version 1 shares with version 2.
const SHARED: u32 = 12;

/// All names, for who filters by them.
pub fn type_names() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().chain([READ])
}

/// What happened to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    /// One of [`type_names`].
    Known(&'static str),
    /// A number that this version of peripety does not know.
    Unknown(u32),
}

impl EventType {
    fn of_version_1(number: u32) -> Self {
        match number {
            0..SHARED => Self::of_version_2(number + 1),
            SHARED => Self::Known(READ),
            _ => Self::Unknown(number),
        }
    }

    fn of_version_2(number: u32) -> Self {
        let index = number.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| NAMES.get(index)).map_or(Self::Unknown(number), |name| Self::Known(name))
    }

    /// Its number in a packet of this version, if it has one.
    pub fn number(self, version: u16) -> Option<u32> {
        match self {
            Self::Unknown(number) => Some(number),
            Self::Known(READ) => (version == 1).then_some(SHARED),
            Self::Known(name) => {
                let index = u32::try_from(NAMES.iter().position(|known| *known == name)?).ok()?;
                match version {
                    1 => (index < SHARED).then_some(index),
                    _ => Some(index + 1),
                }
            }
        }
    }
}

/// What only one of the versions has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// BeeGFS 7.
    One {
        /// Version of the packet, the part after the dot.
        minor: u16,
        /// Bytes of the packet.
        size: u32,
        /// Events that the server could not deliver since it started.
        dropped: u64,
        /// Events that can be about several paths at a time, such as hard links, and name only one of them, since the server started.
        missed: u64,
    },
    /// BeeGFS 8.
    Two {
        /// 1: the metadata is mirrored; 2: it comes from the secondary.
        flags: u32,
        /// Links of the file.
        links: u64,
        /// Id of the user.
        user: u32,
        /// Nanoseconds since 1970, on the clock of the server.
        time_ns: i64,
    },
}

/// A change of a file or a directory. Paths begin at the mount point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEvent<'a> {
    /// What happened.
    pub kind: EventType,
    /// Id of the file.
    pub entry_id: &'a [u8],
    /// Id of the directory that it is in.
    pub parent_entry_id: &'a [u8],
    /// Where it is.
    pub path: &'a [u8],
    /// Where it is moved or linked to; else empty.
    pub target_path: &'a [u8],
    /// Id of the directory of the target; else empty.
    pub target_parent_id: &'a [u8],
    /// What only this version has.
    pub version: Version,
}

impl<'a> FileEvent<'a> {
    /// A packet of version 1.
    ///
    /// # Errors
    /// It is none.
    pub fn of_version_1(packet: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packet);
        let (major, minor) = (reader.u16("the version")?, reader.u16("the version")?);
        if major != 1 {
            return Err(DecodeError::Version { major, minor });
        }
        let size = reader.u32("the size")?;
        if usize::try_from(size) != Ok(packet.len()) {
            return Err(DecodeError::Size { says: size.into(), has: packet.len() });
        }
        let (dropped, missed) = (reader.u64("the counter of dropped")?, reader.u64("the counter of missed")?);
        let kind = EventType::of_version_1(reader.u32("the type")?);
        let event = Self::strings(&mut reader, kind, Version::One { minor, size, dropped, missed })?;
        // A later minor version may have more.
        if minor == 0 {
            reader.end()?;
        }
        Ok(event)
    }

    /// What a message of version 2 carries. A server that was updated may still have events of version 1 in its queue.
    ///
    /// # Errors
    /// It is no event.
    pub fn of_version_2(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u16("the version")? {
            1 => return Self::of_version_1(bytes),
            2 => {}
            major => return Err(DecodeError::Version { major, minor: 0 }),
        }
        let (flags, links) = (reader.u32("the flags")?, reader.u64("the links")?);
        let kind = EventType::of_version_2(reader.u32("the type")?);
        let mut event = Self::strings(&mut reader, kind, Version::Two { flags, links, user: 0, time_ns: 0 })?;
        let (user, time_ns) = (reader.u32("the user")?, reader.i64("the time")?);
        event.version = Version::Two { flags, links, user, time_ns };
        reader.end()?;
        Ok(event)
    }

    fn strings(reader: &mut Reader<'a>, kind: EventType, version: Version) -> Result<Self, DecodeError> {
        Ok(Self {
            kind,
            entry_id: reader.string("the entry id")?,
            parent_entry_id: reader.string("the parent's entry id")?,
            path: reader.string("the path")?,
            target_path: reader.string("the target's path")?,
            target_parent_id: reader.string("the target's parent id")?,
            version,
        })
    }

    /// As a server sends it: the size of version 1 is that of the packet. A type that the version does not have is 0.
    pub fn encode(&self) -> Vec<u8> {
        let mut packet = Vec::with_capacity(128);
        match self.version {
            Version::One { minor, dropped, missed, .. } => {
                packet.extend_from_slice(&1u16.to_le_bytes());
                packet.extend_from_slice(&minor.to_le_bytes());
                packet.extend_from_slice(&[0; 4]);
                packet.extend_from_slice(&dropped.to_le_bytes());
                packet.extend_from_slice(&missed.to_le_bytes());
                packet.extend_from_slice(&self.kind.number(1).unwrap_or_default().to_le_bytes());
            }
            Version::Two { flags, links, .. } => {
                packet.extend_from_slice(&2u16.to_le_bytes());
                packet.extend_from_slice(&flags.to_le_bytes());
                packet.extend_from_slice(&links.to_le_bytes());
                packet.extend_from_slice(&self.kind.number(2).unwrap_or_default().to_le_bytes());
            }
        }
        for text in [self.entry_id, self.parent_entry_id, self.path, self.target_path, self.target_parent_id]
        {
            put_string(&mut packet, text);
        }
        match self.version {
            Version::One { .. } => {
                let size = u32::try_from(packet.len()).unwrap_or(u32::MAX).to_le_bytes();
                if let Some(field) = packet.get_mut(4..8) {
                    field.copy_from_slice(&size);
                }
            }
            Version::Two { user, time_ns, .. } => {
                packet.extend_from_slice(&user.to_le_bytes());
                packet.extend_from_slice(&time_ns.to_le_bytes());
            }
        }
        packet
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::of_hex as bytes;

    /// `mv /a /b`, as the sender of BeeGFS 7.4.7 makes it.
    const RENAME: &str = "010000004d000000000000000000000000000000000000000b0000000c000000302d35413945423041372d310004000000726f6f7400020000002f6100020000002f620004000000726f6f7400";

    #[test]
    fn a_rename_of_version_1_is_read_and_written_alike() {
        let packet = bytes(RENAME);
        let event = FileEvent::of_version_1(&packet).unwrap();
        assert_eq!(event.kind, EventType::Known("Rename"));
        assert_eq!((event.path, event.target_path), (&b"/a"[..], &b"/b"[..]));
        assert_eq!((event.entry_id, event.target_parent_id), (&b"0-5A9EB0A7-1"[..], &b"root"[..]));
        assert_eq!(event.version, Version::One { minor: 0, size: 77, dropped: 0, missed: 0 });
        assert_eq!(event.encode(), packet);
    }

    #[test]
    fn every_type_has_its_number_in_both_versions() {
        for (number, name) in NAMES.iter().enumerate() {
            let number = u32::try_from(number).unwrap();
            assert_eq!(EventType::of_version_2(number + 1), EventType::Known(name));
            if number < SHARED {
                assert_eq!(EventType::of_version_1(number), EventType::Known(name));
            }
        }
        assert_eq!(EventType::of_version_1(12), EventType::Known("Read"));
        assert_eq!(EventType::of_version_1(13), EventType::Unknown(13));
        assert_eq!(EventType::of_version_2(0), EventType::Unknown(0));
        assert_eq!(EventType::of_version_2(20), EventType::Unknown(20));
    }

    #[test]
    fn what_is_cut_or_long_or_of_another_version_says_so() {
        let packet = bytes(RENAME);
        for end in 0..packet.len() {
            assert!(FileEvent::of_version_1(&packet[..end]).is_err(), "{end}");
        }
        let mut long = packet.clone();
        long.push(0);
        long[4] += 1;
        assert_eq!(FileEvent::of_version_1(&long), Err(DecodeError::Long(1)));
        let mut other = packet;
        other[0] = 3;
        let error = FileEvent::of_version_1(&other).unwrap_err();
        assert_eq!(error.to_string(), "version 3.0 is not known");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(packet in prop::collection::vec(any::<u8>(), 0..200)) {
            let _any = FileEvent::of_version_1(&packet);
            let _any = FileEvent::of_version_2(&packet);
        }

        #[test]
        fn what_is_written_is_read_again(
            strings in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 5),
            number in 1u32..=12, old in any::<bool>(), a in any::<u64>(), b in any::<u32>(), c in any::<i64>(),
        ) {
            let event = FileEvent {
                kind: EventType::of_version_2(number),
                entry_id: &strings[0],
                parent_entry_id: &strings[1],
                path: &strings[2],
                target_path: &strings[3],
                target_parent_id: &strings[4],
                version: if old {
                    // The size is that of the packet, whatever stands here.
                    Version::One { minor: 0, size: 0, dropped: a, missed: b.into() }
                } else {
                    Version::Two { flags: b, links: a, user: b, time_ns: c }
                },
            };
            let packet = event.encode();
            let again = FileEvent::of_version_2(&packet).unwrap();
            if let Version::One { size, .. } = again.version {
                prop_assert_eq!(size as usize, packet.len());
            }
            prop_assert_eq!((again.kind, again.path, again.entry_id), (event.kind, event.path, event.entry_id));
            if !old {
                prop_assert_eq!(again, event);
            }
        }
    }
}
