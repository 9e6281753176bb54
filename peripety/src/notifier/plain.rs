//! An event as lines for a human: what happened, when, how bad, on which device, and where that is mounted.

mod detail;
mod growing;
mod layout;

use anstyle::{AnsiColor, Style as Ansi};
pub(crate) use growing::Live;
use jiff::{Timestamp, tz::TimeZone};

use self::layout::Line;
pub(crate) use self::layout::wrap;
use crate::{
    event::{Event, Nature, Severity},
    names,
    text::printable,
};

/// Mount points named on an event's line; the rest is counted.
const MOUNTS: usize = 3;

/// How events look.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    /// Columns of the terminal; none when it is no terminal: then an event is one line, for grep.
    pub width: Option<usize>,
    /// Colour by severity. What prints it takes the colours out where they are not wanted.
    pub colour: bool,
    /// Zone that times are shown in.
    pub zone: TimeZone,
    /// All that is known, on lines of its own.
    pub verbose: bool,
    /// This host, where events of others are to be named so.
    pub host: Option<String>,
}

impl Default for Style {
    fn default() -> Self {
        Self { width: None, colour: false, zone: TimeZone::system(), verbose: false, host: None }
    }
}

/// The event, newline included.
pub(crate) fn event(event: &Event, style: &Style) -> String {
    let mut line = head(event, style);
    let mut said = printable(&names::without(&event.msg, &names::of_event(event))).into_owned();
    let so_far = if event.is_final { "" } else { " so far" };
    if said.ends_with(&format!(", {} times", event.count)) {
        said.push_str(so_far);
    } else if event.count > 1 {
        said.push_str(&format!(" (x{}{so_far})", event.count));
    }
    line.push_tail(&said, style.width);
    if style.verbose {
        line.push_block(&detail::lines(event, style), style.width);
    }
    line.finish()
}

/// Time, severity, type, device, mount points.
fn head(event: &Event, style: &Style) -> Line {
    let mut line = Line::default();
    line.push(&time(event.timestamp, style), Ansi::new().dimmed(), style.colour);
    line.push(&format!("{:<8}", event.severity), colour(event), style.colour);
    line.push(&printable(event.event_type.as_str()), colour(event).bold(), style.colour);
    if style.host.as_ref().is_some_and(|own| !event.hostname.is_empty() && *own != event.hostname) {
        line.push(&format!("at {}", printable(&event.hostname)), Ansi::new().bold(), style.colour);
    }
    line.push(&printable(&names::of_event(event)), Ansi::new().bold(), style.colour);
    line.push(&printable(&mounts(event)), Ansi::new(), style.colour);
    line
}

/// Local time to the second, without the zone: the zone is the reader's own.
fn time(at: Timestamp, style: &Style) -> String {
    at.to_zoned(style.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Where the device, and what is made of it, is mounted.
fn mounts(event: &Event) -> String {
    let Some(block) = &event.block else { return String::new() };
    let mut all: Vec<&str> = Vec::new();
    for point in block.holders.iter().chain([&block.id]).flat_map(|id| &id.mount_points) {
        if !all.contains(&point.as_str()) {
            all.push(point);
        }
    }
    match all.len() {
        0 => String::new(),
        n if n <= MOUNTS => format!("on {}", all.join(", ")),
        n => format!(
            "on {} and {} more",
            all.iter().take(MOUNTS).copied().collect::<Vec<_>>().join(", "),
            n - MOUNTS
        ),
    }
}

fn colour(event: &Event) -> Ansi {
    if event.event_type.info().is_some_and(|info| info.nature == Nature::Clears) {
        return AnsiColor::Green.on_default();
    }
    match event.severity {
        Severity::Emergency | Severity::Alert | Severity::Critical => AnsiColor::Red.on_default().bold(),
        Severity::Error => AnsiColor::Red.on_default(),
        Severity::Warning => AnsiColor::Yellow.on_default(),
        Severity::Notice => AnsiColor::Cyan.on_default(),
        Severity::Info | Severity::Debug => Ansi::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use insta::assert_snapshot;

    use super::*;
    use crate::{
        block::BlkInfo,
        event::{EventType, SubSystem},
        notifier::fixture::sample,
    };

    fn style(width: Option<usize>, verbose: bool) -> Style {
        Style { width, colour: false, zone: TimeZone::fixed(jiff::tz::offset(1)), verbose, host: None }
    }

    #[test]
    fn on_a_terminal_of_80_columns() {
        let out = event(&sample(), &style(Some(80), false));
        assert!(out.lines().all(|l| l.len() <= 80), "{out}");
        assert_snapshot!(out);
    }

    #[test]
    fn in_a_pipe_it_is_one_line() {
        assert_snapshot!(event(&sample(), &style(None, false)));
    }

    #[test]
    fn verbose_shows_all() {
        let mut event = sample();
        event.root_cause_event_id = Some(event.event_id);
        event.lost_before = 7;
        event.io.as_mut().unwrap().bad_lba = Some(crate::event::Sector(2050));
        assert_snapshot!(super::event(&event, &style(Some(80), true)));
    }

    #[test]
    fn hostile_text_stays_text() {
        let mut event = sample();
        let evil = "\x1b[2Jgone\nforged line\u{202e}";
        let mut block = BlkInfo::clone(event.block.as_ref().unwrap());
        block.id.preferred_blk_path = evil.into();
        block.id.mount_points = vec![evil.into(); 5];
        block.owners[0].serial = evil.into();
        event.block = Some(Arc::new(block));
        event.msg = evil.into();
        event.kdev = evil.into();
        event.raw_msgs = vec![evil.into()];
        event.event_type = EventType::new(evil);
        event.sub_system = SubSystem::new(evil);
        event.sources = vec![evil.into()];
        event.extension.insert(evil.into(), evil.into());
        for width in [Some(80), Some(1), None] {
            let out = super::event(&event, &style(width, true));
            assert!(!out.contains('\x1b') && !out.contains('\u{202e}') && !out.contains("\nforged"), "{out}");
        }
    }

    #[test]
    fn neither_device_nor_count_is_shown_twice() {
        let mut event = sample();
        for (msg, said) in [
            ("/dev/vg0/data on /srv/data: it failed, 3 times", ": it failed, 3 times so far"),
            ("/dev/vg0/data: it failed", ": it failed (x3 so far)"),
            ("/dev/vg0/database: it failed", ": /dev/vg0/database: it failed (x3 so far)"),
            ("it failed on /dev/vg0/data: EIO", ": it failed: EIO (x3 so far)"),
        ] {
            event.msg = msg.into();
            let out = super::event(&event, &style(None, false));
            assert!(out.trim_end().ends_with(&format!(" vg0/data on /srv/data{said}")), "{out}");
        }
    }

    #[test]
    fn an_event_about_nothing_known_is_still_a_line() {
        let event = Event { block: None, kdev: String::new(), io: None, count: 1, ..sample() };
        assert_eq!(
            super::event(&event, &style(None, false)),
            "2026-11-21 10:32:09 error    BLK_IO_ERROR: /dev/vg0/data: read of 8 sectors at 2048 failed: I/O error\n"
        );
    }
}
