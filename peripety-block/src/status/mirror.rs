//! `mirror` (dm-raid1.c `mirror_status`, dm-log.c `core_status`, `disk_status`):
//! `#LEGS LEG… SYNCED/REGIONS 1 STATES #LOG LOG…`

use peripety_model::Dev;
use serde::Serialize;

use super::words::{Share, Words};

/// A mirror.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mirror {
    /// Its legs, in the order of the table.
    pub legs: Vec<Leg>,
    /// Regions that are in sync.
    pub sync: Share,
    /// What keeps which regions are dirty.
    pub log: Log,
}

impl Mirror {
    /// How many legs have all that was written.
    pub fn with_data(&self) -> usize {
        self.legs.iter().filter(|leg| leg.state.has_data()).count()
    }

    /// Whether all legs are there, and are being brought in sync.
    pub fn is_resyncing(&self) -> bool {
        !self.sync.is_full() && self.with_data() == self.legs.len()
    }

    /// How many more legs may fail for sure: while it is brought in sync only one is known to have everything.
    pub fn spare_copies(&self) -> u64 {
        if self.sync.is_full() { self.with_data().saturating_sub(1) as u64 } else { 0 }
    }
}

/// A leg of a mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Leg {
    /// Its device.
    pub dev: Dev,
    /// The gravest that it failed since the table was loaded.
    pub state: LegState,
}

/// What a leg failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LegState {
    /// `A`: nothing.
    Alive,
    /// `F`: a flush; what was written before may not be on it.
    FlushFailed,
    /// `D`: a write; it is out of sync, and written to no more.
    WriteFailed,
    /// `S`: the resynchronization; it is out of sync.
    SyncFailed,
    /// `R`: a read; its data is as it was, and another leg served it.
    ReadFailed,
    /// `U`: something that the kernel does not class.
    Unknown,
}

impl LegState {
    fn of(letter: char) -> Option<Self> {
        Some(match letter {
            'A' => Self::Alive,
            'F' => Self::FlushFailed,
            'D' => Self::WriteFailed,
            'S' => Self::SyncFailed,
            'R' => Self::ReadFailed,
            'U' => Self::Unknown,
            _ => return None,
        })
    }

    /// As the kernel has it.
    pub const fn letter(self) -> char {
        match self {
            Self::Alive => 'A',
            Self::FlushFailed => 'F',
            Self::WriteFailed => 'D',
            Self::SyncFailed => 'S',
            Self::ReadFailed => 'R',
            Self::Unknown => 'U',
        }
    }

    /// Whether the leg still has all that was written.
    pub const fn has_data(self) -> bool {
        matches!(self, Self::Alive | Self::ReadFailed)
    }
}

/// The log of a mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Log {
    /// `core` (in memory: all is resynchronized after each start), `disk`, `clustered_disk`, `userspace` …
    pub name: String,
    /// The device that it is on.
    pub dev: Option<Dev>,
    /// Whether that device failed it: D a write, F a flush.
    pub failed: bool,
}

pub(super) fn decode(mut words: Words<'_>) -> Option<Mirror> {
    let count: usize = words.value()?;
    let devs = words.take(count)?;
    let sync = words.value()?;
    // The number of words that the states are; always one.
    let states = words.counted()?;
    let states = states.first()?;
    if states.chars().count() != devs.len() {
        return None;
    }
    let legs = devs
        .iter()
        .zip(states.chars())
        .map(|(dev, letter)| Some(Leg { dev: dev.parse().ok()?, state: LegState::of(letter)? }));
    let legs = legs.collect::<Option<Vec<_>>>()?;
    let log = words.counted().unwrap_or_default();
    let log = Log {
        name: log.first().map(|name| (*name).to_owned()).unwrap_or_default(),
        dev: log.get(1).and_then(|dev| dev.parse().ok()),
        failed: log.get(2).is_some_and(|state| *state != "A"),
    };
    Some(Mirror { legs, sync, log })
}

#[cfg(test)]
mod tests {
    use super::{super::decode, *};

    fn mirror(line: &str) -> Option<Mirror> {
        match decode("mirror", line)? {
            super::super::Status::Mirror(mirror) => Some(mirror),
            _ => None,
        }
    }

    #[test]
    fn each_letter_has_its_meaning() {
        // Seen on 7.3 after a write to a leg that fails.
        let dead = mirror("2 254:0 254:1 127/128 1 AD 1 core").unwrap();
        assert_eq!(dead.sync, Share { used: 127, total: 128 });
        assert_eq!((dead.legs[1].dev, dead.legs[1].state), (Dev::new(254, 1), LegState::WriteFailed));
        assert_eq!((dead.log.name.as_str(), dead.log.dev), ("core", None));
        for letter in ['A', 'F', 'D', 'S', 'R', 'U'] {
            let line = format!("3 254:0 254:1 8:3 1/2 1 A{letter}A 3 disk 254:7 A");
            assert_eq!(mirror(&line).unwrap().legs[1].state.letter(), letter);
        }
        // Of the thread that asked for it.
        let clustered = mirror("2 254:3 254:4 40960/40960 1 AA 3 clustered_disk 254:2 A").unwrap();
        assert_eq!((clustered.log.dev, clustered.log.failed), (Some(Dev::new(254, 2)), false));
        assert!(mirror("2 254:3 254:4 9/9 1 AA 3 disk 254:2 F").unwrap().log.failed);
    }

    #[test]
    fn what_does_not_fit_is_none() {
        for line in
            ["", "2", "2 254:0 254:1 127/128 1 A 1 core", "2 254:0 254:1 127/128 1 AX", "2 a b 1/2 1 AA"]
        {
            assert_eq!(mirror(line), None, "{line}");
        }
    }
}
