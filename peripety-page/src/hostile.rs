//! Whatever stands in any field of text, the page has the elements that it has without it.

use std::collections::BTreeSet;

use html5gum::{Token, Tokenizer};
use proptest::prelude::*;
use serde_json::Value;

use crate::{Case, Facts, Look, NamedFile, PAGE_MAX, Report, Unseen, fixture, page, stack_svg};

/// What an attacker writes into labels, names of files and lines of the kernel.
const PAYLOADS: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "--><svg/onload=alert(1)>",
    "]]><script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;",
    "javascript:alert(1)",
    "<a href=\"https://example.com\">",
    "\u{202e}\u{200b}\u{feff}<b>",
    "\0\u{1}<i>\u{7f}\u{fffe}",
    "</pre></details><iframe src=//example.com>",
];

/// Elements with the names of their attributes; panics at what must never be there.
fn elements(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    for token in Tokenizer::new(html) {
        match token.unwrap() {
            Token::StartTag(tag) => {
                let name = String::from_utf8(tag.name.0.clone()).unwrap();
                assert!(
                    !["script", "iframe", "img", "object", "link", "base", "form"].contains(&name.as_str())
                );
                let mut line = name.clone();
                for (key, value) in &tag.attributes {
                    let key = String::from_utf8(key.0.clone()).unwrap();
                    let value = String::from_utf8(value.0.clone()).unwrap();
                    assert!(!key.starts_with("on") && key != "style" && key != "src", "{key}");
                    if key == "href" {
                        assert!(value.starts_with('#'), "{value}");
                    }
                    if key != "xmlns" && key != "content" {
                        assert!(!value.contains(':') || key == "datetime", "{key}={value}");
                    }
                    line.push_str(&format!(" {key}"));
                }
                found.push(line);
            }
            Token::EndTag(tag) => found.push(format!("/{}", String::from_utf8(tag.name.0.clone()).unwrap())),
            Token::Comment(_) => panic!("the page has no comment"),
            Token::String(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    found
}

/// Puts `text` in place of each text of a value where `wanted` says so; counts them.
fn put(value: &mut Value, n: &mut usize, wanted: &dyn Fn(usize) -> bool, text: &str) {
    match value {
        Value::String(own) => {
            if wanted(*n) {
                *own = text.to_owned();
            }
            *n += 1;
        }
        Value::Array(all) => all.iter_mut().for_each(|one| put(one, n, wanted, text)),
        Value::Object(all) => all.values_mut().for_each(|one| put(one, n, wanted, text)),
        _ => {}
    }
}

/// The case with a text in these of its fields; `None` where one of them takes no such text.
fn with(case: &Case, wanted: &dyn Fn(usize) -> bool, text: &str) -> Option<Case> {
    let mut value = serde_json::json!([case.incident, case.events]);
    put(&mut value, &mut 0, wanted, text);
    let (incident, events) = serde_json::from_value(value).ok()?;
    Some(Case { incident, events, files: case.files.clone() })
}

/// The numbers of the fields that take any text: not ids, times and enumerations.
fn free(case: &Case) -> BTreeSet<usize> {
    let mut count = 0;
    put(&mut serde_json::json!([case.incident, case.events]), &mut count, &|_| false, "");
    let free = (0..count).filter(|n| with(case, &|at| at == *n, "x<\"").is_some()).collect::<BTreeSet<_>>();
    assert!(free.len() > 60 && free.len() < count, "{} of {count}", free.len());
    free
}

/// A case that has the same text in every field that takes it.
pub(crate) fn poisoned(text: &str) -> Case {
    let case = fixture::medium_error();
    let free = free(&case);
    with(&case, &|at| free.contains(&at), text).unwrap()
}

fn html(case: Case) -> String {
    page(&fixture::report(vec![case]), &Look::default())
}

#[test]
fn no_field_of_an_incident_or_an_event_brings_an_element() {
    let case = fixture::medium_error();
    let free = free(&case);
    let all = |at: usize| free.contains(&at);
    for payload in PAYLOADS {
        let bad = html(with(&case, &all, payload).unwrap());
        let good = html(with(&case, &all, "x").unwrap());
        assert_eq!(elements(&bad), elements(&good), "{payload}");
        assert!(!bad.contains('\u{202e}') && !bad.contains('\0'));
    }
    // And each by itself: one alone may stand where others would not let it come.
    let payload = PAYLOADS.concat();
    for n in &free {
        let [bad, good] = [&payload, "x"].map(|text| html(with(&case, &|at| at == *n, text).unwrap()));
        assert_eq!(elements(&bad), elements(&good), "field {n}");
    }
}

#[test]
fn no_other_field_of_a_report_brings_an_element() {
    let of = |text: &str| {
        let text = || text.to_owned();
        let mut case = fixture::medium_error();
        case.files = vec![NamedFile { path: text(), how: text() }];
        page(
            &Report {
                of: text(),
                by: text(),
                facts: vec![Facts { of: text(), rows: vec![(text(), text())] }],
                unseen: vec![Unseen { what: text(), why: text(), count: None }],
                ..fixture::report(vec![case])
            },
            &Look::default(),
        )
    };
    for payload in PAYLOADS {
        assert_eq!(elements(&of(payload)), elements(&of("x")), "{payload}");
    }
}

#[test]
fn the_picture_as_a_file_is_well_formed_whatever_it_shows() {
    let case = fixture::medium_error();
    let free = free(&case);
    for payload in PAYLOADS {
        let bad = with(&case, &|at| free.contains(&at), payload).unwrap();
        let svg = stack_svg(&bad.incident, &bad.events);
        elements(&svg);
        // XML knows five entities and no control character but tab and newlines.
        assert!(!svg.chars().any(|c| c.is_control() && c != '\n'), "{svg}");
        for (at, _) in svg.match_indices('&') {
            let rest = &svg[at..];
            assert!(["&lt;", "&gt;", "&amp;", "&quot;"].iter().any(|e| rest.starts_with(e)), "{rest}");
        }
    }
}

#[test]
fn the_page_stays_below_its_bound() {
    let mut cases = Vec::new();
    for n in 0..6_u128 {
        let mut case = fixture::medium_error();
        case.incident.incident_id = peripety_model::IncidentId::from_u128(n);
        case.incident.title = "<".repeat(5000);
        case.incident.actions = vec!["\u{e0001}".repeat(500); 50];
        for event in &mut case.events {
            event.raw_msgs = (0..250).map(|k| format!("{k}{}", "\u{e0001}".repeat(1200))).collect();
        }
        cases.push(case);
    }
    let mut light = fixture::medium_error();
    light.incident.title = "<".repeat(500);
    for n in 100..1000_u128 {
        light.incident.incident_id = peripety_model::IncidentId::from_u128(n);
        cases.push(light.clone());
    }
    let mut report = fixture::report(cases);
    report.facts =
        vec![Facts { of: "<".repeat(5000), rows: vec![("<".repeat(5000), "<".repeat(5000)); 50] }; 50];
    report.unseen = vec![Unseen { what: "<".repeat(5000), why: "<".repeat(5000), count: None }; 500];
    let html = page(&report, &Look::default());
    assert!(html.len() < PAGE_MAX, "{}", html.len());
    assert!(html.contains("more that are not on this page"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_text_at_all_brings_an_element(text in "[ -~<>\"'&/;=\\PC]{1,60}") {
        let case = fixture::medium_error();
        let free = free(&case);
        let [bad, good] =
            [text.as_str(), "x"].map(|text| elements(&html(with(&case, &|at| free.contains(&at), text).unwrap())));
        prop_assert_eq!(bad, good);
    }
}
