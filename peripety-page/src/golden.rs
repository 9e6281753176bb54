//! The page and the picture as they are.

use crate::{Look, fixture, page, stack_svg};

#[test]
fn the_page_of_two_incidents() {
    let report = fixture::report(vec![fixture::removed(), fixture::medium_error()]);
    let html = page(&report, &Look::default());
    let (before, rest) = html.split_once("<style>").unwrap();
    let (_, after) = rest.split_once("</style>").unwrap();
    // One element a line.
    let lines = format!("{before}{after}").replace("><", ">\n<");
    insta::assert_snapshot!(lines);
}

#[test]
fn the_picture_as_a_file() {
    let case = fixture::medium_error();
    insta::assert_snapshot!(stack_svg(&case.incident, &case.events).replace("><", ">\n<"));
}
