//! The table of rules: what each links, and what it does not.

mod placed;
mod unplaced;

use super::*;

/// A rule by name, what it links, and what it does not.
type Case = (&'static str, Vec<Event>, Vec<Event>);

fn gluster(kind: &'static str, kdev: &str, volume: &str, at: i64) -> Event {
    with(event(kind, kdev, at), "gluster.volume", volume)
}

#[test]
fn every_rule_links_what_it_is_for_and_nothing_else() {
    let cases: Vec<_> = placed::cases().into_iter().chain(unplaced::cases()).collect();
    let tested: BTreeSet<&str> = cases.iter().map(|(name, _, _)| *name).collect();
    let all: BTreeSet<&str> = rules().map(|rule| rule.name).collect();
    assert_eq!(tested, all, "each rule has its test");
    let mut wrong = Vec::new();
    for (name, yes, no) in cases {
        let (together, apart) = (run(yes), run(no.clone()));
        let found = together.found();
        let rules: Vec<&String> = found.iter().flat_map(|incident| &incident.cause.rules).collect();
        if found.len() != 1 || !rules.iter().any(|rule| *rule == name) {
            wrong.push(format!("{name}: {} incidents by {rules:?}", found.len()));
        }
        if apart.found().len() != no.len() {
            let titles: Vec<String> =
                apart.found().iter().map(|i| format!("{} {:?}", i.title, i.cause.rules)).collect();
            wrong.push(format!("{name}: not to be linked: {titles:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_volume_that_lacks_a_brick_is_explained_by_it_also_where_the_brick_is_reported_later() {
    let run = run(vec![
        gluster("GLUSTER_HEAL_PENDING", "rep", "rep", 0),
        with(gluster("GLUSTER_BRICK_DOWN", "dm-4", "rep", 900), "gluster.brick", "n1:/b"),
    ]);
    let found = run.found();
    assert_eq!(found.len(), 1, "{:?}", found.iter().map(|i| &i.title).collect::<Vec<_>>());
    assert_eq!(
        (found[0].cause.name.as_str(), &found[0].cause.rules[..]),
        ("dm-4", &["volume-on-brick".to_owned()][..])
    );
}
