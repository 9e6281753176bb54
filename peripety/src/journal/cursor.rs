//! Where an entry stands among those of other files, from its cursor.

use std::cmp::Ordering;

/// What libsystemd writes into a cursor: `s=…;i=…;b=…;m=…;t=…;x=…`, all numbers hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Which numbering of entries.
    pub numbering: u128,
    /// The entry's number in it.
    pub number: u64,
    boot: u128,
    monotonic_us: u64,
    realtime_us: u64,
    hash: u64,
}

impl Key {
    /// Of a cursor; none if it is none.
    pub(crate) fn parse(cursor: &str) -> Option<Self> {
        let part = |key: &str| cursor.split(';').find_map(|part| part.strip_prefix(key));
        let number = |key: &str| u64::from_str_radix(part(key)?, 16).ok();
        let id = |key: &str| u128::from_str_radix(part(key)?, 16).ok();
        Some(Self {
            numbering: id("s=")?,
            number: number("i=")?,
            boot: id("b=")?,
            monotonic_us: number("m=")?,
            realtime_us: number("t=")?,
            hash: number("x=")?,
        })
    }

    /// Which of two entries of different files comes first, as libsystemd has it; `Equal` for copies of one entry.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        let numbers = || {
            (self.numbering == other.numbering).then(|| self.number.cmp(&other.number)).filter(|o| o.is_ne())
        };
        let times = || {
            (self.boot == other.boot)
                .then(|| self.monotonic_us.cmp(&other.monotonic_us))
                .filter(|o| o.is_ne())
        };
        if self == other {
            return Ordering::Equal;
        }
        numbers()
            .or_else(times)
            .unwrap_or_else(|| self.realtime_us.cmp(&other.realtime_us).then(self.hash.cmp(&other.hash)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(s: u8, i: u64, b: u8, m: u64, t: u64) -> Key {
        Key::parse(&format!("s={s:032x};i={i:x};b={b:032x};m={m:x};t={t:x};x=ff")).unwrap()
    }

    #[test]
    fn entries_of_several_files_have_an_order() {
        let one = key(1, 10, 1, 100, 1000);
        assert_eq!(one.order(&one), Ordering::Equal);
        // The clock was set back: numbers count.
        assert_eq!(one.order(&key(1, 11, 1, 101, 500)), Ordering::Less);
        assert_eq!(one.order(&key(2, 1, 1, 101, 500)), Ordering::Less, "the boot's clock");
        assert_eq!(one.order(&key(2, 1, 2, 1, 1001)), Ordering::Less, "the wall clock");
        for nonsense in ["", "s=1", "s=1;i=zz;b=1;m=1;t=1;x=1", "s=;i=;b=;m=;t=;x=", "not a cursor"] {
            assert_eq!(Key::parse(nonsense), None, "{nonsense}");
        }
    }
}
