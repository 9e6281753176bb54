//! Boots in a log, and the clocks of one boot.

use uuid::Uuid;

use super::{Entry, Line};
use crate::{parser::rules::quoting_place, record::Stamp};

/// How far times of one boot may go back: CPUs print in turns, and syslog daemons write late.
const BACK_US: u64 = 5_000_000;

/// Lines with which a kernel begins.
pub(super) const FIRST_LINES: [&str; 2] = ["Linux version ", "Booting Linux on physical CPU "];

/// In the line with which the kernel sets its clock from the hardware's.
pub(super) const RTC: &str = "setting system clock to ";

/// Name space of the ids of boots that are not reported.
const NAMESPACE: Uuid = Uuid::from_u128(0x0d1c_6e0b_8a57_4c1e_b7a4_4f86_23f0_9be2);

/// Why an entry is not of the boot of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Break {
    /// Another boot: nothing that was known of devices is sure.
    Boot,
    /// The clock went back: a part of a log that is not in order.
    Time,
}

/// One boot, as far as the log reports.
#[derive(Clone, Debug)]
pub(super) struct Boot {
    /// Its id, or one that is made of its first entry.
    pub id: String,
    reported: bool,
    /// Wall clock at uptime 0, where it is known.
    started_us: Option<i64>,
    /// Uptimes are the kernel's, not made up from the wall clock.
    real_uptime: bool,
    last_uptime_us: Option<u64>,
    last_wall_us: Option<i64>,
    last_mono_us: u64,
    entries: u64,
}

impl Boot {
    /// The boot that begins with this entry. `started_us` is its time of the wall clock where that is known.
    pub(super) fn new(first: &Entry, started_us: Option<i64>) -> Self {
        let id = first.boot_id.as_deref().map(plain_id);
        let reported = id.is_some();
        let id = id.unwrap_or_else(|| {
            let host = first.hostname.as_deref().unwrap_or_default();
            let name = format!("{host}\0{:?}\0{:?}\0{}", first.uptime_us, first.wall_us, first.log.text);
            Uuid::new_v5(&NAMESPACE, name.as_bytes()).simple().to_string()
        });
        Self {
            id,
            reported,
            started_us,
            real_uptime: false,
            last_uptime_us: None,
            last_wall_us: None,
            last_mono_us: 0,
            entries: 0,
        }
    }

    /// Whether the entry is of another boot or out of order.
    pub(super) fn breaks(&self, entry: &Line<'_>) -> Option<Break> {
        if let (true, Some(id)) = (self.reported, entry.boot_id) {
            return (id != self.id && plain_id(id) != self.id).then_some(Break::Boot);
        }
        let is_kernels = entry.is_kernel() && !entry.fragment;
        let begins = is_kernels && FIRST_LINES.iter().any(|line| entry.text.starts_with(line));
        let early = entry.uptime_us.is_none_or(|us| us < BACK_US);
        if begins && early && self.entries > 0 {
            return Some(Break::Boot);
        }
        if let (Some(now), Some(last)) = (entry.uptime_us, self.last_uptime_us) {
            return (now.saturating_add(BACK_US) < last).then_some(Break::Boot);
        }
        let back = BACK_US.cast_signed();
        match (entry.wall_us, self.last_wall_us) {
            (Some(now), Some(last)) if now.saturating_add(back) < last => Some(Break::Time),
            _ => None,
        }
    }

    /// Whether the time of the wall clock of an entry can be reported.
    pub(super) fn knows_wall(&self, uptime_us: Option<u64>, wall_us: Option<i64>) -> bool {
        wall_us.is_some() || self.started_us.is_some() || uptime_us.is_none()
    }

    /// The boot began then, by the wall clock.
    pub(super) fn set_started(&mut self, started_us: i64) {
        self.started_us.get_or_insert(started_us);
    }

    /// Whether uptimes are the kernel's own.
    pub(super) fn has_uptime(&self) -> bool {
        self.real_uptime
    }

    /// How long before this time of the wall clock the last entry was; nothing where that is not known.
    pub(super) fn silent_us(&self, wall_us: i64) -> Option<i64> {
        wall_us.checked_sub(self.last_wall_us?)
    }

    /// The time of the last entry.
    pub(super) fn last_ns(&self) -> u64 {
        self.last_mono_us.saturating_mul(1000)
    }

    /// The time of an entry on both clocks.
    pub(super) fn stamp(&mut self, uptime: Option<u64>, wall: Option<i64>) -> Stamp {
        self.entries += 1;
        if let (Some(uptime), Some(wall)) = (uptime, wall) {
            self.started_us = Some(wall.saturating_sub_unsigned(uptime));
        }
        if uptime.is_some() {
            self.real_uptime = true;
            self.last_uptime_us = uptime;
        }
        if wall.is_some() {
            self.last_wall_us = wall;
        }
        let mono_us = match (uptime, wall) {
            (Some(uptime), _) => uptime,
            (None, Some(wall)) => {
                // The first entry is a second after a start that nobody reported.
                let started = *self.started_us.get_or_insert(wall.saturating_sub(1_000_000));
                u64::try_from(wall.saturating_sub(started)).unwrap_or(0).max(self.last_mono_us)
            }
            (None, None) => self.last_mono_us.saturating_add(1000),
        };
        self.last_mono_us = mono_us;
        let realtime_us =
            wall.unwrap_or_else(|| self.started_us.unwrap_or(0).saturating_add_unsigned(mono_us));
        Stamp { monotonic_ns: Some(mono_us.saturating_mul(1000)), realtime_us }
    }
}

/// As journald writes it: without dashes.
pub(super) fn plain_id(id: &str) -> String {
    id.chars().filter(char::is_ascii_hexdigit).take(32).map(|c| c.to_ascii_lowercase()).collect()
}

/// The wall clock at uptime 0 by the line with which the kernel sets its clock from the hardware's.
pub(super) fn started_by_rtc(entry: &Entry) -> Option<i64> {
    let uptime = entry.uptime_us?;
    if !entry.is_kernel() || entry.log.fragment {
        return None;
    }
    let (_, rest) = entry.log.text.split_once(RTC)?;
    if quoting_place(&entry.log.text).is_some() {
        return None;
    }
    let seconds: i64 = rest.rsplit_once('(')?.1.strip_suffix(')')?.parse().ok()?;
    Some(seconds.checked_mul(1_000_000)?.saturating_sub_unsigned(uptime))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::LogRecord;

    fn at(uptime_us: Option<u64>, wall_us: Option<i64>, text: &str) -> Entry {
        let log = LogRecord { text: text.to_owned(), ..LogRecord::default() };
        Entry { log, uptime_us, wall_us, ..Entry::default() }
    }

    fn stamp(boot: &mut Boot, entry: &Entry) -> Stamp {
        boot.stamp(entry.uptime_us, entry.wall_us)
    }

    #[test]
    fn a_boot_ends_where_its_clock_goes_back() {
        let first = at(Some(100_000_000), None, "x");
        let mut boot = Boot::new(&first, None);
        stamp(&mut boot, &first);
        assert_eq!(boot.breaks(&at(Some(96_000_000), None, "x").line()), None, "CPUs print in turns");
        assert_eq!(boot.breaks(&at(Some(0), None, "x").line()), Some(Break::Boot));
        assert_eq!(boot.breaks(&at(Some(0), None, "Linux version 6.1").line()), Some(Break::Boot));
        let wall = at(None, Some(1_000_000_000), "x");
        let mut boot = Boot::new(&wall, None);
        stamp(&mut boot, &wall);
        assert_eq!(boot.breaks(&at(None, Some(10), "x").line()), Some(Break::Time));
        assert_eq!(
            boot.breaks(&at(None, Some(1_000_000_001), "Linux version 6.1").line()),
            Some(Break::Boot)
        );
        let mut piece = at(None, Some(1_000_000_001), "Linux version 6.1");
        piece.log.fragment = true;
        assert_eq!(boot.breaks(&piece.line()), None, "a user wrote it");
        let reported = Entry { boot_id: Some("AB-1".into()), ..wall };
        let boot = Boot::new(&reported, None);
        assert_eq!(boot.breaks(&reported.line()), None);
        assert_eq!(boot.breaks(&Entry { boot_id: Some("ab2".into()), ..reported }.line()), Some(Break::Boot));
    }

    #[test]
    fn the_clocks_complete_each_other() {
        let both = at(Some(10_000_000), Some(1_700_000_010_000_000), "x");
        let mut boot = Boot::new(&both, None);
        stamp(&mut boot, &both);
        let uptime_only = stamp(&mut boot, &at(Some(11_500_000), None, "x"));
        assert_eq!(uptime_only.realtime_us, 1_700_000_011_500_000);
        let wall_only = stamp(&mut boot, &at(None, Some(1_700_000_012_000_000), "x"));
        assert_eq!(wall_only.monotonic_ns, Some(12_000_000_000));
        let neither = stamp(&mut boot, &at(None, None, "x"));
        assert_eq!(neither.monotonic_ns, Some(12_001_000_000));
        let rtc = at(
            Some(1_500_000),
            None,
            "rtc_cmos 00:00: setting system clock to 2026-11-21T13:16:50 UTC (1795267010)",
        );
        assert_eq!(started_by_rtc(&rtc), Some(1_795_267_008_500_000));
        let quoting = "overlayfs: failed to resolve 'setting system clock to (1795267010)";
        assert_eq!(started_by_rtc(&at(Some(1_500_000), None, quoting)), None, "a user wrote it");
        let mut piece = rtc;
        piece.log.fragment = true;
        assert_eq!(started_by_rtc(&piece), None, "a user wrote it");
    }

    #[test]
    fn no_time_is_too_large() {
        for (uptime, wall) in [(u64::MAX, i64::MIN), (0, i64::MAX), (u64::MAX, i64::MAX)] {
            let entry = at(Some(uptime), Some(wall), "");
            let mut boot = Boot::new(&entry, Some(i64::MAX));
            for e in
                [&entry, &at(None, Some(i64::MIN), ""), &at(Some(u64::MAX), None, ""), &at(None, None, "")]
            {
                let _ = boot.breaks(&e.line());
                let _ = stamp(&mut boot, e);
            }
        }
    }
}
