//! What the kernel says of the maps that there are: a list with a number that grows with each event, and status lines.

use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
};

use peripety_model::Dev;

use super::{MapStatus, Seen, TargetLine, target};
use crate::{
    bytes::{u32_at, u64_at},
    ioctl::{self, DM_HEADER, Request},
    map::{
        Space, dm,
        kernel::{Answer, AskError, ask_dm, decode_table, dm_header, forget, open_control, put},
    },
};

/// A map in the list of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub dev: Dev,
    /// Its name.
    pub name: String,
    /// How many events it has raised; none of a kernel that does not say (before 4.13).
    pub events: Option<u32>,
}

/// What is asked about maps; the kernel answers, or a test.
pub trait Maps {
    /// From now on the descriptor is readable once any map raises an event, comes or goes. To be called before the list is
    /// read, so that nothing falls between.
    ///
    /// # Errors
    /// The kernel refuses, or is older than 4.14.
    fn arm(&self) -> Result<(), AskError>;

    /// All maps.
    ///
    /// # Errors
    /// The kernel refuses.
    fn list(&self) -> Result<Vec<Listed>, AskError>;

    /// What the targets of a map say, those whose status says something; without a wait for writes under way.
    ///
    /// # Errors
    /// The kernel refuses, or the map is there no more.
    fn status(&self, map: &Listed) -> Result<MapStatus, AskError>;
}

/// `/dev/mapper/control`.
#[derive(Debug)]
pub struct Control(File);

impl Control {
    /// Opens it, in this directory of device nodes. It takes CAP_SYS_ADMIN to ask anything.
    ///
    /// # Errors
    /// It is not there, or cannot be opened.
    pub fn open(dev: &Path) -> Result<Self, AskError> {
        open_control(dev).map(Self)
    }

    /// The same, where the driver is there: to open the node would load it. `sysfs` is where that is mounted.
    ///
    /// # Errors
    /// As of [`Control::open`].
    pub fn open_if_loaded(dev: &Path, sysfs: &Path) -> Result<Option<Self>, AskError> {
        sysfs.join("class/misc/device-mapper").exists().then(|| Self::open(dev)).transpose()
    }
}

impl Control {
    /// Sends a message to the first target of a map, as `dmsetup message MAP 0` does: `check` and `idle` to one of dm-raid.
    ///
    /// # Errors
    /// The kernel or the target refuses.
    pub fn message(&self, map: Dev, words: &str) -> Result<(), AskError> {
        // Behind struct dm_ioctl: the sector, which says the target, and the words with a NUL. The answer needs room too.
        const SECTOR: usize = 8;
        let mut buffer = vec![0; (DM_HEADER + SECTOR + words.len() + 1).next_multiple_of(8) + 1024];
        dm_header(&mut buffer, Some(map), 0);
        put(&mut buffer, DM_HEADER + SECTOR, words.as_bytes());
        ioctl::ask(&self.0, Request::DmTargetMsg, &mut buffer).map(drop).map_err(|source| AskError::Ioctl {
            what: "DM_TARGET_MSG",
            of: map.to_string(),
            source,
        })
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Maps for Control {
    fn arm(&self) -> Result<(), AskError> {
        let mut buffer = [0; DM_HEADER];
        dm_header(&mut buffer, None, 0);
        ioctl::ask(&self.0, Request::DmDevArmPoll, &mut buffer).map(drop).map_err(|source| AskError::Ioctl {
            what: "DM_DEV_ARM_POLL",
            of: "all maps".to_owned(),
            source,
        })
    }

    fn list(&self) -> Result<Vec<Listed>, AskError> {
        Ok(decode_list(&ask_dm(&self.0, None, Answer::Maps)?))
    }

    fn status(&self, map: &Listed) -> Result<MapStatus, AskError> {
        let answer = ask_dm(&self.0, Some(map.dev), Answer::Status)?;
        let lines = decode_table(&answer)
            .into_iter()
            .filter(|line| target(&line.name).is_some_and(|target| target.seen != Seen::Elsewhere));
        let mut targets: Vec<TargetLine> = lines
            .map(|line| TargetLine {
                start: line.start,
                len: line.len,
                target: line.name,
                line: line.params,
                legs: Vec::new(),
            })
            .collect();
        // The line of an array does not name its members.
        if targets.iter().any(|line| line.target == "raid") {
            let mut answer = ask_dm(&self.0, Some(map.dev), Answer::Table)?;
            let table = decode_table(&answer);
            forget(&mut answer);
            for line in &mut targets {
                line.legs = legs(&table, line.start);
            }
        }
        let uuid = uuid_of(&answer);
        Ok(MapStatus { dev: map.dev, name: map.name.clone(), uuid, targets })
    }
}

/// The members of the target of a table that begins there, in order; none where one is missing.
fn legs(table: &[dm::Target], start: u64) -> Vec<Option<Dev>> {
    let of_target: Vec<dm::Target> = table.iter().filter(|target| target.start == start).cloned().collect();
    let layout = dm::layout(&of_target);
    let members = layout.segments.iter().flat_map(|segment| &segment.members);
    members
        .map(|member| match member.space {
            Some(Space::Device(dev)) => Some(dev),
            _ => None,
        })
        .collect()
}

/// The UUID of the map that an answer is about, as every kernel puts it into struct dm_ioctl; empty where it has none.
fn uuid_of(answer: &[u8]) -> String {
    text(until_zero(answer.get(176..DM_HEADER).unwrap_or_default()))
}

/// The answer to `DM_LIST_DEVICES`: struct dm_ioctl, then each struct dm_name_list with the number of its events behind the
/// name.
pub fn decode_list(answer: &[u8]) -> Vec<Listed> {
    const NAME: usize = 12;
    // The kernel's version, which it fills in: event numbers came with 4.37.
    let has_events = u32_at(answer, 0) == Some(4) && u32_at(answer, 4).is_some_and(|minor| minor >= 37);
    let Some(start) = u32_at(answer, 16) else { return Vec::new() };
    let mut rest = answer.get(start as usize..).unwrap_or_default();
    let mut maps = Vec::new();
    while let (Some(dev), Some(next)) = (u64_at(rest, 0), u32_at(rest, 8)) {
        // An empty list is one entry of zeros.
        if dev == 0 {
            break;
        }
        let name = until_zero(rest.get(NAME..).unwrap_or_default());
        let after = (NAME + name.len() + 1).next_multiple_of(8);
        let events = u32_at(rest, after).filter(|_| has_events);
        maps.push(Listed { dev: Dev::from_user(dev), name: text(name), events });
        // Counted from this one; it goes forward, or there is no next.
        match rest.get(next as usize..) {
            Some(following) if next > 0 => rest = following,
            _ => break,
        }
    }
    maps
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A name may have any bytes: what is no UTF-8 ends it.
fn text(bytes: &[u8]) -> String {
    bytes.utf8_chunks().next().map(|chunk| chunk.valid().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer<N: AsRef<[u8]>>(minor: u32, maps: &[(u32, N, u32)]) -> Vec<u8> {
        let mut bytes = vec![0; DM_HEADER];
        for (at, value) in [(0, 4), (4, minor), (16, DM_HEADER as u32)] {
            bytes[at..at + 4].copy_from_slice(&u32::to_ne_bytes(value));
        }
        for (n, (number, name, events)) in maps.iter().enumerate() {
            let mut entry = Vec::new();
            entry.extend(u64::from(254_u32 << 8 | number).to_ne_bytes());
            entry.extend([0; 4]);
            entry.extend(name.as_ref());
            entry.push(0);
            entry.resize(entry.len().next_multiple_of(8), 0);
            entry.extend(events.to_ne_bytes());
            entry.extend([0; 4]);
            if n + 1 < maps.len() {
                let next = u32::try_from(entry.len()).unwrap();
                entry[8..12].copy_from_slice(&next.to_ne_bytes());
            }
            bytes.extend(entry);
        }
        bytes
    }

    #[test]
    fn each_map_has_its_events_and_an_answer_its_uuid() {
        let maps = [(0, "vg-lv", 7), (1, "x", 0), (2, "pool1234", 3)];
        let found = decode_list(&answer(48, &maps));
        let seen: Vec<_> = found.iter().map(|map| (map.dev.minor, &*map.name, map.events.unwrap())).collect();
        assert_eq!(seen, maps);
        let mut header = answer::<&str>(43, &[]);
        assert_eq!(uuid_of(&header), "");
        header[176..183].copy_from_slice(b"LVM-abc");
        assert_eq!(uuid_of(&header), "LVM-abc");
        // Older kernels say less.
        assert_eq!(decode_list(&answer(36, &maps))[2].events, None);
        assert!(
            decode_list(&{
                let mut none = answer::<&str>(48, &[]);
                none.extend([0; 16]);
                none
            })
            .is_empty()
        );
        assert!(decode_list(&[]).is_empty());
    }

    #[test]
    fn what_stands_behind_a_name_is_found_also_where_that_is_no_utf_8() {
        let found = decode_list(&answer(48, &[(0, &b"caf\xe9-lv"[..], 7), (1, b"x", 2)]));
        let seen: Vec<_> = found.iter().map(|map| (&*map.name, map.events)).collect();
        assert_eq!(seen, [("caf", Some(7)), ("x", Some(2))]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail(mut bytes in prop::collection::vec(any::<u8>(), 0..200), place in 0_usize..400) {
            decode_list(&bytes);
            let mut raw = answer(48, &[(0, "vg-lv", 7), (1, "x", 0)]);
            let place = place.min(raw.len());
            raw.truncate(place);
            raw.append(&mut bytes);
            decode_list(&raw);
        }
    }
}
