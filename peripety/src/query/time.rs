//! Times as people and journalctl write them.

use jiff::{
    Span, Timestamp, ToSpan as _, Unit, Zoned,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};

/// The text is no time.
#[derive(Debug, thiserror::Error)]
#[error(
    "'{0}' is no time; write '2026-11-21', '2026-11-21 10:00', '10:00', 'today', 'yesterday', '-1h', '2 hours ago', \
     '2026-11-21T10:00:00Z' or '@1795255200'"
)]
pub(crate) struct UnknownTime(String);

/// Reads a time; what it does not say is taken from `now`, in `now`'s time zone.
///
/// # Errors
///
/// The text is none of the forms that [`UnknownTime`] lists, or out of range.
pub(crate) fn parse(text: &str, now: &Zoned) -> Result<Timestamp, UnknownTime> {
    let trimmed = text.trim();
    word(trimmed, now)
        .or_else(|| seconds(trimmed))
        .or_else(|| relative(trimmed, now))
        .or_else(|| absolute(trimmed, now))
        .or_else(|| absolute(without_weekday(trimmed)?, now))
        .ok_or_else(|| UnknownTime(text.to_owned()))
}

fn word(text: &str, now: &Zoned) -> Option<Timestamp> {
    let midnight = now.start_of_day().ok()?;
    let day = |span: Span| Some(midnight.checked_add(span).ok()?.timestamp());
    match text.to_ascii_lowercase().as_str() {
        "now" => Some(now.timestamp()),
        "today" => Some(midnight.timestamp()),
        "yesterday" => day((-1).days()),
        "tomorrow" => day(1.days()),
        _ => None,
    }
}

/// `@1795255200`, with an optional fraction.
fn seconds(text: &str) -> Option<Timestamp> {
    let digits = text.strip_prefix('@')?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let micros: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    Timestamp::from_microsecond(whole.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(micros)?).ok()
}

/// `-1h`, `+5min`, `1h ago`, `2 hours 30 minutes ago`, `1 day left`.
fn relative(text: &str, now: &Zoned) -> Option<Timestamp> {
    let lower = text.to_ascii_lowercase();
    let (amount, back) = if let Some(amount) = lower.strip_suffix("ago") {
        (amount, true)
    } else if let Some(amount) = lower.strip_suffix("left") {
        (amount, false)
    } else if let Some(amount) = lower.strip_prefix('-') {
        (amount, true)
    } else {
        (lower.strip_prefix('+')?, false)
    };
    let amount = amount.trim();
    // The sign is taken; a number alone is seconds in journalctl, which nobody means here.
    if !amount.starts_with(|c: char| c.is_ascii_digit())
        || amount.contains(['-', '+'])
        || amount.ends_with("ago")
    {
        return None;
    }
    let span: Span = amount.parse().ok()?;
    let then = if back { now.checked_sub(span) } else { now.checked_add(span) };
    Some(then.ok()?.timestamp())
}

/// A date, a time of day, both, with or without a zone.
fn absolute(text: &str, now: &Zoned) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let local = |at: DateTime, zone: TimeZone| Some(at.to_zoned(zone).ok()?.timestamp());
    let civil = |text: &str| -> Option<DateTime> {
        // A time first: a bare date would be taken as well where there is one.
        if let Some(time) = time_of_day(text) {
            return Some(now.date().to_datetime(time));
        }
        match text.split_once([' ', 'T', 't']) {
            Some((date, time)) => Some(date.parse::<Date>().ok()?.to_datetime(time_of_day(time.trim())?)),
            None => Some(text.parse::<Date>().ok()?.to_datetime(Time::midnight())),
        }
    };
    if let Some(at) = civil(text) {
        return local(at, now.time_zone().clone());
    }
    // `2026-11-21 10:00:00 UTC`, `2026-11-21 10:00 Europe/Berlin`
    let (at, zone) = text.rsplit_once(' ')?;
    let zone = if zone.eq_ignore_ascii_case("utc") || zone.eq_ignore_ascii_case("z") {
        TimeZone::UTC
    } else {
        let of_now =
            now.time_zone().to_offset_info(now.timestamp()).abbreviation().eq_ignore_ascii_case(zone);
        if of_now { now.time_zone().clone() } else { TimeZone::get(zone).ok()? }
    };
    local(civil(at.trim())?, zone)
}

/// `10:00`, `10:00:30`, `10:00:30.5`
fn time_of_day(text: &str) -> Option<Time> {
    let wanted = text.contains(':') && text.bytes().all(|b| b.is_ascii_digit() || b == b':' || b == b'.');
    if !wanted {
        return None;
    }
    let padded = if text.find(':') == Some(1) { format!("0{text}") } else { text.to_owned() };
    padded.parse().ok()
}

/// journalctl prints `Sat 2026-11-21 10:00:00 UTC`.
fn without_weekday(text: &str) -> Option<&str> {
    let (day, rest) = text.split_once(' ')?;
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let lower = day.trim_end_matches(',').to_ascii_lowercase();
    (lower.len() >= 3 && DAYS.iter().any(|d| d.starts_with(&lower))).then(|| rest.trim())
}

/// The present, to the second and in the zone of this machine.
pub(crate) fn now() -> Zoned {
    let now = Zoned::now();
    now.round(Unit::Microsecond).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Central Europe by its rule, for a machine may have no time zone database.
    fn in_berlin(text: &str) -> Zoned {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        text.parse::<DateTime>().unwrap().to_zoned(zone).unwrap()
    }

    fn now() -> Zoned {
        in_berlin("2026-11-21T10:30:15")
    }

    fn at(text: &str) -> String {
        parse(text, &now()).unwrap().to_string()
    }

    #[test]
    fn forms_that_people_write() {
        for (text, utc) in [
            ("2026-11-21", "2026-11-20T23:00:00Z"),
            ("2026-11-21 10:00", "2026-11-21T09:00:00Z"),
            ("2026-11-21T10:00", "2026-11-21T09:00:00Z"),
            ("2026-11-21 10:00:05.25", "2026-11-21T09:00:05.25Z"),
            ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z"),
            ("2026-11-21T10:00:00.123456Z", "2026-11-21T10:00:00.123456Z"),
            ("2026-11-21T10:00:00+05:30", "2026-11-21T04:30:00Z"),
            ("2026-11-21 10:00:00 UTC", "2026-11-21T10:00:00Z"),
            ("Sat 2026-11-21 10:00:00 UTC", "2026-11-21T10:00:00Z"),
            ("Sat 2026-11-21 10:00:00 CET", "2026-11-21T09:00:00Z"),
            ("10:00", "2026-11-21T09:00:00Z"),
            ("9:00", "2026-11-21T08:00:00Z"),
            ("10:00:30", "2026-11-21T09:00:30Z"),
            ("now", "2026-11-21T09:30:15Z"),
            ("Today", "2026-11-20T23:00:00Z"),
            ("yesterday", "2026-11-19T23:00:00Z"),
            ("tomorrow", "2026-11-21T23:00:00Z"),
            ("-1h", "2026-11-21T08:30:15Z"),
            ("1h ago", "2026-11-21T08:30:15Z"),
            ("2 hours ago", "2026-11-21T07:30:15Z"),
            ("2h30m ago", "2026-11-21T07:00:15Z"),
            ("-5min", "2026-11-21T09:25:15Z"),
            ("-2 weeks", "2026-11-07T09:30:15Z"),
            ("3 days ago", "2026-11-18T09:30:15Z"),
            ("+1h", "2026-11-21T10:30:15Z"),
            ("@1795255200", "2026-11-21T10:00:00Z"),
            ("@1795255200.5", "2026-11-21T10:00:00.5Z"),
            ("  -1h ", "2026-11-21T08:30:15Z"),
        ] {
            assert_eq!(at(text), utc.parse::<Timestamp>().unwrap().to_string(), "{text}");
        }
    }

    #[test]
    fn a_zone_by_name_is_known_where_the_machine_has_zones() {
        let zones = TimeZone::get("America/New_York").is_ok();
        let time = parse("2026-11-21 10:00 America/New_York", &now()).ok();
        assert_eq!(time.map(|t| t.to_string()).as_deref(), zones.then_some("2026-11-21T15:00:00Z"));
    }

    #[test]
    fn a_day_back_over_the_change_of_the_clock_is_a_day() {
        let now = in_berlin("2026-10-25T12:00:00");
        assert_eq!(parse("1 day ago", &now).unwrap().to_string(), "2026-10-24T10:00:00Z");
        assert_eq!(parse("24 hours ago", &now).unwrap().to_string(), "2026-10-24T11:00:00Z");
        // 02:30 does not exist on 2026-03-29: it is taken as 03:30.
        assert_eq!(parse("2026-03-29 02:30", &now).unwrap().to_string(), "2026-03-29T01:30:00Z");
    }

    #[test]
    fn nonsense_names_what_is_accepted() {
        for text in [
            "",
            " ",
            "soon",
            "25:00",
            "2026-13-01",
            "2026-02-30",
            "-",
            "ago",
            "- -1h",
            "--1h",
            "1h",
            "5",
            "@",
            "@x",
            "@-5",
            "@99999999999999999999",
            "-99999999999999y",
            "2026-11-21 10:00 Nowhere/City",
            "10:00:00:00",
            "1h ago ago",
            "\0",
            "é:00",
        ] {
            let error = parse(text, &now()).unwrap_err().to_string();
            assert!(error.contains("2 hours ago"), "{text}: {error}");
        }
    }
}
