//! When each incident was open, and when its events came.

use jiff::{Timestamp, tz::TimeZone};
use maud::{Markup, html};
use peripety_model::Incident;

use crate::{
    incident::{Case, badges},
    text::{shown, time},
};

/// Rows.
const ROWS_MAX: usize = 60;
/// Events of one row.
const TICKS_MAX: usize = 64;
/// Characters of a title.
const TITLE_MAX: usize = 120;
/// Units of the whole width.
const WIDE: i128 = 1000;

pub(crate) fn timeline(cases: &[&Case], known_until: Timestamp, zone: &TimeZone) -> Markup {
    let count = cases.len();
    // The worst ones, in the order in which they began.
    let mut cases: Vec<&Case> = cases.iter().copied().take(ROWS_MAX).collect();
    cases.sort_by_key(|case| (case.incident.opened, case.incident.incident_id));
    let first = cases.iter().map(|case| case.incident.opened).min();
    let last = cases.iter().map(|case| until(&case.incident, known_until)).max();
    let (Some(first), Some(last)) = (first, last) else { return html! {} };
    let x = |at: Timestamp| {
        let whole = last.as_nanosecond().saturating_sub(first.as_nanosecond()).max(1);
        let part = at.as_nanosecond().saturating_sub(first.as_nanosecond());
        (part.saturating_mul(WIDE - 4) / whole).clamp(0, WIDE - 4)
    };
    html! {
        div class="axis" { (time(first, zone)) (time(last, zone)) }
        ul class="times" {
            @for case in &cases {
                @let incident = &case.incident;
                @let (from, to) = (x(incident.opened), x(until(incident, known_until)));
                li {
                    div class="row" {
                        a href={ "#i-" (incident.incident_id) } { (shown(&incident.title, TITLE_MAX)) }
                        (badges(incident))
                    }
                    svg class=(incident.severity) viewBox="0 0 1000 12" preserveAspectRatio="none" aria-hidden="true" {
                        rect class="ground" x="0" y="0" width="1000" height="12" {}
                        rect class="span" x=(from) y="0" width=((to - from).max(4)) height="12" {}
                        @for member in incident.events.iter().take(TICKS_MAX) {
                            rect class="tick" x=(x(member.first)) y="0" width="3" height="12" {}
                        }
                    }
                }
            }
            @if count > cases.len() { li class="muted" { "and " (count - cases.len()) " more below" } }
        }
    }
}

/// Until when it was open.
fn until(incident: &Incident, known_until: Timestamp) -> Timestamp {
    let now = if incident.state.is_open() { known_until } else { incident.updated };
    incident.resolved.unwrap_or(now).max(incident.updated)
}
