//! Times as logs write them, each with what follows it.

use super::months;
use jiff::{
    civil::Date,
    tz::{Offset, TimeZone},
};

/// What a stamp needs to become a time: the zone and the year that it does not report.
#[derive(Clone, Debug)]
pub struct Calendar {
    /// Zone of stamps that name none.
    pub zone: TimeZone,
    /// Year of the latest stamp that has none.
    year: i16,
    /// Month of that stamp; 0 before the first.
    month: i8,
    /// The last stamp of the file is not later than this: year, month, day.
    newest: (i16, i8, i8),
    /// The latest stamp to the minute, and what it became: most lines are of the same minute.
    latest: Option<(Minute, i64)>,
}

/// A stamp to the minute, with its distance from UTC where it reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Minute {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    offset: Option<Offset>,
}

/// `13:16:50.123456`.
#[derive(Clone, Copy, Debug)]
struct Clock {
    hour: i8,
    minute: i8,
    second: i8,
    micros: i64,
}

impl Calendar {
    /// Stamps in `zone`, of a file whose last line was written at `newest`.
    pub fn new(zone: TimeZone, newest: jiff::Timestamp) -> Self {
        let at = newest.to_zoned(zone.clone());
        let newest = (at.year(), at.month(), at.day());
        Self { zone, year: newest.0, month: 0, newest, latest: None }
    }

    /// The year and the month of the latest stamp without a year: of a stamp of the same month they stay.
    pub(super) fn reached(&self) -> (i16, i8) {
        (self.year, self.month)
    }

    /// The year of a stamp that reports none. The first is of the year that brings it nearest before the file's end; from
    /// then on the years go with the months.
    fn year_of(&mut self, month: i8, day: i8) -> i16 {
        if self.month == 0 {
            let (year, last_month, last_day) = self.newest;
            self.year = if (month, day) > (last_month, last_day.saturating_add(1)) { year - 1 } else { year };
        } else if self.month == 12 && month == 1 {
            self.year = self.year.saturating_add(1).min(9999);
        } else if self.month == 1 && month == 12 {
            // A line that came late.
            self.year = self.year.saturating_sub(1).max(1);
        }
        self.month = month;
        self.year
    }

    /// Microseconds since 1970.
    fn wall(
        &mut self,
        (year, month, day): (i16, i8, i8),
        clock: Clock,
        offset: Option<Offset>,
    ) -> Option<i64> {
        let Clock { hour, minute, second, micros } = clock;
        let minute = Minute { year, month, day, hour, minute, offset };
        let start = match self.latest {
            Some((known, start)) if known == minute => start,
            _ => {
                let at = Date::new(year, month, day).ok()?.at(hour, minute.minute, 0, 0);
                let start = match offset {
                    Some(offset) => offset.to_timestamp(at).ok()?,
                    None => self.zone.to_timestamp(at).ok()?,
                };
                let start = start.as_microsecond();
                self.latest = Some((minute, start));
                start
            }
        };
        Some(start.saturating_add(i64::from(second) * 1_000_000).saturating_add(micros))
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The month's number, with what follows its name.
fn month(text: &str) -> Option<(i8, &str)> {
    english_month(text).or_else(|| months::month(text))
}

fn english_month(text: &str) -> Option<(i8, &str)> {
    let (name, rest) = text.split_at_checked(3)?;
    let at = MONTHS.iter().position(|month| *month == name)?;
    Some((i8::try_from(at + 1).ok()?, rest))
}

/// A number of `least` to `most` digits at the start, with what follows it.
pub(super) fn number(text: &str, least: usize, most: usize) -> Option<(u64, &str)> {
    let mut number = 0_u64;
    let mut length = 0;
    for byte in text.bytes().take(most).take_while(u8::is_ascii_digit) {
        number = number.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
        length += 1;
    }
    let rest = text.get(length..)?;
    (length >= least && length > 0).then_some((number, rest))
}

fn small(text: &str, least: usize, most: usize) -> Option<(i8, &str)> {
    let (number, rest) = number(text, least, most)?;
    Some((i8::try_from(number).ok()?, rest))
}

/// `13:16:50`, with an optional fraction after `.` or `,`.
fn clock(text: &str) -> Option<(Clock, &str)> {
    let (hour, rest) = small(text, 2, 2)?;
    let (minute, rest) = small(rest.strip_prefix(':')?, 2, 2)?;
    let (second, rest) = small(rest.strip_prefix(':')?, 2, 2)?;
    if hour > 23 || minute > 59 {
        return None;
    }
    let (micros, rest) = fraction(rest);
    // A leap second is reported as the second before.
    Some((Clock { hour, minute, second: second.min(59), micros }, rest))
}

/// Microseconds after `.` or `,`; 0 if there is none.
fn fraction(text: &str) -> (i64, &str) {
    let Some(digits) = text.strip_prefix(['.', ',']) else { return (0, text) };
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = digits.split_at_checked(length).unwrap_or((digits, ""));
    if length == 0 {
        return (0, text);
    }
    let micros = (0..6)
        .fold(0, |sum, at| sum * 10 + digits.as_bytes().get(at).map_or(0, |digit| i64::from(*digit - b'0')));
    (micros, rest)
}

/// `12345.678901`: seconds with a fraction of six digits, in microseconds.
pub(super) fn seconds(text: &str) -> Option<(u64, &str)> {
    seconds_with(text, &['.'])
}

/// The same with the mark of any language before the fraction: `0,000508` of dmesg -H.
pub(super) fn local_seconds(text: &str) -> Option<(u64, &str)> {
    seconds_with(text, &['.', ','])
}

fn seconds_with<'t>(text: &'t str, marks: &[char]) -> Option<(u64, &'t str)> {
    let (whole, rest) = number(text, 1, 12)?;
    rest.strip_prefix(marks).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))?;
    let (micros, rest) = fraction(rest);
    Some((whole.checked_mul(1_000_000)?.checked_add(u64::try_from(micros).ok()?)?, rest))
}

/// `Nov 21 13:16:50`, `Nov  1 13:16:50.123456`, and with the year after or before it.
pub(crate) fn traditional<'t>(text: &'t str, calendar: &mut Calendar) -> Option<(i64, &'t str)> {
    let (before, text) = match number(text, 4, 4) {
        Some((year, rest)) => (i16::try_from(year).ok(), rest.strip_prefix(' ')?),
        None => (None, text),
    };
    let (month, rest) = month(text)?;
    let (day, rest) = small(rest.strip_prefix(' ')?.trim_start_matches(' '), 1, 2)?;
    let rest = rest.strip_prefix(' ')?;
    let (after, rest) = match number(rest, 4, 4) {
        Some((year, rest)) if before.is_none() => (i16::try_from(year).ok(), rest.strip_prefix(' ')?),
        _ => (None, rest),
    };
    let (clock, rest) = clock(rest)?;
    let year = before.or(after).unwrap_or_else(|| calendar.year_of(month, day));
    Some((calendar.wall((year, month, day), clock, None)?, rest))
}

/// `2026-11-21T13:16:50.123456+01:00`, `2026-11-21T13:16:50+0100`, `…Z`, with a space for the `T`, with no zone.
pub(crate) fn iso<'t>(text: &'t str, calendar: &mut Calendar) -> Option<(i64, &'t str)> {
    numeric(text, '-', calendar)
}

/// `2026/06/13 16:12:24 CEST`, with or without the zone's name, which is taken for the log's own.
pub(super) fn slashed<'t>(text: &'t str, calendar: &mut Calendar) -> Option<(i64, &'t str)> {
    let (wall, rest) = numeric(text, '/', calendar)?;
    let name =
        rest.strip_prefix(' ').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_uppercase).count());
    Some((wall, if (2..=5).contains(&name) { rest.get(name + 1..)? } else { rest }))
}

/// Year, month and day as numbers with `between` between them, then the clock.
fn numeric<'t>(text: &'t str, between: char, calendar: &mut Calendar) -> Option<(i64, &'t str)> {
    let (year, rest) = number(text, 4, 4)?;
    let (month, rest) = small(rest.strip_prefix(between)?, 2, 2)?;
    let (day, rest) = small(rest.strip_prefix(between)?, 2, 2)?;
    let (clock, rest) = clock(rest.strip_prefix(['T', ' '])?)?;
    let (offset, rest) = offset(rest);
    Some((calendar.wall((i16::try_from(year).ok()?, month, day), clock, offset)?, rest))
}

/// `Z`, `+01:00`, `+0100`, `+01`, ` UTC` or nothing.
fn offset(text: &str) -> (Option<Offset>, &str) {
    for utc in ["Z", " UTC", " GMT"] {
        if let Some(rest) = text.strip_prefix(utc) {
            return (Some(Offset::UTC), rest);
        }
    }
    let numeric = || {
        let rest = text.strip_prefix(['+', '-'])?;
        let (hours, rest) = small(rest, 2, 2)?;
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        let (minutes, rest) = small(rest, 2, 2).unwrap_or((0, rest));
        let seconds = i32::from(hours) * 3600 + i32::from(minutes) * 60;
        let seconds = if text.starts_with('-') { -seconds } else { seconds };
        Some((Offset::from_seconds(seconds).ok()?, rest))
    };
    numeric().map_or((None, text), |(offset, rest)| (Some(offset), rest))
}

/// `Sat 2026-11-21 13:16:50 UTC` of journalctl's short-full. The name of another zone than UTC is taken for the log's own.
pub(super) fn full<'t>(text: &'t str, calendar: &mut Calendar) -> Option<(i64, &'t str)> {
    // The day's name is in the language of whoever printed the log.
    let (day, rest) = text.split_at_checked(text.bytes().take(24).position(|b| b == b' ')?)?;
    day.chars().all(|c| c.is_alphabetic() || c == '.').then_some(())?;
    let rest = rest.strip_prefix(' ')?;
    let (wall, rest) = iso(rest, calendar)?;
    if let Some((zone, name)) = rest.strip_prefix(' ').and_then(|zone| Some((zone, zone.find(' ')?))) {
        let is_zone = zone.bytes().take(name).all(|b| b.is_ascii_uppercase() || b"+-0123456789".contains(&b));
        if is_zone && name <= 6 {
            return Some((wall, zone.get(name..)?));
        }
    }
    Some((wall, rest))
}

/// `Sat Nov 21 13:16:50 2026` of ctime(3), which dmesg -T writes.
pub(super) fn ctime<'t>(text: &'t str, calendar: &mut Calendar) -> Option<(i64, &'t str)> {
    let (day, rest) = text.split_at_checked(3)?;
    DAYS.contains(&day).then_some(())?;
    let (month, rest) = month(rest.strip_prefix(' ')?)?;
    let (day, rest) = small(rest.trim_start_matches(' '), 1, 2)?;
    let (clock, rest) = clock(rest.strip_prefix(' ')?)?;
    let (year, rest) = number(rest.strip_prefix(' ')?, 4, 4)?;
    Some((calendar.wall((i16::try_from(year).ok()?, month, day), clock, None)?, rest))
}

/// `11-21 13:16:50.123` of logcat.
pub(super) fn without_year<'t>(text: &'t str, calendar: &mut Calendar) -> Option<(i64, &'t str)> {
    let (month, rest) = small(text, 2, 2)?;
    let (day, rest) = small(rest.strip_prefix('-')?, 2, 2)?;
    let (clock, rest) = clock(rest.strip_prefix(' ')?)?;
    ((1..=12).contains(&month) && (1..=31).contains(&day) && rest.starts_with(' ')).then_some(())?;
    let year = calendar.year_of(month, day);
    Some((calendar.wall((year, month, day), clock, None)?, rest))
}

/// `Nov21 14:23` of dmesg -H, to the minute.
pub(super) fn reltime(text: &str, calendar: &mut Calendar) -> Option<i64> {
    let (month, rest) = english_month(text)?;
    let (day, rest) = small(rest.trim_start_matches(' '), 1, 2)?;
    let (hour, rest) = small(rest.strip_prefix(' ')?, 2, 2)?;
    let (minute, rest) = small(rest.strip_prefix(':')?, 2, 2)?;
    rest.is_empty().then_some(())?;
    let clock = Clock { hour: hour.clamp(0, 23), minute: minute.clamp(0, 59), second: 0, micros: 0 };
    let year = calendar.year_of(month, day);
    calendar.wall((year, month, day), clock, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar() -> Calendar {
        Calendar::new(TimeZone::UTC, "2026-02-10T00:00:00Z".parse().unwrap())
    }

    fn at(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn each_spelling_of_a_time_is_read() {
        let c = &mut calendar();
        let want = at("2026-01-21T13:16:50.5Z");
        let whole = at("2026-01-21T13:16:50Z");
        assert_eq!(traditional("Jan 21 13:16:50 h", c), Some((whole, " h")));
        assert_eq!(traditional("Jan 21 13:16:50.500000 h", c), Some((want, " h")));
        assert_eq!(traditional("Jan 21 2026 13:16:50 h", c), Some((whole, " h")));
        assert_eq!(traditional("2026 Jan 21 13:16:50 h", c), Some((whole, " h")));
        assert_eq!(iso("2026-01-21T13:16:50.500000+00:00 h", c), Some((want, " h")));
        assert_eq!(iso("2026-01-21T14:16:50+0100 h", c), Some((whole, " h")));
        assert_eq!(iso("2026-01-21T12:16:50,5-01:00 h", c), Some((want, " h")));
        assert_eq!(iso("2026-01-21 13:16:50Z", c), Some((whole, "")));
        assert_eq!(slashed("2026/01/21 13:16:50 CEST] x", c), Some((whole, "] x")));
        assert_eq!(slashed("2026/01/21 13:16:50.5 db1 x", c), Some((want, " db1 x")));
        assert_eq!(full("Wed 2026-01-21 13:16:50 UTC h", c), Some((whole, " h")));
        assert_eq!(full("Wed 2026-01-21 13:16:50.5 CEST h", c), Some((want, " h")));
        assert_eq!(ctime("Wed Jan 21 13:16:50 2026] x", c), Some((whole, "] x")));
        assert_eq!(reltime("Jan21 13:16", c), Some(at("2026-01-21T13:16:00Z")));
        assert_eq!(seconds("12.000345]"), Some((12_000_345, "]")));
        assert_eq!(seconds("12.5]"), Some((12_500_000, "]")));
        for none in ["12", "12.", "12.x", "", "x"] {
            assert_eq!(seconds(none), None, "{none}");
        }
    }

    #[test]
    fn a_year_that_is_not_told_goes_with_the_months() {
        let c = &mut calendar();
        for (text, want) in [
            ("Nov 30 00:00:00", "2025-11-30T00:00:00Z"),
            ("Dec 31 23:59:60", "2025-12-31T23:59:59Z"),
            ("Jan  1 00:00:00", "2026-01-01T00:00:00Z"),
            ("Dec 31 23:59:59", "2025-12-31T23:59:59Z"),
            ("Jan  1 00:00:01", "2026-01-01T00:00:01Z"),
        ] {
            assert_eq!(traditional(text, c), Some((at(want), "")), "{text}");
        }
    }

    #[test]
    fn nonsense_is_no_time() {
        let c = &mut calendar();
        for text in [
            "",
            "Jan",
            "Jan 32 00:00:00",
            "Feb 30 00:00:00",
            "Jan 21 25:00:00",
            "Jän 1 00:00:00",
            "2026-13-01T00:00:00Z",
            "2026-01-01",
            "日本語",
            "Wed",
            "Wed ",
        ] {
            assert_eq!(traditional(text, c), None, "{text}");
            assert_eq!(iso(text, c), None, "{text}");
            assert_eq!(full(text, c), None, "{text}");
            assert_eq!(ctime(text, c), None, "{text}");
            assert_eq!(reltime(text, c), None, "{text}");
        }
    }
}
