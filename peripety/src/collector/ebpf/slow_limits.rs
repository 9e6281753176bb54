//! From when on a request is slow.

use std::{collections::BTreeMap, fs, path::Path};

use peripety_common::slow::EVERY_DEVICE;

use crate::{block::Dev, roots::Roots};

/// Limits, in nanoseconds; 0: requests are never slow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlowLimits {
    /// Of every disk that has none of its own.
    pub every_ns: u64,
    /// Of a disk by its kernel name or a link below /dev.
    pub by_name: BTreeMap<String, u64>,
}

impl SlowLimits {
    /// The shortest of them; none where there is no limit.
    pub(crate) fn least_ns(&self) -> Option<u64> {
        self.by_name.values().copied().chain([self.every_ns]).filter(|ns| *ns > 0).min()
    }

    /// The limits by the number of the disk, of those that there are now.
    pub(super) fn by_number(&self, roots: &Roots) -> BTreeMap<u32, u64> {
        let named = self.by_name.iter().filter_map(|(name, ns)| Some((number(roots, name)?, *ns)));
        named.chain([(EVERY_DEVICE, self.every_ns)]).collect()
    }
}

/// The number of the whole disk with this name, in the kernel's encoding.
fn number(roots: &Roots, name: &str) -> Option<u32> {
    let node = if name.starts_with('/') { fs::canonicalize(name).ok() } else { None };
    let name = node.as_deref().unwrap_or(Path::new(name)).file_name()?;
    let text = fs::read_to_string(roots.sysfs.join("block").join(name).join("dev")).ok()?;
    text.trim().parse::<Dev>().ok().map(Dev::to_kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_found_by_its_name_when_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots { sysfs: dir.path().to_owned(), ..Roots::system() };
        let limits = SlowLimits {
            every_ns: 0,
            by_name: [("sda".to_owned(), 5_000_000), ("/dev/nope".to_owned(), 1), ("../x".to_owned(), 2)]
                .into(),
        };
        assert_eq!(limits.by_number(&roots), [(EVERY_DEVICE, 0)].into());
        fs::create_dir_all(dir.path().join("block/sda")).unwrap();
        fs::write(dir.path().join("block/sda/dev"), "8:16\n").unwrap();
        let sda = Dev::new(8, 16).to_kernel();
        assert_eq!(limits.by_number(&roots), [(EVERY_DEVICE, 0), (sda, 5_000_000)].into());
        assert_eq!((limits.least_ns(), SlowLimits::default().least_ns()), (Some(1), None));
    }
}
