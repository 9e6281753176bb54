//! The page: HTML made here, without a script. What hosts wrote is text and nothing else.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use peripety::internal::text::printable;
use peripety_forward::cluster::Cluster;
use peripety_model::Severity;
use peripety_page::{Case, Look, STYLE, STYLE_SHA256, incident_html};

use super::{
    Role, api,
    routes::{Answer, Asked, decoded},
};
use crate::{fleet::Open, notify::as_incident, store::StoreError};

/// Rows of a list.
const ROWS: usize = 2000;

/// Nothing from elsewhere, no script, in no frame, and forms go here.
pub(super) fn policy() -> String {
    format!(
        "default-src 'none'; style-src 'sha256-{STYLE_SHA256}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
}

/// Text that somebody wrote, with what would hide in it shown.
fn words(text: &str) -> String {
    printable(text).into_owned()
}

fn when(at: Timestamp) -> Markup {
    let shown = at.strftime("%Y-%m-%d %H:%M:%S").to_string();
    html! { time datetime=(at) { (shown) " UTC" } }
}

fn badge(severity: Severity) -> Markup {
    html! { span class={ "badge " (severity) } { (severity) } }
}

fn whole(title: &str, body: &Markup) -> Answer {
    let html = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (words(title)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a class="skip" href="#main" { "To the content" }
                header {
                    nav { a href="/" { "Open" } " · " a href="/hosts" { "Hosts" } " · " a href="/api/v1/openapi.json" { "API" } }
                    h1 { (words(title)) }
                }
                main id="main" tabindex="-1" { (body) }
            }
        }
    };
    Answer::html(html.into_string())
}

fn missing(what: &str) -> Answer {
    Answer { status: "404 Not Found", ..whole("Not found", &html! { p { (what) } }) }
}

fn row(open: &Open) -> Markup {
    html! {
        tr {
            td { (badge(open.severity)) }
            td { a href={ "/incident/" (open.incident_id) } { (words(&open.title)) } }
            td { (words(&open.host)) }
            td { (when(open.opened)) }
        }
    }
}

fn cluster_row(cluster: &Cluster) -> Markup {
    html! {
        tr {
            td { (badge(cluster.severity)) }
            td { a href={ "/cluster/" (cluster.cluster_id) } { (words(&cluster.title())) } }
            td { (words(&cluster.site)) }
            td { (when(cluster.opened)) }
        }
    }
}

pub(super) fn open(asked: &Asked<'_>, _: &[String]) -> Answer {
    let text = asked.query("q").unwrap_or_default();
    let floor: Option<Severity> = asked.query("severity").and_then(|name| name.parse().ok());
    let fleet = asked.shared.fleet();
    let all = fleet.open();
    let fits = |open: &&&Open| {
        floor.is_none_or(|floor| open.severity.at_least(floor))
            && (open.title.contains(&text) || open.host.contains(&text))
    };
    // What is part of an incident of the fleet is shown by that one.
    let own: Vec<&&Open> = all.iter().filter(|open| open.cluster_id.is_none()).filter(fits).collect();
    let clusters = fleet.clusters();
    let conditions = fleet.conditions(Timestamp::now());
    let title = format!("{} open on {} hosts", all.len(), fleet.hosts().len());
    let body = html! {
        @if let Some(trouble) = asked.shared.trouble() { p class="notice-box" { "This is not up to date: " (words(&trouble)) } }
        form method="get" action="/" role="search" {
            label { "Title or host " input name="q" value=(text); }
            " " label { "As bad as "
                select name="severity" {
                    @for severity in ["debug", "notice", "warning", "error", "critical"] {
                        option selected[floor.is_some_and(|floor| floor.as_str() == severity)] { (severity) }
                    }
                }
            }
            " " button { "Show" }
        }
        @if !clusters.is_empty() {
            h2 { "What many hosts see" }
            div class="scroll" tabindex="0" role="group" aria-label="What many hosts see" {
                table {
                    tr { th { "Severity" } th { "What" } th { "Site" } th { "Since" } }
                    @for cluster in clusters { (cluster_row(cluster)) }
                }
            }
        }
        h2 { "Incidents of one host" }
        @if own.is_empty() { p { "There is none." } }
        @else {
            div class="scroll" tabindex="0" role="group" aria-label="Incidents of one host" {
                table {
                    tr { th { "Severity" } th { "What" } th { "Host" } th { "Since" } }
                    @for open in own.iter().take(ROWS) { (row(open)) }
                }
            }
        }
        @if own.len() > ROWS { p { strong { "And " (own.len() - ROWS) " more: search for them." } } }
        @if !conditions.is_empty() {
            h2 { "Hosts" }
            div class="scroll" tabindex="0" role="group" aria-label="Hosts" {
                table {
                    tr { th { "Severity" } th { "Host" } th { "What" } }
                    @for one in conditions.iter().take(ROWS) {
                        tr { td { (badge(one.severity)) } td { (words(&one.host)) } td { (words(&one.what)) } }
                    }
                }
            }
        }
    };
    whole(&title, &body)
}

pub(super) fn incident(asked: &Asked<'_>, parts: &[String]) -> Answer {
    let text = parts.first().map_or("", String::as_str);
    let Ok(id) = api::id(text) else { return missing("An incident has a UUID.") };
    let store = &asked.shared.store;
    let read =
        || -> Result<_, StoreError> { Ok((store.incident(id)?, store.events(id)?, store.acknowledged(id)?)) };
    let (stored, events, known) = match read() {
        Ok((Some(stored), events, known)) => (stored, events, known),
        Ok((None, ..)) => return missing("There is no such incident, or it is forgotten."),
        Err(error) => return error.into(),
    };
    let cluster = stored.cluster.or_else(|| asked.shared.fleet().part_of(id));
    let title = format!("{}: {}", stored.incident.hostname, stored.incident.title);
    let wwid = stored.incident.cause.device.as_ref().map(|device| device.wwid.clone()).unwrap_or_default();
    let case = Case { events, ..Case::new(stored.incident) };
    let body = html! {
        @if let Some(cluster) = cluster {
            p class="notice-box" { "It is part of " a href={ "/cluster/" (cluster) } { "what many hosts see" } "." }
        }
        (PreEscaped(incident_html(&case, &Look::default())))
        @if !wwid.is_empty() { p { a href={ "/device?wwid=" (escaped(&wwid)) } { "All incidents of this device" } } }
        @if let Some(act) = known {
            p { "Known: " (words(&act.by)) " at " (when(act.at)) ": " (words(&act.reason)) }
        } @else if asked.role >= Role::Acknowledge {
            form method="post" action={ "/incident/" (id) "/acknowledge" } {
                label { "Why it is known " input name="reason" required maxlength="500"; }
                " " button { "Acknowledge" }
            }
        }
    };
    whole(&title, &body)
}

pub(super) fn acknowledge(asked: &Asked<'_>, parts: &[String]) -> Answer {
    let id = parts.first().map_or("", String::as_str);
    let body = String::from_utf8_lossy(asked.body);
    let reason =
        body.split('&').find_map(|pair| pair.strip_prefix("reason=")).map(decoded).unwrap_or_default();
    match api::note(asked, id, &reason) {
        Ok(()) => Answer::see(&format!("/incident/{}", escaped(id))),
        Err(answer) => answer,
    }
}

pub(super) fn cluster(asked: &Asked<'_>, parts: &[String]) -> Answer {
    let text = parts.first().map_or("", String::as_str);
    let Ok(id) = api::id(text) else { return missing("An incident has a UUID.") };
    let all = match asked.shared.store.clusters() {
        Ok(all) => all,
        Err(error) => return error.into(),
    };
    let Some(cluster) = all.into_iter().find(|cluster| cluster.cluster_id == id) else {
        return missing("There is no such incident of the fleet.");
    };
    let case = Case::new(as_incident(&cluster, 0));
    let body = html! {
        (PreEscaped(incident_html(&case, &Look::default())))
        h2 { "Hosts" }
        div class="scroll" tabindex="0" role="group" aria-label="Hosts" {
            table {
                tr { th { "Host" } th { "State" } th { "Since" } th { "There" } }
                @for (host, all) in &cluster.hosts {
                    @for (id, member) in all {
                        tr {
                            td { (words(host)) }
                            td { @if member.open { (badge(member.severity)) } @else { "over" } }
                            td { (when(member.since)) }
                            td { a href={ "/incident/" (id) } { (words(&member.title)) } }
                        }
                    }
                }
            }
        }
    };
    whole(&cluster.title(), &body)
}

pub(super) fn hosts(asked: &Asked<'_>, _: &[String]) -> Answer {
    let fleet = asked.shared.fleet();
    let body = html! {
        div class="scroll" tabindex="0" role="group" aria-label="Hosts" {
            table {
                tr { th { "Site" } th { "Host" } th { "Seen" } th { "Version" } th { "Open" } th { "Forwarded" } th { "Lost" } }
                @for seen in fleet.hosts().values().take(ROWS) {
                    tr {
                        td { (words(&seen.host.site)) }
                        td { (words(&seen.host.host)) }
                        td { (when(seen.at)) }
                        td { (words(&seen.host.version)) }
                        td { (seen.host.open.len() as u64 + seen.host.more) }
                        td { (seen.host.sent.stored) }
                        td { (seen.host.lost.unread + seen.host.lost.too_large + seen.host.lost.records.unwrap_or(0)) }
                    }
                }
            }
        }
        @if fleet.hosts().len() > ROWS { p { "And " (fleet.hosts().len() - ROWS) " more: the API has them." } }
    };
    whole(&format!("{} hosts", fleet.hosts().len()), &body)
}

pub(super) fn device(asked: &Asked<'_>, _: &[String]) -> Answer {
    let wwid = asked.query("wwid").unwrap_or_default();
    let found = match asked.shared.store.device(&wwid) {
        Ok(found) => found,
        Err(error) => return error.into(),
    };
    let body = html! {
        @if found.is_empty() { p { "No incident of it is known." } }
        div class="scroll" tabindex="0" role="group" aria-label="Incidents" {
            table {
                tr { th { "Since" } th { "Host" } th { "Called there" } th { "What" } th { "State" } }
                @for stored in &found {
                    tr {
                        td { (when(stored.incident.opened)) }
                        td { (words(&stored.incident.hostname)) }
                        td { (words(&stored.incident.cause.name)) }
                        td { a href={ "/incident/" (stored.incident.incident_id) } { (words(&stored.incident.title)) } }
                        td { (stored.incident.state.as_str()) }
                    }
                }
            }
        }
    };
    whole(&format!("Device {wwid}"), &body)
}

/// For a part of an address.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}
