//! The page.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use peripety_model::{Severity, incident::State};

use crate::{
    budget::{Budget, fitting},
    facts::{Facts, Unseen, machine, unseen},
    incident::{Case, Look, article, badges},
    style::{STYLE, STYLE_SHA256},
    text::{counted, time, words},
    timeline::timeline,
};

/// Bytes of a page, whatever goes in.
pub const PAGE_MAX: usize = 2 << 20;
/// Of them for incidents as a whole.
const WHOLE_MAX: usize = 1000 << 10;
/// For incidents without picture and lines.
const SHORT_MAX: usize = 200 << 10;
/// For a line each.
const LINES_MAX: usize = 150 << 10;

/// What a page is made of.
#[derive(Clone, Debug)]
pub struct Report {
    /// Of what: a host, a file.
    pub of: String,
    /// When it was made.
    pub made: Timestamp,
    /// By which program.
    pub by: String,
    /// Until when it is known what happened: incidents that are open then are drawn up to here. For a log that is its end.
    pub known_until: Timestamp,
    /// The time that was asked for, where one was.
    pub span: (Option<Timestamp>, Option<Timestamp>),
    /// Incidents with their events.
    pub cases: Vec<Case>,
    /// The machine, the files that were read.
    pub facts: Vec<Facts>,
    /// What was not seen.
    pub unseen: Vec<Unseen>,
}

/// One file of HTML, at most [`PAGE_MAX`] bytes: nothing is loaded from elsewhere, there is no script, and a content security
/// policy forbids both. Open and bad incidents stand first; those that there is no room for are shown shorter, and counted
/// where there is none even for that.
pub fn page(report: &Report, look: &Look) -> String {
    let mut cases: Vec<&Case> = report.cases.iter().collect();
    cases.sort_by_key(|case| {
        let incident = &case.incident;
        (
            !incident.state.is_open(),
            incident.severity,
            std::cmp::Reverse(incident.opened),
            incident.incident_id,
        )
    });
    let policy =
        format!("default-src 'none'; style-src 'sha256-{STYLE_SHA256}'; base-uri 'none'; form-action 'none'");
    let title = format!("Storage report of {}", report.of);
    let html = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                title { (words(&title)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a class="skip" href="#incidents" { "To the incidents" }
                header {
                    h1 { (words(&title)) }
                    (head(report, &cases, look))
                }
                main {
                    @if !cases.is_empty() {
                        h2 id="times" { "Time line" }
                        (timeline(&cases, report.known_until, &look.zone))
                    }
                    h2 id="incidents" tabindex="-1" { "Incidents" }
                    (incidents(&cases, look))
                    h2 id="unseen" { "What was not seen" }
                    (unseen(&report.unseen))
                    @if !report.facts.is_empty() { h2 id="machine" { "Where this comes from" } (machine(&report.facts)) }
                }
                footer { p { "Made by " (words(&report.by)) ". Times are of the zone " (words(&zone(report, look))) "." } }
            }
        }
    };
    html.into_string()
}

fn zone(report: &Report, look: &Look) -> String {
    let at = report.made.to_zoned(look.zone.clone());
    match look.zone.iana_name() {
        Some(name) => format!("{name} ({})", at.strftime("%:z")),
        None => at.strftime("%:z").to_string(),
    }
}

fn head(report: &Report, cases: &[&Case], look: &Look) -> Markup {
    let open = cases.iter().filter(|case| case.incident.state.is_open()).count() as u64;
    let over = cases.iter().filter(|case| case.incident.state == State::Resolved).count() as u64;
    let bad =
        cases.iter().filter(|c| c.incident.state.is_open() && c.incident.severity.at_least(Severity::Error));
    let bad = bad.count();
    html! {
        p class="muted" {
            "Made " (time(report.made, &look.zone))
            @if let Some(since) = report.span.0 { ", since " (time(since, &look.zone)) }
            @if let Some(until) = report.span.1 { ", until " (time(until, &look.zone)) }
        }
        p {
            @if cases.is_empty() { strong class="fine" { "No incident." } }
            @else {
                strong class=(if bad > 0 { "critical" } else if open > 0 { "warning" } else { "fine" }) {
                    (counted(open, "incident is", "incidents are")) " open"
                    @if bad > 0 && open > 0 { ", " (bad) " of them an error or worse" }
                }
                ", " (over) " over."
            }
        }
        @if !report.unseen.is_empty() {
            p class="notice-box" {
                "Not all was seen: " a href="#unseen" { (counted(report.unseen.len() as u64, "gap", "gaps")) }
                ". What is not on this page need not be well."
            }
        }
    }
}

fn incidents(cases: &[&Case], look: &Look) -> Markup {
    let (mut whole, mut short) = (Budget::new(WHOLE_MAX), Budget::new(SHORT_MAX));
    let (mut shown, mut rest) = (Vec::new(), cases.iter());
    for case in rest.by_ref() {
        let full = article(case, look, true);
        if whole.take(&full.0) {
            shown.push(full);
            continue;
        }
        let brief = article(case, look, false);
        if !short.take(&brief.0) {
            // The one that did not fit is the first of those with a line each.
            rest = cases.get(shown.len()..).unwrap_or_default().iter();
            break;
        }
        shown.push(brief);
    }
    let (listed, left) = fitting(LINES_MAX, rest.map(|case| row(case, look)));
    html! {
        @for one in shown { (one) }
        @if cases.is_empty() { p { "There is none." } }
        @if !listed.is_empty() {
            h4 { "In short, as there are too many for this page" }
            table { tr { th { "Since" } th { "What" } th { "State" } } @for one in listed { (one) } }
        }
        @if left > 0 { p { strong { "And " (left) " more that are not on this page." } } }
    }
}

fn row(case: &Case, look: &Look) -> Markup {
    let incident = &case.incident;
    html! {
        tr id={ "i-" (incident.incident_id) } {
            td { (time(incident.opened, &look.zone)) }
            td { (words(&incident.title)) }
            td { (badges(incident)) }
        }
    }
}
