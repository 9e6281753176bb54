//! The picture itself.

use maud::{Markup, PreEscaped, html};

use super::{
    graph::{Graph, Mark, Node},
    place::{HIGH, Places, WIDE},
};
use crate::{
    style::STACK,
    text::{squeezed, words},
};

/// Columns of a name.
const NAME: usize = 21;
/// A picture that is not wider is made smaller where there is less room; wider ones are moved to and fro.
const NARROW: usize = 2 * (WIDE + 20);
/// Columns of the smaller words.
const SMALL: usize = 27;

/// For a page that has the style sheet.
pub(crate) fn inline(graph: &Graph) -> Markup {
    svg(graph, "Storage stack", &html! {})
}

/// As a file of its own.
pub(super) fn alone(graph: &Graph, title: &str) -> String {
    svg(graph, title, &html! { style { (PreEscaped(STACK)) } }).into_string() + "\n"
}

fn svg(graph: &Graph, title: &str, style: &Markup) -> Markup {
    let places = Places::of(graph);
    let (wide, high) = (places.wide, places.high);
    html! {
        svg class={ "stack" @if wide <= NARROW { " narrow" } } xmlns="http://www.w3.org/2000/svg" role="img" width=(wide) height=(high)
            viewBox={ "0 0 " (wide) " " (high) } {
            title { (words(title)) }
            desc { (words(&graph.in_words())) }
            (style)
            @for edge in &graph.edges { (line(graph, &places, *edge)) }
            @for (node, at) in graph.nodes.iter().zip(&places.at) { (boxed(node, *at)) }
        }
    }
}

/// From the top of what lies below to the bottom of what lies above; an arrow where the failure went.
fn line(graph: &Graph, places: &Places, (below, above): (usize, usize)) -> Markup {
    let (Some(from), Some(to)) = (places.at.get(below), places.at.get(above)) else { return html! {} };
    let failed =
        [below, above].iter().all(|at| graph.nodes.get(*at).is_some_and(|node| node.mark != Mark::Whole));
    let (x1, y1) = (from.0 + WIDE / 2, from.1);
    let (x2, y2) = (to.0 + WIDE / 2, to.1 + HIGH);
    let end = if failed { y2 + 8 } else { y2 };
    let middle = usize::midpoint(y1, end);
    html! {
        path class=(if failed { "went" } else { "line" })
            d={ "M" (x1) " " (y1) " C" (x1) " " (middle) " " (x2) " " (middle) " " (x2) " " (end) } {}
        @if failed {
            path class="head" d={ "M" (x2) " " (y2) " l-6 10 h12 z" } {}
        }
    }
}

fn boxed(node: &Node, (x, y): (usize, usize)) -> Markup {
    let mark = match node.mark {
        Mark::Cause => "cause",
        Mark::Hit => "hit",
        Mark::Passed => "passed",
        Mark::Whole => "whole",
    };
    let text_y = match (node.kind.is_empty(), node.note.is_empty()) {
        (false, false) => [19, 35, 50],
        (false, true) => [24, 42, 0],
        (true, false) => [24, 0, 44],
        (true, true) => [33, 0, 0],
    };
    let sign = match node.mark {
        Mark::Cause => "✖ ",
        Mark::Hit => "▲ ",
        Mark::Passed | Mark::Whole => "",
    };
    html! {
        g class={ "node " (mark) @if node.gone { " gone" } } {
            title { (words(&format!("{} {} {}", node.name, node.kind, node.note))) }
            rect x=(x) y=(y) width=(WIDE) height=(HIGH) rx="6" {}
            @let middle = x + WIDE / 2;
            text class="name" x=(middle) y=(y + text_y[0]) { (squeezed(&node.name, NAME)) }
            @if !node.kind.is_empty() {
                text class="kind" x=(middle) y=(y + text_y[1]) { (squeezed(&node.kind, SMALL)) }
            }
            @if !node.note.is_empty() {
                text class="note" x=(middle) y=(y + text_y[2]) { (sign) (squeezed(&node.note, SMALL)) }
            }
        }
    }
}
