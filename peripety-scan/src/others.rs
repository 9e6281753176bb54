//! What others read and write while a scan runs.

use std::{path::Path, time::Duration};

use peripety_block::files::Files;

/// What the kernel counted for some devices: sectors read and written, by whomever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    sectors: u64,
}

impl Counted {
    /// Reads it for these devices; one that is gone counts nothing.
    pub fn read<'a, I: IntoIterator<Item = &'a str>>(files: &Files, class: &Path, names: I) -> Self {
        let of = |name: &str| {
            let text = files.read(&class.join(name.replace('/', "!")).join("stat"), 4096)?;
            sectors(&String::from_utf8_lossy(&text))
        };
        Self { sectors: names.into_iter().filter_map(of).fold(0, u64::saturating_add) }
    }

    /// Bytes per second of others since `before`, of which `own` bytes were not theirs.
    pub fn rate_since(self, before: Self, own: u64, time: Duration) -> u64 {
        let all = self.sectors.saturating_sub(before.sectors).saturating_mul(512);
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        all.saturating_sub(own).saturating_mul(1000) / millis
    }
}

/// Sectors read (third field) and written (seventh) of a line of `stat` (Documentation/block/stat.rst).
fn sectors(line: &str) -> Option<u64> {
    let mut fields = line.split_whitespace().map(str::parse::<u64>);
    let (read, written) = (fields.nth(2)?.ok()?, fields.nth(3)?.ok()?);
    Some(read.saturating_add(written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ones_own_is_of_others() {
        let line = "     160        0     4680        9       50        0     2000        3        0       12       12        0";
        assert_eq!(sectors(line), Some(6680));
        for wrong in ["", "1 2 3", "a b c d e f g", "1 2 99999999999999999999999 4 5 6 7"] {
            assert_eq!(sectors(wrong), None);
        }
        let (before, after) = (Counted { sectors: 1000 }, Counted { sectors: 5000 });
        let second = Duration::from_secs(1);
        assert_eq!(after.rate_since(before, 2000 * 512, second), 2000 * 512);
        assert_eq!(after.rate_since(before, 0, second * 2), 2000 * 512);
        // More than was counted: what failed is no sector that was read.
        assert_eq!(after.rate_since(before, u64::MAX, second), 0);
        assert_eq!(before.rate_since(after, 0, Duration::ZERO), 0);
    }
}
