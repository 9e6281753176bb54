//! An incident as a picture: Graphviz and Mermaid.

use std::fmt::Write as _;

use crate::event::incident::{Incident, Relation};

fn label(text: &str) -> String {
    let plain: String =
        text.chars()
            .filter(|c| !c.is_control())
            .map(|c| {
                if matches!(c, '"' | '<' | '>' | '[' | ']' | '{' | '}' | '|' | '\\' | '#') { '\'' } else { c }
            })
            .collect();
    plain.chars().take(80).collect()
}

/// Number, text.
type Node = (usize, String);
/// From, to, text.
type Edge = (usize, usize, &'static str);

/// Nodes and edges.
fn parts(incident: &Incident) -> (Vec<Node>, Vec<Edge>) {
    let mut nodes =
        vec![(0, label(&format!("{} ({})", incident.cause.name, incident.cause.certainty.as_str())))];
    let mut edges = Vec::new();
    for (n, member) in incident.events.iter().enumerate() {
        let times = if member.count > 1 { format!(" x{}", member.count) } else { String::new() };
        nodes.push((n + 1, label(&format!("{} {}{times}", member.device, member.event_type))));
        let from = member.because.and_then(|id| incident.events.iter().position(|m| m.event_id == id));
        let from = from.filter(|from| *from != n).map_or(0, |from| from + 1);
        edges.push((
            from,
            n + 1,
            if member.relation == Relation::Cause { "" } else { member.relation.words() },
        ));
    }
    (nodes, edges)
}

/// For Graphviz.
pub(super) fn dot(incidents: &[Incident]) -> String {
    let mut out = String::from("digraph incidents {\n  rankdir=LR;\n  node [shape=box];\n");
    for (k, incident) in incidents.iter().enumerate() {
        let (nodes, edges) = parts(incident);
        let title = label(&incident.title);
        let _fits = write!(out, "  subgraph cluster_{k} {{\n    label=\"{title}\";\n");
        for (n, text) in nodes {
            let _fits = writeln!(out, "    i{k}e{n} [label=\"{text}\"];");
        }
        for (from, to, text) in edges {
            let _fits = writeln!(out, "    i{k}e{from} -> i{k}e{to} [label=\"{text}\"];");
        }
        out.push_str("  }\n");
    }
    out.push_str("}\n");
    out
}

/// For Mermaid.
pub(super) fn mermaid(incidents: &[Incident]) -> String {
    let mut out = String::from("flowchart LR\n");
    for (k, incident) in incidents.iter().enumerate() {
        let (nodes, edges) = parts(incident);
        let _fits = writeln!(out, "  subgraph i{k}[\"{}\"]", label(&incident.title));
        for (n, text) in nodes {
            let _fits = writeln!(out, "    i{k}e{n}[\"{text}\"]");
        }
        for (from, to, text) in edges {
            let text = if text.is_empty() { String::new() } else { format!("|{text}|") };
            let _fits = writeln!(out, "    i{k}e{from} -->{text} i{k}e{to}");
        }
        out.push_str("  end\n");
    }
    out
}
