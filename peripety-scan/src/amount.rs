//! Amounts of data, rates and times, as people write them.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};

/// Units of bytes: those of disks are powers of 1,000.
const UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Units of time, the longest first.
const TIMES: &[(&str, u64)] = &[("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];

/// `20 MB/s` in bytes per second; none if it is no rate, or nothing.
pub fn rate(text: &str) -> Option<u64> {
    let amount = text.trim().strip_suffix("/s")?.trim();
    let digits = amount.find(|c: char| !c.is_ascii_digit()).unwrap_or(amount.len());
    let (number, unit) = amount.split_at_checked(digits)?;
    let factor = UNITS.iter().find(|(name, _)| *name == unit.trim())?.1;
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|rate| *rate > 0)
}

/// `4.0 TB`.
pub fn bytes(amount: u64) -> String {
    let unit = ["TB", "GB", "MB", "kB"].into_iter().zip([12_u32, 9, 6, 3]);
    let fitting = unit.map(|(name, power)| (name, 10_u64.pow(power))).find(|(_, factor)| amount >= *factor);
    match fitting {
        Some((name, factor)) => {
            let tenths = u128::from(amount) * 10 / u128::from(factor);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{amount} B"),
    }
}

/// `9 days`: in the longest unit of which there are two, or one to the second.
pub fn time(of: Duration) -> String {
    let seconds = of.as_secs();
    let (name, factor) =
        TIMES.iter().find(|(_, factor)| seconds >= factor * 2).copied().unwrap_or(("second", 1));
    let count = seconds / factor;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// How many of something: `1 error`, `2 errors`.
pub fn count(of: u64, what: &str) -> String {
    let plural = match what {
        _ if of == 1 => "",
        es if es.ends_with("mismatch") => "es",
        _ => "s",
    };
    format!("{of} {what}{plural}")
}

pub(crate) fn rate_of<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    rate(&text).ok_or_else(|| D::Error::custom(format!("'{text}' is no rate, like '20 MB/s'")))
}

pub(crate) fn time_of<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed = text.parse::<jiff::Span>().ok().and_then(|span| {
        let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
        Duration::try_from(duration).ok().filter(|time| !time.is_zero())
    });
    parsed.ok_or_else(|| D::Error::custom(format!("'{text}' is no time, like '30 days' or '2min'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_as_people_write_them() {
        for (text, bytes) in [
            ("20 MB/s", Some(20_000_000)),
            ("20MB/s", Some(20_000_000)),
            ("256 kB/s", Some(256_000)),
            ("1 GiB/s", Some(1 << 30)),
            ("4096 B/s", Some(4096)),
            ("20 MB", None),
            ("20", None),
            ("0 MB/s", None),
            ("MB/s", None),
            ("-3 MB/s", None),
            ("99999999999 TB/s", None),
            ("é MB/s", None),
        ] {
            assert_eq!(rate(text), bytes, "{text}");
        }
    }

    #[test]
    fn amounts_and_times_in_words() {
        for (amount, words) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (4_000_787_030_016, "4.0 TB"),
            (u64::MAX, "18446744.0 TB"),
        ] {
            assert_eq!(bytes(amount), words);
        }
        for (seconds, words) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (800_000, "9 days"),
            (100_000, "27 hours"),
        ] {
            assert_eq!(time(Duration::from_secs(seconds)), words);
        }
        assert_eq!(
            (count(1, "error"), count(2, "mismatch")),
            ("1 error".to_owned(), "2 mismatches".to_owned())
        );
    }
}
