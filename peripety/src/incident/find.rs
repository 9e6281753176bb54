//! To which incident a fault belongs.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{
    DAY, Incidents,
    case::{Case, Link},
    class::Class,
    facet::Facet,
    index::Slot,
    part::SharedPart,
    rules::{Place, Rule, placed, unplaced},
};
use crate::event::{
    Event, EventId,
    incident::{Certainty, Part, Relation, State},
};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The incident that explains the event.
    pub joins: Option<(Slot, Link)>,
    /// Incidents whose root the event explains.
    pub heads: Vec<Head>,
    /// What it has in common with others that failed at the same time.
    pub part: Option<Common>,
}

/// An incident whose root the event explains.
#[derive(Debug)]
pub(super) struct Head {
    pub slot: Slot,
    pub root: EventId,
    pub link: Link,
}

/// Incidents that have a part in common.
#[derive(Debug)]
pub(super) struct Common {
    pub part: SharedPart,
    pub slots: Vec<Slot>,
    pub devices: u32,
    pub link: Link,
}

impl Incidents {
    /// To what a fault belongs.
    pub(super) fn find(&self, event: &Event, facet: &Facet) -> Found {
        let mut found = self.find_placed(event, facet, None);
        if found.joins.is_none() && found.heads.is_empty() && found.part.is_none() {
            self.only_one(facet, &mut found);
        }
        found
    }

    /// To what else a fault of an incident belongs, by the names that a later revision brought.
    pub(super) fn find_beside(&self, slot: Slot, event: &Event, facet: &Facet) -> Found {
        self.find_placed(event, facet, Some(slot))
    }

    fn find_placed(&self, event: &Event, facet: &Facet, beside: Option<Slot>) -> Found {
        let is_other = |slot: &Slot| Some(*slot) != beside;
        let mut candidates = BTreeSet::new();
        for key in facet.own.iter().chain(&facet.below).chain(&facet.above) {
            candidates.extend(self.index.with(key));
        }
        let of_root = self.of_root(event, facet).filter(|(slot, _)| is_other(slot));
        let mut found = Found { joins: of_root, ..Found::default() };
        let mut best = None;
        for slot in candidates.iter().filter(|slot| is_other(slot)) {
            let Some(case) = self.cases.get(slot).filter(|case| self.is_usable(case)) else { continue };
            let link = case
                .facets
                .iter()
                .filter_map(|known| Some((known, rule_for(known, facet, false)?)))
                .filter(|(known, rule)| self.reaches(case, known, facet, rule))
                .max_by_key(|(known, rule)| order(known, rule, facet));
            if let Some((known, rule)) = link {
                let rank = order(known, rule, facet);
                if best.as_ref().is_none_or(|(best, _, _)| rank > *best) {
                    best = Some((rank, *slot, link_of(rule, Some(known.event_id))));
                }
            }
            if let Some(head) = self.head(*slot, case, facet, false) {
                found.heads.push(head);
            }
        }
        if found.joins.is_none() {
            found.joins = best.map(|(_, slot, link)| (slot, link));
        }
        if let Some((slot, _)) = &found.joins {
            let slot = *slot;
            // What explains this one is not explained by it.
            found.heads.retain(|head| head.slot != slot && head.link.certainty > Certainty::Possible);
        }
        if found.joins.is_none() && found.heads.is_empty() {
            found.part = self.common(facet, beside);
        }
        found
    }

    /// Whether something may still be added to an incident: it is open, or it was over within a day.
    fn is_usable(&self, case: &Case) -> bool {
        match case.incident.state {
            State::Open | State::Recovering => true,
            State::Resolved => {
                let end = case.incident.resolved.unwrap_or(case.incident.updated);
                self.now.is_none_or(|now| now.duration_since(end) <= DAY)
            }
            State::Superseded => false,
        }
    }

    /// Whether a rule reaches over the end of an incident: the same again does, other consequences only soon after.
    fn reaches(&self, case: &Case, known: &Facet, facet: &Facet, rule: &Rule) -> bool {
        if case.incident.state.is_open() && case.incident.resolved_by.is_none() {
            return true;
        }
        let end = case.incident.resolved.unwrap_or(case.incident.updated);
        rule.name == "same-failure-again"
            || facet.first.duration_since(end) <= known.patience.max(facet.patience)
            // Pages that could not be written are given up when the filesystem is unmounted.
            || (facet.class == Class::Cache && facet.boot == known.boot)
    }

    /// What the engine knows of the failure below, by request, blocks and time.
    fn of_root(&self, event: &Event, facet: &Facet) -> Option<(Slot, Link)> {
        let root = event.root_cause_event_id?;
        let slot = self.index.of_event(root)?;
        let case = self.cases.get(&slot).filter(|case| self.is_usable(case))?;
        let known = case.facets.iter().find(|known| known.event_id == root);
        let relation = match known {
            Some(known) if known.is_of(facet) && known.class == Class::Request => Relation::SameRequest,
            Some(known) if known.is_of(facet) => Relation::SameDevice,
            Some(_) if facet.class == Class::Request => Relation::DeviceAbove,
            _ => Relation::Consequence,
        };
        let link =
            Link { because: Some(root), rule: "failure-below", relation, certainty: Certainty::Certain };
        Some((slot, link))
    }

    /// The root of an incident that the event explains.
    fn head(&self, slot: Slot, case: &Case, facet: &Facet, unplaced: bool) -> Option<Head> {
        let open = case.incident.state.is_open();
        // Disks that have only their adapter in common, and what that says.
        let of_adapter =
            case.part.as_ref().is_none_or(|part| part.part == Part::Adapter && facet.class == Class::Adapter);
        case.roots().filter(|_| open && of_adapter).find_map(|root| {
            let rule = rules_of(unplaced).iter().find(|rule| {
                // What came in one moment may be taken up in another order.
                (rule.either_order || !unplaced)
                    // Of two devices the one below is the cause; of two names of one device the one that says more.
                    && (lower(facet) < lower(root)
                        || rule.place == Place::Below
                        // Named only now, and first all the same.
                        || (facet.is_of(root) && facet.first <= root.first && !rule.either_order)
                        || rule.relation == Relation::SameDevice && unplaced)
                    && rule.explains(facet, root)
            })?;
            Some(Head { slot, root: root.event_id, link: link_of(rule, None) })
        })
    }

    /// The one incident that fits, where nothing says how the devices stand to each other. Where two fit, none does.
    fn only_one(&self, facet: &Facet, found: &mut Found) {
        let (mut joins, mut heads) = (Vec::new(), Vec::new());
        for slot in self.index.recent() {
            let Some(case) = self.cases.get(&slot).filter(|case| self.is_usable(case)) else { continue };
            if let Some(head) = self.head(slot, case, facet, true) {
                heads.push(head);
                continue;
            }
            let link = case.facets.iter().find_map(|known| Some((known, rule_for(known, facet, true)?)));
            if let Some((known, rule)) = link {
                joins.push((slot, link_of(rule, Some(known.event_id))));
            }
        }
        if joins.len() + heads.len() == 1 {
            found.joins = joins.pop();
            found.heads = heads;
        }
    }

    /// What a fault has in common with others of the same time.
    fn common(&self, facet: &Facet, beside: Option<Slot>) -> Option<Common> {
        let is_of_kind = is_of_common_kind;
        if !is_of_kind(facet) {
            return None;
        }
        // One that is blamed already stays, also where a narrower one would fit this device.
        let is_blamed = |part: &&SharedPart| {
            self.index.with(&part.key()).iter().filter(|slot| Some(**slot) != beside).any(|slot| {
                let case = self.cases.get(slot).filter(|case| self.is_usable(case));
                case.is_some_and(|case| case.part.as_ref() == Some(*part))
            })
        };
        let mut parts: Vec<&SharedPart> = facet.parts.iter().collect();
        parts.sort_by_key(|part| !is_blamed(part));
        parts.into_iter().find_map(|part| {
            let mut slots = Vec::new();
            let mut others: Vec<&Facet> = Vec::new();
            let mut blamed = 0;
            for slot in self.index.with(&part.key()).iter().filter(|slot| Some(**slot) != beside) {
                let Some(case) = self.cases.get(slot).filter(|case| self.is_usable(case)) else { continue };
                if case.part.as_ref() == Some(part) {
                    slots.push(*slot);
                    blamed = case.blamed_by;
                    let known = case.facets.iter().any(|known| known.is_of(facet));
                    blamed += u32::from(!known);
                    continue;
                }
                let root = case.roots().find(|root| {
                    root.parts.contains(part)
                        && is_of_kind(root)
                        && root.boot == facet.boot
                        && together(root, facet, part)
                        && (part.part != Part::Software || alike(root, facet))
                });
                if let Some(root) = root {
                    slots.push(*slot);
                    if !root.is_of(facet) && !others.iter().any(|other| other.is_of(root)) {
                        others.push(root);
                    }
                }
            }
            let silent =
                others.iter().chain([&facet]).all(|f| matches!(f.class, Class::NoAnswer | Class::Way));
            let devices = others.len() + 1;
            if slots.is_empty() || (blamed == 0 && devices < part.enough(silent)) {
                return None;
            }
            let devices = u32::try_from(devices).unwrap_or(u32::MAX).max(blamed);
            // How sure it is follows from how many blame the part.
            let certainty = Certainty::Certain;
            let link = Link { because: None, rule: "shared-part", relation: Relation::Sibling, certainty };
            Some(Common { part: part.clone(), slots, devices, link })
        })
    }
}

/// Faults of which several below one part point at the part.
fn is_of_common_kind(facet: &Facet) -> bool {
    let of_hypervisor = || facet.parts.iter().any(|part| part.part == Part::Hypervisor);
    facet.is_unserved()
        || matches!(facet.class, Class::Missing | Class::Server)
        || (facet.class == Class::Command && facet.own.iter().all(|name| !name.starts_with("h:")))
        || (facet.class == Class::Request && of_hypervisor() && !facet.is_space())
}

/// Whether two faults are of one moment, as failures of a part that they have in common are.
fn together(one: &Facet, two: &Facet, part: &SharedPart) -> bool {
    let seconds = match part.part {
        // One server after the other is tried.
        Part::Network if one.class == Class::Server => one.patience.max(two.patience).as_secs(),
        Part::Adapter | Part::HostPort | Part::Network | Part::Hypervisor => 2,
        Part::Software if one.class == Class::Missing => 5,
        Part::Software => 10,
        // A narrow part: those behind it are noticed as their commands time out.
        _ => one.patience.max(two.patience).as_secs(),
    };
    let gap = |a: Timestamp, b: Timestamp| a.duration_since(b).abs();
    let nearest = gap(one.first, two.first).min(gap(one.last, two.first));
    nearest <= SignedDuration::from_secs(seconds)
}

/// Two that name a driver only have it in common if they say the same, or if one is about the adapter itself.
fn alike(one: &Facet, two: &Facet) -> bool {
    one.event_type == two.event_type
        || (one.class == Class::Missing && two.class == Class::Missing)
        || one.class == Class::Adapter
        || two.class == Class::Adapter
}

/// The rules for events whose devices are placed, or for those of which nothing says how they stand to each other.
const fn rules_of(unplaced_ones: bool) -> &'static [Rule] {
    if unplaced_ones { unplaced() } else { placed() }
}

pub(super) fn rule_for(known: &Facet, facet: &Facet, unplaced: bool) -> Option<&'static Rule> {
    rules_of(unplaced).iter().find(|rule| rule.explains(known, facet))
}

/// Which of several links counts: the surest, the nearest, the latest.
fn order(known: &Facet, rule: &Rule, facet: &Facet) -> (Certainty, bool, Timestamp, Class) {
    (rule.certainty, known.is_of(facet), known.last, known.class)
}

pub(super) fn link_of(rule: &'static Rule, because: Option<EventId>) -> Link {
    Link { because, rule: rule.name, relation: rule.relation, certainty: rule.certainty }
}

/// How far down a class is; only what is lower explains what came before it.
fn lower(facet: &Facet) -> u8 {
    match facet.class {
        // A port above a device sees what is wrong with the link to that.
        Class::Bus if facet.is_bridge => 1,
        Class::Adapter | Class::Bus => 0,
        Class::Way | Class::Removed => 1,
        Class::NoAnswer | Class::GivenUp => 2,
        Class::Command | Class::Predicted => 3,
        Class::Request | Class::Guard | Class::Checksum | Class::Contents => 4,
        Class::Path => 5,
        Class::NoPath | Class::Member | Class::Zfs => 6,
        _ => 7,
    }
}
