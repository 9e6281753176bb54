//! Targets that check or keep data and raise no event: they have to be read.
//!
//! * `integrity` (dm-integrity.c): `MISMATCHES SECTORS RECALCULATED|-`.
//! * `verity` (dm-verity-target.c): `V` or `C`, and from 6.19 on the blocks that were corrected, or `-`.
//! * `writecache` (dm-writecache.c): `ERROR BLOCKS FREE WRITEBACK`, from 5.15 on counts of requests after it.
//! * `era` (dm-era-target.c): `BLOCK META/META ERA ROOT|-`, or `Error`.
//! * `vdo` (dm-vdo-target.c): `DEVICE MODE RECOVERY INDEX COMPRESSION USED TOTAL`.

use serde::Serialize;

use super::words::{Share, Words};

/// dm-integrity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Integrity {
    /// Sectors or pages whose checksum did not fit, since the map was made. Each read of them counts again.
    pub mismatches: u64,
    /// Sectors that it gives.
    pub sectors: u64,
    /// How far checksums are calculated anew, while they are.
    pub recalculated: Option<u64>,
}

/// dm-verity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Verity {
    /// `C`: a block did not fit its hash since the map was made.
    pub corrupt: bool,
    /// Blocks that forward error correction mended, where the kernel counts them.
    pub corrected: Option<u64>,
}

/// dm-writecache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Writecache {
    /// Its error, an errno; 0 is none. With one it serves nothing, and what was not written back is at risk.
    pub error: i64,
    /// Blocks of the cache in use.
    pub cache: Share,
    /// Of those, what is being written back.
    pub writeback: u64,
}

/// dm-era.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Era {
    /// The kernel could not say.
    pub failed: bool,
    /// Blocks of metadata.
    pub metadata: Share,
    /// The era.
    pub era: u64,
}

/// VDO.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Vdo {
    /// `normal`, `recovering` or `read-only`.
    pub mode: String,
    /// Whether it recovers from an unclean stop.
    pub recovering: bool,
    /// State of the index: `online`, `offline`, `error`, `closed` …
    pub index: String,
    /// Blocks of its store, of 4 KiB.
    pub store: Share,
}

pub(super) fn integrity(mut words: Words<'_>) -> Option<Integrity> {
    let (mismatches, sectors) = (words.value()?, words.value()?);
    Some(Integrity { mismatches, sectors, recalculated: words.value() })
}

pub(super) fn verity(mut words: Words<'_>) -> Option<Verity> {
    let corrupt = match words.word()? {
        "V" => false,
        "C" => true,
        _ => return None,
    };
    Some(Verity { corrupt, corrected: words.value() })
}

pub(super) fn writecache(mut words: Words<'_>) -> Option<Writecache> {
    let error = words.value()?;
    let (total, free): (u64, u64) = (words.value()?, words.value()?);
    let cache = Share { used: total.saturating_sub(free), total };
    Some(Writecache { error, cache, writeback: words.value()? })
}

pub(super) fn era(mut words: Words<'_>) -> Option<Era> {
    match words.word()? {
        "Error" => return Some(Era { failed: true, metadata: Share::default(), era: 0 }),
        block => block.parse::<u64>().ok()?,
    };
    Some(Era { failed: false, metadata: words.value()?, era: words.value()? })
}

pub(super) fn vdo(mut words: Words<'_>) -> Option<Vdo> {
    let _device = words.word()?;
    let mode = words.word()?.to_owned();
    let recovering = words.word()? == "recovering";
    let index = words.word()?.to_owned();
    let _compression = words.word()?;
    let store = Share { used: words.value()?, total: words.value()? };
    Some(Vdo { mode, recovering, index, store })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Status, decode},
        *,
    };

    #[test]
    fn what_raises_no_event() {
        assert_eq!(
            decode("integrity", "3 2031616 -"),
            Some(Status::Integrity(Integrity { mismatches: 3, sectors: 2_031_616, recalculated: None }))
        );
        assert!(matches!(
            decode("integrity", "0 2031616 8192"),
            Some(Status::Integrity(Integrity { recalculated: Some(8192), .. }))
        ));
        for (line, corrupt, corrected) in
            [("V", false, None), ("C", true, None), ("C 4", true, Some(4)), ("V -", false, None)]
        {
            assert_eq!(decode("verity", line), Some(Status::Verity(Verity { corrupt, corrected })));
        }
        let new = decode("writecache", "0 15360 15000 12 5 3 7 2 1 0 4 0 2 0");
        assert_eq!(new, decode("writecache", "0 15360 15000 12"));
        assert!(matches!(
            new,
            Some(Status::Writecache(Writecache { error: 0, cache: Share { used: 360, .. }, writeback: 12 }))
        ));
        assert!(matches!(
            decode("writecache", "-5 1 1 0"),
            Some(Status::Writecache(Writecache { error: -5, .. }))
        ));
        assert!(matches!(
            decode("era", "8 12/1024 9 -"),
            Some(Status::Era(Era { era: 9, failed: false, .. }))
        ));
        assert!(matches!(decode("era", "Error"), Some(Status::Era(Era { failed: true, .. }))));
        let Some(Status::Vdo(vdo)) = decode("vdo", "/dev/vda read-only - online online 521500 1310720")
        else {
            panic!("none")
        };
        assert_eq!((vdo.mode.as_str(), vdo.recovering, vdo.store.used), ("read-only", false, 521_500));
        for (target, line) in [
            ("integrity", "x 1 -"),
            ("verity", "X"),
            ("writecache", "0 1"),
            ("era", "8 1"),
            ("vdo", "/dev/vda normal"),
        ] {
            assert_eq!(decode(target, line), None, "{target} {line}");
        }
    }
}
