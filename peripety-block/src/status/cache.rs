//! `cache` (dm-cache-target.c `cache_status`; Documentation/admin-guide/device-mapper/cache.rst) and `clone`
//! (dm-clone-target.c `clone_status`); `Fail` or `Error` in place of either.
//!
//! `cache`: `BLOCK META/META BLOCK CACHE/CACHE RHITS RMISSES WHITS WMISSES DEMOTIONS PROMOTIONS DIRTY #FEATURES … #CORE …
//! POLICY #ARGS … rw|ro needs_check|-`. `clone`: `BLOCK META/META REGION HYDRATED/REGIONS HYDRATING #FEATURES … #CORE …
//! rw|ro`.

use serde::Serialize;

use super::words::{Share, Words};

/// A cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "cache", rename_all = "snake_case")]
pub enum Cache {
    /// It serves nothing.
    Fail,
    /// The kernel could not say.
    Error,
    /// It serves.
    Serves(Serves),
}

/// What a cache says while it serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Serves {
    /// Blocks of metadata.
    pub metadata: Share,
    /// Blocks of the cache in use.
    pub cache: Share,
    /// Blocks that only the cache has: lost with it.
    pub dirty: u64,
    /// `writeback`, `writethrough` or `passthrough`.
    pub mode: String,
    /// The metadata are not written any more.
    pub read_only: bool,
    /// The metadata have to be checked before they are written again.
    pub needs_check: bool,
}

/// A clone of another device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Clone_ {
    /// `Fail` or `Error`: it serves nothing.
    pub failed: bool,
    /// Blocks of metadata.
    pub metadata: Share,
    /// Regions that are copied.
    pub copied: Share,
    /// The metadata are not written any more.
    pub read_only: bool,
}

pub(super) fn cache(mut words: Words<'_>) -> Option<Cache> {
    match words.word()? {
        "Fail" => return Some(Cache::Fail),
        "Error" => return Some(Cache::Error),
        block => block.parse::<u64>().ok()?,
    };
    let metadata = words.value()?;
    let _block: u64 = words.value()?;
    let cache = words.value()?;
    // Hits, misses, demotions, promotions.
    words.take(6)?;
    let dirty = words.value()?;
    let features = words.counted()?;
    let mode = features.iter().find(|word| word.starts_with("write") || **word == "passthrough");
    let mode = mode.map(|word| (*word).to_owned()).unwrap_or_default();
    words.counted()?;
    let _policy = words.word()?;
    words.counted()?;
    let read_only = words.word()? == "ro";
    let needs_check = words.word() == Some("needs_check");
    Some(Cache::Serves(Serves { metadata, cache, dirty, mode, read_only, needs_check }))
}

pub(super) fn clone(mut words: Words<'_>) -> Option<Clone_> {
    match words.word()? {
        "Fail" | "Error" => {
            let none = Share::default();
            return Some(Clone_ { failed: true, metadata: none, copied: none, read_only: true });
        }
        block => block.parse::<u64>().ok()?,
    };
    let metadata = words.value()?;
    let _region: u64 = words.value()?;
    let copied = words.value()?;
    let _hydrating: u64 = words.value()?;
    words.counted()?;
    words.counted()?;
    Some(Clone_ { failed: false, metadata, copied, read_only: words.word()? == "ro" })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Status, decode},
        *,
    };

    const LINE: &str = "8 27/4096 128 1013/32768 26 1006 0 1 0 1013 7 2 metadata2 writeback 2 migration_threshold 2048 smq 0 rw -";

    #[test]
    fn a_cache() {
        let Some(Status::Cache(Cache::Serves(serves))) = decode("cache", LINE) else { panic!("none") };
        assert_eq!((serves.dirty, serves.mode.as_str(), serves.read_only), (7, "writeback", false));
        assert_eq!(serves.cache, Share { used: 1013, total: 32768 });
        let broken = LINE.replace("rw -", "ro needs_check");
        let Some(Status::Cache(Cache::Serves(serves))) = decode("cache", &broken) else { panic!("none") };
        assert!(serves.read_only && serves.needs_check);
        assert_eq!(decode("cache", "Fail"), Some(Status::Cache(Cache::Fail)));
        // A count beyond the line.
        assert_eq!(decode("cache", &LINE.replace("7 2 m", "7 99999999999 m")), None);
        assert_eq!(decode("cache", "8 27/4096 128"), None);
    }

    #[test]
    fn a_clone() {
        let line = "8 22/4096 8 2/1024 1 1 no_hydration 4 hydration_threshold 1 hydration_batch_size 1 rw";
        let Some(Status::Clone(clone)) = decode("clone", line) else { panic!("none") };
        assert_eq!((clone.copied, clone.read_only), (Share { used: 2, total: 1024 }, false));
        assert!(matches!(decode("clone", "Fail"), Some(Status::Clone(Clone_ { failed: true, .. }))));
    }
}
