//! Conditions that are one problem: one line of `prpt status` each.
//!
//! Conditions belong together when they are about the same device; when one event caused the other, or both have one cause;
//! when one is about an array or map and the other about the member or path that failed in it; and when requests failed on a
//! device and on what is made of it.

use serde::Serialize;

use super::{
    condition::{Condition, Subject},
    rows::{ROWS, row},
};

/// One problem.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Problem {
    /// The name that people use, of what the worst condition is about.
    pub name: String,
    /// The worst condition.
    #[serde(flatten)]
    pub worst: Condition,
    /// The others, the worst first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Condition>,
}

impl Problem {
    /// All conditions, the worst first.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        std::iter::once(&self.worst).chain(&self.also)
    }
}

fn rank(condition: &Condition) -> usize {
    ROWS.iter().position(|row| row.name == condition.condition).unwrap_or(ROWS.len())
}

/// The problems, the worst first; of those that are as bad the older first.
pub(crate) fn problems(mut conditions: Vec<Condition>) -> Vec<Problem> {
    conditions.sort_by(|a, b| rank(a).cmp(&rank(b)).then(a.since.cmp(&b.since)));
    let mut groups: Vec<Vec<Condition>> = Vec::new();
    for condition in conditions {
        let (mut mine, others): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group| group.iter().any(|other| belong(other, &condition)));
        groups = others;
        let mut joined: Vec<Condition> = mine.drain(..).flatten().collect();
        joined.push(condition);
        joined.sort_by(|a, b| rank(a).cmp(&rank(b)).then(a.since.cmp(&b.since)));
        groups.push(joined);
    }
    let mut problems: Vec<Problem> = groups.into_iter().filter_map(of_group).collect();
    let severity = |p: &Problem| p.conditions().map(|c| c.severity).min();
    let since = |p: &Problem| p.conditions().filter_map(|c| c.since).min();
    problems.sort_by(|a, b| {
        severity(a)
            .cmp(&severity(b))
            .then(rank(&a.worst).cmp(&rank(&b.worst)))
            .then(since(a).cmp(&since(b)))
            .then(a.name.cmp(&b.name))
    });
    problems
}

fn of_group(group: Vec<Condition>) -> Option<Problem> {
    let mut group = group.into_iter();
    let worst = group.next()?;
    let name = match worst.device.shown() {
        name if name.is_empty() && is_own(&worst) => "peripety".to_owned(),
        name if name.is_empty() => "a device that could not be reported".to_owned(),
        name => name,
    };
    Some(Problem { name, worst, also: group.collect() })
}

/// What peripety itself lacks is about no device.
fn is_own(condition: &Condition) -> bool {
    matches!(row(&condition.condition).map(|row| row.about), Some(super::rows::About::Source))
}

fn belong(one: &Condition, two: &Condition) -> bool {
    if is_own(one) || is_own(two) {
        return one.condition == two.condition && one.device.name == two.device.name;
    }
    one.device.is(&two.device)
        || one.events.iter().any(|id| two.events.contains(id))
        || is_member(one, &two.device)
        || is_member(two, &one.device)
        || fails_with(one, two)
        || fails_with(two, one)
}

fn is_member(array: &Condition, device: &Subject) -> bool {
    let same_boot = array.device.boot_id == device.boot_id || array.device.boot_id.is_empty();
    same_boot && device.dev.is_some_and(|dev| array.members.contains(&dev))
}

/// Requests fail on `above`, which is made of `below`, where they failed before.
fn fails_with(above: &Condition, below: &Condition) -> bool {
    let of_requests = |c: &Condition| row(&c.condition).is_some_and(super::rows::Row::is_of_requests);
    let is_owner = below.device.dev.is_some_and(|dev| above.device.owners.contains(&dev));
    of_requests(above) && of_requests(below) && is_owner && above.device.boot_id == below.device.boot_id
}

#[cfg(test)]
mod tests;
