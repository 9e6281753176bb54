//! Through a whole stack of devices.

use serde::Serialize;

use super::{Kind, Layout, MapFacts, Range, Role, Segment, Space};

/// Stacks are not higher than this; a loop device may lie on itself.
const DEPTH_MAX: usize = 24;
/// Pieces of one answer.
const PIECES_MAX: usize = 4096;

/// Some sectors, and where they lie or what they are part of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The sectors.
    pub range: Range,
    /// What they are for those that the walk came from.
    pub role: Role,
    /// Whether they are certain to be those.
    pub certain: bool,
    /// How the one lies on the other: `partition`, `striped over 2, chunk 64 KiB`. Empty for where the walk began.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub how: String,
    /// Why it is not known what is further on.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unknown: String,
    /// One step further.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

impl Step {
    fn new(range: Range, role: Role, certain: bool, how: &str) -> Self {
        let how = how.to_owned();
        Self { range, role, certain, how, unknown: String::new(), steps: Vec::new() }
    }

    /// Where the walk ended, and what the sectors there are for those where it began: what lies below parity is parity.
    pub fn leaves(&self) -> Vec<(Role, &Self)> {
        let mut leaves = Vec::new();
        let mut open = vec![(self.role, self)];
        while let Some((role, step)) = open.pop() {
            if step.steps.is_empty() {
                leaves.push((role, step));
            }
            let below = |next: &Self| match (role, next.role) {
                (Role::Parity | Role::Q, _) | (_, Role::Data) => role,
                (_, other) => other,
            };
            open.extend(step.steps.iter().rev().map(|next| (below(next), next)));
        }
        leaves
    }
}

/// Where some sectors lie, down to the disks.
pub fn down(facts: &dyn MapFacts, range: Range) -> Step {
    walk(facts, range, Way { further: below, through_parity: true })
}

/// What some sectors are part of, up to the last device that is made of them.
pub fn up(facts: &dyn MapFacts, range: Range) -> Step {
    // A sector of parity is none of what is above.
    walk(facts, range, Way { further: above, through_parity: false })
}

/// What is one step further than some sectors, and in words why that is not known.
type Further = (Vec<Step>, String);

/// A direction.
#[derive(Clone, Copy)]
struct Way {
    further: fn(&dyn MapFacts, Range, &mut usize) -> Further,
    /// Whether it goes on from parity.
    through_parity: bool,
}

fn walk(facts: &dyn MapFacts, range: Range, way: Way) -> Step {
    let mut left = PIECES_MAX;
    let mut root = Step::new(range, Role::Data, true, "");
    descend(facts, &mut root, way, DEPTH_MAX, &mut left);
    root
}

fn descend(facts: &dyn MapFacts, step: &mut Step, way: Way, depth: usize, left: &mut usize) {
    if matches!(step.role, Role::Parity | Role::Q) && !way.through_parity {
        return;
    }
    if depth == 0 {
        step.unknown = format!("the stack has more than {DEPTH_MAX} layers");
        return;
    }
    (step.steps, step.unknown) = (way.further)(facts, step.range, left);
    for next in &mut step.steps {
        next.certain &= step.certain;
        descend(facts, next, way, depth - 1, left);
    }
}

const TOO_MANY: &str = "it is in too many pieces; ask for fewer sectors";

fn below(facts: &dyn MapFacts, range: Range, left: &mut usize) -> Further {
    let layout = match facts.layout(range.space) {
        Ok(Some(layout)) => layout,
        Ok(None) => return (Vec::new(), String::new()),
        Err(why) => return (Vec::new(), why),
    };
    let mut steps = Vec::new();
    let mut unknown = String::new();
    for segment in &layout.segments {
        let (mut at, end) = overlap(range, segment);
        if at < end
            && let Kind::Opaque(why) = segment.kind
        {
            unknown = opaque(segment, why);
        }
        while at < end {
            let inner = (at - segment.start).saturating_add(segment.base);
            let run = segment.kind.down(segment.members.len(), inner);
            let len = run.len.max(1).min(end - at);
            for spot in run.spots {
                let Some(member) = segment.members.get(spot.member) else { continue };
                let Some(take) = left.checked_sub(1) else { return (steps, TOO_MANY.to_owned()) };
                *left = take;
                match (member.space, member.start.checked_add(spot.sector)) {
                    (Some(space), Some(sector)) => {
                        let range = Range { space, sector, len };
                        steps.push(Step::new(range, spot.role, segment.certain, &segment.how));
                    }
                    _ => unknown = format!("{}: member {} is missing", segment.how, spot.member),
                }
            }
            // A run without a place on a member costs one too, so that this ends.
            let Some(take) = left.checked_sub(1) else { return (steps, TOO_MANY.to_owned()) };
            *left = take;
            at = at.saturating_add(len);
        }
    }
    (steps, unknown)
}

/// The sectors of the range that are in the segment.
fn overlap(range: Range, segment: &Segment) -> (u64, u64) {
    let end = segment.start.saturating_add(segment.len).min(range.end());
    (range.sector.max(segment.start), end)
}

fn opaque(segment: &Segment, why: &str) -> String {
    let on: Vec<String> =
        segment.members.iter().filter_map(|member| member.space).map(|space| space.to_string()).collect();
    format!("{}: {why}; it is somewhere on {}", segment.how, on.join(", "))
}

fn above(facts: &dyn MapFacts, range: Range, left: &mut usize) -> Further {
    let mut steps = Vec::new();
    let mut unknown = Vec::new();
    for space in facts.above(range.space) {
        match facts.layout(space) {
            Ok(Some(layout)) => {
                if !lift(&layout, space, range, left, &mut steps, &mut unknown) {
                    unknown.push(TOO_MANY.to_owned());
                    break;
                }
            }
            Ok(None) => {}
            Err(why) => unknown.push(why),
        }
    }
    unknown.dedup();
    (steps, unknown.join("; "))
}

/// Adds what of `space` lies on the range; false when that is too much.
fn lift(
    layout: &Layout,
    space: Space,
    range: Range,
    left: &mut usize,
    steps: &mut Vec<Step>,
    unknown: &mut Vec<String>,
) -> bool {
    for segment in &layout.segments {
        let mine = segment.members.iter().enumerate().filter(|(_, m)| m.space == Some(range.space));
        for (index, member) in mine {
            if let Kind::Opaque(why) = segment.kind {
                unknown.push(format!("{space}: {}: {why}", segment.how));
                continue;
            }
            let length = member.len.unwrap_or(match segment.kind {
                Kind::Same(_) => segment.base.saturating_add(segment.len),
                _ => u64::MAX,
            });
            let mut at = range.sector.max(member.start);
            let end = range.end().min(member.start.saturating_add(length));
            while at < end {
                let run = segment.kind.up(segment.members.len(), index, at - member.start);
                let len = run.len.max(1).min(end - at);
                for spot in run.spots {
                    // Of the kind's sectors those that are this segment's.
                    let from = spot.sector.max(segment.base);
                    let to = spot.sector.saturating_add(len).min(segment.base.saturating_add(segment.len));
                    if from < to {
                        let Some(take) = left.checked_sub(1) else { return false };
                        *left = take;
                        let sector = segment.start.saturating_add(from - segment.base);
                        let range = Range { space, sector, len: to - from };
                        steps.push(Step::new(range, spot.role, segment.certain, &segment.how));
                    }
                }
                let Some(take) = left.checked_sub(1) else { return false };
                *left = take;
                at = at.saturating_add(len);
            }
        }
    }
    true
}
