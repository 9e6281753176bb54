//! journald: is it there, does it keep what it gets, how much does it take, may it be read.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use super::{Row, machine::Machine};
use crate::{
    notifier,
    query::journald::{Access, Direction, Position, ReadError, Reader, access},
    roots::Roots,
};

/// Messages in half a minute below which a bad day of peripety meets the limit.
const FEW: u64 = 1000;
/// journald's own defaults.
const DEFAULT_BURST: u64 = 10_000;
const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);

pub(super) fn journald(machine: &Machine) -> Row {
    const CHECK: &str = "journald";
    let roots = &machine.roots;
    if !notifier::journald::present(roots) {
        return Row::missing(
            CHECK,
            "does not run",
            "events stay in memory, multipathd and others go unread",
            "run systemd-journald, or peripetyd --stdout into a log",
        );
    }
    let config = Config::read(roots);
    let storage = config.storage();
    if storage == "none" {
        return Row::missing(
            CHECK,
            "Storage=none",
            "it keeps no event",
            "set Storage=persistent in journald.conf",
        );
    }
    if storage == "volatile" || (storage != "persistent" && !roots.log.join("journal").is_dir()) {
        return Row::degraded(
            CHECK,
            "runs, in memory only",
            "events are lost at reboot",
            "mkdir -p /var/log/journal && journalctl --flush",
        );
    }
    Row::ok(CHECK, "runs, and keeps events on disk")
}

pub(super) fn rate_limit(machine: &Machine) -> Row {
    const CHECK: &str = "rate limit";
    let roots = &machine.roots;
    if !notifier::journald::present(roots) {
        return Row::ok(CHECK, "no journald, no limit");
    }
    let config = Config::read(roots);
    let unit = |what: &str| {
        let link = roots.run.join(format!("systemd/units/log-rate-limit-{what}:peripetyd.service"));
        fs::read_link(link).ok()?.to_str()?.parse::<u64>().ok()
    };
    // systemd makes these links when it starts the unit, from its LogRateLimit settings (systemd.exec(5)); where they are
    // not there, what journald.conf(5) says holds.
    let of_unit = (unit("interval"), unit("burst"));
    let interval = of_unit.0.map_or_else(|| config.interval(), Duration::from_micros);
    let burst = of_unit.1.unwrap_or_else(|| config.burst());
    if interval.is_zero() || burst == 0 {
        let whose = if of_unit == (None, None) { "anybody" } else { "peripetyd.service" };
        return Row::ok(CHECK, format!("journald drops nothing of {whose} for its number"));
    }
    // journald takes more where its disk has room: up to six times as many.
    let found = format!("journald may drop what exceeds {burst} messages in {} s", interval.as_secs_f64());
    let per_half_minute = burst as f64 * 30.0 / interval.as_secs_f64();
    if per_half_minute < FEW as f64 {
        return Row::degraded(
            CHECK,
            found,
            "events of a storm are dropped",
            "LogRateLimitIntervalSec=0 in peripetyd.service",
        );
    }
    let whose = if of_unit == (None, None) {
        "; of peripetyd.service, as it is shipped, nothing once it is started"
    } else {
        " of peripetyd.service: enough but for the largest storms"
    };
    Row::ok(CHECK, format!("{found}{whose}"))
}

pub(super) fn readable(machine: &Machine) -> Row {
    const CHECK: &str = "reading";
    match access(&machine.roots) {
        Access::Readable => match unread(&machine.roots) {
            None => Row::ok(CHECK, "this user may read the system's journal"),
            Some(unread) => Row::degraded(
                CHECK,
                unread,
                "what happened is known in part",
                "look at the disk of the journal; journalctl --verify",
            ),
        },
        Access::NoFiles => Row::ok(CHECK, "there are no journal files"),
        Access::Denied(_) => Row::degraded(
            CHECK,
            "this user may not read the journal",
            "no prpt query",
            "use sudo, or join group systemd-journal",
        ),
    }
}

/// What of the journal cannot be read.
fn unread(roots: &Roots) -> Option<String> {
    let mut reader = match Reader::open(roots) {
        Ok(reader) => reader,
        Err(ReadError::None { .. }) => return None,
        Err(error) => return Some(error.to_string()),
    };
    let entry = reader.seek(&Position::Tail).and_then(|()| reader.step(Direction::Back));
    let unread = reader.take_unread();
    let more = unread.len().saturating_sub(1);
    match (unread.first(), entry) {
        (Some(first), _) if more > 0 => Some(format!("{first}; and {more} more files")),
        (Some(first), _) => Some(first.to_string()),
        (None, Err(error)) => Some(error.to_string()),
        (None, Ok(_)) => None,
    }
}

/// `[Journal]` of journald.conf and its drop-ins (journald.conf(5)).
#[derive(Debug, Default)]
struct Config(BTreeMap<String, String>);

impl Config {
    fn read(roots: &Roots) -> Self {
        // Lowest first. A drop-in hides one of the same name in a directory before it.
        let places = [
            roots.usr.join("lib/systemd"),
            roots.usr.join("local/lib/systemd"),
            roots.run.join("systemd"),
            roots.etc.join("systemd"),
        ];
        let mut config = Self::default();
        let main = places.iter().rev().map(|place| place.join("journald.conf")).find(|file| file.exists());
        let mut drop_ins: BTreeMap<std::ffi::OsString, PathBuf> = BTreeMap::new();
        for place in &places {
            for entry in fs::read_dir(place.join("journald.conf.d")).into_iter().flatten().flatten() {
                if entry.path().extension().is_some_and(|e| e == "conf") {
                    drop_ins.insert(entry.file_name(), entry.path());
                }
            }
        }
        for file in main.into_iter().chain(drop_ins.into_values()) {
            config.add(&fs::read_to_string(file).unwrap_or_default());
        }
        config
    }

    fn add(&mut self, text: &str) {
        let mut ours = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                ours = line == "[Journal]";
            } else if let Some((key, value)) = line.split_once('=')
                && ours
                && !line.starts_with(['#', ';'])
            {
                self.0.insert(key.trim().to_owned(), value.trim().to_owned());
            }
        }
    }

    fn get(&self, key: &str) -> Option<&str> {
        // An empty value means the default.
        self.0.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn storage(&self) -> &str {
        self.get("Storage").unwrap_or("auto")
    }

    fn burst(&self) -> u64 {
        self.get("RateLimitBurst").and_then(|value| value.parse().ok()).unwrap_or(DEFAULT_BURST)
    }

    fn interval(&self) -> Duration {
        let text = self.get("RateLimitIntervalSec").or_else(|| self.get("RateLimitInterval"));
        text.and_then(seconds).unwrap_or(DEFAULT_INTERVAL)
    }
}

/// `30s`, `2min`, `500ms`; a number alone is seconds.
fn seconds(text: &str) -> Option<Duration> {
    if let Ok(number) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(number).ok();
    }
    Duration::try_from(text.parse::<jiff::SignedDuration>().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_systemd_writes_them() {
        for (text, millis) in [
            ("30s", 30_000),
            ("30", 30_000),
            ("0", 0),
            ("2min", 120_000),
            ("500ms", 500),
            ("1h 30min", 5_400_000),
        ] {
            assert_eq!(seconds(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "soon", "-1", "NaN", "-30s"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn the_last_word_counts() {
        let directory = tempfile::tempdir().unwrap();
        let roots = Roots::under(directory.path());
        for (file, text) in [
            ("usr/lib/systemd/journald.conf.d/10-a.conf", "[Journal]\nRateLimitBurst=1\nStorage=none\n"),
            ("etc/systemd/journald.conf.d/10-a.conf", "[Journal]\n#RateLimitBurst=7\nRateLimitBurst = 5\n"),
            (
                "usr/lib/systemd/journald.conf.d/20-b.conf",
                "[Other]\nRateLimitBurst=9\n[Journal]\nRateLimitIntervalSec=1min\n",
            ),
            ("etc/systemd/journald.conf", "[Journal]\nStorage=volatile\nRateLimitBurst=3\n"),
            ("usr/lib/systemd/journald.conf", "[Journal]\nStorage=persistent\n"),
        ] {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let config = Config::read(&roots);
        assert_eq!(
            (config.storage(), config.burst(), config.interval()),
            ("volatile", 5, Duration::from_secs(60))
        );
        assert_eq!(Config::default().interval(), DEFAULT_INTERVAL);
    }
}
