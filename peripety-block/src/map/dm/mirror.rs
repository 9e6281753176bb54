//! `mirror`: `LOG_TYPE #ARGS ARGS… #LEGS (DEV START)* …`

use super::{Kind, Member, Role, Segment, Target, Words, segment};

pub(super) fn mirror(target: &Target, words: &Words<'_>) -> Option<Segment> {
    let of_log: usize = words.number(1)?;
    let legs_at = of_log.checked_add(2)?;
    let legs: usize = words.number(legs_at)?;
    let places = (0..legs).map(|n| words.member(n.checked_mul(2)?.checked_add(legs_at)?.checked_add(1)?));
    let members: Vec<Member> = places.collect::<Option<_>>()?;
    Some(segment(target, Kind::Same(Role::Copy), members))
}
