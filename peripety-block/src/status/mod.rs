//! What the targets of device-mapper say of their state: the lines of `dmsetup status`, and what sysfs shows of md.
//!
//! The kernel gives a line of text for each target (`DM_TABLE_STATUS` without `DM_STATUS_TABLE_FLAG`). Each kind of target has
//! words of its own, which have grown at the end over the years; [`decode`] takes all of them, and nothing that is not one.

mod cache;
mod control;
mod fill;
mod line;
pub mod md;
mod mirror;
mod multipath;
mod raid;
mod silent;
mod snapshot;
mod thin;
mod watch;
mod words;

use serde::Serialize;

pub use crate::map::kernel::AskError;

use self::words::Words;
pub use self::{
    cache::{Cache, Clone_ as Clone, Serves as CacheServes},
    control::{Control, Listed, Maps, decode_list},
    fill::{FIRST_LEVEL, Fill, LEVEL_STEP},
    line::{ArrayStatus, MapStatus, TargetLine},
    md::{MdArray, MdMember, Progress},
    mirror::{Leg, LegState, Log, Mirror},
    multipath::{Group, Multipath, Path},
    raid::{MemberState, Raid, spare_copies},
    silent::{Era, Integrity, Vdo, Verity, Writecache},
    snapshot::Snapshot,
    thin::{Mode as PoolMode, Pool, Thin, ThinPool},
    watch::MapWatch,
    words::Share,
};

/// What a target says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// `mirror`.
    Mirror(Mirror),
    /// `raid`.
    Raid(Raid),
    /// `thin-pool`.
    ThinPool(ThinPool),
    /// `thin`.
    Thin(Thin),
    /// `snapshot`, `snapshot-merge`.
    Snapshot(Snapshot),
    /// `cache`.
    Cache(Cache),
    /// `clone`.
    Clone(Clone),
    /// `writecache`.
    Writecache(Writecache),
    /// `integrity`.
    Integrity(Integrity),
    /// `verity`.
    Verity(Verity),
    /// `multipath`.
    Multipath(Multipath),
    /// `era`.
    Era(Era),
    /// `vdo`.
    Vdo(Vdo),
}

/// A kind of target whose status says something.
#[derive(Debug)]
pub struct Target {
    /// Its name in a table.
    pub name: &'static str,
    /// How a change of its status becomes known.
    pub seen: Seen,
    decode: fn(Words<'_>) -> Option<Status>,
}

/// How a change of a status becomes known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It raises an event (`dm_table_event`).
    ByEvent,
    /// It raises none: it has to be read now and then.
    ByReading,
    /// Others say so: the pool of a thin volume, the uevents of a multipath map.
    Elsewhere,
}

/// All of them. `crypt` has none: the kernel gives an empty line.
pub static TARGETS: &[Target] = &[
    Target { name: "mirror", seen: Seen::ByEvent, decode: |w| mirror::decode(w).map(Status::Mirror) },
    Target { name: "raid", seen: Seen::ByEvent, decode: |w| raid::decode(w).map(Status::Raid) },
    Target { name: "thin-pool", seen: Seen::ByEvent, decode: |w| thin::pool(w).map(Status::ThinPool) },
    Target { name: "thin", seen: Seen::Elsewhere, decode: |w| thin::thin(w).map(Status::Thin) },
    Target { name: "snapshot", seen: Seen::ByEvent, decode: |w| snapshot::decode(w).map(Status::Snapshot) },
    Target {
        name: "snapshot-merge",
        seen: Seen::ByEvent,
        decode: |w| snapshot::decode(w).map(Status::Snapshot),
    },
    Target { name: "cache", seen: Seen::ByEvent, decode: |w| cache::cache(w).map(Status::Cache) },
    Target { name: "clone", seen: Seen::ByEvent, decode: |w| cache::clone(w).map(Status::Clone) },
    Target {
        name: "writecache",
        seen: Seen::ByReading,
        decode: |w| silent::writecache(w).map(Status::Writecache),
    },
    Target {
        name: "integrity",
        seen: Seen::ByReading,
        decode: |w| silent::integrity(w).map(Status::Integrity),
    },
    Target { name: "verity", seen: Seen::ByReading, decode: |w| silent::verity(w).map(Status::Verity) },
    Target {
        name: "multipath",
        seen: Seen::Elsewhere,
        decode: |w| multipath::decode(w).map(Status::Multipath),
    },
    Target { name: "era", seen: Seen::ByReading, decode: |w| silent::era(w).map(Status::Era) },
    Target { name: "vdo", seen: Seen::ByReading, decode: |w| silent::vdo(w).map(Status::Vdo) },
];

/// The kind of target with this name; none when its status says nothing, as that of `linear`.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Reads the status line of a target, as `dmsetup status` prints it after the target's name; none when the target has none
/// that says something, or the line is of no form that is known.
pub fn decode(name: &str, line: &str) -> Option<Status> {
    (target(name)?.decode)(Words::new(line))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_unique() {
        for (n, row) in TARGETS.iter().enumerate() {
            assert!(TARGETS.iter().skip(n + 1).all(|other| other.name != row.name), "{}", row.name);
        }
        assert_eq!(decode("linear", ""), None);
    }

    /// Words as the lines have them.
    fn word() -> impl Strategy<Value = String> {
        let known = prop::sample::select(vec![
            "0",
            "1",
            "2",
            "254:0",
            "1/2",
            "AD",
            "A",
            "D",
            "core",
            "disk",
            "raid1",
            "idle",
            "-",
            "rw",
            "ro",
            "Fail",
            "Error",
            "needs_check",
            "Invalid",
            "Merge",
            "C",
            "V",
            "18446744073709551615",
            "99999999999999999999",
            "é",
        ]);
        prop_oneof![3 => known.prop_map(str::to_owned), 1 => any::<u32>().prop_map(|n| n.to_string()), 1 => ".{0,6}"]
    }

    proptest! {
        #[test]
        fn no_line_makes_it_fail(words in prop::collection::vec(word(), 0..40)) {
            let line = words.join(" ");
            for target in TARGETS {
                if let Some(status) = decode(target.name, &line) {
                    serde_json::to_string(&status).unwrap();
                }
            }
        }
    }
}
