//! `snapshot` and `snapshot-merge` (dm-snap.c `snapshot_status`): `USED/TOTAL METADATA` in sectors, or a word.

use serde::Serialize;

use super::words::{Share, Words};

/// A snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "snapshot", rename_all = "snake_case")]
pub enum Snapshot {
    /// It is lost: it was full, or its store failed.
    Invalid,
    /// `Overflow`: it is full. What it had is readable, its origin goes on.
    Overflow,
    /// Merging it into its origin failed.
    MergeFailed,
    /// Its store cannot say.
    Unknown,
    /// It is good.
    Serves {
        /// Sectors of its store in use.
        store: Share,
        /// Of those, what describes it.
        metadata: u64,
    },
}

pub(super) fn decode(mut words: Words<'_>) -> Option<Snapshot> {
    Some(match words.word()? {
        "Invalid" => Snapshot::Invalid,
        "Overflow" => Snapshot::Overflow,
        "Merge" => Snapshot::MergeFailed,
        "Unknown" => Snapshot::Unknown,
        store => Snapshot::Serves { store: store.parse().ok()?, metadata: words.value().unwrap_or(0) },
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Status, decode},
        *,
    };

    #[test]
    fn in_use_and_lost() {
        // Seen on 7.3.
        let Some(Status::Snapshot(Snapshot::Serves { store, metadata })) = decode("snapshot", "16/2048 16")
        else {
            panic!("none")
        };
        assert_eq!((store, metadata), (Share { used: 16, total: 2048 }, 16));
        for (line, meaning) in [
            ("Invalid", Snapshot::Invalid),
            ("Overflow", Snapshot::Overflow),
            ("Merge failed", Snapshot::MergeFailed),
            ("Unknown", Snapshot::Unknown),
        ] {
            assert_eq!(decode("snapshot-merge", line), Some(Status::Snapshot(meaning)));
        }
        assert_eq!((decode("snapshot", ""), decode("snapshot", "16")), (None, None));
    }
}
