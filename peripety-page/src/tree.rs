//! The events of an incident below what led to them.

use std::collections::BTreeMap;

use maud::{Markup, html};
use peripety_model::{
    EventId, Incident,
    incident::{Member, Relation},
};

use crate::{
    incident::Look,
    text::{clock, words},
};

/// Levels of lists in lists; what is deeper stands beside its cause.
const DEPTH_MAX: usize = 12;

/// Events by the event that led to them.
type Below<'a> = BTreeMap<Option<EventId>, Vec<&'a Member>>;

pub(crate) fn tree(incident: &Incident, look: &Look) -> Markup {
    let known = |id: &EventId| incident.events.iter().any(|member| member.event_id == *id);
    let mut below: Below<'_> = BTreeMap::new();
    let (faults, beside): (Vec<&Member>, Vec<&Member>) =
        incident.events.iter().partition(|member| member.relation.is_failure());
    for member in faults {
        let because = member.because.filter(|id| *id != member.event_id && known(id));
        below.entry(because).or_default().push(member);
    }
    let mut roots = below.get(&None).cloned().unwrap_or_default();
    // Events that lead to each other hang on nothing: the first of them is shown as the root.
    if roots.is_empty() {
        roots.extend(below.values().flatten().min_by_key(|member| member.first));
    }
    let left = incident.event_count.saturating_sub(incident.events.len() as u64);
    html! {
        ul class="tree" {
            @for root in &roots { (branch(root, &below, incident, look, 0)) }
            @for member in beside { li { (lead(member.relation)) (entry(member, incident, look)) } }
            @if left > 0 { li class="muted" { "and " (left) " more events" } }
        }
    }
}

/// What stands before an event that is no failure.
fn lead(relation: Relation) -> Markup {
    html! {
        @if relation == Relation::Recovery { span class="fine" { "✓ recovery: " } }
        @else { span class="muted" { (relation.words()) ": " } }
    }
}

fn branch(member: &Member, below: &Below<'_>, incident: &Incident, look: &Look, depth: usize) -> Markup {
    let children = below.get(&Some(member.event_id)).filter(|_| depth < DEPTH_MAX);
    html! {
        li {
            (entry(member, incident, look))
            @if let Some(children) = children {
                ul { @for child in children { (branch(child, below, incident, look, depth + 1)) } }
            }
        }
    }
}

fn entry(member: &Member, incident: &Incident, look: &Look) -> Markup {
    let lasted = member.last.duration_since(member.first).as_secs() >= 1;
    html! {
        (clock(member.first, incident.opened, &look.zone))
        @if lasted { "–" (clock(member.last, incident.opened, &look.zone)) }
        " "
        @if !member.device.is_empty() { strong { (words(&member.device)) } " " }
        code { (words(member.event_type.as_str())) }
        @if member.count > 1 { " ×" (member.count) }
        ": " (words(&member.msg))
        @if member.relation.is_failure() && member.relation != Relation::Cause {
            " " span class="muted" { "(" (member.relation.words()) ")" }
        }
    }
}
