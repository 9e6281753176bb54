//! Records of XFS's health monitor, 64 bytes each (fs/xfs/libxfs/xfs_fs.h, struct xfs_health_monitor_event; 7.2 and newer).

use peripety_model::Errno;
use serde::{Deserialize, Serialize};

use crate::bytes;

/// Bytes of a record.
pub const RECORD: usize = 64;

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Something failed.
    Failed(Failed),
    /// So many records were lost.
    Lost(u64),
    /// The filesystem is unmounted: the monitor ends.
    Unmounted,
    /// That it runs, or that something is healthy again.
    Fine,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Something; the filesystem does not say what.
    Error,
    /// Metadata is wrong.
    Corrupt,
    /// The filesystem was shut down.
    Shutdown,
    /// A part of a device cannot be read.
    Media,
    /// A read of a file failed.
    Read,
    /// A write of a file failed.
    Write,
    /// Written data of a file is lost.
    DataLost,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// What failed.
    pub what: What,
    /// errno, where there is one.
    pub errno: Option<Errno>,
    /// The inode.
    pub inode: Option<u64>,
    /// Its generation.
    pub generation: Option<u32>,
    /// First byte of the file or device.
    pub offset: Option<u64>,
    /// Bytes.
    pub length: Option<u64>,
    /// More, in words.
    pub detail: String,
}

/// SHUTDOWN_* of the monitor, the graver ones first.
const REASONS: [(u32, &str); 6] = [
    (16, "corruption of on-disk metadata"),
    (8, "corruption of in-memory data"),
    (2, "log I/O error"),
    (32, "block device removed"),
    (1, "metadata I/O error"),
    (4, "forced by a user"),
];

const DOMAINS: [&str; 9] = [
    "mount",
    "filesystem",
    "allocation group",
    "inode",
    "realtime group",
    "data device",
    "realtime device",
    "log device",
    "file",
];

/// Reads one record; none when it is no record, or of a kind that is not known.
pub fn decode(record: &[u8]) -> Option<Record> {
    let (u32_at, u64_at) = (|at| bytes::u32_at(record, at), |at| bytes::u64_at(record, at));
    if record.len() < RECORD {
        return None;
    }
    let (domain, kind) = (u32_at(0)?, u32_at(4)?);
    let name = DOMAINS.get(usize::try_from(domain).ok()?)?;
    let failed = |what, errno: Errno| Failed {
        what,
        errno: Some(errno).filter(|errno| errno.raw() != 0),
        inode: None,
        generation: None,
        offset: None,
        length: None,
        detail: (*name).to_owned(),
    };
    Some(Record::Failed(match kind {
        0 | 5 => return Some(Record::Fine),
        1 => return Some(Record::Lost(u64_at(16)?)),
        2 => return Some(Record::Unmounted),
        3 | 4 => {
            let mut failed = failed(What::Corrupt, Errno::EUCLEAN);
            // An inode: u64 inode, u32 generation, u32 mask.
            if domain == 3 {
                failed.inode = u64_at(16);
                failed.generation = u32_at(24);
            }
            failed
        }
        6 => {
            let flags = u32_at(16)?;
            let reasons: Vec<&str> =
                REASONS.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, reason)| *reason).collect();
            Failed { detail: reasons.join(", "), ..failed(What::Shutdown, Errno::ESHUTDOWN) }
        }
        7 => {
            let bytes = |at| u64_at(at).map(|blocks| blocks.saturating_mul(512));
            Failed { offset: bytes(16), length: bytes(24), ..failed(What::Media, Errno::EIO) }
        }
        8..=12 => {
            let (what, how) = match kind {
                8 => (What::Read, "buffered read"),
                9 => (What::Write, "buffered write"),
                10 => (What::Read, "direct read"),
                11 => (What::Write, "direct write"),
                _ => (What::DataLost, "written data"),
            };
            let errno = u32_at(44)?.cast_signed();
            Failed {
                offset: u64_at(16),
                length: u64_at(24),
                inode: u64_at(32),
                generation: u32_at(40),
                detail: how.to_owned(),
                ..failed(what, errno.checked_abs().map_or(Errno::EIO, Errno::from_raw))
            }
        }
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(domain: u32, kind: u32, body: &[u64]) -> Vec<u8> {
        let mut raw: Vec<u8> = [domain, kind].iter().flat_map(|number| number.to_ne_bytes()).collect();
        raw.extend(1_u64.to_ne_bytes());
        raw.extend(body.iter().flat_map(|number| number.to_ne_bytes()));
        raw.resize(RECORD, 0);
        raw
    }

    #[test]
    fn a_write_names_the_bytes_of_its_file() {
        let generation_and_errno = if cfg!(target_endian = "big") { 9 << 32 | 5 } else { 5 << 32 | 9 };
        let Some(Record::Failed(failed)) = decode(&record(8, 9, &[4096, 8192, 131, generation_and_errno]))
        else {
            panic!("no failure")
        };
        assert_eq!((failed.what, failed.errno, failed.inode), (What::Write, Some(Errno::EIO), Some(131)));
        assert_eq!((failed.offset, failed.length, failed.generation), (Some(4096), Some(8192), Some(9)));
    }

    #[test]
    fn a_shutdown_gives_its_reasons_and_an_unmount_ends_it() {
        let reasons = if cfg!(target_endian = "big") { 6 << 32 } else { 6 };
        let Some(Record::Failed(failed)) = decode(&record(0, 6, &[reasons])) else { panic!("no failure") };
        assert_eq!(
            (failed.what, failed.detail.as_str()),
            (What::Shutdown, "log I/O error, forced by a user")
        );
        assert_eq!(decode(&record(0, 2, &[])), Some(Record::Unmounted));
        assert_eq!(decode(&record(0, 1, &[7])), Some(Record::Lost(7)));
        assert_eq!(decode(&record(0, 99, &[])), None);
        assert_eq!(decode(&record(99, 4, &[])), None);
        assert_eq!(decode(&[0; 63]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fail(domain in 0_u32..12, kind in 0_u32..16, body: [u64; 6], cut in 0_usize..64) {
            let raw = record(domain, kind, &body);
            decode(&raw);
            decode(&raw[..cut]);
        }
    }
}
