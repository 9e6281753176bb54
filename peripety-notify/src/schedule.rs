//! When messages may go out: quiet hours, rate limits, grouping.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::{config::Notify, message::Message};

/// What holds messages back.
#[derive(Debug)]
pub(crate) struct Schedule {
    zone: TimeZone,
    /// When the latest messages went out, for the rate.
    sent: VecDeque<Timestamp>,
}

impl Schedule {
    /// With the time zone of this machine.
    pub(crate) fn new() -> Self {
        Self::in_zone(TimeZone::system())
    }

    fn in_zone(zone: TimeZone) -> Self {
        Self { zone, sent: VecDeque::new() }
    }

    /// Until when this message waits; none if it may go out now.
    pub(crate) fn holds(&self, notify: &Notify, message: &Message, now: Timestamp) -> Option<Timestamp> {
        let quiet = notify.quiet.iter().filter_map(|quiet| quiet.ends(now, &self.zone)).max();
        let quiet = quiet.filter(|_| !message.severity().at_least(notify.quiet_passes));
        let group = after(message.at, notify.group).filter(|until| !notify.group.is_zero() && *until > now);
        // A clock that was set back must not hold a message for long.
        let group = group.filter(|until| now.duration_until(*until) <= notify.group);
        quiet.into_iter().chain(group).max()
    }

    /// Until when the rate lets nothing out.
    pub(crate) fn is_full(&self, notify: &Notify, now: Timestamp) -> Option<Timestamp> {
        let rate = notify.rate?;
        let since = now.checked_sub(rate.per).ok()?;
        let recent = self.sent.iter().filter(|at| **at > since && **at <= now);
        let mut recent: Vec<&Timestamp> = recent.collect();
        recent.sort();
        let first = recent.len().checked_sub(rate.count)?;
        after(**recent.get(first)?, rate.per)
    }

    /// One went out.
    pub(crate) fn went_out(&mut self, notify: &Notify, now: Timestamp) {
        if let Some(rate) = notify.rate {
            self.sent.push_back(now);
            while self.sent.len() > rate.count {
                self.sent.pop_front();
            }
        }
    }
}

fn after(at: Timestamp, by: SignedDuration) -> Option<Timestamp> {
    at.checked_add(by).ok()
}

/// How long to wait after so many tries in a row failed: doubling from a second, less up to a quarter, so that many machines do
/// not come back at once. What the other side asks for counts, within an hour.
pub(crate) fn backoff(
    tries: u32,
    longest: SignedDuration,
    asked: Option<SignedDuration>,
    salt: u64,
) -> SignedDuration {
    if let Some(asked) = asked {
        return asked.clamp(SignedDuration::from_millis(100), SignedDuration::from_hours(1));
    }
    let doubled = 1000_i64.saturating_mul(1 << tries.saturating_sub(1).min(20));
    let most = i64::try_from(longest.as_millis()).unwrap_or(i64::MAX).max(1000);
    let whole = doubled.min(most);
    let less = i64::try_from(salt % 256).unwrap_or(0) * (whole / 4) / 256;
    SignedDuration::from_millis(whole - less)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn notify(more: &str) -> Notify {
        let text = format!("[[notify]]\nname = 'x'\n{more}\n[notify.stdout]\n");
        Config::from_text(std::path::Path::new("x"), &text).unwrap().notify.remove(0)
    }

    fn at(text: &str) -> Timestamp {
        format!("2026-11-21T{text}Z").parse().unwrap()
    }

    #[test]
    fn quiet_hours_hold_what_can_wait_until_they_end_also_over_midnight() {
        let schedule = Schedule::in_zone(TimeZone::UTC);
        let notify = notify("quiet = ['22:00-06:00', '12:00-13:00']\nquiet_passes = 'notice'");
        let mut message = Message::test("h", at("23:00:00"));
        assert_eq!(schedule.holds(&notify, &message, at("23:00:00")), None, "a notice passes here");
        let strict = Notify { quiet_passes: peripety_model::Severity::Critical, ..notify };
        message.at = at("23:00:00");
        let next_morning = "2026-11-22T06:00:00Z".parse().unwrap();
        for (now, until) in [
            ("23:00:00", Some(next_morning)),
            ("05:59:59", Some(at("06:00:00"))),
            ("06:00:00", None),
            ("12:30:00", Some(at("13:00:00"))),
            ("13:00:00", None),
        ] {
            assert_eq!(schedule.holds(&strict, &message, at(now)), until, "{now}");
        }
    }

    #[test]
    fn a_rate_lets_so_many_out_and_says_when_the_next_may() {
        let mut schedule = Schedule::in_zone(TimeZone::UTC);
        let notify = notify("rate = '2/1m'");
        assert_eq!(schedule.is_full(&notify, at("10:00:00")), None);
        schedule.went_out(&notify, at("10:00:00"));
        schedule.went_out(&notify, at("10:00:20"));
        assert_eq!(schedule.is_full(&notify, at("10:00:30")), Some(at("10:01:00")));
        assert_eq!(schedule.is_full(&notify, at("10:01:00")), None);
    }

    #[test]
    fn waits_double_up_to_the_longest_and_a_wish_of_the_other_side_counts() {
        let longest = SignedDuration::from_mins(10);
        let wait = |tries, asked| backoff(tries, longest, asked, 0).as_millis();
        assert_eq!(
            [1, 2, 3, 10, 11, 99].map(|n| wait(n, None)),
            [1000, 2000, 4000, 512_000, 600_000, 600_000]
        );
        assert_eq!(wait(1, Some(SignedDuration::from_secs(7))), 7000);
        assert_eq!(wait(1, Some(SignedDuration::from_hours(99))), 3_600_000);
        assert!((750..=1000).contains(&backoff(1, longest, None, 255).as_millis()));
    }
}
