//! One incident.

use jiff::tz::TimeZone;
use maud::{Markup, html};
use peripety_model::{Event, Incident, Severity, incident::State};

use crate::{
    budget::distinct,
    stack::{Graph, inline},
    text::{LINE, counted, shown, time, words},
    tree::tree,
};

/// Lines of the kernel that are shown of one incident.
const LINES_MAX: usize = 200;
/// Files that are named.
const FILES_MAX: usize = 100;

/// An incident and what is known beside it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The incident.
    pub incident: Incident,
    /// Its events, as far as they are known: they name devices for the picture, and have the kernel's lines.
    pub events: Vec<Event>,
    /// Files that it is about.
    pub files: Vec<NamedFile>,
}

impl Case {
    /// An incident of which nothing is known but itself.
    pub const fn new(incident: Incident) -> Self {
        Self { incident, events: Vec::new(), files: Vec::new() }
    }
}

/// A file that an incident is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedFile {
    /// Its path.
    pub path: String,
    /// What is known of it: which bytes lie on sectors that failed, or its inode.
    pub how: String,
}

/// How a page is made.
#[derive(Clone, Debug)]
pub struct Look {
    /// The zone that times are shown in.
    pub zone: TimeZone,
    /// The name of a condition in words, where it has some.
    pub condition: fn(&str) -> Option<&'static str>,
}

impl Default for Look {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, condition: |_| None }
    }
}

/// One incident as an `<article>`, for a page that has [`STYLE`](crate::STYLE). Its `id` is `i-` and the incident's id. Where
/// `events` of the case are empty, the picture shows no more than the names that the incident has.
pub fn incident_html(case: &Case, look: &Look) -> String {
    article(case, look, true).into_string()
}

/// The same; the picture and the kernel's lines only where there is room for them.
pub(crate) fn article(case: &Case, look: &Look, whole: bool) -> Markup {
    let incident = &case.incident;
    let frame = match incident.severity {
        _ if !incident.state.is_open() => "is-over",
        severity if severity.at_least(Severity::Error) => "is-bad",
        Severity::Warning => "is-warning",
        _ => "is-plain",
    };
    let graph = whole.then(|| Graph::of(incident, &case.events)).filter(|graph| !graph.nodes.is_empty());
    html! {
        article class={ "incident " (frame) } id={ "i-" (incident.incident_id) } {
            header {
                h3 { (words(&incident.title)) }
                (badges(incident))
            }
            (facts(incident, look))
            @if let Some(graph) = &graph {
                h4 { "Storage stack" }
                figure {
                    div class="scroll" tabindex="0" role="group" aria-label="Storage stack" { (inline(graph)) }
                    figcaption {
                        "Disks at the bottom, filesystems at the top. ✖ is the cause, ▲ failed with it, arrows are the way that the failure took."
                        @if graph.left_out > 0 { " " (counted(graph.left_out as u64, "device is", "devices are")) " left out." }
                    }
                }
            }
            h4 { "Events" }
            (tree(incident, look))
            (files(&case.files))
            @if !incident.actions.is_empty() {
                h4 { "What to do" }
                ol class="actions" { @for action in &incident.actions { li { (words(action)) } } }
            }
            @if whole { (lines(&case.events)) }
        }
    }
}

/// How bad it is and whether it is over, in words: colours alone say nothing to some.
pub(crate) fn badges(incident: &Incident) -> Markup {
    let state = match incident.state {
        State::Resolved => "fine",
        State::Recovering => "warning",
        State::Open | State::Superseded => "plain",
    };
    html! {
        span class={ "badge " (incident.severity) } { (incident.severity) }
        " "
        span class={ "badge " (state) } { (incident.state.as_str()) }
        @if incident.needs_acknowledgement { " " span class="badge warning" { "to acknowledge" } }
    }
}

fn facts(incident: &Incident, look: &Look) -> Markup {
    let cause = &incident.cause;
    let device = cause.device.iter().flat_map(|device| {
        [
            ("path", &device.path),
            ("model", &device.model),
            ("serial number", &device.serial),
            ("world wide id", &device.wwid),
            ("place", &device.place),
        ]
    });
    let device: Vec<_> = device.filter(|(_, value)| !value.is_empty()).collect();
    let impact = &incident.impact;
    let kinds: Vec<&str> = impact.kinds.iter().map(|kind| kind.words()).collect();
    let wrong: Vec<&str> =
        incident.conditions.iter().map(|name| (look.condition)(name).unwrap_or(name)).collect();
    html! {
        dl {
            dt { "Since" }
            dd {
                (time(incident.opened, &look.zone)) ", last " (time(incident.updated, &look.zone))
                @if let Some(at) = incident.resolved {
                    ", over since " (time(at, &look.zone))
                    @if let Some(by) = &incident.resolved_by { " (" (words(by)) ")" }
                }
                @if incident.episodes > 1 { ", " (incident.episodes) " episodes" }
            }
            @if !cause.name.is_empty() {
                dt { "Cause" }
                dd {
                    strong { (words(&cause.name)) } ", " (cause.kind.words()) ", " (cause.certainty.as_str())
                    @if !cause.rules.is_empty() { span class="muted" { " (by " (words(&cause.rules.join(", "))) ")" } }
                }
            }
            @if !device.is_empty() {
                dt { "Device" }
                dd {
                    @for (n, (what, value)) in device.iter().enumerate() {
                        @if n > 0 { ", " }
                        span class="muted" { (what) " " } span class="code" { (words(value)) }
                    }
                }
            }
            dt { "Hurt" }
            dd {
                (words(&kinds.join(", ")))
                @if !impact.filesystems.is_empty() { "; " (words(&impact.filesystems.join(", "))) }
                @if !impact.mount_points.is_empty() { "; mounted on " (words(&impact.mount_points.join(", "))) }
            }
            @if !wrong.is_empty() { dt { "Wrong still" } dd { (words(&wrong.join(", "))) } }
            @if !incident.early_signs.is_empty() {
                dt { "Early signs" }
                dd {
                    @for (n, sign) in incident.early_signs.iter().enumerate() {
                        @if n > 0 { br; }
                        strong { (words(&sign.words)) } ", since " (time(sign.since, &look.zone))
                        ", last " (time(sign.last, &look.zone)) ". " (words(&sign.meaning))
                    }
                }
            }
            @if let Some(progress) = &incident.progress {
                dt { "Progress" }
                dd { (words(&progress.action)) " of " (words(&progress.device)) ": " (format!("{:.1} %", progress.percent)) }
            }
            @if let Some(known) = &incident.acknowledged {
                dt { "Acknowledged" }
                dd { "by " (words(&known.by)) " at " (time(known.at, &look.zone)) ": " (words(&known.reason)) }
            }
            @if !incident.hostname.is_empty() { dt { "Host" } dd { (words(&incident.hostname)) } }
            dt { "Incident" } dd class="code" { (incident.incident_id) }
        }
    }
}

fn files(files: &[NamedFile]) -> Markup {
    html! {
        @if !files.is_empty() {
            h4 { "Files" }
            ul {
                @for file in files.iter().take(FILES_MAX) {
                    li { span class="code" { (shown(&file.path, LINE)) } ": " (words(&file.how)) }
                }
                @if files.len() > FILES_MAX { li class="muted" { "and " (files.len() - FILES_MAX) " more" } }
            }
        }
    }
}

/// The kernel's own lines, behind a fold.
fn lines(events: &[Event]) -> Markup {
    let all = events.iter().flat_map(|event| event.raw_msgs.iter().map(String::as_str));
    let (kept, count) = distinct(all, LINES_MAX);
    html! {
        @if !kept.is_empty() {
            details {
                summary { (counted(count as u64, "line", "lines")) " of the kernel and of daemons" }
                pre tabindex="0" {
                    @for line in &kept { (shown(line, LINE)) "\n" }
                    @if count > kept.len() { "… and " (count - kept.len()) " more\n" }
                }
            }
        }
    }
}
