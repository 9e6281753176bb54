//! `thin-pool` and `thin` (dm-thin.c `pool_status`, `thin_status`; Documentation/admin-guide/device-mapper/thin-provisioning.rst):
//! `TRANSACTION META/META DATA/DATA ROOT|- MODE [OPTION…] DISCARD WITHOUT_SPACE needs_check|- LOW_WATER`, and
//! `SECTORS HIGHEST|-`; `Fail` or `Error` in place of either.

use serde::Serialize;

use super::words::{Share, Words};

/// A pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "pool", rename_all = "snake_case")]
pub enum ThinPool {
    /// It serves nothing: its metadata cannot be trusted.
    Fail,
    /// The kernel could not say.
    Error,
    /// It serves.
    Serves(Pool),
}

/// What a pool says while it serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pool {
    /// Number that user space gave its last change.
    pub transaction: u64,
    /// Blocks of metadata, of 4 KiB.
    pub metadata: Share,
    /// Blocks of data.
    pub data: Share,
    /// Whether user space holds a root of the metadata.
    pub held_root: bool,
    /// What it still does.
    pub mode: Mode,
    /// What becomes of a write without space: it waits (60 s by default), or it fails.
    pub queues_without_space: bool,
    /// The metadata have to be checked before they are written again.
    pub needs_check: bool,
    /// Free blocks of metadata from which on it sends an event (5.0 and newer).
    pub metadata_low_water: Option<u64>,
}

/// What a pool still does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// All.
    ReadWrite,
    /// It has no free data blocks: writes that need one wait or fail.
    OutOfDataSpace,
    /// Its metadata are not written any more.
    ReadOnly,
}

/// A thin volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Thin {
    /// Whether it is `Fail` or `Error`: its pool failed.
    pub failed: bool,
    /// Sectors that have a block of the pool.
    pub mapped: u64,
    /// The highest of them.
    pub highest: Option<u64>,
}

pub(super) fn pool(mut words: Words<'_>) -> Option<ThinPool> {
    let first = words.word()?;
    match first {
        "Fail" => return Some(ThinPool::Fail),
        "Error" => return Some(ThinPool::Error),
        _ => {}
    }
    let transaction = first.parse().ok()?;
    let (metadata, data) = (words.value()?, words.value()?);
    let held_root = words.word()? != "-";
    let mode = match words.word()? {
        "rw" => Mode::ReadWrite,
        "ro" => Mode::ReadOnly,
        "out_of_data_space" => Mode::OutOfDataSpace,
        _ => return None,
    };
    let mut pool = Pool {
        transaction,
        metadata,
        data,
        held_root,
        mode,
        queues_without_space: true,
        needs_check: false,
        metadata_low_water: None,
    };
    for word in words.rest() {
        match word {
            "error_if_no_space" => pool.queues_without_space = false,
            "needs_check" => pool.needs_check = true,
            _ => pool.metadata_low_water = word.parse().ok().or(pool.metadata_low_water),
        }
    }
    Some(ThinPool::Serves(pool))
}

pub(super) fn thin(mut words: Words<'_>) -> Option<Thin> {
    match words.word()? {
        "Fail" | "Error" => Some(Thin { failed: true, mapped: 0, highest: None }),
        // Without a pool's device.
        "-" => Some(Thin { failed: false, mapped: 0, highest: None }),
        mapped => Some(Thin { failed: false, mapped: mapped.parse().ok()?, highest: words.value() }),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Status, decode},
        *,
    };

    fn pool(line: &str) -> Option<ThinPool> {
        match decode("thin-pool", line)? {
            Status::ThinPool(pool) => Some(pool),
            _ => None,
        }
    }

    #[test]
    fn a_pool_in_each_mode() {
        // Seen on 7.3.
        let line = "0 218/2048 196/256 - rw discard_passdown queue_if_no_space - 512";
        let Some(ThinPool::Serves(serves)) = pool(line) else { panic!("{line}") };
        assert_eq!(
            (serves.metadata, serves.data),
            (Share { used: 218, total: 2048 }, Share { used: 196, total: 256 })
        );
        assert_eq!(
            (serves.mode, serves.needs_check, serves.metadata_low_water),
            (Mode::ReadWrite, false, Some(512))
        );
        assert!(serves.queues_without_space && !serves.held_root);
        let line = "3 2048/2048 256/256 71 ro no_discard_passdown error_if_no_space needs_check ";
        let Some(ThinPool::Serves(full)) = pool(line) else { panic!("{line}") };
        assert_eq!((full.mode, full.needs_check, full.held_root), (Mode::ReadOnly, true, true));
        assert!(!full.queues_without_space && full.data.is_full() && full.metadata_low_water.is_none());
        let line = "0 9/2048 256/256 - out_of_data_space ignore_discard queue_if_no_space - 512";
        assert!(matches!(pool(line), Some(ThinPool::Serves(Pool { mode: Mode::OutOfDataSpace, .. }))));
        assert_eq!((pool("Fail"), pool("Error")), (Some(ThinPool::Fail), Some(ThinPool::Error)));
        assert_eq!((pool(""), pool("0 1/2 3/4 - xx"), pool("0 1/2 3 - rw")), (None, None, None));
    }

    #[test]
    fn a_volume() {
        let Some(Status::Thin(thin)) = decode("thin", "8192 16383") else { panic!("none") };
        assert_eq!((thin.mapped, thin.highest), (8192, Some(16383)));
        assert!(matches!(
            decode("thin", "0 -"),
            Some(Status::Thin(Thin { mapped: 0, highest: None, failed: false }))
        ));
        assert!(matches!(decode("thin", "Fail"), Some(Status::Thin(Thin { failed: true, .. }))));
    }
}
