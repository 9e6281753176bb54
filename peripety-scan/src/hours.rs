//! The hours of a day in which a scan may run.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error as _};

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// From one minute of the day (local time) until before another one; over midnight where that is the earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    from: u16,
    until: u16,
}

impl Hours {
    /// Whether this minute of the day is among them.
    pub const fn have(self, minute: u16) -> bool {
        if self.from < self.until {
            self.from <= minute && minute < self.until
        } else {
            self.from <= minute || minute < self.until
        }
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = |text: &str| -> Option<u16> {
            let (hour, minute) = text.trim().split_once(':')?;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (minute < 60).then_some(hour.checked_mul(60)? + minute).filter(|minutes| *minutes <= DAY)
        };
        let both = text.split_once('-').and_then(|(from, until)| Some((time(from)?, time(until)?)));
        match both {
            Some((from, until)) if from != until && from < DAY => Ok(Self { from, until }),
            _ => Err(format!("'{text}' are no hours of a day, like '22:00-06:00'")),
        }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, until) = (self.from, self.until);
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

pub(crate) fn hours_of<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Hours>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_within_a_day_and_over_midnight() {
        for (text, minute, is_within) in [
            ("22:00-06:00", 22 * 60, true),
            ("22:00-06:00", 0, true),
            ("22:00-06:00", 6 * 60, false),
            ("22:00-06:00", 12 * 60, false),
            ("01:30-05:00", 90, true),
            ("01:30-05:00", 89, false),
            ("20:00-24:00", 23 * 60 + 59, true),
            ("20:00-24:00", 0, false),
        ] {
            let hours: Hours = text.parse().unwrap();
            assert_eq!(hours.have(minute), is_within, "{text} {minute}");
            assert_eq!(hours.to_string(), text);
        }
        for wrong in [
            "",
            "22-6",
            "22:00",
            "22:60-23:00",
            "25:00-26:00",
            "01:00-01:00",
            "24:00-01:00",
            "9999999:1-2:00",
        ] {
            assert!(wrong.parse::<Hours>().is_err(), "{wrong}");
        }
    }
}
