//! The same for a human: a paragraph for each.

use std::fmt::Write as _;

use super::summary::Summary;
use crate::{notifier::plain::wrap, text::printable};

/// Lines of at most this width.
pub(super) fn plain(all: &[Summary], width: usize) -> String {
    let mut out = String::new();
    for (n, summary) in all.iter().enumerate() {
        if n > 0 && !(summary.legs.is_empty() && all.get(n - 1).is_some_and(|before| before.legs.is_empty()))
        {
            out.push('\n');
        }
        for (n, line) in wrap(&printable(&head(summary)), width.saturating_sub(4)).iter().enumerate() {
            out.push_str(if n == 0 { "" } else { "    " });
            out.push_str(line);
            out.push('\n');
        }
        let widest = summary.legs.iter().map(|leg| leg.device.chars().count()).max().unwrap_or(0);
        for leg in &summary.legs {
            // Writing to a String cannot fail.
            let _ok = writeln!(out, "  {:widest$}  {}", printable(&leg.device), printable(&leg.state));
        }
    }
    out
}

fn head(summary: &Summary) -> String {
    let Summary {
        name,
        kernel_name,
        kind,
        state,
        may_fail,
        action,
        percent,
        seconds_left,
        mismatches,
        fill,
        ..
    } = summary;
    let mut line = name.clone();
    if kernel_name != name {
        let _ok = write!(line, " ({kernel_name})");
    }
    let _ok = write!(line, ": {kind}, {state}");
    for fill in fill {
        let _ok = write!(line, ", {} {:.1} % full", fill.area, fill.percent);
    }
    if let Some(action) = action {
        let _ok = write!(line, "; {action}");
        if let Some(percent) = percent {
            let _ok = write!(line, " {percent:.1} %");
        }
        if let Some(seconds) = seconds_left {
            let _ok = write!(line, ", {} left", duration(*seconds));
        }
    }
    if let Some(mismatches) = mismatches {
        let _ok = write!(line, "; the last check found {mismatches} sectors that differ");
    }
    match may_fail {
        Some(0) => line.push_str("; no more member may fail"),
        Some(1) => line.push_str("; 1 member may fail"),
        Some(n) => {
            let _ok = write!(line, "; {n} members may fail");
        }
        None => {}
    }
    line
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::summary::Leg, *};

    #[test]
    fn a_paragraph_fits_the_terminal() {
        let summary = Summary {
            name: "vg-lv".to_owned(),
            kernel_name: "dm-3".to_owned(),
            kind: "raid1".to_owned(),
            state: "1 of 2 in sync".to_owned(),
            may_fail: Some(0),
            legs: vec![
                Leg { device: "dm-1".to_owned(), state: "in sync".to_owned() },
                Leg { device: "-".to_owned(), state: "missing\x1b[2J".to_owned() },
            ],
            action: Some("recover".to_owned()),
            percent: Some(12.34),
            seconds_left: Some(7300),
            ..Summary::default()
        };
        let text = plain(&[summary], 80);
        assert!(text.starts_with("vg-lv (dm-3): raid1, 1 of 2 in sync; recover 12.3 %, 2 h 1 min left; no more\n    member may fail\n  dm-1  in sync\n"), "{text}");
        assert!(!text.contains('\x1b') && text.lines().all(|line| line.chars().count() <= 80));
    }
}
