//! Values of the configuration that have a form of their own.

use jiff::{SignedDuration, Timestamp, civil::Time, tz::TimeZone};
use serde::{Deserialize, Deserializer, de::Error as _};

pub(super) const fn remind() -> Option<SignedDuration> {
    Some(SignedDuration::from_hours(24))
}

pub(super) const fn queue() -> usize {
    1000
}

pub(super) const fn ten_minutes() -> SignedDuration {
    SignedDuration::from_mins(10)
}

pub(super) const fn timeout() -> SignedDuration {
    SignedDuration::from_secs(20)
}

/// A duration as `24h`, or `never`.
pub(super) fn duration_or_never<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SignedDuration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "never" {
        return Ok(None);
    }
    match text.parse::<SignedDuration>() {
        Ok(duration) if duration >= SignedDuration::from_secs(1) => Ok(Some(duration)),
        _ => Err(D::Error::custom(format!("'{text}' is no duration; write '24h', '30m' or 'never'"))),
    }
}

/// A span of the day, as `22:00-06:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quiet {
    from: Time,
    to: Time,
}

impl Quiet {
    /// When it ends, if it is now.
    pub(crate) fn ends(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let here = now.to_zoned(zone.clone());
        let (time, over_midnight) = (here.time(), self.to <= self.from);
        let inside = if over_midnight {
            time >= self.from || time < self.to
        } else {
            time >= self.from && time < self.to
        };
        let day = if over_midnight && time >= self.from { here.date().tomorrow().ok()? } else { here.date() };
        let end = day.to_datetime(self.to).to_zoned(zone.clone()).ok()?.timestamp();
        // A clock that is set forward may have passed it.
        (inside && end > now).then_some(end)
    }
}

impl<'de> Deserialize<'de> for Quiet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parse = || {
            let (from, to) = text.split_once('-')?;
            let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
            Some(Self { from, to })
        };
        parse()
            .ok_or_else(|| D::Error::custom(format!("'{text}' is no span of the day; write '22:00-06:00'")))
    }
}

/// A number in a time, as `20/1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) count: usize,
    pub(crate) per: SignedDuration,
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parse = || {
            let (count, per) = text.split_once('/')?;
            let (count, per) = (count.trim().parse().ok()?, per.trim().parse().ok()?);
            let fits = (1..=10_000).contains(&count) && per >= SignedDuration::from_secs(1);
            fits.then_some(Self { count, per })
        };
        parse().ok_or_else(|| {
            D::Error::custom(format!("'{text}' is no rate; write '20/1h': 20 messages in an hour"))
        })
    }
}
